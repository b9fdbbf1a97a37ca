/**
 * What was found of one source, held against its ledger while the findings come in, in order of their offsets. Pure.
 *
 * Invariant: memory is bounded: of ranges the first few are kept, all are counted. May import: everything but test.
 */
import type { LedgerSource } from './verify-ledger.ts';

/** Ranges that are named for each source; the counts are whole. */
const RANGES_MAX = 20;

export interface OffsetRange {
  readonly what: 'missing' | 'twice';
  /** Source bytes [from, to); `to` is where the next thing that is known begins. */
  readonly from: number;
  readonly to: number;
}

export interface SourceVerdict {
  readonly source: string;
  readonly container: string;
  readonly path: string;
  readonly expected: number;
  readonly found: number;
  /** Records that should be there and are not; those that were dropped are none of them. */
  readonly missing: number;
  readonly twice: number;
  /** Where: with `missing`, what was dropped is among them where its place is not known. */
  readonly ranges: readonly OffsetRange[];
  /** What could not be decided, and why. */
  readonly undecided?: string;
}

export class SourceTrack {
  readonly #source: LedgerSource;
  readonly #expected: Iterator<number> | undefined;
  readonly #ranges: OffsetRange[] = [];
  #next: number | undefined;
  #last = -1;
  #found = 0;
  #absent = 0;
  #twice = 0;

  /** @param expected where records begin, ascending; undefined where the file is gone */
  constructor(source: LedgerSource, expected: Iterator<number> | undefined) {
    this.#source = source;
    this.#expected = expected;
    this.#advance();
  }

  /** A record at this offset; offsets come in ascending order, so one that is not above the last is there twice. */
  see(offset: number): void {
    // What is not settled may be there or not.
    if (offset >= this.#source.ackedTo) return;
    if (offset <= this.#last) {
      this.#twice += 1;
      this.#range('twice', offset, offset + 1);
      return;
    }
    this.#last = offset;
    this.#found += 1;
    this.#skipTo(offset);
    if (this.#next === offset) this.#advance();
  }

  /** The verdict, once everything was seen. */
  end(linesAreRecords: boolean): SourceVerdict {
    const { id, container, path, deliveredLines, droppedLines, ackedTo } = this.#source;
    this.#skipTo(ackedTo);
    this.#expected?.return?.();
    // What the file says is exact; what was dropped of it is absent rightly.
    const missing = Math.max(0, deliveredLines - this.#found);
    const about = { source: id, container, path, expected: deliveredLines, found: this.#found, twice: this.#twice };
    if (!linesAreRecords || !this.#source.linesAreRecords) {
      const undecided = 'records are more than lines here, so their number does not follow from the ledger';
      return {
        ...about,
        missing: this.#found === 0 && deliveredLines > 0 ? deliveredLines : 0,
        ranges: this.#ranges,
        undecided,
      };
    }
    const isUnplaced = missing > 0 && this.#expected === undefined;
    const isMixed = this.#absent > missing && droppedLines > 0;
    const note = isUnplaced
      ? 'the file is gone, so it is not known which'
      : isMixed && missing > 0
        ? `${droppedLines} dropped records are among the ranges`
        : undefined;
    const ranges = missing > 0 ? this.#ranges : this.#ranges.filter(({ what }) => what === 'twice');
    return { ...about, missing, ranges, ...(note === undefined ? {} : { undecided: note }) };
  }

  /** Everything that the file has before this offset, and that was not seen, is absent. */
  #skipTo(offset: number): void {
    while (this.#next !== undefined && this.#next < offset) {
      const from = this.#next;
      this.#absent += 1;
      this.#advance();
      this.#range('missing', from, Math.min(this.#next ?? this.#source.ackedTo, this.#source.ackedTo));
    }
  }

  #advance(): void {
    const step = this.#expected?.next();
    this.#next = step === undefined || step.done === true ? undefined : step.value;
  }

  #range(what: OffsetRange['what'], from: number, to: number): void {
    const last = this.#ranges.at(-1);
    if (last?.what === what && last.to === from) this.#ranges[this.#ranges.length - 1] = { what, from: last.from, to };
    else if (this.#ranges.length < RANGES_MAX) this.#ranges.push({ what, from, to });
  }
}
