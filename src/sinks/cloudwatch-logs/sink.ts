/**
 * CloudWatch Logs through PutLogEvents: put first, create group and stream only when they turn out to be missing.
 *
 * The service recognises no resend (sequence tokens are ignored since 2023-01), so a lost answer means a duplicate: at least once.
 * May import: core, config, kernel, parse.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { REQUEST_TIMEOUT_MS } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import type { Counter, Metrics } from '../../core/metrics.ts';
import type { Batch, SourceInfo } from '../../core/record.ts';
import { AWS_SECRET_KEYS, staticCredentials } from '../aws/static-credentials.ts';
import { createSecretFiles } from '../secret-files.ts';
import type { SecretFiles } from '../secret-files.ts';
import { selectedCount, selectedIndex, selectedSlices } from '../selection.ts';
import type { Delivery, DeliverOptions, Encoder, Sink } from '../sink.ts';
import { classifyError, rejectedEvents, retryable } from './classify.ts';
import type { CallFailure } from './classify.ts';
import { createLogsClient } from './client.ts';
import type { LogsClient, LogsClientOptions } from './client.ts';
import { LogEventsEncoder, StreamTimes } from './encode.ts';
import { destinationText, logDestination, parseDestination, putLogEventsBody } from './request.ts';
import type { LogDestination } from './request.ts';

/** Until somebody corrects a configuration: the Secret is looked at as often. */
const CONFIGURATION_RETRY_MS = 10_000;

export interface CloudWatchLogsSinkOptions {
  readonly config: ForwarderConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Makes the client; the SDK unless a test says otherwise. */
  readonly createClient?: (options: LogsClientOptions) => LogsClient;
}

type Called<T> = { readonly kind: 'done'; readonly value: T } | CallFailure;

export class CloudWatchLogsSink implements Sink {
  readonly name = 'cloudwatch';
  readonly #options: CloudWatchLogsSinkOptions;
  readonly #secret: SecretFiles;
  readonly #replaced: Counter;
  readonly #times = new StreamTimes();
  readonly #destinations = new WeakMap<SourceInfo, string>();
  #connected: { readonly version: number; readonly client: LogsClient } | undefined;
  /** The last request's body, for the next one; taken away while a request may still read it. */
  #body: Buffer | undefined;

