/**
 * How many resent records may be stored twice because their data stream rolled over in between: pure.
 *
 * An `_id` is unique in one backing index, not in a data stream: after a rollover the same `_id` is created again in the new one
 * (Elasticsearch reference, data streams, "append-only"; seen on Elasticsearch 9.5 and OpenSearch 2.19 by test/cluster). That can
 * only happen to a record whose first sending has an unknown outcome. So the write index is learned from answers to requests without such
 * records, and where a resent record stands now is compared:
 *
 *   went out before        | created now in               | exists already (409) in
 *   never, or 1st index    | once                         | once
 *   once, this delivery    | twice? unless as learned     | once: that one sending is what stands there
 *   several times          | twice? unless as learned     | twice? unless as learned: an earlier resend may be what stands there
 *   before this delivery   | twice?                       | once, see below
 *   then, and since then   | twice?                       | twice? the sending since then may be what stands there
 *
 * What this process learned says nothing about what went out before this delivery: it may have learned after the rollover. The count is an
 * upper bound, and 0 where no rollover took place, but for records of an earlier process that were never stored, or whose resend lost
 * its answer too. It needs no privilege beyond writing. What it does not see: records whose answer was lost twice, with a rollover in
 * between, the last time by a process that was killed before it sent them again; the next one finds them (409) and cannot know of the
 * first time. May import: sinks.
 */
import type { PastSends } from '../sink.ts';
import type { Place } from './classify.ts';

/** What is learned is looked at again this often: the answer is longer when it names the index of every item. */
const LEARN_MS = 10_000;

/**
 * The first backing index of a data stream (`.ds-NAME-[DATE-]000001`) or of an alias (`NAME-000001`): nothing was there before it. An alias
 * that somebody gave an index of another name is not known by this.
 */
function isFirstGeneration(destination: string, index: string): boolean {
  const name = index.startsWith('.ds-') ? index.slice('.ds-'.length) : index;
  return (
    name.startsWith(`${destination}-`) && /^(?:\d{4}\.\d{2}\.\d{2}-)?0*1$/.test(name.slice(destination.length + 1))
  );
}

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

  /** Whether a record may stand in an older index as well as where it stands now; see the table above. */
  mayBeTwice(destination: string, { index, isNew }: Place, past: PastSends): boolean {
    if (past === 'none' || index === destination || isFirstGeneration(destination, index)) return false;
    if (past === 'earlier_and_since') return true;
    if (past === 'earlier') return isNew;
    if (past === 'once' && !isNew) return false;
    return this.#learned.get(destination)?.index !== index;
  }
}

/** Dated names come and go: forgetting costs one longer answer each. */
const DESTINATIONS_MAX = 256;
