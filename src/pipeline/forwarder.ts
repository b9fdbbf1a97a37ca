/**
 * The loop: look at the files, give each lane its step, save positions, wait. And the end: read to the end, flush, save.
 *
 * Invariants: one turn touches the files once and is bounded; a lane that is behind holds files, never the other lanes; the end is
 * bounded by a deadline and leaves saved positions. May import: core, config, source, sinks/sink.ts, pipeline.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { FileGlob, SinkName } from '../config/forwarder-config.ts';
import type { RecordRules } from '../config/record-rules.ts';
import { aborted } from '../core/abort.ts';
import type { Clock, Random } from '../core/clock.ts';
import { BUFFER_BYTES_MAX } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import { isStdio } from '../core/record.ts';
import type { Labels, Metrics } from '../core/metrics.ts';
import { seriesKey } from '../core/metrics.ts';
import { groupingName, needsShaping } from '../parse/record-shaper.ts';
import type { Sink } from '../sinks/sink.ts';
import type { RestRule } from '../source/descriptors.ts';
import { FileSet } from '../source/file-set.ts';
import { PageCache } from '../source/page-cache.ts';
import type { KnownSource, SourceFile } from '../source/source-file.ts';
import { FolderWatch } from '../source/watch.ts';
import type { WatchFolder } from '../source/watch.ts';
import { ByteBudget } from './byte-budget.ts';
import type { CheckpointState } from './checkpointer.ts';
import { Checkpointer } from './checkpointer.ts';
import { Checkpoints } from './checkpoints.ts';
import type { SourceEntry } from './checkpoint-codec.ts';
import { DeadLetter } from './dead-letter.ts';
import type { CopyDead } from './dead-letter.ts';
import type { SinkSummary } from './exit-summary.ts';
import { Lane } from './lane.ts';
import type { LaneMode } from './lane.ts';
import type { Account, AccountState } from './ledger.ts';
import { LookSchedule, POLL_INTERVAL_MS } from './look-schedule.ts';
import type { LookNeed } from './look-schedule.ts';
import type { StateFiles } from './state-files.ts';
import { Wake } from './wake.ts';

/** At the end, writers that were quiet for this long are done: longer than one poll, short beside the two seconds that may be left. */
const DRAIN_QUIET_MS = 300;
/** A watch whose files were quiet for this long takes over again. Some gaps longer than one look, short beside a person's patience. */
const STAND_ASIDE_MS = 500;
/** Scans in a row while names move under them: rotations are further apart than three scans; after that the next turn goes on. */
const SCANS_MAX = 3;
/** Sources on the ledger page. */
const LEDGER_SOURCES_MAX = 1_000;

export interface ForwarderOptions {
  /** Those with a folder of positions wait for its `join` or `joinOlder`. */
  readonly files: readonly FileGlob[];
  /** Sources whose path begins so are stdio: lines with headers. Undefined where there are none. */
  readonly stdioRoot?: string | undefined;
  /** Told what the last run knew before anything is read: gives it as it is to be found now. */
  readonly relocate?: ((known: readonly KnownSource[]) => Promise<readonly KnownSource[]>) | undefined;
  /** False while more comes into the files that nobody has written yet: the end waits for it. */
  readonly isComplete?: (() => boolean) | undefined;
  readonly sinks: readonly SinkName[];
  readonly uid: string;
  /** Random for each start. */
  readonly epoch: string;
  readonly flushIntervalMs: number;
  readonly rules: RecordRules;
  /** Of the pod: positions of what no volume keeps, and refused records. */
  readonly stateFiles: StateFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Without it growth is found by polling alone. */
  readonly watch: boolean;
  /** Watches one folder; the system does unless given. */
  readonly watchFolder?: WatchFolder | undefined;
  readonly holdBytesMax?: number;
  /** Encoded bytes of all lanes together; BUFFER_BYTES_MAX unless given. */
  readonly bufferBytesMax?: number;
  /** When live files are closed; the shipped rule unless given. */
  readonly rest?: RestRule;
  /** Where dead records go besides the state folder. */
  readonly copyDead?: CopyDead | undefined;
  /** Names this boot of the machine; undefined where that cannot be had. */
  readonly bootId?: string | undefined;
}

