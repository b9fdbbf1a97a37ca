/**
 * Copies of dead records in S3, beside the file that has them: `dead-letter/` of the prefix, then the partition of the hour of the refusal.
 *
 * Never in the way of delivery: copies go one after another in the background, what waits is bounded, and what could not be copied is
 * counted; the file still has it. May import: core, config, sinks.
 */
import { createHash } from 'node:crypto';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { backoffMs } from '../../core/backoff.ts';
import type { Clock, Random } from '../../core/clock.ts';
import { MiB, REQUEST_TIMEOUT_MS, RETRY_BASE_MS, RETRY_MAX_MS } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import type { Counter, Metrics } from '../../core/metrics.ts';
import { createInstanceRegion } from '../aws/instance-region.ts';
import { objectPlace, partitionOf } from './object-key.ts';
import { ObjectStore } from './object-store.ts';

/** Waiting copies: one batch of records that are all refused, with room for the next. */
const WAITING_BYTES_MAX = 4 * MiB;
/** With the pauses between them some two minutes; a longer outage leaves the copy to the file. */
const ATTEMPTS = 8;
const ANSWER_BYTES_MAX = 1 * MiB;

/** Where the first of the records came from; it names the object. */
export interface DeadOrigin {
  readonly sink: string;
  readonly container: string;
  readonly path: string;
  readonly source: string;
  readonly offset: number;
}

export class DeadLetterCopy {
  readonly #config: ForwarderConfig;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #store: ObjectStore;
  readonly #failed: Counter;
  readonly #ended = new AbortController();
  #waitingBytes = 0;
  #copying: Promise<void> = Promise.resolve();

  constructor(options: { config: ForwarderConfig; clock: Clock; random: Random; log: Log; metrics: Metrics }) {
    const { config, clock, random, log, metrics } = options;
    // Written for people: as it is.
    this.#config = { ...config, s3: { ...config.s3, compression: 'none' } };
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
    this.#store = new ObjectStore({ config: this.#config, clock, instanceRegion: createInstanceRegion({ clock }) });
    this.#failed = metrics.counter('logtender_dead_letter_uncopied_total', 'Dead records whose copy to S3 failed.');
  }

  /** Takes lines of NDJSON; returns at once. */
  copy(origin: DeadOrigin, lines: Buffer, records: number): void {
    if (this.#ended.signal.aborted || this.#waitingBytes + lines.length > WAITING_BYTES_MAX) {
      this.#failed.add(records);
      return;
    }
    this.#waitingBytes += lines.length;
    const timeMs = this.#clock.now();
    this.#copying = this.#copying
      .then(() => this.#put(origin, lines, records, timeMs))
      .finally(() => {
        this.#waitingBytes -= lines.length;
      });
  }

  /** Waits for the copies, at most until the signal is aborted; then gives up what is left. */
  async end(signal: AbortSignal): Promise<void> {
    const giveUp = (): void => this.#ended.abort();
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    await this.#copying;
    this.#ended.abort();
    this.#store.close();
  }

  async #put(origin: DeadOrigin, lines: Buffer, records: number, timeMs: number): Promise<void> {
    const { sink, container, path, source, offset } = origin;
    const place = objectPlace(this.#config, { id: source, container, path, file: path.replace(/^\//, '') });
    const key = `${place.prefix}dead-letter/${partitionOf(timeMs)}${place.stem}${offset}_${sink}_${timeMs}.ndjson`;
    let text = 'the process ends';
    for (let attempt = 1; attempt <= ATTEMPTS && !this.#ended.signal.aborted; attempt += 1) {
      const outcome = await this.#store.put(place.bucket, key, lines, {
        sha256: createHash('sha256').update(lines).digest(),
        timeoutMs: REQUEST_TIMEOUT_MS,
        answerBytesMax: ANSWER_BYTES_MAX,
        signal: this.#ended.signal,
      });
      // 412: an earlier try of ours arrived, its answer did not.
      if (outcome.kind === 'answer' && (outcome.status < 300 || outcome.status === 412)) return;
      if (outcome.kind === 'answer') text = `answered ${outcome.status}`;
      else if ('text' in outcome.delivery) ({ text } = outcome.delivery);
      const pauses = { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS };
      if (attempt < ATTEMPTS) {
        await this.#clock.sleep(backoffMs(pauses, attempt, this.#random, RETRY_BASE_MS), this.#ended.signal);
      }
    }
    this.#failed.add(records);
    this.#log.warn('dead records could not be copied to S3, the file in the state folder has them', {
      records,
      error: text,
    });
  }
}
