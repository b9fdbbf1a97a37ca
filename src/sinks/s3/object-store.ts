/**
 * PutObject as one call: credentials, connection, signature, exchange. What cannot be sent comes back as a delivery to be retried.
 *
 * The sink Secret is looked at before each request, and the connection is built anew when it changed. One connection to each bucket's
 * host. May import: core, config, sinks.
 */
import type { LookupFunction } from 'node:net';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { credentialProvider } from '../aws/credentials.ts';
import type { InstanceRegion } from '../aws/instance-region.ts';
import { credentialsProblem } from '../aws/late-credentials.ts';
import { createSigner } from '../aws/signature.ts';
import type { Signer } from '../aws/signature.ts';
import { AWS_SECRET_KEYS } from '../aws/static-credentials.ts';
import { openConnection } from '../http-exchange.ts';
import type { Exchange, HttpConnection } from '../http-exchange.ts';
import { createSecretFiles } from '../secret-files.ts';
import type { SecretFiles, SecretValues } from '../secret-files.ts';
import type { Delivery } from '../sink.ts';
import type { PutAnswer } from './classify.ts';
import { objectAddress, putHeaders } from './request.ts';
import type { ObjectAddress } from './request.ts';

/** The files of the sink Secret that this sink reads. */
export const S3_SECRET_KEYS = [...AWS_SECRET_KEYS, 's3-ca.crt'] as const;

/** Until somebody corrects a configuration: the Secret is looked at as often. */
const CONFIGURATION_RETRY_MS = 10_000;

/** Hosts with a connection of their own: a bucket template names as many buckets as the pod has containers, at most. */
const HOSTS_MAX = 16;

/** A server that is not AWS's mostly takes any region; this is the one that AWS's own SDKs fall back on. */
const REGION_OF_OTHERS = 'us-east-1';

export interface PutOptions {
  readonly sha256: Buffer;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  readonly signal: AbortSignal;
}

interface FailedPut {
  readonly kind: 'failed';
  readonly delivery: Delivery;
}

export type PutOutcome = ({ readonly kind: 'answer'; readonly region: string } & PutAnswer) | FailedPut;

export interface ObjectStoreOptions {
  readonly config: ForwarderConfig;
  readonly clock: Clock;
  /** How a host name becomes an address; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined;
  /** Asked where no region is configured; nobody is asked unless given. */
  readonly instanceRegion?: InstanceRegion | undefined;
}

/** A request that can be sent. */
interface Prepared {
  readonly kind: 'ready';
  readonly address: ObjectAddress;
  readonly region: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connection: HttpConnection;
}

interface Connected {
  readonly version: number;
  readonly secret: SecretValues;
  readonly sign: Signer;
  readonly hosts: Map<string, HttpConnection>;
}

/** The region that requests are signed for; undefined: nobody says which of AWS. */
export function signingRegion({ awsRegion, s3 }: ForwarderConfig): string | undefined {
  return awsRegion ?? (s3.endpoint === undefined ? undefined : REGION_OF_OTHERS);
}

export class ObjectStore {
  readonly #config: ForwarderConfig;
  readonly #clock: Clock;
  readonly #secret: SecretFiles;
  readonly #lookup: LookupFunction | undefined;
  readonly #instanceRegion: InstanceRegion | undefined;
  #connected: Connected | undefined;

