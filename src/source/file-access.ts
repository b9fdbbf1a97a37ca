/**
 * Opens files and reads from them, and tells of each failure once, by name, until it is over.
 *
 * Invariants: what fails concerns one file alone and leaves it as it was; a descriptor that nobody took over is closed.
 * May import: core, node:, source.
 */
import { closeSync } from 'node:fs';

import { errorText } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { codeOf } from './directory-scan.ts';
import type { Sighting } from './directory-scan.ts';
import { keyOf, openFile } from './identity.ts';
import type { OpenedFile } from './identity.ts';
import type { SourceFile } from './source-file.ts';
import { UnreadableFiles } from './unreadable-files.ts';

export class FileAccess {
  readonly unreadable: UnreadableFiles;
  /** Open sources whose last read failed, with the name that was told. */
  readonly #failing = new Map<SourceFile, string>();
  readonly #onMoved: () => void;

  /** @param options.onMoved a name was given to another file since it was listed: the next scan sees that one */
  constructor(options: { log: Log; metrics: Metrics; onMoved: () => void }) {
    this.unreadable = new UnreadableFiles(options);
    this.#onMoved = options.onMoved;
  }

  /**
   * Opens what was seen and gives it to `use`, which says whether it took the descriptor over and must not fail after that. Undefined when
   * the file could not be opened or read: it is told, and the next scan asks again.
   */
  use(sighting: Sighting, use: (opened: OpenedFile) => boolean): boolean | undefined {
    const opened = this.#open(sighting);
    if (opened === undefined) return undefined;
    let isTaken: boolean | undefined;
    try {
      isTaken = use(opened);
      this.unreadable.clear(sighting.name);
    } catch (error) {
      this.#report(sighting.name, error);
    } finally {
      if (isTaken !== true) closeSync(opened.fd);
    }
    return isTaken;
  }

  /** Reads from a source that is open. Undefined when that fails; the next poll or scan asks again. */
  attempt<T>(source: SourceFile, read: () => T): T | undefined {
    const failedAs = this.#failing.get(source);
    const name = source.name ?? source.info.path;
    try {
      const result = read();
      if (failedAs !== undefined) this.recovered(source);
      return result;
    } catch (error) {
      this.#report(name, error);
      if (failedAs !== undefined && failedAs !== name) this.unreadable.clear(failedAs);
      this.#failing.set(source, name);
      return undefined;
    }
  }

  isFailing(source: SourceFile): boolean {
    return this.#failing.has(source);
  }

  /** There is nothing (more) to tell of it. */
  recovered(source: SourceFile): void {
    const failedAs = this.#failing.get(source);
    if (failedAs === undefined) return;
    this.#failing.delete(source);
    this.unreadable.clear(failedAs);
  }

  /** The descriptor, and what was told of it, is another source's now. */
  handOn(from: SourceFile, to: SourceFile): void {
    const failedAs = this.#failing.get(from);
    if (failedAs === undefined) return;
    this.#failing.delete(from);
    this.#failing.set(to, failedAs);
  }

  #open(sighting: Sighting): OpenedFile | undefined {
    try {
      const opened = openFile(sighting.name);
      if (opened !== undefined && keyOf(opened.identity) !== sighting.key) {
        closeSync(opened.fd);
        this.#onMoved();
        return undefined;
      }
      return opened;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.unreadable.report(sighting.name, codeOf(error), errorText(error));
      return undefined;
    }
  }

  /** Only what the system says is told; an error of ours goes on. */
  #report(name: string, error: unknown): void {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    this.unreadable.report(name, codeOf(error), errorText(error));
  }
}
