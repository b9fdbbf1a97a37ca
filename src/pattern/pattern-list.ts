/**
 * A list of patterns that is tried against texts: does one match, and where.
 *
 * Texts are well-formed UTF-8. Invariant: the memory of all automatons of a list together is bounded by MEMORY_BYTES_MAX, and a text costs
 * time in proportion to its length. May import: core, pattern.
 */
import { KiB, MiB } from '../core/limits.ts';
import { Automaton } from './automaton.ts';
import { compile, INSTRUCTIONS_MAX, ProgramTooLarge } from './program.ts';
import type { Program } from './program.ts';
import { parsePattern } from './syntax.ts';
import type { Node } from './syntax.ts';

/** Patterns of one list. */
export const PATTERNS_MAX = 64;

/**
 * States of all automatons of one list: fourteen times what ten usual patterns took (72 KiB, docs/performance.md); three lists at their bound
 * fit beside the rest in the memory of a sidecar.
 */
const MEMORY_BYTES_MAX = MiB;
/** An automaton with less than this makes its states again and again. */
const AUTOMATON_BYTES_MIN = 8 * KiB;

export type Compiled =
  | { readonly ok: true; readonly list: PatternList }
  | { readonly ok: false; readonly expected: string; readonly hint?: string };

/** Makes a list ready, or says what is wrong with the first bad pattern. */
export function compilePatterns(patterns: readonly string[]): Compiled {
  if (patterns.length > PATTERNS_MAX) return { ok: false, expected: `at most ${PATTERNS_MAX} patterns` };
  const nodes: Node[] = [];
  const properties = new Set<string>();
  for (const pattern of patterns) {
    const parsed = parsePattern(pattern, properties);
    if (!parsed.ok) return parsed;
    nodes.push(parsed.node);
  }
  try {
    return { ok: true, list: new PatternList(nodes) };
  } catch (error) {
    if (!(error instanceof ProgramTooLarge)) throw error;
    const expected = `patterns that together need at most ${INSTRUCTIONS_MAX} steps`;
    return { ok: false, expected, hint: 'are there counts of counts, or large counts of large classes?' };
  }
}

interface Finder {
  readonly end: Automaton;
  readonly begin: Automaton;
}

export class PatternList {
  readonly #nodes: readonly Node[];
  readonly #anyProgram: Program;
  readonly #share: number;
  /** Made when the first text needs them: a list that only checks a configuration is never asked, and most are never asked where. */
  #any: Automaton | undefined;
  #finders: readonly Finder[] | undefined;

  /** Throws ProgramTooLarge. */
  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes;
    this.#share = Math.max(AUTOMATON_BYTES_MIN, Math.floor(MEMORY_BYTES_MAX / (2 + nodes.length * 2)));
    this.#anyProgram = compile({ kind: 'either', nodes }, false);
  }

  /** Bytes of all states at this moment. */
  get memoryBytes(): number {
    const finders = this.#finders ?? [];
    const any = this.#any?.memoryBytes ?? 0;
    return finders.reduce((sum, { end, begin }) => sum + end.memoryBytes + begin.memoryBytes, any);
  }

  /** Does a pattern of the list match somewhere in `text[from, to)`? */
  matches(text: Uint8Array, from: number, to: number): boolean {
    this.#any ??= new Automaton(this.#anyProgram, {
      unanchored: true,
      longest: true,
      memoryBytesMax: this.#share * 2,
    });
    return this.#any.forward(text, from, to, from, true) >= 0;
  }

  /**
   * Marks every byte of `text[from, to)` that is part of a match of any pattern: each pattern is looked for on its own, one match after
   * another, so that none hides another's. Matches of nothing mark nothing.
   *
   * @param mask `mask[i]` becomes 1 for `text[from + i]`; the others become 0
   * @returns whether anything is marked
   */
  mark(text: Uint8Array, from: number, to: number, mask: Uint8Array): boolean {
    if (!this.matches(text, from, to)) return false;
    this.#finders ??= this.#nodes.map((node) => this.#finder(node));
    mask.fill(0, 0, to - from);
    let isMarked = false;
    for (const finder of this.#finders) {
      for (let at = from; at < to;) {
        const end = finder.end.forward(text, from, to, at, false);
        if (end < 0) break;
        const begin = finder.begin.backward(text, from, to, end, at);
        if (begin < end) {
          mask.fill(1, begin - from, end - from);
          isMarked = true;
          at = end;
        } else at = nextCharacter(text, end, to);
      }
    }
    return isMarked;
  }

  /** Read backwards, a set may need as many instructions as its characters have bytes. */
  #finder(node: Node): Finder {
    const memoryBytesMax = this.#share;
    const end = compile(node, false, INSTRUCTIONS_MAX * 4);
    const begin = compile(node, true, INSTRUCTIONS_MAX * 4);
    return {
      end: new Automaton(end, { unanchored: true, longest: false, memoryBytesMax }),
      begin: new Automaton(begin, { unanchored: false, longest: true, memoryBytesMax }),
    };
  }
}

/** Where the character after the one at `at` begins. */
function nextCharacter(text: Uint8Array, at: number, to: number): number {
  let next = at + 1;
  while (next < to && ((text[next] ?? 0) & 0xc0) === 0x80) next += 1;
  return next;
}