export class Forwarder {
  readonly lanes: readonly Lane[];
  readonly #options: ForwarderOptions;
  readonly #files: FileSet;
  readonly #budget: ByteBudget;
  /** The summary is written after the files were let go of. */
  #unreadAtClose: ReadonlyMap<Lane, number> | undefined;
  readonly #checkpoints: Checkpoints;
  /** By counter and labels, what the books of volumes brought with them: the counters say what happened here. */
  readonly #broughtIn = new Map<string, number>();
  readonly #wake = new Wake();
  readonly #watch: FolderWatch | undefined;
  readonly #schedule = new LookSchedule();
  /** When a watch first told of what was not looked at yet, on the monotonic clock. */
  #hintedAt: number | undefined;
  #stopped = false;
  #closed = false;

  /** Reads the checkpoint and makes ready; nothing is sent before the first turn. */
  static async open(options: ForwarderOptions): Promise<Forwarder> {
    const { stateFiles: files, clock, log, metrics, bootId } = options;
    const grouping = groupingName(options.rules, options.stdioRoot !== undefined);
    const checkpointer = new Checkpointer({ files, clock, log, metrics, bootId, grouping });
    await checkpointer.open();
    const known = knownSources(checkpointer.state);
    return new Forwarder(options, checkpointer, (await options.relocate?.(known)) ?? known);
  }

