/**
 * Which lines make one record: by the rules of stack traces, by a start pattern, or each line for itself.
 *
 * Invariant: pure in the lines of the record: nothing is remembered from one record to the next. May import: core, config, pattern, parse.
 */
import assert from 'node:assert/strict';

import type { Multiline } from '../config/record-rules.ts';
import { compilePatterns } from '../pattern/pattern-list.ts';
import type { PatternList } from '../pattern/pattern-list.ts';
import { DONE, START, TRACE_RULES } from './stack-traces.ts';

/** The record ends with the line. */
export const CLOSED = 0;
/** The line does not belong to the record. */
export const FOREIGN = -1;

export interface Grouping {
  /** State of a record after its first line `text[from, to)`; CLOSED when that is all of it. */
  begin(text: Uint8Array, from: number, to: number): number;
  /** State of a record after one more line, or FOREIGN. */
  follow(state: number, text: Uint8Array, from: number, to: number): number;
  /** Do several lines of one record mean that something failed? */
  readonly joinsErrors: boolean;
}

const EACH_LINE: Grouping = { begin: () => CLOSED, follow: () => FOREIGN, joinsErrors: false };

export function createGrouping(multiline: Multiline | undefined): Grouping {
  if (multiline === undefined) return EACH_LINE;
  return 'start' in multiline ? byStart(compiled(multiline.start)) : new TraceGrouping(multiline.presets);
}

/** A record goes up to the next line that matches; what stands before the first one is a record too. */
function byStart(start: PatternList): Grouping {
  return {
    begin: () => 1,
    follow: (_state, text, from, to) => (start.matches(text, from, to) ? FOREIGN : 1),
    joinsErrors: false,
  };
}

interface Way {
  /** Undefined: any line. */
  readonly pattern: PatternList | undefined;
  readonly to: number;
}

/**
 * All languages at once: a record goes on while any of them would go on, because the first line of a trace looks alike in several. A
 * state of the record is a set of states of the rules, numbered when it is first seen; the rules give a few dozen of them.
 */
class TraceGrouping implements Grouping {
  readonly joinsErrors = true;
  /** Ways out of each state of the rules. */
  readonly #ways: readonly (readonly Way[])[];
  /** Whether any way out of the start state can match: most lines are asked once. */
  readonly #anyStart: PatternList;
  readonly #sets: (readonly number[])[] = [[0]];
  /** By state of the rules, 1 for those that a line leads to. Nothing is allocated for a line whose states were seen before. */
  readonly #isNext: Uint8Array;

  constructor(presets: readonly (keyof typeof TRACE_RULES)[]) {
    const rules = presets.flatMap((preset) => TRACE_RULES[preset]);
    const names = [START, ...new Set(rules.map(({ from }) => from).filter((name) => name !== START))];
    const number = (name: string): number => (name === DONE ? CLOSED : names.indexOf(name));
    assert(
      rules.every(({ to }) => to === DONE || names.indexOf(to) > 0),
      'every state has a way out',
    );
    const lists = new Map(rules.map(({ pattern }) => [pattern, pattern === '' ? undefined : compiled(pattern)]));
    this.#isNext = new Uint8Array(names.length);
    this.#ways = names.map((name) =>
      rules
        .filter(({ from }) => from === name)
        .map(({ pattern, to }) => ({ pattern: lists.get(pattern), to: number(to) })),
    );
    this.#anyStart = compiled(...rules.filter(({ from }) => from === START).map(({ pattern }) => pattern));
  }

  begin(text: Uint8Array, from: number, to: number): number {
    if (!this.#anyStart.matches(text, from, to)) return CLOSED;
    const state = this.follow(0, text, from, to);
    return state === FOREIGN ? CLOSED : state;
  }

  follow(state: number, text: Uint8Array, from: number, to: number): number {
    const isNext = this.#isNext;
    isNext.fill(0);
    let count = 0;
    for (const member of this.#sets[state] ?? [])
      for (const way of this.#ways[member] ?? []) {
        if (isNext[way.to] === 1 || way.pattern?.matches(text, from, to) === false) continue;
        isNext[way.to] = 1;
        count += 1;
      }
    if (count === 0) return FOREIGN;
    const open = count - (isNext[CLOSED] ?? 0);
    return open === 0 ? CLOSED : this.#number(open);
  }

  /** The number of the set of the `count` states that a line leads to, CLOSED aside. */
  #number(count: number): number {
    const sets = this.#sets;
    for (let number = 0; number < sets.length; number += 1) if (this.#isSet(sets[number] ?? [], count)) return number;
    const members = [...this.#isNext.keys()].filter((state) => state !== CLOSED && this.#isNext[state] === 1);
    return sets.push(members) - 1;
  }

  #isSet(members: readonly number[], count: number): boolean {
    if (members.length !== count) return false;
    for (const member of members) if (member === CLOSED || this.#isNext[member] !== 1) return false;
    return true;
  }
}

function compiled(...patterns: readonly string[]): PatternList {
  const result = compilePatterns(patterns);
  assert(result.ok, 'patterns are checked at the door');
  return result.list;
}
