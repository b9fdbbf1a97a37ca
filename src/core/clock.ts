/**
 * Time and chance as parameters, so that tests own both.
 *
 * The only file that reads the system clock or the random generator. May import: node:.
 */
import { randomBytes } from 'node:crypto';

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump. */
  now(): number;
  /** Monotonic clock, milliseconds from an arbitrary start. Never jumps. */
  monotonic(): number;
  /** Resolves after `ms`, at once when the signal is or becomes aborted (it never rejects). At most 2^31-1 ms. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** What a timer can count: beyond it Node ends at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // Not timers/promises: a wait that ends early is the rule here, and each of its rejections would build an error with a stack.
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      // Timers count whole milliseconds and may end almost one too soon: who waits until something is due would wait again.
      const timer = setTimeout(end, Math.min(Math.ceil(ms) + 1, TIMER_MS_MAX));
      signal?.addEventListener('abort', end);
    }),
};

/** Time of the processor that this thread has had so far, in milliseconds: user and system together. Coarse on some kernels. */
export function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Uniform in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();

/** Cryptographically strong random bytes, as lower-case hexadecimal of 2 * `bytes` characters. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}
