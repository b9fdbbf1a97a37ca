/**
 * A wait that anybody can end early. May import: core.
 */
import type { Clock } from '../core/clock.ts';

/** A reason of our own: the default one is an exception with a stack, made for each call. */
const CALLED = Symbol('called');

export class Wake {
  #sleeper: AbortController | undefined;
  #called = false;

  /** Ends the current wait, or the next one if nobody waits. Cheap: callers are on hot paths. */
  call(): void {
    this.#called = true;
    this.#sleeper?.abort(CALLED);
  }

  /** Waits until called, at most `ms`. One waiter at a time. */
  async wait(clock: Clock, ms: number): Promise<void> {
    if (!this.#called) {
      this.#sleeper = new AbortController();
      await clock.sleep(ms, this.#sleeper.signal);
      this.#sleeper = undefined;
    }
    this.#called = false;
  }
}
