/**
 * Spreads requests over time, so that many sidecars stay below the account's quota: pure.
 *
 * The generic cell rate algorithm (ITU-T I.371, annex A) with a burst of one second. May import: nothing.
 */
export class Pacer {
  readonly #spacingMs: number;
  readonly #burstMs: number;
  /** When the next request would be due if all came at the rate. */
  #dueMs = Number.NEGATIVE_INFINITY;

  /** @param perSecond requests in a second; 0 sets no bound */
  constructor(perSecond: number) {
    this.#spacingMs = perSecond === 0 ? 0 : 1_000 / perSecond;
    this.#burstMs = perSecond === 0 ? 0 : 1_000 - this.#spacingMs;
  }

  /** Books one request at `nowMs` (monotonic) or later; gives how long it has to wait, in milliseconds. */
  book(nowMs: number): number {
    if (this.#spacingMs === 0) return 0;
    const due = Math.max(this.#dueMs, nowMs);
    this.#dueMs = due + this.#spacingMs;
    return Math.max(0, Math.ceil(due - this.#burstMs - nowMs));
  }
}
