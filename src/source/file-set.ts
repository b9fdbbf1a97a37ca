/**
 * The set of files that are read: finds them, keeps them open until every lane has their last byte acknowledged, follows renames, sees
 * truncations, and knows copies.
 *
 * Invariants: an inode has one current owner; a generation never continues over bytes that changed; nothing is closed before it is
 * settled, but for the hold limit, and that is counted. All calls are synchronous: they touch directory entries and page cache, and
 * between two of them the set does not change.
 * May import: core, config, node:, source.
 */
import assert from 'node:assert/strict';
import { closeSync, fstatSync } from 'node:fs';

import type { FileGlob } from '../config/forwarder-config.ts';
import type { Clock } from '../core/clock.ts';
import { HOLD_BYTES_MAX } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { SourceInfo } from '../core/record.ts';
import { Chains } from './chains.ts';
import { isCopyOfLive, isCopyOfTruncated, lastChangeUs } from './copies.ts';
import { ACTIVE_MS, heldFiles, REST_RULE, restable } from './descriptors.ts';
import type { RestRule } from './descriptors.ts';
import { FolderScanner } from './directory-scan.ts';
import type { Scan, Sighting } from './directory-scan.ts';
import { grownExtent, hasGrown, isDeleted, isIntact, NO_EXTENT, readExtent } from './extent.ts';
import type { Extent } from './extent.ts';
import { FileAccess } from './file-access.ts';
import { ForeignEncodings } from './foreign-encodings.ts';
import { anchorAt, fitsAnchor, fitsHead, keyOf, sourceId } from './identity.ts';
import type { Anchor, FileIdentity, OpenedFile } from './identity.ts';
import { isSameBirth, KnownSources } from './known-sources.ts';
import { RotationForecasts } from './rotation-forecast.ts';
import { bestSightings, isHidden } from './sightings.ts';
import type { KnownSource, SourceFile } from './source-file.ts';

/**
 * A detached file that did not grow for this long is sealed. Loggers reopen at the next line or at a signal and flush what they had
 * buffered at once; a second is ten times what that takes on a loaded node. What comes later is still read: under a name that is visible
 * at any time, without one for as long as the descriptor is kept (SEAL_WAIT_MS_MAX of quiet after the deletion was noticed).
 */
export const SEAL_QUIET_MS = 1_000;

/**
 * The file that followed waits for the older one's seal no longer than this: an app that never lets go must not stop its new log. A deleted
 * file is kept open until it was quiet for as long: its writer may hold it a while, and what it writes can be read nowhere else.
 */
export const SEAL_WAIT_MS_MAX = 10_000;

/**
 * A file that no whole scan saw for this long is gone. One scan is not enough: a folder may be listed in the middle of a rename, within
 * one tick of its clock (4 ms and less), and a log that is forgotten and then found again would be shipped a second time.
 */
export const GONE_AFTER_MS = 500;

/** A scan of a pod's folders takes well under a millisecond; a rotation moves a handful of names. */
const SCAN_ATTEMPTS_MAX = 5;

