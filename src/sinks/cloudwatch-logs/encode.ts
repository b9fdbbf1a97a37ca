/**
 * Lines as the `logEvents` of PutLogEvents: `{"timestamp":N,"message":"…"},` one after another.
 *
 * Invariants, by the API reference of PutLogEvents: at most 1,048,576 bytes counted as UTF-8 of the messages before any escaping
 * plus 26 per event; at most 10,000 events; at most 24 hours from first to last; timestamps never fall. The time of an event is the
 * time that its record says, or of its reading, and never falls within a log stream, but for a clock that was set back by more than
 * CLOCK_STEP_MS_MAX. Records that interleave stand in one batch whatever they say: in an empty one a later time becomes the latest of the
 * 24 hours.
 * A message has at least one byte, so an empty line is shipped as one space. A line of more than LINE_BYTES_MAX is several events, all
 * but the last of which say so at their end. May import: core, config, kernel, parse.
 */
import { isUtf8 } from 'node:buffer';
import {
  LINE_BYTES_MAX,
  PUT_LOG_EVENTS_BYTES_MAX,
  PUT_LOG_EVENTS_COUNT_MAX,
  PUT_LOG_EVENTS_EVENT_OVERHEAD_BYTES,
  PUT_LOG_EVENTS_SPAN_MS_MAX,
} from '../../core/limits.ts';
import type { Batch, ShapedRecord, SourceInfo } from '../../core/record.ts';
import { DECIMAL_BYTES_MAX, writeDecimal } from '../../kernel/decimal.ts';
import { createLineKernel } from '../../kernel/create-line-kernel.ts';
import { LineEscaper } from '../../kernel/line-escaper.ts';
import { EPOCH_BYTES, EPOCH_MS_MAX, EPOCH_MS_MIN } from '../../kernel/line-kernel.ts';
import type { BatchFill, LineFrame, LineKernel, LineRules, RecordTimes } from '../../kernel/line-kernel.ts';
import { TextEscaper } from '../../kernel/text-escaper.ts';
import { BatchRanges } from '../batch-ranges.ts';
import type { Encoder, HeadedLineEncoder, HeadedLines } from '../sink.ts';

/**
 * Encoded bytes of a batch: twice what it may count. Framing makes 1 MiB of usual lines 1.1 to 1.4 MiB; a batch of bytes that grow
 * more is closed earlier, so that memory stays small.
 */
export const LOG_EVENTS_ENCODED_BYTES_MAX = 2 * PUT_LOG_EVENTS_BYTES_MAX;

/** A clock that steps back further than this was wrong before: its late times would be "too new" for the service after two hours. */
const CLOCK_STEP_MS_MAX = 3_600_000;

/**
 * A record's own time counts when the service will take it: up to 14 days old (API reference, PutLogEvents), less a day for the way; and
 * not in the future, where it would hold the times of all that follows.
 */
const OWN_TIME_AGE_MS_MAX = 13 * 24 * 3_600_000;

/** Log streams whose last time is remembered; the longest untouched is forgotten first. A forgotten one only loses its clamp. */
const STREAMS_MAX = 10_000;

const OPEN = Buffer.from('{"timestamp":');
const OPEN_MESSAGE = Buffer.from(',"message":"');
const CLOSE = Buffer.from('"},');
const SPACE = 0x20;
const NEWLINE = 0x0a;
/** Longest character (RFC 3629). */
const UTF8_BYTES_MAX = 4;
const EMPTY = Buffer.alloc(0);

/** Of lines with headers: each says its own time, and nothing of its stdio. */
const HEADED_FRAME: LineFrame = {
  first: EMPTY,
  second: Buffer.concat([OPEN, Buffer.alloc(EPOCH_BYTES, '0'), OPEN_MESSAGE]),
  third: EMPTY,
  closing: CLOSE,
  hasOffsetAfterFirst: false,
  hasOffsetAfterSecond: false,
  header: { timeAt: OPEN.length, stdout: EMPTY, stderr: EMPTY, unsaid: EMPTY, isEpoch: true },
};

