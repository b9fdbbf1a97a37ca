/**
 * Lines as JSON documents, one after another, each ended by a newline: the encoder of every sink that takes NDJSON.
 *
 * A line that is one whole JSON object is spliced (by the byte kernel, or as splice.ts says), any other becomes `message`.
 * Invariants: every document is valid JSON in valid UTF-8 without a newline inside; the same line at the same offset gives the same
 * bytes, but for the time of reading. Nothing is allocated per record. May import: core, config, kernel, parse.
 */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { BULK_RECORDS_MAX, LINE_BYTES_MAX } from '../core/limits.ts';
import { LEVELS } from '../config/record-rules.ts';
import type { Labels, Metrics } from '../core/metrics.ts';
import type { Batch, ShapedRecord, SourceInfo } from '../core/record.ts';
import { DECIMAL_BYTES_MAX, writeDecimal } from '../kernel/decimal.ts';
import { createLineKernel } from '../kernel/create-line-kernel.ts';
import { ESCAPED_LINE_BYTES_MAX, LineEscaper } from '../kernel/line-escaper.ts';
import type { BatchFill, LineFrame, LineKernel, LineRules, ObjectFrame } from '../kernel/line-kernel.ts';
import { beginsObject } from '../kernel/plain-line-kernel.ts';
import { RFC3339_BYTES, Rfc3339Writer } from '../kernel/rfc3339.ts';
import { TextEscaper } from '../kernel/text-escaper.ts';
import { JsonLineScanner } from '../kernel/json-line.ts';
import { BatchRanges } from './batch-ranges.ts';
import { FRAME_BYTES_MAX, OPEN_TEXT, renderFrame, renderHead } from './document-frame.ts';
import type { DocumentFrame, FrameOptions } from './document-frame.ts';
import type { Encoder, HeadedLineEncoder, HeadedLines } from './sink.ts';
import { Splice } from './splice.ts';

/** Frames that are kept: one is rendered in a few microseconds, and holds about a kilobyte. */
const FRAMES_MAX = 64;

export interface DocumentEncoderOptions extends FrameOptions {
  readonly parser: ForwarderConfig['parser'];
  readonly bytesMax: number;
  readonly recordsMax: number;
  /** Where a batch goes whose first record is of this source and was read at this time. */
  readonly destinationOf: (source: SourceInfo, timeMs: number) => string;
  /**
   * Given where destinations bear dates: where a record goes that has a time of its own. A batch then covers records that were read on
   * one day (UTC) and for one destination; those with a time of another day name their own index in the action line.
   */
  readonly recordDestinationOf?: (source: SourceInfo, recordMs: number, readMs: number) => string;
  /** Told how many ill-formed UTF-8 runs a batch had, if any. */
  readonly onReplaced: (count: number) => void;
  /** Told how many lines of a batch were not what the parser reads and went as text, if any. */
  readonly onUnparsed?: (count: number) => void;
  /** Absent: the form that the platform runs best. */
  readonly createKernel?: (rules: LineRules) => LineKernel;
}

const LF = 10;
const DAY_MS = 24 * 60 * 60_000;
const OPEN_MESSAGE = Buffer.from(OPEN_TEXT);
const CLOSE_PLACES_OPEN_MESSAGE = Buffer.from('},"message":"');
const CLOSE_PLACES = Buffer.from('}');
const CLOSE = Buffer.from('"}\n');
const EMPTY = Buffer.alloc(0);
const STREAM = Buffer.from('stream');
const LOG = Buffer.from('log');
const LOG_LEVEL = Buffer.from('log.level');
const STDIO = { stdout: Buffer.from(',"stream":"stdout"'), stderr: Buffer.from(',"stream":"stderr"') };
const LEVEL_MEMBERS: readonly Buffer[] = LEVELS.map((level) => Buffer.from(`,"log.level":"${level}"`));

