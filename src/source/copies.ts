/**
 * Tells a copy of a file (logrotate's `copytruncate`) from a file of its own, so that its lines are not shipped again, and so that what
 * was not yet read when the original was truncated is read from the copy.
 *
 * A copy is born later than its original and holds the same bytes. Where the file system has no birth times nothing is called a copy:
 * lines twice are better than lines lost. May import: source, node:.
 */
import { fstatSync } from 'node:fs';
import { fitsAnchor, fitsHead, readAnchor, readHead } from './identity.ts';
import type { Anchor, FileIdentity, Head, OpenedFile } from './identity.ts';

/** Was the candidate made after the original? */
function isYounger(candidate: FileIdentity, original: FileIdentity): boolean {
  return original.birthUs > 0 && candidate.birthUs > original.birthUs;
}

/**
 * When the inode of `fd` was last changed, in microseconds since the epoch. A file that was seen to be truncated was so by then (inode(7),
 * ctime), and its copy was made before: both times are the file system's. Where they are of two clocks (a share with cached attributes) a copy
 * may be taken for a file of its own, and lines come twice.
 */
export function lastChangeUs(fd: number): number {
  return Number(fstatSync(fd, { bigint: true }).ctimeNs / 1000n);
}

/** An original whose bytes are gone. */
export interface TruncatedFile {
  readonly identity: FileIdentity;
  readonly head: Head;
  /** Positions that were reached, with the bytes before them. */
  readonly anchors: readonly Anchor[];
  /** It was truncated by then, microseconds since the epoch; undefined where that is not known. */
  readonly truncatedUs?: number | undefined;
}

/** A copy of such an original, known by its head and by the bytes before every position that was reached. */
export function isCopyOfTruncated(candidate: OpenedFile, original: TruncatedFile): boolean {
  const { truncatedUs = Number.POSITIVE_INFINITY } = original;
  if (!isYounger(candidate.identity, original.identity) || candidate.identity.birthUs > truncatedUs) return false;
  if (original.head.length === 0 || candidate.size < original.head.length || !fitsHead(candidate.fd, original.head))
    return false;
  return original.anchors.every((anchor) => fitsAnchor(candidate.fd, anchor));
}

/** A copy, perhaps still being made, of an original that stands as it was: the candidate is a beginning of the original. */
export function isCopyOfLive(
  candidate: OpenedFile,
  original: { identity: FileIdentity; fd: number; size: number },
): boolean {
  if (!isYounger(candidate.identity, original.identity)) return false;
  if (candidate.size === 0 || candidate.size > original.size) return false;
  if (!fitsHead(original.fd, readHead(candidate.fd, candidate.size))) return false;
  const end = readAnchor(candidate.fd, candidate.size);
  return end !== undefined && fitsAnchor(original.fd, end);
}
