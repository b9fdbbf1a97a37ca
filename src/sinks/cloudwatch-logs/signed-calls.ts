/**
 * The calls that every sidecar makes all the time, as requests of our own: signature, one keep-alive connection, exchange. Without
 * the SDK's client, which takes a quarter of the CPU and 11 MiB for the same (docs/performance.md).
 *
 * Invariants: no call rejects; each ends with its signal and within REQUEST_TIMEOUT_MS plus the wait for credentials; a call that did not go
 * out is never said to be perhaps done. May import: core, config, sinks.
 */
import { createHash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import type { ProxySettings } from '../../config/forwarder-config.ts';
import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { MiB, REQUEST_TIMEOUT_MS } from '../../core/limits.ts';
import type { CredentialProvider } from '../aws/credentials.ts';
import { createSigner } from '../aws/signature.ts';
import type { Signer } from '../aws/signature.ts';
import { openConnection } from '../http-exchange.ts';
import type { Exchange, HttpConnection } from '../http-exchange.ts';
import { callContext } from './arns.ts';
import type { LogsAction } from './arns.ts';
import { callHeaders, readAnswer } from './aws-json.ts';
import type { JsonObject } from './aws-json.ts';
import { classifyError, classifyFailure, retryable } from './classify.ts';
import type { CallContext, Called, CallFailure } from './classify.ts';
import { callPath } from './endpoint.ts';
import type { LogDestination } from './request.ts';
import type { ServiceClock } from './service-clock.ts';

/** An answer of these calls has some hundred bytes. */
const ANSWER_BYTES_MAX = 1 * MiB;

export interface SignedCallsOptions {
  readonly endpoint: URL;
  readonly region: string;
  readonly credentials: CredentialProvider;
  readonly clock: Clock;
  readonly serviceClock: ServiceClock;
  readonly proxy: ProxySettings;
  /** How a host name becomes an address; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined;
}

interface Call {
  readonly action: LogsAction;
  readonly destination: LogDestination;
  /** What is one JSON object together. */
  readonly body: readonly Buffer[];
  readonly signal: AbortSignal;
}

export class SignedCalls {
  readonly #options: SignedCallsOptions;
  readonly #sign: Signer;
  readonly #path: string;
  #connection: Promise<HttpConnection> | undefined;

  constructor(options: SignedCallsOptions) {
    this.#options = options;
    const { region, credentials, endpoint } = options;
    this.#sign = createSigner({ region, service: 'logs', credentials, isPathLiteral: false, hasBodyHash: true });
    this.#path = callPath(endpoint);
  }

  /** One call; its output as it came. */
  async call(call: Call): Promise<Called<JsonObject>> {
    const { action, destination, body, signal } = call;
    const context = (): CallContext => callContext(action, destination, this.#options.region);
    let prepared: Prepared | undefined;
    try {
      prepared = (await unlessAborted(this.#prepare(call), signal))?.value;
    } catch (error) {
      return undone(classifyError(error, context()));
    }
    if (prepared === undefined)
      return { kind: 'failed', delivery: retryable('unreachable', 'the request was given up') };
    const exchange = await prepared.connection.exchange({
      method: 'POST',
      path: this.#path,
      headers: prepared.headers,
      body,
      timeoutMs: REQUEST_TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal,
    });
    return this.#outcome(action, exchange, context);
  }

  close(): void {
    void this.#connection?.then(
      (connection) => connection.close(),
      () => {},
    );
    this.#connection = undefined;
  }

  /** Signature and connection. Rejects when there are no credentials. */
  async #prepare({ action, body }: Call): Promise<Prepared> {
    const { endpoint, clock, serviceClock, proxy, lookup } = this.#options;
    const hash = createHash('sha256');
    for (const slice of body) hash.update(slice);
    const headers = { ...callHeaders(action), 'x-amz-content-sha256': hash.digest('hex') };
    const request = { method: 'POST', host: endpoint.host, path: this.#path, headers };
    const signed = await this.#sign(request, clock.now() + serviceClock.offsetMs);
    this.#connection ??= openConnection({ url: endpoint, ca: undefined, proxy, lookup, clock });
    return { headers: signed, connection: await this.#connection };
  }

  #outcome(action: LogsAction, exchange: Exchange, context: () => CallContext): Called<JsonObject> {
    if (exchange.kind === 'failed') return failed(exchange, context);
    this.#options.serviceClock.observe(exchange.headers, this.#options.clock.now());
    const read = readAnswer(exchange, action);
    return read.kind === 'done' ? { kind: 'done', value: read.output } : classifyFailure(read.error, context());
  }
}

interface Prepared {
  readonly headers: Readonly<Record<string, string>>;
  readonly connection: HttpConnection;
}

function failed(exchange: Exchange & { kind: 'failed' }, context: () => CallContext): CallFailure {
  const { reason, text, code = '', isUnsent = false } = exchange;
  if (reason === 'unreachable') return classifyFailure({ name: '', code, status: undefined, text }, context());
  const delivery = retryable(reason === 'timeout' ? 'timeout' : 'unreachable', text);
  return { kind: 'failed', delivery, ...(isUnsent ? {} : { mayBeDone: true }) };
}

/** The same failure of a call that did not go out: no record is to blame, whatever STS calls it (`ValidationError` is a role that is no ARN). */
function undone(failure: CallFailure): CallFailure {
  if (failure.kind !== 'failed') return { kind: 'failed', delivery: retryable('credentials', failure.kind) };
  const { delivery, isIdentity } = failure;
  if (delivery.status !== 'retryable') return { kind: 'failed', delivery: retryable('credentials', delivery.text) };
  return { kind: 'failed', delivery, ...(isIdentity === true ? { isIdentity } : {}) };
}
