/**
 * CloudWatch Logs through PutLogEvents: put first, create group and stream only when they turn out to be missing.
 *
 * The service recognises no resend (sequence tokens are ignored since 2023-01), so a lost answer may mean a duplicate: at least once.
 * Invariant: every record that goes out while it may be stored already is counted before it does (`onResend`).
 * May import: core, config, kernel, parse.
 */
import type { Counter, Metrics } from '../../core/metrics.ts';
import type { Batch, SourceInfo } from '../../core/record.ts';
import { pastSends } from '../past-sends.ts';
import { selectedCount, selectedIndex, selectedSlices } from '../selection.ts';
import type { Delivery, DeliverOptions, Encoder, Rejection, Sink } from '../sink.ts';
import { rejectedEvents, retryable } from './classify.ts';
import type { Called, FailedDelivery, RejectedLogEventsInfo } from './classify.ts';
import { Doubts } from './doubts.ts';
import { LogEventsEncoder, StreamTimes } from './encode.ts';
import { Pacer } from './pacer.ts';
import { Provisioner } from './provision.ts';
import { readBack } from './read-back.ts';
import { destinationText, logDestination, parseDestination } from './request.ts';
import type { LogDestination } from './request.ts';
import { eventTimeMs, restampedSlices } from './restamp.ts';
import { Session } from './session.ts';
import type { Connected, SessionOptions } from './session.ts';

/** Until somebody corrects a configuration: the Secret is looked at as often. */
const CONFIGURATION_RETRY_MS = 10_000;

/** Reading back is tried this often for one batch where the service answers with an error; then it is sent again. */
const READ_BACK_TRIES_MAX = 5;

/** What is still being set on a log group when the process ends has this long. */
const CLOSE_MS_MAX = 2_000;

export interface CloudWatchLogsSinkOptions extends SessionOptions {
  readonly metrics: Metrics;
}

/** One delivery: what goes where. */
interface Request {
  readonly connected: Connected;
  readonly destination: LogDestination;
  readonly batch: Batch;
  readonly options: DeliverOptions;
}

const NOTHING = { duplicates: 0, retry: [], retryReason: 'throttled', rejected: [], conflicts: [] } as const;
const DELIVERED: Delivery = { status: 'delivered', duplicates: 0 };

export class CloudWatchLogsSink implements Sink {
  readonly name = 'cloudwatch';
  readonly #options: CloudWatchLogsSinkOptions;
  readonly #session: Session;
  readonly #replaced: Counter;
  readonly #restamped: Counter;
  readonly #confirmed: Counter;
  readonly #times = new StreamTimes();
  readonly #doubts = new Doubts();
  readonly #pacer: Pacer;
  readonly #provisioner: Provisioner;
  readonly #destinations = new WeakMap<SourceInfo, string>();
  readonly #closing = new AbortController();
  #finishing: Promise<void> | undefined;
  /** Failed readings of this batch. */
  #readBackOf: { readonly batch: Batch; tries: number } | undefined;
  #saidUnconfirmed = false;

