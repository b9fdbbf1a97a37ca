/**
 * Waits for a promise while virtual time passes.
 */
import type { VirtualClock } from './virtual-clock.ts';

export type Outcome<T> = { readonly settled: true; readonly value: T } | { readonly settled: false };

/** What the promise gave within `limitMs` of virtual time. A rejection is passed on. */
export async function whileTimePasses<T>(
  clock: VirtualClock,
  promise: Promise<T>,
  limitMs: number,
  stepMs = 50,
): Promise<Outcome<T>> {
  const state: { outcome: Outcome<T>; error?: unknown; failed: boolean } = {
    outcome: { settled: false },
    failed: false,
  };
  promise.then(
    (value) => (state.outcome = { settled: true, value }),
    (error: unknown) => {
      state.error = error;
      state.failed = true;
    },
  );
  for (let passed = 0; passed < limitMs && !state.outcome.settled && !state.failed; passed += stepMs) {
    await clock.advance(stepMs, 0);
  }
  if (state.failed) throw state.error;
  return state.outcome;
}