  constructor(options: ForwarderOptions, checkpointer: Checkpointer, known: readonly KnownSource[]) {
    this.#options = options;
    this.#checkpoints = new Checkpoints(checkpointer);
    this.#budget = new ByteBudget(options.bufferBytesMax ?? BUFFER_BYTES_MAX);
    const wake = (): void => this.#wake.call();
    this.#files = new FileSet({
      ...options,
      known,
      isSettled: (source) => this.lanes.every((lane) => lane.isSettled(source)),
      unsettledBytes: (source) => Math.max(...this.lanes.map((lane) => source.size - lane.cursorOf(source).acked)),
      onRestored: (source) => this.#restored(source),
      onChanged: (source) => this.#changed(source),
      onReleased: (source) => this.lanes.forEach((lane) => lane.release(source, 'hold_limit')),
      onEnded: (source) => this.#ended(source),
      onOlder: (source) => this.#passOver(source),
      onRested: (source) => this.lanes.forEach((lane) => lane.rest(source)),
      onVanished: (known) => this.#forget(known),
    });
    const { stateFiles: files, clock, log, metrics } = options;
    const pages = new PageCache({ clock, log });
    const deadLetter = new DeadLetter({ files, clock, log, metrics, copy: options.copyDead });
    const hasStdio = options.stdioRoot !== undefined;
    const parts = { files: this.#files, budget: this.#budget, checkpoints: this.#checkpoints };
    const shared = { ...options, ...parts, hasStdio, deadLetter, wake };
    const hooks = {
      regenerate: (source: SourceFile) => this.#regenerate(source),
      putSource: (source: SourceFile) => this.#putSource(source),
      settled: (source: SourceFile) => pages.release(source, this.#ackedByAll(source)),
    };
    this.lanes = options.sinks.map((name) => new Lane({ ...shared, ...hooks, name }));
    const hinted = (): void => {
      this.#hintedAt = clock.monotonic();
      wake();
    };
    const { watchFolder } = options;
    this.#watch = options.watch ? new FolderWatch({ wake: hinted, log, watchFolder }) : undefined;
  }

  /** Gives a lane its sink; lanes may get theirs at any time. */
  attach(sink: Sink): void {
    this.lanes.find((lane) => lane.name === sink.name)?.open(sink);
    this.#wake.call();
  }

  /**
   * Takes up the files of a volume where its checkpoint left them. Never rejects. Undefined when they are taken up; else why the checkpoint
   * cannot be read, and nothing was changed.
   *
   * @param positions the folder, as the globs name it
   * @param files of that folder; closed with the forwarder once they are taken up
   */
  async join(positions: string, files: StateFiles): Promise<string | undefined> {
    const { rules, clock, metrics, bootId } = this.#options;
    const log = this.#options.log.with({ positions });
    // Stdio is not among what a volume keeps.
    const checkpointer = new Checkpointer({ files, clock, log, metrics, bootId, grouping: groupingName(rules, false) });
    await checkpointer.open();
    if (this.#closed) return 'the end came first';
    if (!checkpointer.isRead) return checkpointer.problem ?? 'not read';
    this.#changeBooks(() => {
      this.#checkpoints.join(positions, checkpointer);
      for (const lane of this.lanes) lane.join(positions);
      this.#files.join(positions, { known: knownSources(checkpointer.state, positions) });
    });
    return undefined;
  }

  /**
   * Takes up the files of a volume that can keep no positions: the pod's own checkpoint keeps them, and those that it does not know and that
   * were last written before that time begin at their end.
   *
   * @param olderThanMs since the epoch
   */
  joinOlder(positions: string, olderThanMs: number): void {
    this.#files.join(positions, { known: undefined, olderThanMs });
    this.#wake.call();
  }

  /** Another pod goes on with the files of a volume: they are let go of, with their books. What was joined may be joined again. */
  leave(positions: string): void {
    if (!this.#checkpoints.has(positions)) return;
    this.#changeBooks(() => {
      this.#files.leave(positions);
      for (const lane of this.lanes) lane.leave(positions);
      this.#checkpoints.leave(positions);
    });
  }

  /** One round. Gives the milliseconds that may pass until the next; 0 when there is more to do at once. */
  turn(): number {
    const now = this.#options.clock.monotonic();
    this.#look(now);
    let waitMs = Number.POSITIVE_INFINITY;
    for (const lane of this.lanes) waitMs = Math.min(waitMs, lane.step());
    this.#checkpoints.tick();
    return Math.max(0, Math.min(waitMs, this.#schedule.nextMs(now, this.#need(now))));
  }

  /** Runs until `stop`. Rejects on a bug. */
  async run(): Promise<void> {
    while (!this.#stopped) await this.#pause(this.turn());
  }

  /** Ends `run` after its current turn. */
  stop(): void {
    this.#stopped = true;
    this.#wake.call();
  }

  /** Drops what is in flight: the fast end. */
  abort(): void {
    for (const lane of this.lanes) lane.abort();
    this.#wake.call();
  }

  /**
   * Ships what is there and waits for the acknowledgements, at most until the signal is aborted. True when nothing is left. Files that
   * still grow are followed; once they are quiet their last lines count as complete.
   */
  async drain(signal: AbortSignal): Promise<boolean> {
    this.#setMode('draining');
    signal.addEventListener('abort', () => this.abort(), { once: true });
    let quietSince: number | undefined;
    // What grew may have been sent and acknowledged within one turn: its writer is not quiet all the same.
    const isQuiet = (since: number): boolean => this.#now() - Math.max(since, this.#files.grewAt) >= DRAIN_QUIET_MS;
    while (!signal.aborted) {
      if (quietSince === undefined || isQuiet(quietSince)) this.#lookAtAll();
      await this.#pause(Math.min(this.turn(), POLL_INTERVAL_MS / 5));
      if (this.#options.isComplete?.() === false || !this.#isAtEnd()) {
        quietSince = undefined;
        this.#setMode('draining');
      } else if (quietSince === undefined) quietSince = this.#now();
      else if (isQuiet(quietSince)) {
        if (this.#isSettled()) return true;
        this.#setMode('flushing');
      }
    }
    return this.#isSettled();
  }

  /** After `run`: waits for the requests in flight, at most until the signal is aborted. Nothing new is sent. */
  async settle(signal: AbortSignal): Promise<void> {
    await Promise.race([Promise.all(this.lanes.map((lane) => lane.settle())), aborted(signal)]);
  }

  /** Offset before which every lane has had everything acknowledged; 0 where one has not begun, or is done with it. */
  #ackedByAll(source: SourceFile): number {
    let acked = source.size;
    for (const lane of this.lanes) acked = Math.min(acked, lane.ackedOf(source));
    return acked;
  }

  /** Bytes of files that have no name any more and are not delivered: only this process can still read them. */
  get unnamedBytes(): number {
    const isUnnamed = (source: SourceFile): boolean => source.fd !== undefined && source.deletedAt !== undefined;
    const left = (source: SourceFile): number =>
      Math.max(0, ...this.lanes.map((lane) => source.size - lane.cursorOf(source).acked));
    return this.#open()
      .filter(isUnnamed)
      .reduce((sum, source) => sum + left(source), 0);
  }

  /** Of the lane that passed over the most: bytes of files that were older than the pod and are not shipped. */
  get bytesPassedOver(): number {
    return Math.max(0, ...this.lanes.map(({ account }) => account.dropped.get('older_than_pod')?.bytes ?? 0));
  }

  /** Encoded bytes of all lanes, filling and in flight. */
  get heldBytes(): number {
    return this.#budget.heldBytes;
  }

  /**
   * Saves positions and lets go of everything. True when the positions are on the disk.
   *
   * @param patience when it resolves, sinks that still hang are left behind: for who ends the process next
   */
  async close(patience?: Promise<unknown>): Promise<boolean> {
    this.#closed = true;
    this.abort();
    const closed = Promise.all(this.lanes.map((lane) => lane.close()));
    await (patience === undefined ? closed : Promise.race([closed, patience]));
    this.#watch?.close();
    this.#unreadAtClose = new Map(this.lanes.map((lane) => [lane, this.#unreadBytes(lane)]));
    this.#files.close();
    return this.#checkpoints.close();
  }

  /** Files of which every lane has had the last byte acknowledged and that are written to no more, as the sidecar names them. */
  spentFiles(): readonly string[] {
    return [...this.#files.sources].flatMap(({ state, name }) =>
      state === 'parked' && name !== undefined ? [name] : [],
    );
  }

  /** What the readiness page says, by part; undefined: all well. */
  problems(): Readonly<Record<string, string | undefined>> {
    const files = [...this.#files.problems].map(([name, code]) => `${name}: ${code}`);
    const sinks = this.lanes.map((lane): [string, string | undefined] => [`sink-${lane.name}`, laneProblem(lane)]);
    return {
      positions: this.#checkpoints.problem,
      files: files.length === 0 ? undefined : files.slice(0, 10).join(', '),
      ...Object.fromEntries<string | undefined>(sinks),
    };
  }

  summaries(): readonly SinkSummary[] {
    return this.lanes.map((lane) => ({
      sink: lane.name,
      account: lane.account,
      unreadBytes: this.#unreadBytes(lane),
      trouble: laneProblem(lane),
    }));
  }

  /** The ledger page. */
  ledger(): unknown {
    return {
      uid: this.#options.uid,
      /** Then `lines` are records, and a record begins where a line does: `logtender verify` can look for each. */
      lines_are_records: !needsShaping(this.#options.rules),
      sinks: this.lanes.map((lane) => {
        const { account } = lane;
        const sources = [...lane.cursors].slice(0, LEDGER_SOURCES_MAX).map(({ source, read, acked, account: own }) => ({
          ...source.info,
          device: source.identity.dev,
          inode: source.identity.ino,
          state: source.state,
          size: source.size,
          read_to: read,
          acked_to: acked,
          ...(isStdio(source.info) ? { lines_are_records: false } : {}),
          ...books(own),
        }));
        return { sink: lane.name, ...books(account), unread_bytes: this.#unreadBytes(lane), sources };
      }),
    };
  }

  /** Brings the metrics up to date; to be called before they are shown. */
  observe(): void {
    const { metrics } = this.#options;
    this.#observeCounts();
    for (const lane of this.lanes) {
      const { account } = lane;
      const labels = { sink: lane.name };
      metrics
        .gauge('logtender_pending_lines', 'Lines read and not yet acknowledged.')
        .set(account.pending.lines, labels);
      metrics
        .gauge('logtender_unread_bytes', 'Bytes in files that are not read yet.')
        .set(this.#unreadBytes(lane), labels);
    }
    this.#observeRotation();
    metrics
      .gauge('logtender_buffered_bytes', 'Encoded bytes of all sinks together, filling and in flight.')
      .set(this.heldBytes);
    metrics.gauge('logtender_sources', 'Files that are known.').set([...this.#files.sources].length);
  }

  #counts(): Count[] {
    return this.lanes.flatMap(({ name, account }) => countsOf(account, { sink: name }));
  }

  /** A counter is brought up to a total that is kept elsewhere. */
  #observeCounts(): void {
    for (const { name, help, total, labels } of this.#counts()) {
      const counter = this.#options.metrics.counter(name, help);
      counter.add(total - (this.#broughtIn.get(name + seriesKey(labels)) ?? 0) - counter.value(labels), labels);
    }
  }

  /** A checkpoint comes or goes, with the counts of pods before this one: no counter jumps. */
  #changeBooks(change: () => void): void {
    this.#observeCounts();
    const before = this.#counts().map((count) => ({ ...count, total: 0 }));
    change();
    // Where nothing is left of a count its total is 0 now.
    for (const { name, help, total, labels } of [...before, ...this.#counts()])
      this.#broughtIn.set(name + seriesKey(labels), total - this.#options.metrics.counter(name, help).value(labels));
    this.#wake.call();
  }

  /** Where nothing is unread, or no rotation was seen yet, it is infinite: an alert asks for less than it needs. */
  #observeRotation(): void {
    const leftMs = this.#files.unreadLeftMs((source) => this.lanes.some((lane) => !lane.isSettled(source)));
    this.#options.metrics
      .gauge(
        'logtender_unread_seconds_left',
        'Seconds until unread bytes are rotated away, at the rate of rotations so far; +Inf when that is not known.',
      )
      .set(leftMs / 1_000);
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0) await nextTurn();
    else await this.#wake.wait(this.#options.clock, ms);
  }

  #look(now: number): void {
    const wasBusy = this.#watch?.isBusy === true;
    const looks = this.#schedule.turn(now, this.#need(now));
    this.#files.grownAfterMs = wasBusy ? looks.lastHintsAt : (this.#hintedAt ?? now);
    let names: ReadonlySet<string> | undefined = NO_NAMES;
    if (looks.hints && this.#watch !== undefined) {
      const told = this.#watch.take(this.#mayStandAside(now));
      this.#hintedAt = undefined;
      if (told.scan) this.#schedule.hintScan();
      names = told.names;
    }
    if (looks.scan || this.#schedule.isScanDue(now, this.#files)) this.#scan(now);
    if (looks.poll) this.#files.sweep();
    if (looks.poll || names === undefined || names.size > 0) this.#files.poll({ names, active: looks.poll });
    this.#files.grownAfterMs = now;
  }

  #scan(now: number): void {
    this.#scanFiles();
    this.#watch?.follow(this.#files.folders);
    this.#schedule.scanned(now);
  }

  /**
   * A name that moved between the listing and the look into its file is looked for again before anything is read: what is newer than that
   * file would go out before it.
   */
  #scanFiles(): void {
    for (let scans = 1; scans <= SCANS_MAX; scans += 1) {
      this.#files.scan();
      this.#releaseTruncated();
      if (!this.#files.scanWanted) return;
    }
  }

  /** A timer does for a watch only what it can do as well: ask files that are open, and only while they grow. */
  #mayStandAside(now: number): boolean {
    return !this.#files.hasResting && now - this.#files.grewAt < STAND_ASIDE_MS;
  }

  #need(now: number): LookNeed {
    return {
      isHinted: this.#watch?.isPending === true,
      isBusy: this.#watch?.isBusy === true,
      isSendDue: this.lanes.some((lane) => lane.dueAt <= now),
      scanWanted: this.#files.scanWanted,
      isAtRest: this.#files.isAtRest && !this.#checkpoints.isPending,
    };
  }

  /** A scan and a look at every size, not only at those that are due. */
  #lookAtAll(): void {
    this.#scanFiles();
    this.#files.poll({ names: undefined, active: true });
    this.#schedule.scanned(this.#now());
    this.#schedule.polled(this.#now());
  }

  #setMode(mode: LaneMode): void {
    for (const lane of this.lanes) lane.mode = mode;
  }

  #isAtEnd(): boolean {
    return this.lanes.every((lane) => lane.isIdle && this.#open().every((source) => lane.isAtEnd(source)));
  }

  #isSettled(): boolean {
    return this.lanes.every((lane) => lane.isIdle && this.#open().every((source) => lane.isSettled(source)));
  }

  #open(): SourceFile[] {
    return this.#files.chains.flat();
  }

  #unreadBytes(lane: Lane): number {
    const atClose = this.#unreadAtClose?.get(lane);
    if (atClose !== undefined) return atClose;
    let sum = 0;
    for (const source of this.#open())
      if (source.fd !== undefined) sum += Math.max(0, source.size - lane.cursorOf(source).read);
    return sum;
  }

  #putSource(source: SourceFile): void {
    const { info, identity, head, order, copy, truncatedUs } = source;
    const { id, container, path } = info;
    const truncated = truncatedUs === undefined ? {} : { truncatedUs };
    const place = { id, container, path, ...identity, order, copy, orphan: source.state === 'orphan', ...truncated };
    const checkpointer = this.#checkpoints.of(source.positions);
    checkpointer.putSource({ t: 'source', ...place, headLength: head.length, headHash: head.hash });
  }

  /** Bytes that were cut off before a lane read them, and whose copy a whole scan did not find, are a loss that its books show. */
  #releaseTruncated(): void {
    for (const source of this.#files.sources)
      if (source.state === 'orphan' && !source.awaitsCopy)
        for (const lane of this.lanes) lane.release(source, 'truncated');
  }

  #ended(source: SourceFile): void {
    for (const lane of this.lanes) lane.release(source, 'truncated');
    const hasLoss = this.lanes.some((lane) => lane.cursorOf(source).account.dropped.size > 0);
    this.#retire(source.info.id, source.positions, (lane) => lane.retire(source), hasLoss);
  }

  /** It goes on where each lane had its last acknowledgement. What is resent under a new id may come twice, but hides no line. */
  #restored(source: SourceFile): void {
    this.lanes.forEach((lane) => lane.cursorOf(source));
    const { state } = this.#checkpoints.of(source.positions);
    if (state.sources.get(source.info.id)?.doubtful === true) this.#regenerate(source);
  }

  /** Its identity is not what the checkpoint says: that must not survive a power cut. */
  #changed(source: SourceFile): void {
    const checkpointer = this.#checkpoints.of(source.positions);
    if (!checkpointer.state.sources.has(source.info.id)) return;
    this.#putSource(source);
    void checkpointer.persist();
  }

  #regenerate(source: SourceFile): void {
    const { id } = source.info;
    this.#files.regenerate(source);
    this.#putSource(source);
    for (const lane of this.lanes) lane.renamed(source, id);
    this.#retire(id, source.positions, () => {});
  }

  #forget(known: KnownSource): void {
    this.#options.log.warn('file of the last run is gone', { path: known.path, container: known.container });
    this.#retire(known.id, known.positions, (lane) => lane.retireVanished(known));
  }

  #passOver(source: SourceFile): void {
    const { container, path } = source.info;
    for (const lane of this.lanes) lane.passOver(source);
    this.#putSource(source);
    this.#options.log.error('file is older than the pod and begins at its end', {
      container,
      path,
      bytes: source.size,
    });
  }

  /** The lanes' books take a source's counts over, and the checkpoint forgets it, in one entry. A loss is saved also of a file never sent. */
  #retire(id: string, positions: string | undefined, takeOver: (lane: Lane) => void, hasLoss = false): void {
    this.lanes.forEach(takeOver);
    const checkpointer = this.#checkpoints.of(positions);
    const isSaved = checkpointer.state.sources.has(id);
    if (isSaved || hasLoss)
      checkpointer.putGone(id, Object.fromEntries(this.lanes.map((lane) => [lane.name, lane.retired(positions)])));
  }
}

