/**
 * The part of a batch that a request carries, as the few slices that it consists of: a retry never encodes again.
 *
 * May import: core.
 */
import type { Batch } from '../core/record.ts';

/** How many records a selection (undefined: all) of a batch has. */
export function selectedCount(batch: Batch, selection: readonly number[] | undefined): number {
  return selection === undefined ? batch.records : selection.length;
}

/** Index in the batch of record `position` of the request. */
export function selectedIndex(selection: readonly number[] | undefined, position: number): number {
  return selection === undefined ? position : (selection[position] ?? position);
}

/**
 * The bytes of the selected records: neighbours are one slice.
 *
 * @param selection ascending indexes, or undefined for the whole batch
 */
export function selectedSlices(batch: Batch, selection: readonly number[] | undefined): readonly Buffer[] {
  if (selection === undefined || selection.length === batch.records) return [batch.body];
  const slices: Buffer[] = [];
  for (let i = 0; i < selection.length;) {
    const first = selection[i] ?? 0;
    let last = first;
    i += 1;
    for (; i < selection.length && selection[i] === last + 1; i += 1) last += 1;
    slices.push(batch.body.subarray(first === 0 ? 0 : batch.ends[first - 1], batch.ends[last]));
  }
  return slices;
}
