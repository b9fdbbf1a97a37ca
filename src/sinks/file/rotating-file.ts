/**
 * One NDJSON file and its older ones, within a bound: `records.ndjson`, `records.1.ndjson`, … up to the oldest.
 *
 * Invariants: what is appended stands there whole, on the disk, or not at all, also after a crash; a file that somebody else removed or
 * moved is made anew; the oldest makes room for the next, and its bytes are told. May import: core.
 */
import assert from 'node:assert/strict';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { KiB } from '../../core/limits.ts';

/** Read at once when the end of the last whole line is looked for. */
const TAIL_BYTES = 64 * KiB;
const NEWLINE = 0x0a;

export interface RotatingFileOptions {
  readonly path: string;
  /** Files that are kept, the newest among them. */
  readonly files: number;
  /** All of them together. */
  readonly bytesMax: number;
  /** Told of the bytes that made room. */
  readonly onDiscarded: (bytes: number) => void;
}

interface Opened {
  readonly handle: FileHandle;
  readonly ino: number;
  bytes: number;
}

export class RotatingFile {
  readonly #options: RotatingFileOptions;
  #opened: Opened | undefined;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
  }

  /** Appends whole lines and makes them durable. Rejects with the system's error; then nothing of them stays. */
  async append(lines: readonly Buffer[]): Promise<void> {
    const length = lines.reduce((sum, slice) => sum + slice.length, 0);
    let opened = await this.#current();
    if (opened.bytes > 0 && opened.bytes + length > this.#options.bytesMax / this.#options.files) {
      await this.#rotate();
      opened = await this.#current();
    }
    try {
      await writeWhole(opened.handle, lines, length, opened.bytes);
      await opened.handle.datasync();
      opened.bytes += length;
    } catch (error) {
      // A disk that is full took a part: the next try begins where this one did.
      await opened.handle.truncate(opened.bytes).catch(() => this.close());
      throw error;
    }
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.handle.close();
  }

  /** The file under the path, as long as it is the one that was opened. */
  async #current(): Promise<Opened> {
    const { path } = this.#options;
    if (this.#opened !== undefined) {
      const found = await stat(path).catch(missing);
      if (found?.ino === this.#opened.ino) return this.#opened;
      await this.close();
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Lines of a log may be confidential: nobody else reads them.
    const handle = await open(path, 'a+', 0o600).then(async (appending) => {
      await appending.close();
      return open(path, 'r+');
    });
    try {
      const { ino, size } = await handle.stat();
      const bytes = await wholeLines(handle, size);
      if (bytes < size) await handle.truncate(bytes);
      // A name is on the disk when its folder is (fsync(2)): that of a new file, and those that a rotation gave to the older ones.
      if (size === 0) await syncFolder(dirname(path));
      this.#opened = { handle, ino, bytes };
      return this.#opened;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #rotate(): Promise<void> {
    const { files, onDiscarded } = this.#options;
    await this.close();
    const oldest = this.#name(files - 1);
    const gone = await stat(oldest).catch(missing);
    await rm(oldest, { force: true });
    if (gone !== undefined) onDiscarded(gone.size);
    for (let number = files - 2; number >= 0; number -= 1) {
      await rename(this.#name(number), this.#name(number + 1)).catch(missing);
    }
  }

  #name(number: number): string {
    return rotatedName(this.#options.path, number);
  }
}

/** `records.ndjson`, `records.1.ndjson`: 0 is the newest. */
export function rotatedName(path: string, number: number): string {
  const extension = extname(path);
  return number === 0 ? path : `${path.slice(0, path.length - extension.length)}.${number}${extension}`;
}

/** A folder that may be written and not read cannot be told to be durable; then it is when the file system does it by itself. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(unreadable);
  if (folder === undefined) return;
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A disk that has room for a part takes that without an error (write(2)); the rest of it is refused with one. */
async function writeWhole(handle: FileHandle, lines: readonly Buffer[], length: number, at: number): Promise<void> {
  const { bytesWritten } = await handle.writev(lines.slice(), at);
  if (bytesWritten === length) return;
  const rest = Buffer.concat(lines.slice(), length).subarray(bytesWritten);
  for (let done = 0; done < rest.length;) {
    const more = await handle.write(rest, done, rest.length - done, at + bytesWritten + done);
    assert(more.bytesWritten > 0, 'a write that takes nothing says why');
    done += more.bytesWritten;
  }
}

/** A file that is not there is no error; anything else is. */
function missing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}

function unreadable(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'EACCES') return undefined;
  throw error;
}

/** Length up to the last newline: a process that was killed may have left a part of a line. */
async function wholeLines(handle: FileHandle, size: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(Math.min(size, TAIL_BYTES));
  for (let end = size; end > 0; end -= buffer.length) {
    const from = Math.max(0, end - buffer.length);
    const { bytesRead } = await handle.read(buffer, 0, end - from, from);
    const at = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (at >= 0) return from + at + 1;
  }
  return 0;
}
