/**
 * Non-negative integers as decimal digits in a buffer.
 *
 * May import: core.
 */

/** Digits of the largest safe integer: what a caller reserves. */
export const DECIMAL_BYTES_MAX = 16;

const PIECE = 100_000_000;

/**
 * Writes `value` without leading zeros.
 *
 * @param value an integer from 0 to 2^53 - 1
 * @returns the position after the last digit
 */
export function writeDecimal(out: Uint8Array, at: number, value: number): number {
  // Small integers take V8's 32-bit path; offsets past 100 MB are written in two pieces.
  if (value < PIECE) return writeDigits(out, at, digitCount(value), value);
  const high = Math.floor(value / PIECE);
  return writeDigits(out, writeDecimal(out, at, high), 8, value - high * PIECE);
}

function digitCount(value: number): number {
  if (value < 10_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : 4;
  return value < 1_000_000 ? (value < 100_000 ? 5 : 6) : value < 10_000_000 ? 7 : 8;
}

function writeDigits(out: Uint8Array, at: number, digits: number, value: number): number {
  const end = at + digits;
  let rest = value | 0;
  for (let i = end - 1; i >= at; i -= 1) {
    const tenth = (rest / 10) | 0;
    out[i] = 48 + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}
