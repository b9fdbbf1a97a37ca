/**
 * Breadth-first search through every world that can be reached, each once; the first violation comes with the shortest way to it.
 *
 * Kept for each state: its key, its parent, the number of the move that led there, and the state that it comes to when everybody does what
 * is due. Worlds are kept for the frontier only. The way is found by walking it again: the moves of a world always come in one order.
 */
import assert from 'node:assert/strict';

import { violationOf } from './certs-exhaustive-invariants.ts';
import type { Invariant } from './certs-exhaustive-invariants.ts';
import { canonical, isAtRest, objectsKey } from './certs-exhaustive-key.ts';
import { movesOf } from './certs-exhaustive-moves.ts';
import type { Move } from './certs-exhaustive-moves.ts';
import { emptyWorld } from './certs-exhaustive-world.ts';
import type { Design, World } from './certs-exhaustive-world.ts';

export interface Found {
  readonly states: number;
  readonly transitions: number;
  /** Of this process's CPU: machines that test do other things too. */
  readonly seconds: number;
  /** What the three objects hold, as keys, where a world has come to rest. */
  readonly rests: ReadonlySet<string>;
  readonly violation: { readonly invariant: Invariant | 'rest'; readonly text: string } | undefined;
}

export interface SearchOptions {
  /** Which invariants count; all by default. A mutation that breaks a weaker one at once is searched for the one that matters. */
  readonly invariants?: ReadonlySet<Invariant>;
  /** More states than this are an error of the model, not an answer. */
  readonly statesMax: number;
}

/** Stands for the onward state of a world at rest. */
const AT_REST = -1;

export function search(design: Design, options: SearchOptions): Found {
  return new Search(design, options).run();
}

class Search {
  readonly #design: Design;
  readonly #options: SearchOptions;
  readonly #indexes = new Map<string, number>();
  readonly #parents: number[] = [];
  readonly #moveNumbers: number[] = [];
  readonly #onwards: number[] = [];
  readonly #rests = new Set<string>();
  #frontier: World[] = [];
  #transitions = 0;
  #violation: Found['violation'];

  constructor(design: Design, options: SearchOptions) {
    this.#design = design;
    this.#options = options;
  }

  run(): Found {
    const started = process.cpuUsage();
    const first = canonical(emptyWorld(this.#design), this.#design);
    this.#add(first.key, first.world, 0, 0);
    for (let done = 0; this.#frontier.length > 0 && this.#violation === undefined;) {
      const layer = this.#frontier;

      this.#frontier = [];
      for (const world of layer) {
        if (!this.#expand(world, done)) break;
        done += 1;
      }
    }
    this.#violation ??= this.#stuck();
    const spent = process.cpuUsage(started);
    return {
      states: this.#parents.length,
      transitions: this.#transitions,
      seconds: (spent.user + spent.system) / 1e6,
      rests: this.#rests,
      violation: this.#violation,
    };
  }

  /** False when a move breaks an invariant. */
  #expand(world: World, index: number): boolean {
    const isDone = isAtRest(world);
    if (isDone) this.#rests.add(objectsKey(world));
    let onward = isDone ? AT_REST : index;
    let onwardRank = isDone ? 0 : Number.POSITIVE_INFINITY;
    for (const [n, move] of movesOf(world, this.#design).entries()) {
      this.#transitions += 1;
      const violation = violationOf(world, move, this.#design);
      if (violation !== undefined && this.#options.invariants?.has(violation.invariant) !== false) {
        const way = [...this.#way(index), move.text()].map((text, i) => `${i + 1}. ${text}`).join('\n');
        this.#violation = {
          invariant: violation.invariant,
          text: `${violation.invariant}: ${violation.text}, after\n${way}`,
        };
        return false;
      }
      const { key, world: after } = canonical(move.after, this.#design);
      const found = this.#indexes.get(key);
      const rank = onwardRankOf(move, found === index);
      const next = found ?? this.#add(key, after, index, n);
      if (rank < onwardRank) [onward, onwardRank] = [next, rank];
    }
    // A leaf is about to expire and nobody can do anything: the way is cut off here.
    const isCut = onward === index && this.#design.losses > 0;
    this.#onwards[index] = isCut ? AT_REST : onward;
    return true;
  }

  #add(key: string, world: World, parent: number, moveNumber: number): number {
    const index = this.#parents.length;
    assert(index < this.#options.statesMax, `the model stays within ${this.#options.statesMax} states`);
    this.#indexes.set(key, index);
    this.#parents.push(parent);
    this.#moveNumbers.push(moveNumber);
    this.#onwards.push(index);
    this.#frontier.push(world);
    return index;
  }

  /** The moves that lead to a state, in words. */
  #way(index: number): readonly string[] {
    const numbers: number[] = [];
    for (let i = index; i !== 0; i = this.#parents[i] ?? 0) numbers.unshift(this.#moveNumbers[i] ?? 0);
    let { world } = canonical(emptyWorld(this.#design), this.#design);
    return numbers.map((n) => {
      const move = movesOf(world, this.#design)[n];
      assert(move !== undefined, 'a move that was made can be made again');
      ({ world } = canonical(move.after, this.#design));
      return move.text();
    });
  }

  /** A state from which the world never comes to rest although everybody does what is due: the onward ways must not run in a circle. */
  #stuck(): Found['violation'] {
    const [unknown, walked, fine] = [0, 1, 2];
    const marks = new Uint8Array(this.#onwards.length);
    for (let start = 0; start < marks.length; start += 1) {
      const way: number[] = [];
      let at = start;
      for (; at !== AT_REST && marks[at] === unknown; at = this.#onwards[at] ?? at) {
        marks[at] = walked;
        way.push(at);
      }
      if (at !== AT_REST && marks[at] === walked) {
        const words = this.#way(at)
          .map((text, i) => `${i + 1}. ${text}`)
          .join('\n');
        return { invariant: 'rest', text: `the world never comes to rest, after\n${words}` };
      }
      for (const passed of way) marks[passed] = fine;
    }
    return undefined;
  }
}

/** The order in which a world that nothing befalls goes on; a move that changes nothing leads nowhere. */
function onwardRankOf(move: Move, isIdle: boolean): number {
  if (isIdle) return Number.POSITIVE_INFINITY;
  if (move.kind === 'round') return move.after.replicas.some(({ write }) => write !== undefined) ? 3 : 4;
  return { land: 1, follow: 2, beat: 5, failure: Number.POSITIVE_INFINITY, outside: Number.POSITIVE_INFINITY }[
    move.kind
  ];
}
