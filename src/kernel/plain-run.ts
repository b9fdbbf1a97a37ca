/**
 * Finds the end of a run of bytes that stand for themselves inside a JSON string, four bytes a step.
 *
 * Plain means: not below 0x20, not `"`, not `\` (RFC 8259 section 7). Bytes from 0x80 are plain: UTF-8 is checked elsewhere.
 * The test on a whole word is the carry trick of "Bit Twiddling Hacks" (S. E. Anderson, public domain, haszero/hasless): exact up
 * to the first hit, which is all that is asked of it. May import: core.
 */

/** 1 for each byte that must be escaped inside a JSON string. */
export const ESCAPED: Readonly<Uint8Array> = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === 0x22 || byte === 0x5c ? 1 : 0,
);

/** Non-zero when one of the four bytes of `word` is below 0x20, `"` or `\`. */
export function wordHasEscape(word: number): number {
  const backslash = word ^ 0x5c5c5c5c;
  // Flipping bit 1 puts `"` (0x22) at 0x20, beside the control bytes, and moves nothing else below 0x21.
  return ((((word ^ 0x02020202) - 0x21212121) & ~word) | ((backslash - 0x01010101) & ~backslash)) & 0x80808080;
}

/** The first position in [at, to) whose byte is not plain, or `to`. `view` covers the same bytes as `input`. */
export function plainRunEnd(input: Uint8Array, view: DataView, at: number, to: number): number {
  let i = at;
  for (const last = to - 4; i <= last; i += 4) if (wordHasEscape(view.getInt32(i, true)) !== 0) break;
  while (i < to && ESCAPED[input[i] ?? 0] === 0) i += 1;
  return i;
}
