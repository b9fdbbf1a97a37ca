/**
 * What was found of several sources that share a place, held against their ledger: for destinations that store at least once and do not say
 * of each record whose it is. Is every delivered record there, and nothing more often than the ledger allows?
 *
 * Records are compared by a text that the caller makes of each line of a file, and of each record that it finds. Where a file is gone, only
 * numbers are compared. May import: core, cli.
 */
import type { LedgerSource } from './verify-ledger.ts';
import { MessageBook, textHash } from './verify-messages.ts';

/** Ranges that are named for each group; the counts are whole. */
const RANGES_MAX = 20;

export interface GroupLine {
  /** Where the record begins in its file. */
  readonly offset: number;
  /** What it is compared by. */
  readonly text: string;
}

export interface MissingRange {
  readonly what: 'missing';
  readonly source: string;
  readonly path: string;
  /** Source bytes [from, to); `to` is where the next record begins. */
  readonly from: number;
  readonly to: number;
}

export interface GroupVerdict {
  /** The place: a log group and log stream, a file. */
  readonly name: string;
  /** Delivered records of its sources. */
  readonly expected: number;
  readonly found: number;
  /** Delivered records that are not there once. */
  readonly missing: number;
  /** Found beyond the first of each record, and how many of them the ledger allows. */
  readonly twice: number;
  readonly twice_max: number;
  /** Found, and no record of the files that are there, nor one of those that are gone. */
  readonly strangers: number;
  /** Where; of equal texts the first ones are named. */
  readonly ranges: readonly MissingRange[];
  /** What could not be decided, and why. */
  readonly undecided?: string;
}

export interface GroupOptions {
  readonly name: string;
  readonly sources: readonly LedgerSource[];
  /** Where the file of a source is now, where it is still there; undefined where records are more than lines. */
  readonly files: ReadonlyMap<string, string> | undefined;
  readonly linesOf: (path: string, source: LedgerSource) => Iterable<GroupLine>;
}

export class GroupBook {
  readonly #options: GroupOptions;
  readonly #book = new MessageBook();
  readonly #there: ReadonlyArray<{ readonly source: LedgerSource; readonly path: string }>;

  /** Reads the files. */
  constructor(options: GroupOptions) {
    this.#options = options;
    this.#there = options.sources.flatMap((source) => {
      const path = options.files?.get(source.id);
      return path === undefined ? [] : [{ source, path }];
    });
    for (const { source, path } of this.#there) {
      for (const { offset, text } of options.linesOf(path, source)) this.#book.addLine(text, offset < source.ackedTo);
    }
  }

  /** A record that the destination holds. */
  addFound(text: string): void {
    this.#book.addEvent(text);
  }

  /** Once everything was found. */
  verdict(): GroupVerdict {
    const { name, sources, files } = this.#options;
    const { lacking, more, strangers } = this.#book.compare();
    const total = (of: (source: LedgerSource) => number): number => sources.reduce((sum, one) => sum + of(one), 0);
    const known = new Set(this.#there.map(({ source }) => source.id));
    const unseen = total(({ id, deliveredLines }) => (known.has(id) ? 0 : deliveredLines));
    const absent = [...lacking.values()].reduce((sum, count) => sum + count, 0);
    // What was dropped, or stood in the file before it was ours, is absent rightly.
    const due = total(({ id, deliveredLines }) => (known.has(id) ? deliveredLines : 0));
    const lost = Math.min(absent, Math.max(0, due - (this.#book.required - absent)));
    // What the files do not explain may be of those that are gone, whose lines can be equal to others.
    const left = Math.max(0, strangers + more - unseen);
    const twice = Math.min(more, left);
    const undecided = noteOf({ hasLines: files !== undefined, unseen, absent, lost, strangers });
    return {
      name,
      expected: total(({ deliveredLines }) => deliveredLines),
      found: this.#book.found,
      missing: lost + Math.max(0, unseen - strangers - more),
      twice,
      twice_max: total(({ duplicatesMax }) => duplicatesMax),
      strangers: left - twice,
      ranges: lost > 0 ? this.#ranges(lacking) : [],
      ...(undecided === undefined ? {} : { undecided }),
    };
  }

  /** A second look at the files, for the places of what is there too seldom. */
  #ranges(lacking: ReadonlyMap<number, number>): readonly MissingRange[] {
    const left = new Map(lacking);
    const ranges: MissingRange[] = [];
    for (const { source, path } of this.#there) {
      let open: number | undefined;
      const close = (to: number): void => {
        if (open !== undefined) ranges.push({ what: 'missing', source: source.id, path: source.path, from: open, to });
        open = undefined;
      };
      for (const { offset, text } of this.#options.linesOf(path, source)) {
        const key = textHash(text);
        const count = offset < source.ackedTo ? (left.get(key) ?? 0) : 0;
        if (count > 0) left.set(key, count - 1);
        if (count === 0) close(offset);
        else open ??= offset;
        if (ranges.length === RANGES_MAX) return ranges;
      }
      close(source.ackedTo);
    }
    return ranges;
  }
}

function noteOf(about: {
  readonly hasLines: boolean;
  readonly unseen: number;
  readonly absent: number;
  readonly lost: number;
  readonly strangers: number;
}): string | undefined {
  const { hasLines, unseen, absent, lost, strangers } = about;
  if (!hasLines) return 'records are more than lines here, so only their number is compared';
  if (unseen > 0) return `${unseen} delivered records are of files that are gone: only their number is compared`;
  if (lost > 0 && absent > lost)
    return `${absent - lost} records that were dropped or passed over are among the ranges`;
  if (lost > 0 && strangers > 0)
    return `${strangers} were found that are no line of the files: a line that was sent in pieces, or another writer`;
  return undefined;
}
