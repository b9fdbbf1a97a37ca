/**
 * The byte kernel in plain TypeScript, for platforms without WebAssembly. Contract: line-kernel.ts. May import: core.
 */
import { LINE_BYTES_MAX } from '../core/limits.ts';
import { DECIMAL_BYTES_MAX, writeDecimal } from './decimal.ts';
import { LineEscaper } from './line-escaper.ts';
import { LineHeader } from './line-header.ts';
import { roomBytes } from './line-kernel.ts';
import type { BatchFill, HeaderFrame, LineFrame, LineKernel, LineRules } from './line-kernel.ts';

const LF = 10;
const SPACE = 0x20;
const EMPTY = new Uint8Array(0);

export class PlainLineKernel implements LineKernel {
  readonly out: Buffer;
  readonly ends: Uint32Array;
  readonly offsets: Float64Array;
  readonly #rules: LineRules;
  readonly #escaper: LineEscaper;
  readonly #header = new LineHeader();
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
      const text = this.#frame.header === undefined ? line : this.#header.read(this.#input, line, this.#to);
      if (text < line) break;
      if (stopsAtObjects && beginsObject(this.#input, text, this.#to)) break;
      const offset = this.#base + line;
      const end = this.#record(line, text, fill.bytes, offset);
      const counted = fill.countedBytes + this.#lineBytes + overheadBytes;
      if (!this.#isUsual(line, text) || end > bytesMax || counted > countedBytesMax) break;
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

  #isUsual(line: number, text: number): boolean {
    const { next, messageBytes } = this.#escaper;
    if (this.#input[next - 1] !== LF || next <= text + messageBytes) return false;
    // With headers the whole line counts, its line end but for the newline too: so does whoever takes those that are left.
    return (this.#frame.header === undefined ? messageBytes : next - 1 - line) <= LINE_BYTES_MAX;
  }

  #record(line: number, text: number, begin: number, offset: number): number {
    const { out } = this;
    const { first, second, third, closing, hasOffsetAfterFirst, hasOffsetAfterSecond, header } = this.#frame;
    out.set(first, begin);
    let o = begin + first.length;
    if (hasOffsetAfterFirst) o = writeDecimal(out, o, offset);
    out.set(second, o);
    if (header !== undefined) this.#header.writeTime(this.#input, line, out, o + header.timeAt);
    o += second.length;
    if (hasOffsetAfterSecond) o = writeDecimal(out, o, offset);
    const part = header === undefined ? (hasOffsetAfterSecond ? third : EMPTY) : partOf(header, this.#header.stdio);
    out.set(part, o);
    o += part.length;
    o = this.#escaper.escapeLine(text, this.#to, o);
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

function partOf({ stdout, stderr, unsaid }: HeaderFrame, stdio: LineHeader['stdio']): Uint8Array {
  if (stdio === 0) return stdout;
  return stdio === 1 ? stderr : unsaid;
}

/** Whether the first byte of the line that is neither space nor tab is `{`. */
export function beginsObject(input: Uint8Array, from: number, to: number): boolean {
  let i = from;
  while (i < to && (input[i] === SPACE || input[i] === 0x09)) i += 1;
  return i < to && input[i] === 0x7b;
}
