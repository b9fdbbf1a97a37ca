/**
 * Bodies compressed one after another by one zlib stream, into one buffer.
 *
 * A stream for each body leaves its buffers and its state of a quarter of a megabyte to the collector, which comes late for what lies outside
 * its heap: at full speed that was 30 MiB more of anonymous memory. A format of one member for each body (RFC 1952). May import: node:.
 */
import assert from 'node:assert/strict';
import { constants, createGzip } from 'node:zlib';
import type { Gzip, ZlibReset } from 'node:zlib';

/** What zlib fills before it is asked for more: a usual body of 1 MiB comes in two or three. */
const CHUNK_BYTES = 64 * 1024;
/** CRC and length of what was compressed, at the end (RFC 1952, 2.3.1). */
const LENGTH_BYTES = 4;

export class GzipStream {
  readonly #gzip: Gzip & ZlibReset;
  #out = Buffer.allocUnsafeSlow(2 * CHUNK_BYTES);
  #bytes = 0;
  #isBusy = false;

  /** @param level of zlib, 1 (fast) to 9 */
  constructor(level: number) {
    // `reset` is of every zlib stream (Node.js documentation, class zlib.ZlibBase); the types know it of some.
    this.#gzip = createGzip({ level, chunkSize: CHUNK_BYTES }) as Gzip & ZlibReset;
    this.#gzip.on('data', (chunk: Buffer) => this.#keep(chunk));
  }

  /** The compressed body, valid until the next call. One call at a time. */
  async compress(body: readonly Buffer[]): Promise<Buffer> {
    assert(!this.#isBusy, 'one body at a time');
    this.#isBusy = true;
    this.#bytes = 0;
    for (const slice of body) this.#gzip.write(slice);
    await new Promise<void>((resolve) => this.#gzip.flush(constants.Z_FINISH, resolve));
    this.#gzip.reset();
    this.#isBusy = false;
    const made = this.#out.subarray(0, this.#bytes);
    const length = body.reduce((sum, slice) => sum + slice.length, 0);
    assert(made.length > LENGTH_BYTES && made.readUInt32LE(made.length - LENGTH_BYTES) === length, 'a whole member');
    return made;
  }

  close(): void {
    this.#gzip.close();
  }

  #keep(chunk: Buffer): void {
    const bytes = this.#bytes + chunk.length;
    if (bytes > this.#out.length) {
      const larger = Buffer.allocUnsafeSlow(2 * bytes);
      this.#out.copy(larger, 0, 0, this.#bytes);
      this.#out = larger;
    }
    chunk.copy(this.#out, this.#bytes);
    this.#bytes = bytes;
  }
}
