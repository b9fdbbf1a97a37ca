/**
 * S3, and what speaks like it, by PutObject over node:http(s): one object for a run of one source.
 *
 * Key and range are durable before the object is put, and `If-None-Match: *` lets one object come into being for a key: a resend is
 * answered with 412 and counts as delivered, so every record is stored once. An object is one request, never a multipart upload (see
 * S3_OBJECT_BYTES). May import: core, config, kernel, parse, sinks.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import type { S3Config } from '../../config/s3-config.ts';
import { MiB, REQUEST_TIMEOUT_MS } from '../../core/limits.ts';
import type { Counter, Metrics } from '../../core/metrics.ts';
import type { Batch } from '../../core/record.ts';
import { unparsedCounter } from '../document-encoder.ts';
import { GzipStream } from '../gzip-stream.ts';
import { selectedCount, selectedIndex, selectedSlices } from '../selection.ts';
import type { Delivery, DeliverOptions, Encoder, Pace, Sink } from '../sink.ts';
import { classifyPut } from './classify.ts';
import { ObjectEncoder, SourceHours } from './encode.ts';
import { namedObject } from './object-key.ts';
import type { NamedObject } from './object-key.ts';
import { ObjectStore } from './object-store.ts';
import type { ObjectStoreOptions } from './object-store.ts';

/** An error document of S3 has some hundred bytes. */
const ANSWER_BYTES_MAX = 1 * MiB;

/**
 * Records shrink to a tenth at the cheapest level already; the default level takes 2.7 times the CPU for an eighth less
 * (docs/performance.md).
 */
const GZIP_LEVEL = 1;
const ZSTD_LEVEL = 1;

const NOTHING = Buffer.alloc(0);

const zstdCompressed = promisify(zstdCompress);

export class S3Sink implements Sink {
  readonly name = 's3';
  readonly pace: Pace;
  readonly #config: ForwarderConfig;
  readonly #store: ObjectStore;
  readonly #replaced: Counter;
  readonly #onUnparsed: ((count: number) => void) | undefined;
  readonly #hours = new SourceHours();
  readonly #gzip: GzipStream | undefined;
  /** The last body, for a resend of the same. */
  #body: { readonly batch: Batch; readonly key: string; readonly bytes: Buffer } | undefined;

  constructor(options: ObjectStoreOptions & { readonly metrics: Metrics }) {
    this.#config = options.config;
    this.#store = new ObjectStore(options);
    const { objectAgeMs, objectBytes, compression } = options.config.s3;
    this.#gzip = compression === 'gzip' ? new GzipStream(GZIP_LEVEL) : undefined;
    this.pace = { ageMs: objectAgeMs, worthBytes: objectBytes };
    this.#onUnparsed = unparsedCounter(options.config, options.metrics, { sink: this.name });
    this.#replaced = options.metrics.counter(
      'logtender_utf8_replacements_total',
      'Ill-formed UTF-8 sequences that were replaced by U+FFFD.',
    );
  }

  createEncoder(): Encoder {
    return new ObjectEncoder({
      config: this.#config,
      hours: this.#hours,
      onReplaced: (count) => this.#replaced.add(count, { sink: this.name }),
      onUnparsed: this.#onUnparsed,
    });
  }

  async deliver(batch: Batch, options: DeliverOptions): Promise<Delivery> {
    const { compression } = this.#config.s3;
    const made = namedObject(batch, options.selection, compression);
    const indexAt = (position: number): number => selectedIndex(options.selection, position);
    const promised = await options.promise?.(made);
    const isResend = promised?.isResend ?? options.sentBefore(indexAt(0));
    const object: NamedObject = { ...made, key: promised?.key ?? made.key };
    const bytes = await this.#compressed(batch, object.key, options);
    const answer = await this.#store.put(object.bucket, object.key, bytes, {
      sha256: createHash('sha256').update(bytes).digest(),
      timeoutMs: REQUEST_TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal: options.signal,
    });
    if (answer.kind === 'failed') return answer.delivery;
    const delivery = classifyPut(answer, {
      bucket: object.bucket,
      region: answer.region,
      records: selectedCount(batch, options.selection),
      indexAt,
      isResend,
    });
    if (delivery.status !== 'retryable') this.#body = undefined;
    return delivery;
  }

  async close(): Promise<void> {
    this.#store.close();
    this.#gzip?.close();
  }

  async #compressed(batch: Batch, key: string, { selection }: DeliverOptions): Promise<Buffer> {
    if (this.#body?.batch === batch && this.#body.key === key) return this.#body.bytes;
    this.#body = undefined;
    const slices = selectedSlices(batch, selection);
    const bytes = await (this.#gzip?.compress(slices) ?? bodyOf(slices, this.#config.s3));
    this.#body = { batch, key, bytes };
    return bytes;
  }
}

/** The body in one piece, compressed where the configuration says zstd. */
async function bodyOf([first = NOTHING, ...more]: readonly Buffer[], { compression }: S3Config): Promise<Buffer> {
  const bytes = more.length === 0 ? first : Buffer.concat([first, ...more]);
  if (compression === 'none') return bytes;
  return zstdCompressed(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}
