/**
 * Cuts a buffer of lines into clusters: the shortest runs of whole lines after which no record is open. A cluster is one record, but for
 * container runtimes' lines, where records of stdout and stderr may interleave.
 *
 * The rule that keeps ids honest: where a cluster ends depends on nothing but its own bytes and the first line after it, so a file that
 * is read again from the end of a cluster gives the same records. The one exception, an end of the data that was waited at long enough,
 * is told (`wasForced`), and the pipeline remembers that place before anything is sent. Bounds, which count from the cluster's first byte:
 *
 *   a line that is too long     | is a record of its own, in parts of LINE_BYTES_MAX
 *   the cluster                 | LINE_BYTES_MAX, LINES_MAX lines; INTERLEAVED_BYTES_MAX and GROUPS_MAX records when they interleave
 *   an open record of one stdio | ends when the other one has a line that is WAIT_MS later by its own time
 *
 * Nothing is allocated per line. May import: core, config, parse.
 */
import { KiB, LINE_BYTES_MAX } from '../core/limits.ts';
import { boundaryBefore } from '../kernel/utf8.ts';
import { CriLine } from './cri-line.ts';
import type { Stdio } from './cri-line.ts';
import { CLOSED, FOREIGN } from './grouping.ts';
import type { Grouping } from './grouping.ts';

const LF = 10;
const CR = 13;

/** Longest character (RFC 3629). */
const UTF8_BYTES_MAX = 4;

/** A trace of a thousand frames (Java's own bound of a printed stack) with its causes. */
export const LINES_MAX = 4_096;
/** Records that interleave stand in one batch, so together they must fit an empty one. */
export const GROUPS_MAX = 64;
export const INTERLEAVED_BYTES_MAX = 64 * KiB;
/** After this time without more, an open record is complete. */
export const RECORD_WAIT_MS = 1_000;

/** What the end of the data means: more may come. */
export const MORE_MAY_COME = 0;
/** Open records were waited for long enough: they end with the last whole line. */
export const OVERDUE = 1;
/** Nothing will follow the last line, even if it has no newline. */
export const LAST = 2;
export type DataEnd = typeof MORE_MAY_COME | typeof OVERDUE | typeof LAST;