  constructor(options: CloudWatchLogsSinkOptions) {
    this.#options = options;
    this.#secret = createSecretFiles({
      dir: options.config.sinkSecretDir,
      keys: AWS_SECRET_KEYS,
      clock: options.clock,
    });
    this.#replaced = options.metrics.counter(
      'logtender_utf8_replacements_total',
      'Ill-formed UTF-8 sequences that were replaced by U+FFFD.',
    );
  }

  createEncoder(): Encoder {
    return new LogEventsEncoder({
      times: this.#times,
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
    const client = await this.#connect();
    if ('problem' in client) return retryable('credentials', client.problem, CONFIGURATION_RETRY_MS);
    const destination = parseDestination(batch.destination);
    const first = await this.#put(client, destination, batch, options);
    if (first.kind !== 'missing') return this.#settled(first);
    const failure = await this.#provision(client, destination, options.signal);
    if (failure !== undefined) return failure;
    const second = await this.#put(client, destination, batch, options);
    // Just made and not there yet: the service is eventually consistent.
    return second.kind === 'missing' ? retryable('not_found', second.text) : this.#settled(second);
  }

  async close(): Promise<void> {
    this.#connected?.client.close();
    this.#connected = undefined;
  }

  #settled(called: Exclude<Called<Delivery>, { kind: 'missing' }>): Delivery {
    if (called.kind === 'done') return called.value;
    if (called.kind === 'failed') return called.delivery;
    return { status: 'delivered', duplicates: 0 };
  }

  async #put(
    client: LogsClient,
    destination: LogDestination,
    batch: Batch,
    options: DeliverOptions,
  ): Promise<Called<Delivery>> {
    const body = putLogEventsBody(destination, selectedSlices(batch, options.selection), this.#body);
    this.#body = undefined;
    const called = await this.#call(options.signal, (signal) => client.putLogEvents(destination, body, signal));
    if (called.kind !== 'done') return called;
    // Only a whole answer proves that nobody reads the body any more.
    this.#body = Buffer.from(body.buffer, 0);
    const count = selectedCount(batch, options.selection);
    const indexAt = (position: number): number => selectedIndex(options.selection, position);
    const rejected = rejectedEvents(called.value.rejectedLogEventsInfo, count, indexAt);
    if (rejected.length === 0) return { kind: 'done', value: { status: 'delivered', duplicates: 0 } };
    const nothing = { duplicates: 0, retry: [], retryReason: 'throttled', conflicts: [] } as const;
    return { kind: 'done', value: { status: 'partial', rejected, ...nothing } };
  }

  /**
   * Makes what is missing: the stream, and before it the group, so that a role which may not create groups works where they exist.
   *
   * @returns why it could not be done, or undefined
   */
  async #provision(
    client: LogsClient,
    destination: LogDestination,
    signal: AbortSignal,
  ): Promise<Delivery | undefined> {
    const stream = await this.#call(signal, (s) => client.createLogStream(destination, s));
    if (stream.kind !== 'missing') return stream.kind === 'failed' ? unrefused(stream.delivery) : undefined;
    const group = await this.#call(signal, (s) => client.createLogGroup(destination.group, s));
    if (group.kind === 'failed') return unrefused(group.delivery);
    if (group.kind === 'done') {
      this.#options.log.info('log group created', { logGroup: destination.group });
      await this.#setRetention(client, destination.group, signal);
    }
    const again = await this.#call(signal, (s) => client.createLogStream(destination, s));
    if (again.kind === 'missing') return retryable('not_found', again.text);
    return again.kind === 'failed' ? unrefused(again.delivery) : undefined;
  }

  /** A retention that cannot be set costs money, never lines. */
  async #setRetention(client: LogsClient, group: string, signal: AbortSignal): Promise<void> {
    const days = this.#options.config.retentionDays;
    if (days === undefined) return;
    const called = await this.#call(signal, (s) => client.putRetentionPolicy(group, days, s));
    if (called.kind === 'done') return;
    const error = called.kind === 'failed' ? called.delivery.text : called.kind;
    this.#options.log.warn('set retention failed', { logGroup: group, retentionDays: days, error });
  }

  /** One call, bounded in time, its failure as a value. */
  async #call<T>(signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<Called<T>> {
    const timer = new AbortController();
    const call = new AbortController();
    let isLate = false;
    const giveUp = (): void => call.abort();
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp);
    const watch = async (): Promise<void> => {
      await this.#options.clock.sleep(REQUEST_TIMEOUT_MS, timer.signal);
      isLate = !timer.signal.aborted;
      giveUp();
    };
    void watch();
    try {
      return { kind: 'done', value: await run(call.signal) };
    } catch (error) {
      if (signal.aborted) return { kind: 'failed', delivery: retryable('unreachable', 'the request was given up') };
      if (isLate)
        return { kind: 'failed', delivery: retryable('timeout', `no answer within ${REQUEST_TIMEOUT_MS} ms`) };
      return classifyError(error);
    } finally {
      signal.removeEventListener('abort', giveUp);
      timer.abort();
    }
  }

  /** The client for the credentials as they are now. */
  async #connect(): Promise<LogsClient | { readonly problem: string }> {
    const secret = await this.#secret.read();
    if (this.#connected?.version === secret.version) return this.#connected.client;
    this.#connected?.client.close();
    this.#connected = undefined;
    const { config, log, createClient = createLogsClient } = this.#options;
    const client = createClient({
      endpoint: config.cloudwatchEndpoint,
      region: config.awsRegion,
      credentials: staticCredentials(secret),
      log,
    });
    try {
      await client.region();
    } catch (error) {
      client.close();
      return { problem: `no AWS region: set AWS_REGION (${errorText(error)})` };
    }
    this.#connected = { version: secret.version, client };
    return client;
  }
}

/** A group or stream that cannot be made is no record's fault: nothing is to be looked for by halves. */
function unrefused(delivery: Extract<CallFailure, { kind: 'failed' }>['delivery']): Delivery {
  return delivery.status === 'retryable'
    ? delivery
    : retryable('not_found', `create log group or stream: ${delivery.text}`);
}
