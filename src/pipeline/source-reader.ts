/**
 * Reads a source from a cursor on into one fixed buffer, and knows whether it is still the same file.
 *
 * Invariant: bytes are handed on only when what stands before them, and how they end, is what was seen there before.
 * May import: core, source, pipeline.
 */
import { errorText } from '../core/errors.ts';
import { READ_BYTES } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { FileSet } from '../source/file-set.ts';
import { digest, readAt, TAIL_BYTES_MAX } from '../source/identity.ts';
import type { Cursor } from './cursor.ts';

/** A file that could not be read is asked again after this time. */
const READ_FAILURE_WAIT_MS = 1_000;

export class SourceReader {
  /** After a read: the cursor's tail, then what follows it. */
  readonly buffer = Buffer.allocUnsafeSlow(TAIL_BYTES_MAX + READ_BYTES);
  readonly #files: FileSet;
  readonly #log: Log;

  constructor(options: { files: FileSet; log: Log }) {
    this.#files = options.files;
    this.#log = options.log;
  }

  /**
   * Bytes from the cursor on, as a count: they stand in the buffer behind its tail. Undefined when they cannot be had (the cursor pauses)
   * or when the file turned out to be cut off (its source is an orphan then).
   *
   * @param now on the monotonic clock
   */
  read(cursor: Cursor, now: number): number | undefined {
    const { source } = cursor;
    if (source.fd === undefined) return undefined;
    let got: number;
    let tail: Buffer;
    try {
      if (cursor.isResting && !cursor.wake()) {
        this.#files.truncated(source);
        return undefined;
      }
      ({ tail } = cursor);
      got = readAt(source.fd, this.buffer, tail.length + READ_BYTES, cursor.read - tail.length);
    } catch (error) {
      cursor.pausedUntil = now + READ_FAILURE_WAIT_MS;
      this.#log.error('file cannot be read on', { path: source.info.path, error: errorText(error) });
      return undefined;
    }
    // Asked after the read: whatever was cut off before or during it shows now.
    this.#files.measure(source);
    const available = got - tail.length;
    if (available >= 0 && this.#isContinuous(cursor, available)) return available;
    if (source.fd !== undefined) this.#files.truncated(source);
    return undefined;
  }

  /** Do the bytes that were read follow those before them, and end as the file was seen to end? */
  #isContinuous(cursor: Cursor, available: number): boolean {
    const { source, tail } = cursor;
    if (source.fd === undefined || this.buffer.compare(tail, 0, tail.length, 0, tail.length) !== 0) return false;
    if (source.end.offset !== cursor.read + available) return true;
    const end = tail.length + available;
    return digest(this.buffer.subarray(Math.max(0, end - TAIL_BYTES_MAX), end)) === source.end.hash;
  }
}
