/**
 * Stdout and stderr as files, whichever way they come: the kubelet's own, or those of the spill log that the API's lines are written to.
 * To the pipeline they are files like the user's, below a root of their own.
 *
 * May import: core, config, source.
 */
import { rmSync } from 'node:fs';

import type { FileGlob, PodIdentity } from '../config/forwarder-config.ts';
import { stdioGlobs, stdioPlaces } from '../config/stdio-config.ts';
import type { StdioConfig } from '../config/stdio-config.ts';
import type { Clock, Random } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { unpackMissed } from './compressed-logs.ts';
import type { KnownSource } from './source-file.ts';

/** Files that are done with are looked for this often: their bytes count for the pod's ephemeral storage. */
const TIDY_INTERVAL_MS = 5_000;

export interface StdioOptions {
  readonly config: StdioConfig;
  readonly pod: PodIdentity;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What the forwarder is told, and what tells it more. */
export interface Stdio {
  readonly files: readonly FileGlob[];
  readonly stdioRoot: string;
  /** See ForwarderOptions. */
  readonly relocate: ((known: readonly KnownSource[]) => Promise<readonly KnownSource[]>) | undefined;
  readonly isComplete: () => boolean;
  /** What is wrong with it, for /readyz; undefined: all well. */
  readonly problem: () => string | undefined;
  /** Begins. @param spent files of which everything is acknowledged and that are written to no more */
  start(spent: () => readonly string[]): void;
  /** The process is to end: what is there is fetched, at most until the signal is aborted. */
  end(signal: AbortSignal): void;
  /** Lets go of everything. */
  close(): Promise<void>;
}

/** Where the lines come from, when they do not stand in files already. */
export interface StdioFeed {
  readonly isComplete: () => boolean;
  readonly problem: () => string | undefined;
  /** May the file, which is spent, be deleted? */
  readonly isDispensable: (name: string) => boolean;
  start(): void;
  end(signal: AbortSignal): void;
  close(): Promise<void>;
}

/** Puts one way together. @param feed writes the files; undefined where the kubelet does */
export function createStdio(options: StdioOptions, feed?: StdioFeed): Stdio {
  const { config, pod, stateDir, log, metrics } = options;
  const places = stdioPlaces(config, pod, stateDir);
  const { root, mount, unpacked } = places;
  // The kubelet's directory is not ours to tidy, and mounted read-only.
  const own = config.way === 'node' ? `${unpacked}/` : `${mount}/`;
  let timer: NodeJS.Timeout | undefined;
  const tidy = (spent: readonly string[]): void => {
    for (const name of spent) if (name.startsWith(own) && feed?.isDispensable(name) !== false) remove(name, log);
  };
  return {
    files: stdioGlobs(config, places),
    stdioRoot: root,
    relocate:
      config.way === 'node'
        ? (known) => unpackMissed(known, { containers: config.containers, mount, root, unpacked, log, metrics })
        : undefined,
    isComplete: () => feed?.isComplete() ?? true,
    problem: () => feed?.problem(),
    start: (spent) => {
      timer = setInterval(() => tidy(spent()), TIDY_INTERVAL_MS);
      timer.unref();
      feed?.start();
    },
    end: (signal) => feed?.end(signal),
    close: async () => {
      clearInterval(timer);
      await feed?.close();
    },
  };
}

function remove(name: string, log: Log): void {
  try {
    rmSync(name, { force: true });
  } catch (error) {
    log.warn('file that is done with cannot be deleted', { name, error: errorText(error) });
  }
}
