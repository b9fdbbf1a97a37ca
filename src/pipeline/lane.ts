/**
 * One sink's way through all sources: its own position in each, its own read buffer, two encoders (one filling, one in flight).
 *
 * The file is the queue: what the sink does not take stays in the file, unread. Invariants: one request sequence in flight, so records
 * settle in order; a newer source of a path is not read before the older one's end; every byte that is read is compared with what stood
 * before it; nothing is sent before the checkpoint on disk says that it may be.
 * May import: core, config, source, sinks/sink.ts, pipeline.
 */
import assert from 'node:assert/strict';

import type { SinkName } from '../config/forwarder-config.ts';
import type { RecordRules } from '../config/record-rules.ts';
import type { Clock, Random } from '../core/clock.ts';
import { KiB, MiB } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Batch } from '../core/record.ts';
import { isStdio, recordBytes } from '../core/record.ts';
import { LAST, MORE_MAY_COME, OVERDUE, RECORD_WAIT_MS } from '../parse/record-cutter.ts';
import type { DataEnd } from '../parse/record-cutter.ts';
import { needsShaping } from '../parse/record-shaper.ts';
import type { Encoder, Pace, Promised, PromisedRequest, Rejection, Sink } from '../sinks/sink.ts';
import { digest, HEAD_BYTES_MAX, readAnchor } from '../source/identity.ts';
import type { FileSet } from '../source/file-set.ts';
import type { KnownSource, SourceFile } from '../source/source-file.ts';
import type { ByteBudget } from './byte-budget.ts';
import { hasUtf16Mark } from './byte-order-mark.ts';
import type { Checkpointer } from './checkpointer.ts';
import type { Checkpoints } from './checkpoints.ts';
import { Cursor } from './cursor.ts';
import type { DeadLetter, DeadRecord } from './dead-letter.ts';
import { Account } from './ledger.ts';
import type { AccountState, DropReason } from './ledger.ts';
import { lineCut } from './line-cut.ts';
import { GATHER_MS } from './look-schedule.ts';
import { passAt } from './pass-over.ts';
import { RecordStage } from './record-stage.ts';
import { RetryingSink } from './retrying-sink.ts';
import type { Settlement, Trouble } from './retrying-sink.ts';
import { SourceReader } from './source-reader.ts';
import { offsetOf, recordsBefore, settledTo, settleSpan, spanAt } from './span.ts';
import type { Span } from './span.ts';
import { TornLines } from './torn-line.ts';
import type { Completion } from './torn-line.ts';

const NEWLINE = 0x0a;
/** The finest date in a name. */
const HOUR_MS = 60 * 60_000;

/** Reads in one step: about a megabyte, a few milliseconds, then the event loop has its turn. */
const READS_PER_STEP = 4;
/** A batch of this size is not kept waiting for a source that has to go elsewhere. */
const WORTH_SENDING_BYTES = 256 * KiB;
/** Positions are promised ahead in steps of this size, so that a busy file costs an fsync every few seconds and not every batch. */
const RESERVE_AHEAD_BYTES = 16 * MiB;

export interface LaneOptions {
  readonly name: SinkName;
  readonly files: FileSet;
  readonly checkpoints: Checkpoints;
  readonly deadLetter: DeadLetter;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly flushIntervalMs: number;
  /** Shared by all lanes. */
  readonly budget: ByteBudget;
  /** How lines become records. */
  readonly rules: RecordRules;
  /** Whether stdio is among the sources. */
  readonly hasStdio: boolean;
  readonly wake: () => void;
  /** The destination holds other bytes under the ids of this source: it goes on under a new one, in every lane. */
  readonly regenerate: (source: SourceFile) => void;
  /** Puts what is known of the source into the checkpoint. */
  readonly putSource: (source: SourceFile) => void;
  /** This lane had more of it acknowledged. */
  readonly settled: (source: SourceFile) => void;
}

/** What holds for all records of one read. */
interface Taking {
  readonly stage: RecordStage;
  readonly encoder: Encoder;
  readonly cursor: Cursor;
  /** Where what was read ends in the reader's buffer, and what that means. */
  readonly end: number;
  readonly atEnd: DataEnd;
  /** When it was read: on the monotonic clock, and milliseconds since the epoch. */
  readonly now: number;
  readonly wallMs: number;
  /** Of the cluster that was just cut: how it is to be taken, where its last line is torn. */
  torn: Completion | undefined;
}

/** How eagerly a lane takes what is there. */
export type LaneMode =
  /** Batches fill until the flush interval is over. */
  | 'steady'
  /** The process ends: batches go out at once, rotated files are not waited for. */
  | 'draining'
  /** And the writers are quiet: the last lines count as complete. */
  | 'flushing';

/** What one checkpoint says of sources that are done with, and of those that are not found yet. */
interface SavedBooks {
  readonly retired: Account;
  /** By source id: the books are whole from the first moment. */
  readonly unclaimed: Map<string, AccountState>;
}

/** A batch on its way. */
interface Flight {
  readonly spans: readonly Span[];
  readonly abort: AbortController;
}

