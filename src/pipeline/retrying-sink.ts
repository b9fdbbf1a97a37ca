/**
 * Delivers a batch until every record of it is settled: stored, rejected for good, or found to be in conflict.
 *
 * Retries for ever with full jitter and the server's Retry-After as lower bound; a request that is too large or refused is halved until
 * the guilty record stands alone; after a partial answer only what is open is sent again. Records settle in order, so that what an
 * abort leaves is one contiguous rest. May import: core, sinks/sink.ts.
 */
import { backoffMs } from '../core/backoff.ts';
import type { Clock, Random } from '../core/clock.ts';
import { RETRY_BASE_MS, RETRY_MAX_MS } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Batch } from '../core/record.ts';
import type { Delivery, DeliverOptions, PastSends, Rejection, RetryReason, Sink } from '../sinks/sink.ts';

/** A failure that goes on is told again this often. */
const REMINDER_MS = 30_000;

/** What became of a batch. */
export interface Settlement {
  /** Leading records that are settled; fewer than the batch holds only after an abort. */
  readonly settled: number;
  readonly duplicates: number;
  /** Ascending. */
  readonly rejected: readonly Rejection[];
  /** Ascending. These records are not stored: their id stands for other bytes. */
  readonly conflicts: readonly number[];
}

export interface DeliverOnceOptions {
  /** May the record have been sent before this call? */
  readonly sentBefore: (index: number) => boolean;
  /** Did it really go out before this call? Never true where `sentBefore` is not; absent where nobody knows better than that. */
  readonly wentOut?: (index: number) => boolean;
  /** True: both are false of every record. */
  readonly isFirstSend?: boolean;
  /** Makes range and name of a request durable before it is sent (see DeliverOptions). */
  readonly promise?: NonNullable<DeliverOptions['promise']>;
  /** Counts records that go out although they may be stored (see DeliverOptions). */
  readonly onResend?: NonNullable<DeliverOptions['onResend']>;
  readonly signal: AbortSignal;
}

/** Why a sink is behind, for /readyz and the log. */
export interface Trouble {
  readonly reason: RetryReason;
  readonly text: string;
  readonly sinceMs: number;
  readonly attempts: number;
}

export class RetryingSink {
  readonly #sink: Sink;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #metrics: Metrics;
  #trouble: Trouble | undefined;
  #remindedAt = Number.NEGATIVE_INFINITY;
  #told = false;

  constructor(options: { sink: Sink; clock: Clock; random: Random; log: Log; metrics: Metrics }) {
    this.#sink = options.sink;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#log = options.log.with({ sink: options.sink.name });
    this.#metrics = options.metrics;
  }

  /** Undefined while deliveries succeed. */
  get trouble(): Trouble | undefined {
    return this.#trouble;
  }

