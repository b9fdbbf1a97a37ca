/**
 * What stands in a file and is no record of it: a byte order mark or a hole at its beginning, and what completes a record of the file before.
 *
 * May import: pipeline.
 */
import { utf8MarkEnd } from './byte-order-mark.ts';
import type { Cursor } from './cursor.ts';
import { holeEnd } from './nul-hole.ts';

export type Passed = 'nul_hole' | 'byte_order_mark' | 'torn_line';

const NOTHING_BEFORE = Buffer.alloc(0);

/**
 * Where the first record of a file may begin whose first bytes are `buffer[from, to)`: behind a mark or a hole; `to` when they are nothing else.
 */
export function firstRecordAt(buffer: Buffer, from: number, to: number): number {
  const markEnd = utf8MarkEnd(buffer, from, to);
  return markEnd > from ? markEnd : holeEnd(buffer, from, to, NOTHING_BEFORE);
}

/**
 * What is to be passed over where the cursor stands; undefined when nothing is.
 *
 * @param lead where the cursor's next byte stands in the buffer
 * @param end where the bytes in the buffer end
 * @returns up to which place of the buffer, which may be less than all of it
 */
export function passAt(
  cursor: Cursor,
  buffer: Buffer,
  lead: number,
  end: number,
): { readonly passes: Passed; readonly to: number } | undefined {
  const { read, skipTo, object, tail } = cursor;
  if (skipTo > read) return end === lead ? undefined : { passes: 'torn_line', to: Math.min(end, lead + skipTo - read) };
  // A promised request keeps its bytes, and where it is not known what stands before, nothing is passed over.
  if (object !== undefined || (read > 0 && tail.length === 0)) return undefined;
  const limit = Math.min(end, lead + cursor.border - read);
  const markEnd = read === 0 ? utf8MarkEnd(buffer, lead, limit) : lead;
  if (markEnd > lead) return { passes: 'byte_order_mark', to: markEnd };
  const to = holeEnd(buffer, lead, limit, tail);
  return to === lead ? undefined : { passes: 'nul_hole', to };
}