export class Lane {
  readonly name: SinkName;
  mode: LaneMode = 'steady';
  readonly #options: LaneOptions;
  readonly #cursors = new Map<SourceFile, Cursor>();
  readonly #reader: SourceReader;
  readonly #abort = new AbortController();
  /** By folder of positions; undefined: of the pod's own checkpoint. */
  readonly #books = new Map<string | undefined, SavedBooks>();
  #retrying: RetryingSink | undefined;
  #sink: Sink | undefined;
  #pace: Pace;
  #filling: Encoder | undefined;
  #spare: Encoder | undefined;
  /** Undefined where every line is a record as it is: then nothing stands between reader and encoder. */
  readonly #stage: RecordStage | undefined;
  /** The same for stdio, whose lines have headers. */
  readonly #stdioStage: RecordStage | undefined;
  readonly #torn: TornLines;
  #spans: Span[] = [];
  /** Number of the batch that is filling. */
  #serial = 1;
  /** The flush interval of the filling batch began here, on the monotonic clock. */
  #since: number | undefined;
  #closed = false;
  /** The last step took all that is there: a batch that is due need not wait for another one. */
  #isDry = false;
  #next = 0;
  #sending: Promise<void> | undefined;
  #flight: Flight | undefined;
  /** What is encoded has lines that are not ours to send any more: it is encoded anew when the flight is over. */
  #isStale = false;
  #bug: Error | undefined;