const NO_NAMES: ReadonlySet<string> = new Set();

function knownSources({ sources, lanes }: CheckpointState, positions?: string): KnownSource[] {
  const anchors = new Map<string, { offset: number; hash: string }[]>();
  for (const { id, acked, tail, sent, sentTail } of lanes.values()) {
    const own = anchors.get(id) ?? [];
    own.push({ offset: acked, hash: tail }, { offset: sent, hash: sentTail });
    anchors.set(id, own);
  }
  return [...sources.values()].map((entry: SourceEntry) => ({
    id: entry.id,
    container: entry.container,
    path: entry.path,
    positions,
    identity: { dev: entry.dev, ino: entry.ino, birthUs: entry.birthUs },
    head: { length: entry.headLength, hash: entry.headHash },
    copy: entry.copy,
    orphan: entry.orphan,
    truncatedUs: entry.truncatedUs,
    order: entry.order,
    anchors: anchors.get(entry.id) ?? [],
  }));
}

function laneProblem(lane: Lane): string | undefined {
  if (!lane.isOpen) return 'not open yet, see the log';
  return lane.trouble === undefined ? undefined : `${lane.trouble.reason}: ${lane.trouble.text}`;
}

function books(account: Lane['account']): AccountState & { read: object; pending: object } {
  return { read: account.read, ...account.save(), pending: account.pending };
}

