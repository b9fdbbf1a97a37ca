/**
 * The hole that a file begins with when it was cut off under a writer that keeps its own offset (`copytruncate` without O_APPEND): NUL bytes
 * up to where the writer stood, often sparse, sometimes gigabytes. They are no text of anybody. Pure.
 *
 * May import: core.
 */

/**
 * Where the hole ends in `buffer[from, to)`; `from` when there is none. It may go on behind `to`.
 *
 * @param before the bytes right before `from`, as many as are kept; none at the beginning of the file
 */
export function holeEnd(buffer: Buffer, from: number, to: number, before: Buffer): number {
  if (!isHollow(before, 0, before.length)) return from;
  let at = from;
  while (at < to && buffer[at] === 0) {
    // Comparing a page with itself, one byte further, runs at the speed of memory.
    const page = Math.min(to, at + PAGE_BYTES);
    if (isHollow(buffer, at, page)) at = page;
    else while (at < page && buffer[at] === 0) at += 1;
  }
  return at;
}

const PAGE_BYTES = 4096;

function isHollow(buffer: Buffer, from: number, to: number): boolean {
  if (to === from) return true;
  return buffer[from] === 0 && buffer.compare(buffer, from, to - 1, from + 1, to) === 0;
}
