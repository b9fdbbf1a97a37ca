/**
 * Directory watches as a wake-up hint: something changed, look now instead of at the next turn.
 *
 * Nothing depends on them: a watch that cannot be had (NFS, no inotify left) or that misses an event only costs the wait for the next
 * scan. May import: core, node:.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { join } from 'node:path';

import type { Log } from '../core/log.ts';
import { codeOf } from './directory-scan.ts';

/** The kernel's default is 128 inotify instances for a user and libuv shares one; the folders of one pod are few. */
const FOLDERS_MAX = 256;
/** Names that are kept between two turns; more of them mean: look at everything. */
const NAMES_MAX = 1024;

export interface Hints {
  /** A name appeared or went: scan. */
  readonly scan: boolean;
  /** Files that were written to; undefined: too many to say. */
  readonly names: ReadonlySet<string> | undefined;
}

export class FolderWatch {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #failed = new Set<string>();
  readonly #wake: () => void;
  readonly #log: Log;
  #scan = false;
  #names = new Set<string>();
  #overflow = false;
  #pending = false;

  /** @param options.wake called on each event; must be cheap */
  constructor(options: { wake: () => void; log: Log }) {
    this.#wake = options.wake;
    this.#log = options.log;
  }

  /** Watches these folders and no others. */
  follow(folders: readonly string[]): void {
    const wanted = new Set(folders.slice(0, FOLDERS_MAX));
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of this.#failed) if (!wanted.has(folder)) this.#failed.delete(folder);
    for (const folder of wanted) if (!this.#watchers.has(folder) && !this.#failed.has(folder)) this.#add(folder);
  }

  /** Did anything happen since the last look? */
  get isPending(): boolean {
    return this.#pending;
  }

  /** What happened since the last call. */
  take(): Hints {
    const hints = { scan: this.#scan, names: this.#overflow ? undefined : this.#names };
    if (this.#names.size > 0) this.#names = new Set();
    this.#scan = false;
    this.#overflow = false;
    this.#pending = false;
    return hints;
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        if (event === 'rename') this.#scan = true;
        else if (name === null || this.#names.size >= NAMES_MAX) this.#overflow = true;
        else this.#names.add(join(folder, name));
        // One call is enough until somebody has looked: an app may write a thousand times a second.
        if (!this.#pending) this.#wake();
        this.#pending = true;
      });
      watcher.on('error', (error) => this.#fail(folder, error));
      this.#watchers.set(folder, watcher);
    } catch (error) {
      this.#fail(folder, error);
    }
  }

  #fail(folder: string, error: unknown): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
    this.#failed.add(folder);
    this.#log.info('folder is polled because it cannot be watched', { folder, code: codeOf(error) });
  }
}
