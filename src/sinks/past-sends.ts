/**
 * How often a record went out before, for what counts possible duplicates. Pure. May import: sinks.
 */
import type { DeliverOptions, PastSends } from './sink.ts';

/** By index of the batch; where nobody knows better, all that may have been sent counts as sent before this delivery. */
export function pastSends({ pastSends: known, sentBefore }: DeliverOptions, index: number): PastSends {
  return known?.(index) ?? (sentBefore(index) ? 'earlier' : 'none');
}
