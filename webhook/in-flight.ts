/**
 * The byte budget of all requests that are being read or decided.
 *
 * Invariants: what is taken is given back exactly once; the sum never passes the limit. May import: core.
 */
import type { Gauge } from '../src/core/metrics.ts';

/** A request's share of the budget. */
export interface Share {
  /** Takes more; false when the budget does not allow it. */
  take(bytes: number): boolean;
  /** Gives everything back; calling it again does nothing. */
  release(): void;
}

/** Opens shares of one budget. */
export function createBudget(options: { readonly bytesMax: number; readonly gauge: Gauge }): { open(): Share } {
  let used = 0;
  const move = (bytes: number): void => {
    used += bytes;
    options.gauge.set(used);
  };
  return {
    open: () => {
      let own = 0;
      return {
        take: (bytes) => {
          if (used + bytes > options.bytesMax) return false;
          own += bytes;
          move(bytes);
          return true;
        },
        release: () => {
          if (own > 0) move(-own);
          own = 0;
        },
      };
    },
  };
}
