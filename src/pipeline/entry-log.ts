/**
 * What became of each piece of a source in one batch, where a record is not simply a line: records with their lines and bytes, and what was
 * filtered out between them.
 *
 * Invariants: the entries of a span follow each other without a gap, so their bytes are the span's; what was filtered out is settled with
 * what surrounds it, never before; positions move over whole clusters (see parse/record-cutter.ts). Numbers in typed arrays, no object for
 * a record. May import: core, parse, pipeline.
 */
import { BULK_RECORDS_MAX, PUT_LOG_EVENTS_COUNT_MAX } from '../core/limits.ts';
import { GROUPS_MAX } from '../parse/record-cutter.ts';
import type { Account, Count, DropReason } from './ledger.ts';
import { DROP_REASONS } from './ledger.ts';

/** Records of the largest batch of any sink whose lines with headers go in runs. */
const RUN_RECORDS_MAX = Math.max(BULK_RECORDS_MAX, PUT_LOG_EVENTS_COUNT_MAX);

/**
 * Entries of one batch: its records with a filtered run before each; beyond it the batch is sent. 17 bytes each, in memory that is touched
 * only as far as it is used.
 */
const ENTRIES_MAX = 2 * RUN_RECORDS_MAX;

const RECORD = 255;
/** Bytes and lines of an entry are 32-bit numbers. */
const MERGED_BYTES_MAX = 2 ** 31;

/** A span's part of the log. */
export interface EntryRange {
  readonly log: EntryLog;
  readonly from: number;
  to: number;
}

/** The entries of a span, its first record in the batch, and where it ends in the source. */
export interface SpanEntries {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly until: number;
}

interface Rejected {
  readonly index: number;
  readonly reason: DropReason;
}

export class EntryLog {
  length = 0;
  readonly #offset = new Float64Array(ENTRIES_MAX);
  readonly #bytes = new Uint32Array(ENTRIES_MAX);
  readonly #lines = new Uint32Array(ENTRIES_MAX);
  /** RECORD, or place in DROP_REASONS. */
  readonly #what = new Uint8Array(ENTRIES_MAX);
  /** 1 for the first entry of a cluster. */
  readonly #begins = new Uint8Array(ENTRIES_MAX);
  #marked = 0;

  /** No room for one more cluster, whatever it holds. */
  get isFull(): boolean {
    return this.length + GROUPS_MAX > ENTRIES_MAX;
  }

  /** Room for as many lines as any batch takes. */
  get hasRoomForRun(): boolean {
    return this.length + RUN_RECORDS_MAX <= ENTRIES_MAX;
  }

  reset(): void {
    this.length = 0;
  }

  mark(): void {
    this.#marked = this.length;
  }

  rewind(): void {
    this.length = this.#marked;
  }

  /** One more record of a cluster, or one that was filtered out; the first after `mark` begins the cluster. */
  add(reason: DropReason | undefined, offset: number, lines: number, bytes: number): void {
    const at = this.length;
    this.#offset[at] = offset;
    this.#bytes[at] = bytes;
    this.#lines[at] = lines;
    this.#what[at] = reason === undefined ? RECORD : DROP_REASONS.indexOf(reason);
    this.#begins[at] = at === this.#marked ? 1 : 0;
    this.length = at + 1;
  }

  /** One more record that is a cluster of its own. */
  addRecord(offset: number, lines: number, bytes: number): void {
    const at = this.length;
    this.#offset[at] = offset;
    this.#bytes[at] = bytes;
    this.#lines[at] = lines;
    this.#what[at] = RECORD;
    this.#begins[at] = 1;
    this.length = at + 1;
  }

  /**
   * A cluster that was filtered out as a whole joins the one before it, when that went for the same reason: a batch may stand for millions
   * of lines of which nobody wants any.
   *
   * @param from the first entry of the span
   */
  merge(from: number): void {
    const last = this.length - 1;
    const before = last - 1;
    if (before < from || this.#what[last] === RECORD || this.#what[last] !== this.#what[before]) return;
    if (this.#begins[last] === 0) return;
    if ((this.#bytes[before] ?? 0) > MERGED_BYTES_MAX) return;
    this.#bytes[before] = (this.#bytes[before] ?? 0) + (this.#bytes[last] ?? 0);
    this.#lines[before] = (this.#lines[before] ?? 0) + (this.#lines[last] ?? 0);
    this.length = last;
  }

  /** Offset up to which the source is settled when the records before `end` are; undefined when nothing of the span is. */
  settledTo(span: SpanEntries, end: number): number | undefined {
    const settled = this.#settledEntries(span, end);
    if (settled === span.to) return span.until;
    return settled === span.from ? undefined : this.#offset[settled];
  }

  /**
   * Moves what is settled out of pending.
   *
   * @param end records before this one are settled
   * @param rejected those of them that will never arrive, by index
   */
  settle(account: Account, span: SpanEntries, end: number, rejected: readonly Rejected[]): void {
    const settled = this.#settledEntries(span, end);
    const delivered: Count = { lines: 0, bytes: 0 };
    let record = span.first;
    for (let at = span.from; at < settled; at += 1) {
      const reason = this.#reasonOf(at, record, rejected);
      if (this.#what[at] === RECORD) record += 1;
      const lines = this.#lines[at] ?? 0;
      const bytes = this.#bytes[at] ?? 0;
      if (reason !== undefined) account.drop(reason, { lines, bytes });
      else {
        delivered.lines += lines;
        delivered.bytes += bytes;
      }
    }
    account.deliver(delivered);
  }

  #reasonOf(at: number, record: number, rejected: readonly Rejected[]): DropReason | undefined {
    const what = this.#what[at] ?? RECORD;
    if (what !== RECORD) return DROP_REASONS[what];
    return rejected.length === 0 ? undefined : rejected.find(({ index }) => index === record)?.reason;
  }

  /** The last beginning of a cluster (or the end) before which every record is settled. */
  #settledEntries({ from, to, first }: SpanEntries, end: number): number {
    let settled = from;
    let record = first;
    for (let at = from; at < to; at += 1) {
      if (this.#begins[at] === 1 && record <= end) settled = at;
      if (this.#what[at] === RECORD) record += 1;
    }
    return record <= end ? to : settled;
  }
}
