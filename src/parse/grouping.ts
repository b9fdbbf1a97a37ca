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
  readonly #numbers = new Map<string, number>();

  constructor(presets: readonly (keyof typeof TRACE_RULES)[]) {
    const rules = presets.flatMap((preset) => TRACE_RULES[preset]);
    const names = [START, ...new Set(rules.map(({ from }) => from).filter((name) => name !== START))];
    const number = (name: string): number => (name === DONE ? CLOSED : names.indexOf(name));
    assert(
      rules.every(({ to }) => to === DONE || names.indexOf(to) > 0),
      'every state has a way out',
    );
    const lists = new Map(rules.map(({ pattern }) => [pattern, pattern === '' ? undefined : compiled(pattern)]));
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
    const next = new Set<number>();
    for (const member of this.#sets[state] ?? [])
      for (const way of this.#ways[member] ?? [])
        if (!next.has(way.to) && way.pattern?.matches(text, from, to) !== false) next.add(way.to);
    if (next.size === 0) return FOREIGN;
    next.delete(CLOSED);
    return next.size === 0 ? CLOSED : this.#number([...next].toSorted((a, b) => a - b));
  }

  #number(members: readonly number[]): number {
    const key = members.join(',');
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#sets.push(members);
    this.#numbers.set(key, this.#sets.length - 1);
    return this.#sets.length - 1;
  }
}

function compiled(...patterns: readonly string[]): PatternList {
  const result = compilePatterns(patterns);
  assert(result.ok, 'patterns are checked at the door');
  return result.list;
}
