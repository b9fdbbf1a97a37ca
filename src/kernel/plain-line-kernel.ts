/**
 * The byte kernel in plain TypeScript, for platforms without WebAssembly. Contract: line-kernel.ts. May import: core.
 */
import { LINE_BYTES_MAX } from '../core/limits.ts';
import { DECIMAL_BYTES_MAX, writeDecimal } from './decimal.ts';
import { LineEscaper } from './line-escaper.ts';
import { LineHeader } from './line-header.ts';
import { PARTS_MAX, roomBytes } from './line-kernel.ts';
import type { BatchFill, HeaderFrame, LineFrame, LineKernel, LineRules, ObjectFrame } from './line-kernel.ts';
import { ObjectLine } from './object-line.ts';
import { RFC3339_BYTES, Rfc3339Writer } from './rfc3339.ts';

const LF = 10;
const SPACE = 0x20;
const COMMA = 0x2c;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const EMPTY = new Uint8Array(0);

export class PlainLineKernel implements LineKernel {
  readonly out: Buffer;
  readonly ends: Uint32Array;
  readonly offsets: Float64Array;
  readonly lines: Uint8Array;
  readonly #rules: LineRules;
  readonly #escaper: LineEscaper;
  readonly #header = new LineHeader();
  readonly #object = new ObjectLine();
  readonly #clock = new Rfc3339Writer();
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
    this.lines = new Uint8Array(rules.recordsMax);
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
      const text = this.#textOf(line, fill);
      if (text < line) break;
      const isPart = this.#frame.header !== undefined && this.#header.isPartial;
      if (isPart && stopsAtObjects && mayBeginObject(this.#input[text])) break;
      if (!isPart && stopsAtObjects && beginsObject(this.#input, text, this.#to)) {
        const next = this.#spliced(line, text, fill);
        if (next === line) break;
        line = next;
        continue;
      }
      const offset = this.#base + line;
      const end = this.#record(line, text, fill.bytes, offset);
      const counted = fill.countedBytes + this.#lineBytes + overheadBytes;
      if (end < 0 || !this.#isUsual(line, text) || end > bytesMax || counted > countedBytesMax) break;
      this.#keepTime(fill);
      this.ends[fill.records] = end;
      this.lines[fill.records] = this.#parts;
      this.offsets[fill.records] = offset;
      fill.records += 1;
      fill.bytes = end;
      fill.countedBytes = counted;
      line = this.#escaper.next;
    }
    return line;
  }

  /** Where the text of the line begins; -1 behind an unusual header. */
  #textOf(line: number, fill: BatchFill): number {
    if (this.#frame.header === undefined) return line;
    const text = this.#header.read(this.#input, line, this.#to);
    return text < 0 || this.#takesTime(line, fill) ? text : -1;
  }

  /** The record that is being added has `#timeMs`. */
  #keepTime({ times, records }: BatchFill): void {
    if (this.#frame.header?.isEpoch !== true || times === undefined) return;
    times.lastMs = this.#timeMs;
    if (records === 0) times.latestMs = this.#timeMs + times.spanMs;
  }

  /** Whether the time of the header that was just read may stand in the batch; leaves in `#timeMs` as what. */
  #takesTime(line: number, { times, records }: BatchFill): boolean {
    if (this.#frame.header?.isEpoch !== true || times === undefined) return true;
    const ownMs = this.#header.timeMs(this.#input, line);
    this.#timeMs = Math.max(ownMs, times.lastMs);
    return ownMs >= times.fromMs && ownMs <= times.toMs && (records === 0 || this.#timeMs <= times.latestMs);
  }

  /** Adds the record of a usual object, whose header, if lines have one, was just read; gives where the next line begins, `line` if there is none. */
  #spliced(line: number, text: number, fill: BatchFill): number {
    const { object, header, hasOffsetAfterSecond: hasPlaces } = this.#frame;
    const newline = object === undefined ? -1 : this.#input.indexOf(LF, text);
    if (object === undefined || newline < 0 || newline >= this.#to || newline - line > LINE_BYTES_MAX) return line;
    const ours = { hasPlaces, hasStdio: header !== undefined };
    if (!this.#object.read(this.#input, this.#escaper.view, text, newline, ours)) return line;
    const offset = this.#base + line;
    const end = this.#objectRecord(object, line, fill.bytes, offset);
    if (end > this.#rules.bytesMax) return line;
    this.ends[fill.records] = end;
    this.offsets[fill.records] = offset;
    this.lines[fill.records] = 1;
    fill.records += 1;
    fill.objects += 1;
    fill.bytes = end;
    return newline + 1;
  }

  #objectRecord(object: ObjectFrame, line: number, begin: number, offset: number): number {
    const { out } = this;
    const { first, hasOffsetAfterFirst, hasOffsetAfterSecond, header } = this.#frame;
    const { membersFrom, membersTo, members } = this.#object.scanner;
    out.set(first, begin);
    let o = begin + first.length;
    if (hasOffsetAfterFirst) o = writeDecimal(out, o, offset);
    o = this.#openObject(object, line, o);
    if (hasOffsetAfterSecond) o = writeDecimal(out, o, offset);
    if (header === undefined) {
      if (hasOffsetAfterSecond) out[o++] = OBJECT_END;
    } else {
      const part = partOf(header, this.#header.stdio);
      // No comma behind the opening brace.
      const partFrom = out[o - 1] === OBJECT ? 1 : 0;
      o = this.#put(part, partFrom, Math.max(partFrom, part.length - object.openTextBytes), o);
    }
    if (members > 0) {
      // Whatever we wrote ends a member, unless nothing but the brace stands there.
      if (out[o - 1] !== OBJECT) out[o++] = COMMA;
      o = this.#escaper.copy(membersFrom, membersTo, o);
    }
    out[o] = OBJECT_END;
    out[o + 1] = LF;
    return o + 2;
  }

  /** Writes `second` up to the end of the places, with the time of the object. */
  #openObject({ timeAt, openBytes, placesAt, placesTo }: ObjectFrame, line: number, at: number): number {
    const { second, header } = this.#frame;
    const { time, timeFrom, timeTo, timeMs } = this.#object;
    if (time === 'own') {
      const o = this.#put(second, 0, openBytes, at);
      // Without a time before them the places begin without their comma.
      return this.#put(second, Math.min(placesAt + 1, placesTo), placesTo, o);
    }
    if (time === 'text') {
      const o = this.#escaper.copy(timeFrom, timeTo, this.#put(second, 0, timeAt, at));
      return this.#put(second, timeAt + RFC3339_BYTES, placesTo, o);
    }
    const end = this.#put(second, 0, placesTo, at);
    if (time === 'number') this.#clock.write(this.out, at + timeAt, timeMs);
    else if (header !== undefined) this.#header.writeTime(this.#input, line, this.out, at + timeAt);
    return end;
  }

  #put(part: Uint8Array, from: number, to: number, at: number): number {
    this.out.set(part.subarray(from, to), at);
    return at + to - from;
  }

  /** Bytes of the last line as they are counted, and of how many parts it is. */
  #lineBytes = 0;
  #parts = 1;
  /** Its time, where headers give numbers. */
  #timeMs = 0;

  #isUsual(line: number, text: number): boolean {
    const { next, messageBytes } = this.#escaper;
    if (this.#input[next - 1] !== LF || next <= text + messageBytes) return false;
    // With headers the whole line counts, its line end but for the newline too: so does whoever takes those that are left.
    return (this.#frame.header === undefined ? messageBytes : next - 1 - line) <= LINE_BYTES_MAX;
  }

  /** Gives where the record ends, negative when the line has unusual parts. */
  #record(line: number, text: number, begin: number, offset: number): number {
    const { out } = this;
    const { first, second, third, closing, hasOffsetAfterFirst, hasOffsetAfterSecond, header } = this.#frame;
    out.set(first, begin);
    let o = begin + first.length;
    if (hasOffsetAfterFirst) o = writeDecimal(out, o, offset);
    out.set(second, o);
    if (header?.isEpoch === true) writeDecimal(out, o + header.timeAt, this.#timeMs);
    else if (header !== undefined) this.#header.writeTime(this.#input, line, out, o + header.timeAt);
    o += second.length;
    if (hasOffsetAfterSecond) o = writeDecimal(out, o, offset);
    const part = header === undefined ? (hasOffsetAfterSecond ? third : EMPTY) : partOf(header, this.#header.stdio);
    out.set(part, o);
    o += part.length;
    o = this.#escaper.escapeLine(text, this.#to, o);
    this.#lineBytes = this.#escaper.messageBytes;
    this.#parts = 1;
    if (header !== undefined && this.#header.isPartial) o = this.#join(line, o);
    if (o < 0) return o;
    if (this.#rules.padsEmpty && this.#lineBytes === 0) {
      out[o] = SPACE;
      o += 1;
      this.#lineBytes = 1;
    }
    for (let i = 0; i < closing.length; i += 1) out[o + i] = closing[i] ?? 0;
    return o + closing.length;
  }

  /** Writes the other parts of the line at `line`, whose first one was just written; gives where the text ends, -1 when they are unusual. */
  #join(line: number, at: number): number {
    const { stdio } = this.#header;
    let o = at;
    while (this.#header.isPartial) {
      const from = this.#escaper.next;
      const text = this.#parts < PARTS_MAX ? this.#header.read(this.#input, from, this.#to) : -1;
      if (text < 0 || this.#header.stdio !== stdio) return -1;
      const newline = this.#input.indexOf(LF, text);
      if (newline < 0 || newline >= this.#to || newline + 1 - line > LINE_BYTES_MAX) return -1;
      o = this.#escaper.escapeLine(text, this.#to, o);
      this.#lineBytes += this.#escaper.messageBytes;
      this.#parts += 1;
    }
    return o;
  }
}

function partOf({ stdout, stderr, unsaid }: HeaderFrame, stdio: LineHeader['stdio']): Uint8Array {
  if (stdio === 0) return stdout;
  return stdio === 1 ? stderr : unsaid;
}

/** Whether a line may begin an object whose first byte this is, where other parts of it follow elsewhere. */
function mayBeginObject(byte = SPACE): boolean {
  return byte <= SPACE || byte === OBJECT;
}

/** Whether the first byte of the line that is neither space nor tab is `{`. */
export function beginsObject(input: Uint8Array, from: number, to: number): boolean {
  let i = from;
  while (i < to && (input[i] === SPACE || input[i] === 0x09)) i += 1;
  return i < to && input[i] === 0x7b;
}