  /** Resolves when all records are settled or the signal is aborted; rejects only on a bug. */
  async deliver(batch: Batch, options: DeliverOnceOptions): Promise<Settlement> {
    const work = new Work(batch.records);
    const wentOut = options.wentOut ?? options.sentBefore;
    while (work.isOpen && !options.signal.aborted) {
      const delivery = await this.#sink.deliver(batch, {
        selection: work.selection,
        sentBefore: (index) => work.wasSent(index) || options.sentBefore(index),
        pastSends: (index) => work.pastSends(index, wentOut(index)),
        isFirstSend: options.isFirstSend === true && work.isUntried,
        ...(options.promise === undefined ? {} : { promise: options.promise }),
        ...(options.onResend === undefined ? {} : { onResend: options.onResend }),
        signal: options.signal,
      });
      const retry = work.apply(delivery);
      if (retry !== undefined) {
        if (!options.signal.aborted) await this.#waitFor(retry, options.signal);
      } else if (delivery.status === 'delivered' || delivery.status === 'partial') this.#recovered();
    }
    return work.settlement();
  }

  async #waitFor(retry: Retry, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const attempts = retry.progress ? 1 : (this.#trouble?.attempts ?? 0) + 1;
    this.#trouble = { reason: retry.reason, text: retry.text, sinceMs: this.#trouble?.sinceMs ?? now, attempts };
    const labels = { sink: this.#sink.name, reason: retry.reason };
    this.#metrics.counter('logtender_retries_total', 'Requests that will be sent again.').add(1, labels);
    const waitMs = backoffMs(
      { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS },
      attempts,
      this.#random,
      retry.retryAfterMs,
    );
    if (now - this.#remindedAt >= REMINDER_MS) {
      this.#remindedAt = now;
      this.#told = true;
      this.#log.warn('sink does not take records, retrying', {
        reason: retry.reason,
        error: retry.text,
        since_ms: Math.round(now - this.#trouble.sinceMs),
        wait_ms: waitMs,
      });
    }
    await this.#clock.sleep(waitMs, signal);
  }

  #recovered(): void {
    if (this.#trouble === undefined) return;
    const lastedMs = Math.round(this.#clock.monotonic() - this.#trouble.sinceMs);
    if (this.#told) this.#log.info('sink takes records again', { lasted_ms: lastedMs, reason: this.#trouble.reason });
    this.#told = false;
    this.#trouble = undefined;
  }
}

interface Retry {
  readonly reason: RetryReason;
  readonly text: string;
  readonly retryAfterMs: number;
  /** Something was settled: the backoff begins anew. */
  readonly progress: boolean;
}

/** What became of a record in requests that did not settle it: none, only refused as a whole, out once; beyond that it does not matter. */
const UNTRIED = 0;
const REFUSED = 1;
const ONCE = 2;
const SEVERAL = 3;

/** Reasons of a request that the destination answered by refusing it, or that was never sent: nothing of it can be stored. */
const REFUSALS: ReadonlySet<RetryReason> = new Set(['throttled', 'credentials', 'not_found']);

/** The open records of one batch: selections in ascending order, the first of them is sent next. Pure. */
class Work {
  readonly #total: number;
  /** Undefined stands for all records: the usual batch needs no list of its indexes. */
  readonly #open: (readonly number[] | undefined)[];
  readonly #rejected: Rejection[] = [];
  readonly #conflicts: number[] = [];
  /** By record: UNTRIED to SEVERAL. */
  #sent: Uint8Array | undefined;
  #duplicates = 0;

  constructor(records: number) {
    this.#total = records;
    this.#open = records === 0 ? [] : [undefined];
  }

  get isOpen(): boolean {
    return this.#open.length > 0;
  }

  /** No request of this delivery was left unsettled so far. */
  get isUntried(): boolean {
    return this.#sent === undefined;
  }

  get selection(): readonly number[] | undefined {
    return this.#open[0];
  }

  /** Was it part of a request whose outcome did not settle it? */
  wasSent(index: number): boolean {
    return (this.#sent?.[index] ?? UNTRIED) > UNTRIED;
  }

  /** How often it went out with an outcome that nobody knows. @param wasEarlier whether it had before this delivery, which no retry undoes */
  pastSends(index: number, wasEarlier: boolean): PastSends {
    const sent = this.#sent?.[index] ?? UNTRIED;
    if (sent < ONCE) return wasEarlier ? 'earlier' : 'none';
    if (wasEarlier) return 'earlier_and_since';
    return sent === ONCE ? 'once' : 'several';
  }

  /** Takes an outcome in; gives what must be waited for, if anything. */
  apply(delivery: Delivery): Retry | undefined {
    const selection = this.#open.shift();
    if (delivery.status === 'partial') return this.#applyPartial(delivery, selection);
    if (delivery.status === 'retryable') {
      this.#keep(selection, REFUSALS.has(delivery.reason));
      return { reason: delivery.reason, text: delivery.text, retryAfterMs: delivery.retryAfterMs, progress: false };
    }
    if (delivery.status === 'delivered') this.#duplicates += delivery.duplicates;
    else this.#halve(selection, delivery.status === 'refused' ? delivery.reason : 'too_large', delivery.text);
    return undefined;
  }

  settlement(): Settlement {
    return {
      settled: this.isOpen ? (this.#open[0]?.[0] ?? 0) : this.#total,
      duplicates: this.#duplicates,
      rejected: this.#rejected.toSorted((a, b) => a.index - b.index),
      conflicts: this.#conflicts.toSorted((a, b) => a - b),
    };
  }

  #applyPartial(
    delivery: Delivery & { status: 'partial' },
    selection: readonly number[] | undefined,
  ): Retry | undefined {
    this.#duplicates += delivery.duplicates;
    this.#rejected.push(...delivery.rejected);
    this.#conflicts.push(...delivery.conflicts);
    if (delivery.retry.length === 0) return undefined;
    this.#keep(delivery.retry, false);
    const sent = selection?.length ?? this.#total;
    const words = delivery.retryText === undefined ? '' : `, one of them: ${delivery.retryText}`;
    const text = `${delivery.retry.length} of ${sent} records were not taken${words}`;
    return { reason: delivery.retryReason, text, retryAfterMs: 0, progress: delivery.retry.length < sent };
  }

  /** Goes first in the queue again, and from now on counts as sent before. */
  #keep(selection: readonly number[] | undefined, isRefused: boolean): void {
    const sent = (this.#sent ??= new Uint8Array(this.#total));
    const count = selection?.length ?? this.#total;
    for (let position = 0; position < count; position += 1) {
      const index = selection?.[position] ?? position;
      const before = sent[index] ?? UNTRIED;
      sent[index] = isRefused ? Math.max(before, REFUSED) : before < ONCE ? ONCE : SEVERAL;
    }
    this.#open.unshift(selection);
  }

  #halve(selection: readonly number[] | undefined, reason: Rejection['reason'], text: string): void {
    const indexes = selection ?? Array.from({ length: this.#total }, (_, i) => i);
    const [only] = indexes;
    if (indexes.length === 1 && only !== undefined) {
      this.#rejected.push({ index: only, reason, text });
      return;
    }
    const middle = Math.ceil(indexes.length / 2);
    this.#open.unshift(indexes.slice(0, middle), indexes.slice(middle));
  }
}
