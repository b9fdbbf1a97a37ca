/**
 * Lines as NDJSON objects: one source, one run of it, one hour to an object.
 *
 * The hour is that of the records' own time. Invariant: the hours of a source never fall and never pass the time of reading, so that lines
 * out of order cost no objects of their own: a late one stays with its neighbours, one from the future too. May import: core, config,
 * kernel, parse, sinks.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import type { Batch, ShapedRecord, SourceInfo } from '../../core/record.ts';
import { DocumentEncoder } from '../document-encoder.ts';
import type { Encoder } from '../sink.ts';
import { destinationText, HOUR_MS, objectPlace } from './object-key.ts';
import type { ObjectPlace } from './object-key.ts';
import { RecordHours } from './record-hour.ts';

/** Bytes of the shortest useful record; a batch of shorter ones is closed by their number. */
const RECORD_BYTES_LEAST = 64;

/** Sources whose last hour is remembered; the longest untouched is forgotten first, which costs at most one object. */
const SOURCES_MAX = 10_000;

/** The last hour of each source, shared by the encoders of a sink. */
export class SourceHours {
  readonly #last = new Map<string, number>();

  last(id: string): number | undefined {
    return this.#last.get(id);
  }

  set(id: string, hourMs: number): void {
    this.#last.delete(id);
    this.#last.set(id, hourMs);
    if (this.#last.size <= SOURCES_MAX) return;
    for (const oldest of this.#last.keys()) {
      this.#last.delete(oldest);
      break;
    }
  }
}

export interface ObjectEncoderOptions {
  readonly config: ForwarderConfig;
  readonly hours: SourceHours;
  readonly onReplaced: (count: number) => void;
  readonly onUnparsed?: ((count: number) => void) | undefined;
}

export class ObjectEncoder implements Encoder {
  readonly #options: ObjectEncoderOptions;
  readonly #inner: DocumentEncoder;
  readonly #recordHours = new RecordHours();
  readonly #places = new WeakMap<SourceInfo, ObjectPlace>();
  #source: SourceInfo | undefined;
  #hourMs = 0;
  /** Where the next bytes of the run begin. */
  #next = 0;
  /** Records that stay, when a later one is of another hour. */
  #kept: number | undefined;
  #isPinned = false;
  /** Records are appended one by one, and this cluster began the batch. */
  #isFirstCluster = false;
  #markedNext = 0;
  #markedSource: SourceInfo | undefined;

  constructor(options: ObjectEncoderOptions) {
    const { config, onReplaced, onUnparsed } = options;
    this.#options = options;
    this.#inner = new DocumentEncoder({
      pod: config.pod,
      metadata: config.metadata,
      parser: config.parser,
      hasAction: false,
      bytesMax: config.s3.objectBytes,
      recordsMax: Math.ceil(config.s3.objectBytes / RECORD_BYTES_LEAST),
      destinationOf: (source) => source.id,
      onReplaced,
      ...(onUnparsed === undefined ? {} : { onUnparsed }),
    });
  }

  get records(): number {
    return this.#kept ?? this.#inner.records;
  }

  get bytes(): number {
    return this.#inner.bytes;
  }

  get bytesMax(): number {
    return this.#inner.bytesMax;
  }

  reset(): void {
    this.#inner.reset();
    this.#source = undefined;
    this.#kept = undefined;
    this.#isPinned = false;
  }

  pin(): void {
    this.#isPinned = true;
  }

  append(source: SourceInfo, input: Buffer, from: number, to: number, offset: number, timeMs: number): number {
    const isOther = this.#source !== undefined && (this.#source !== source || offset !== this.#next);
    if (this.#kept !== undefined || isOther) return from;
    const before = this.#inner.records;
    const used = this.#inner.append(source, input, from, to, offset, timeMs);
    this.#source = source;
    const at = this.#cutAtHour(source, before, timeMs);
    const end = at === undefined ? used : from + at - offset;
    this.#next = offset + end - from;
    return end;
  }

  appendRecord(source: SourceInfo, record: ShapedRecord, timeMs: number): boolean {
    // What lies between two records of a run was filtered out; the object's range covers it.
    const isOther = this.#source !== undefined && (this.#source !== source || record.offset < this.#next);
    if (this.#kept !== undefined || isOther) return false;
    const before = this.#inner.records;
    if (!this.#inner.appendRecord(source, record, timeMs)) return false;
    this.#source = source;
    if (this.#cutAtHour(source, before, timeMs) !== undefined) return false;
    this.#next = record.offset + record.bytes;
    return true;
  }

  mark(): void {
    this.#inner.mark();
    this.#markedNext = this.#next;
    this.#markedSource = this.#source;
    // The records of the first cluster stay together, whatever their hours: an empty batch takes any cluster.
    this.#isFirstCluster = this.#inner.records === 0;
  }

  rewind(): void {
    this.#inner.rewind();
    this.#next = this.#markedNext;
    this.#source = this.#markedSource;
    this.#kept = undefined;
  }

  finish(): Batch {
    const batch = this.#inner.finish();
    const source = this.#source;
    const place = source === undefined ? undefined : this.#place(source);
    const destination = place === undefined ? '' : destinationText(place, this.#hourMs);
    const kept = this.#kept;
    if (kept === undefined) return { ...batch, destination };
    const to = batch.offsets[kept] ?? 0;
    return {
      destination,
      records: kept,
      body: batch.body.subarray(0, batch.ends[kept - 1]),
      ends: batch.ends.subarray(0, kept),
      offsets: batch.offsets.subarray(0, kept),
      ranges: batch.ranges.map((range) => ({ ...range, to, records: kept })),
    };
  }

  /** Offset of the first record that is of a later hour, which this object does not keep; undefined when all are of one. */
  #cutAtHour(source: SourceInfo, before: number, timeMs: number): number | undefined {
    const { body, ends, offsets, records } = this.#inner;
    const readHourMs = Math.floor(timeMs / HOUR_MS) * HOUR_MS;
    for (let i = before; i < records; i += 1) {
      if (i > 0 && (this.#isPinned || this.#isFirstCluster)) return undefined;
      const found = this.#recordHours.hourOf(body, i === 0 ? 0 : (ends[i - 1] ?? 0), ends[i] ?? 0) ?? readHourMs;
      const hourMs = Math.min(found, readHourMs);
      if (i === 0) {
        this.#begin(source, hourMs, readHourMs);
      } else if (hourMs > this.#hourMs) {
        this.#kept = i;
        return offsets[i];
      }
    }
    return undefined;
  }

  #begin(source: SourceInfo, hourMs: number, readHourMs: number): void {
    const last = this.#options.hours.last(source.id) ?? hourMs;
    // A last hour that lies ahead comes from a clock that was wrong.
    this.#hourMs = last > readHourMs ? hourMs : Math.max(hourMs, last);
    this.#options.hours.set(source.id, this.#hourMs);
  }

  #place(source: SourceInfo): ObjectPlace {
    const known = this.#places.get(source);
    if (known !== undefined) return known;
    const made = objectPlace(this.#options.config, source);
    this.#places.set(source, made);
    return made;
  }
}
