/**
 * Watches of folders that say what a test lets them say.
 */
import type { WatchFolder } from '../../src/source/watch.ts';

export class FakeFolderWatches {
  /** By folder: who listens there now. */
  readonly #listeners = new Map<string, (event: string, name: string | null) => void>();
  /** How often any folder was watched anew. */
  opened = 0;
  /** The next attempt to watch fails so. */
  failure: Error | undefined;

  readonly watchFolder: WatchFolder = (folder, listener) => {
    if (this.failure !== undefined) throw this.failure;
    this.opened += 1;
    this.#listeners.set(folder, listener);
    const watcher = {
      close: () => {
        if (this.#listeners.get(folder) === listener) this.#listeners.delete(folder);
      },
      on: () => watcher,
    };
    return watcher;
  };

  /** Those that are watched now. */
  get folders(): readonly string[] {
    return [...this.#listeners.keys()];
  }

  /** An event of one folder, or of all; nothing where nobody listens. */
  tell(event: 'change' | 'rename', name: string | null, folder?: string): void {
    for (const [watched, listener] of [...this.#listeners])
      if (folder === undefined || folder === watched) listener(event, name);
  }
}
