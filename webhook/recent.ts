/**
 * Results by the text that they were made from, for work that pods of one workload, or of one team, ask for again and again.
 *
 * Invariants: at most 2 * `max` results; the text itself is not kept, its SHA-256 stands for it, because values of users may be in it;
 * what was asked for among the last `max` texts is still there. May import: nothing.
 */
import { hash } from 'node:crypto';

export class Recent<T> {
  readonly #max: number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The result for a text; made where it is not known. What `make` throws is not kept. */
  of(text: string, make: () => T): T {
    const key = hash('sha256', text, 'base64');
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const result = this.#old.get(key) ?? make();
    if (this.#young.size >= this.#max) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, result);
    return result;
  }
}
