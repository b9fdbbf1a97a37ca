/**
 * Runs a program over bytes: a deterministic automaton whose states are made when they are first needed, in a bounded memory.
 *
 * Invariants: each byte is looked at once, whatever the pattern (linear time); when the memory is full all states are forgotten and made
 * anew, which costs time, never more memory; the result is that of ECMAScript (leftmost, then by the order of alternatives), or the
 * longest where `longest` asks for it. Whether a match ends at a place is known one byte later, because `$` and `\b` look at that byte.
 * Source: R. Cox, "Regular Expression Matching in the Wild" (RE2). May import: pattern.
 */
import { ASSERT, BEGIN, BYTES, END, LINE_BEGIN, LINE_END, MATCH, NO_WORD_EDGE, SPLIT, WORD_EDGE } from './program.ts';
import type { Program } from './program.ts';

/** What a state costs beside its transitions: its key, its list, their headers. Measured: 120 to 180 bytes. */
const STATE_OVERHEAD_BYTES = 192;

const LF = 10;
const CR = 13;
/** What stood before a state's place: nothing, a word character, a line end, something else. */
const AT_BEGIN = 1;
const AFTER_WORD = 2;
const AFTER_LINE_END = 4;
/** Contexts are less than this. */
const CONTEXTS = 8;
/** A new match may still begin here (unanchored, nothing matched yet). */
const SEEDS = 8;
/** A match ended before the byte that led here. */
const MATCHED = 16;

/**
 * A transition stands as its target's row in the table, so that a byte costs one look; where there is more to do than to go on it is negative:
 * UNKNOWN, or a state in which a match has ended, or the dead one.
 */
const UNKNOWN = -1;
const DEAD_ROW = 0;
const DEAD = special(DEAD_ROW);

export interface AutomatonOptions {
  /** A match may begin anywhere. */
  readonly unanchored: boolean;
  /** The longest match, not the first by order. */
  readonly longest: boolean;
  readonly memoryBytesMax: number;
}

export class Automaton {
  /** How often the memory was full. */
  flushes = 0;
  readonly #program: Program;
  readonly #options: AutomatonOptions;
  /** Class of each byte; the class after the last is the end of the text. */
  readonly #classOf = new Uint8Array(256);
  /** What of the byte before a place the program asks for: states that differ in nothing else are one. */
  readonly #contexts: number;
  readonly #sample: readonly number[];
  readonly #width: number;
  readonly #statesMax: number;
  #next: Int32Array;
  #lists: Uint16Array[] = [];
  #flags: number[] = [];
  #known = new Map<string, number>();
  /** By context, the row of the state that a search begins in: every text is asked for it. UNKNOWN until it is made. */
  readonly #starts = new Int32Array(CONTEXTS).fill(UNKNOWN);
  #bytes = 0;
  readonly #stack: number[] = [];
  readonly #seen: Uint32Array;
  #mark = 0;

  constructor(program: Program, options: AutomatonOptions) {
    this.#program = program;
    this.#options = options;
    this.#contexts = contextsOf(program);
    this.#sample = classify(program, this.#classOf);
    this.#width = this.#sample.length + 1;
    this.#seen = new Uint32Array(program.op.length);
    this.#statesMax = Math.max(4, Math.floor(options.memoryBytesMax / (this.#width * 4 + STATE_OVERHEAD_BYTES)));
    this.#next = new Int32Array(16 * this.#width);
    this.#clear();
  }

  /** Bytes that the states take now. */
  get memoryBytes(): number {
    return this.#bytes + this.#next.byteLength;
  }

  /**
   * Where a match in `text[at, to)` ends, -1 without one. Reads forwards.
   *
   * @param from where the text begins: what stands before it is nothing
   * @param at where the search begins, from `from` on
   * @param isEnough the first place where any match ends is enough
   */
  forward(text: Uint8Array, from: number, to: number, at: number, isEnough: boolean): number {
    const classOf = this.#classOf;
    let row = this.#start(at === from ? -1 : (text[at - 1] ?? 0));
    let end = -1;
    let next = this.#next;
    for (let i = at; i < to; i += 1) {
      const byteClass = classOf[text[i] ?? 0] ?? 0;
      const way = next[row + byteClass] ?? UNKNOWN;
      if (way === row) {
        // The state stays as long as nothing of a pattern begins: these looks do not wait for each other.
        while (i + 1 < to && next[row + (classOf[text[i + 1] ?? 0] ?? 0)] === row) i += 1;
        continue;
      }
      if (way >= 0) {
        row = way;
        continue;
      }
      const made = way === UNKNOWN ? this.#step(row, byteClass) : way;
      next = this.#next;
      row = rowOf(made);
      if (made >= 0) continue;
      if (row === DEAD_ROW) return end;
      end = i;
      if (isEnough) return end;
    }
    return this.#endsAt(row, this.#width - 1) ? to : end;
  }