export class DocumentEncoder implements Encoder {
  readonly #options: DocumentEncoderOptions;
  /** Takes runs of usual lines; whatever it stops at goes line by line. */
  readonly #kernel: LineKernel;
  /** It takes usual objects too: not where the index follows each record's time. */
  readonly #takesObjects: boolean;
  readonly #out: Buffer;
  readonly #escaper: LineEscaper;
  readonly #clock = new Rfc3339Writer();
  readonly #scanner = new JsonLineScanner();
  readonly #splice = new Splice();
  readonly #ranges: BatchRanges;
  /** Of the sources that were written last, oldest first. */
  readonly #frames = new Map<SourceInfo, DocumentFrame>();
  readonly #fill: BatchFill = { bytes: 0, records: 0, countedBytes: 0, objects: 0 };
  #bytes = 0;
  #destination = '';
  #batchTimeMs = 0;
  /** Source and time of reading of what is being appended. */
  #source: SourceInfo | undefined;
  #readMs = 0;
  #replacedBefore = 0;
  readonly #text: TextEscaper;
  readonly headedLines: HeadedLineEncoder | undefined;
  /** The lines with headers that were bound last: whether they are well-formed, and the frame that the kernel has for them. */
  #isHeadedValid = false;
  #headedFrame: DocumentFrame | undefined;
  /** The record that is being written where it is more than its line. */
  #shaped: ShapedRecord | undefined;
  /** Lines of the batch that became text although a parser was asked for. */
  #unparsed = 0;
  #markedUnparsed = 0;
  #markedBytes = 0;
  #markedDestination = '';

