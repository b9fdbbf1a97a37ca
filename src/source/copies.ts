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
 * Could the candidate have been made before the inode of `fd` was last changed? What was made later is no copy of what stood there before
 * a truncation: truncating and deleting change the inode (inode(7), ctime). Both times come from the file system's own clock.
 */
export function isOlderThanLastChange(candidate: FileIdentity, fd: number): boolean {
  return BigInt(candidate.birthUs) <= fstatSync(fd, { bigint: true }).ctimeNs / 1000n;
}

/** A copy of an original whose bytes are gone, known by its head and by the bytes before every position that was reached. */
export function isCopyOfTruncated(
  candidate: OpenedFile,
  original: { identity: FileIdentity; head: Head; anchors: readonly Anchor[] },
): boolean {
  if (!isYounger(candidate.identity, original.identity)) return false;
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