/** Ends an event that holds a part of a line whose rest is in the next one. It needs no escaping. */
const CONTINUED = Buffer.from(' [continued in the next event]');

/** The last event time of each log stream, shared by the encoders of a sink. */
export class StreamTimes {
  readonly #last = new Map<string, number>();
  /** Where the clock was set back: up to this time the stream may hold earlier events. */
  readonly #used = new Map<string, number>();
  /** The stream that was set last: it stands at the end already. */
  #newest: string | undefined;

  /** The last time that was given to an event of this stream. */
  last(destination: string): number | undefined {
    return this.#last.get(destination);
  }

  /** May an event of this time have been given to an earlier batch? Only after a clock was set back. */
  wasUsed(destination: string, timeMs: number): boolean {
    return timeMs <= (this.#used.get(destination) ?? Number.NEGATIVE_INFINITY);
  }

  /** Forgets what was given since `last` said `timeMs`. */
  restore(destination: string, timeMs: number | undefined): void {
    if (timeMs === undefined) this.#last.delete(destination);
    else this.#last.set(destination, timeMs);
  }

  set(destination: string, timeMs: number): void {
    const before = this.#last.get(destination) ?? timeMs;
    if (before > timeMs) this.#used.set(destination, Math.max(before, this.#used.get(destination) ?? before));
    if (destination !== this.#newest) this.#last.delete(destination);
    this.#newest = destination;
    this.#last.set(destination, timeMs);
    if (this.#last.size <= STREAMS_MAX) return;
    for (const oldest of this.#last.keys()) {
      this.#last.delete(oldest);
      this.#used.delete(oldest);
      break;
    }
  }
}

export interface LogEventsEncoderOptions {
  /** Log group and log stream of a source, as one text. */
  readonly destinationOf: (source: SourceInfo) => string;
  readonly times: StreamTimes;
  /** No two batches of a stream share a time, so that what is read back can be told apart; costs up to a millisecond a batch. */
  readonly separateBatches?: boolean;
  readonly onReplaced: (count: number) => void;
  /** Absent: the form that the platform runs best. */
  readonly createKernel?: (rules: LineRules) => LineKernel;
}

export class LogEventsEncoder implements Encoder {
  readonly bytesMax = LOG_EVENTS_ENCODED_BYTES_MAX;
  readonly #options: LogEventsEncoderOptions;
  /** Takes runs of usual lines; whatever it stops at goes line by line. */
  readonly #kernel: LineKernel;
  readonly #out: Buffer;
  readonly #escaper: LineEscaper;
  readonly #ranges: BatchRanges;
  readonly headedLines: HeadedLineEncoder;
  /** The kernel is bound to the lines with headers that came last, and these are well-formed. */
  #isHeadedBound = false;
  #isHeadedValid = false;
  readonly #times: RecordTimes = { fromMs: 0, toMs: 0, lastMs: 0, latestMs: 0, spanMs: PUT_LOG_EVENTS_SPAN_MS_MAX };
  readonly #fill: BatchFill = { bytes: 0, records: 0, countedBytes: 0, objects: 0, times: this.#times };
  /** What stands before each message, for the time `#openTimeMs`. */
  readonly #open = Buffer.alloc(OPEN.length + DECIMAL_BYTES_MAX + OPEN_MESSAGE.length);
  #openBytes = 0;
  #openTimeMs = Number.NaN;
  #bytes = 0;
  #countedBytes = 0;
  #firstTimeMs = 0;
  #destination = '';
  #replacedBefore = 0;
  readonly #text: TextEscaper;
  #markedBytes = 0;
  #markedCountedBytes = 0;
  #markedDestination = '';
  /** What was marked began the batch. */
  #isFirstCluster = false;
  /** The stream of the first record since the mark, undefined without one, and its last time before. */
  #markedStream: string | undefined;
  #markedTimeMs: number | undefined;

  constructor(options: LogEventsEncoderOptions) {
    this.#options = options;
    const { createKernel = createLineKernel } = options;
    this.#kernel = createKernel({
      bytesMax: LOG_EVENTS_ENCODED_BYTES_MAX,
      recordsMax: PUT_LOG_EVENTS_COUNT_MAX,
      frameBytesMax: 128,
      stopsAtObjects: false,
      padsEmpty: true,
      overheadBytes: PUT_LOG_EVENTS_EVENT_OVERHEAD_BYTES,
      countedBytesMax: PUT_LOG_EVENTS_BYTES_MAX,
    });
    const { out, offsets, lines } = this.#kernel;
    this.#out = out;
    this.#escaper = new LineEscaper(out);
    this.#text = new TextEscaper(out);
    this.#ranges = new BatchRanges(this.#kernel);
    this.headedLines = { offsets, lines, append: (run) => this.#appendHeaded(run) };
  }

  get records(): number {
    return this.#ranges.records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes as PutLogEvents counts them. */
  get countedBytes(): number {
    return this.#countedBytes;
  }

  reset(): void {
    this.#ranges.reset();
    this.#bytes = 0;
    this.#countedBytes = 0;
    this.#destination = '';
    this.#isFirstCluster = false;
    this.#markedStream = undefined;
    this.#replacedBefore = this.#escaper.replaced;
    this.#isHeadedBound = false;
  }

  append(source: SourceInfo, input: Buffer, from: number, to: number, offset: number, timeMs: number): number {
    const destination = this.#options.destinationOf(source);
    if (this.records > 0 && destination !== this.#destination) return from;
    const eventTimeMs = this.#eventTime(destination, Math.max(0, Math.floor(timeMs)));
    if (eventTimeMs === undefined) return from;
    this.#destination = destination;
    this.#renderOpen(eventTimeMs);
    this.#escaper.bind(input, from, to);
    this.#isHeadedBound = false;
    this.#kernel.frame({
      first: this.#open.subarray(0, this.#openBytes),
      second: EMPTY,
      third: EMPTY,
      closing: CLOSE,
      hasOffsetAfterFirst: false,
      hasOffsetAfterSecond: false,
    });
    this.#kernel.bind(input, from, to, offset);
    const before = this.records;
    let at = from;
    while (at < to && !this.#ranges.isFull) {
      const usualEnd = this.#usual(at);
      if (usualEnd > at) {
        at = usualEnd;
        continue;
      }
      const { replaced } = this.#escaper;
      const written = this.#event(at, to);
      const markBytes = isPart(input, at, this.#escaper.next) ? CONTINUED.length : 0;
      const end = markBytes > 0 ? this.#mark(written) : written;
      const messageBytes = Math.max(1, this.#escaper.messageBytes) + markBytes;
      const counted = this.#countedBytes + messageBytes + PUT_LOG_EVENTS_EVENT_OVERHEAD_BYTES;
      if (counted > PUT_LOG_EVENTS_BYTES_MAX || end > LOG_EVENTS_ENCODED_BYTES_MAX) {
        // The line is escaped again for the next batch, and counted there.
        this.#escaper.replaced = replaced;
        break;
      }
      this.#ranges.add(end, offset + at - from);
      this.#bytes = end;
      this.#countedBytes = counted;
      at = this.#escaper.next;
    }
    if (this.records > before) {
      if (before === 0) this.#firstTimeMs = eventTimeMs;
      this.#options.times.set(destination, eventTimeMs);
    }
    this.#ranges.cover(source, offset, offset + at - from, this.records - before);
    return at;
  }

  appendRecord(source: SourceInfo, record: ShapedRecord, timeMs: number): boolean {
    const destination = this.#options.destinationOf(source);
    if (this.#ranges.isFull || (this.records > 0 && destination !== this.#destination)) return false;
    const readMs = Math.max(0, Math.floor(timeMs));
    const isOwn = record.timeMs <= readMs && readMs - record.timeMs < OWN_TIME_AGE_MS_MAX;
    const given = this.#options.times.last(destination);
    const last = given ?? 0;
    // A record that is late in its stream has the time of the one before it, so that times do not fall.
    const ownMs = Math.max(Math.floor(record.timeMs), Math.min(last, readMs));
    const eventTimeMs = this.#eventTime(destination, isOwn ? ownMs : readMs);
    if (eventTimeMs === undefined) return false;
    this.#renderOpen(eventTimeMs);
    const written = this.#shapedEvent(record);
    const end = record.isPart ? this.#mark(written) : written;
    const messageBytes = Math.max(1, record.to - record.from) + (record.isPart ? CONTINUED.length : 0);
    const counted = this.#countedBytes + messageBytes + PUT_LOG_EVENTS_EVENT_OVERHEAD_BYTES;
    if (counted > PUT_LOG_EVENTS_BYTES_MAX || end > LOG_EVENTS_ENCODED_BYTES_MAX) return false;
    if (this.records === 0) this.#firstTimeMs = eventTimeMs;
    this.#destination = destination;
    if (this.#markedStream === undefined) {
      this.#markedStream = destination;
      this.#markedTimeMs = given;
    }
    this.#options.times.set(destination, eventTimeMs);
    this.#ranges.add(end, record.offset);
    this.#ranges.coverOne(source, record.offset, record.bytes);
    this.#bytes = end;
    this.#countedBytes = counted;
    return true;
  }

  /** Lines whose own time counts, each as `appendRecord` would take it behind a mark of its own; it gets what is left. */
  #appendHeaded({ source, input, from, to, offset, timeMs, isFresh }: HeadedLines): number {
    if (isFresh) this.#isHeadedBound = false;
    const destination = this.#options.destinationOf(source);
    if (this.#ranges.isFull || (this.records > 0 && destination !== this.#destination)) return from;
    if (!this.#setTimes(destination, Math.max(0, Math.floor(timeMs)))) return from;
    if (!this.#isHeadedBound) {
      this.#isHeadedBound = true;
      this.#isHeadedValid = isUtf8(input.subarray(from, to));
      this.#kernel.frame(HEADED_FRAME);
      this.#kernel.bind(input, from, to, offset);
    }
    if (!this.#isHeadedValid) return from;
    const before = this.records;
    const at = this.#run(from);
    if (this.records === before) return from;
    if (before === 0) this.#firstTimeMs = this.#times.latestMs - PUT_LOG_EVENTS_SPAN_MS_MAX;
    this.#destination = destination;
    this.#isFirstCluster = false;
    this.#options.times.set(destination, this.#times.lastMs);
    this.#ranges.coverRun(source, offset, offset + at - from, this.records - before);
    return at;
  }

  /**
   * Which times the kernel takes from headers, so that each event has the time that `appendRecord` gives it: those that count as the record's
   * own. False where the clock was set back: there the times may fall.
   */
  #setTimes(destination: string, readMs: number): boolean {
    const given = this.#options.times.last(destination);
    const isApart = this.#options.separateBatches === true && this.records === 0 && given !== undefined;
    const lastMs = (given ?? 0) + (isApart ? 1 : 0);
    const times = this.#times;
    times.fromMs = Math.max(EPOCH_MS_MIN, readMs - OWN_TIME_AGE_MS_MAX + 1);
    times.toMs = Math.min(EPOCH_MS_MAX, readMs);
    times.lastMs = lastMs;
    times.latestMs = this.#firstTimeMs + PUT_LOG_EVENTS_SPAN_MS_MAX;
    return lastMs - readMs <= CLOCK_STEP_MS_MAX && lastMs <= EPOCH_MS_MAX;
  }

  mark(): void {
    this.#ranges.mark();
    this.#markedBytes = this.#bytes;
    this.#markedCountedBytes = this.#countedBytes;
    this.#markedDestination = this.#destination;
    this.#markedStream = undefined;
    this.#isFirstCluster = this.records === 0;
  }

  rewind(): void {
    this.#ranges.rewind();
    this.#bytes = this.#markedBytes;
    this.#countedBytes = this.#markedCountedBytes;
    this.#destination = this.#markedDestination;
    if (this.#markedStream !== undefined) this.#options.times.restore(this.#markedStream, this.#markedTimeMs);
    this.#markedStream = undefined;
  }

  finish(): Batch {
    const replaced = this.#escaper.replaced - this.#replacedBefore;
    if (replaced > 0) this.#options.onReplaced(replaced);
    this.#replacedBefore = this.#escaper.replaced;
    return this.#ranges.finish(this.#destination, this.#out.subarray(0, this.#bytes));
  }

  /** The time of the next events; undefined when they need a batch of their own. */
  #eventTime(destination: string, timeMs: number): number | undefined {
    const given = this.#options.times.last(destination);
    const isApart = this.#options.separateBatches === true && this.records === 0 && given !== undefined;
    const last = (given ?? timeMs) + (isApart ? 1 : 0);
    const isStep = (given ?? timeMs) - timeMs > CLOCK_STEP_MS_MAX;
    const eventTimeMs = isStep ? timeMs : Math.max(timeMs, last);
    if (this.records === 0) return eventTimeMs;
    const latestMs = this.#firstTimeMs + PUT_LOG_EVENTS_SPAN_MS_MAX;
    if (this.#isFirstCluster) return Math.min(Math.max(timeMs, last), latestMs);
    return isStep || eventTimeMs > latestMs ? undefined : eventTimeMs;
  }

  #renderOpen(timeMs: number): void {
    if (timeMs === this.#openTimeMs) return;
    this.#openTimeMs = timeMs;
    this.#open.set(OPEN, 0);
    const at = writeDecimal(this.#open, OPEN.length, timeMs);
    this.#open.set(OPEN_MESSAGE, at);
    this.#openBytes = at + OPEN_MESSAGE.length;
  }

  /** Takes the usual lines from `at` on; gives where the first other line begins. */
  #usual(at: number): number {
    return this.#escaper.isValid ? this.#run(at) : at;
  }

  #run(at: number): number {
    const fill = this.#fill;
    fill.bytes = this.#bytes;
    fill.records = this.#ranges.records;
    fill.countedBytes = this.#countedBytes;
    const end = this.#kernel.run(at, fill);
    this.#bytes = fill.bytes;
    this.#ranges.records = fill.records;
    this.#countedBytes = fill.countedBytes;
    return end;
  }

  /** Puts the mark behind the message of the event that ends at `end`; returns where it ends now. */
  #mark(end: number): number {
    const at = end - CLOSE.length;
    this.#out.set(CONTINUED, at);
    this.#out.set(CLOSE, at + CONTINUED.length);
    return end + CONTINUED.length;
  }

  /** Writes one event behind the last one; returns where it ends. */
  #event(at: number, to: number): number {
    const out = this.#out;
    out.set(this.#open, this.#bytes);
    const messageAt = this.#bytes + this.#openBytes;
    return this.#close(messageAt, this.#escaper.escapeLine(at, to, messageAt));
  }

  #shapedEvent(record: ShapedRecord): number {
    this.#out.set(this.#open, this.#bytes);
    const messageAt = this.#bytes + this.#openBytes;
    return this.#close(messageAt, this.#text.escape(record.text, record.from, record.to, messageAt));
  }

  #close(messageAt: number, end: number): number {
    const out = this.#out;
    let o = end;
    if (o === messageAt) {
      out[o] = SPACE;
      o += 1;
    }
    out[o] = CLOSE[0] ?? 0;
    out[o + 1] = CLOSE[1] ?? 0;
    out[o + 2] = CLOSE[2] ?? 0;
    return o + 3;
  }
}

/** Is `input[from, to)` a part of a line that was cut for its length? It is at most a character shorter than the longest. */
function isPart(input: Uint8Array, from: number, to: number): boolean {
  return input[to - 1] !== NEWLINE && to - from > LINE_BYTES_MAX - UTF8_BYTES_MAX;
}