  constructor(options: ObjectStoreOptions) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#lookup = options.lookup;
    this.#instanceRegion = options.instanceRegion;
    const { sinkSecretDir: dir } = options.config;
    this.#secret = createSecretFiles({ dir, keys: S3_SECRET_KEYS, clock: options.clock });
  }

  /** Puts an object unless one of that key is there. Ends with the signal, whatever it waits for. Never rejects. */
  async put(bucket: string, key: string, body: Buffer, options: PutOptions): Promise<PutOutcome> {
    const { sha256, timeoutMs, answerBytesMax, signal } = options;
    const prepared = await unlessAborted(this.#prepare(bucket, key, sha256), signal);
    if (prepared === undefined) return failed('unreachable', 'the request was given up', 0);
    if (prepared.value.kind === 'failed') return prepared.value;
    const { address, region, headers, connection } = prepared.value;
    const limits = { timeoutMs, answerBytesMax, signal };
    const exchange = await connection.exchange({ method: 'PUT', path: address.path, headers, body: [body], ...limits });
    return outcomeOf(exchange, address, region);
  }

  /** Address, credentials, signature and connection. */
  async #prepare(bucket: string, key: string, sha256: Buffer): Promise<Prepared | FailedPut> {
    const { s3 } = this.#config;
    const region = signingRegion(this.#config) ?? (await this.#instanceRegion?.());
    if (region === undefined) return failed('not_found', 'no AWS region: set AWS_REGION', CONFIGURATION_RETRY_MS);
    if (bucket === '') return failed('not_found', 'no bucket: set logging.io/bucket', CONFIGURATION_RETRY_MS);
    const address = objectAddress(s3, region, bucket, key);
    const { sign, hosts, secret } = await this.#connect(region);
    let headers: Readonly<Record<string, string>>;
    try {
      const unsigned = {
        method: 'PUT',
        host: address.host,
        path: address.path,
        headers: putHeaders(s3, sha256),
      };
      headers = await sign(unsigned, this.#clock.now());
    } catch (error) {
      return failed('credentials', credentialsProblem(error), CONFIGURATION_RETRY_MS);
    }
    let connection: HttpConnection;
    try {
      connection = await this.#connection(hosts, address, secret);
    } catch (error) {
      const text = `open connection: ${errorText(error)}; check s3-ca.crt of the sink Secret`;
      return failed('not_found', text, CONFIGURATION_RETRY_MS);
    }
    return { kind: 'ready', address, region, headers, connection };
  }

  close(): void {
    for (const connection of this.#connected?.hosts.values() ?? []) connection.close();
    this.#connected = undefined;
  }

  /** Signer and connections for the Secret as it is now. */
  async #connect(region: string): Promise<Connected> {
    const secret = await this.#secret.read();
    if (this.#connected?.version === secret.version) return this.#connected;
    this.close();
    const credentials = credentialProvider(secret, this.#config.proxy, this.#clock);
    const sign = createSigner({ region, service: 's3', credentials, isPathLiteral: true, hasBodyHash: true });
    this.#connected = { version: secret.version, secret, sign, hosts: new Map() };
    return this.#connected;
  }

  async #connection(
    hosts: Map<string, HttpConnection>,
    { url, host }: ObjectAddress,
    secret: SecretValues,
  ): Promise<HttpConnection> {
    const known = hosts.get(host);
    if (known !== undefined) return known;
    for (const [oldest, connection] of hosts) {
      if (hosts.size < HOSTS_MAX) break;
      connection.close();
      hosts.delete(oldest);
    }
    const ca = secret.value('s3-ca.crt');
    const { proxy } = this.#config;
    const made = await openConnection({ url, ca, proxy, lookup: this.#lookup, clock: this.#clock });
    hosts.set(host, made);
    return made;
  }
}

function outcomeOf(exchange: Exchange, { host }: ObjectAddress, region: string): PutOutcome {
  if (exchange.kind === 'answer') {
    const { status, body, headers } = exchange;
    const bucketRegion = headers['x-amz-bucket-region'];
    return {
      kind: 'answer',
      region,
      status,
      body,
      retryAfter: headers['retry-after'],
      bucketRegion: typeof bucketRegion === 'string' ? bucketRegion : undefined,
    };
  }
  const reason = exchange.reason === 'timeout' ? 'timeout' : 'unreachable';
  const isTrust = /certificate|self.signed/i.test(exchange.text);
  const hint = isTrust ? '; put the CA of the server into the key s3-ca.crt of the sink Secret' : '';
  return failed(reason, `${host}: ${exchange.text}${hint}`, 0);
}

function failed(
  reason: 'not_found' | 'credentials' | 'unreachable' | 'timeout',
  text: string,
  retryAfterMs: number,
): FailedPut {
  return { kind: 'failed', delivery: { status: 'retryable', reason, retryAfterMs, text } };
}