export interface FileSetOptions {
  /** Those with a folder of positions are looked at from its `join` on. */
  readonly files: readonly FileGlob[];
  /** Sources whose path begins so are stdio. */
  readonly stdioRoot?: string | undefined;
  readonly uid: string;
  /** Random for each start of the process. */
  readonly epoch: string;
  /** What the pod's own checkpoint knows. */
  readonly known: readonly KnownSource[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly holdBytesMax?: number;
  readonly rest?: RestRule;
  /** Has every lane read all of the source that can be read, and had it acknowledged? */
  readonly isSettled: (source: SourceFile) => boolean;
  /** Bytes of the source that the slowest lane has not had acknowledged. */
  readonly unsettledBytes: (source: SourceFile) => number;
  /** A source was found again under an id that the checkpoint knows. */
  readonly onRestored: (source: SourceFile) => void;
  /** Identity, head or id changed: the checkpoint must learn it before the next send. */
  readonly onChanged: (source: SourceFile) => void;
  /** Bytes that nobody read are given up (hold limit). Called before the descriptor is closed. */
  readonly onReleased: (source: SourceFile) => void;
  readonly onEnded: (source: SourceFile) => void;
  /** Its bytes are older than what we are to ship. */
  readonly onOlder: (source: SourceFile) => void;
  /** It was closed for now, with nothing left to read. */
  readonly onRested: (source: SourceFile) => void;
  /** A source of the checkpoint is not to be found any more. */
  readonly onVanished: (known: KnownSource) => void;
}

/** What is found in a folder of positions. */
export interface JoinedPositions {
  /** What its checkpoint knows; undefined where it can keep none: then the pod's own keeps the files. */
  readonly known: readonly KnownSource[] | undefined;
  /** Unknown files that were last written before this begin at their end, milliseconds since the epoch. */
  readonly olderThanMs?: number | undefined;
}

export class FileSet {
  readonly #options: FileSetOptions;
  readonly #owners = new Map<string, SourceFile>();
  readonly #sources = new Set<SourceFile>();
  readonly #chains: Chains;
  readonly #known: KnownSources;
  readonly #access: FileAccess;
  readonly #scanner: FolderScanner;
  readonly #forecasts = new RotationForecasts();
  /** By folder of positions: those that joined. */
  readonly #joined = new Map<string, { readonly isKept: boolean; readonly olderThanNs: bigint }>();
  #generation = 0;
  /** When a whole scan first left some of the known sources unfound. */
  #knownMissedAt: number | undefined;
  /** A truncation asks for a scan at once: the copy, if there is one, is already there. */
  scanWanted = false;
  folders: readonly string[] = [];
  /** When a file was last found or seen to grow, on the monotonic clock. */
  grewAt = Number.NEGATIVE_INFINITY;
  /** What is seen to have grown from now on was written after this time, on the monotonic clock: told by whoever looks. */
  grownAfterMs = Number.POSITIVE_INFINITY;
  /** Told by whoever reads a file's beginning. */
  readonly encodings: ForeignEncodings;

  constructor(options: FileSetOptions) {
    this.#options = options;
    this.#known = new KnownSources(options.known);
    this.#chains = new Chains(newestOf(options.known));
    this.#access = new FileAccess({ ...options, onMoved: () => (this.scanWanted = true) });
    this.#scanner = new FolderScanner(options.files);
    this.encodings = new ForeignEncodings(options);
  }

  /** From now on the files are read whose positions belong into that folder. */
  join(positions: string, { known, olderThanMs = 0 }: JoinedPositions): void {
    const olderThanNs = BigInt(Math.trunc(olderThanMs)) * 1_000_000n;
    this.#joined.set(positions, { isKept: known !== undefined, olderThanNs });
    this.#known.add(known ?? []);
    this.#chains.beginAfter(newestOf(known ?? []));
    this.#knownMissedAt = undefined;
    this.scanWanted = true;
  }

