/**
 * Encoded events with another time: pure. Invariant: messages keep their bytes.
 *
 * May import: core, sinks/cloudwatch-logs.
 */
import assert from 'node:assert/strict';
import { recordBytes } from '../../core/record.ts';
import type { Batch } from '../../core/record.ts';

const OPEN = '{"timestamp":';
const MESSAGE = ',"message":';
const OPEN_BYTES = Buffer.byteLength(OPEN);

/** Time and position of the message's quote in an event that our encoder wrote. */
function headOf(event: Buffer): { readonly timeMs: number; readonly end: number } {
  const end = event.indexOf(MESSAGE, OPEN_BYTES);
  assert(end > 0 && event.toString('latin1', 0, OPEN_BYTES) === OPEN, 'an event as our encoder writes it');
  return { timeMs: Number(event.toString('latin1', OPEN_BYTES, end)), end };
}

/** Event time of a record, in milliseconds since the epoch. */
export function eventTimeMs(batch: Batch, index: number): number {
  return headOf(recordBytes(batch, index)).timeMs;
}

/** Message of a record, as the service has it. */
export function eventMessage(batch: Batch, index: number): string {
  const event = recordBytes(batch, index);
  const from = headOf(event).end + MESSAGE.length;
  const message: unknown = JSON.parse(event.toString('utf8', from, event.lastIndexOf('}')));
  assert(typeof message === 'string', 'a message is a text');
  return message;
}

/** The records at `indexes` (ascending) as events of `timeMs`, each ending with its comma. */
export function restampedSlices(batch: Batch, indexes: readonly number[], timeMs: number): readonly Buffer[] {
  const open = Buffer.from(`${OPEN}${timeMs}`);
  return indexes.flatMap((index) => {
    const event = recordBytes(batch, index);
    return [open, event.subarray(headOf(event).end)];
  });
}
