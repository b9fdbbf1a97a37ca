/**
 * What of a batch belongs to which cursor, and what a settlement means for it. Pure but for the accounts that it moves.
 *
 * May import: core, pipeline.
 */
import type { Batch } from '../core/record.ts';
import type { Cursor } from './cursor.ts';
import type { Count, DropReason } from './ledger.ts';

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
  /** A record in it ends without a newline, and the checkpoint must know where. */
  isCut: boolean;
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

/** Moves the records [span.first, end) out of pending: the rejected ones to dropped, the others to delivered. */
export function settleSpan(
  batch: Batch,
  span: Span,
  end: number,
  rejected: readonly { readonly index: number; readonly reason: DropReason }[],
): void {
  const { account } = span.cursor;
  const here = rejected.filter(({ index }) => index >= span.first && index < end);
  const delivered: Count = { lines: end - span.first - here.length, bytes: offsetOf(batch, span, end) - span.from };
  for (const { index, reason } of here) {
    const bytes = recordSourceBytes(batch, span, index);
    delivered.bytes -= bytes;
    account.drop(reason, { lines: 1, bytes });
  }
  account.deliver(delivered);
}

/** The span that holds record `index`. */
export function spanAt(spans: readonly Span[], index: number): Span | undefined {
  return spans.find((span) => index >= span.first && index < span.first + span.records);
}
