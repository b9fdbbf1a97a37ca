/**
 * Keeps what must outlive us: a snapshot and an append log beside it, written by one writer at a time.
 *
 * Invariants: `persist` resolves to true only when everything put before the call is on the disk; a failure to write never stops the
 * shipping, it is said loudly and tried again; the snapshot and its log carry the same number, so a crash between the two writes
 * leaves a log that is known to be stale. May import: core, pipeline.
 */
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { KiB } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { CHECKPOINT_VERSION, decodeLines, encodeLine, encodeLines } from './checkpoint-codec.ts';
import type { Decoded, Entry, GoneEntry, LaneEntry, SourceEntry } from './checkpoint-codec.ts';
import type { AccountState } from './ledger.ts';
import type { StateFiles } from './state-files.ts';

/** Acknowledgements are written this often, so that a kill repeats at most this much. */
const WRITE_INTERVAL_MS = 200;
/** And made to survive a power cut this often: an fsync for each write would be a burden on a node with a hundred pods. */
const SYNC_INTERVAL_MS = 1_000;
/** After a failure (disk full, read-only) the next try waits this long. */
const FAILURE_WAIT_MS = 5_000;
/** A read that fails (a disk, a server) is tried so often, with that wait between, before the start goes on without what is there. */
const READ_ATTEMPTS = 5;
const READ_WAIT_MS = 500;
/**
 * A log of this size, and of twice its snapshot's, is folded into a new one: about a thousand acknowledgements, read in a few milliseconds at
 * the start. With thousands of files a snapshot is dear, and what folds it must have cost more.
 */
const LOG_BYTES_MAX = 256 * KiB;

const SNAPSHOT = 'checkpoint';
const UNREADABLE = 'checkpoint.unreadable';
/** The snapshot has this name while nothing newer can be saved: whoever starts from it knows that more was sent than it says. */
const OUTDATED = 'checkpoint.outdated';
const logName = (seq: number): string => `checkpoint-${seq % 2}.log`;
const laneKey = (sink: string, id: string): string => `${sink}\0${id}`;

/** What the checkpoint says, by source id and by sink. */
export interface CheckpointState {
  readonly sources: Map<string, SourceEntry>;
  readonly lanes: Map<string, LaneEntry>;
  /** Settled counts of sources that are done with, by sink. */
  retired: Readonly<Record<string, AccountState>>;
}

export class Checkpointer {
  readonly state: CheckpointState = { sources: new Map(), lanes: new Map(), retired: {} };
  readonly #files: StateFiles;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics;
  #boot: string | undefined;
  readonly #grouping: string | undefined;
  #dirty = new Map<string, Entry>();
  #seq = 0;
  #logBytes = 0;
  #snapshotBytes = 0;
  #needsSnapshot = true;
  #unsynced = false;
  #wroteAt = Number.NEGATIVE_INFINITY;
  #syncedAt = Number.NEGATIVE_INFINITY;
  #failedAt: number | undefined;
  #isAbandoned = false;
  #writing: Promise<unknown> = Promise.resolve();
  #busy = 0;

  /**
   * @param options.bootId names this boot of the machine; without it every start counts as one in the same boot
   * @param options.grouping names the rule by which lines become records; undefined: each line is one
   */
  constructor(options: {
    files: StateFiles;
    clock: Clock;
    log: Log;
    metrics: Metrics;
    bootId?: string | undefined;
    grouping?: string | undefined;
  }) {
    this.#files = options.files;
    this.#grouping = options.grouping;
    this.#boot = options.bootId;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#metrics = options.metrics;
  }

  /** Why positions are not being saved, or undefined. For /readyz. */
  problem: string | undefined;
  /** False where there may be a checkpoint that could not be read: it is set aside before anything is written in its place. */
  isRead = false;

  /** Reads what is there by rule (see checkpoint-codec) and writes it anew. Never rejects: without a state folder we run from memory. */
  async open(): Promise<void> {
    try {
      const snapshot = await this.#read(SNAPSHOT);
      if (snapshot === undefined) await this.#loadOutdated();
      else await this.#load(snapshot, SNAPSHOT);
      this.isRead = true;
    } catch (error) {
      this.#fail(error);
    }
    await this.persist();
  }

