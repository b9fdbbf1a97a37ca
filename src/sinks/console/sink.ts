/**
 * Prints records as NDJSON, one document per line, to a stream: for `npm start` and for a pod that names no sink.
 *
 * A batch is delivered when the stream has taken it, so a slow terminal slows the reading. May import: core, config, kernel, parse.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { errorText } from '../../core/errors.ts';
import { BULK_BYTES_MAX, BULK_RECORDS_MAX } from '../../core/limits.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { Batch } from '../../core/record.ts';
import { DocumentEncoder, unparsedCounter } from '../document-encoder.ts';
import { selectedSlices } from '../selection.ts';
import type { Delivery, DeliverOptions, Encoder, Sink } from '../sink.ts';

/** Resolves when the bytes were taken, rejects when they could not be. */
export type WriteBytes = (bytes: Buffer) => Promise<void>;

export class ConsoleSink implements Sink {
  readonly name = 'console';
  readonly #config: ForwarderConfig;
  readonly #metrics: Metrics;
  readonly #write: WriteBytes;

  constructor(options: { config: ForwarderConfig; metrics: Metrics; write: WriteBytes }) {
    this.#config = options.config;
    this.#metrics = options.metrics;
    this.#write = options.write;
  }

  createEncoder(): Encoder {
    const replaced = this.#metrics.counter(
      'logtender_utf8_replacements_total',
      'Ill-formed UTF-8 sequences that were replaced by U+FFFD.',
    );
    const onUnparsed = unparsedCounter(this.#config, this.#metrics, { sink: this.name });
    return new DocumentEncoder({
      pod: this.#config.pod,
      metadata: this.#config.metadata,
      parser: this.#config.parser,
      hasAction: false,
      bytesMax: BULK_BYTES_MAX,
      recordsMax: BULK_RECORDS_MAX,
      destinationOf: () => '',
      onReplaced: (count) => replaced.add(count, { sink: this.name }),
      ...(onUnparsed === undefined ? {} : { onUnparsed }),
    });
  }

  async deliver(batch: Batch, options: DeliverOptions): Promise<Delivery> {
    const givenUp: Delivery = {
      status: 'retryable',
      reason: 'unreachable',
      retryAfterMs: 0,
      text: 'the write was given up',
    };
    for (const slice of selectedSlices(batch, options.selection)) {
      if (options.signal.aborted) return givenUp;
      try {
        if ((await writtenOrAborted(this.#write(slice), options.signal)) === 'aborted') return givenUp;
      } catch (error) {
        return { status: 'retryable', reason: 'unreachable', retryAfterMs: 0, text: errorText(error) };
      }
    }
    return { status: 'delivered', duplicates: 0 };
  }

  async close(): Promise<void> {
    // The stream belongs to the process.
  }
}

/** The write, or the end of the wait for it; no listener stays behind, because a signal lives as long as its lane. */
async function writtenOrAborted(written: Promise<void>, signal: AbortSignal): Promise<'written' | 'aborted'> {
  const ended = Promise.withResolvers<'aborted'>();
  const onAbort = (): void => ended.resolve('aborted');
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([written.then(() => 'written' as const), ended.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