  /** From now on they are not, and what is known of them is another process's: they are let go of without a word. */
  leave(positions: string): void {
    this.#joined.delete(positions);
    this.#known.remove(positions);
    for (const source of this.#sources) if (source.positions === positions) this.#drop(source);
    const mounts = this.#options.files.filter((glob) => glob.positions === positions).map(({ mount }) => mount);
    const { unreadable } = this.#access;
    for (const name of unreadable.reasons.keys())
      if (mounts.some((mount) => name === mount || name.startsWith(`${mount}/`))) unreadable.clear(name);
  }

  /** What can be read, one list for each path, older sources first. The same arrays until the next scan or truncation. */
  get chains(): readonly (readonly SourceFile[])[] {
    return this.#chains.list;
  }

  /** The source that followed this one under its path; undefined where none has yet, or where it is done with. */
  successorOf({ info: { container, path }, order }: SourceFile): SourceFile | undefined {
    return this.#chains.of(container, path).find((other) => other.order > order);
  }

  /** The sources of the same path that can be read, older first. */
  chainOf({ info: { container, path } }: SourceFile): readonly SourceFile[] {
    return this.#chains.of(container, path);
  }

  /** Every source that is known, parked ones too. */
  get sources(): Iterable<SourceFile> {
    return this.#sources;
  }

  /** Is a file closed for now, so that only its name can tell whether it grew? */
  get hasResting(): boolean {
    for (const { state } of this.#sources) if (state === 'resting') return true;
    return false;
  }

  /** No file grew lately or is about to be done with: a poll and a sweep have nothing to find that a scan does not. */
  get isAtRest(): boolean {
    const now = this.#options.clock.monotonic();
    if (now - this.grewAt < ACTIVE_MS) return false;
    for (const source of this.#sources)
      if (source.state === 'orphan' || (source.fd !== undefined && isActive(source, now))) return false;
    return true;
  }

  /** Files that cannot be read, with the reason, for /readyz. */
  get problems(): ReadonlyMap<string, string> {
    return this.#access.unreadable.reasons;
  }

  /** Milliseconds until the first unread bytes lose their last name, at the rate of rotations so far; infinite when none do or it is not known. */
  unreadLeftMs(hasUnread: (source: SourceFile) => boolean): number {
    return this.#forecasts.leftMs(this.#sources, hasUnread, this.#options.clock.monotonic());
  }

  /** Looks at all folders: finds new files, follows names, seals, parks and ends. */
  scan(): void {
    this.scanWanted = false;
    const scan = this.#look();
    this.folders = [...new Set(scan.folders)];
    const cut = new Set(scan.problems.map(({ name }) => name));
    for (const folder of this.folders) if (!cut.has(folder)) this.#access.unreadable.clear(folder);
    const seen = bestSightings(scan.sightings, this.#owners);
    this.#followNames(seen, scan);
    const strangers = [...seen.values()].filter(({ key }) => !this.#owners.has(key));
    // An original is known before its copy is looked at.
    strangers.sort((a, b) => a.identity.birthUs - b.identity.birthUs || b.rank - a.rank);
    const awaiting = [...this.#sources].filter(({ awaitsCopy }) => awaitsCopy);
    const fresh = this.#restore(strangers).flatMap((sighting) => this.#adopt(sighting, seen) ?? []);
    // What was cut off has the rank of its copy only now: what was found before that copy was placed without it.
    if (awaiting.some(({ awaitsCopy }) => !awaitsCopy))
      for (const source of fresh) source.order = this.#chains.placeByRank(source, source.rank);
    for (const { name, code } of scan.problems) this.#access.unreadable.report(name, code);
    if (!scan.isTorn) this.#giveUpMissing();
    this.#forecasts.settle(this.#sources);
    this.sweep();
  }

  /** Names that move while they are listed are looked at again at once; under a storm of renames the next scan has better luck. */
  #look(): Scan {
    for (let attempt = 1; ; attempt += 1) {
      const scan = this.#scanner.scan((glob) => this.#isLeftOut(glob));
      if (!scan.isTorn || attempt === SCAN_ATTEMPTS_MAX) return scan;
    }
  }

  /** Asks files for their size: those that a watch named (undefined: all), and those that grew lately. */
  poll(which: { names: ReadonlySet<string> | undefined; active: boolean }): void {
    const { names, active } = which;
    const now = this.#options.clock.monotonic();
    for (const source of this.#sources) {
      if (source.fd === undefined && source.state !== 'resting') continue;
      const named = names === undefined || (source.name !== undefined && names.has(source.name));
      if (source.state === 'resting') {
        // A hint, not a look at everything: that is what a scan is for.
        if (names !== undefined && named) this.#rouse(source);
        continue;
      }
      if (named || (active && isActive(source, now))) this.measure(source);
    }
  }

  /** Asks one open file for its size. */
  measure(source: SourceFile): void {
    const { fd } = source;
    if (fd === undefined) return;
    // A network file system may lose a file that is open; the next scan tells what became of it.
    this.#access.attempt(source, () => {
      const { mtimeMs, size } = fstatSync(fd);
      // Written to and as long as before: cut off and written anew, unless nothing of it has changed.
      const isSuspect = mtimeMs !== source.mtimeMs && size === source.size;
      const isRewritten = isSuspect && !source.copy && !isIntact(fd, source);
      if (isRewritten) this.truncated(source);
      else this.#noteSize(source, fd, size);
      // Last: a suspicion that could not be looked into stays one.
      source.mtimeMs = mtimeMs;
    });
  }

  /** A new size of an open file, from whoever learnt it. Smaller than before means truncated. */
  noteSize(source: SourceFile, size: number): void {
    const { fd } = source;
    if (fd !== undefined) this.#access.attempt(source, () => this.#noteSize(source, fd, size));
  }

  /** All that is read is read before anything is changed: when a read fails the source stays as it is. */
  #noteSize(source: SourceFile, fd: number, size: number): void {
    if (size === source.size) return;
    if (size < source.size) {
      this.truncated(source);
      return;
    }
    const extent = grownExtent(fd, source, size);
    if (extent === undefined) {
      this.truncated(source);
      return;
    }
    Object.assign(source, extent);
    this.#noteGrowth(source);
    source.sealed = false;
  }

  #noteGrowth(source: SourceFile): void {
    const now = this.#options.clock.monotonic();
    source.grewAt = now;
    source.grewAfter = Math.min(now, this.grownAfterMs);
    this.grewAt = now;
  }

  /** The bytes of an open file are not what they were: what follows is another generation, under another id, from offset 0. */
  truncated(source: SourceFile): void {
    const { fd } = source;
    assert(fd !== undefined, 'only an open file can be truncated');
    const { log, metrics, clock } = this.#options;
    metrics.counter('logtender_truncations_total', 'Files that were truncated or rewritten in place.').add(1);
    log.warn('file was truncated', {
      path: source.info.path,
      container: source.info.container,
      size_before: source.size,
    });
    // What cannot be read now is taken for empty: it grows as soon as it can be read.
    const read = (): Extent => {
      source.truncatedUs = lastChangeUs(fd);
      return readExtent(fd, fstatSync(fd).size);
    };
    const extent = this.#access.attempt(source, read) ?? NO_EXTENT;
    const { container, path } = source.info;
    const { positions } = source;
    const next = this.#create({ fd, identity: source.identity }, extent, { container, path, positions });
    next.name = source.name;
    next.rank = source.rank;
    next.detachedAt = source.detachedAt === undefined ? undefined : clock.monotonic();
    next.deletedAt = source.deletedAt === undefined ? undefined : clock.monotonic();
    next.order = this.#chains.placeAfter(source);
    this.#access.handOn(source, next);
    source.fd = undefined;
    source.state = 'orphan';
    source.sealed = false;
    source.awaitsCopy = true;
    if (source.detachedAt === undefined) this.#forecasts.rotated(source, clock.monotonic());
    this.scanWanted = true;
    this.#options.onChanged(source);
  }

  /** The same bytes under a new id: the destination holds other records under the old one. */
  regenerate(source: SourceFile): void {
    source.info = this.#info(source.info.container, source.info.path, source.identity);
    this.#options.onChanged(source);
  }

  /** Seals what is quiet, lets go of what is settled, and enforces the hold limit. */
  sweep(): void {
    const now = this.#options.clock.monotonic();
    for (const source of this.#sources) {
      if (source.state === 'orphan') {
        if (!source.awaitsCopy && this.#options.isSettled(source)) this.#end(source);
      } else if (source.state === 'open' && source.detachedAt !== undefined) {
        this.#sweepDetached(source, source.detachedAt, now);
      }
    }
    this.#enforceHold();
    this.#rest(now);
  }

  /** May a newer source of the same path be read once a lane stands at this one's end? */
  isPassable(source: SourceFile): boolean {
    if (source.state === 'orphan') return !source.awaitsCopy;
    if (source.sealed || (source.state !== 'open' && source.state !== 'resting')) return true;
    return source.detachedAt !== undefined && this.#options.clock.monotonic() - source.detachedAt > SEAL_WAIT_MS_MAX;
  }

  close(): void {
    for (const source of this.#sources) {
      if (source.fd !== undefined) closeSync(source.fd);
      source.fd = undefined;
    }
    this.#sources.clear();
    this.#owners.clear();
    this.#chains.clear();
  }

  #sweepDetached(source: SourceFile, detachedAt: number, now: number): void {
    if (!source.sealed && now - Math.max(source.grewAt, detachedAt) >= SEAL_QUIET_MS) {
      this.measure(source);
      // Asked again at the last moment: growth or truncation in between starts the wait anew.
      source.sealed = source.state === 'open' && now - source.grewAt >= SEAL_QUIET_MS;
    }
    if (!source.sealed || !this.#options.isSettled(source)) return;
    if (source.name !== undefined) this.#park(source);
    else if (this.#isLetGo(source, now) && !this.#moveToCopy(source)) this.#end(source);
  }

  /** A parked file that grows is found again by its name; what grows without one is lost once it is closed, so it is asked a last time. */
  #isLetGo(source: SourceFile, now: number): boolean {
    const { deletedAt } = source;
    if (deletedAt !== undefined && now - Math.max(source.grewAt, deletedAt) < SEAL_WAIT_MS_MAX) return false;
    this.measure(source);
    // What grew and cannot be read yet is not settled; what cannot even be asked for its size is gone.
    if (this.#access.isFailing(source) && hasGrown(source)) return false;
    return source.state === 'open' && source.sealed && this.#options.isSettled(source);
  }

  /** The original is gone for good, its copy still stands there: it is the same log and must not be read a second time. */
  #moveToCopy(source: SourceFile): boolean {
    const { fd, copySeen } = source;
    if (fd === undefined || copySeen === undefined) return false;
    source.copySeen = undefined;
    const isMoved = this.#access.use(copySeen, (opened) => {
      if (this.#owners.has(keyOf(opened.identity)) || !isCopyOfLive(opened, { ...source, fd })) return false;
      const end = anchorAt(opened.fd, opened.size);
      closeSync(fd);
      this.#disown(source);
      this.#attach(source, opened, end, copySeen);
      return true;
    });
    return isMoved === true;
  }

  #followNames(seen: ReadonlyMap<string, Sighting>, { isTorn, problems }: Scan): void {
    const now = this.#options.clock.monotonic();
    for (const source of this.#sources) {
      if (source.state === 'orphan') continue;
      const sighting = seen.get(keyOf(source.identity));
      if (sighting !== undefined && (source.fd !== undefined || isSameBirth(sighting.identity, source.identity))) {
        this.#followName(source, sighting, now);
        continue;
      }
      if (isDeleted(source)) source.deletedAt ??= now;
      // Another file under the inode of a parked one is proof; a scan that did not see it is none yet, and one that did not look never.
      const isProven = sighting !== undefined || source.deletedAt !== undefined;
      if (!isProven && isHidden(source, problems)) continue;
      source.detachedAt ??= now;
      if (!isTorn) source.missedAt ??= now;
      if (isProven || isMissed(source, now)) this.#loseName(source, now);
    }
  }