  constructor(options: CloudWatchLogsSinkOptions) {
    const { config, metrics } = options;
    this.#options = options;
    this.#session = new Session(options);
    this.#pacer = new Pacer(config.cloudwatch.requestsPerSecond);
    this.#provisioner = new Provisioner(options);
    this.#replaced = metrics.counter(
      'logtender_utf8_replacements_total',
      'Ill-formed UTF-8 sequences that were replaced by U+FFFD.',
    );
    this.#restamped = metrics.counter(
      'logtender_restamped_lines_total',
      'Lines that were stored with the time of their delivery because their own was refused.',
    );
    this.#confirmed = metrics.counter(
      'logtender_confirmed_lines_total',
      'Lines without an answer that were found stored when they were read back.',
    );
  }

  createEncoder(): Encoder {
    return new LogEventsEncoder({
      times: this.#times,
      separateBatches: this.#options.config.cloudwatch.confirm,
      onReplaced: (count) => this.#replaced.add(count, { sink: this.name }),
      destinationOf: (source) => {
        const known = this.#destinations.get(source);
        if (known !== undefined) return known;
        const made = destinationText(logDestination(this.#options.config, source));
        this.#destinations.set(source, made);
        return made;
      },
    });
  }

  async deliver(batch: Batch, options: DeliverOptions): Promise<Delivery> {
    const connected = await this.#session.connect();
    if ('problem' in connected) return retryable('credentials', connected.problem, CONFIGURATION_RETRY_MS);
    const request = { connected, destination: parseDestination(batch.destination), batch, options };
    this.#doubts.open(batch, (index) => pastSends(options, index) !== 'none');
    const known = await this.#readBack(request);
    if (known !== undefined) return known;
    const delivery = await this.#send(request);
    if (delivery.status === 'delivered' || delivery.status === 'partial') this.#finish(connected);
    return delivery;
  }

  async close(): Promise<void> {
    const { clock } = this.#options;
    const over = new AbortController();
    await Promise.race([this.#finishing, clock.sleep(CLOSE_MS_MAX, over.signal)]);
    over.abort();
    this.#closing.abort();
    this.#session.close();
  }

  async #send(request: Request): Promise<Delivery> {
    const first = await this.#put(request);
    if (first.kind !== 'missing') return this.#settled(first, request);
    const { connected, destination, options } = request;
    const failure = await this.#provisioner.provide(connected.calls, destination, options.signal);
    if (failure !== undefined) return this.#settled(failure, request);
    const second = await this.#put(request);
    // Just made and not there yet: the service is eventually consistent.
    return this.#settled(second, request);
  }

  #settled(called: Called<Delivery>, { connected }: Request): Delivery {
    if (called.kind === 'done') return called.value;
    if (called.kind === 'missing') return retryable('not_found', called.text);
    if (called.kind !== 'failed') return DELIVERED;
    if (called.isIdentity === true) this.#session.renew(connected);
    return called.delivery;
  }

  /** Sends the selection once, counting first what may be there already. */
  async #put(request: Request): Promise<Called<Delivery>> {
    const { batch, options } = request;
    const { selection } = options;
    const resent = this.#doubts.take(batch, selection);
    if (resent > 0) await options.onResend?.(resent);
    const called = await this.#putSlices(request, selectedSlices(batch, selection));
    if (called.kind === 'failed' && called.mayBeDone === true) this.#doubts.add(batch, selection, true);
    if (called.kind !== 'done') return called;
    const count = selectedCount(batch, selection);
    const rejected = rejectedEvents(called.value, count, (i) => selectedIndex(selection, i));
    if (rejected.length === 0) return { kind: 'done', value: DELIVERED };
    const isRestamp = this.#options.config.cloudwatch.rejected === 'restamp';
    const settled = isRestamp
      ? await this.#restamp(request, rejected)
      : { ...NOTHING, status: 'partial' as const, rejected };
    return { kind: 'done', value: settled };
  }

  /** Sends what was refused for its time once more, with the time of now as the service has it. */
  async #restamp(request: Request, rejected: readonly Rejection[]): Promise<Delivery> {
    const { batch } = request;
    const indexes = rejected.map(({ index }) => index);
    const timeMs = Math.round(this.#options.clock.now() + this.#session.clockOffsetMs());
    const called = await this.#putSlices(request, restampedSlices(batch, indexes, timeMs));
    if (called.kind === 'failed' && called.mayBeDone === true) this.#doubts.add(batch, indexes, false);
    if (called.kind === 'failed' && called.delivery.status === 'retryable')
      return { ...NOTHING, status: 'partial', retry: indexes, retryReason: called.delivery.reason };
    if (called.kind === 'failed') return { ...NOTHING, status: 'partial', rejected };
    if (called.kind !== 'done') return { ...NOTHING, status: 'partial', retry: indexes, retryReason: 'not_found' };
    const again = rejectedEvents(called.value, indexes.length, (i) => indexes[i] ?? 0);
    this.#restamped.add(indexes.length - again.length, { sink: this.name });
    return again.length === 0 ? DELIVERED : { ...NOTHING, status: 'partial', rejected: again };
  }

  async #putSlices(
    { connected, destination, options }: Request,
    slices: readonly Buffer[],
  ): Promise<Called<RejectedLogEventsInfo | undefined>> {
    const waitMs = this.#pacer.book(this.#options.clock.monotonic());
    if (waitMs > 0) await this.#options.clock.sleep(waitMs, options.signal);
    return connected.calls.putLogEvents(destination, slices, options.signal);
  }

  /** What reading back settles of the delivery; undefined when it is to be sent. */
  async #readBack(request: Request): Promise<Delivery | undefined> {
    const { connected, destination, batch, options } = request;
    const indexes = this.#canConfirm(request) ? this.#doubts.ours(batch, options.selection) : [];
    if (indexes.length === 0) return undefined;
    let failure: FailedDelivery | undefined;
    const stored = await readBack({
      batch,
      indexes,
      clock: this.#options.clock,
      signal: options.signal,
      read: async (window) => {
        const called = await connected.calls.getLogEvents(destination, window, options.signal);
        if (called.kind === 'done') return called.value;
        if (called.kind === 'failed') failure = called.delivery;
        // A stream that is missing holds nothing.
        return called.kind === 'missing' ? { events: [], nextToken: undefined } : undefined;
      },
    });
    if (stored === undefined) return this.#unread(batch, failure);
    if (stored.length === 0) return undefined;
    this.#confirmed.add(stored.length, { sink: this.name });
    const isStored = new Set(stored);
    const count = selectedCount(batch, options.selection);
    const rest = Array.from({ length: count }, (_, i) => selectedIndex(options.selection, i)).filter(
      (index) => !isStored.has(index),
    );
    if (rest.length === 0) return DELIVERED;
    return { ...NOTHING, status: 'partial', retry: rest, retryReason: 'timeout' };
  }

  /** Could not be read: tried again while that may help, else undefined and it is sent again. */
  #unread(batch: Batch, failure: FailedDelivery | undefined): Delivery | undefined {
    if (failure === undefined) return retryable('unreachable', 'the reading was given up');
    if (failure.status === 'retryable' && (failure.reason === 'unreachable' || failure.reason === 'timeout'))
      return failure;
    const tries = (this.#readBackOf?.batch === batch ? this.#readBackOf.tries : 0) + 1;
    this.#readBackOf = { batch, tries };
    const isHopeless = failure.status !== 'retryable' || failure.reason === 'credentials';
    if (!isHopeless && tries < READ_BACK_TRIES_MAX) return failure;
    this.#options.log.warn('what may be stored could not be read back, it is sent again', { error: failure.text });
    return undefined;
  }

  #canConfirm({ destination, batch }: Request): boolean {
    const { config, log } = this.#options;
    if (!config.cloudwatch.confirm) return false;
    if (!destination.stream.includes(config.pod.pod)) {
      if (!this.#saidUnconfirmed)
        log.warn('log stream does not name the pod, nothing is read back', { logStream: destination.stream });
      this.#saidUnconfirmed = true;
      return false;
    }
    return !this.#times.wasUsed(batch.destination, eventTimeMs(batch, 0));
  }

  /** Sets in the background what a new group still lacks. */
  #finish(connected: Connected): void {
    this.#finishing ??= this.#provisioner.finish(connected.calls, this.#closing.signal).finally(() => {
      this.#finishing = undefined;
    });
  }
}