export class RecordCutter {
  /** After a `cut` that found something: its lines, without header and line end, and the record that each belongs to. */
  lines = 0;
  readonly textFrom: Int32Array = new Int32Array(LINES_MAX);
  readonly textTo: Int32Array = new Int32Array(LINES_MAX);
  readonly group: Uint8Array = new Uint8Array(LINES_MAX);
  /** 1 for a line that goes on where the one before it (of its record) stopped. */
  readonly isFragment: Uint8Array = new Uint8Array(LINES_MAX);
  /** Where each line begins and ends in the buffer, header and line end included. */
  readonly lineFrom: Int32Array = new Int32Array(LINES_MAX + 1);
  /** Records, in the order of their first lines. */
  groups = 0;
  readonly groupTimeMs: Float64Array = new Float64Array(GROUPS_MAX);
  readonly groupStdio: Stdio[] = Array.from({ length: GROUPS_MAX }, () => '' as const);
  /** 1 for a record whose line was cut for its length: the rest of it is the next one. */
  readonly isPart: Uint8Array = new Uint8Array(GROUPS_MAX);
  /** The cluster ended because the data did. */
  wasForced = false;
  readonly #grouping: Grouping;
  readonly #cri: CriLine | undefined;
  /** By stdio, 0 for what has none: the open record or -1, its state, whether its last line is partial, and that line's time. */
  readonly #open = Int32Array.of(-1, -1);
  readonly #state = new Int32Array(2);
  readonly #isPartial = new Uint8Array(2);
  readonly #timeMs = new Float64Array(2);
  /** The line that is being looked at. */
  readonly #line = {
    textFrom: 0,
    textTo: 0,
    hasEnd: false,
    isCut: false,
    stdio: '' as Stdio,
    timeMs: Number.NaN,
    isPartial: false,
  };

  constructor(grouping: Grouping, hasHeaders: boolean) {
    this.#grouping = grouping;
    this.#cri = hasHeaders ? new CriLine() : undefined;
  }

  /**
   * Reads the cluster that begins at `from`.
   *
   * @returns where it ends; `from` when more bytes are needed to tell
   */
  cut(input: Buffer, from: number, to: number, end: DataEnd): number {
    this.lines = 0;
    this.groups = 0;
    this.wasForced = false;
    this.#open.fill(-1);
    for (let at = from; ;) {
      const next = lineEnd(input, at, to, end === LAST);
      if (next === at) return this.#atEnd(from, at, to, end);
      if (this.lines > 0 && this.#isTooMuch(next - from)) return this.#cutShort(at);
      const took = this.#take(input, at, next);
      if (!took) return this.#ended(at);
      at = next;
      if (this.#open[0] === -1 && this.#open[1] === -1) return this.#ended(at);
    }
  }

  #atEnd(from: number, at: number, to: number, end: DataEnd): number {
    if (this.lines === 0) return from;
    // What follows is too long to belong to this cluster, whatever it is.
    if (to - from > LINE_BYTES_MAX + 1) return this.#cutShort(at);
    if (end === MORE_MAY_COME) return from;
    this.wasForced = true;
    return this.#ended(at);
  }

  /** The cluster has no room for what goes on: a partial line that is open is a part. */
  #cutShort(at: number): number {
    for (let lane = 0; lane < this.#open.length; lane += 1) {
      const group = this.#open[lane] ?? -1;
      if (group >= 0 && this.#isPartial[lane] === 1) this.isPart[group] = 1;
    }
    return this.#ended(at);
  }

  #ended(at: number): number {
    this.lineFrom[this.lines] = at;
    return at;
  }

  #isTooMuch(bytes: number): boolean {
    return bytes > LINE_BYTES_MAX || this.lines === LINES_MAX;
  }

  /** Adds a line; false when the cluster ends before it. */
  #take(input: Buffer, at: number, next: number): boolean {
    this.#read(input, at, next);
    const { stdio, timeMs } = this.#line;
    const lane = stdio === 'stderr' ? 1 : 0;
    if (stdio !== '' && this.lines > 0) {
      this.#endOverdue(1 - lane, timeMs);
      if (!this.#isOpen()) return false;
    }
    const isFragment = this.#isPartial[lane] === 1 && (this.#open[lane] ?? -1) >= 0;
    if (!isFragment && !this.#goesOn(input, lane) && !this.#begins(input, lane, next)) return false;
    this.#isPartial[lane] = this.#line.isPartial ? 1 : 0;
    this.#timeMs[lane] = timeMs;
    this.#add(at, this.#open[lane] ?? 0, isFragment);
    if (this.#isPartial[lane] === 0 && this.#state[lane] === CLOSED) this.#open[lane] = -1;
    return true;
  }

  /** After a `cut` that the end of the data forced: a line is open of which the runtime wrote only the beginning. */
  get isTorn(): boolean {
    return [0, 1].some((lane) => (this.#open[lane] ?? -1) >= 0 && this.#isPartial[lane] === 1);
  }

  /**
   * After a `cut`: the lines at or behind `border` that belong to records which began before it, as ranges of the buffer; neighbours are one.
   */
  linesOver(border: number): readonly (readonly [from: number, to: number])[] {
    const over: (readonly [number, number])[] = [];
    let groupsBefore = 0;
    for (let line = 0; line < this.lines; line += 1) {
      const from = this.lineFrom[line] ?? 0;
      const group = this.group[line] ?? 0;
      if (from < border) groupsBefore = Math.max(groupsBefore, group + 1);
      else if (group < groupsBefore) {
        const last = over.at(-1);
        const to = this.lineFrom[line + 1] ?? from;
        if (last?.[1] === from) over[over.length - 1] = [last[0], to];
        else over.push([from, to]);
      }
    }
    return over;
  }

  /** Finds the text of the line `input[at, next)`, and what its header says. */
  #read(input: Buffer, at: number, next: number): void {
    const line = this.#line;
    line.hasEnd = input[next - 1] === LF;
    // Cut at a character, it is at most that much shorter than the longest.
    line.isCut = !line.hasEnd && next - at > LINE_BYTES_MAX - UTF8_BYTES_MAX;
    line.textTo = line.hasEnd ? next - 1 : next;
    if (line.hasEnd && line.textTo > at && input[line.textTo - 1] === CR) line.textTo -= 1;
    const cri = this.#cri;
    const isCri = cri?.read(input, at, line.textTo) === true;
    line.textFrom = isCri ? cri.textFrom : at;
    line.stdio = isCri ? cri.stdio : '';
    line.timeMs = isCri ? cri.timeMs : Number.NaN;
    line.isPartial = isCri && cri.isPartial;
  }

  /** Does the line belong to the open record of its stdio? If not, that one is complete. */
  #goesOn(input: Buffer, lane: number): boolean {
    if ((this.#open[lane] ?? -1) < 0) return false;
    const state = this.#grouping.follow(this.#state[lane] ?? 0, input, this.#line.textFrom, this.#line.textTo);
    if (state === FOREIGN) this.#open[lane] = -1;
    else this.#state[lane] = state;
    return state !== FOREIGN;
  }

  /** Begins a record with the line; false when the cluster ends before it. */
  #begins(input: Buffer, lane: number, next: number): boolean {
    const isFirst = this.lines === 0;
    if (!isFirst && (!this.#isOpen() || !this.#hasRoom(next))) return false;
    const { stdio, timeMs, hasEnd, isCut, textFrom, textTo } = this.#line;
    const group = this.groups;
    this.groups += 1;
    this.#open[lane] = group;
    this.groupTimeMs[group] = timeMs;
    this.groupStdio[group] = stdio;
    this.isPart[group] = isCut ? 1 : 0;
    // A part of a line that is too long is complete as it is.
    this.#state[lane] = hasEnd || stdio !== '' ? this.#grouping.begin(input, textFrom, textTo) : CLOSED;
    return true;
  }

  #isOpen(): boolean {
    return this.#open[0] !== -1 || this.#open[1] !== -1;
  }

  /** The other stdio has gone on for so long that an open record of this one is complete. */
  #endOverdue(lane: number, nowMs: number): void {
    if ((this.#open[lane] ?? -1) >= 0 && nowMs - (this.#timeMs[lane] ?? 0) > RECORD_WAIT_MS) this.#open[lane] = -1;
  }

  #hasRoom(next: number): boolean {
    return this.groups < GROUPS_MAX && next - (this.lineFrom[0] ?? 0) <= INTERLEAVED_BYTES_MAX;
  }

  #add(at: number, group: number, isFragment: boolean): void {
    const line = this.lines;
    this.lineFrom[line] = at;
    this.textFrom[line] = this.#line.textFrom;
    this.textTo[line] = this.#line.textTo;
    this.group[line] = group;
    this.isFragment[line] = isFragment ? 1 : 0;
    this.lines += 1;
  }
}

/** Where the line at `at` ends, its newline included; a longer one ends at LINE_BYTES_MAX; `at` when its end is not there yet. */
function lineEnd(input: Buffer, at: number, to: number, isLast: boolean): number {
  if (at >= to) return at;
  const newline = input.indexOf(LF, at);
  if (newline >= 0 && newline < to && newline - at <= LINE_BYTES_MAX) return newline + 1;
  if (to - at > LINE_BYTES_MAX) return boundaryBefore(input, at, at + LINE_BYTES_MAX);
  return isLast ? to : at;
}
