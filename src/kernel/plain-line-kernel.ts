/**
 * The byte kernel in plain TypeScript, for platforms without WebAssembly. Contract: line-kernel.ts. May import: core.
 */
import { LINE_BYTES_MAX } from '../core/limits.ts';
import { DECIMAL_BYTES_MAX, writeDecimal } from './decimal.ts';
import { LineEscaper } from './line-escaper.ts';
import { roomBytes } from './line-kernel.ts';
import type { BatchFill, LineFrame, LineKernel, LineRules } from './line-kernel.ts';

const LF = 10;
const SPACE = 0x20;
const EMPTY = new Uint8Array(0);

export class PlainLineKernel implements LineKernel {
  readonly out: Buffer;
  readonly ends: Uint32Array;
  readonly offsets: Float64Array;
  readonly #rules: LineRules;
  readonly #escaper: LineEscaper;
  #frame: LineFrame = {
    first: EMPTY,
    second: EMPTY,
    third: EMPTY,
    closing: EMPTY,
    hasOffsetAfterFirst: false,
    hasOffsetAfterSecond: false,
  };
  #input: Uint8Array = EMPTY;
  #to = 0;
  /** Offset of `input[0]` in the source. */
  #base = 0;

  constructor(rules: LineRules) {
    this.#rules = rules;
    // The record that turns out not to fit is written behind the limit and forgotten; those pages are rarely touched.
    this.out = Buffer.allocUnsafeSlow(rules.bytesMax + roomBytes(rules.frameBytesMax) + 2 * DECIMAL_BYTES_MAX);
    this.ends = new Uint32Array(rules.recordsMax);
    this.offsets = new Float64Array(rules.recordsMax);
    this.#escaper = new LineEscaper(this.out);
  }

  frame(frame: LineFrame): void {
    this.#frame = frame;
  }

  bind(input: Buffer, from: number, to: number, offset: number): void {
    this.#escaper.bind(input, from, to);
    this.#input = input;
    this.#to = to;
    this.#base = offset - from;
  }

  run(at: number, fill: BatchFill): number {
    const { bytesMax, recordsMax, overheadBytes, countedBytesMax, stopsAtObjects } = this.#rules;
    let line = at;
    while (line < this.#to && fill.records < recordsMax) {
      if (stopsAtObjects && beginsObject(this.#input, line, this.#to)) break;
      const offset = this.#base + line;
      const end = this.#record(line, fill.bytes, offset);
      const counted = fill.countedBytes + this.#lineBytes + overheadBytes;
      if (!this.#isUsual(line) || end > bytesMax || counted > countedBytesMax) break;
      this.ends[fill.records] = end;
      this.offsets[fill.records] = offset;
      fill.records += 1;
      fill.bytes = end;
      fill.countedBytes = counted;
      line = this.#escaper.next;
    }
    return line;
  }

  /** Bytes of the last line as they are counted. */
  #lineBytes = 0;

  #isUsual(line: number): boolean {
    const { next, messageBytes } = this.#escaper;
    return this.#input[next - 1] === LF && next > line + messageBytes && messageBytes <= LINE_BYTES_MAX;
  }

  #record(line: number, begin: number, offset: number): number {
    const { out } = this;
    const { first, second, third, closing, hasOffsetAfterFirst, hasOffsetAfterSecond } = this.#frame;
    out.set(first, begin);
    let o = begin + first.length;
    if (hasOffsetAfterFirst) o = writeDecimal(out, o, offset);
    out.set(second, o);
    o += second.length;
    if (hasOffsetAfterSecond) {
      o = writeDecimal(out, o, offset);
      out.set(third, o);
      o += third.length;
    }
    o = this.#escaper.escapeLine(line, this.#to, o);
    this.#lineBytes = this.#escaper.messageBytes;
    if (this.#rules.padsEmpty && this.#lineBytes === 0) {
      out[o] = SPACE;
      o += 1;
      this.#lineBytes = 1;
    }
    for (let i = 0; i < closing.length; i += 1) out[o + i] = closing[i] ?? 0;
    return o + closing.length;
  }
}

/** Whether the first byte of the line that is neither space nor tab is `{`. */
export function beginsObject(input: Uint8Array, from: number, to: number): boolean {
  let i = from;
  while (i < to && (input[i] === SPACE || input[i] === 0x09)) i += 1;
  return i < to && input[i] === 0x7b;
}
