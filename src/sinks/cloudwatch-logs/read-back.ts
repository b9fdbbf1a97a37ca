/**
 * Reads back which records of a request without an answer are stored after all (`confirm: true`).
 *
 * Invariants: a record counts as stored only for an event of its very time and message in its own log stream, each event for one record
 * alone; the encoder gives no two batches of a stream the same time (encode.ts, separateBatches), so an event of that time is of that
 * request. What is not found is sent again: a mistake here can double a line, never lose one. The poll is bounded, because the service shows
 * events only some time after it took them (API reference, GetLogEvents). May import: core, sinks/cloudwatch-logs.
 */
import type { Clock } from '../../core/clock.ts';
import type { Batch } from '../../core/record.ts';
import type { EventPage, EventWindow } from './client.ts';
import { eventMessage, eventTimeMs } from './restamp.ts';

/** Waits before each look: seven seconds in all, which is what ingestion usually takes at the most. */
const LOOKS_MS: readonly number[] = [0, 1_000, 2_000, 4_000];

/** Pages of one look: a batch has at most 10,000 events and 1 MiB, which is what one page holds at most; empty ones may come between. */
const PAGES_MAX = 8;

export interface ReadBackOptions {
  readonly batch: Batch;
  /** Records that may be stored, ascending, at least one. */
  readonly indexes: readonly number[];
  /** Reads one page; undefined when that failed, which ends the reading. */
  readonly read: (window: EventWindow) => Promise<EventPage | undefined>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Records that are stored, ascending; undefined when it could not be read. */
export async function readBack(options: ReadBackOptions): Promise<readonly number[] | undefined> {
  const { indexes, clock, signal } = options;
  let stored: readonly number[] = [];
  for (const waitMs of LOOKS_MS) {
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    if (signal.aborted) return undefined;
    const seen = await look(options);
    if (seen === undefined) return undefined;
    stored = storedOf(options.batch, indexes, seen);
    if (stored.length === indexes.length) break;
  }
  return stored;
}

/** How often each event of the window is there. */
async function look({ batch, indexes, read }: ReadBackOptions): Promise<Map<string, number> | undefined> {
  const seen = new Map<string, number>();
  const startTime = eventTimeMs(batch, indexes[0] ?? 0);
  const endTime = eventTimeMs(batch, indexes.at(-1) ?? 0) + 1;
  let nextToken: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answered = await read({ startTime, endTime, nextToken });
    if (answered === undefined) return undefined;
    for (const { timestamp = 0, message = '' } of answered.events) {
      const key = eventKey(timestamp, message);
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    // API reference, GetLogEvents: at the end of the stream the same token comes back.
    if (answered.nextToken === undefined || answered.nextToken === nextToken) break;
    nextToken = answered.nextToken;
  }
  return seen;
}

function storedOf(batch: Batch, indexes: readonly number[], seen: Map<string, number>): readonly number[] {
  return indexes.filter((index) => {
    const key = eventKey(eventTimeMs(batch, index), eventMessage(batch, index));
    const left = seen.get(key) ?? 0;
    if (left > 0) seen.set(key, left - 1);
    return left > 0;
  });
}

function eventKey(timeMs: number, message: string): string {
  return `${timeMs} ${message}`;
}
