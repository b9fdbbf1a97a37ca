/**
 * A range of code points as sequences of byte ranges: what a byte automaton reads for it. Pure.
 *
 * Each sequence matches exactly the UTF-8 of a part of the range (RFC 3629 section 4). May import: nothing.
 */
import type { Range } from './code-points.ts';

/** First byte first. */
export type ByteSequence = readonly Range[];

/** Last code points of one, two, three and four bytes. */
const LAST_OF_LENGTH = [0x7f, 0x7ff, 0xffff, 0x10ffff];

/** The sequences of `[from, to]`, which holds no surrogate. */
export function byteSequences([from, to]: Range): ByteSequence[] {
  const sequences: ByteSequence[] = [];
  let low = from;
  for (const last of LAST_OF_LENGTH) {
    if (low > to) break;
    if (low > last) continue;
    split(low, Math.min(to, last), sequences);
    low = last + 1;
  }
  return sequences;
}

/** Both ends have the same number of bytes. Cut until every trailing byte runs over its whole range or stands still. */
function split(from: number, to: number, into: ByteSequence[]): void {
  for (let bits = 6; bits <= 18; bits += 6) {
    const mask = (1 << bits) - 1;
    if (to <= 0x7f || (from & ~mask) === (to & ~mask)) continue;
    if ((from & mask) !== 0) {
      split(from, from | mask, into);
      split((from | mask) + 1, to, into);
      return;
    }
    if ((to & mask) !== mask) {
      split(from, (to & ~mask) - 1, into);
      split(to & ~mask, to, into);
      return;
    }
  }
  const low = Buffer.from(String.fromCodePoint(from));
  const high = Buffer.from(String.fromCodePoint(to));
  into.push(Array.from(low, (byte, i) => [byte, high[i] ?? byte] as const));
}
