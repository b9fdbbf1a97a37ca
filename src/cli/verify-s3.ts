/**
 * Reads back which records of a pod a bucket holds: the objects' names say source and range, their content where each record begins.
 *
 * Names are sorted by source and range before the first object is read, so memory grows with the number of objects (some 200 bytes each), not of
 * records. Sources: S3 API reference, ListObjectsV2, GetObject. May import: everything but test.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { systemClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import { MiB, REQUEST_TIMEOUT_MS } from '../core/limits.ts';
import { credentialProvider } from '../sinks/aws/credentials.ts';
import { createSigner } from '../sinks/aws/signature.ts';
import type { Signer } from '../sinks/aws/signature.ts';
import { AWS_SECRET_KEYS } from '../sinks/aws/static-credentials.ts';
import { openConnection } from '../sinks/http-exchange.ts';
import type { HttpConnection } from '../sinks/http-exchange.ts';
import { errorOf } from '../sinks/s3/classify.ts';
import { objectPlace } from '../sinks/s3/object-key.ts';
import { objectAddress } from '../sinks/s3/request.ts';
import { unescapedXml } from '../sinks/s3/xml.ts';
import { createSecretFiles } from '../sinks/secret-files.ts';
import type { FoundRecord } from './verify-elasticsearch.ts';
import type { LedgerSource } from './verify-ledger.ts';

/** The largest object, uncompressed. */
const OBJECT_BYTES_MAX = 64 * MiB;
/** Characters of what a server says: its own words are shorter, a proxy's page is not. */
const WORDS_MAX = 300;
const EMPTY_SHA256 = createHash('sha256').digest('hex');
const NAME = /_(.{16})_(\d{16})-(\d{16})[^/]*\.ndjson(\.gz|\.zst)?$/;

/**
 * @throws OperationalError SINK_UNREACHABLE with the server's words
 */
