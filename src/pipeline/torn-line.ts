/**
 * Lines that a rotation tore, put together again.
 *
 * A container runtime that is told to go over to a new log file (CRI, ReopenContainerLog) may stand in the middle of a line. containerd gives
 * what it has read of it to the old file, tagged `P`, as if the log ended there, and the new file begins with the rest (containerd,
 * internal/cri/io/logger.go, redirectLogs: "if stop ... it should be treated as a partial line"; container_log_manager.go of the kubelet
 * renames before it asks for that). Lines longer than the runtime's buffer are cut alike in any runtime, and in our own spill log.
 *
 * So where a file that was put aside ends with an open `P`, its last cluster is cut from its own lines and the beginning of the file that
 * followed. The record is the older file's: its id and its offset. What it takes of the newer one, its rest, is skipped there. Invariants:
 *
 *   the rest is in the checkpoint before the record is sent, with a hash of its bytes: sent again the record has the same bytes
 *   while the older file is not settled, its entry alone says what is skipped in the newer; when it is, the newer's entry says it as well
 *   a record whose rest cannot be had any more goes out without it, under a new id
 *   bytes are counted where they stand, lines where they begin
 *
 * Positions are a lane's, so this is one lane's. May import: core, config, source, parse, pipeline.
 */
import { LINE_BYTES_MAX } from '../core/limits.ts';
import { errorText } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { CriLine } from '../parse/cri-line.ts';
import { LAST, MORE_MAY_COME, OVERDUE, RECORD_WAIT_MS } from '../parse/record-cutter.ts';
import { SEAL_WAIT_MS_MAX } from '../source/file-set.ts';
import type { FileSet } from '../source/file-set.ts';
import { digest, readAt } from '../source/identity.ts';
import type { SourceFile } from '../source/source-file.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Part, Rest } from './checkpoint-codec.ts';
import { NOTHING_SAVED } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import { firstRecordAt } from './pass-over.ts';
import type { RecordStage } from './record-stage.ts';

/** What may hold the rest: a line and its header, and one byte more, so that the cutter sees what is too long. */
const REST_BYTES_MAX = LINE_BYTES_MAX + 2;
/**
 * By the times of the runtime the rest is written no later than this after what it completes: a file between the two may be gone. We wait no
 * longer for it either.
 */
const REST_WAIT_MS = SEAL_WAIT_MS_MAX;

/** How a cluster is to be taken whose last line is torn. */
export type Completion =
  /** The cluster is `buffer[0, to)`, of which `[0, ownEnd)` is its source's own. */
  | {
      readonly status: 'joined';
      readonly buffer: Buffer;
      readonly to: number;
      readonly ownEnd: number;
      readonly rest: Rest;
      readonly newer: SourceFile | undefined;
    }
  /** Nothing of it now. */
  | { readonly status: 'wait' }
  /** As it is. */
  | { readonly status: 'apart' };

const WAIT: Completion = { status: 'wait' };
const APART: Completion = { status: 'apart' };

/** Where the cluster stands, and what is known of the end of its file. */
export interface TornCluster {
  readonly buffer: Buffer;
  readonly from: number;
  /** Where the cursor's own bytes end. */
  readonly to: number;
  /** It ends there because something said so before (a cut, a promised range), not because the file does. */
  readonly isKnownEnd: boolean;
  /** The file is put aside and nothing will follow. */
  readonly isComplete: boolean;
  /** Nothing of it can wait: the process ends. */
  readonly isHurried: boolean;
  /** On the monotonic clock. */
  readonly now: number;
}

export interface TornOptions {
  readonly sink: string;
  readonly files: FileSet;
  readonly checkpoints: Checkpoints;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly cursorOf: (source: SourceFile) => Cursor;
  readonly cursors: () => Iterable<Cursor>;
  readonly put: (cursor: Cursor) => void;
  /** Puts what is known of the source into the checkpoint. */
  readonly putSource: (source: SourceFile) => void;
  readonly regenerate: (source: SourceFile) => void;
}

/** A rest whose older source is not settled. */
interface Link {
  /** The folder of positions that keeps both; undefined: the pod's own. */
  readonly positions: string | undefined;
  older: string;
  newer: string;
  readonly parts: readonly Part[];
  /** The older source was found since the start. */
  isFound: boolean;
  /** The newer one waits for that since then, on the monotonic clock. */
  askedAt: number | undefined;
  /** Undefined after a start, until it is read again. */
  bytes: Buffer | undefined;
  /** Undefined where the checkpoint knows it already. */
  source: SourceFile | undefined;
}

