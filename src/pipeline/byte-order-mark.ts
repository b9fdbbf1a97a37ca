/**
 * The mark that a file may begin with (Unicode Standard, section 23.8; RFC 3629, section 6): of UTF-8 it says nothing that we do not know and
 * would spoil the first line (a JSON text must not begin with it: RFC 8259, section 8.1), of UTF-16 it says that the file is no text to us. Pure.
 *
 * May import: nothing.
 */

/** Bytes of the mark of UTF-8. */
const UTF8_MARK = [0xef, 0xbb, 0xbf] as const;

/**
 * Where the mark of UTF-8 ends that stands in `buffer` at `from`; `from` when there is none before `to`.
 *
 * @param from where the file begins
 */
export function utf8MarkEnd(buffer: Buffer, from: number, to: number): number {
  const end = from + UTF8_MARK.length;
  return end <= to && UTF8_MARK.every((byte, i) => buffer[from + i] === byte) ? end : from;
}

/** Does the file that begins at `from` begin with the mark of UTF-16, in either order, or with that of UTF-32 in the usual one? */
export function hasUtf16Mark(buffer: Buffer, from: number, to: number): boolean {
  if (to - from < 2) return false;
  const mark = buffer.readUInt16BE(from);
  return mark === 0xfffe || mark === 0xfeff;
}
