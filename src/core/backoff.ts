/**
 * The schedule of retries: exponential with full jitter, pure.
 *
 * Source of the rule: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (full jitter). May import: core.
 */
import type { Random } from './clock.ts';

export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * Wait before retry number `attempt` (1 = first retry), in milliseconds.
 *
 * Uniform between 0 and min(maxMs, baseMs * 2^(attempt-1)); a server's Retry-After is a lower bound, never cut by the jitter.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: Random, retryAfterMs = 0): number {
  const exponent = Math.min(attempt - 1, 30);
  const ceiling = Math.min(backoff.maxMs, backoff.baseMs * 2 ** exponent);
  return Math.max(Math.round(random() * ceiling), retryAfterMs);
}
