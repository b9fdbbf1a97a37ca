/**
 * How many resent records may be stored twice because their data stream rolled over in between: pure.
 *
 * An `_id` is unique in one backing index, not in a data stream: after a rollover the same `_id` is created again in the new one
 * (Elasticsearch reference, data streams, "append-only"; seen on Elasticsearch 9.5 and OpenSearch 2.19 by test/cluster). That can
 * only happen to a record whose first sending has an unknown outcome. So the write index is learned from answers to requests without such
 * records; when a resent record is created in another one, or nothing was learned yet, it counts. The count is an upper bound: it never
 * misses one, and it is 0 where no rollover took place. It needs no privilege beyond writing. May import: core.
 */

/** What is learned is looked at again this often: the answer is longer when it names the index of every item. */
const LEARN_MS = 10_000;

/** What Elasticsearch and OpenSearch call the first backing index of a data stream, or of an alias: nothing was there before it. */
const FIRST_GENERATION = /-0*1$/;

interface Learned {
  readonly index: string;
  readonly atMs: number;
}

export class WriteIndexes {
  /** By destination; a sidecar has a handful. */
  readonly #learned = new Map<string, Learned>();

  /** Whether the answer has to name the index of each item. */
  mustAsk(destination: string, isResend: boolean, now: number): boolean {
    const known = this.#learned.get(destination);
    if (isResend || known === undefined) return true;
    return known.index !== destination && now - known.atMs >= LEARN_MS;
  }

  /** A request without resent records was answered: that is where it went. */
  learn(destination: string, index: string, now: number): void {
    if (this.#learned.size >= DESTINATIONS_MAX && !this.#learned.has(destination)) this.#learned.clear();
    this.#learned.set(destination, { index, atMs: now });
  }

  /** Whether a resent record that was now created in `index` may stand in an older one as well. */
  mayBeTwice(destination: string, index: string): boolean {
    if (index === destination) return false;
    const known = this.#learned.get(destination);
    return known === undefined ? !FIRST_GENERATION.test(index) : known.index !== index;
  }
}

/** Dated names come and go: forgetting costs one longer answer each. */
const DESTINATIONS_MAX = 256;
