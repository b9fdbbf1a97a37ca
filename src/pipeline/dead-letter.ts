/**
 * Where records go that a destination will never take: NDJSON in the state folder, for people and for `replay`.
 *
 * Bounded: two files of half the bound each; the older one makes room for the next, and what goes with it is counted.
 * May import: core, pipeline.
 */
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { MiB } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { deadLine } from './dead-line.ts';
import type { StateFiles } from './state-files.ts';

/** The state folder is a small emptyDir: enough for thousands of refused records, far below any eviction threshold. */
const DEAD_LETTER_BYTES_MAX = 8 * MiB;
const CURRENT = 'dead-letter.ndjson';
const OLDER = 'dead-letter.1.ndjson';
const LF = 10;
const NEWLINE = Buffer.from('\n');

export interface DeadRecord {
  readonly sink: string;
  readonly reason: string;
  /** The destination's own words. */
  readonly text: string;
  readonly container: string;
  readonly path: string;
  /** Id of the source and where the record begins in it, in bytes. */
  readonly source: string;
  readonly offset: number;
  /** Where it ends there: behind its newline, and behind what was filtered out before the next record. */
  readonly to: number;
  /** Where its request went, in the words of the sink's encoder: an index, a log group and stream, a bucket and the stem of a key. */
  readonly destination: string;
  /** The record as it was encoded. */
  readonly record: string;
}

/** Told of what was kept: the first record, all of them as NDJSON, and how many there are. Does not wait. */
export type CopyDead = (first: DeadRecord, lines: Buffer, records: number) => void;

export class DeadLetter {
  readonly #files: StateFiles;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #bytesMax: number;
  readonly #copy: CopyDead | undefined;
  #hasLooked = false;
  #bytes = 0;
  /** The last line has no end: the next one begins on a line of its own. */
  #isTorn = false;
  /** What the two files hold, an earlier process' records included; undefined until the first look. */
  #counts: { current: number; older: number } | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: {
    files: StateFiles;
    clock: Clock;
    log: Log;
    metrics: Metrics;
    bytesMax?: number;
    copy?: CopyDead | undefined;
  }) {
    this.#files = options.files;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#bytesMax = options.bytesMax ?? DEAD_LETTER_BYTES_MAX;
    this.#copy = options.copy;
  }

  /** Keeps the records; when that fails it is said, and the records are still counted as dropped by whoever called. */
  keep(records: readonly DeadRecord[]): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write(records));
    return this.#writing;
  }

  async #write(records: readonly DeadRecord[]): Promise<void> {
    const time = new Date(this.#clock.now()).toISOString();
    const content = Buffer.from(records.map((record) => deadLine(time, record)).join(''));
    const [first] = records;
    if (first === undefined) return;
    this.#copy?.(first, content, records.length);
    const { sink, reason, text, path, offset } = first;
    this.#log.error('records were rejected for good', {
      sink,
      reason,
      text,
      path,
      offset,
      records: records.length,
      kept_in: CURRENT,
    });
    try {
      const counts = await this.#look();
      if (this.#bytes > 0 && this.#bytes + content.length > this.#bytesMax / 2) await this.#rotate(counts);
      const lines = this.#isTorn ? Buffer.concat([NEWLINE, content]) : content;
      await this.#files.append(CURRENT, lines);
      await this.#files.sync(CURRENT);
      this.#isTorn = false;
      this.#bytes += lines.length;
      counts.current += records.length;
    } catch (error) {
      this.#hasLooked = false;
      this.#discarded(records.length);
      this.#log.error('dead letter cannot be written', { records: records.length, error: errorText(error) });
    }
  }

  /** What an earlier process left, or a write that failed: its last line may be cut. */
  async #look(): Promise<{ current: number; older: number }> {
    if (this.#hasLooked && this.#counts !== undefined) return this.#counts;
    const current = await this.#measure(CURRENT);
    this.#bytes = current.bytes;
    this.#isTorn = current.isTorn;
    // Once only: what a write that failed has left behind is counted as discarded already.
    this.#counts ??= { current: current.lines, older: (await this.#measure(OLDER)).lines };
    this.#hasLooked = true;
    return this.#counts;
  }

  /** Whole lines, bytes, and whether a line without an end is the last. In chunks: the files together are a sixth of the sidecar's memory. */
  async #measure(name: string): Promise<{ lines: number; bytes: number; isTorn: boolean }> {
    let lines = 0;
    let bytes = 0;
    let last = LF;
    await this.#files.scan(name, (chunk) => {
      for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) lines += 1;
      bytes += chunk.length;
      last = chunk.at(-1) ?? last;
    });
    return { lines, bytes, isTorn: last !== LF };
  }

  async #rotate(counts: { current: number; older: number }): Promise<void> {
    await this.#files.rename(CURRENT, OLDER);
    this.#isTorn = false;
    this.#discarded(counts.older);
    counts.older = counts.current;
    counts.current = 0;
    this.#bytes = 0;
  }

  #discarded(records: number): void {
    const counter = this.#metrics.counter(
      'logtender_dead_letter_discarded_total',
      'Dead records that were not kept (bound, disk full).',
    );
    if (records > 0) counter.add(records);
  }
}