/** One of the books' totals as a counter. */
interface Count {
  readonly name: string;
  readonly help: string;
  readonly total: number;
  readonly labels: Labels;
}

const TOTALS: readonly (readonly [name: string, help: string, totalOf: (account: Account) => number])[] = [
  ['logtender_read_lines_total', 'Lines read for a sink.', ({ read }) => read.lines],
  ['logtender_read_bytes_total', 'Source bytes read for a sink.', ({ read }) => read.bytes],
  ['logtender_delivered_lines_total', 'Lines that the sink acknowledged.', ({ delivered }) => delivered.lines],
  ['logtender_delivered_bytes_total', 'Source bytes that the sink acknowledged.', ({ delivered }) => delivered.bytes],
  ['logtender_duplicate_lines_total', 'Lines that the sink already had.', ({ duplicates }) => duplicates],
  [
    'logtender_possible_duplicate_lines_total',
    'Lines sent again that may be stored already, to a sink that cannot tell: an upper bound of what it holds twice.',
    ({ duplicatesMax }) => duplicatesMax,
  ],
];

function countsOf(account: Account, labels: Labels): Count[] {
  const dropped = [...account.dropped].flatMap(([reason, { lines, bytes }]): Count[] => {
    const why = { ...labels, reason };
    return [
      { name: 'logtender_dropped_lines_total', help: 'Lines that will never arrive.', total: lines, labels: why },
      {
        name: 'logtender_dropped_bytes_total',
        help: 'Source bytes that will never arrive.',
        total: bytes,
        labels: why,
      },
    ];
  });
  return [...TOTALS.map(([name, help, totalOf]) => ({ name, help, total: totalOf(account), labels })), ...dropped];
}
