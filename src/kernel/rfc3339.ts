/**
 * Times as RFC 3339 with milliseconds in UTC (`2026-01-31T23:59:59.999Z`) in a buffer.
 *
 * Invariants: always 24 bytes; a time outside of the years 0000 to 9999 is held at that border. May import: core.
 */
import { writeDecimal } from './decimal.ts';

export const RFC3339_BYTES = 24;

const FIRST_MS = new Date('0000-01-01T00:00:00.000Z').getTime();
const LAST_MS = new Date('9999-12-31T23:59:59.999Z').getTime();

/** Remembers the last second, because lines come in runs of equal seconds. */
export class Rfc3339Writer {
  readonly #text = Buffer.alloc(RFC3339_BYTES);
  #second = Number.NaN;

  /** Writes the time `timeMs` (milliseconds since the epoch) at `at`; returns the position after it. */
  write(out: Uint8Array, at: number, timeMs: number): number {
    const held = Math.min(Math.max(Math.floor(timeMs), FIRST_MS), LAST_MS);
    const second = Math.floor(held / 1000);
    if (second !== this.#second) {
      this.#text.write(new Date(second * 1000).toISOString(), 0, 'latin1');
      this.#second = second;
    }
    const ms = held - second * 1000;
    if (ms < 100) this.#text[20] = 48;
    if (ms < 10) this.#text[21] = 48;
    writeDecimal(this.#text, ms < 10 ? 22 : ms < 100 ? 21 : 20, ms);
    out.set(this.#text, at);
    return at + RFC3339_BYTES;
  }
}