interface Wait {
  /** The file is complete since then; undefined while it is not. */
  readonly since: number | undefined;
  readonly until: number;
  readonly size: number;
  readonly isComplete: boolean;
  readonly newer: SourceFile | undefined;
  readonly newerSize: number;
}

export class TornLines {
  readonly #options: TornOptions;
  /** By the id of the older source. */
  readonly #links = new Map<string, Link>();
  readonly #waits = new Map<Cursor, Wait>();
  readonly #header = new CriLine();

  constructor(options: TornOptions) {
    this.#options = options;
  }

  /** Takes over what a checkpoint says of this sink. */
  join(positions: string | undefined): void {
    const { checkpoints, sink } = this.#options;
    for (const { sink: own, id, acked, rest } of [...checkpoints.of(positions).state.lanes.values()]) {
      if (own !== sink || rest === undefined) continue;
      const link = { positions, isFound: false, bytes: undefined, source: undefined };
      if (acked >= rest.at) this.#keepSkips(positions, rest.id, rest.parts);
      else this.#link(id, rest, link);
    }
  }

  /** Another pod goes on with what a volume keeps. */
  leave(positions: string): void {
    for (const link of this.#links.values()) if (link.positions === positions) this.#links.delete(link.older);
    for (const { source } of this.#waits.keys()) if (source.positions === positions) this.#waits.clear();
  }

  /** The source is read again from what is saved, as after a restart. */
  replaced(before: Cursor, again: Cursor): void {
    this.#waits.delete(before);
    this.claimed(again);
  }

  /** A source was found, and has a cursor from now on. */
  claimed(cursor: Cursor): void {
    const { id } = cursor.source.info;
    const own = this.#links.get(id);
    if (own !== undefined) own.isFound = true;
    const before = this.#linkTo(id);
    if (before === undefined) return;
    cursor.skips = before.parts.filter(([, to]) => to > cursor.acked);
    cursor.keepsSkips = false;
  }

  /** Does the source, and with it what is newer, wait for something that has not come yet? */
  isWaiting(
    cursor: Cursor,
    { isComplete, isHurried, now }: Omit<TornCluster, 'buffer' | 'from' | 'to' | 'isKnownEnd'>,
  ): boolean {
    if (this.#links.size > 0 && this.#isBlocked(cursor, now)) return true;
    if (isHurried || this.#waits.size === 0) return false;
    const wait = this.#waits.get(cursor);
    if (wait === undefined || now >= wait.until) return false;
    const isAsBefore = wait.size === cursor.source.size && wait.isComplete === isComplete;
    return isAsBefore && (wait.newer?.size ?? -1) === wait.newerSize;
  }

  /** What becomes of a cluster that the stage has just cut and whose last line is torn. Another cut of the stage follows, or none. */
  complete(stage: RecordStage, cursor: Cursor, cluster: TornCluster): Completion {
    const { tornRest: rest } = cursor;
    if (rest !== undefined && rest.at === cursor.read + cluster.to - cluster.from)
      return this.#completeAgain(stage, cursor, rest, cluster);
    const isWhole = cluster.buffer[cluster.to - 1] === LF;
    if (cluster.isKnownEnd || !isWhole || cursor.source.detachedAt === undefined || cursor.source.copy) return APART;
    if (cluster.isComplete) return this.#completeFirst(stage, cursor, cluster);
    if (this.#options.files.isPassable(cursor.source)) return APART;
    return this.#wait(cursor, cluster, { until: cluster.now + RECORD_WAIT_MS, newer: undefined, since: undefined });
  }

  /** The batch has taken the joined cluster: from now on its rest is skipped where it stands. */
  joined(cursor: Cursor, { rest, newer, buffer, to, ownEnd }: Completion & { status: 'joined' }): void {
    this.#waits.delete(cursor);
    if (cursor.tornRest === rest) return;
    cursor.tornRest = rest;
    const bytes = buffer.subarray(ownEnd, to);
    const { positions } = cursor.source;
    this.#link(cursor.source.info.id, rest, { positions, isFound: true, bytes, source: newer });
    if (newer !== undefined) {
      const other = this.#options.cursorOf(newer);
      // The rest may be stored by itself, under the id that the newer file had before a power cut.
      if ((rest.parts[0]?.[0] ?? 0) < other.mayRepeatTo) cursor.account.duplicatesMax += 1;
      other.skips = rest.parts;
      other.keepsSkips = false;
    }
    this.#count('joined');
  }

  /** The batch has taken the cluster without a rest. */
  parted(cursor: Cursor): void {
    this.#waits.delete(cursor);
    this.#count('apart');
  }

  /** The source that has the rest of this one's last record, until that is settled. */
  newerOf(cursor: Cursor): SourceFile | undefined {
    return this.#links.get(cursor.source.info.id)?.source;
  }

  /** Something of the source was settled: when its torn line is among it, the newer one's own entry says from now on what is skipped. */
  settled({ source, tornRest: rest, acked }: Cursor): void {
    const link = this.#links.get(source.info.id);
    if (link === undefined || rest === undefined || acked < rest.at) return;
    this.#links.delete(link.older);
    const newer = this.#cursorOf(link.newer);
    if (newer === undefined) this.#keepSkips(link.positions, link.newer, link.parts);
    else {
      newer.keepsSkips = true;
      this.#options.put(newer);
    }
  }

  /** A source goes on under another id. */
  renamed(before: string, after: string): void {
    const own = this.#links.get(before);
    if (own !== undefined) {
      this.#links.delete(before);
      own.older = after;
      this.#links.set(after, own);
    }
    const link = this.#linkTo(before);
    if (link === undefined) return;
    link.newer = after;
    this.#saveRest(link);
  }

  /** A source of the checkpoint is gone for good: what was to complete its last line is a line of its own. */
  vanished(id: string): void {
    const link = this.#links.get(id);
    if (link !== undefined) this.#release(link);
  }

  /** A source is done with. */
  retired(cursor: Cursor): void {
    this.#waits.delete(cursor);
    this.vanished(cursor.source.info.id);
  }

  #link(older: string, rest: Rest, about: Pick<Link, 'positions' | 'isFound' | 'bytes' | 'source'>): void {
    this.#links.set(older, { older, newer: rest.id, parts: rest.parts, askedAt: undefined, ...about });
  }

  #linkTo(newer: string): Link | undefined {
    for (const link of this.#links.values()) if (link.newer === newer) return link;
    return undefined;
  }

  #cursorOf(id: string): Cursor | undefined {
    for (const cursor of this.#options.cursors()) if (cursor.source.info.id === id) return cursor;
    return undefined;
  }

  /**
   * After a start the newer file may be found first. It is not read before it is known whether the older one is still there, but not for
   * ever: a folder that cannot be looked at may hide that one, and lines twice are better than lines never.
   */
  #isBlocked({ source }: Cursor, now: number): boolean {
    const link = this.#linkTo(source.info.id);
    if (link === undefined || link.isFound) return false;
    link.askedAt ??= now;
    if (now - link.askedAt < SEAL_WAIT_MS_MAX) return true;
    this.#release(link);
    return false;
  }

  #release(link: Link): void {
    this.#links.delete(link.older);
    const newer = this.#cursorOf(link.newer);
    if (newer === undefined || newer.skips.length === 0) return;
    newer.skips = [];
    // The record that it completes may be stored, and has it.
    newer.mayRepeatTo = Math.max(newer.mayRepeatTo, link.parts.at(-1)?.[1] ?? 0);
    // A kill before it is sent must not forget that: the older source, whose entry told of it, is forgotten now.
    this.#options.putSource(newer.source);
    this.#options.put(newer);
  }

  #completeFirst(stage: RecordStage, cursor: Cursor, cluster: TornCluster): Completion {
    const { files, cursorOf } = this.#options;
    const { isHurried, now } = cluster;
    const since = this.#waits.get(cursor)?.since ?? now;
    const newer = files.successorOf(cursor.source);
    if (newer === undefined) {
      const until = since + RECORD_WAIT_MS;
      return isHurried || now >= until ? APART : this.#wait(cursor, cluster, { until, newer, since });
    }
    const isOfOne = newer.positions === cursor.source.positions;
    const isReadable = (newer.state === 'open' || newer.state === 'resting') && !newer.copy && isOfOne;
    const other = cursorOf(newer);
    if (!isReadable || other.read > 0 || other.reserved > 0 || other.skips.length > 0) return APART;
    // Who has more to say goes on with it; a log that says nothing keeps nobody waiting.
    const quietAt = newer.size === 0 ? since + REST_WAIT_MS : Math.max(newer.grewAt, since) + RECORD_WAIT_MS;
    const until = Math.min(since + REST_WAIT_MS, quietAt);
    const at = cursor.read + cluster.to - cluster.from;
    const found = this.#find(stage, cluster, { newer, at, isLate: isHurried || now >= until });
    return found ?? this.#wait(cursor, cluster, { until, newer, since });
  }

  /** Undefined when more has to come. @param about.isLate what is there has to do */
  #find(
    stage: RecordStage,
    { buffer, from, to }: TornCluster,
    { newer, at, isLate }: { newer: SourceFile; at: number; isLate: boolean },
  ): Completion | undefined {
    const own = to - from;
    // Made for each torn line: one at a rotation.
    const both = Buffer.allocUnsafe(own + REST_BYTES_MAX);
    buffer.copy(both, 0, from, to);
    const found = this.#readFirst(newer, both.subarray(own));
    if (found === undefined) return isLate ? APART : undefined;
    const { start, got } = found;
    let end = stage.cut(both, 0, own + got, MORE_MAY_COME);
    if (end === 0 && !isLate) return undefined;
    if (end === 0) end = stage.cut(both, 0, own + got, OVERDUE);
    const over = end > own ? stage.linesOver(own) : [];
    const [first] = over;
    if (first === undefined || !this.#isSoon(both, own, first)) return APART;
    const bytes = Buffer.concat(over.map((part) => both.subarray(...part)));
    const parts = over.map(([a, b]): Part => [start + a - own, start + b - own]);
    const rest = { id: newer.info.id, at, parts, hash: digest(bytes) };
    return this.#join(stage, both.subarray(0, own), bytes, { rest, newer });
  }

  #completeAgain(stage: RecordStage, cursor: Cursor, rest: Rest, cluster: TornCluster): Completion {
    const link = this.#links.get(cursor.source.info.id);
    const bytes = link?.bytes ?? this.#load(cursor, rest);
    const since = this.#waits.get(cursor)?.since ?? cluster.now;
    const soon = { until: cluster.now + RECORD_WAIT_MS, newer: undefined, since };
    // A file that cannot be looked for must not hold the log for ever.
    const isLate = cluster.now - since >= SEAL_WAIT_MS_MAX;
    if (bytes === 'later' && !isLate) return this.#wait(cursor, cluster, soon);
    if (bytes === 'gone' || bytes === 'later') {
      // What is filling or in flight under the id goes first.
      if (cursor.read === cursor.acked) this.#giveUp(cursor);
      return this.#wait(cursor, cluster, { ...soon, until: cluster.now });
    }
    if (link !== undefined) link.bytes = bytes;
    const own = cluster.buffer.subarray(cluster.from, cluster.to);
    return this.#join(stage, own, bytes, { rest, newer: link?.source });
  }

