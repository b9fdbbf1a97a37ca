/**
 * The bookkeeping that every encoder shares: where records end, where they began in their source, which runs they form.
 *
 * Invariant: nothing is allocated for a record that goes on where the one before it ended. May import: core.
 */
import type { Batch, BatchRange, SourceInfo } from '../core/record.ts';

/** A range that may still grow. */
type Growing = { -readonly [Key in keyof BatchRange]: BatchRange[Key] };

export class BatchRanges {
  records = 0;
  readonly #ends: Uint32Array;
  readonly #offsets: Float64Array;
  #ranges: Growing[] = [];
  #markedRecords = 0;
  #markedRanges = 0;
  /** Of the last range. */
  #markedTo = 0;
  #markedRangeRecords = 0;

  /**
   * @param places.ends where records end in the body, filled by whoever encodes; as long as a batch may have records
   * @param places.offsets where they begin in their source, as long
   */
  constructor(places: { readonly ends: Uint32Array; readonly offsets: Float64Array }) {
    this.#ends = places.ends;
    this.#offsets = places.offsets;
  }

  get isFull(): boolean {
    return this.records >= this.#ends.length;
  }

  reset(): void {
    this.records = 0;
    this.#ranges = [];
  }

  /** One more record: it ends at `end` of the body and began at `offset` of its source. */
  add(end: number, offset: number): void {
    this.#ends[this.records] = end;
    this.#offsets[this.records] = offset;
    this.records += 1;
  }

  /** The last `records` records are [from, to) of the source; a run that goes on is made longer. */
  cover(source: SourceInfo, from: number, to: number, records: number): void {
    if (records === 0) return;
    const last = this.#ranges.at(-1);
    if (last !== undefined && last.source === source && last.to === from) {
      last.to = to;
      last.records += records;
    } else {
      this.#ranges.push({ source, from, to, records });
    }
  }

  /** The last record begins at `offset` of the source; what lies between it and the record before it was filtered out. */
  coverOne(source: SourceInfo, offset: number, bytes: number): void {
    this.coverRun(source, offset, offset + bytes, 1);
  }

  /** The same of the last `records` records, which are [begin, to) of the source. */
  coverRun(source: SourceInfo, begin: number, to: number, records: number): void {
    const last = this.#ranges.at(-1);
    const from = last !== undefined && last.source === source && last.to <= begin ? last.to : begin;
    this.cover(source, from, to, records);
  }

  mark(): void {
    this.#markedRecords = this.records;
    this.#markedRanges = this.#ranges.length;
    const last = this.#ranges.at(-1);
    if (last === undefined) return;
    this.#markedTo = last.to;
    this.#markedRangeRecords = last.records;
  }

  rewind(): void {
    this.records = this.#markedRecords;
    this.#ranges.length = this.#markedRanges;
    const last = this.#ranges.at(-1);
    if (last === undefined) return;
    last.to = this.#markedTo;
    last.records = this.#markedRangeRecords;
  }

  finish(destination: string, body: Buffer): Batch {
    return {
      destination,
      records: this.records,
      body,
      ends: this.#ends.subarray(0, this.records),
      offsets: this.#offsets.subarray(0, this.records),
      ranges: this.#ranges,
    };
  }
}