  /**
   * The leftmost place at or after `least` from which the pattern matches up to `at`, -1 without one. Reads backwards, with a program
   * that was compiled so.
   */
  backward(text: Uint8Array, from: number, to: number, at: number, least: number): number {
    const classOf = this.#classOf;
    let row = this.#start(at === to ? -1 : (text[at] ?? 0));
    let begin = -1;
    for (let i = at; i > least; i -= 1) {
      const way = this.#way(row, classOf[text[i - 1] ?? 0] ?? 0);
      row = rowOf(way);
      if (way >= 0) continue;
      if (row === DEAD_ROW) return begin;
      begin = i;
    }
    const before = least === from ? this.#width - 1 : (classOf[text[least - 1] ?? 0] ?? 0);
    return this.#endsAt(row, before) ? least : begin;
  }

  #endsAt(row: number, byteClass: number): boolean {
    const way = this.#way(row, byteClass);
    return way < 0 && way !== DEAD;
  }

  /** The transition of a row over a class of bytes, made where it is new. */
  #way(row: number, byteClass: number): number {
    const way = this.#next[row + byteClass] ?? UNKNOWN;
    return way === UNKNOWN ? this.#step(row, byteClass) : way;
  }

  /** The row of the state that a search begins in. @param before the byte before the first one, -1 for nothing */
  #start(before: number): number {
    const context = contextAfter(before) & this.#contexts;
    const known = this.#starts[context] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    const made = this.#state([this.#program.start], context | (this.#options.unanchored ? SEEDS : 0));
    return (this.#starts[context] = made * this.#width);
  }

  #clear(): void {
    this.#next.fill(UNKNOWN);
    this.#lists = [];
    this.#flags = [];
    this.#known = new Map();
    this.#starts.fill(UNKNOWN);
    this.#bytes = 0;
    // State 0 is the dead one: no threads, no way out.
    this.#state([], 0);
    this.#next.fill(DEAD, 0, this.#width);
  }

  /** The state with these threads, made where it is new. */
  #state(threads: readonly number[], flags: number): number {
    const key = String.fromCharCode(flags, ...threads);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const costs = STATE_OVERHEAD_BYTES + threads.length * 4;
    const isFull = this.#lists.length >= this.#statesMax || this.#bytes + costs > this.#options.memoryBytesMax;
    if (isFull && this.#lists.length > 1) {
      this.flushes += 1;
      this.#clear();
    }
    const state = this.#lists.length;
    this.#lists.push(Uint16Array.from(threads));
    this.#flags.push(flags);
    this.#known.set(key, state);
    this.#bytes += costs;
    if ((state + 1) * this.#width > this.#next.length) {
      const wider = new Int32Array(this.#next.length * 2).fill(UNKNOWN);
      wider.set(this.#next);
      this.#next = wider;
    }
    return state;
  }

  /** Makes the transition of a row over a class of bytes. */
  #step(row: number, byteClass: number): number {
    const state = row / this.#width;
    const threads = this.#lists[state] ?? new Uint16Array(0);
    const flags = this.#flags[state] ?? 0;
    const byte = this.#sample[byteClass] ?? -1;
    const ordered: number[] = [];
    this.#mark += 1;
    const matchAt = this.#close(threads, flags, byte, ordered);
    const isCut = matchAt >= 0 && !this.#options.longest;
    const stepped: number[] = [];
    this.#mark += 1;
    for (let i = 0; i < (isCut ? matchAt : ordered.length); i += 1) this.#advance(ordered[i] ?? 0, byte, stepped);
    const seeds = (flags & SEEDS) !== 0 && matchAt < 0;
    if (seeds && this.#seen[this.#program.start] !== this.#mark) stepped.push(this.#program.start);
    const context = contextAfter(byte) & this.#contexts;
    const matched = matchAt >= 0 ? MATCHED : 0;
    const isOver = byte < 0 || (stepped.length === 0 && !seeds);
    const before = this.flushes;
    const next = isOver
      ? this.#state([], matched === 0 ? 0 : MATCHED)
      : this.#state(stepped, context | matched | (seeds ? SEEDS : 0));
    const way = this.#wayTo(next);
    // After a flush the row stands for another state.
    if (this.flushes === before) this.#next[row + byteClass] = way;
    return way;
  }

  #wayTo(state: number): number {
    const row = state * this.#width;
    const hasMore = row === DEAD_ROW || ((this.#flags[state] ?? 0) & MATCHED) !== 0;
    return hasMore ? special(row) : row;
  }

  /** Follows what needs no byte, in order of priority, into `ordered`. Gives how many threads stand before the match, -1 without one. */
  #close(threads: Uint16Array, flags: number, byte: number, ordered: number[]): number {
    const { op, first, next } = this.#program;
    const stack = this.#stack;
    let matchAt = -1;
    for (const thread of threads) {
      stack.push(thread);
      for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
        if (this.#seen[at] === this.#mark) continue;
        this.#seen[at] = this.#mark;
        const kind = op[at];
        if (kind === SPLIT) stack.push(next[at] ?? 0, first[at] ?? 0);
        else if (kind === ASSERT) {
          if (holds(first[at] ?? 0, flags, byte)) stack.push(next[at] ?? 0);
        } else if (kind === MATCH) {
          if (matchAt < 0) matchAt = ordered.length;
        } else ordered.push(at);
      }
    }
    return matchAt;
  }

  #advance(at: number, byte: number, into: number[]): void {
    const { op, first, next, tables } = this.#program;
    if (byte < 0 || op[at] !== BYTES || tables[first[at] ?? 0]?.[byte] !== 1) return;
    const target = next[at] ?? 0;
    if (this.#seen[target] === this.#mark) return;
    this.#seen[target] = this.#mark;
    into.push(target);
  }
}