  /** What completed the record cannot be had any more, so under its id it cannot go out again. */
  #giveUp(cursor: Cursor): void {
    const { source } = cursor;
    const link = this.#links.get(source.info.id);
    if (link !== undefined) this.#release(link);
    cursor.tornRest = undefined;
    this.#options.log.error('rest of a line is gone with the file that had it, its beginning is sent without it', {
      sink: this.#options.sink,
      path: source.info.path,
    });
    this.#options.regenerate(source);
  }

  #load({ source, checkpointer }: Cursor, { id, parts, hash }: Rest): Buffer | 'later' | 'gone' {
    const newer = this.#options.files.chainOf(source).find(({ info }) => info.id === id);
    if (newer === undefined) return checkpointer.state.sources.has(id) ? 'later' : 'gone';
    if (newer.fd === undefined) return newer.state === 'orphan' && !newer.awaitsCopy ? 'gone' : 'later';
    const pieces = parts.map(([from, to]) => {
      const piece = Buffer.allocUnsafe(to - from);
      return this.#read(newer, piece, from) === piece.length ? piece : undefined;
    });
    const bytes = Buffer.concat(pieces.flatMap((piece) => piece ?? []));
    if (pieces.includes(undefined)) return newer.fd === undefined ? 'gone' : 'later';
    return digest(bytes) === hash ? bytes : 'gone';
  }

  /** The record of a source's own bytes and of what completes them; apart when together they are more than one cluster. */
  #join(
    stage: RecordStage,
    own: Buffer,
    bytes: Buffer,
    { rest, newer }: { rest: Rest; newer: SourceFile | undefined },
  ): Completion {
    const buffer = Buffer.concat([own, bytes]);
    const to = stage.cut(buffer, 0, buffer.length, LAST);
    if (to !== buffer.length) return APART;
    return { status: 'joined', buffer, to, ownEnd: own.length, rest, newer };
  }

  /** Was the first line of the rest written soon after what it completes? */
  #isSoon(both: Buffer, own: number, [from, to]: Part): boolean {
    const before = this.#timeMs(both, both.lastIndexOf(LF, own - 2) + 1, own);
    return this.#timeMs(both, from, to) - before <= REST_WAIT_MS;
  }

  #timeMs(buffer: Buffer, from: number, to: number): number {
    return this.#header.read(buffer, from, to) ? this.#header.timeMs : Number.NaN;
  }

  /**
   * Reads the beginning of a file from its first record on: no runtime writes a mark or a hole before it, but who cut the file off may have
   * left one. A hole that is longer than the buffer has no end for us. Gives where that record begins, and the bytes that were read from there.
   */
  #readFirst(source: SourceFile, buffer: Buffer): { readonly start: number; readonly got: number } | undefined {
    const got = this.#read(source, buffer, 0);
    if (got === undefined) return undefined;
    const start = firstRecordAt(buffer, 0, got);
    if (start === 0) return { start, got };
    const more = this.#read(source, buffer, start);
    return more === undefined ? undefined : { start, got: more };
  }

  /** Bytes that were read; undefined when they cannot be had now. */
  #read(source: SourceFile, buffer: Buffer, position: number): number | undefined {
    const { files, log } = this.#options;
    if (source.fd === undefined) return undefined;
    try {
      const got = readAt(source.fd, buffer, buffer.length, position);
      // Asked after the read: what was cut off before or during it shows now.
      files.measure(source);
      return source.state === 'open' ? got : undefined;
    } catch (error) {
      log.error('file cannot be read on', { path: source.info.path, error: errorText(error) });
      return undefined;
    }
  }

  #wait(
    cursor: Cursor,
    { isComplete }: TornCluster,
    { until, newer, since }: Pick<Wait, 'until' | 'newer' | 'since'>,
  ): Completion {
    const { size } = cursor.source;
    this.#waits.set(cursor, { since, until, size, isComplete, newer, newerSize: newer?.size ?? -1 });
    return WAIT;
  }

  /** The older source's entry says where its rest is. */
  #saveRest({ positions, older, newer }: Link): void {
    const { checkpoints, sink, put } = this.#options;
    const cursor = this.#cursorOf(older);
    if (cursor?.tornRest !== undefined) {
      cursor.tornRest = { ...cursor.tornRest, id: newer };
      put(cursor);
      return;
    }
    const checkpointer = checkpoints.of(positions);
    const entry = checkpointer.lane(sink, older);
    if (entry?.rest !== undefined) checkpointer.putLane({ ...entry, rest: { ...entry.rest, id: newer } });
  }

  /** The newer source's entry says what is skipped, although it has no cursor (yet). */
  #keepSkips(positions: string | undefined, id: string, skips: readonly Part[]): void {
    const { checkpoints, sink } = this.#options;
    const checkpointer = checkpoints.of(positions);
    if (!checkpointer.state.sources.has(id)) return;
    const entry = checkpointer.lane(sink, id) ?? { t: 'lane', ...NOTHING_SAVED, sink, id };
    if (entry.skips === undefined && entry.acked < (skips.at(-1)?.[1] ?? 0)) checkpointer.putLane({ ...entry, skips });
  }

  #count(outcome: 'joined' | 'apart'): void {
    const { metrics, sink } = this.#options;
    metrics
      .counter(
        'logtender_torn_lines_total',
        'Lines that a rotation of a container log tore: joined again, or sent apart.',
      )
      .add(1, { sink, outcome });
  }
}

const LF = 10;
