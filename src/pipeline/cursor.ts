/**
 * Where one lane stands in one source.
 *
 * Invariant: acked <= read <= size, and acked <= reserved once something was sent; `tail` are the bytes right before `read`.
 * May import: core, source, pipeline.
 */
import assert from 'node:assert/strict';

import { readAnchor, readAt, TAIL_BYTES_MAX } from '../source/identity.ts';
import type { SourceFile } from '../source/source-file.ts';
import { Account, EMPTY_ACCOUNT } from './ledger.ts';
import type { LaneEntry, Part, PromisedObject, Rest } from './checkpoint-codec.ts';
import type { Checkpointer } from './checkpointer.ts';

type SavedPlace = Omit<LaneEntry, 't' | 'sink' | 'id'>;

/** Of a source that nothing is known of. */
export const NOTHING_SAVED: SavedPlace = {
  acked: 0,
  tail: '',
  reserved: 0,
  sent: 0,
  sentTail: '',
  cuts: [],
  account: EMPTY_ACCOUNT,
};

const NO_TAIL = Buffer.alloc(0);

export class Cursor {
  readonly source: SourceFile;
  /** Where it is saved. */
  readonly checkpointer: Checkpointer;
  readonly account: Account;
  /** Everything before this offset is encoded. */
  read: number;
  /** Everything before this offset is settled. */
  acked: number;
  /** Hash of the bytes before `acked`. */
  ackedTail: string;
  /** The checkpoint on disk says that nothing at or beyond this offset was ever sent. */
  reserved: number;
  /** How far requests reached beyond `acked`, and the hash of the bytes before that. */
  sent: number;
  sentTail: string;
  /** When the bytes of the last request were read, milliseconds since the epoch; undefined before the first. */
  sentMs: number | undefined;
  /** What lies before this offset may have been sent by a process before this one. */
  sentBefore: number;
  /**
   * How far that process really came: what it sent it had written down before, and a process that is killed takes back nothing that it
   * wrote. Where bytes may have been lost (power cut, damage) nothing goes on under its id.
   */
  sentTo: number;
  /** What lies before this offset may be stored under another id already: it counts as a possible duplicate when it goes out. */
  mayRepeatTo: number;
  /**
   * Offsets beyond `acked` where a record was ended by force: its line had no newline yet, or nothing more of it came in time. A resend must
   * end there too, or one id would stand for a record and for its beginning.
   */
  cuts: readonly number[];
  /** Named requests beyond `acked` that the destination may have, by offset. A resend must have the same range and the same name. */
  objects: readonly PromisedObject[];
  /** What completes the record that the file ends with, once it was told to the checkpoint or is about to be; see torn-line.ts. */
  tornRest: Rest | undefined;
  /** Bytes beyond `acked` that belong to a record of the source before. */
  skips: readonly Part[];
  /** The source before is settled, so that nothing but this says what is to be skipped. */
  keepsSkips: boolean;
  /** When bytes beyond `read` were first noticed, on the monotonic clock. */
  noticedAt: number | undefined;
  /** Up to here there is no whole line beyond `read`. */
  scannedTo = 0;
  /** Whole lines beyond `read` wait for what may still belong to their record. */
  isHolding = false;
  /** The bytes before `read` are not in memory: see `wake`. */
  isResting = false;
  /** After a failure to read: not again before this time, on the monotonic clock. */
  pausedUntil = 0;
  /** Number of the batch that did not take this source's next record. */
  refusedBy = 0;
  /** Bytes from here on are counted as dropped. */
  givenUpFrom = Number.POSITIVE_INFINITY;
  /** Bytes before this offset were in the last request of a process before this one, and carry its time again. */
  readonly #resentTo: number;
  readonly #resentMs: number;
  /** Undefined while nothing stands in it: files that rest need none. */
  #tail: Buffer | undefined;
  #tailLength = 0;

  /** @param saved what the checkpoint says */
  constructor(source: SourceFile, checkpointer: Checkpointer, saved: SavedPlace = NOTHING_SAVED) {
    const { account, acked, tail, reserved, sent, sentTail, sentMs, mayRepeatTo = 0, cuts, objects = [] } = saved;
    const { rest, skips = [] } = saved;
    this.source = source;
    this.checkpointer = checkpointer;
    this.account = new Account(account);
    this.acked = acked;
    this.ackedTail = tail;
    this.read = acked;
    this.reserved = reserved;
    this.sent = sent;
    this.sentTail = sentTail;
    this.sentMs = sentMs;
    this.#resentTo = sentMs === undefined ? 0 : sent;
    this.#resentMs = sentMs ?? 0;
    this.cuts = cuts;
    this.objects = objects;
    this.tornRest = rest;
    this.skips = skips;
    this.keepsSkips = skips.length > 0;
    this.sentBefore = reserved;
    this.sentTo = sent;
    this.mayRepeatTo = mayRepeatTo;
    this.#reloadTail();
  }

  /** Bytes that stand before `read` and are kept for comparison. */
  get tail(): Buffer {
    return this.#tail?.subarray(0, this.#tailLength) ?? NO_TAIL;
  }

