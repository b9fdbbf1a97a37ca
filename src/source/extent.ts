/**
 * How far an open file goes, what it begins and ends with, and whether it still is what was read of it.
 *
 * Everything here asks the file itself and changes nothing; a read that fails throws the system's error unless said otherwise.
 * May import: node:, source.
 */
import { fstatSync } from 'node:fs';

import { anchorAt, fitsAnchor, fitsHead, HEAD_BYTES_MAX, NO_HEAD, readHead } from './identity.ts';
import type { SourceFile } from './source-file.ts';

export type Extent = Pick<SourceFile, 'size' | 'head' | 'end'>;

export const NO_EXTENT: Extent = { size: 0, head: NO_HEAD, end: { offset: 0, hash: '' } };

export function readExtent(fd: number, size: number): Extent {
  return size === 0 ? NO_EXTENT : { size, head: readHead(fd), end: anchorAt(fd, size) };
}

/** The extent of a source that grew to `size`; undefined when what stands before its old end is not what was there. */
export function grownExtent(fd: number, source: Extent, size: number): Extent | undefined {
  // However alike beginnings are: the bytes before the old end tell whether it is the same file that grew.
  const isShort = source.head.length < HEAD_BYTES_MAX;
  if (!fitsAnchor(fd, source.end) || (isShort && !fitsHead(fd, source.head))) return undefined;
  return { size, head: isShort ? readHead(fd) : source.head, end: anchorAt(fd, size) };
}

/** Does the file still hold what was read of it? */
export function isIntact(fd: number, source: SourceFile): boolean {
  return fitsHead(fd, source.head) && fitsAnchor(fd, source.anchor) && fitsAnchor(fd, source.end);
}

/** Has the open file no name left anywhere? Then no scan needs to confirm it. What cannot be asked has one. */
export function isDeleted({ fd }: SourceFile): boolean {
  if (fd === undefined) return false;
  try {
    return fstatSync(fd).nlink === 0;
  } catch {
    return false;
  }
}

/** Is an open file longer than what is known of it? What cannot be asked is not. */
export function hasGrown({ fd, size }: SourceFile): boolean {
  try {
    return fd !== undefined && fstatSync(fd).size > size;
  } catch {
    return false;
  }
}
