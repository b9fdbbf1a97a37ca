/**
 * What every kind of test server offers, and how it says that it cannot be had.
 *
 * May import: test/servers/cache.ts.
 */
import type { Preparation } from './cache.ts';

/** Whether this machine can run the server, and if not, what would change that. */
export type Availability =
  | { readonly available: true; /** True when nothing is left to download or build. */ readonly prepared: boolean }
  | {
      readonly available: false;
      readonly reason: string;
      /** A command, or what to install from where. */ readonly remedy: string;
    };

/** A server that runs. */
export interface RunningServer {
  /** Where it answers, without a slash at the end. */
  readonly url: string;
  /** Process ids by name; those of halted parts are absent. */
  readonly pids: Readonly<Record<string, number>>;
  /** Folder of data and logs, gone after `stop`. */
  readonly folder: string;
  readonly logFiles: readonly string[];
  /** Ends it for good and removes its folder, unless a test failed: then the folder stays and its path is said. */
  stop(): Promise<void>;
}

/** A server that can be away for a while, with the same address and data when it is back. */
export interface HaltableServer extends RunningServer {
  halt(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  resume(): Promise<void>;
}

export interface ServerKind<S extends RunningServer> {
  availability(cache: string): Promise<Availability>;
  /** Downloads and builds; returns at once when that was done before. */
  prepare(preparation: Preparation): Promise<void>;
  /** Starts one with built-in settings; prepares first where needed. */
  start(preparation: Preparation): Promise<S>;
}