  #loseName(source: SourceFile, now: number): void {
    if (source.name !== undefined) this.#forecasts.dropped(source, now);
    source.name = undefined;
    source.rank = Number.MAX_SAFE_INTEGER;
    if (source.state === 'parked' || source.state === 'resting') this.#end(source);
  }

  #followName(source: SourceFile, sighting: Sighting, now: number): void {
    source.name = sighting.name;
    source.rank = sighting.rank;
    source.missedAt = undefined;
    source.deletedAt = undefined;
    const attached = sighting.path === source.info.path && !source.copy;
    if (attached) {
      source.detachedAt = undefined;
      source.sealed = false;
    } else {
      if (source.detachedAt === undefined) this.#forecasts.rotated(source, now);
      source.detachedAt ??= now;
    }
    if (source.state === 'parked') this.#followParked(source, sighting);
    else if (source.state === 'resting') this.#followResting(source, sighting, attached);
    else this.#followOpen(source, sighting);
  }

  /** What the scan saw of the inode a moment ago is what the descriptor would say: it is asked when that is news. */
  #followOpen(source: SourceFile, { size, mtimeNs }: Sighting): void {
    const isNews = size !== source.size || mtimeNs !== source.seenMtimeNs || this.#access.isFailing(source);
    if (!isNews) return;
    this.measure(source);
    if (!this.#access.isFailing(source)) source.seenMtimeNs = mtimeNs;
  }

  /** A resting file that changed or was moved away is opened again: from there on it is followed as if it had never been closed. */
  #followResting(source: SourceFile, sighting: Sighting, attached: boolean): void {
    if (attached && sighting.size === source.size && sighting.mtimeNs === source.seenMtimeNs) return;
    this.#reopen(source, sighting);
    if (source.fd !== undefined && !this.#access.isFailing(source)) source.seenMtimeNs = sighting.mtimeNs;
  }

  #reopen(source: SourceFile, sighting: Sighting): void {
    const isSame = this.#access.use(sighting, ({ fd, identity }) => {
      if (!isSameBirth(identity, source.identity)) return false;
      source.fd = fd;
      source.state = 'open';
      return true;
    });
    if (isSame === true) this.measure(source);
    // Another file under its inode: it was deleted, and what stands there now is a stranger.
    else if (isSame === false) this.#end(source);
  }

  /** A watch says that the file was written to. What became of its name meanwhile is for the next scan to say. */
  #rouse(source: SourceFile): void {
    const { name, identity, rank, size, seenMtimeNs } = source;
    if (name === undefined) return;
    const { container, path } = source.info;
    const about = { container, path, base: undefined, rank, matched: true, positions: source.positions };
    this.#reopen(source, { ...about, name, identity, key: keyOf(identity), size, mtimeNs: seenMtimeNs });
  }

  /** Closes what is quiet and acknowledged, where more files are open than need be. */
  #rest(now: number): void {
    const { isSettled, rest = REST_RULE } = this.#options;
    for (const source of restable(this.#sources, rest, { nowMs: now, isSettled })) {
      // Asked a last time: what was written since the last look keeps it open.
      this.measure(source);
      if (source.fd === undefined || this.#access.isFailing(source) || !isSettled(source)) continue;
      closeSync(source.fd);
      source.fd = undefined;
      source.state = 'resting';
      this.#options.onRested(source);
    }
  }

  /** A parked file that grew is opened again; one that shrank or went is forgotten, and what stands there now is a stranger. */
  #followParked(source: SourceFile, sighting: Sighting): void {
    if (sighting.size === source.size) return;
    if (sighting.size < source.size) {
      this.#end(source);
      return;
    }
    // What cannot be opened or read stays parked: under another id all of it would be shipped again.
    const isSame = this.#access.use(sighting, (opened) => {
      if (opened.size < source.size || !fitsHead(opened.fd, source.head)) return false;
      if (!source.copy && !fitsAnchor(opened.fd, source.anchor)) return false;
      source.fd = opened.fd;
      source.state = 'open';
      source.sealed = false;
      this.#chains.add(source);
      return true;
    });
    if (isSame === true) this.measure(source);
    else if (isSame === false) this.#end(source);
  }

  /** Gives known files their ids back; what remains are strangers. Only the first scan has anything to do here. */
  #restore(strangers: readonly Sighting[]): readonly Sighting[] {
    if (this.#known.isEmpty) return strangers;
    return strangers.filter((sighting) => {
      if (!this.#known.mayHold(sighting)) return true;
      const isKnown = this.#access.use(sighting, (opened) => {
        // Read before it is claimed: a known source must not be lost to a read that fails.
        const extent = readExtent(opened.fd, opened.size);
        const known = this.#known.claim(sighting, opened);
        if (known !== undefined) this.#resume(known, { opened, extent, sighting }, false);
        return known !== undefined;
      });
      return isKnown === false;
    });
  }

  /** @param isCopyFound it is the copy of what the checkpoint knows */
  #resume(
    known: KnownSource,
    { opened, extent, sighting }: { opened: OpenedFile; extent: Extent; sighting: Sighting },
    isCopyFound: boolean,
  ): void {
    const source = this.#create(opened, extent, known);
    this.#place(source, sighting);
    source.copy = known.copy;
    // A later copy may begin like all that was sent of the original: its place is not before one of an older name.
    if (!isCopyFound || !this.#chains.isBeforeOlderName(source, known.order)) source.order = known.order;
    if (known.copy) source.detachedAt ??= this.#options.clock.monotonic();
    source.anchor = known.anchors.reduce((a, b) => (b.offset > a.offset ? b : a), source.anchor);
    this.#options.onRestored(source);
    this.#options.onChanged(source);
  }

  #place(source: SourceFile, sighting: Sighting): void {
    source.name = sighting.name;
    source.rank = sighting.rank;
    source.order = this.#chains.placeByRank(source, sighting.rank);
    if (sighting.path !== source.info.path) source.detachedAt = this.#options.clock.monotonic();
  }

  /** A file that nobody owns: the copy of one that we know, or a source of its own, which is given. */
  #adopt(sighting: Sighting, seen: ReadonlyMap<string, Sighting>): SourceFile | undefined {
    // An empty rotated file is about to become a copy or says nothing at all.
    if (sighting.base !== undefined && sighting.size === 0) return undefined;
    let fresh: SourceFile | undefined;
    this.#access.use(sighting, (opened) => {
      const extent = readExtent(opened.fd, opened.size);
      const isTaken = this.#isCopy(opened, extent, sighting, seen);
      if (isTaken !== undefined) return isTaken;
      const path = this.#pathOf(sighting, seen);
      const positions = this.#positionsOf(sighting);
      const source = this.#create(opened, extent, { container: sighting.container, path, positions });
      this.#place(source, sighting);
      fresh = source;
      const olderThanNs = this.#joined.get(sighting.positions ?? '')?.olderThanNs ?? 0n;
      if (sighting.mtimeNs < olderThanNs) this.#options.onOlder(source);
      return true;
    });
    return fresh;
  }

  /** The path that the app wrote it under: its rotation base, if there is one. */
  #pathOf(sighting: Sighting, seen: ReadonlyMap<string, Sighting>): string {
    const { base } = sighting;
    const baseIsThere =
      base !== undefined &&
      (!sighting.matched ||
        this.#chains.of(sighting.container, base.path).length > 0 ||
        [...seen.values()].some((other) => other.path === base.path && other.container === sighting.container));
    return baseIsThere ? base.path : sighting.path;
  }

  /** Undefined when it is no copy; else whether its descriptor was taken over. */
  #isCopy(
    opened: OpenedFile,
    extent: Extent,
    sighting: Sighting,
    seen: ReadonlyMap<string, Sighting>,
  ): boolean | undefined {
    if (sighting.base === undefined) return undefined;
    const { path } = sighting.base;
    // A copy is put aside under a name that is older than its original's; what is not, only looks like one.
    const isOlderName = ({ identity }: { identity: FileIdentity }): boolean =>
      sighting.rank > (seen.get(keyOf(identity))?.rank ?? -1);
    // Newest first: of several generations that begin alike the last one was copied.
    for (const source of this.#chains.of(sighting.container, path).toReversed()) {
      if (source.state === 'resting') this.#rouse(source);
      // It may have been truncated and written anew since it was last looked at.
      if (source.fd !== undefined && !source.copy && !isIntact(source.fd, source)) this.truncated(source);
      if (!isOlderName(source)) continue;
      // What was seen to be a copy while the original stood may be shorter than what was read of the original after that.
      const wasSeen = source.copySeen !== undefined && keyOf(source.copySeen.identity) === keyOf(opened.identity);
      if (source.awaitsCopy && isCopyOfTruncated(opened, { ...source, anchors: wasSeen ? [] : [source.anchor] })) {
        this.#attach(source, opened, extent.end, sighting);
        return true;
      }
      if (source.fd !== undefined && isCopyOfLive(opened, { ...source, fd: source.fd })) {
        // Not taken and not forgotten: every scan asks again, until the original is truncated or the two differ.
        source.copySeen = sighting;
        return false;
      }
    }
    const known = this.#known.claimCopy(sighting, opened, isOlderName);
    if (known === undefined) return undefined;
    this.#resume({ ...known, copy: true }, { opened, extent, sighting }, true);
    return true;
  }

  /** The orphan's bytes are found again in its copy: it goes on where it stopped, under its own id. */
  #attach(source: SourceFile, opened: OpenedFile, end: Anchor, sighting: Sighting): void {
    Object.assign(source, {
      fd: opened.fd,
      identity: opened.identity,
      size: opened.size,
      name: sighting.name,
      rank: sighting.rank,
    });
    source.state = 'open';
    source.copy = true;
    source.end = end;
    source.truncatedUs = undefined;
    source.awaitsCopy = false;
    source.detachedAt = this.#options.clock.monotonic();
    source.deletedAt = undefined;
    source.grewAt = source.detachedAt;
    this.#owners.set(keyOf(opened.identity), source);
    this.#options.log.info('copy of a truncated file is read on', { path: source.info.path, copy: sighting.path });
    this.#options.onChanged(source);
  }

  #giveUpMissing(): void {
    for (const source of this.#sources) {
      if (!source.awaitsCopy) continue;
      source.awaitsCopy = false;
      const unread = Math.max(0, source.size - source.anchor.offset);
      if (unread === 0) continue;
      const { log, metrics } = this.#options;
      metrics
        .counter('logtender_truncated_unread_bytes_total', 'Bytes that were seen but cut off before they were read.')
        .add(unread);
      log.error('bytes were cut off before they were read', { path: source.info.path, bytes: unread });
    }
    // What cannot be looked at may still be there.
    if (this.#access.unreadable.reasons.size > 0) return;
    const now = this.#options.clock.monotonic();
    this.#knownMissedAt ??= now;
    if (now - this.#knownMissedAt < GONE_AFTER_MS) return;
    for (const known of this.#known.giveUp((one) => this.#mayBeLeftOut(one))) this.#options.onVanished(known);
  }

  /** Nobody knows yet, or any more, where its files were read to. */
  #isLeftOut({ positions }: FileGlob): boolean {
    return positions !== undefined && !this.#joined.has(positions);
  }

  /** Of the pod's own checkpoint, with a file where nobody looked yet. */
  #mayBeLeftOut({ container, path, positions }: KnownSource): boolean {
    if (positions !== undefined) return false;
    return this.#options.files.some(
      (glob) => glob.container === container && path.startsWith(`${glob.directory}/`) && this.#isLeftOut(glob),
    );
  }

  /** The folder whose checkpoint is to keep what was seen; undefined: the pod's own does. */
  #positionsOf({ positions }: Sighting): string | undefined {
    return positions !== undefined && this.#joined.get(positions)?.isKept === true ? positions : undefined;
  }

  #create(
    opened: { fd: number; identity: FileIdentity },
    extent: Extent,
    log: { container: string; path: string; positions: string | undefined; id?: string },
  ): SourceFile {
    const now = this.#options.clock.monotonic();
    const fresh = this.#info(log.container, log.path, opened.identity);
    const { id } = log;
    const source: SourceFile = {
      info: id === undefined ? fresh : { ...fresh, id },
      positions: log.positions,
      identity: opened.identity,
      ...extent,
      fd: opened.fd,
      state: 'open',
      mtimeMs: 0,
      seenMtimeNs: -1n,
      name: undefined,
      missedAt: undefined,
      order: 0,
      rank: 0,
      detachedAt: undefined,
      deletedAt: undefined,
      grewAt: now,
      grewAfter: now,
      sealed: false,
      copy: false,
      truncatedUs: undefined,
      awaitsCopy: false,
      copySeen: undefined,
      anchor: { offset: 0, hash: '' },
    };
    this.grewAt = now;
    this.#sources.add(source);
    this.#owners.set(keyOf(opened.identity), source);
    this.#chains.add(source);
    return source;
  }

  #info(container: string, path: string, identity: FileIdentity): SourceInfo {
    this.#generation += 1;
    const { uid, epoch, stdioRoot } = this.#options;
    const id = sourceId({ uid, container, identity, epoch, generation: this.#generation });
    const file = stdioRoot !== undefined && path.startsWith(stdioRoot) ? '' : path.replace(/^\/+/, '');
    return { id, container, path, file };
  }

  #park(source: SourceFile): void {
    if (source.fd !== undefined) closeSync(source.fd);
    source.fd = undefined;
    source.state = 'parked';
    this.#access.recovered(source);
    this.#chains.remove(source);
  }

  #end(source: SourceFile): void {
    this.#drop(source);
    this.#options.onEnded(source);
  }

  #drop(source: SourceFile): void {
    if (source.fd !== undefined) closeSync(source.fd);
    source.fd = undefined;
    source.state = 'ended';
    this.#sources.delete(source);
    this.#access.recovered(source);
    this.#disown(source);
    this.#chains.remove(source);
  }

  /** Its inode may be given to another file from now on. */
  #disown(source: SourceFile): void {
    const key = keyOf(source.identity);
    if (this.#owners.get(key) === source) this.#owners.delete(key);
  }

  #enforceHold(): void {
    const { holdBytesMax: limit = HOLD_BYTES_MAX, unsettledBytes, log, metrics, onReleased } = this.#options;
    const { bytes: held, given } = heldFiles(this.#sources, limit, unsettledBytes);
    metrics.gauge('logtender_held_bytes', 'Bytes of deleted files that are held open for the sinks.').set(held);
    for (const source of given) {
      const bytes = unsettledBytes(source);
      log.error('deleted file is given up at the hold limit', { path: source.info.path, bytes, limit });
      onReleased(source);
      if (source.fd !== undefined) closeSync(source.fd);
      source.fd = undefined;
      source.state = 'orphan';
      this.#disown(source);
    }
  }
}

function newestOf(known: readonly KnownSource[]): number {
  return known.reduce((newest, { order }) => Math.max(newest, order), 0);
}

function isActive({ grewAt, detachedAt }: SourceFile, now: number): boolean {
  return now - grewAt < ACTIVE_MS || detachedAt !== undefined;
}

function isMissed({ missedAt }: SourceFile, now: number): boolean {
  return missedAt !== undefined && now - missedAt >= GONE_AFTER_MS;
}
