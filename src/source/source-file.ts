/**
 * One file at one generation: an open descriptor, what is known of its identity, and where it stands in the life of a log file.
 *
 * live <-> resting (quiet, all acknowledged, no descriptor; see descriptors.ts). Live -> detached (renamed or deleted) -> sealed (read to
 * its end and quiet) -> parked (still visible, all acknowledged, no descriptor) or ended. An orphan is a generation whose bytes are gone (the file was truncated); it ends when what was read of it is acknowledged,
 * unless a copy of it is found. Owned by the FileSet; lanes read it and tell it how far they came.
 * May import: core, source.
 */
import type { SourceInfo } from '../core/record.ts';
import type { Sighting } from './directory-scan.ts';
import type { Anchor, FileIdentity, Head } from './identity.ts';

export type SourceState = 'open' | 'resting' | 'parked' | 'orphan' | 'ended';

/** What the checkpoint knows of a source when we start. */
export interface KnownSource {
  readonly id: string;
  readonly container: string;
  readonly path: string;
  /** The folder on a volume whose checkpoint knows it; undefined: the pod's own does. */
  readonly positions: string | undefined;
  readonly identity: FileIdentity;
  readonly head: Head;
  /** A copy that stands for a truncated original: it may be shorter than what was read of the original. */
  readonly copy: boolean;
  /** Its file was truncated: what stands under its inode now is another generation. */
  readonly orphan: boolean;
  /** It was truncated by then, by the file system's clock, microseconds since the epoch: a copy of it was made before. */
  readonly truncatedUs?: number | undefined;
  /** Its place among the sources of its path: smaller is older. */
  readonly order: number;
  /** Where each lane had its last acknowledgement. */
  readonly anchors: readonly Anchor[];
}

export interface SourceFile {
  /** Replaced when the same bytes must go out under another id (see FileSet.regenerate). */
  info: SourceInfo;
  /** The folder on a volume whose checkpoint keeps it; undefined: the pod's own does. */
  readonly positions: string | undefined;
  identity: FileIdentity;
  head: Head;
  /** Undefined: there is nothing (more) to read from. */
  fd: number | undefined;
  state: SourceState;
  /** Bytes that the file is known to hold. */
  size: number;
  /** Hash of the bytes before `size`: what grew must still begin with what was there. */
  end: Anchor;
  /** Time of the last write that was noticed, milliseconds since the epoch. */
  mtimeMs: number;
  /** The time of its last write as the scan saw it when the file was last asked about; -1 before that. */
  seenMtimeNs: bigint;
  /** The sidecar's name of it when it was last seen; undefined once it is gone. */
  name: string | undefined;
  /** Place among the sources of its path: smaller is older. Given once: names and times change, the order of what was written does not. */
  order: number;
  /** When a whole scan did not see it for the first time since it was last seen, on the monotonic clock. */
  missedAt: number | undefined;
  /** Rotation rank of its name at the last scan. */
  rank: number;
  /** When the app's path was first seen to lead elsewhere, on the monotonic clock. */
  detachedAt: number | undefined;
  /** When it was noticed that no name is left of the open file, on the monotonic clock. */
  deletedAt: number | undefined;
  /** When its last growth was noticed, on the monotonic clock. */
  grewAt: number;
  /** That growth was written after this time, on the monotonic clock. */
  grewAfter: number;
  /** Detached, read to its end as far as we know, and quiet: its last line is complete even without a newline. */
  sealed: boolean;
  copy: boolean;
  /** It was truncated by then, by the file system's clock, microseconds since the epoch; undefined where that is not known. */
  truncatedUs: number | undefined;
  /** An orphan that still waits for the scan that may find its copy. */
  awaitsCopy: boolean;
  /** A copy of it that stands beside it: it takes over when the original goes. */
  copySeen: Sighting | undefined;
  /** The furthest position that any lane read, with the hash of the bytes before it. */
  anchor: Anchor;
}
