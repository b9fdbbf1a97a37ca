/**
 * Records as NDJSON in a bounded file: for a volume of one's own, and to look at what would be sent. At least once.
 *
 * A batch is delivered when the disk has it. May import: core, config, kernel, parse, sinks.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { FILE_SINK_FILES } from '../../config/file-sink-config.ts';
import { errorText } from '../../core/errors.ts';
import { BULK_BYTES_MAX, BULK_RECORDS_MAX } from '../../core/limits.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { Batch } from '../../core/record.ts';
import { DocumentEncoder, unparsedCounter } from '../document-encoder.ts';
import { selectedSlices } from '../selection.ts';
import type { Delivery, DeliverOptions, Encoder, Sink } from '../sink.ts';
import { RotatingFile } from './rotating-file.ts';

export class FileSink implements Sink {
  readonly name = 'file';
  readonly #config: ForwarderConfig;
  readonly #metrics: Metrics;
  readonly #file: RotatingFile;

  constructor(options: { config: ForwarderConfig; metrics: Metrics }) {
    this.#config = options.config;
    this.#metrics = options.metrics;
    const discarded = options.metrics.counter(
      'logtender_file_discarded_bytes_total',
      'Bytes of the file sink that made room for newer ones.',
    );
    const { path, bytesMax } = options.config.fileSink;
    this.#file = new RotatingFile({
      path,
      bytesMax,
      files: FILE_SINK_FILES,
      onDiscarded: (bytes) => discarded.add(bytes),
    });
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
    if (options.signal.aborted) {
      return { status: 'retryable', reason: 'unreachable', retryAfterMs: 0, text: 'the write was given up' };
    }
    try {
      await this.#file.append(selectedSlices(batch, options.selection));
      return { status: 'delivered', duplicates: 0 };
    } catch (error) {
      const text = `${this.#config.fileSink.path}: ${errorText(error)}`;
      return { status: 'retryable', reason: 'unreachable', retryAfterMs: 0, text };
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