  constructor(options: LaneOptions) {
    this.name = options.name;
    this.#reader = new SourceReader(options);
    this.#options = options;
    options.budget.join(this);
    this.#pace = { ageMs: options.flushIntervalMs, worthBytes: WORTH_SENDING_BYTES };
    const { metrics, rules } = options;
    const about = { metrics, sink: options.name };
    this.#stage = needsShaping(rules) ? new RecordStage(rules, about) : undefined;
    this.#stdioStage = options.hasStdio ? new RecordStage(rules, { ...about, hasHeaders: true }) : undefined;
    this.#torn = new TornLines({
      ...options,
      sink: this.name,
      cursorOf: (source) => this.cursorOf(source),
      cursors: () => this.#cursors.values(),
      put: (cursor) => this.#put(cursor),
    });
    this.join(undefined);
  }

  /** Takes over what a checkpoint says of this sink. */
  join(positions: string | undefined): void {
    const { retired, lanes } = this.#options.checkpoints.of(positions).state;
    const own = [...lanes.values()].filter(({ sink }) => sink === this.name);
    const unclaimed = new Map(own.map(({ id, account }) => [id, account]));
    this.#books.set(positions, { retired: new Account(retired[this.name]), unclaimed });
    this.#torn.join(positions);
  }

  /**
   * Another pod goes on with what a volume keeps: nothing of it is sent or counted here any more. What is on its way is given up; what it
   * has of other sources is sent again as after a restart.
   */
  leave(positions: string): void {
    this.#books.delete(positions);
    this.#torn.leave(positions);
    const isOf = ({ source }: Cursor): boolean => source.positions === positions;
    for (const cursor of this.#cursors.values()) if (isOf(cursor)) this.#cursors.delete(cursor.source);
    const isFlying = this.#flight?.spans.some(({ cursor }) => isOf(cursor)) === true;
    if (isFlying) this.#flight?.abort.abort();
    if (!isFlying && !this.#spans.some(({ cursor }) => isOf(cursor))) return;
    if (this.#flight !== undefined) {
      this.#isStale = true;
      return;
    }
    try {
      this.#encodeAnew([]);
    } catch (error) {
      this.#noteBug(error);
    }
  }

  /** Gives the lane its sink. Until then it holds its positions, so that no file is let go before it. */
  open(sink: Sink): void {
    this.#sink = sink;
    this.#pace = sink.pace ?? this.#pace;
    this.#retrying = new RetryingSink({ ...this.#options, sink });
    this.#filling = sink.createEncoder();
    this.#spare = sink.createEncoder();
  }

  get trouble(): Trouble | undefined {
    return this.#retrying?.trouble;
  }

  get isOpen(): boolean {
    return this.#sink !== undefined;
  }

  /** Nothing is filling and nothing in flight. */
  get isIdle(): boolean {
    return this.#sending === undefined && this.#spans.length === 0;
  }

  /** Encoded bytes, filling and in flight. */
  get heldBytes(): number {
    return (this.#filling?.bytes ?? 0) + (this.#sending === undefined ? 0 : (this.#spare?.bytes ?? 0));
  }

  /** When the batch that is filling goes out if nothing else closes it, on the monotonic clock; infinite when it need not wait for that. */
  get dueAt(): number {
    const isWaiting = this.#spans.length > 0 && !this.#closed && this.#since !== undefined && this.mode === 'steady';
    return isWaiting ? (this.#since ?? 0) + this.#pace.ageMs : Number.POSITIVE_INFINITY;
  }

  get batchBytesMax(): number {
    return this.#filling?.bytesMax ?? 0;
  }

  /** The lane's books over all sources, those that are done with included. */
  get account(): Account {
    const total = new Account();
    for (const { retired, unclaimed } of this.#books.values()) {
      total.absorb(retired.save());
      for (const saved of unclaimed.values()) total.absorb(saved);
    }
    for (const { account } of this.#cursors.values()) {
      total.absorb(account.save());
      total.take(account.pending);
    }
    return total;
  }

  /** Settled totals of the sources that are done with, of those that one checkpoint kept. */
  retired(positions: string | undefined): AccountState {
    return this.#booksOf(positions).retired.save();
  }

  /** Every cursor, for the ledger page. */
  get cursors(): Iterable<Cursor> {
    return this.#cursors.values();
  }

  /** Offset before which everything is acknowledged; 0 for a source that the lane does not have, or not any more. */
  ackedOf(source: SourceFile): number {
    return this.#cursors.get(source)?.acked ?? 0;
  }

  cursorOf(source: SourceFile): Cursor {
    const known = this.#cursors.get(source);
    if (known !== undefined) return known;
    const { positions } = source;
    const checkpointer = this.#options.checkpoints.of(positions);
    const cursor = new Cursor(source, checkpointer, checkpointer.lane(this.name, source.info.id));
    this.#booksOf(positions).unclaimed.delete(source.info.id);
    this.#cursors.set(source, cursor);
    this.#torn.claimed(cursor);
    return cursor;
  }

  isSettled(source: SourceFile): boolean {
    const cursor = this.cursorOf(source);
    return cursor.acked === cursor.read && (source.fd === undefined || cursor.read >= source.size);
  }

  /** Is there nothing left but an incomplete last line? */
  isAtEnd(source: SourceFile): boolean {
    const cursor = this.cursorOf(source);
    return (
      cursor.acked === cursor.read &&
      (source.fd === undefined || Math.max(cursor.read, cursor.scannedTo) >= source.size)
    );
  }

  /** The source is done with: its counts go to the lane's total. */
  retire(source: SourceFile): void {
    const cursor = this.#cursors.get(source);
    if (cursor !== undefined) {
      this.#booksOf(source.positions).retired.absorb(cursor.account.save());
      this.#torn.retired(cursor);
    }
    this.#cursors.delete(source);
  }

  /** A source of the checkpoint is gone for good. */
  retireVanished({ id, positions }: Pick<KnownSource, 'id' | 'positions'>): void {
    const { retired, unclaimed } = this.#booksOf(positions);
    const saved = unclaimed.get(id);
    unclaimed.delete(id);
    if (saved !== undefined) retired.absorb(saved);
    this.#torn.vanished(id);
  }

  /**
   * What is unread of a source will never be read: its bytes are counted, each once, for its lines nobody knows. May be called again,
   * because lines that were read may have been given back since.
   */
  release(source: SourceFile, reason: 'hold_limit' | 'truncated'): void {
    const cursor = this.cursorOf(source);
    const bytes = Math.min(source.size, cursor.givenUpFrom) - cursor.read;
    if (bytes <= 0) return;
    cursor.givenUpFrom = cursor.read;
    cursor.account.take({ lines: 0, bytes });
    cursor.account.drop(reason, { lines: 0, bytes });
    if (cursor.checkpointer.lane(this.name, source.info.id) !== undefined) this.#put(cursor);
  }

  /** What is there of a new source is older than what we are to ship: it begins at its end, and the bytes are counted. */
  passOver(source: SourceFile): void {
    const cursor = this.cursorOf(source);
    const tail = this.#tailAt(cursor, source.size);
    const bytes = source.size - cursor.acked;
    if (tail === undefined || bytes <= 0) return;
    cursor.account.take({ lines: 0, bytes });
    cursor.account.drop('older_than_pod', { lines: 0, bytes });
    cursor.settle(source.size, tail);
    cursor.rewind();
    source.anchor = { offset: source.size, hash: tail };
    this.#put(cursor);
  }

  /** The source's file was closed because nothing is left to do: it is opened again when it changes. */
  rest(source: SourceFile): void {
    this.cursorOf(source).rest();
  }

  /** The source's id is another one than before: nothing was sent under the new one. */
  renamed(source: SourceFile, before: string): void {
    this.#torn.renamed(before, source.info.id);
    const cursor = this.#cursors.get(source);
    if (cursor === undefined) return;
    cursor.rename();
    this.#put(cursor);
  }

  /** Resolves when the request in flight, if any, is settled. */
  async settle(): Promise<void> {
    await this.#sending;
  }

  /** Drops what is in flight and takes no more. */
  abort(): void {
    this.#abort.abort();
    this.#flight?.abort.abort();
  }

  /** Resolves when the request in flight, if any, is settled or aborted. */
  async close(): Promise<void> {
    await this.#sending;
    await this.#sink?.close();
  }

  /** Reads, and sends when it is time. Gives the milliseconds until it wants to be asked again, 0 when there is more to do at once. */
  step(): number {
    if (this.#bug !== undefined) throw this.#bug;
    if (this.#filling === undefined || this.#isStale || this.#abort.signal.aborted) return Number.POSITIVE_INFINITY;
    const now = this.#options.clock.monotonic();
    const progress = !this.#closed && this.#fill(this.#filling, now);
    if (this.#spans.length === 0) return progress ? 0 : Number.POSITIVE_INFINITY;
    const waitMs = this.mode === 'steady' ? (this.#since ?? now) + this.#pace.ageMs - now : 0;
    if (waitMs <= 0 && (!progress || this.#isDry)) this.#closed = true;
    if (this.#closed && this.#sending === undefined) {
      this.#send(this.#filling);
      return 0;
    }
    if (this.#closed) return Number.POSITIVE_INFINITY;
    return progress ? 0 : waitMs;
  }

  #fill(encoder: Encoder, now: number): boolean {
    let progress = false;
    this.#isDry = false;
    for (let turn = 0; turn < READS_PER_STEP && !this.#closed; turn += 1) {
      if (this.#sending !== undefined && this.#options.budget.isSpent) break;
      const cursor = this.#candidate(now);
      this.#isDry = cursor === undefined;
      if (cursor === undefined) break;
      if (this.#take(encoder, cursor, now)) progress = true;
    }
    return progress;
  }

  /** The source whose promised request is being filled: until that has its whole range no other source takes a turn. */
  get #bound(): Cursor | undefined {
    const last = this.#spans.at(-1)?.cursor;
    return last?.object !== undefined && last.object.from < last.read ? last : undefined;
  }

  /** The next source with something to read, one turn each. */
  #candidate(now: number): Cursor | undefined {
    const { chains } = this.#options.files;
    const bound = this.#bound;
    if (bound !== undefined) return this.#readable([bound.source], now);
    for (let i = 0; i < chains.length; i += 1) {
      const at = (this.#next + i) % chains.length;
      const cursor = this.#readable(chains[at] ?? [], now);
      if (cursor === undefined) continue;
      this.#next = at + 1;
      return cursor;
    }
    return undefined;
  }

  #readable(chain: readonly SourceFile[], now: number): Cursor | undefined {
    for (const source of chain) {
      const cursor = this.cursorOf(source);
      if (this.#torn.isWaiting(cursor, { ...this.#endOf(source), now })) return undefined;
      if (this.#hasMore(cursor, now)) {
        // Not before the last look at it: what is counted from there goes out within the flush interval of when it was written.
        cursor.noticedAt ??= Math.min(now, Math.max(source.grewAfter, now - GATHER_MS));
        return cursor.refusedBy === this.#serial || now < cursor.pausedUntil ? undefined : cursor;
      }
      if (source.awaitsCopy || (this.mode === 'steady' && !this.#options.files.isPassable(source))) return undefined;
    }
    return undefined;
  }

  #hasMore(cursor: Cursor, now: number): boolean {
    const { source } = cursor;
    if (source.fd === undefined || source.size <= cursor.read) return false;
    if (source.size > cursor.scannedTo || this.#isLastLineComplete(source)) return true;
    return cursor.isHolding && now - source.grewAt >= RECORD_WAIT_MS;
  }

  /** What the torn end of a source is asked for. */
  #endOf(source: SourceFile): { readonly isComplete: boolean; readonly isHurried: boolean } {
    return { isComplete: this.#isLastLineComplete(source), isHurried: this.mode !== 'steady' };
  }

  #isLastLineComplete(source: SourceFile): boolean {
    return source.sealed || this.mode === 'flushing' || (this.mode === 'draining' && source.detachedAt !== undefined);
  }

  /** Reads once from a source and encodes what is whole. True when the encoder took something or the source changed under us. */
  #take(encoder: Encoder, cursor: Cursor, now: number): boolean {
    const available = this.#reader.read(cursor, now);
    if (available === undefined || cursor.source.fd === undefined) return true;
    const lead = cursor.tail.length;
    if (this.#passOver(encoder, cursor, lead, lead + available)) return true;
    const stage = isStdio(cursor.source.info) ? this.#stdioStage : this.#stage;
    return stage === undefined
      ? this.#takeLines(encoder, cursor, { available, now })
      : this.#takeRecords(stage, encoder, cursor, { available, now });
  }

  /** Of what was read. */
  #takeLines(encoder: Encoder, cursor: Cursor, { available, now }: { available: number; now: number }): boolean {
    const { source } = cursor;
    const lead = cursor.tail.length;
    const end = lead + available;
    const isWhole = cursor.read + available >= source.size;
    const atEnd = isWhole && this.#isLastLineComplete(source);
    let at = lead;
    let refused = false;
    // What is to be passed over is not looked at here.
    while (at < end && !refused && cursor.skipTo === cursor.read) {
      const limit = Math.min(end, at + cursor.border - cursor.read);
      const cut = lineCut(this.#reader.buffer, at, limit, limit < end || atEnd);
      if (cut === at) break;
      const used = this.#append(encoder, cursor, at, cut);
      // What was promised to the destination as one request is filled into one, and nothing else with it.
      refused = used < cut || cursor.isAtObjectEdge;
      at = used;
      // Where an incomplete line was taken for a whole one is told to the checkpoint before it is sent.
      if (at === end && this.#reader.buffer[end - 1] !== NEWLINE && atEnd) this.#rememberCut(cursor);
    }
    if (at > lead) this.#finishTake(cursor);
    if (refused) this.#refuse(encoder, cursor, at > lead, now);
    else if (isWhole) this.#noteScanned(cursor);
    return at > lead;
  }

  /** The same where records are more than lines. Nothing is allocated for a record: there are hundreds of thousands of them a second. */
  #takeRecords(
    stage: RecordStage,
    encoder: Encoder,
    cursor: Cursor,
    { available, now }: { available: number; now: number },
  ): boolean {
    const { source } = cursor;
    const lead = cursor.tail.length;
    const end = lead + available;
    const isWhole = cursor.read + available >= source.size;
    const atEnd = isWhole ? this.#dataEnd(source, now) : MORE_MAY_COME;
    const taking = { stage, encoder, cursor, end, atEnd, now, wallMs: this.#options.clock.now(), torn: undefined };
    stage.see(this.#reader.buffer, lead, end);
    cursor.isHolding = false;
    let at = lead;
    let refused = false;
    // What is to be passed over is not looked at here.
    while (at < end && cursor.skipTo === cursor.read) {
      const run = stage.takesRuns ? this.#appendRun(taking, at, at === lead) : at;
      const taken = run > at ? run : this.#takeCluster(taking, at);
      if (taken === undefined) break;
      // What was promised to the destination as one request is filled into one, and nothing else with it.
      refused = taken === at || cursor.isAtObjectEdge;
      at = taken;
      if (refused) break;
    }
    if (at > lead) this.#finishTake(cursor, at);
    if (refused) this.#refuse(encoder, cursor, at > lead, now);
    else if (isWhole) this.#noteScanned(cursor);
    return at > lead;
  }

  /** Takes the cluster that begins at `at`. Gives where it ends, `at` when the batch has no room for it, undefined when more has to come. */
  #takeCluster(taking: Taking, at: number): number | undefined {
    const { stage, cursor, end, atEnd, now } = taking;
    const to = this.#cutCluster(taking, at);
    if (to === at) return undefined;
    stage.begin(cursor.source.info, cursor.readMs(taking.wallMs), now, cursor.sentBefore);
    if (!this.#appendCluster(taking, at, to)) return at;
    // Where a record ended only because nothing more had come is told to the checkpoint before it is sent.
    const isCutShort = atEnd === LAST && to === end && this.#reader.buffer[end - 1] !== NEWLINE;
    if (taking.torn?.status !== 'joined' && (stage.wasForced || isCutShort)) this.#rememberCut(cursor);
    return to;
  }

  /** Encodes the usual lines of a run and books them; the cursor's tail is left to the caller. Gives where it stopped. */
  #appendRun({ stage, encoder, cursor, end: until }: Taking, from: number, isFresh: boolean): number {
    // What was promised keeps its bytes: its records go one by one.
    if (cursor.object !== undefined) return from;
    const first = encoder.records;
    const entry = stage.log.length;
    const { source, read: offset } = cursor;
    const to = Math.min(until, from + (cursor.border - offset));
    const timeMs = cursor.readMs(this.#options.clock.now());
    const input = this.#reader.buffer;
    const end = stage.appendRun(encoder, { source: source.info, input, from, to, offset, timeMs, isFresh });
    if (encoder.records > first) this.#bookEntries(stage, encoder, cursor, first, entry, offset + end - from);
    return end;
  }

  /** What the end of all that is there means. */
  #dataEnd(source: SourceFile, now: number): DataEnd {
    if (this.#isLastLineComplete(source)) return LAST;
    return now - source.grewAt >= RECORD_WAIT_MS ? OVERDUE : MORE_MAY_COME;
  }

  /** Gives where the cluster that begins at `at` ends, and leaves in `taking` how it is torn; `at` when more has to come. */
  #cutCluster(taking: Taking, at: number): number {
    const { stage, cursor, end, now } = taking;
    const { buffer } = this.#reader;
    const known = at + (cursor.border - cursor.read);
    const limit = Math.min(end, known);
    const isKnownEnd = known <= end;
    const atEnd = isKnownEnd ? LAST : taking.atEnd;
    const to = stage.cut(buffer, at, limit, atEnd);
    cursor.isHolding = to === at && stage.isHolding;
    taking.torn = undefined;
    if (to === at || !stage.wasForced || !stage.isTorn || to < limit) return to;
    const about = { ...this.#endOf(cursor.source), isKnownEnd, now };
    taking.torn = this.#torn.complete(stage, cursor, { ...about, buffer, from: at, to });
    if (taking.torn.status === 'wait') return at;
    // The stage has looked at other bytes meanwhile.
    return taking.torn.status === 'apart' ? stage.cut(buffer, at, limit, atEnd) : to;
  }

  /** Encodes a cluster and books it; the cursor's tail is left to the caller. False when the batch has no room. */
  #appendCluster({ stage, encoder, cursor, torn }: Taking, from: number, to: number): boolean {
    const first = encoder.records;
    const entry = stage.log.length;
    if (cursor.object !== undefined && first === 0) encoder.pin?.();
    const joined = torn?.status === 'joined' ? torn : undefined;
    const buffer = joined?.buffer ?? this.#reader.buffer;
    if (!stage.append(encoder, cursor.source.info, buffer, cursor.read, joined?.ownEnd)) {
      assert(this.#spans.length > 0, 'an empty batch takes any cluster');
      return false;
    }
    this.#bookEntries(stage, encoder, cursor, first, entry, cursor.read + to - from);
    if (torn?.status === 'apart') this.#torn.parted(cursor);
    if (joined === undefined) return true;
    // Told to the checkpoint before it is sent, as a cut is.
    this.#torn.joined(cursor, joined);
    const span = this.#spans.at(-1);
    if (span !== undefined) span.isCut = true;
    return true;
  }

  /**
   * Books what the stage has just added.
   *
   * @param first its first record in the batch
   * @param entry its first entry in the stage's log
   * @param until where it ends in the source
   */
  #bookEntries(
    { log, lines, timeMs: readMs }: RecordStage,
    encoder: Encoder,
    cursor: Cursor,
    first: number,
    entry: number,
    until: number,
  ): void {
    const records = encoder.records - first;
    cursor.account.takeLines(lines, until - cursor.read);
    const last = this.#spans.at(-1);
    if (last?.cursor === cursor && last.entries !== undefined) {
      last.records += records;
      last.to = until;
      log.merge(last.entries.from);
      last.entries.to = log.length;
    } else {
      const entries = { log, from: entry, to: log.length };
      const run = { first, records, from: cursor.read, to: until, readMs };
      this.#spans.push({ cursor, ...run, tail: '', isCut: false, passes: undefined, entries });
    }
    cursor.read = until;
  }

  /** Encodes `buffer[from, to)` and books it. Gives the position up to which the encoder took it. */
  #append(encoder: Encoder, cursor: Cursor, from: number, to: number): number {
    const first = encoder.records;
    if (cursor.object !== undefined && first === 0) encoder.pin?.();
    const readMs = cursor.readMs(this.#options.clock.now());
    const used = encoder.append(cursor.source.info, this.#reader.buffer, from, to, cursor.read, readMs);
    const lines = encoder.records - first;
    assert(used > from || first > 0, 'an empty batch takes any record');
    if (used === from) return from;
    cursor.account.take({ lines, bytes: used - from });
    const last = this.#spans.at(-1);
    const until = cursor.read + used - from;
    if (last?.cursor === cursor && last.passes === undefined) {
      last.records += lines;
      last.to = until;
    } else {
      const run = { first, records: lines, from: cursor.read, to: until };
      this.#spans.push({ cursor, ...run, readMs, tail: '', isCut: false, passes: undefined, entries: undefined });
    }
    cursor.advance(until, this.#reader.buffer, used);
    return used;
  }

  /** Takes what is no record of this source (see pass-over.ts). True when there was some. */
  #passOver(encoder: Encoder, cursor: Cursor, lead: number, end: number): boolean {
    const { buffer } = this.#reader;
    if (cursor.read === 0 && hasUtf16Mark(buffer, lead, end)) this.#options.files.encodings.tell(cursor.source);
    const found = passAt(cursor, buffer, lead, end);
    if (found === undefined) return false;
    const { passes, to } = found;
    const bytes = to - lead;
    const run = { first: encoder.records, records: 0, from: cursor.read, to: cursor.read + bytes };
    const readMs = cursor.readMs(this.#options.clock.now());
    cursor.account.take({ lines: 0, bytes });
    const last = this.#spans.at(-1);
    if (last?.cursor === cursor && last.passes === passes) last.to = run.to;
    else this.#spans.push({ cursor, ...run, readMs, tail: '', isCut: false, passes, entries: undefined });
    cursor.advance(run.to, buffer, to);
    this.#finishTake(cursor);
    return true;
  }

  #rememberCut(cursor: Cursor): void {
    const last = this.#spans.at(-1);
    if (cursor.cuts.includes(cursor.read) || last === undefined) return;
    cursor.cuts = [...cursor.cuts, cursor.read];
    last.isCut = true;
  }

  /** @param end where what was taken ends in the buffer, if the cursor does not know yet */
  #finishTake(cursor: Cursor, end?: number): void {
    if (end !== undefined) cursor.advance(cursor.read, this.#reader.buffer, end);
    const hash = digest(cursor.tail);
    const last = this.#spans.at(-1);
    if (last !== undefined) last.tail = hash;
    if (cursor.read > cursor.source.anchor.offset) cursor.source.anchor = { offset: cursor.read, hash };
    this.#since = Math.min(
      this.#since ?? Number.POSITIVE_INFINITY,
      cursor.noticedAt ?? this.#options.clock.monotonic(),
    );
    cursor.noticedAt = this.#options.clock.monotonic();
  }

  /** All that is there was looked at; but what is to be passed over was not. */
  #noteScanned(cursor: Cursor): void {
    if (cursor.skipTo > cursor.read) return;
    cursor.scannedTo = cursor.source.size;
    cursor.noticedAt = undefined;
  }

  /** The batch has no room for this source's next record, or goes elsewhere: when it does not wait for more, close it. */
  #refuse(encoder: Encoder, cursor: Cursor, tookSome: boolean, now: number): void {
    const unread = cursor.source.size - cursor.read;
    cursor.refusedBy = this.#serial;
    this.#since = Math.min(this.#since ?? now, cursor.noticedAt ?? now);
    const { worthBytes } = this.#pace;
    if (tookSome || unread >= worthBytes || encoder.bytes >= worthBytes) this.#closed = true;
  }

  #send(encoder: Encoder): void {
    const spans = this.#spans;
    const batch = encoder.finish();
    this.#filling = this.#spare;
    this.#spare = encoder;
    this.#filling?.reset();
    this.#stage?.swap();
    this.#stdioStage?.swap();
    this.#spans = [];
    this.#serial += 1;
    this.#since = undefined;
    this.#closed = false;
    // Who was turned away goes first.
    const { chains } = this.#options.files;
    const turnedAway = chains.findIndex((chain) =>
      chain.some((s) => this.#cursors.get(s)?.refusedBy === this.#serial - 1),
    );
    if (turnedAway >= 0) this.#next = turnedAway;
    this.#flight = { spans, abort: new AbortController() };
    this.#sending = this.#deliver(batch, spans, this.#flight.abort.signal)
      .then(() => {
        if (this.#isStale && !this.#abort.signal.aborted) this.#encodeAnew(spans);
        return undefined;
      })
      .catch((error: unknown) => this.#noteBug(error))
      .finally(() => {
        this.#sending = undefined;
        this.#flight = undefined;
        this.#options.wake();
      });
  }

  /** The next step throws it. */
  #noteBug(error: unknown): void {
    this.#bug = error instanceof Error ? error : new Error(String(error));
  }

  async #deliver(batch: Batch, spans: readonly Span[], signal: AbortSignal): Promise<void> {
    assert(this.#retrying !== undefined, 'a lane without a sink has nothing to send');
    if (batch.records === 0) {
      this.#noteTorn(spans);
      this.#settle(batch, spans, NOTHING_SENT);
      return;
    }
    await this.#reserve(batch, spans);
    // Spans of one source stand apart where something was passed over between them: it is one request all the same.
    const shipped = spans.filter(({ passes }) => passes === undefined);
    const [first] = shipped;
    const only = shipped.every(({ cursor }) => cursor === first?.cursor) ? first : undefined;
    const wasNever = spans.every((span) => span.cursor.sentBefore <= span.from);
    const settlement = await this.#retrying.deliver(batch, {
      sentBefore: wasNever
        ? () => false
        : (index) => (batch.offsets[index] ?? 0) < (spanAt(spans, index)?.cursor.sentBefore ?? 0),
      wentOut: wasNever
        ? () => false
        : (index) => (batch.offsets[index] ?? 0) < (spanAt(spans, index)?.cursor.sentTo ?? 0),
      isFirstSend: wasNever,
      ...(only === undefined ? {} : { promise: (request: PromisedRequest) => this.#promise(only, request) }),
      onResend: (records) => this.#bookResend(spans, records),
      signal,
    });
    await this.#buryRejected(batch, spans, settlement.rejected);
    this.#settle(batch, spans, settlement);
  }

  /** What is skipped in a file after a record that was filtered out is known of that file after a restart too. */
  #noteTorn(spans: readonly Span[]): void {
    for (const { cursor } of spans) {
      const newer = this.#torn.newerOf(cursor);
      if (newer === undefined) continue;
      this.#options.putSource(cursor.source);
      this.#options.putSource(newer);
    }
  }

  /**
   * The checkpoint on disk must say what is about to be sent, and what the file looks like, before it is sent. What is promised ahead
   * costs no fsync, but a write: after a kill the last bytes that were sent are known and can be compared.
   */
  async #reserve(batch: Batch, spans: readonly Span[]): Promise<void> {
    const { putSource } = this.#options;
    const touched = new Set<Checkpointer>();
    let mustSync = false;
    for (const span of spans) {
      const { cursor, to, readMs, tail, isCut } = span;
      touched.add(cursor.checkpointer);
      // A resend after a power cut must know the date of what was sent, as well as how far.
      const isAnotherHour = Math.floor(readMs / HOUR_MS) !== Math.floor((cursor.sentMs ?? 0) / HOUR_MS);
      // A resend that is shorter takes nothing back: what lies behind it went out as well.
      if (to >= cursor.sent) {
        cursor.sent = to;
        cursor.sentTail = tail;
        cursor.sentMs = readMs;
      }
      const again = recordsBefore(batch, span, cursor.mayRepeatTo);
      cursor.account.duplicatesMax += again;
      if (to > cursor.reserved || isCut || isAnotherHour || again > 0) {
        mustSync = true;
        // Not ahead of the head hash: until that has its full length it must cover every byte that was sent.
        const ahead = cursor.source.head.length < HEAD_BYTES_MAX ? 0 : RESERVE_AHEAD_BYTES;
        cursor.reserved = Math.max(cursor.reserved, to + ahead);
        putSource(cursor.source);
      }
      const newer = isCut ? this.#torn.newerOf(cursor) : undefined;
      if (newer !== undefined) putSource(newer);
      this.#put(cursor);
    }
    await Promise.all([...touched].map((one) => (mustSync ? one.persist() : one.write())));
  }

  /** The checkpoint on disk names the request before it is sent; what it replaces was refused, so it is not there. */
  async #promise({ cursor, readMs }: Span, { from, to, key }: PromisedRequest): Promise<Promised> {
    const known = cursor.objects.find((object) => object.from === from && object.to === to);
    if (known !== undefined) return { key: known.key, isResend: true };
    const others = cursor.objects.filter((object) => object.to <= from || object.from >= to);
    cursor.objects = [...others, { from, to, key, timeMs: readMs }].toSorted((a, b) => a.from - b.from);
    this.#put(cursor);
    await cursor.checkpointer.persist();
    return { key, isResend: false };
  }

  /** What may be stored twice from now on is on the disk before it is sent. */
  async #bookResend(spans: readonly Span[], records: number): Promise<void> {
    const [span] = spans;
    if (span === undefined) return;
    span.cursor.account.duplicatesMax += records;
    this.#put(span.cursor);
    await span.cursor.checkpointer.persist();
  }

  #settle(batch: Batch, spans: readonly Span[], settlement: Settlement): void {
    let conflict: Cursor | undefined;
    const [firstSpan] = spans;
    if (firstSpan !== undefined) firstSpan.cursor.account.duplicates += settlement.duplicates;
    for (const span of spans) {
      const { cursor, first, records } = span;
      const conflictAt = settlement.conflicts.find((index) => index >= first && index < first + records);
      const canReadAgain = conflictAt !== undefined && cursor.source.fd !== undefined;
      const end = Math.min(first + records, settlement.settled, canReadAgain ? conflictAt : Number.POSITIVE_INFINITY);
      if (canReadAgain) conflict = cursor;
      // What stands before it is not settled (an abort, a conflict): neither is this.
      if (end < first || (end === first && records > 0) || cursor.acked !== span.from) continue;
      const acked = settledTo(batch, span, end);
      if (acked === span.from) continue;
      const tail = acked === span.to ? span.tail : this.#tailAt(cursor, acked);
      // An aborted rest whose hash cannot be had any more stays unacknowledged as a whole.
      if (tail === undefined) continue;
      settleSpan(batch, span, end, withConflicts(settlement, canReadAgain));
      cursor.settle(acked, tail);
      cursor.account.assertBalanced();
      this.#put(cursor);
      this.#torn.settled(cursor);
      this.#options.settled(cursor.source);
    }
    if (conflict !== undefined) this.#restartAfterConflict(spans);
  }

  #tailAt(cursor: Cursor, offset: number): string | undefined {
    const { fd } = cursor.source;
    return fd === undefined ? undefined : readAnchor(fd, offset)?.hash;
  }

  /** Everything that is encoded under the old ids is forgotten; the sources in conflict go on under new ones. */
  #restartAfterConflict(spans: readonly Span[]): void {
    const isOurs = (cursor: Cursor): boolean => this.#cursors.get(cursor.source) === cursor;
    const unsettled = spans.filter(({ cursor, to }) => cursor.acked < to && isOurs(cursor));
    const conflicting = new Set(unsettled.map(({ cursor }) => cursor));
    for (const cursor of new Set([...conflicting, ...this.#forgetEncoded()])) {
      cursor.account.giveBack(cursor.account.pending);
      cursor.rewind();
    }
    for (const { source } of conflicting) {
      this.#options.metrics
        .counter('logtender_id_conflicts_total', 'Times that a destination held other records under our ids.')
        .add(1, { sink: this.name });
      this.#options.log.error('destination holds other records under our ids, lines from here on get new ones', {
        sink: this.name,
        path: source.info.path,
      });
      this.#options.regenerate(source);
    }
  }

  /**
   * What is encoded is read and encoded again; of what was sent and may have arrived the checkpoint knows what a restart would.
   *
   * @param sent what the flight that is over had on board
   */
  #encodeAnew(sent: readonly Span[]): void {
    this.#isStale = false;
    for (const cursor of new Set([...sent.map((span) => span.cursor), ...this.#forgetEncoded()])) {
      const { source, checkpointer, account } = cursor;
      if (this.#cursors.get(source) !== cursor) continue;
      account.giveBack(account.pending);
      if (cursor.sent <= cursor.acked) {
        cursor.rewind();
        continue;
      }
      this.#put(cursor);
      const again = new Cursor(source, checkpointer, checkpointer.lane(this.name, source.info.id));
      again.givenUpFrom = cursor.givenUpFrom;
      this.#cursors.set(source, again);
      this.#torn.replaced(cursor, again);
    }
  }

  /** Empties the batch that is filling. Gives the cursors that have to go back. */
  #forgetEncoded(): readonly Cursor[] {
    const cursors = this.#spans.map(({ cursor }) => cursor);
    this.#filling?.reset();
    this.#stage?.reset();
    this.#stdioStage?.reset();
    this.#spans = [];
    // What begins now is another batch: who was turned away from that one is asked again.
    this.#serial += 1;
    this.#closed = false;
    this.#since = undefined;
    return cursors;
  }

  #booksOf(positions: string | undefined): SavedBooks {
    const books = this.#books.get(positions);
    assert(books !== undefined, 'what a volume keeps is let go of with it');
    return books;
  }

  async #buryRejected(batch: Batch, spans: readonly Span[], rejected: readonly Rejection[]): Promise<void> {
    if (rejected.length === 0) return;
    const dead: DeadRecord[] = [];
    for (const { index, reason, text } of rejected) {
      const span = spanAt(spans, index);
      if (span === undefined) continue;
      const { id, container, path } = span.cursor.source.info;
      const record = recordBytes(batch, index).toString('utf8');
      dead.push({
        sink: this.name,
        reason,
        text,
        container,
        path,
        source: id,
        offset: offsetOf(batch, span, index),
        to: offsetOf(batch, span, index + 1),
        destination: batch.destination,
        record,
      });
    }
    await this.#options.deadLetter.keep(dead);
  }

  #put(cursor: Cursor): void {
    cursor.checkpointer.putLane({
      t: 'lane',
      sink: this.name,
      id: cursor.source.info.id,
      acked: cursor.acked,
      tail: cursor.ackedTail,
      reserved: cursor.reserved,
      sent: cursor.sent,
      sentTail: cursor.sentTail,
      ...(cursor.sentMs === undefined ? {} : { sentMs: cursor.sentMs }),
      ...(cursor.mayRepeatTo > cursor.acked ? { mayRepeatTo: cursor.mayRepeatTo } : {}),
      // Of a record that was never sent the bytes are not known either: others may stand there at the next start.
      cuts: cursor.cuts.filter((cut) => cut <= cursor.sent),
      ...(cursor.objects.length === 0 ? {} : { objects: cursor.objects }),
      ...(cursor.tornRest === undefined ? {} : { rest: cursor.tornRest }),
      ...(cursor.keepsSkips && cursor.skips.length > 0 ? { skips: cursor.skips } : {}),
      account: cursor.account.save(),
    });
  }
}

/** Everything in the batch was filtered out. */
const NOTHING_SENT: Settlement = { settled: 0, duplicates: 0, rejected: [], conflicts: [] };

/** A conflict whose source cannot be read again is a loss like a rejection. */
function withConflicts(
  settlement: Settlement,
  canReadAgain: boolean,
): readonly { index: number; reason: DropReason }[] {
  if (canReadAgain || settlement.conflicts.length === 0) return settlement.rejected;
  return [...settlement.rejected, ...settlement.conflicts.map((index) => ({ index, reason: 'id_conflict' as const }))];
}
