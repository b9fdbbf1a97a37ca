/**
 * Where UTF-8 sequences begin and end, for bytes that may be anything.
 *
 * Rule: WHATWG Encoding Standard, "UTF-8 decoder": an ill-formed run is replaced by one U+FFFD per maximal subpart.
 * May import: core.
 */

/** U+FFFD as UTF-8. */
export const REPLACEMENT: readonly [number, number, number] = [0xef, 0xbf, 0xbd];

/** A byte that does not begin a character (RFC 3629). */
export function isContinuation(byte = 0): boolean {
  return (byte & 0xc0) === 0x80;
}

/**
 * Length of the well-formed sequence that begins at `at`, 1 to 4; for an ill-formed one the length of its maximal subpart,
 * negated (-1 to -3).
 */
export function sequenceLength(input: Uint8Array, at: number, to: number): number {
  const lead = input[at] ?? 0;
  if (lead < 0x80) return 1;
  const need = lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 0;
  if (need === 0) return -1;
  // The second byte is narrower after E0 (overlong), ED (surrogates), F0 (overlong), F4 (above U+10FFFF).
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let n = 1; n <= need; n += 1) {
    const byte = at + n < to ? (input[at + n] ?? 0) : 0;
    if (byte < (n === 1 ? low : 0x80) || byte > (n === 1 ? high : 0xbf)) return -n;
  }
  return need + 1;
}

/**
 * The last place at or before `limit` (and after `from`) that does not stand inside a well-formed sequence; `limit` itself when
 * the bytes there are ill-formed anyway. A long line is cut there.
 */
export function boundaryBefore(input: Uint8Array, from: number, limit: number): number {
  for (let back = 1; back <= 3 && limit - back > from; back += 1) {
    const byte = input[limit - back] ?? 0;
    if (byte < 0x80) return limit;
    if (byte < 0xc0) continue;
    return sequenceLength(input, limit - back, input.length) > back ? limit - back : limit;
  }
  return limit;
}