  constructor(options: DocumentEncoderOptions) {
    assert(ESCAPED_LINE_BYTES_MAX + FRAME_BYTES_MAX * 2 <= options.bytesMax, 'the largest record fits a batch');
    this.#options = options;
    this.#takesObjects = options.parser !== 'none' && options.recordDestinationOf === undefined;
    const { createKernel = createLineKernel } = options;
    this.#kernel = createKernel({
      bytesMax: options.bytesMax,
      recordsMax: options.recordsMax,
      frameBytesMax: FRAME_BYTES_MAX * 2,
      stopsAtObjects: options.parser !== 'none',
      padsEmpty: false,
      overheadBytes: 0,
      countedBytesMax: options.bytesMax,
    });
    this.#out = this.#kernel.out;
    this.#escaper = new LineEscaper(this.#out);
    this.#text = new TextEscaper(this.#out);
    this.#ranges = new BatchRanges(this.#kernel);
    // Where the name of the index follows each record's time they go one by one.
    const isOneDestination = options.recordDestinationOf === undefined && options.recordsMax <= BULK_RECORDS_MAX;
    const { offsets, lines } = this.#kernel;
    this.headedLines = isOneDestination ? { offsets, lines, append: (run) => this.#appendHeaded(run) } : undefined;
  }

  get records(): number {
    return this.#ranges.records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bytesMax(): number {
    return this.#options.bytesMax;
  }

  reset(): void {
    this.#ranges.reset();
    this.#bytes = 0;
    this.#destination = '';
    this.#unparsed = 0;
    this.#replacedBefore = this.#escaper.replaced;
    // A run that found the batch full was not bound, and comes again: it must not be taken for the one before it.
    this.#headedFrame = undefined;
  }

  append(source: SourceInfo, input: Buffer, from: number, to: number, offset: number, timeMs: number): number {
    if (!this.#begins(source, timeMs)) return from;
    const frame = this.#frame(source, timeMs);
    this.#escaper.bind(input, from, to);
    this.#kernel.frame(lineFrame(frame, this.#takesObjects));
    this.#headedFrame = undefined;
    this.#kernel.bind(input, from, to, offset);
    const before = this.records;
    let at = from;
    while (at < to && !this.#ranges.isFull) {
      const usualEnd = this.#usual(input, at, to);
      if (usualEnd > at) {
        at = usualEnd;
        continue;
      }
      const lineOffset = offset + at - from;
      const unparsed = this.#unparsed;
      const { replaced } = this.#escaper;
      const end = this.#record(frame, input, at, to, lineOffset);
      if (end > this.#options.bytesMax) {
        this.#unparsed = unparsed;
        this.#escaper.replaced = replaced;
        break;
      }
      this.#ranges.add(end, lineOffset);
      this.#bytes = end;
      at = this.#escaper.next;
    }
    this.#ranges.cover(source, offset, offset + at - from, this.records - before);
    return at;
  }

  appendRecord(source: SourceInfo, record: ShapedRecord, timeMs: number): boolean {
    if (this.#ranges.isFull || !this.#begins(source, timeMs)) return false;
    const frame = this.#frame(source, timeMs);
    const unparsed = this.#unparsed;
    this.#shaped = record;
    const end = this.#ofShaped(frame, record);
    this.#shaped = undefined;
    if (end > this.#options.bytesMax) {
      this.#unparsed = unparsed;
      return false;
    }
    this.#ranges.add(end, record.offset);
    this.#ranges.coverOne(source, record.offset, record.bytes);
    this.#bytes = end;
    return true;
  }

  #appendHeaded({ source, input, from, to, offset, timeMs, isFresh }: HeadedLines): number {
    if (this.#ranges.isFull || !this.#begins(source, timeMs)) return from;
    const frame = this.#frame(source, timeMs);
    if (isFresh || this.#headedFrame === undefined) {
      this.#isHeadedValid = isUtf8(input.subarray(from, to));
      this.#kernel.bind(input, from, to, offset);
    }
    if (!this.#isHeadedValid) return from;
    if (isFresh || this.#headedFrame !== frame) this.#kernel.frame(headedFrame(frame, this.#takesObjects));
    this.#headedFrame = frame;
    const before = this.records;
    const at = this.#run(from);
    this.#ranges.coverRun(source, offset, offset + at - from, this.records - before);
    return at;
  }

  mark(): void {
    this.#ranges.mark();
    this.#markedBytes = this.#bytes;
    this.#markedDestination = this.#destination;
    this.#markedUnparsed = this.#unparsed;
  }

  rewind(): void {
    this.#ranges.rewind();
    this.#bytes = this.#markedBytes;
    this.#destination = this.#markedDestination;
    this.#unparsed = this.#markedUnparsed;
  }

  finish(): Batch {
    const replaced = this.#escaper.replaced - this.#replacedBefore;
    if (replaced > 0) this.#options.onReplaced(replaced);
    this.#replacedBefore = this.#escaper.replaced;
    if (this.#unparsed > 0) this.#options.onUnparsed?.(this.#unparsed);
    this.#unparsed = 0;
    return this.#ranges.finish(this.#destination, this.#out.subarray(0, this.#bytes));
  }

  /** What stands in the batch so far, to look at: its records' bytes, where each ends in them, and where it begins in its source. */
  get body(): Buffer {
    return this.#out;
  }

  get ends(): Uint32Array {
    return this.#kernel.ends;
  }

  get offsets(): Float64Array {
    return this.#kernel.offsets;
  }

  /** Does the batch, or the one that begins here, go where records of the source go? */
  #begins(source: SourceInfo, timeMs: number): boolean {
    if (this.records > 0 && this.#isForAnother(source, timeMs)) return false;
    if (this.records === 0) {
      this.#batchTimeMs = timeMs;
      this.#destination = this.#options.destinationOf(source, timeMs);
    }
    this.#source = source;
    this.#readMs = timeMs;
    return true;
  }

  /** A date in a name is that of the records: none of another day joins a batch. */
  #isForAnother(source: SourceInfo, timeMs: number): boolean {
    const isDated = this.#options.recordDestinationOf !== undefined;
    if (isDated && Math.floor(timeMs / DAY_MS) !== Math.floor(this.#batchTimeMs / DAY_MS)) return true;
    return this.#options.destinationOf(source, isDated ? timeMs : this.#batchTimeMs) !== this.#destination;
  }

  /** The frame of a source, showing the time `timeMs`. */
  #frame(source: SourceInfo, timeMs: number): DocumentFrame {
    let frame = this.#frames.get(source);
    if (frame === undefined) {
      frame = renderFrame(source, this.#options);
      const [oldest] = this.#frames.size < FRAMES_MAX ? [] : this.#frames.keys();
      if (oldest !== undefined) this.#frames.delete(oldest);
      this.#frames.set(source, frame);
    }
    if (frame.timeMs !== timeMs) {
      frame.timeMs = timeMs;
      this.#clock.write(frame.middle, frame.timeAt, timeMs);
    }
    return frame;
  }

  /** Writes a record that is more than its line; returns where it ends. */
  #ofShaped(frame: DocumentFrame, record: ShapedRecord): number {
    const { text, from, to, json, offset } = record;
    if (this.#options.parser !== 'none') {
      const input = json ?? text;
      const objectFrom = json === undefined ? from : 0;
      const objectTo = json === undefined ? to : record.jsonBytes;
      if (beginsObject(input, objectFrom, objectTo)) {
        this.#escaper.bindWellFormed(input);
        if (this.#isSpliceable(frame, input, objectFrom, objectTo)) return this.#spliced(frame, input, offset);
      }
    }
    this.#unparsed += 1;
    const out = this.#out;
    let o = this.#open(this.#headAt(frame, record.timeMs), offset);
    out.set(frame.middle, o);
    if (!Number.isNaN(record.timeMs)) this.#clock.write(out, o + frame.timeAt, record.timeMs);
    o += frame.middle.length;
    if (frame.hasPlaces) o = this.#closePlaces(o, offset, false);
    o = this.#members(o, undefined);
    out.set(OPEN_MESSAGE, o);
    o = this.#text.escape(text, from, to, o + OPEN_MESSAGE.length);
    out[o] = 0x22;
    out[o + 1] = 0x7d;
    out[o + 2] = LF;
    return o + 3;
  }

  /** What the record says beside its text. A member of the same name that the line has of its own stands. */
  #members(at: number, input: Buffer | undefined): number {
    const record = this.#shaped;
    if (record === undefined) return at;
    let o = at;
    const level = record.showsLevel ? LEVEL_MEMBERS[record.level] : undefined;
    if (record.stdio !== '' && !this.#has(input, STREAM)) o += STDIO[record.stdio].copy(this.#out, o);
    if (level !== undefined && !this.#has(input, LOG_LEVEL) && !this.#has(input, LOG)) o += level.copy(this.#out, o);
    return o;
  }

  #has(input: Buffer | undefined, name: Buffer): boolean {
    if (input === undefined) return false;
    const { members, nameFrom, nameTo } = this.#scanner;
    for (let i = 0; i < members; i += 1)
      if (name.length === (nameTo[i] ?? 0) - (nameFrom[i] ?? 0) && name.compare(input, nameFrom[i], nameTo[i]) === 0)
        return true;
    return false;
  }

  /** Takes the usual lines from `at` on; gives where the first other line begins. */
  #usual(input: Buffer, at: number, to: number): number {
    const stops = !this.#takesObjects && this.#options.parser !== 'none' && beginsObject(input, at, to);
    return !this.#escaper.isValid || stops ? at : this.#run(at);
  }

  /** The same of what the kernel is bound to. */
  #run(at: number): number {
    const fill = this.#fill;
    fill.bytes = this.#bytes;
    fill.records = this.#ranges.records;
    // Nothing is counted here but what is written.
    fill.countedBytes = 0;
    fill.objects = 0;
    const end = this.#kernel.run(at, fill);
    this.#bytes = fill.bytes;
    this.#unparsed += fill.records - this.#ranges.records - fill.objects;
    this.#ranges.records = fill.records;
    return end;
  }

  /** Writes the record of the line at `at`; returns where it ends, and leaves the next line in the escaper. */
  #record(frame: DocumentFrame, input: Buffer, at: number, to: number, offset: number): number {
    if (this.#options.parser !== 'none' && beginsObject(input, at, to)) {
      const newline = input.indexOf(LF, at);
      const lineEnd = newline < 0 || newline > to ? to : newline;
      if (this.#isSpliceable(frame, input, at, lineEnd)) {
        this.#escaper.next = lineEnd < to ? lineEnd + 1 : to;
        return this.#spliced(frame, input, offset);
      }
    }
    this.#unparsed += 1;
    const out = this.#out;
    let o = this.#open(frame.head, offset);
    out.set(frame.middle, o);
    o += frame.middle.length;
    if (frame.hasPlaces) o = this.#closePlaces(o, offset, false);
    out.set(OPEN_MESSAGE, o);
    o = this.#escaper.escapeLine(at, to, o + OPEN_MESSAGE.length);
    out[o] = 0x22;
    out[o + 1] = 0x7d;
    out[o + 2] = LF;
    return o + 3;
  }

  #isSpliceable(frame: DocumentFrame, input: Buffer, from: number, to: number): boolean {
    if (to - from > LINE_BYTES_MAX) return false;
    if (!this.#escaper.isValid && !isUtf8(input.subarray(from, to))) return false;
    if (!this.#scanner.scan(input, this.#escaper.view, from, to)) return false;
    return this.#splice.decide(this.#scanner, input, frame.hasPlaces);
  }

  /** The action line's beginning with the record's id. */
  #open(head: Buffer, offset: number): number {
    if (head.length === 0) return this.#bytes;
    this.#out.set(head, this.#bytes);
    return writeDecimal(this.#out, this.#bytes + head.length, offset);
  }

  /** The head of a spliced record: with an index of its own where its time says so. */
  #headOf(frame: DocumentFrame, input: Buffer): Buffer {
    if (this.#options.recordDestinationOf === undefined) return frame.head;
    const isRead = this.#splice.time === 'read';
    return this.#headAt(frame, isRead ? (this.#shaped?.timeMs ?? Number.NaN) : this.#splice.ownTimeMs(input));
  }

  /** The head of a record with a time of its own; NaN: it has none. */
  #headAt(frame: DocumentFrame, timeMs: number): Buffer {
    const { recordDestinationOf } = this.#options;
    if (recordDestinationOf === undefined || Number.isNaN(timeMs)) return frame.head;
    assert(this.#source !== undefined, 'a record has a source');
    const index = recordDestinationOf(this.#source, timeMs, this.#readMs);
    if (index === this.#destination) return frame.head;
    if (frame.elsewhere?.index !== index) frame.elsewhere = { index, head: renderHead(this.#source, index) };
    return frame.elsewhere.head;
  }

  #closePlaces(at: number, offset: number, isDotted: boolean): number {
    const end = writeDecimal(this.#out, at, offset);
    if (isDotted) return end;
    this.#out[end] = 0x7d;
    return end + 1;
  }

  #spliced(frame: DocumentFrame, input: Buffer, offset: number): number {
    const out = this.#out;
    const scanner = this.#scanner;
    const { time, isLogDotted: isDotted } = this.#splice;
    let o = this.#open(this.#headOf(frame, input), offset);
    const hasTimeOfUsualLength =
      time === 'number' || (time === 'text' && this.#splice.timeTo - this.#splice.timeFrom === RFC3339_BYTES);
    if (!isDotted && (time === 'read' || hasTimeOfUsualLength)) {
      out.set(frame.middle, o);
      if (time === 'text') this.#escaper.copy(this.#splice.timeFrom, this.#splice.timeTo, o + frame.timeAt);
      else if (time === 'number') this.#clock.write(out, o + frame.timeAt, this.#splice.timeMs);
      else if (this.#shaped !== undefined) this.#clock.write(out, o + frame.timeAt, this.#timeMs(frame));
      o += frame.middle.length;
    } else {
      o = this.#openSpliced(frame, input, o);
    }
    if (frame.hasPlaces) o = this.#closePlaces(o, offset, isDotted);
    if (this.#shaped !== undefined) o = this.#membersBehind(o, input);
    if (scanner.members > 0) {
      // Whatever we wrote ends a member, unless nothing but the brace stands there.
      if (out[o - 1] !== 0x7b) {
        out[o] = 0x2c;
        o += 1;
      }
      o = this.#escaper.copy(scanner.membersFrom, scanner.membersTo, o);
    }
    out[o] = 0x7d;
    out[o + 1] = LF;
    return o + 2;
  }

  /** Members begin with a comma, which has no place behind the opening brace. */
  #membersBehind(at: number, input: Buffer): number {
    const end = this.#members(at, input);
    if (this.#out[at - 1] !== 0x7b || end === at) return end;
    this.#out.copyWithin(at, at + 1, end);
    return end - 1;
  }

  /** The time of a line that has none which its encoder reads. */
  #timeMs(frame: DocumentFrame): number {
    const timeMs = this.#shaped?.timeMs ?? Number.NaN;
    return Number.isNaN(timeMs) ? frame.timeMs : timeMs;
  }

  /** The unusual `middle`: another time, no time, or dotted places. */
  #openSpliced(frame: DocumentFrame, input: Buffer, at: number): number {
    const out = this.#out;
    const { time, timeFrom, timeTo, timeMs, isLogDotted } = this.#splice;
    let o = at + frame.middle.copy(out, at, 0, time === 'own' ? frame.openBytes : frame.timeAt);
    if (time === 'text') o += input.copy(out, o, timeFrom, timeTo);
    else if (time === 'number') o = this.#clock.write(out, o, timeMs);
    else if (time === 'read') o = this.#clock.write(out, o, this.#timeMs(frame));
    if (time !== 'own') {
      out[o] = 0x22;
      o += 1;
    }
    const places = isLogDotted ? frame.dottedPlaces : frame.middle.subarray(frame.placesAt);
    // Without a time before them the places begin without their comma.
    return o + places.copy(out, o, time === 'own' ? Math.min(1, places.length) : 0);
  }
}

/** Counts what a parser was asked for and could not read; undefined where any text is as good. */
export function unparsedCounter(
  { parser }: Pick<ForwarderConfig, 'parser'>,
  metrics: Metrics,
  labels: Labels,
): ((count: number) => void) | undefined {
  if (parser !== 'json' && parser !== 'logfmt') return undefined;
  const counter = metrics.counter(
    'logtender_unparsed_lines_total',
    'Lines that are not what the parser reads and were shipped as text.',
  );
  return (count) => counter.add(count, labels);
}

/** A frame as the kernel takes it: the constant parts around offset and text. */
function lineFrame(frame: DocumentFrame, takesObjects: boolean): LineFrame {
  const { head, middle, middleWithText, hasPlaces } = frame;
  return {
    ...(takesObjects ? { object: objectFrame(frame) } : {}),
    first: head,
    second: hasPlaces ? middle : middleWithText,
    third: hasPlaces ? CLOSE_PLACES_OPEN_MESSAGE : EMPTY,
    closing: CLOSE,
    hasOffsetAfterFirst: head.length > 0,
    hasOffsetAfterSecond: hasPlaces,
  };
}

/** The same for objects among the lines. */
function objectFrame({ middle, timeAt, openBytes, placesAt }: DocumentFrame): ObjectFrame {
  return { timeAt, openBytes, placesAt, placesTo: middle.length, openTextBytes: OPEN_MESSAGE.length };
}

/** The same for lines with headers, which say the time and the stdio. */
function headedFrame(frame: DocumentFrame, takesObjects: boolean): LineFrame {
  const behind = (member: Buffer): Buffer =>
    Buffer.concat([...(frame.hasPlaces ? [CLOSE_PLACES] : []), member, OPEN_MESSAGE]);
  return {
    ...(takesObjects ? { object: objectFrame(frame) } : {}),
    first: frame.head,
    second: frame.middle,
    third: EMPTY,
    closing: CLOSE,
    hasOffsetAfterFirst: frame.head.length > 0,
    hasOffsetAfterSecond: frame.hasPlaces,
    header: {
      timeAt: frame.timeAt,
      stdout: behind(STDIO.stdout),
      stderr: behind(STDIO.stderr),
      unsaid: behind(EMPTY),
    },
  };
}

assert(DECIMAL_BYTES_MAX * 2 + OPEN_MESSAGE.length + 8 < FRAME_BYTES_MAX, 'what surrounds a line fits the reserve');
