/**
 * Time and chance as parameters, so that tests own both.
 *
 * The only file that reads the system clock or the random generator. May import: node:.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump. */
  now(): number;
  /** Monotonic clock, milliseconds from an arbitrary start. Never jumps. */
  monotonic(): number;
  /** Resolves after `ms`, at once when the signal is or becomes aborted (it never rejects). At most 2^31-1 ms. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    if (signal?.aborted === true) return;
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch {
      // Aborted: the caller looks at its signal, a rejection would only be a second way to say the same.
    }
  },
};

/** Uniform in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();

/** Cryptographically strong random bytes, as lower-case hexadecimal of 2 * `bytes` characters. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}
