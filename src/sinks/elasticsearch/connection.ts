/**
 * The nodes of one cluster as one connection: whom to ask, as whom, compressed and signed as configured.
 *
 * Credentials, URLs and certificates are looked at before each request; when they changed, everything is built anew. Compression and
 * signing are loaded only where they are configured. May import: core, config.
 */
import { createHash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { credentialsProblem } from '../aws/late-credentials.ts';
import type { Signer } from '../aws/signature.ts';
import { AWS_SECRET_KEYS } from '../aws/static-credentials.ts';
import type { GzipStream } from '../gzip-stream.ts';
import { openConnection } from '../http-exchange.ts';
import type { Exchange, ExchangeRequest, HttpConnection } from '../http-exchange.ts';
import { NodeHealth } from '../node-health.ts';
import { createSecretFiles } from '../secret-files.ts';
import type { SecretFiles, SecretValues } from '../secret-files.ts';
import { ELASTICSEARCH_SECRET_KEYS, endpointOf, firstNode, signingScope } from './request.ts';
import type { AwsService, Endpoint } from './request.ts';

/** Answers by which a node, or what stands before it, says that it cannot serve: another one may. */
const UNABLE: ReadonlySet<number> = new Set([502, 503, 504]);

/** The lowest level: bodies shrink to about an eighth already, the others cost twice the CPU for a tenth of the bytes. */
const GZIP_LEVEL = 1;

const GIVEN_UP: Exchange = { kind: 'failed', reason: 'aborted', text: 'the request was given up' };

/** What the caller makes of the node that was chosen. */
export type NodeRequest = (url: URL, authorization: string | undefined) => ExchangeRequest;

export type ClusterExchange =
  /** `awsService`: whom the request was signed for; undefined where requests are not signed. */
  | { readonly exchange: Exchange; readonly host: string; readonly awsService: AwsService | undefined }
  /** Nothing was sent: what the configuration or the Secret lacks, for people. */
  | { readonly problem: string; readonly reason: 'not_found' | 'credentials' };

interface Connected {
  readonly version: number;
  readonly endpoint: Endpoint;
  readonly health: NodeHealth;
  readonly connections: Map<number, HttpConnection>;
  readonly sign: Signer | undefined;
}

export interface ClusterOptions {
  readonly config: ForwarderConfig;
  readonly clock: Clock;
  readonly lookup?: LookupFunction | undefined;
}

export class ClusterConnection {
  readonly #config: ForwarderConfig;
  readonly #clock: Clock;
  readonly #lookup: LookupFunction | undefined;
  readonly #secret: SecretFiles;
  #connected: Connected | undefined;
  #gzip: GzipStream | undefined;

  constructor({ config, clock, lookup }: ClusterOptions) {
    this.#config = config;
    this.#clock = clock;
    this.#lookup = lookup;
    const keys = config.elasticsearchSigning === 'aws' ? AWS_SECRET_KEYS : [];
    this.#secret = createSecretFiles({
      dir: config.sinkSecretDir,
      keys: [...ELASTICSEARCH_SECRET_KEYS, ...keys],
      clock,
    });
  }

  /** One request to the node that is well. Never rejects. */
  async exchange(request: NodeRequest): Promise<ClusterExchange> {
    try {
      const connected = await this.#connect();
      if ('problem' in connected) return { problem: connected.problem, reason: 'not_found' };
      return await this.#ask(connected, request);
    } catch (error) {
      // What a Secret holds can be anything: a broken escape in the URL, a CA that is no PEM.
      return { problem: `open connection: ${errorText(error)}; check the sink Secret`, reason: 'not_found' };
    }
  }

  close(): void {
    this.#gzip?.close();
    this.#gzip = undefined;
    for (const connection of this.#connected?.connections.values() ?? []) connection.close();
    this.#connected = undefined;
  }

  async #ask(connected: Connected, request: NodeRequest): Promise<ClusterExchange> {
    const { endpoint, health, sign } = connected;
    const index = health.choose(this.#clock.monotonic());
    const url = endpoint.urls[index];
    if (url === undefined) throw new RangeError(`node ${index} of ${endpoint.urls.length}`);
    const connection = connected.connections.get(index) ?? (await this.#open(url, endpoint));
    connected.connections.set(index, connection);
    let parts = request(url, sign === undefined ? endpoint.authorization(url) : undefined);
    if (parts.headers['content-encoding'] === 'gzip') parts = { ...parts, body: [await this.#compressed(parts.body)] };
    const awsService = sign === undefined ? undefined : signingScope(this.#config, url).service;
    if (sign !== undefined) {
      // Credentials come from elsewhere, maybe late: a request that is given up does not wait for them.
      const done = await unlessAborted(signed(sign, url, parts, this.#clock.now()), parts.signal);
      if (done === undefined) return { exchange: GIVEN_UP, host: url.host, awsService };
      if ('problem' in done.value) return done.value;
      parts = { ...parts, headers: done.value.headers };
    }
    const exchange = await connection.exchange(parts);
    const isUnable = exchange.kind === 'answer' ? UNABLE.has(exchange.status) : exchange.reason !== 'aborted';
    if (isUnable) health.failed(index, this.#clock.monotonic());
    else health.succeeded(index);
    return { exchange, host: url.host, awsService };
  }

  /** A lane has one request at a time: what it sends stays as it is until the next one. */
  async #compressed(body: readonly Buffer[]): Promise<Buffer> {
    if (this.#gzip === undefined) {
      const { GzipStream } = await import('../gzip-stream.ts');
      this.#gzip = new GzipStream(GZIP_LEVEL);
    }
    return this.#gzip.compress(body);
  }

  #open(url: URL, { ca, client }: Endpoint): Promise<HttpConnection> {
    const { proxy } = this.#config;
    return openConnection({ url, ca, client, proxy, lookup: this.#lookup, clock: this.#clock });
  }

  /** The nodes for the credentials as they are now. */
  async #connect(): Promise<Connected | { readonly problem: string }> {
    const secret = await this.#secret.read();
    if (this.#connected?.version === secret.version) return this.#connected;
    this.close();
    const endpoint = endpointOf(this.#config, secret);
    if ('problem' in endpoint) return endpoint;
    const sign = this.#config.elasticsearchSigning === 'aws' ? await this.#signer(endpoint, secret) : undefined;
    if (sign !== undefined && 'problem' in sign) return sign;
    const count = endpoint.urls.length;
    this.#connected = {
      version: secret.version,
      endpoint,
      health: new NodeHealth(count, firstNode(this.#config.pod.uid, count)),
      connections: new Map(),
      sign,
    };
    return this.#connected;
  }

  async #signer({ urls }: Endpoint, secret: SecretValues): Promise<Signer | { readonly problem: string }> {
    const { region, service } =
      urls[0] === undefined ? { region: undefined, service: 'es' as const } : signingScope(this.#config, urls[0]);
    if (region === undefined) {
      const text =
        'the host name is none of OpenSearch Service: set ELASTICSEARCH_REGION (elasticsearchRegion), or AWS_REGION';
      return { problem: `no region to sign for: ${text}` };
    }
    const { createSigner } = await import('../aws/signature.ts');
    const { credentialProvider } = await import('../aws/credentials.ts');
    const credentials = credentialProvider(secret, this.#config.proxy, this.#clock);
    return createSigner({ region, service, credentials, isPathLiteral: false, hasBodyHash: true });
  }
}

/** The headers of a request with those that sign it: the body by its hash, path and query as they are sent. */
async function signed(
  sign: Signer,
  url: URL,
  request: ExchangeRequest,
  now: number,
): Promise<
  { readonly headers: Readonly<Record<string, string>> } | { readonly problem: string; readonly reason: 'credentials' }
> {
  const hash = createHash('sha256');
  for (const slice of request.body) hash.update(slice);
  const { pathname: path, searchParams } = new URL(request.path, url);
  const headers = { ...request.headers, 'x-amz-content-sha256': hash.digest('hex') };
  const { method } = request;
  const unsigned = { method, host: url.host, path, query: Object.fromEntries(searchParams), headers };
  try {
    return { headers: await sign(unsigned, now) };
  } catch (error) {
    return { problem: credentialsProblem(error), reason: 'credentials' };
  }
}
