/**
 * Lines of files held against messages of a log stream, where a message has no place of its own: as multisets of hashes. Pure.
 *
 * Invariants: an event counts for one line; equal lines need as many equal events. Memory is 8 bytes for each line and each event; two
 * different texts share a hash of 53 bits once in 10^16 pairs, and then one that is missing could hide. May import: core.
 */
import { hash } from 'node:crypto';
import { OperationalError } from '../core/errors.ts';

/** 320 MB of hashes: beyond that a stream is verified in pieces, or not by us. */
const TEXTS_MAX = 40_000_000;
const FIRST_CAPACITY = 1024;

/** A text as a number of 53 bits. */
export function textHash(text: string): number {
  const digest = hash('sha1', text, 'buffer');
  return digest.readUIntBE(0, 6) * 32 + ((digest[6] ?? 0) >> 3);
}

export interface Comparison {
  /** For each text that is there too seldom: how many times. */
  readonly lacking: ReadonlyMap<number, number>;
  /** Events beyond what the lines explain, of texts that they have. */
  readonly more: number;
  /** Events whose text is no line. */
  readonly strangers: number;
}

export class MessageBook {
  readonly #required = new Hashes();
  readonly #optional = new Hashes();
  readonly #found = new Hashes();

  get required(): number {
    return this.#required.length;
  }

  get found(): number {
    return this.#found.length;
  }

  /** @param isRequired false for what is not settled: it may be there or not */
  addLine(text: string, isRequired: boolean): void {
    (isRequired ? this.#required : this.#optional).add(textHash(text));
  }

  addEvent(text: string): void {
    this.#found.add(textHash(text));
  }

  compare(): Comparison {
    const [required, optional, found] = [this.#required.sorted(), this.#optional.sorted(), this.#found.sorted()];
    const lacking = new Map<number, number>();
    let more = 0;
    let strangers = 0;
    for (let next = lowest(required, optional, found); next !== undefined; next = lowest(required, optional, found)) {
      const [must, may, is] = [required.take(next), optional.take(next), found.take(next)];
      if (is < must) lacking.set(next, must - is);
      if (must + may === 0) strangers += is;
      else more += Math.max(0, is - must - may);
    }
    return { lacking, more, strangers };
  }
}

/** Numbers in a buffer that grows. */
class Hashes {
  #values = new Float64Array(FIRST_CAPACITY);
  length = 0;

  add(value: number): void {
    if (this.length === this.#values.length) {
      if (this.length >= TEXTS_MAX) {
        throw new OperationalError(
          'USAGE',
          `compare messages: expected at most ${TEXTS_MAX} of a log stream, got more`,
        );
      }
      const grown = new Float64Array(Math.min(TEXTS_MAX, 2 * this.length));
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.length] = value;
    this.length += 1;
  }

  sorted(): SortedRun {
    return new SortedRun(this.#values.subarray(0, this.length).sort());
  }
}

/** Ascending numbers, taken from the front. */
class SortedRun {
  readonly #values: Float64Array;
  #at = 0;

  constructor(values: Float64Array) {
    this.#values = values;
  }

  get head(): number | undefined {
    return this.#values[this.#at];
  }

  /** How often this number, which is none below the head, stands in front. */
  take(value: number): number {
    const from = this.#at;
    while (this.#values[this.#at] === value) this.#at += 1;
    return this.#at - from;
  }
}

function lowest(...runs: readonly SortedRun[]): number | undefined {
  const heads = runs.flatMap(({ head }) => (head === undefined ? [] : [head]));
  return heads.length === 0 ? undefined : Math.min(...heads);
}
