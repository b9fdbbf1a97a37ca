/**
 * How much of a buffer is whole lines: the only place that knows where a record may end. Pure.
 *
 * May import: core.
 */
import { LINE_BYTES_MAX } from '../core/limits.ts';

const NEWLINE = 0x0a;

/**
 * End of the next run of whole lines in `buffer[from, to)`, none of them longer than `lineBytesMax` without its newline.
 *
 * A line that is longer ends at that size, at the last UTF-8 boundary before it. The result is `from` when the bytes are an incomplete
 * line that may still grow; with `atEnd` nothing more will come, and it counts as a line.
 */
export function lineCut(
  buffer: Buffer,
  from: number,
  to: number,
  atEnd: boolean,
  lineBytesMax: number = LINE_BYTES_MAX,
): number {
  const window = Math.min(to, from + lineBytesMax + 1);
  const newline = window === from ? -1 : buffer.lastIndexOf(NEWLINE, window - 1);
  if (newline >= from) return newline + 1;
  if (to - from > lineBytesMax) return characterBoundary(buffer, from + lineBytesMax);
  return atEnd ? to : from;
}

/** The last position at or before `at` where a UTF-8 character begins (RFC 3629: at most three continuation bytes), else `at`. */
function characterBoundary(buffer: Buffer, at: number): number {
  for (let cut = at; cut > at - 4; cut -= 1) if (((buffer[cut] ?? 0) & 0xc0) !== 0x80) return cut;
  return at;
}
