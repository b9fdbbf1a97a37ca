/**
 * The serving pair from three PEM files, for those who bring their own: leaf with chain, key, CA.
 *
 * Invariants: what pair-keeper.ts says of pairs. The three are read and judged together. Files that are written one after the other, or
 * read while the kubelet swaps its symlink, do not belong together for a moment: what is wrong is only told when it is still the same at
 * the next look. Content is compared, not times: a swapped symlink may bear old ones. May import: src/core, certs.
 */
import { readFile } from 'node:fs/promises';

import type { Clock } from '../src/core/clock.ts';
import { errorText } from '../src/core/errors.ts';
import { MiB } from '../src/core/limits.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import type { SecretEntries } from './ca-state.ts';
import type { CertificateSource } from './certificate-source.ts';
import type { LiveTrust } from './live-trust.ts';
import { createPairKeeper } from './pair-keeper.ts';

export interface FileSourceOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** DNS names and IP addresses that the leaf has to cover. */
  readonly hosts: readonly string[];
  /** What API servers trust; without it no pair is held back. */
  readonly trust?: LiveTrust | undefined;
}

/** Between two looks: nothing beside the minute that the kubelet takes to bring a change, and three small reads cost nothing. */
const LOOK_MS = 2_000;

/** The largest object that a ConfigMap or Secret can be. */
const BYTES_MAX = 1 * MiB;

/** Starts at once; files that are not there yet are waited for. */
export function createFileSource(options: FileSourceOptions): CertificateSource {
  const { clock, log, metrics, hosts, certFile, keyFile, caFile, trust } = options;
  const origin = `files ${certFile}, ${keyFile}, ${caFile}`;
  const keeper = createPairKeeper({ clock, log, metrics, origin, hosts, mode: 'files', trust });
  const closing = new AbortController();
  let asked = new AbortController();
  let before = '';
  let told = '';
  const look = async (): Promise<void> => {
    const read = await readPair(options);
    const seen = read.ok ? JSON.stringify(read.entries) : read.problem;
    // A pair that is held back is offered again at the next look.
    const offered = read.ok ? keeper.offer(read.entries) : { outcome: 'refused' as const, problem: read.problem };
    if (offered.outcome !== 'refused') told = '';
    else if (seen === before && seen !== told) {
      told = seen;
      keeper.refuse(offered.problem);
    }
    before = seen;
  };
  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await look();
      asked = new AbortController();
      await clock.sleep(LOOK_MS, AbortSignal.any([closing.signal, asked.signal]));
    }
  };
  const ended = run();
  return {
    current: () => keeper.current(),
    problem: () => keeper.problem(),
    held: () => keeper.held(),
    onChange: (listener) => keeper.onChange(listener),
    refresh: () => asked.abort(),
    close: () => {
      closing.abort();
      return ended;
    },
  };
}

type PairRead =
  { readonly ok: true; readonly entries: SecretEntries } | { readonly ok: false; readonly problem: string };

async function readPair({ certFile, keyFile, caFile }: FileSourceOptions): Promise<PairRead> {
  const entries: Record<string, string> = {};
  for (const [key, path] of Object.entries({ 'tls.crt': certFile, 'tls.key': keyFile, 'ca.crt': caFile })) {
    try {
      const bytes = await readFile(path);
      if (bytes.length > BYTES_MAX)
        return { ok: false, problem: `read ${path}: expected at most ${BYTES_MAX} bytes, got ${bytes.length}` };
      entries[key] = bytes.toString('utf8');
    } catch (error) {
      return { ok: false, problem: `read ${path}: expected a PEM file, got: ${errorText(error)}` };
    }
  }
  return { ok: true, entries };
}