  /** Another process writes there now: what is put from here on is not saved. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  putSource(entry: SourceEntry): void {
    this.#put(entry.id, entry);
  }

  putLane(entry: LaneEntry): void {
    this.#put(laneKey(entry.sink, entry.id), entry);
  }

  lane(sink: string, id: string): LaneEntry | undefined {
    return this.state.lanes.get(laneKey(sink, id));
  }

  /** Forgets a source; `retired` are the sinks' settled totals after that. */
  putGone(id: string, retired: Readonly<Record<string, AccountState>>): void {
    this.#put(`gone\0${id}`, { t: 'gone', id, retired });
  }

  /** Is there anything that a crash now would forget? */
  get dirty(): boolean {
    return this.#dirty.size > 0 || this.#needsSnapshot;
  }

  /** Is there a write that `tick` is yet to begin? */
  get isPending(): boolean {
    return this.dirty || this.#unsynced;
  }

  /** Begins a write when one is due. Does not wait for it. */
  tick(): void {
    const now = this.#clock.monotonic();
    const due = this.dirty
      ? now - this.#wroteAt >= WRITE_INTERVAL_MS
      : this.#unsynced && now - this.#syncedAt >= SYNC_INTERVAL_MS;
    if (!due || this.#busy > 0 || this.#isWaiting(now)) return;
    void this.#enqueue(now - this.#syncedAt >= SYNC_INTERVAL_MS);
  }

  /** Everything put so far is with the system: it survives a kill, not a power cut. */
  write(): Promise<boolean> {
    return this.#enqueue(false);
  }

  /** True when everything put so far is on the disk. */
  persist(): Promise<boolean> {
    return this.#enqueue(true);
  }

  /** Writes what is left. True when all of it is on the disk. Never rejects. */
  async close(): Promise<boolean> {
    // The last try is made even within the wait after a failure, and after a write that fails before its turn comes.
    await this.#writing;
    this.#failedAt = undefined;
    const isSaved = await this.persist();
    if (isSaved) await this.#writeLast();
    try {
      await this.#files.close();
    } catch (error) {
      this.#log.warn('state files cannot be closed', { error: errorText(error) });
    }
    return isSaved;
  }

  /**
   * All is on the disk and nothing follows: no power cut can take anything back, and the next run may trust what it reads in whatever boot
   * of whatever machine it begins. Who knows no boot is trusted.
   */
  async #writeLast(): Promise<void> {
    this.#boot = undefined;
    try {
      await this.#writeSnapshot();
    } catch (error) {
      // The pair before it stands, with its boot.
      this.#log.warn('last snapshot cannot be written', { error: errorText(error) });
    }
  }

