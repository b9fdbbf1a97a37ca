/**
 * The client of the moment: made for the keys of the Secret or the chain of the SDK, made anew when those change or are refused; and calls
 * through it, bounded in time, their failures as values.
 *
 * May import: core, config, sinks.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { REQUEST_TIMEOUT_MS } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import type { InstanceRegion } from '../aws/instance-region.ts';
import { AWS_SECRET_KEYS, staticCredentials } from '../aws/static-credentials.ts';
import { createSecretFiles } from '../secret-files.ts';
import type { SecretFiles } from '../secret-files.ts';
import { callContext } from './arns.ts';
import type { LogsAction } from './arns.ts';
import { classifyError, retryable } from './classify.ts';
import type { CallFailure } from './classify.ts';
import { createLogsClient } from './client.ts';
import type { LogsClient, LogsClientOptions } from './client.ts';
import type { LogDestination } from './request.ts';

/** Credentials that the service refuses are asked for again at most this often: each asking costs STS or the node a call. */
const CREDENTIALS_AGE_MS_MIN = 10_000;

export interface SessionOptions {
  readonly config: ForwarderConfig;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the client; the SDK unless a test says otherwise. */
  readonly createClient?: (options: LogsClientOptions) => LogsClient;
  /** Asked where no region is configured; nobody is asked unless given. */
  readonly instanceRegion?: InstanceRegion | undefined;
}

export type Called<T> = { readonly kind: 'done'; readonly value: T } | CallFailure;

/** One call of the client, bounded in time, its failure as a value. */
export type Call = <T>(
  action: LogsAction,
  destination: LogDestination,
  run: (signal: AbortSignal) => Promise<T>,
) => Promise<Called<T>>;

export interface Connected {
  /** Version of the Secret that it was made for. */
  readonly version: number;
  readonly client: LogsClient;
  readonly region: string;
  readonly hasOwnKeys: boolean;
  readonly sinceMs: number;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #secret: SecretFiles;
  #connected: Connected | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { config, clock } = options;
    this.#secret = createSecretFiles({ dir: config.sinkSecretDir, keys: AWS_SECRET_KEYS, clock });
  }

  /** The client for the credentials as they are now, or why there is none. */
  async connect(): Promise<Connected | { readonly problem: string }> {
    const secret = await this.#secret.read();
    if (this.#connected?.version === secret.version) return this.#connected;
    this.#connected?.client.close();
    this.#connected = undefined;
    const { config, log, clock, createClient = createLogsClient } = this.#options;
    const credentials = staticCredentials(secret);
    const create = (given: string | undefined): LogsClient =>
      createClient({
        endpoint: config.cloudwatchEndpoint,
        region: given,
        fips: config.cloudwatch.fips,
        credentials,
        log,
        clock,
        proxy: config.proxy,
      });
    let client = create(config.awsRegion);
    let region: string;
    try {
      region = await client.region();
    } catch (error) {
      client.close();
      const found = await this.#options.instanceRegion?.();
      if (found === undefined) return { problem: `no AWS region: set AWS_REGION (${errorText(error)})` };
      client = create(found);
      region = found;
    }
    const { version } = secret;
    this.#connected = { version, client, region, hasOwnKeys: credentials !== undefined, sinceMs: clock.monotonic() };
    return this.#connected;
  }

  /** The SDK remembers credentials until they expire; those that the service refuses are forgotten with their client. */
  renew(connected: Connected): void {
    const isYoung = this.#options.clock.monotonic() - connected.sinceMs < CREDENTIALS_AGE_MS_MIN;
    if (connected.hasOwnKeys || isYoung || this.#connected !== connected) return;
    connected.client.close();
    this.#connected = undefined;
  }

  close(): void {
    this.#connected?.client.close();
    this.#connected = undefined;
  }

  /** Calls that end with the signal. */
  caller({ region }: Connected, signal: AbortSignal): Call {
    return async (action, destination, run) => {
      const outcome = await this.#bounded(signal, run);
      if (outcome.kind === 'done') return outcome;
      if (outcome.kind === 'thrown') return classifyError(outcome.error, callContext(action, destination, region));
      return { kind: 'failed', delivery: retryable(outcome.reason, outcome.text), mayBeDone: true };
    };
  }

  /** One call, bounded in time and by the signal, whatever the SDK waits for: its signal is not that of its credentials. */
  async #bounded<T>(signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<Outcome<T>> {
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
      const done = await unlessAborted(run(call.signal), call.signal);
      if (done !== undefined) return { kind: 'done', value: done.value };
    } catch (error) {
      if (!signal.aborted && !isLate) return { kind: 'thrown', error };
    } finally {
      signal.removeEventListener('abort', giveUp);
      timer.abort();
    }
    if (signal.aborted) return { kind: 'over', reason: 'unreachable', text: 'the request was given up' };
    return { kind: 'over', reason: 'timeout', text: `no answer within ${REQUEST_TIMEOUT_MS} ms` };
  }
}

type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'over'; readonly reason: 'unreachable' | 'timeout'; readonly text: string }
  | { readonly kind: 'thrown'; readonly error: unknown };
