/**
 * Which of several nodes of one destination the next request goes to.
 *
 * One node is kept while it works. A node that failed is left alone for a while that doubles with each failure; when all are, the one
 * whose time is over first is asked, so that there is always an answer. Pure. May import: core.
 */
import assert from 'node:assert/strict';

/** A node that restarts is back in seconds; one that is gone costs one failed request a minute. */
const REST_MS = { min: 1_000, max: 60_000 } as const;

interface Node {
  failures: number;
  restsUntil: number;
}

export class NodeHealth {
  readonly #nodes: readonly Node[];
  #current: number;

  /**
   * @param count how many there are
   * @param first index of the one to begin with: a fleet of sidecars must not begin with the same one
   */
  constructor(count: number, first: number) {
    assert(count > 0 && first >= 0 && first < count, 'there is a first node');
    this.#nodes = Array.from({ length: count }, () => ({ failures: 0, restsUntil: Number.NEGATIVE_INFINITY }));
    this.#current = first;
  }

  /** Index of the node to ask. @param now monotonic milliseconds */
  choose(now: number): number {
    const { length } = this.#nodes;
    const order = Array.from({ length }, (_, i) => (this.#current + i) % length);
    const until = (index: number): number => this.#nodes[index]?.restsUntil ?? 0;
    const rested = order.find((index) => until(index) <= now);
    this.#current = rested ?? order.reduce((best, index) => (until(index) < until(best) ? index : best));
    return this.#current;
  }

  succeeded(index: number): void {
    const node = this.#nodes[index];
    if (node !== undefined) Object.assign(node, { failures: 0, restsUntil: Number.NEGATIVE_INFINITY });
  }

  /** The node did not answer, or says that it cannot serve. */
  failed(index: number, now: number): void {
    const node = this.#nodes[index];
    if (node === undefined) return;
    node.restsUntil = now + Math.min(REST_MS.max, REST_MS.min * 2 ** Math.min(node.failures, 16));
    node.failures += 1;
  }
}