/** A row as a transition that does not just go on. */
function special(row: number): number {
  return -2 - row;
}

function rowOf(way: number): number {
  return way >= 0 ? way : -2 - way;
}

/** Numbers the classes of bytes that no instruction tells apart; gives a byte of each. */
function classify(program: Program, classOf: Uint8Array): readonly number[] {
  const classes = new Map<string, number>();
  const sample: number[] = [];
  // An assertion looks at the byte behind it as well as at the one before.
  const asked = contextsOf(program) | (program.assertions.has(LINE_END) ? AFTER_LINE_END : 0);
  for (let byte = 0; byte < 256; byte += 1) {
    const key = String(contextAfter(byte) & asked) + program.tables.map((table) => table[byte]).join('');
    const known = classes.get(key);
    classOf[byte] = known ?? sample.length;
    if (known !== undefined) continue;
    classes.set(key, sample.length);
    sample.push(byte);
  }
  return sample;
}

function contextAfter(byte: number): number {
  if (byte < 0) return AT_BEGIN;
  if (byte === LF || byte === CR) return AFTER_LINE_END;
  return isWord(byte) ? AFTER_WORD : 0;
}

function contextsOf(program: Program): number {
  const atBegin = program.assertions.has(BEGIN) || program.assertions.has(LINE_BEGIN) ? AT_BEGIN : 0;
  const afterLineEnd = program.assertions.has(LINE_BEGIN) ? AFTER_LINE_END : 0;
  const afterWord = program.assertions.has(WORD_EDGE) || program.assertions.has(NO_WORD_EDGE) ? AFTER_WORD : 0;
  return atBegin | afterLineEnd | afterWord;
}

/** @param byte the one that follows, -1 at the end */
function holds(assertion: number, flags: number, byte: number): boolean {
  if (assertion === BEGIN) return (flags & AT_BEGIN) !== 0;
  if (assertion === END) return byte < 0;
  if (assertion === LINE_BEGIN) return (flags & (AT_BEGIN | AFTER_LINE_END)) !== 0;
  if (assertion === LINE_END) return byte < 0 || byte === LF || byte === CR;
  const isEdge = ((flags & AFTER_WORD) !== 0) !== (byte >= 0 && isWord(byte));
  return (assertion === WORD_EDGE) === isEdge;
}

function isWord(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f || (byte >= 0x61 && byte <= 0x7a)
  );
}
