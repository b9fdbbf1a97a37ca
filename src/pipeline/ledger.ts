/**
 * The books: read = delivered + dropped(reason) + pending, in lines and bytes, at any moment. Pure.
 *
 * The four are counted where they happen and never derived from each other, so that a mistake shows instead of balancing itself.
 * May import: core, parse (types), sinks/sink.ts (types).
 */
import assert from 'node:assert/strict';

import type { FilterReason } from '../parse/record-shaper.ts';
import type { RejectReason } from '../sinks/sink.ts';

/** Bytes of a file that nobody can or should read, beyond its lines. */
export type FileReason = 'hold_limit' | 'truncated' | 'nul_hole' | 'older_than_pod';

/** Why a line never arrives: the sink's reasons, ours, and the filters that the user asked for. */
export const DROP_REASONS = [
  'rejected_by_sink',
  'too_old',
  'too_new',
  'expired',
  'too_large',
  'hold_limit',
  'id_conflict',
  'truncated',
  'nul_hole',
  'older_than_pod',
  'not_included',
  'excluded',
  'sampled',
  'rate_limited',
] as const satisfies readonly (RejectReason | FileReason | 'id_conflict' | FilterReason)[];
export type DropReason = (typeof DROP_REASONS)[number];

export interface Count {
  lines: number;
  bytes: number;
}

/** An account as it is saved and shown. What is pending is not saved: after a start it is read again. */
export interface AccountState {
  readonly delivered: Readonly<Count>;
  readonly dropped: Readonly<Partial<Record<DropReason, Readonly<Count>>>>;
  /** Delivered lines that the destination already had. */
  readonly duplicates: number;
  /** Absent means none: see Account. */
  readonly duplicatesMax?: number;
}

export const EMPTY_ACCOUNT: AccountState = { delivered: { lines: 0, bytes: 0 }, dropped: {}, duplicates: 0 };

export class Account {
  readonly read: Count = { lines: 0, bytes: 0 };
  readonly delivered: Count = { lines: 0, bytes: 0 };
  readonly pending: Count = { lines: 0, bytes: 0 };
  readonly dropped = new Map<DropReason, Count>();
  duplicates = 0;
  /**
   * Lines that went out again to a destination which cannot tell, after a request that may have been stored: it holds at most so many lines
   * more than it should. Counted, and on the disk, before they go out.
   */
  duplicatesMax = 0;

  constructor(saved: AccountState = EMPTY_ACCOUNT) {
    this.absorb(saved);
  }

  /** Adds what another account has settled. */
  absorb(saved: AccountState): void {
    add(this.delivered, saved.delivered);
    add(this.read, saved.delivered);
    for (const reason of DROP_REASONS) {
      const count = saved.dropped[reason];
      if (count === undefined) continue;
      add(this.#droppedFor(reason), count);
      add(this.read, count);
    }
    this.duplicates += saved.duplicates;
    this.duplicatesMax += saved.duplicatesMax ?? 0;
  }

  /** Lines were read and wait for their delivery. */
  take({ lines, bytes }: Readonly<Count>): void {
    this.takeLines(lines, bytes);
  }

  /** The same, for what is taken record by record. */
  takeLines(lines: number, bytes: number): void {
    this.read.lines += lines;
    this.read.bytes += bytes;
    this.pending.lines += lines;
    this.pending.bytes += bytes;
  }

  /** Lines that were taken will be read again. */
  giveBack(count: Readonly<Count>): void {
    subtract(this.read, count);
    subtract(this.pending, count);
  }

  deliver(count: Readonly<Count>): void {
    subtract(this.pending, count);
    add(this.delivered, count);
  }

  /** Pending lines will never arrive. */
  drop(reason: DropReason, count: Readonly<Count>): void {
    subtract(this.pending, count);
    add(this.#droppedFor(reason), count);
  }

  get droppedTotal(): Count {
    const total = { lines: 0, bytes: 0 };
    for (const count of this.dropped.values()) add(total, count);
    return total;
  }

  /** What must always hold. */
  assertBalanced(): void {
    const { read, delivered, pending, droppedTotal } = this;
    assert.equal(
      read.lines,
      delivered.lines + droppedTotal.lines + pending.lines,
      'lines read = delivered + dropped + pending',
    );
    assert.equal(
      read.bytes,
      delivered.bytes + droppedTotal.bytes + pending.bytes,
      'bytes read = delivered + dropped + pending',
    );
    assert(pending.lines >= 0 && pending.bytes >= 0, 'nothing is settled twice');
  }

  save(): AccountState {
    return {
      delivered: { ...this.delivered },
      dropped: Object.fromEntries([...this.dropped].map(([reason, count]) => [reason, { ...count }])),
      duplicates: this.duplicates,
      ...(this.duplicatesMax === 0 ? {} : { duplicatesMax: this.duplicatesMax }),
    };
  }

  #droppedFor(reason: DropReason): Count {
    const known = this.dropped.get(reason);
    if (known !== undefined) return known;
    const made = { lines: 0, bytes: 0 };
    this.dropped.set(reason, made);
    return made;
  }
}

function add(to: Count, count: Readonly<Count>): void {
  to.lines += count.lines;
  to.bytes += count.bytes;
}

function subtract(from: Count, count: Readonly<Count>): void {
  from.lines -= count.lines;
  from.bytes -= count.bytes;
}
