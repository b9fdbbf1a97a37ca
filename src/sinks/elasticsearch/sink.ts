/**
 * Elasticsearch and OpenSearch through the raw `_bulk` API over node:http(s). No official client: it costs 30 MiB and refuses
 * OpenSearch.
 *
 * May import: core, config, kernel, parse.
 */
import type { LookupFunction } from 'node:net';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { isDated } from '../../config/template.ts';
import type { Clock } from '../../core/clock.ts';
import { MiB, REQUEST_TIMEOUT_MS } from '../../core/limits.ts';
import type { Counter, Metrics } from '../../core/metrics.ts';
import type { Batch } from '../../core/record.ts';
import { unparsedCounter } from '../document-encoder.ts';
import type { Exchange } from '../http-exchange.ts';
import { pastSends } from '../past-sends.ts';
import { selectedCount, selectedIndex, selectedSlices } from '../selection.ts';
import type { Delivery, DeliverOptions, Encoder, Sink } from '../sink.ts';
import { classifyBulk, firstIndex, placesOf } from './classify.ts';
import { ClusterConnection } from './connection.ts';
import { createBulkEncoder } from './encode.ts';
import { bulkHeaders, bulkPath } from './request.ts';
import { WriteIndexes } from './write-index.ts';

/** 8,000 items with an error of 1 KiB each; a longer answer makes the request smaller. */
const ANSWER_BYTES_MAX = 8 * MiB;

/** Until somebody corrects a configuration: the Secret is looked at as often. */
const CONFIGURATION_RETRY_MS = 10_000;

export interface ElasticsearchSinkOptions {
  readonly config: ForwarderConfig;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** How a host name becomes an address; the system's way unless given. */
  readonly lookup?: LookupFunction;
}

export class ElasticsearchSink implements Sink {
  readonly name = 'elasticsearch';
  readonly #config: ForwarderConfig;
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #cluster: ClusterConnection;
  readonly #writeIndexes = new WriteIndexes();
  /** A dated name is its own rollover: it stands for one index. */
  readonly #canRollOver: boolean;
  readonly #replaced: Counter;

  constructor(options: ElasticsearchSinkOptions) {
    this.#config = options.config;
    this.#metrics = options.metrics;
    this.#clock = options.clock;
    this.#canRollOver = !isDated(options.config.dataStream);
    this.#cluster = new ClusterConnection(options);
    this.#replaced = options.metrics.counter(
      'logtender_utf8_replacements_total',
      'Ill-formed UTF-8 sequences that were replaced by U+FFFD.',
    );
  }

  createEncoder(): Encoder {
    const labels = { sink: this.name };
    return createBulkEncoder(
      this.#config,
      (count) => this.#replaced.add(count, labels),
      unparsedCounter(this.#config, this.#metrics, labels),
    );
  }

  async deliver(batch: Batch, options: DeliverOptions): Promise<Delivery> {
    const count = selectedCount(batch, options.selection);
    const isResend = hasResent(count, options);
    const mustNameIndex =
      this.#canRollOver && this.#writeIndexes.mustAsk(batch.destination, isResend, this.#clock.monotonic());
    const outcome = await this.#cluster.exchange((url, authorization) => ({
      method: 'POST',
      path: bulkPath(url, batch.destination, mustNameIndex),
      headers: bulkHeaders(authorization, this.#config.elasticsearchGzip),
      body: selectedSlices(batch, options.selection),
      timeoutMs: REQUEST_TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal: options.signal,
    }));
    if ('problem' in outcome) {
      const { problem: text, reason } = outcome;
      return { status: 'retryable', reason, retryAfterMs: CONFIGURATION_RETRY_MS, text };
    }
    const { exchange, host, awsService } = outcome;
    if (exchange.kind === 'failed') return failed(exchange, host);
    const { status, headers, body } = exchange;
    if (mustNameIndex && status < 300) await this.#noticeIndexes(batch, options, isResend, body);
    return classifyBulk(
      { status, body, retryAfter: headers['retry-after'], location: headers.location, awsService },
      {
        count,
        indexAt: (position) => selectedIndex(options.selection, position),
        sentBefore: options.sentBefore,
      },
    );
  }

  async close(): Promise<void> {
    this.#cluster.close();
  }

  /** Books what a rollover between send and resend may have stored twice, once it shows. */
  async #noticeIndexes(batch: Batch, options: DeliverOptions, isResend: boolean, body: Buffer): Promise<void> {
    const { destination } = batch;
    if (!isResend) {
      const index = firstIndex(body);
      if (index !== undefined) this.#writeIndexes.learn(destination, index, this.#clock.monotonic());
      return;
    }
    let possible = 0;
    placesOf(body).forEach((place, position) => {
      const past = pastSends(options, selectedIndex(options.selection, position));
      if (place !== undefined && this.#writeIndexes.mayBeTwice(destination, place, past)) possible += 1;
    });
    if (possible > 0) await options.onResend?.(possible);
  }
}

function hasResent(count: number, options: DeliverOptions): boolean {
  if (options.isFirstSend === true) return false;
  for (let position = 0; position < count; position += 1) {
    if (pastSends(options, selectedIndex(options.selection, position)) !== 'none') return true;
  }
  return false;
}

function failed(exchange: Extract<Exchange, { kind: 'failed' }>, host: string): Delivery {
  if (exchange.reason === 'answer_too_large') return { status: 'too_large', text: exchange.text };
  const reason = exchange.reason === 'timeout' ? 'timeout' : 'unreachable';
  // Host and port, never the whole URL: it may hold a password.
  const isTrust = /certificate|self.signed/i.test(exchange.text);
  const hint = isTrust ? '; put the CA of the server into the key elasticsearch-ca.crt of the sink Secret' : '';
  return { status: 'retryable', reason, retryAfterMs: 0, text: `${host}: ${exchange.text}${hint}` };
}
