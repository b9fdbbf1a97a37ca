/**
 * Runs of usual lines as records, framed and escaped, many lines a call: the contract of the byte kernel and of its two forms,
 * WebAssembly (wasm-line-kernel.ts) and plain TypeScript (plain-line-kernel.ts).
 *
 * A usual line is well-formed UTF-8, ends with a newline and has at most LINE_BYTES_MAX bytes; at any other the kernel stops, and its
 * caller takes that line by LineEscaper. Both forms give the same bytes. May import: core.
 */
import { ESCAPED_LINE_BYTES_MAX } from './line-escaper.ts';

/**
 * The parts of one line of a container runtime that the kernel joins at most: their number fits a byte. The runtimes cut lines after 16 KiB,
 * so LINE_BYTES_MAX has room for eight.
 */
export const PARTS_MAX = 255;

/** What stands around the text of each line: first, offset, second, offset, third, text, closing. */
export interface LineFrame {
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  readonly third: Uint8Array;
  /** At most four bytes. */
  readonly closing: Uint8Array;
  /** The line's offset in its source, as decimal digits. */
  readonly hasOffsetAfterFirst: boolean;
  readonly hasOffsetAfterSecond: boolean;
  /** Lines have the header of a container runtime, which is no part of their text. */
  readonly header?: HeaderFrame;
  /** Usual JSON objects are spliced, where the rules would stop at them. Absent: the kernel stops. */
  readonly object?: ObjectFrame;
}

/**
 * What becomes of a line that is one JSON object: the document in `second` goes on with the line's own members in place of a text, and shows
 * the line's own time. Which objects are usual: object-line.ts.
 */
export interface ObjectFrame {
  /** Where the 24 bytes of a time stand in `second`. */
  readonly timeAt: number;
  /** Length of what stands before the member that they belong to, its opening brace included. */
  readonly openBytes: number;
  /** Where in `second` the members behind the time begin, with their comma, and where they end. */
  readonly placesAt: number;
  readonly placesTo: number;
  /** With headers: how many bytes at the end of their parts open the text, and are left out. */
  readonly openTextBytes: number;
}

/**
 * What becomes of a header `2016-10-06T00:17:09.669794202Z stdout F `: its time, with milliseconds, stands in `second`, and a part by its
 * stdio takes the place of `third`, which is always written then. A line with any other header is unusual (see line-header.ts).
 *
 * A line that the runtime wrote in parts (tags P … P, F) is one record with the place, time and stdio of its first part, where
 *
 *   its parts follow each other, all of one stdio          | another line between them: unusual
 *   they are PARTS_MAX at most                             | more: unusual
 *   and LINE_BYTES_MAX, headers and line ends included     | longer: unusual
 *   the text begins no object, as far as the rules ask     | `{` or white space first in the first part: unusual
 *
 * Unusual is then the whole of it: the kernel stops at its first part.
 */
export interface HeaderFrame {
  /** Where the 24 bytes of a time stand in `second`. */
  readonly timeAt: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** For lines of which nobody said which. */
  readonly unsaid: Uint8Array;
  /** The time is a number, EPOCH_BYTES digits instead of 24 bytes, by the `times` of the fill; a line that they leave out is unusual. */
  readonly isEpoch?: true;
}

/** Milliseconds since the epoch of today's kind, 2001 to 2286: always as many digits. */
export const EPOCH_BYTES = 13;
export const EPOCH_MS_MIN = 1e12;
export const EPOCH_MS_MAX = 1e13 - 1;

/** The times of records whose headers give numbers: they never fall, and stay within a span from the first record of the batch. */
export interface RecordTimes {
  /** Headers with a time outside of [fromMs, toMs], within EPOCH_MS_MIN and EPOCH_MS_MAX, are unusual. */
  fromMs: number;
  toMs: number;
  /** The time of the record before, EPOCH_MS_MAX at most: an earlier one becomes this. A run moves it on. */
  lastMs: number;
  /** No later time joins the batch. The first record of a batch sets it, `spanMs` behind its own time. */
  latestMs: number;
  /** At most 2^31 - 1. */
  readonly spanMs: number;
}

/** What holds for every run of an encoder. */
export interface LineRules {
  /** A record that would end behind it is left for the next batch. */
  readonly bytesMax: number;
  readonly recordsMax: number;
  /** The parts of a frame together. */
  readonly frameBytesMax: number;
  /** Stop at lines that begin an object, white space before it allowed. */
  readonly stopsAtObjects: boolean;
  /** An empty line gets one space as its text. */
  readonly padsEmpty: boolean;
  /** Counted for each record beside the bytes of its line (without the line end, before escaping), and the limit of the sum. */
  readonly overheadBytes: number;
  readonly countedBytesMax: number;
}

/** How full a batch is; a run moves it on. */
export interface BatchFill {
  bytes: number;
  records: number;
  /** Of the text lines alone: who counts takes no objects. */
  countedBytes: number;
  /** How many of the records are spliced objects. */
  objects: number;
  /** Where headers give numbers as times. */
  readonly times?: RecordTimes;
}

export interface LineKernel {
  /** Where records are written, one after another from 0; bytesMax and room for one record of the largest size behind it. */
  readonly out: Buffer;
  /** `ends[i]` is where record i ends in `out`, `offsets[i]` where its line begins in the source. */
  readonly ends: Uint32Array;
  readonly offsets: Float64Array;
  /** Where lines have headers: how many of the source record i was joined from. */
  readonly lines: Uint8Array;
  /** Makes `frame` the one of the following runs; its bytes may change until the next `run` and are read again at each `frame`. */
  frame(frame: LineFrame): void;
  /** The lines to come stand in `input[from, to)`, which is well-formed UTF-8; `input[from]` is byte `offset` of the source. */
  bind(input: Buffer, from: number, to: number, offset: number): void;
  /** Encodes lines from `at` on; gives the first byte of the line that it left: unusual, without room, or the end. */
  run(at: number, fill: BatchFill): number;
}

/** Bytes behind `bytesMax` that a record which does not fit is written to. */
export function roomBytes(frameBytesMax: number): number {
  return ESCAPED_LINE_BYTES_MAX + frameBytesMax;
}
