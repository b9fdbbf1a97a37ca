/**
 * promtool, the judge of alert rules: the one in Debian's package of Prometheus, fetched once.
 *
 * May import: node:, test/servers.
 */
import { join } from 'node:path';
import { cached, cacheKey, findCached, type Entry, type Preparation } from './cache.ts';
import { debianRelease, missingForDebianPackages, unpackDebianPackages } from './debian-packages.ts';
import { mustRun } from './programs.ts';
import type { Availability } from './server-kind.ts';

const PACKAGES = ['prometheus'];
/** A rule file is judged in less than a second. */
const JUDGE_MS_MAX = 60_000;

const entry = (): Entry => ({
  name: 'promtool',
  key: cacheKey(debianRelease(), process.arch, PACKAGES.join(' '), 'layout 1'),
});

/** Whether this machine can have it. */
export function promtoolAvailability(cache: string): Availability {
  if (findCached(cache, entry()) !== undefined) return { available: true, prepared: true };
  const missing = missingForDebianPackages('promtool');
  return missing === undefined ? { available: true, prepared: false } : { available: false, ...missing };
}

/** Runs `promtool ARGS` in a folder, fetches it first where needed, and gives what it wrote; throws what it complained of. */
export async function promtool(preparation: Preparation, args: readonly string[], cwd: string): Promise<string> {
  const folder = await cached(preparation.cache, entry(), async (target) => {
    preparation.progress('promtool: downloading 20 MB of Debian packages');
    await unpackDebianPackages(target, PACKAGES);
  });
  const { stdout } = await mustRun(join(folder, 'root/usr/bin/promtool'), [...args], { cwd, timeoutMs: JUDGE_MS_MAX });
  return stdout;
}
