/**
 * A pattern's tree as a program over bytes (Thompson's construction), read forwards or backwards.
 *
 * Pure. Instructions are kept in four arrays; equal ones with an equal continuation are one, so that the tails of UTF-8 sequences are
 * shared. Sources: R. Cox, "Regular Expression Matching: the Virtual Machine Approach" and "… in the Wild". May import: pattern.
 */
import { byteSequences } from './utf8-ranges.ts';
import type { Assertion, Node } from './syntax.ts';
import type { CodePoints } from './code-points.ts';

/** Instructions of one program: each state of its automaton may hold them all, two bytes each. */
export const INSTRUCTIONS_MAX = 8_192;

export const MATCH = 0;
export const BYTES = 1;
export const SPLIT = 2;
export const ASSERT = 3;

const ASSERTIONS: readonly Assertion[] = ['begin', 'end', 'line_begin', 'line_end', 'word', 'no_word'];
export const BEGIN = 0;
export const END = 1;
export const LINE_BEGIN = 2;
export const LINE_END = 3;
export const WORD_EDGE = 4;
export const NO_WORD_EDGE = 5;

export interface Program {
  readonly op: readonly number[];
  /** BYTES: number of its table. SPLIT: what is tried first. ASSERT: which. */
  readonly first: readonly number[];
  /** Where it goes on; SPLIT: what is tried then. */
  readonly next: readonly number[];
  /** For each table 256 flags. */
  readonly tables: readonly Uint8Array[];
  readonly start: number;
  /** Those that occur. */
  readonly assertions: ReadonlySet<number>;
}

/** The program would have more than INSTRUCTIONS_MAX instructions. */
export class ProgramTooLarge extends Error {}

/**
 * @param backwards the program reads the text from its end
 * @param instructionsMax beyond it ProgramTooLarge is thrown
 */
export function compile(node: Node, backwards: boolean, instructionsMax: number = INSTRUCTIONS_MAX): Program {
  const compiler = new Compiler(backwards, instructionsMax);
  const start = compiler.node(node, compiler.emit(MATCH, 0, 0));
  const { op, first, next, tables } = compiler;
  const assertions = new Set(first.filter((_, at) => op[at] === ASSERT));
  return { op, first, next, tables, start, assertions };
}

class Compiler {
  readonly op: number[] = [];
  readonly first: number[] = [];
  readonly next: number[] = [];
  readonly tables: Uint8Array[] = [];
  readonly #backwards: boolean;
  readonly #instructionsMax: number;
  readonly #known = new Map<string, number>();
  readonly #knownTables = new Map<string, number>();

  constructor(backwards: boolean, instructionsMax: number) {
    this.#backwards = backwards;
    this.#instructionsMax = instructionsMax;
  }

  /** The instruction, made anew or one that is there already. */
  emit(op: number, first: number, next: number): number {
    const key = `${op},${first},${next}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const at = this.#add(op, first, next);
    this.#known.set(key, at);
    return at;
  }

  /** Compiles `node` so that it goes on with instruction `next`; gives where it begins. */
  node(node: Node, next: number): number {
    switch (node.kind) {
      case 'set':
        return this.#set(node.points, next);
      case 'assert':
        return this.emit(ASSERT, this.#assertion(node.what), next);
      case 'sequence': {
        let at = next;
        const nodes = this.#backwards ? node.nodes : node.nodes.toReversed();
        for (const part of nodes) at = this.node(part, at);
        return at;
      }
      case 'either':
        return this.#either(node.nodes.map((part) => this.node(part, next)));
      case 'repeat':
        return this.#repeat(node, next);
    }
  }

  #add(op: number, first: number, next: number): number {
    if (this.op.length >= this.#instructionsMax) throw new ProgramTooLarge();
    this.op.push(op);
    this.first.push(first);
    this.next.push(next);
    return this.op.length - 1;
  }

  /** Backwards, what was before is after. */
  #assertion(what: Assertion): number {
    const at = ASSERTIONS.indexOf(what);
    return this.#backwards && at < WORD_EDGE ? at ^ 1 : at;
  }

  #either(starts: readonly number[]): number {
    let at = starts.at(-1) ?? 0;
    for (let i = starts.length - 2; i >= 0; i -= 1) at = this.emit(SPLIT, starts[i] ?? 0, at);
    return at;
  }

  #repeat({ node, least, most, lazy }: Extract<Node, { kind: 'repeat' }>, next: number): number {
    let at = next;
    if (most === Number.POSITIVE_INFINITY) {
      // The loop's own split is the only instruction that is not known before what it leads to.
      const loop = this.#add(SPLIT, 0, 0);
      const body = this.node(node, loop);
      this.first[loop] = lazy ? next : body;
      this.next[loop] = lazy ? body : next;
      at = loop;
    } else {
      for (let i = least; i < most; i += 1) {
        const body = this.node(node, at);
        at = lazy ? this.emit(SPLIT, next, body) : this.emit(SPLIT, body, next);
      }
    }
    for (let i = 0; i < least; i += 1) at = this.node(node, at);
    return at;
  }

  /** One alternative for each continuation; the first bytes that lead to the same one share a table. */
  #set(points: CodePoints, next: number): number {
    const groups = new Map<number, Uint8Array>();
    for (const range of points) {
      for (const sequence of byteSequences(range)) {
        const ordered = this.#backwards ? sequence.toReversed() : sequence;
        let at = next;
        for (const [low, high] of ordered.slice(1).toReversed()) at = this.emit(BYTES, this.#table(low, high), at);
        const table = groups.get(at) ?? new Uint8Array(256);
        const [low, high] = ordered[0] ?? [0, 0];
        groups.set(at, table.fill(1, low, high + 1));
      }
    }
    const starts = [...groups].map(([at, table]) => this.emit(BYTES, this.#intern(table), at));
    // An empty set matches nothing: a table without a byte.
    return starts.length === 0 ? this.emit(BYTES, this.#intern(new Uint8Array(256)), next) : this.#either(starts);
  }

  #table(low: number, high: number): number {
    return this.#intern(new Uint8Array(256).fill(1, low, high + 1));
  }

  #intern(table: Uint8Array): number {
    const key = Buffer.from(table).toString('latin1');
    const known = this.#knownTables.get(key);
    if (known !== undefined) return known;
    this.tables.push(table);
    this.#knownTables.set(key, this.tables.length - 1);
    return this.tables.length - 1;
  }
}