  /** The next offset beyond `read` where a record has to end, because it did so before; infinite when there is none. */
  get border(): number {
    let next = this.#resentTo > this.read ? this.#resentTo : Number.POSITIVE_INFINITY;
    if (!this.#hasMarks) return next;
    for (const cut of this.cuts) if (cut > this.read) next = Math.min(next, cut);
    if (this.tornRest !== undefined && this.tornRest.at > this.read) next = Math.min(next, this.tornRest.at);
    for (const [from] of this.skips) if (from > this.read) next = Math.min(next, from);
    for (const { from, to } of this.objects) {
      if (from > this.read) next = Math.min(next, from);
      if (to > this.read) next = Math.min(next, to);
    }
    return next;
  }

  /** Asked for each record, while usually nothing is marked: then nothing is looked through. */
  get #hasMarks(): boolean {
    return this.cuts.length + this.skips.length + this.objects.length > 0 || this.tornRest !== undefined;
  }

  /** Where what is to be skipped at `read` ends; `read` where nothing is. */
  get skipTo(): number {
    for (const [from, to] of this.skips) if (from <= this.read && this.read < to) return to;
    return this.read;
  }

  /** The time that the bytes at `read` carry: what is sent again keeps its time, and with it the dates in the name of its destination. */
  readMs(now: number): number {
    return this.object?.timeMs ?? (this.read < this.#resentTo ? this.#resentMs : now);
  }

  /** The named request that covers the next byte, if one does. */
  get object(): PromisedObject | undefined {
    for (const object of this.objects) if (object.from <= this.read && this.read < object.to) return object;
    return undefined;
  }

  /** A named request ends or begins here: no other may go on over it. */
  get isAtObjectEdge(): boolean {
    for (const { from, to } of this.objects) if (from === this.read || to === this.read) return true;
    return false;
  }

  /** Moves on to `read`; the bytes before it stand in `buffer` before `end`, as far as they are needed. */
  advance(read: number, buffer: Buffer, end: number): void {
    this.read = read;
    this.#tailLength = Math.min(TAIL_BYTES_MAX, read, end);
    this.#tail ??= Buffer.allocUnsafeSlow(TAIL_BYTES_MAX);
    buffer.copy(this.#tail, 0, end - this.#tailLength, end);
  }

  /** Everything before `offset` is settled; `tail` is the hash of the bytes before it. */
  settle(offset: number, tail: string): void {
    this.acked = offset;
    this.ackedTail = tail;
    if (this.cuts.length > 0) this.cuts = this.cuts.filter((cut) => cut > offset);
    if (this.objects.length > 0) this.objects = this.objects.filter(({ to }) => to > offset);
    if (this.skips.length > 0) this.skips = this.skips.filter(([, to]) => to > offset);
  }

  /** The source goes on under another id: nothing was sent under that one, and what went out under the old one may come twice. */
  rename(): void {
    if (this.sent > this.acked || this.sentBefore > this.acked)
      this.mayRepeatTo = Math.max(this.mayRepeatTo, this.sent, this.sentBefore);
    this.reserved = this.acked;
    // What may still be sent has its ends from those that were not sent yet.
    this.cuts = this.cuts.filter((cut) => cut > this.sent);
    this.sent = 0;
    this.sentTail = '';
    this.sentBefore = 0;
    this.sentTo = 0;
    this.objects = [];
  }

  /** Goes back to what is settled: the rest will be read again. A record that was never sent may end elsewhere by then. */
  rewind(): void {
    this.read = this.acked;
    this.cuts = this.cuts.filter((cut) => cut <= this.sent);
    this.scannedTo = 0;
    this.isHolding = false;
    this.refusedBy = 0;
    this.#reloadTail();
  }

  /** The file was closed, everything in it is settled: the bytes before `read` are known by their hash and need not be kept. */
  rest(): void {
    assert(this.read === this.acked, 'only what is settled rests');
    this.isResting = true;
    this.#tail = undefined;
    this.#tailLength = 0;
  }

  /** Takes the bytes before `read` from the file that was opened again. False when they are not what was acknowledged. */
  wake(): boolean {
    this.#reloadTail();
    return !this.isResting;
  }

  /**
   * Takes the bytes before `read` from the file, if they still are what was acknowledged. Else they are looked for with the next read: by then a
   * truncation has been noticed, and they may stand in the file's copy.
   */
  #reloadTail(): void {
    this.#loadTail();
    this.isResting = this.#tailLength < Math.min(TAIL_BYTES_MAX, this.read);
  }

  #loadTail(): void {
    this.#tailLength = 0;
    const { fd } = this.source;
    const length = Math.min(TAIL_BYTES_MAX, this.read);
    if (fd === undefined || length === 0 || readAnchor(fd, this.read)?.hash !== this.ackedTail) return;
    this.#tail ??= Buffer.allocUnsafeSlow(TAIL_BYTES_MAX);
    this.#tailLength = readAt(fd, this.#tail, length, this.read - length);
  }
}
