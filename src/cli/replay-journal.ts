/**
 * How far a replay is, on the disk: so that a kill costs a window and loses nothing.
 *
 * The dead letter itself is never changed. Beside the file of what was refused again stands, while a replay is under way, a note of how far
 * the dead letter is dealt with and how long that file was then. Invariants: what was refused again is on the disk before the note says
 * that its window is done; after a kill the file is cut back to what the note says, so nothing stands in it twice.
 * May import: everything but test.
 */
import { open, rm, stat, truncate } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { errorText, OperationalError } from '../core/errors.ts';
import { nodeStateFiles } from '../pipeline/state-files.ts';
import type { StateFiles } from '../pipeline/state-files.ts';
import { readAnchor } from '../source/identity.ts';

interface Note {
  readonly version: 1;
  /** What is replayed: sink and filters, as text. */
  readonly what: string;
  /** Bytes of the dead letter that are dealt with, and a hash of what stands before them. */
  readonly done: number;
  readonly anchor: string;
  /** Bytes of the file of what was refused again. */
  readonly again: number;
}

export class ReplayJournal {
  readonly #files: StateFiles;
  readonly #again: string;
  readonly #what: string;
  readonly #fd: number;
  #againBytes: number;
  /** Bytes of the dead letter that need not be read again. */
  readonly done: number;

  private constructor(options: { again: string; what: string; fd: number; note: Note | undefined; files: StateFiles }) {
    this.#files = options.files;
    this.#again = options.again;
    this.#what = options.what;
    this.#fd = options.fd;
    this.done = options.note?.done ?? 0;
    this.#againBytes = options.note?.again ?? 0;
  }

  /**
   * Takes up an earlier replay of the same, if there is one that did not end.
   *
   * @param fd of the dead letter
   * @throws OperationalError USAGE when the file of what was refused again is already there from a replay that ended
   */
  static async open(options: { again: string; what: string; fd: number }): Promise<ReplayJournal> {
    const { again, what, fd } = options;
    const files = nodeStateFiles(dirname(resolve(again)));
    const note = usable(await files.read(noteName(again)), what, fd);
    const bytes = await sizeOf(again);
    if (note === undefined && bytes > 0) {
      throw new OperationalError('USAGE', `logtender replay: expected no file ${again}, got one of ${bytes} bytes`, {
        hint: 'it holds what an earlier replay could not deliver: replay that file, move it away, or name another with --again',
      });
    }
    if (note !== undefined && bytes > note.again) await truncate(again, note.again);
    if (note !== undefined && bytes < note.again)
      throw new OperationalError('USAGE', `logtender replay: expected ${note.again} bytes in ${again}, got ${bytes}`, {
        hint: `it was changed while a replay was under way; to begin anew, remove ${again}.progress`,
      });
    return new ReplayJournal({ ...options, note, files });
  }

  /** A window is dealt with: `lines` of it were refused again, and the dead letter is done up to `done`. */
  async keep(lines: readonly string[], done: number): Promise<void> {
    const content = Buffer.from(lines.join(''));
    try {
      if (content.length > 0) {
        await this.#files.append(basename(this.#again), content);
        await this.#files.sync(basename(this.#again));
        this.#againBytes += content.length;
      }
      const note: Note = {
        version: 1,
        what: this.#what,
        done,
        anchor: readAnchor(this.#fd, done)?.hash ?? '',
        again: this.#againBytes,
      };
      await this.#files.replace(noteName(this.#again), Buffer.from(JSON.stringify(note)));
    } catch (error) {
      throw new OperationalError('USAGE', `logtender replay: write ${this.#again}: ${errorText(error)}`, {
        hint: 'name a file in a folder that can be written with --again; nothing of the dead letter is lost',
      });
    }
  }

  /** The replay is over: the note goes. */
  async end(): Promise<void> {
    await this.#files.close();
    await rm(`${this.#again}.progress`, { force: true });
  }

  /** Whether anything was refused again, by an interrupted run before this one as well. */
  get hasAgain(): boolean {
    return this.#againBytes > 0;
  }

  /** It goes on another time. */
  async pause(): Promise<void> {
    await this.#files.close();
  }
}

function noteName(again: string): string {
  return `${basename(again)}.progress`;
}

function usable(content: Buffer | undefined, what: string, fd: number): Note | undefined {
  if (content === undefined) return undefined;
  try {
    const note = JSON.parse(content.toString('utf8')) as Note;
    const isOurs = note.version === 1 && note.what === what && Number.isSafeInteger(note.done + note.again);
    return isOurs && (readAnchor(fd, note.done)?.hash ?? '') === note.anchor ? note : undefined;
  } catch {
    return undefined;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

/** The lines of a file from an offset on, each with the offset behind it; a last line without a newline is given too. */
export async function* linesOf(
  path: string,
  from: number,
  lineBytesMax: number,
): AsyncGenerator<{ readonly line: string; readonly end: number }> {
  const handle = await open(path);
  try {
    let rest: Buffer = Buffer.alloc(0);
    let at = from;
    for await (const chunk of handle.createReadStream({ start: from, autoClose: false }) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let begin = 0;
      for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, begin)) {
        at += newline + 1 - begin;
        yield { line: bytes.toString('utf8', begin, newline), end: at };
        begin = newline + 1;
      }
      rest = bytes.subarray(begin);
      if (rest.length > lineBytesMax)
        throw new OperationalError(
          'USAGE',
          `read ${path}: expected lines of at most ${lineBytesMax} bytes, got a longer one`,
        );
    }
    if (rest.length > 0) yield { line: rest.toString('utf8'), end: at + rest.length };
  } finally {
    await handle.close();
  }
}