export async function* s3Records(
  config: ForwarderConfig,
  sources: readonly LedgerSource[],
): AsyncGenerator<FoundRecord> {
  const ids = new Set(sources.map(({ id }) => id));
  const places = sources.map(({ id, container, path }) =>
    objectPlace(config, { id, container, path, file: path.replace(/^\//, '') }),
  );
  const keyed = new Map(places.map(({ bucket, prefix }) => [JSON.stringify([bucket, prefix]), { bucket, prefix }]));
  const client = await S3Reader.open(config);
  try {
    for (const { bucket, prefix } of keyed.values()) {
      const objects: StoredObject[] = [];
      for await (const key of client.keys(bucket, `${prefix}year=`)) {
        const [, source = '', from, , compression] = NAME.exec(key) ?? [];
        if (from !== undefined && ids.has(source)) objects.push({ key, source, from: Number(from), compression });
      }
      for (const { key, source, from, compression } of objects.toSorted(byRange))
        yield* offsetsIn(await client.object(bucket, key), source, compression, from);
    }
  } finally {
    client.close();
  }
}

interface StoredObject {
  readonly key: string;
  readonly source: string;
  readonly from: number;
  readonly compression: string | undefined;
}

function byRange(a: StoredObject, b: StoredObject): number {
  if (a.source !== b.source) return a.source < b.source ? -1 : 1;
  return a.from - b.from;
}

/** Records say their own offset; where they do not (`metadata: none`) only the first one's is known. */
function* offsetsIn(
  body: Buffer,
  source: string,
  compression: string | undefined,
  from: number,
): Generator<FoundRecord> {
  const limits = { maxOutputLength: OBJECT_BYTES_MAX };
  const text =
    compression === '.gz' ? gunzipSync(body, limits) : compression === '.zst' ? zstdDecompressSync(body, limits) : body;
  let at = 0;
  for (let end = text.indexOf(10, at); end >= 0; end = text.indexOf(10, at)) {
    const record = JSON.parse(text.toString('utf8', at, end)) as {
      readonly log?: { readonly offset?: number };
      readonly 'log.offset'?: number;
    };
    const offset = record.log?.offset ?? record['log.offset'] ?? (at === 0 ? from : undefined);
    if (offset === undefined) throw unreadable('records without log.offset (metadata: none)');
    yield { source, offset };
    at = end + 1;
  }
}

class S3Reader {
  readonly #config: ForwarderConfig;
  readonly #region: string;
  readonly #sign: Signer;
  readonly #ca: string | undefined;
  readonly #connections = new Map<string, HttpConnection>();

  private constructor(config: ForwarderConfig, region: string, sign: Signer, ca: string | undefined) {
    this.#config = config;
    this.#region = region;
    this.#sign = sign;
    this.#ca = ca;
  }

  static async open(config: ForwarderConfig): Promise<S3Reader> {
    const region = config.awsRegion ?? (config.s3.endpoint === undefined ? undefined : 'us-east-1');
    if (region === undefined) throw unreadable('no AWS region: set AWS_REGION');
    const keys = [...AWS_SECRET_KEYS, 's3-ca.crt'];
    const secret = await createSecretFiles({ dir: config.sinkSecretDir, keys, clock: systemClock }).read();
    const credentials = credentialProvider(secret, config.proxy, systemClock);
    const sign = createSigner({ region, service: 's3', credentials, isPathLiteral: true, hasBodyHash: true });
    return new S3Reader(config, region, sign, secret.value('s3-ca.crt'));
  }

  /** Keys below a prefix, in the order of their UTF-8. */
  async *keys(bucket: string, prefix: string): AsyncGenerator<string> {
    let token: string | undefined;
    do {
      const query = { 'list-type': '2', prefix, ...(token === undefined ? {} : { 'continuation-token': token }) };
      const xml = (await this.#get(bucket, '', query)).toString('utf8');
      for (const [, key = ''] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) yield unescapedXml(key);
      const [, next] = /<NextContinuationToken>([^<]*)<\/NextContinuationToken>/.exec(xml) ?? [];
      token = next === undefined ? undefined : unescapedXml(next);
    } while (token !== undefined);
  }

  object(bucket: string, key: string): Promise<Buffer> {
    return this.#get(bucket, key, {});
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }

  async #get(bucket: string, key: string, query: Readonly<Record<string, string>>): Promise<Buffer> {
    const { url, host, path } = objectAddress(this.#config.s3, this.#region, bucket, key);
    const headers = { 'x-amz-content-sha256': EMPTY_SHA256 };
    const signed = await this.#sign({ method: 'GET', host, path, query, headers }, systemClock.now());
    const known = this.#connections.get(host);
    const { proxy } = this.#config;
    const connection = known ?? (await openConnection({ url, ca: this.#ca, proxy, clock: systemClock }));
    this.#connections.set(host, connection);
    const text = Object.entries(query).map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
    const answer = await connection.exchange({
      method: 'GET',
      path: text.length === 0 ? path : `${path}?${text.toSorted().join('&')}`,
      headers: signed,
      body: [],
      timeoutMs: REQUEST_TIMEOUT_MS,
      answerBytesMax: OBJECT_BYTES_MAX,
      signal: new AbortController().signal,
    });
    if (answer.kind === 'failed') throw unreadable(`${host}: ${answer.text}`);
    if (answer.status === 200) return answer.body;
    const { code, message } = errorOf(answer.body);
    const words = [`status ${answer.status} for ${bucket}/${key}`, code, message.slice(0, WORDS_MAX)];
    throw unreadable(words.filter((part) => part !== '').join(': '));
  }
}

/** Signature Version 4, "URI encode". */
function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function unreadable(found: string): OperationalError {
  return new OperationalError('SINK_UNREACHABLE', `read back from s3: expected objects, got ${found}`, {
    hint: 'reading takes s3:ListBucket and s3:GetObject, which a forwarder does not need and may lack',
  });
}
