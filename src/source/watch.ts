/**
 * Directory watches as a wake-up hint: something changed, look now instead of at the next turn.
 *
 * Nothing depends on them: a watch that cannot be had (NFS, no inotify left) or that misses an event only costs the wait for the next
 * scan. May import: core, node:.
 */
import { watch } from 'node:fs';
import { join } from 'node:path';

import type { Log } from '../core/log.ts';
import { changedAt, codeOf } from './directory-scan.ts';

/** The kernel's default is 128 inotify instances for a user and libuv shares one; the folders of one pod are few. */
const FOLDERS_MAX = 256;
/**
 * A folder that tells of more than one write in each of so many looks in a row is busy. Each event wakes the process (a fourteenth of a
 * millisecond, a hundred times a second where an app writes as often), and a look by timer finds the same: its watch is closed for a while.
 */
const BUSY_EVENTS = 2;
const BUSY_LOOKS = 2;
/** Names that are kept between two turns; more of them mean: look at everything. */
const NAMES_MAX = 1024;

export interface Hints {
  /** A name appeared or went: scan. */
  readonly scan: boolean;
  /** Files that were written to; undefined: too many to say, or nobody watched. */
  readonly names: ReadonlySet<string> | undefined;
}

/** What of Node's FSWatcher is used. */
export interface Watcher {
  close(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Calls the listener for each event of a folder until it is closed. Throws the system's error. */
export type WatchFolder = (folder: string, listener: (event: string, name: string | null) => void) => Watcher;

const watchFolder: WatchFolder = (folder, listener) => watch(folder, { persistent: false }, listener);

interface Watched {
  /** Undefined while it stands aside. */
  watcher: Watcher | undefined;
  /** Events since the last look, and looks in a row with many of them. */
  events: number;
  busyLooks: number;
  /** While it stands aside: when names last came or went, and whether that was news to the last look. */
  changedAt: bigint | undefined;
  isChanging: boolean;
}

export class FolderWatch {
  readonly #watched = new Map<string, Watched>();
  readonly #failed = new Set<string>();
  readonly #watchFolder: WatchFolder;
  readonly #wake: () => void;
  readonly #log: Log;
  #scan = false;
  #names = new Set<string>();
  #overflow = false;
  #pending = false;

  /** @param options.wake called on each event; must be cheap */
  constructor(options: { wake: () => void; log: Log; watchFolder?: WatchFolder | undefined }) {
    this.#watchFolder = options.watchFolder ?? watchFolder;
    this.#wake = options.wake;
    this.#log = options.log;
  }

  /** Watches these folders and no others. */
  follow(folders: readonly string[]): void {
    const wanted = new Set(folders.slice(0, FOLDERS_MAX));
    for (const [folder, { watcher }] of this.#watched) {
      if (wanted.has(folder)) continue;
      watcher?.close();
      this.#watched.delete(folder);
    }
    for (const folder of this.#failed) if (!wanted.has(folder)) this.#failed.delete(folder);
    for (const folder of wanted) if (!this.#watched.has(folder) && !this.#failed.has(folder)) this.#add(folder);
  }

  /** Did anything happen since the last look? */
  get isPending(): boolean {
    return this.#pending;
  }

  /** Does a watch stand aside, so that somebody has to look every now and then? */
  get isBusy(): boolean {
    for (const { watcher } of this.#watched.values()) if (watcher === undefined) return true;
    return false;
  }

  /**
   * What happened since the last call; whoever calls looks at it at once.
   *
   * @param mayStandAside watches of busy folders may be closed, and are told of only when this is called; else all of them are opened again
   */
  take(mayStandAside: boolean): Hints {
    for (const [folder, watched] of this.#watched) {
      if (watched.watcher === undefined) this.#askBusy(folder, watched, mayStandAside);
      else if (mayStandAside && isBusy(watched)) this.#standAside(folder, watched);
      watched.events = 0;
    }
    const hints = { scan: this.#scan, names: this.#overflow ? undefined : this.#names };
    if (this.#names.size > 0) this.#names = new Set();
    this.#scan = false;
    this.#overflow = false;
    this.#pending = false;
    return hints;
  }

  close(): void {
    for (const { watcher } of this.#watched.values()) watcher?.close();
    this.#watched.clear();
  }

  /** Events that were on their way are lost: this look has to find what they told of. */
  #standAside(folder: string, watched: Watched): void {
    watched.watcher?.close();
    watched.watcher = undefined;
    watched.busyLooks = 0;
    watched.changedAt = changedAt(folder);
    watched.isChanging = true;
    this.#scan = true;
    this.#overflow = true;
  }

  /**
   * Two changes within one tick of the file system's clock (10 ms and less) look like one, and a scan may have been between them: the look
   * after one that saw a change asks for a scan once more. A file that a rotation made then would be found only by the next scan, a second
   * later, and one that is deleted before never.
   */
  #askBusy(folder: string, watched: Watched, mayStandAside: boolean): void {
    this.#overflow = true;
    if (mayStandAside) {
      const before = watched.changedAt;
      const wasChanging = watched.isChanging;
      watched.changedAt = changedAt(folder);
      watched.isChanging = watched.changedAt !== before;
      if (wasChanging || watched.isChanging) this.#scan = true;
      return;
    }
    // Open first: what happens from here on is told, what happened before is found by this look.
    this.#add(folder);
    this.#scan = true;
  }

  #add(folder: string): void {
    const watched: Watched = { watcher: undefined, events: 0, busyLooks: 0, changedAt: undefined, isChanging: false };
    try {
      const watcher = this.#watchFolder(folder, (event, name) => {
        // What was on its way when it was closed.
        if (watched.watcher === undefined) return;
        watched.events += 1;
        if (event === 'rename') this.#scan = true;
        else if (name === null || this.#names.size >= NAMES_MAX) this.#overflow = true;
        else this.#names.add(join(folder, name));
        // One call is enough until somebody has looked: an app may write a thousand times a second.
        if (!this.#pending) this.#wake();
        this.#pending = true;
      });
      watched.watcher = watcher;
      watcher.on('error', (error) => {
        if (watched.watcher !== undefined) this.#fail(folder, error);
      });
      this.#watched.set(folder, watched);
    } catch (error) {
      this.#fail(folder, error);
    }
  }

  #fail(folder: string, error: unknown): void {
    this.#watched.get(folder)?.watcher?.close();
    this.#watched.delete(folder);
    this.#failed.add(folder);
    this.#log.info('folder is polled because it cannot be watched', { folder, code: codeOf(error) });
  }
}

/** Is the folder busy with this look? */
function isBusy(watched: Watched): boolean {
  watched.busyLooks = watched.events >= BUSY_EVENTS ? watched.busyLooks + 1 : 0;
  return watched.busyLooks >= BUSY_LOOKS;
}
