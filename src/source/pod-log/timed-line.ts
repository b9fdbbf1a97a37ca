/**
 * Bytes of the API's log (`timestamps=true`) as lines: the time in RFC 3339 with nanoseconds, a blank, the text
 * (kubernetes/kubernetes, staging/src/k8s.io/cri-client/pkg/logs, logs.go). What the runtime cut in parts comes joined, and may be long.
 *
 * Invariant: memory is bounded; a line that is longer than a part goes on in parts, never lost. May import: core, parse, node:.
 */
import { crc32 } from 'node:zlib';

import { LINE_BYTES_MAX } from '../../core/limits.ts';
import { isoTimeMs } from '../../parse/iso-time.ts';

const LF = 10;
const SPACE = 0x20;
const DOT = 0x2e;
const ZERO = 0x30;
/** As much is told of what the server says in place of a log. */
const WORDS_BYTES_MAX = 256;
/** With the header of the spill log two of them are still one line to whoever reads it. */
export const PART_BYTES_MAX = LINE_BYTES_MAX / 2 - 128;

/** One line, or the first part of a long one. */
export interface TimedLine {
  /** Since the epoch. */
  readonly second: number;
  readonly nanosecond: number;
  /** Of time and text. */
  readonly crc: number;
}

/** One piece; its buffers are valid during the call. */
export interface Piece {
  /** As the server wrote it. */
  readonly time: Buffer;
  readonly text: Buffer;
  /** The line goes on in the next piece. */
  readonly isPartial: boolean;
  /** What the line is known by; undefined for a later part. */
  readonly line: TimedLine | undefined;
}

export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);
  /** Time of the line whose first part is out. */
  #openTime: Buffer | undefined;
  /** The last line that had no time: the server said something else than a log. */
  #untimed: string | undefined;

  /** What stands in place of a log, with or without a line end; undefined where it is one. */
  get words(): string | undefined {
    const first = this.#rest[0] ?? ZERO;
    const isTime = (first >= ZERO && first <= ZERO + 9) || this.#openTime !== undefined;
    return isTime ? this.#untimed : this.#rest.toString('utf8', 0, WORDS_BYTES_MAX).trim();
  }

  /** Gives every whole line of what came so far. */
  push(chunk: Buffer, onPiece: (piece: Piece) => void): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const end = bytes.indexOf(LF);
      if (end >= 0 && end <= PART_BYTES_MAX) {
        this.#emit(bytes.subarray(0, end), false, onPiece);
        bytes = bytes.subarray(end + 1);
      } else if (bytes.length > PART_BYTES_MAX) {
        this.#emit(bytes.subarray(0, PART_BYTES_MAX), true, onPiece);
        bytes = bytes.subarray(PART_BYTES_MAX);
      } else break;
    }
    this.#rest = Buffer.from(bytes);
  }

  /** Nothing follows: what has no line end is a line all the same. */
  finish(onPiece: (piece: Piece) => void): void {
    if (this.#rest.length > 0 || this.#openTime !== undefined) this.#emit(this.#rest, false, onPiece);
    this.#rest = Buffer.alloc(0);
  }

  /** The log was cut off: what has no line end comes again. A line whose first part is out is ended as it is. */
  cut(onPiece: (piece: Piece) => void): void {
    this.#rest = Buffer.alloc(0);
    if (this.#openTime !== undefined) this.#emit(this.#rest, false, onPiece);
  }

  #emit(bytes: Buffer, isPartial: boolean, onPiece: (piece: Piece) => void): void {
    const open = this.#openTime;
    if (open !== undefined) {
      if (!isPartial) this.#openTime = undefined;
      onPiece({ time: open, text: bytes, isPartial, line: undefined });
      return;
    }
    const line = readTime(bytes);
    if (line === undefined) {
      this.#untimed = bytes.toString('utf8', 0, WORDS_BYTES_MAX).trim();
      return;
    }
    const blank = bytes.indexOf(SPACE);
    const time = blank < 0 ? bytes : bytes.subarray(0, blank);
    if (isPartial) this.#openTime = Buffer.from(time);
    onPiece({ time, text: blank < 0 ? bytes.subarray(bytes.length) : bytes.subarray(blank + 1), isPartial, line });
  }
}

/** What a line is known by; undefined where it does not begin with a time. */
export function readTime(bytes: Buffer): TimedLine | undefined {
  const blank = bytes.indexOf(SPACE);
  const to = blank < 0 ? bytes.length : blank;
  const ms = isoTimeMs(bytes, 0, to);
  if (Number.isNaN(ms)) return undefined;
  return { second: Math.floor(ms / 1000), nanosecond: nanosecondOf(bytes, to), crc: crc32(bytes) };
}

function nanosecondOf(bytes: Buffer, to: number): number {
  const dot = bytes.indexOf(DOT);
  let value = 0;
  let digits = 0;
  for (let at = dot + 1; dot >= 0 && at < to && digits < 9; at += 1, digits += 1) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value * 10 ** (9 - digits);
}
