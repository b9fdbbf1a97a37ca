/**
 * The sources that the checkpoint knows and that are not found again yet.
 *
 * Invariant: a file gets its old id back only when everything that was acknowledged or sent of it still stands there as it was.
 * May import: source.
 */
import { isCopyOfTruncated } from './copies.ts';
import type { Sighting } from './directory-scan.ts';
import { fitsAnchor, fitsHead } from './identity.ts';
import type { FileIdentity, OpenedFile } from './identity.ts';
import type { KnownSource } from './source-file.ts';

export class KnownSources {
  #waiting: KnownSource[];
  /** Their inode holds other bytes now: only a copy can bring them back. */
  #truncated: KnownSource[];

  readonly #isOneVolume: boolean;

  /** @param isOneVolume all of them lie on one volume, which has another device number on another node */
  constructor(known: readonly KnownSource[], isOneVolume = false) {
    this.#isOneVolume = isOneVolume;
    this.#waiting = known.filter(({ orphan }) => !orphan);
    this.#truncated = known.filter(({ orphan }) => orphan);
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#truncated.length === 0;
  }

  /** May the file be one of them? */
  mayHold(sighting: Sighting): boolean {
    return this.#waiting.some((known) => mayBe(known, sighting, this.#isOneVolume));
  }

  /** The source that the file is, if it is one. Of several generations of one inode the newest that fits; the others are truncated. */
  claim(sighting: Sighting, opened: OpenedFile): KnownSource | undefined {
    const candidates = this.#waiting.filter((known) => mayBe(known, sighting, this.#isOneVolume));
    const found = candidates.findLast((known) => isUnchanged(opened, known));
    this.#waiting = this.#waiting.filter((known) => !candidates.includes(known));
    this.#truncated.push(...candidates.filter((known) => known !== found));
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
    const found = this.#truncated.find(
      (original) =>
        original.container === sighting.container &&
        original.path === sighting.base?.path &&
        isOlderName(original) &&
        isCopyOfTruncated(opened, original),
    );
    this.#truncated = this.#truncated.filter((known) => known !== found);
    return found;
  }

  /** Those that were not found; they are forgotten. */
  giveUp(): readonly KnownSource[] {
    const missing = [...this.#waiting, ...this.#truncated];
    this.#waiting = [];
    this.#truncated = [];
    return missing;
  }
}

/** By inode and birth: the device number of the same disk may change when the node starts again. */
function mayBe({ identity, container }: KnownSource, sighting: Sighting, isOneVolume: boolean): boolean {
  const { ino, dev, birthUs } = sighting.identity;
  if (identity.ino !== ino || container !== sighting.container || !isSameBirth(identity, sighting.identity))
    return false;
  return isOneVolume || identity.dev === dev || (identity.birthUs > 0 && birthUs > 0);
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
