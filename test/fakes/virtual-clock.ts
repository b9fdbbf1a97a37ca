/**
 * A clock that a test moves: sleepers wake in the order of their times, and nothing waits for real.
 *
 * Invariant: `advance` moves on only when at least `sleepers` callers sleep, so that work on other threads (keys) counts as no time.
 */
import assert from 'node:assert/strict';

import type { Clock } from '../../src/core/clock.ts';

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** Turns of the event loop that work without a sleeper may take; an ECDSA key takes some tens. */
const TURNS_MAX = 1_000;
/** Beyond that real milliseconds, so that other threads get on with it: an RSA key on a busy machine takes seconds. */
const WAITS_MS_MAX = 30_000;

export class VirtualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  /** Moves the wall clock alone, as a correction of the time does. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const sleeper = {
        atMs: this.#monotonicMs + ms,
        wake: (): void => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', sleeper.wake, { once: true });
    });
  }

  /** Waits until that many callers sleep. */
  async quiet(sleepers: number): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX + WAITS_MS_MAX; turn += 1) {
      await new Promise((resolve) => (turn < TURNS_MAX ? setImmediate(resolve) : setTimeout(resolve, 1)));
      if (this.#sleepers.size >= sleepers) return;
    }
    assert.fail(`expected ${sleepers} sleepers, got ${this.#sleepers.size}`);
  }

  /** Moves both clocks by `ms`, waking everybody on the way; before each step that many callers must sleep. */
  async advance(ms: number, sleepers = 1): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      await this.quiet(sleepers);
      const first = [...this.#sleepers].toSorted((a, b) => a.atMs - b.atMs)[0];
      if (first === undefined || first.atMs > endMs) break;
      this.#move(Math.max(first.atMs, this.#monotonicMs));
      first.wake();
    }
    this.#move(endMs);
  }

  #move(toMs: number): void {
    this.#nowMs += toMs - this.#monotonicMs;
    this.#monotonicMs = toMs;
  }
}
