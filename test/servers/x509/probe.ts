/**
 * The judge of certificate chains that API servers have in them: Go's crypto/x509, as a program that is built once.
 *
 * May import: node:, test/servers.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, findCached, type Entry, type Preparation } from '../cache.ts';
import { findProgram, mustRun } from '../programs.ts';
import type { Availability } from '../server-kind.ts';

/** Standard library only: seconds, a minute where Go compiles it for the first time on a slow core. */
const BUILD_MS_MAX = 5 * 60_000;
const JUDGE_MS_MAX = 30_000;
const BINARY = 'x509-probe';

export interface ChainCase {
  /** PEM of what the client trusts. */
  readonly bundle: string;
  /** PEM of what the server sends, leaf first. */
  readonly chain: string;
  /** DNS names, or IP addresses in brackets (Go, crypto/x509, VerifyOptions.DNSName). */
  readonly hosts: readonly string[];
}

function entry(): Entry {
  const texts = ['main.go', 'go.mod'].map((name) => readFileSync(join(import.meta.dirname, name), 'utf8'));
  return { name: 'x509', key: cacheKey(...texts, process.platform, process.arch) };
}

/** Whether this machine can have the probe. */
export function probeAvailability(cache: string): Availability {
  if (findCached(cache, entry()) !== undefined) return { available: true, prepared: true };
  if (findProgram('go') !== undefined) return { available: true, prepared: false };
  return {
    available: false,
    reason: 'Go was not found, which builds the probe of certificate chains',
    remedy: 'install Go 1.21 or newer from https://go.dev/dl',
  };
}

/** Builds the probe where it was not built, and gives what it says of each case: the empty text where Go accepts it. */
export async function judgeChains(preparation: Preparation, cases: readonly ChainCase[]): Promise<readonly string[]> {
  const folder = await cached(preparation.cache, entry(), async (target) => {
    const go = findProgram('go');
    if (go === undefined) throw new Error('build the x509 probe: expected go on PATH, got none');
    const flags = ['-trimpath', '-buildvcs=false', '-o', join(target, BINARY), '.'];
    const env = { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-mod=mod' };
    await mustRun(go, ['build', ...flags], { cwd: import.meta.dirname, env, timeoutMs: BUILD_MS_MAX });
  });
  const input = JSON.stringify(cases);
  const { stdout } = await mustRun(join(folder, BINARY), [], { input, timeoutMs: JUDGE_MS_MAX });
  const verdicts: unknown = JSON.parse(stdout);
  if (!Array.isArray(verdicts) || verdicts.length !== cases.length)
    throw new Error(`judge chains: expected ${cases.length} verdicts, got ${stdout.slice(0, 200)}`);
  return verdicts.map(String);
}
