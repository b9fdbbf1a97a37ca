/**
 * Elasticsearch and OpenSearch through the raw `_bulk` API over node:http(s).
 *
 * Credentials and URL are looked at before each request and the connection is built anew when they changed. No official client:
 * it costs 30 MiB and refuses OpenSearch. May import: core, config, kernel, parse.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { MiB, REQUEST_TIMEOUT_MS } from '../../core/limits.ts';
import type { Counter, Metrics } from '../../core/metrics.ts';
import type { Batch } from '../../core/record.ts';
import { openConnection } from '../http-exchange.ts';
import type { Exchange, HttpConnection } from '../http-exchange.ts';
import { createSecretFiles } from '../secret-files.ts';
import type { SecretFiles } from '../secret-files.ts';
import { selectedCount, selectedIndex, selectedSlices } from '../selection.ts';
import type { Delivery, DeliverOptions, Encoder, Sink } from '../sink.ts';
import { classifyBulk, saysNoErrors } from './classify.ts';
import { createBulkEncoder } from './encode.ts';
import { bulkHeaders, bulkPath, ELASTICSEARCH_SECRET_KEYS, endpointOf } from './request.ts';
import type { Endpoint } from './request.ts';

/** 8,000 items with an error of 1 KiB each; a longer answer makes the request smaller. */
const ANSWER_BYTES_MAX = 8 * MiB;

/** Until somebody corrects a configuration: the Secret is looked at as often. */
const CONFIGURATION_RETRY_MS = 10_000;

interface Connected {
  readonly version: number;
  readonly endpoint: Endpoint;
  readonly connection: HttpConnection;
}

export class ElasticsearchSink implements Sink {
  readonly name = 'elasticsearch';
  readonly #config: ForwarderConfig;
  readonly #clock: Clock;
  readonly #secret: SecretFiles;
  readonly #replaced: Counter;
  #connected: Connected | undefined;

  constructor(options: { config: ForwarderConfig; clock: Clock; metrics: Metrics }) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#secret = createSecretFiles({
      dir: options.config.sinkSecretDir,
      keys: ELASTICSEARCH_SECRET_KEYS,
      clock: options.clock,
    });
    this.#replaced = options.metrics.counter(
      'logtender_utf8_replacements_total',
      'Ill-formed UTF-8 sequences that were replaced by U+FFFD.',
    );
  }

  createEncoder(): Encoder {
    return createBulkEncoder(this.#config, (count) => this.#replaced.add(count, { sink: this.name }));
  }

  async deliver(batch: Batch, options: DeliverOptions): Promise<Delivery> {
    const connected = await this.#connect();
    if ('problem' in connected) {
      return {
        status: 'retryable',
        reason: 'not_found',
        retryAfterMs: CONFIGURATION_RETRY_MS,
        text: connected.problem,
      };
    }
    const { endpoint, connection } = connected;
    const exchange = await connection.exchange({
      method: 'POST',
      path: bulkPath(endpoint.url, batch.destination),
      headers: bulkHeaders(endpoint.authorization),
      body: selectedSlices(batch, options.selection),
      timeoutMs: REQUEST_TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      isEnough: saysNoErrors,
      signal: options.signal,
    });
    if (exchange.kind === 'failed') return failed(exchange, endpoint);
    const { status, headers, body } = exchange;
    return classifyBulk(
      { status, body, retryAfter: headers['retry-after'], location: headers.location },
      {
        count: selectedCount(batch, options.selection),
        indexAt: (position) => selectedIndex(options.selection, position),
        sentBefore: options.sentBefore,
      },
    );
  }

  async close(): Promise<void> {
    this.#connected?.connection.close();
    this.#connected = undefined;
  }

  /** The connection for the credentials as they are now. */
  async #connect(): Promise<Connected | { readonly problem: string }> {
    const secret = await this.#secret.read();
    if (this.#connected?.version === secret.version) return this.#connected;
    this.#connected?.connection.close();
    this.#connected = undefined;
    try {
      const endpoint = endpointOf(this.#config, secret);
      if ('problem' in endpoint) return endpoint;
      const connection = await openConnection({ url: endpoint.url, ca: endpoint.ca, clock: this.#clock });
      this.#connected = { version: secret.version, endpoint, connection };
      return this.#connected;
    } catch (error) {
      // What a Secret holds can be anything: a broken escape in the URL, a CA that is no PEM.
      return { problem: `open connection: ${errorText(error)}; check the sink Secret` };
    }
  }
}

function failed(exchange: Extract<Exchange, { kind: 'failed' }>, endpoint: Endpoint): Delivery {
  if (exchange.reason === 'answer_too_large') return { status: 'too_large', text: exchange.text };
  const reason = exchange.reason === 'timeout' ? 'timeout' : 'unreachable';
  // Host and port, never the whole URL: it may hold a password.
  const isTrust = /certificate|self.signed/i.test(exchange.text);
  const hint = isTrust ? '; put the CA of the server into the key elasticsearch-ca.crt of the sink Secret' : '';
  return { status: 'retryable', reason, retryAfterMs: 0, text: `${endpoint.url.host}: ${exchange.text}${hint}` };
}
