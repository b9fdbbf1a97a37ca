/**
 * The sources that the checkpoint knows and that are not found again yet.
 *
 * Invariant: a file gets its old id back only when everything that was acknowledged or sent of it still stands there as it was.
 * May import: source.
 */
import { isCopyOfTruncated, lastChangeUs } from './copies.ts';
import type { Sighting } from './directory-scan.ts';
import { fitsAnchor, fitsHead } from './identity.ts';
import type { FileIdentity, OpenedFile } from './identity.ts';
import type { KnownSource } from './source-file.ts';

export class KnownSources {
  #waiting: KnownSource[];
  /** Their inode holds other bytes now: only a copy can bring them back. */
  #truncated: KnownSource[];

  constructor(known: readonly KnownSource[]) {
    this.#waiting = known.filter(({ orphan }) => !orphan);
    this.#truncated = known.filter(({ orphan }) => orphan);
  }

  /** What another checkpoint knows. */
  add(known: readonly KnownSource[]): void {
    this.#waiting.push(...known.filter(({ orphan }) => !orphan));
    this.#truncated.push(...known.filter(({ orphan }) => orphan));
  }

  /** Forgets those of a checkpoint without a word. */
  remove(positions: string): void {
    this.#waiting = this.#waiting.filter((known) => known.positions !== positions);
    this.#truncated = this.#truncated.filter((known) => known.positions !== positions);
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#truncated.length === 0;
  }

  /** May the file be one of them? */
  mayHold(sighting: Sighting): boolean {
    return this.#waiting.some((known) => mayBe(known, sighting));
  }

  /** The source that the file is, if it is one. Of several generations of one inode the newest that fits; the others are truncated. */
  claim(sighting: Sighting, opened: OpenedFile): KnownSource | undefined {
    const candidates = this.#waiting.filter((known) => mayBe(known, sighting));
    // All that may fail is asked before anything is changed.
    const found = candidates.findLast((known) => isUnchanged(opened, known));
    const truncatedUs = lastChangeUs(opened.fd);
    this.#waiting = this.#waiting.filter((known) => !candidates.includes(known));
    for (const known of candidates) if (known !== found) this.#truncated.push({ ...known, truncatedUs });
    return found;
  }

  /**
   * The truncated source whose copy the file is. Not one that is gone altogether: apps begin with the same lines again and again, and
   * lines twice are better than lines never.
   */
  claimCopy(
    sighting: Sighting,
    opened: OpenedFile,
    isOlderName: (original: KnownSource) => boolean,
  ): KnownSource | undefined {
    const fitting = this.#truncated.filter(
      (original) =>
        original.container === sighting.container &&
        original.path === sighting.base?.path &&
        isOlderName(original) &&
        isCopyOfTruncated(opened, original),
    );
    // Of several generations that begin alike the last one was copied.
    const found = fitting.toSorted((one, other) => one.order - other.order).at(-1);
    this.#truncated = this.#truncated.filter((known) => known !== found);
    return found;
  }

  /**
   * Those that were not found; they are forgotten.
   *
   * @param isHidden nobody looked yet where it may be
   */
  giveUp(isHidden: (known: KnownSource) => boolean): readonly KnownSource[] {
    const missing = [...this.#waiting, ...this.#truncated].filter((known) => !isHidden(known));
    this.#waiting = this.#waiting.filter(isHidden);
    this.#truncated = this.#truncated.filter(isHidden);
    return missing;
  }
}

/**
 * By inode and birth: the device number of the same disk may change when the node starts again. What a volume's checkpoint knows lies on that
 * volume, which has another device number on another node.
 */
function mayBe({ identity, container, positions }: KnownSource, sighting: Sighting): boolean {
  const { ino, dev, birthUs } = sighting.identity;
  if (identity.ino !== ino || container !== sighting.container || !isSameBirth(identity, sighting.identity))
    return false;
  if (positions !== undefined) return positions === sighting.positions;
  return identity.dev === dev || (identity.birthUs > 0 && birthUs > 0);
}

/** Births that are not known count as equal. */
export function isSameBirth(a: FileIdentity, b: FileIdentity): boolean {
  return a.birthUs === 0 || b.birthUs === 0 || a.birthUs === b.birthUs;
}

function isUnchanged(opened: OpenedFile, known: KnownSource): boolean {
  if (!isSameBirth(opened.identity, known.identity)) return false;
  if (opened.size < known.head.length || !fitsHead(opened.fd, known.head)) return false;
  return known.anchors.every((anchor) => (known.copy && anchor.offset > opened.size) || fitsAnchor(opened.fd, anchor));
}
