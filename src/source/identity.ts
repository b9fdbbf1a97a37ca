/**
 * What makes a file the same file: device and inode, time of birth, a growing hash of its head, a hash of the bytes before a position.
 *
 * Invariant: an id is derived from a random epoch (one for each start) and a counter, so it can never come out twice, even where
 * the saved state was lost; the ids of known files come from the checkpoint.
 * May import: core, node:.
 */
import { hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes of the head that identify a file: more than the longest banner that loggers repeat at each start. */
export const HEAD_BYTES_MAX = 1024;

/** Bytes before a position that must not change. Longer than most lines, small enough to be kept for each source in memory. */
export const TAIL_BYTES_MAX = 256;

/** Device and inode as decimal text (both may exceed 2^53), birth in microseconds since the epoch, 0 where the file system has none. */
export interface FileIdentity {
  readonly dev: string;
  readonly ino: string;
  readonly birthUs: number;
}

/** SHA-256 of the first `length` bytes. Grows with the file up to HEAD_BYTES_MAX. */
export interface Head {
  readonly length: number;
  readonly hash: string;
}

/** Hash of up to TAIL_BYTES_MAX bytes before `offset`. */
export interface Anchor {
  readonly offset: number;
  readonly hash: string;
}

export const NO_HEAD: Head = { length: 0, hash: '' };

export function keyOf(identity: FileIdentity): string {
  return `${identity.dev}:${identity.ino}`;
}

/** 96 bits of SHA-256 as 16 characters: short in every record, and a collision needs 2^48 sources. */
export function digest(bytes: Buffer | string): string {
  // Twelve bytes are those characters. A part of the longer text would keep all of it in memory, some for each file.
  return hash('sha256', bytes, 'buffer').toString('base64url', 0, 12);
}

/** The id of a source; every part is in it so that two pods, containers, files or generations never share one. */
export function sourceId(parts: {
  uid: string;
  container: string;
  identity: FileIdentity;
  epoch: string;
  generation: number;
}): string {
  const { uid, container, identity, epoch, generation } = parts;
  return digest(JSON.stringify([uid, container, identity.dev, identity.ino, epoch, generation]));
}

export interface OpenedFile {
  readonly fd: number;
  readonly identity: FileIdentity;
  readonly size: number;
}

/**
 * Opens for reading and says what was really opened (the name may lead elsewhere since it was listed). Undefined for what is no
 * regular file. Throws the system's error. O_NONBLOCK: a FIFO must not stop us.
 */
export function openFile(path: string): OpenedFile | undefined {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let isKept = false;
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isFile()) return undefined;
    isKept = true;
    const identity = { dev: String(stat.dev), ino: String(stat.ino), birthUs: Number(stat.birthtimeNs / 1000n) };
    return { fd, identity, size: Number(stat.size) };
  } finally {
    if (!isKept) closeSync(fd);
  }
}

/** Reads until `length` bytes stand in the buffer or the file ends; gives how many there are. */
export function readAt(fd: number, buffer: Buffer, length: number, position: number): number {
  let got = 0;
  while (got < length) {
    const n = readSync(fd, buffer, got, length - got, position + got);
    if (n === 0) break;
    got += n;
  }
  return got;
}

const scratch = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX);

/** Head of an open file, of at most `length` bytes. */
export function readHead(fd: number, length = HEAD_BYTES_MAX): Head {
  const got = readAt(fd, scratch, Math.min(length, HEAD_BYTES_MAX), 0);
  return got === 0 ? NO_HEAD : { length: got, hash: digest(scratch.subarray(0, got)) };
}

/** Does the file still begin with this head? An empty head fits every file. */
export function fitsHead(fd: number, head: Head): boolean {
  if (head.length === 0) return true;
  const now = readHead(fd, head.length);
  return now.length === head.length && now.hash === head.hash;
}

/** Hash of the bytes before `offset`; undefined when the file is shorter than that. */
export function readAnchor(fd: number, offset: number): Anchor | undefined {
  const length = Math.min(offset, TAIL_BYTES_MAX);
  if (length === 0) return { offset, hash: '' };
  const got = readAt(fd, scratch, length, offset - length);
  return got < length ? undefined : { offset, hash: digest(scratch.subarray(0, length)) };
}

/** Anchor at `offset`, or at the file's end where it is shorter than that by now. */
export function anchorAt(fd: number, offset: number): Anchor {
  return readAnchor(fd, offset) ?? { offset: 0, hash: '' };
}

/** Do the bytes before the anchor's offset still say what they said? */
export function fitsAnchor(fd: number, anchor: Anchor): boolean {
  return readAnchor(fd, anchor.offset)?.hash === anchor.hash;
}