  #put(key: string, entry: Entry): void {
    apply(this.state, entry);
    this.#dirty.set(key, entry);
  }

  /** One write after the other; each takes what is dirty when its turn comes. */
  #enqueue(sync: boolean): Promise<boolean> {
    this.#busy += 1;
    const turn = this.#writing.then(() => this.#write(sync));
    this.#writing = turn;
    return turn;
  }

  async #write(sync: boolean): Promise<boolean> {
    const now = this.#clock.monotonic();
    try {
      if (this.#isAbandoned || this.#isWaiting(now)) return false;
      if (this.#needsSnapshot || this.#logBytes > Math.max(LOG_BYTES_MAX, 2 * this.#snapshotBytes))
        await this.#writeSnapshot();
      else await this.#appendLog(sync);
      this.#wroteAt = now;
      if (sync) this.#syncedAt = now;
      this.#recover();
      return true;
    } catch (error) {
      if (this.#isAbandoned) return false;
      this.#fail(error);
      await this.#markOutdated();
      return false;
    } finally {
      this.#busy -= 1;
    }
  }

  /**
   * What is sent from now on the snapshot does not say, so a file that is cut off and begins alike would be taken for the one that was sent.
   * Another name needs no space on a full disk; where even that cannot be had (read-only) the snapshot stays as it is.
   */
  async #markOutdated(): Promise<void> {
    try {
      if ((await this.#files.read(SNAPSHOT)) !== undefined) await this.#files.rename(SNAPSHOT, OUTDATED);
    } catch (error) {
      this.#log.debug('checkpoint cannot be marked as outdated', { error: errorText(error) });
    }
  }

  async #appendLog(sync: boolean): Promise<void> {
    const name = logName(this.#seq);
    if (this.#dirty.size > 0) {
      const lines = encodeLines(this.#dirty.values());
      this.#dirty = new Map();
      this.#unsynced = true;
      this.#logBytes += lines.length;
      await this.#files.append(name, lines);
    }
    if (!sync || !this.#unsynced) return;
    await this.#files.sync(name);
    this.#unsynced = false;
  }

  async #writeSnapshot(): Promise<void> {
    const { sources, lanes, retired } = this.state;
    const seq = this.#seq + 1;
    this.#dirty = new Map();
    // Until both files stand, every failure comes back here: the seq of a half-written pair is never used again.
    this.#needsSnapshot = true;
    this.#seq = seq;
    const boot = this.#boot === undefined ? {} : { boot: this.#boot };
    const grouping = this.#grouping === undefined ? {} : { grouping: this.#grouping };
    const lines = encodeLines([
      { t: 'logtender-checkpoint', version: CHECKPOINT_VERSION, seq, ...boot, ...grouping },
      { t: 'gone', id: '', retired },
      ...sources.values(),
      ...lanes.values(),
      { t: 'end', entries: 1 + sources.size + lanes.size },
    ]);
    this.#snapshotBytes = lines.length;
    if (!this.isRead) await this.#setAsideUnread();
    await this.#files.replace(SNAPSHOT, lines);
    const header = Buffer.from(encodeLine({ t: 'logtender-checkpoint-log', version: CHECKPOINT_VERSION, seq }));
    await this.#files.replace(logName(seq), header);
    this.#logBytes = header.length;
    this.#unsynced = false;
    this.#needsSnapshot = false;
  }

  /** @throws the system's error of the last attempt */
  async #read(name: string): Promise<Buffer | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#files.read(name);
      } catch (error) {
        if (attempt === READ_ATTEMPTS) throw error;
        await this.#clock.sleep(READ_WAIT_MS);
      }
    }
  }

  /** A new name needs nothing that has to be read; what cannot even be renamed stays, and nothing is saved. */
  async #setAsideUnread(): Promise<void> {
    let isThere = true;
    try {
      isThere = (await this.#files.read(SNAPSHOT)) !== undefined;
    } catch {
      // It still cannot be read.
    }
    if (isThere) {
      await this.#files.rename(SNAPSHOT, UNREADABLE);
      this.#log.error('checkpoint that could not be read is set aside', { kept_as: UNREADABLE });
    }
    this.isRead = true;
  }

  async #loadOutdated(): Promise<void> {
    const snapshot = await this.#read(OUTDATED);
    if (snapshot === undefined) return;
    await this.#load(snapshot, OUTDATED);
    this.#log.warn('positions could not be saved to the end of the last run, known files go on under new ids', {
      sources_known: this.state.sources.size,
    });
    this.#doubtAll();
  }

  async #load(bytes: Buffer, name: string): Promise<void> {
    const snapshot = decodeLines(bytes);
    if (snapshot.header?.t !== 'logtender-checkpoint' || snapshot.header.version !== CHECKPOINT_VERSION) {
      await this.#files.rename(name, UNREADABLE);
      this.#log.error('checkpoint is set aside, every file is read from its beginning', {
        expected_version: CHECKPOINT_VERSION,
        found_version: snapshot.header?.version ?? null,
        kept_as: UNREADABLE,
      });
      return;
    }
    this.#seq = snapshot.header.seq;
    const appended = await this.#read(logName(this.#seq));
    const log = appended === undefined ? undefined : decodeLines(appended);
    for (const entry of snapshot.entries) apply(this.state, entry);
    // The other number: a crash came between snapshot and log, and the snapshot holds all that this log says.
    const isOurs = log?.header?.t === 'logtender-checkpoint-log' && log.header.seq === this.#seq;
    if (isOurs) for (const entry of log.entries) apply(this.state, entry);
    const isDamaged = this.#report(snapshot, log, isOurs);
    const isSameBoot = this.#isSameBoot(snapshot.header.boot);
    const isSameGrouping = this.#isSameGrouping(snapshot.header.grouping);
    if (isDamaged || !isSameBoot || !isSameGrouping) this.#doubtAll();
  }

  /** Under another rule other lines would stand together under the ids that were sent. */
  #isSameGrouping(before: string | undefined): boolean {
    const isSame = before === this.#grouping;
    if (!isSame) this.#log.info('lines become records by another rule than before, known files go on under new ids');
    return isSame;
  }

  #isSameBoot(before: string | undefined): boolean {
    const isSame = before === undefined || this.#boot === undefined || before === this.#boot;
    if (!isSame) this.#log.info('machine booted since the last run, known files go on under new ids');
    this.#boot ??= before;
    return isSame;
  }

  /**
   * After a power cut the newest acknowledgements and the unsynced ends of the logs are gone, and after damage it is not known what is
   * gone: other lines may stand where lines were sent from, and under the old ids the destination would take them for the ones it has.
   * Saved with each source, so that a kill before it is found again does not make it trusted.
   */
  #doubtAll(): void {
    const { sources } = this.state;
    for (const [id, entry] of sources) sources.set(id, { ...entry, doubtful: true });
  }

  /** Says what was found. True when bytes went missing. */
  #report(snapshot: Decoded, log: Decoded | undefined, logIsOurs: boolean): boolean {
    const damagedLines = snapshot.damagedLines + (log?.damagedLines ?? 0);
    const isShort = snapshot.end?.entries !== snapshot.entries.length || snapshot.tornBytes > 0;
    const isHeadless = log !== undefined && log.header === undefined;
    const isDamaged = damagedLines > 0 || isShort || isHeadless;
    if (isDamaged) {
      this.#metrics.counter('logtender_checkpoint_damage_total', 'Starts with a damaged checkpoint.').add(1);
      this.#log.error('checkpoint is damaged, what it does not say is read again', {
        damaged_lines: damagedLines,
        snapshot_cut: isShort,
        sources_known: this.state.sources.size,
      });
    }
    if (logIsOurs && log !== undefined && log.tornBytes > 0) {
      this.#log.info('torn end of the checkpoint log is cut', { bytes: log.tornBytes });
    }
    return isDamaged;
  }

  #isWaiting(now: number): boolean {
    return this.#failedAt !== undefined && now - this.#failedAt < FAILURE_WAIT_MS;
  }

  #fail(error: unknown): void {
    this.#failedAt = this.#clock.monotonic();
    // A log that took half a line cannot be appended to; the next write starts a new pair.
    this.#needsSnapshot = true;
    this.#metrics.counter('logtender_checkpoint_failures_total', 'Writes of the checkpoint that failed.').add(1);
    const text = errorText(error);
    if (this.problem !== text) {
      this.#log.error('positions cannot be saved, shipping goes on and a restart repeats lines', { error: text });
    }
    this.problem = text;
  }

  #recover(): void {
    if (this.problem !== undefined) this.#log.info('positions are saved again');
    this.problem = undefined;
    this.#failedAt = undefined;
  }
}

function apply(state: CheckpointState, entry: Entry): void {
  if (entry.t === 'source') state.sources.set(entry.id, entry);
  else if (entry.t === 'lane') state.lanes.set(laneKey(entry.sink, entry.id), entry);
  else forget(state, entry);
}

function forget(state: CheckpointState, entry: GoneEntry): void {
  state.sources.delete(entry.id);
  state.retired = entry.retired;
  if (entry.id === '') return;
  for (const [key, lane] of state.lanes) if (lane.id === entry.id) state.lanes.delete(key);
}
