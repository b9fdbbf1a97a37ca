/**
 * What of a batch belongs to which cursor, and what a settlement means for it. Pure but for the accounts that it moves.
 *
 * May import: core, pipeline.
 */
import type { Batch } from '../core/record.ts';
import type { Cursor } from './cursor.ts';
import type { EntryRange, SpanEntries } from './entry-log.ts';
import type { Count, DropReason } from './ledger.ts';
import type { Passed } from './pass-over.ts';

/** A run of records of one source in a batch. */
export interface Span {
  readonly cursor: Cursor;
  /** Index of its first record in the batch. */
  readonly first: number;
  records: number;
  /** Source bytes [from, to). */
  readonly from: number;
  to: number;
  /** When its first bytes were read, milliseconds since the epoch. */
  readonly readMs: number;
  /** Hash of the source's bytes before `to`. */
  tail: string;
  /** A record in it was ended by force, and the checkpoint must know where. */
  isCut: boolean;
  /** No records: see pass-over.ts. */
  readonly passes: Passed | undefined;
  /** Where records are more than lines: what became of each. */
  entries: EntryRange | undefined;
}

/** Source bytes of record `index`, which lies in `span`: up to where the next record begins. */
export function recordSourceBytes(batch: Batch, span: Span, index: number): number {
  const begin = batch.offsets[index] ?? span.from;
  const end = index + 1 < span.first + span.records ? (batch.offsets[index + 1] ?? span.to) : span.to;
  return end - begin;
}

/** Where record `index` of the span begins in the source; behind the last one: where the span ends. */
export function offsetOf(batch: Batch, span: Span, index: number): number {
  return index < span.first + span.records ? (batch.offsets[index] ?? span.to) : span.to;
}

/** Offset up to which the source is settled when the batch's records before `end` are; `span.from` when nothing of the span is. */
export function settledTo(batch: Batch, span: Span, end: number): number {
  const { entries } = span;
  if (entries === undefined) return offsetOf(batch, span, end);
  return entries.log.settledTo(spanEntries(span, entries), end) ?? span.from;
}

/** Moves the records [span.first, end) out of pending: the rejected ones to dropped, the others to delivered. */
export function settleSpan(
  batch: Batch,
  span: Span,
  end: number,
  rejected: readonly { readonly index: number; readonly reason: DropReason }[],
): void {
  const { entries } = span;
  const { account } = span.cursor;
  if (span.passes !== undefined) {
    const passed: Count = { lines: 0, bytes: span.to - span.from };
    // Like a line's end the mark is no text, and the lines of a rest are counted where they began: nothing is missing without them.
    if (span.passes === 'nul_hole') account.drop('nul_hole', passed);
    else account.deliver(passed);
    return;
  }
  const here = rejected.filter(({ index }) => index >= span.first && index < end);
  if (entries !== undefined) {
    entries.log.settle(account, spanEntries(span, entries), end, here);
    return;
  }
  const delivered: Count = { lines: end - span.first - here.length, bytes: offsetOf(batch, span, end) - span.from };
  for (const { index, reason } of here) {
    const bytes = recordSourceBytes(batch, span, index);
    delivered.bytes -= bytes;
    account.drop(reason, { lines: 1, bytes });
  }
  account.deliver(delivered);
}

/** Records of the span that begin before `offset`. */
export function recordsBefore(batch: Batch, span: Span, offset: number): number {
  if (span.from >= offset) return 0;
  let count = span.records;
  while (count > 0 && (batch.offsets[span.first + count - 1] ?? 0) >= offset) count -= 1;
  return count;
}

function spanEntries(span: Span, { from, to }: EntryRange): SpanEntries {
  return { from, to, first: span.first, until: span.to };
}

/** The span that holds record `index`. */
export function spanAt(spans: readonly Span[], index: number): Span | undefined {
  return spans.find((span) => index >= span.first && index < span.first + span.records);
}
