/**
 * The calls that few sidecars make and none makes often, by the SDK's client: loaded with the first of them, bounded in time, their failures
 * as values. May import: core, sinks.
 */
import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { REQUEST_TIMEOUT_MS } from '../../core/limits.ts';
import { callContext } from './arns.ts';
import type { LogsAction } from './arns.ts';
import { classifyError, retryable } from './classify.ts';
import type { Called } from './classify.ts';
import type { LogsClient } from './client.ts';
import type { LogDestination } from './request.ts';

export interface RareCallsOptions {
  readonly region: string;
  readonly clock: Clock;
  /** Loads the SDK and makes its client. */
  readonly open: () => Promise<LogsClient>;
}

const GIVEN_UP = { kind: 'over', reason: 'unreachable', text: 'the request was given up' } as const;

interface Call<T> {
  readonly action: LogsAction;
  readonly destination: LogDestination;
  readonly signal: AbortSignal;
  readonly run: (client: LogsClient, signal: AbortSignal) => Promise<T>;
}

export class RareCalls {
  readonly #options: RareCallsOptions;
  #client: Promise<LogsClient> | undefined;

  constructor(options: RareCallsOptions) {
    this.#options = options;
  }

  /** One call. Never rejects. */
  async call<T>(call: Call<T>): Promise<Called<T>> {
    const { action, destination } = call;
    const outcome = await this.#bounded(call);
    if (outcome.kind === 'done') return outcome;
    if (outcome.kind === 'thrown')
      return classifyError(outcome.error, callContext(action, destination, this.#options.region));
    return { kind: 'failed', delivery: retryable(outcome.reason, outcome.text), mayBeDone: true };
  }

  close(): void {
    void this.#client?.then(
      (client) => client.close(),
      () => {},
    );
    this.#client = undefined;
  }

  async #run<T>({ run }: Call<T>, signal: AbortSignal): Promise<T> {
    this.#client ??= this.#options.open();
    return run(await this.#client, signal);
  }

  /** One call, bounded in time and by the signal, whatever the SDK waits for: its signal is not that of its credentials. */
  async #bounded<T>(given: Call<T>): Promise<Outcome<T>> {
    const { signal } = given;
    const timer = new AbortController();
    const call = new AbortController();
    let isLate = false;
    const giveUp = (): void => call.abort();
    if (signal.aborted) return GIVEN_UP;
    signal.addEventListener('abort', giveUp);
    const watch = async (): Promise<void> => {
      await this.#options.clock.sleep(REQUEST_TIMEOUT_MS, timer.signal);
      isLate = !timer.signal.aborted;
      giveUp();
    };
    void watch();
    try {
      const done = await unlessAborted(this.#run(given, call.signal), call.signal);
      if (done !== undefined) return { kind: 'done', value: done.value };
    } catch (error) {
      if (!signal.aborted && !isLate) return { kind: 'thrown', error };
    } finally {
      signal.removeEventListener('abort', giveUp);
      timer.abort();
    }
    if (signal.aborted) return GIVEN_UP;
    return { kind: 'over', reason: 'timeout', text: `no answer within ${REQUEST_TIMEOUT_MS} ms` };
  }
}

type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'over'; readonly reason: 'unreachable' | 'timeout'; readonly text: string }
  | { readonly kind: 'thrown'; readonly error: unknown };
