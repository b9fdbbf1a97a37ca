/**
 * How long an answer may take, from what the API server says in `?timeout=`.
 *
 * Source: apiserver, admission webhook dispatcher: the webhook's timeoutSeconds as a Go duration in the query; Go, package time,
 * ParseDuration. May import: core.
 */
import type { Clock } from '../src/core/clock.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};
const PART = /(\d{1,9}(?:\.\d{1,9})?)(h|ms|m|s|us|µs|ns)/gy;
/** What is left for the way back, so that our words arrive and not a broken connection. */
const SHARE_OF_OURS = 0.9;

/**
 * Milliseconds from the first byte of the request to the answer.
 *
 * @param timeout the parameter as the query has it; anything that is no Go duration counts as absent
 * @param msMax our own limit, which also stands for an absent parameter
 */
export function deadlineMs(timeout: unknown, msMax: number): number {
  const asked = typeof timeout === 'string' ? goDurationMs(timeout) : undefined;
  return Math.max(1, Math.min(asked ?? msMax, msMax) * SHARE_OF_OURS);
}

/**
 * The deadline of one request, as a signal for whoever has to wait for something.
 *
 * Invariant: a request that waits for nothing, as nearly all do, costs neither a timer nor a signal.
 */
export class Deadline {
  /** When the request began, on the monotonic clock. */
  readonly startedMs: number;
  readonly #clock: Clock;
  readonly #lengthMs: () => number;
  #reached: AbortController | undefined;
  #ended: AbortController | undefined;

  /** @param options.lengthMs from the beginning of the request on; asked once, when the signal is */
  constructor(options: { readonly clock: Clock; readonly startedMs: number; readonly lengthMs: () => number }) {
    this.startedMs = options.startedMs;
    this.#clock = options.clock;
    this.#lengthMs = options.lengthMs;
  }

  /** Aborted when the deadline is reached. */
  get signal(): AbortSignal {
    if (this.#reached !== undefined) return this.#reached.signal;
    const reached = new AbortController();
    const ended = new AbortController();
    this.#reached = reached;
    this.#ended = ended;
    // Reading the body and waiting for a turn have taken their part of it already.
    const leftMs = this.#lengthMs() - Math.floor(this.#clock.monotonic() - this.startedMs);
    void this.#clock.sleep(Math.max(1, leftMs), ended.signal).then(() => reached.abort(DEADLINE));
    return reached.signal;
  }

  /** The answer is there. */
  end(): void {
    this.#ended?.abort(DEADLINE);
  }
}

/** A reason of our own: without one each abort would make an error with a stack. */
const DEADLINE = 'deadline';

/** `5s`, `1m30s`, `500ms`; undefined for anything else, zero included (nobody can answer in no time). */
function goDurationMs(text: string): number | undefined {
  let sum = 0;
  let end = 0;
  for (const match of text.matchAll(PART)) {
    sum += Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? Number.NaN);
    end = match.index + match[0].length;
  }
  return end === text.length && sum > 0 ? sum : undefined;
}
