/**
 * PutObject as strictly as S3 reads it, in memory.
 *
 * Each rule with its source: [put] S3 API reference, PutObject; [head] the same, HeadBucket; [cond] S3 user guide, "Conditional writes"; [sig] the same,
 * "Authenticating Requests (AWS Signature Version 4)"; [int] the same, "Checking object integrity"; [err] the same,
 * "Error responses", for statuses; [gw] seen on versitygw 1.8. test/servers/fakes.test.ts asks that server and this fake the same and compares.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createSigner } from '../../src/sinks/aws/signature.ts';
import type { Signer } from '../../src/sinks/aws/signature.ts';
import { ScriptedServer } from './scripted-server.ts';
import type { Answer } from './scripted-server.ts';

export const FAKE_KEYS = { accessKeyId: 'AKIDFAKE', secretAccessKey: 'fake' } as const;

/** [err] The status of each code. */
const STATUSES = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  BadDigest: 400,
  InvalidAccessKeyId: 403,
  KeyTooLongError: 400,
  NoSuchBucket: 404,
  PreconditionFailed: 412,
  SignatureDoesNotMatch: 403,
  XAmzContentSHA256Mismatch: 400,
} as const;

export interface StoredObject {
  readonly key: string;
  readonly body: Buffer;
  readonly headers: IncomingMessage['headers'];
}

export class FakeS3 {
  readonly objects: StoredObject[] = [];
  readonly bucket = 'logs';
  region = 'eu-central-1';
  /** Keys that the fake has beyond those that were put. */
  readonly foreign = new Set<string>();
  /** The identity may not put. */
  isDenied = false;
  readonly server = new ScriptedServer((request, body) =>
    request.method === 'HEAD' ? this.#head(request) : this.#put(request, body),
  );

  /** [head] Whoever asks and whatever he may: where the bucket is, or that there is none; never a body. */
  #head(request: IncomingMessage): Answer {
    if (request.url !== `/${this.bucket}`) return { status: 404, body: '' };
    return { status: 403, body: '', headers: { 'x-amz-bucket-region': this.region } };
  }

  async #put(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const { headers } = request;
    const path = (request.url ?? '').split('?')[0] ?? '';
    assert.equal(request.method, 'PUT');
    const wrong = await this.#signatureProblem(request, path);
    if (wrong !== undefined) return failure(wrong);
    // [gw] Whether an identity may is decided before its body is looked at.
    if (this.isDenied) return failure('AccessDenied');
    const [, bucket = '', ...rest] = path.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    if (bucket !== this.bucket) return failure('NoSuchBucket');
    // [put] "The name of a key is a sequence of Unicode characters whose UTF-8 encoding is at most 1,024 bytes long."
    if (Buffer.byteLength(key) > 1024) return failure('KeyTooLongError');
    const sha256 = createHash('sha256').update(body).digest();
    // [sig] The hash that is signed is the hash of the body.
    if (headers['x-amz-content-sha256'] !== sha256.toString('hex')) return failure('XAmzContentSHA256Mismatch');
    // [int] A checksum that does not fit is answered with BadDigest.
    if (headers['x-amz-checksum-sha256'] !== sha256.toString('base64')) return failure('BadDigest');
    // [cond] Without it this project never writes.
    assert.equal(headers['if-none-match'], '*');
    if (this.foreign.has(key) || this.objects.some((object) => object.key === key)) {
      return failure('PreconditionFailed');
    }
    this.objects.push({ key, body, headers });
    return { status: 200, body: '' };
  }

  /** [sig] Everything that is signed is computed anew by a signer of the fake's own keys. */
  async #signatureProblem(request: IncomingMessage, path: string): Promise<keyof typeof STATUSES | undefined> {
    const { authorization = '', host = '' } = request.headers;
    const [, id, date, region, names = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=[0-9a-f]{64}$/.exec(
        authorization,
      ) ?? [];
    if (id === undefined || date === undefined) return 'AccessDenied';
    if (region !== this.region) return 'AuthorizationHeaderMalformed';
    if (id !== FAKE_KEYS.accessKeyId) return 'InvalidAccessKeyId';
    const signed = names.split(';');
    for (const name of ['host', 'x-amz-content-sha256', 'x-amz-date']) {
      if (!signed.includes(name)) return 'SignatureDoesNotMatch';
    }
    const others = signed.filter((name) => name !== 'host' && name !== 'x-amz-date');
    const headers = Object.fromEntries(others.map((name) => [name, String(request.headers[name])]));
    const again = await this.#sign({ method: 'PUT', host, path, headers }, signedAtMs(request));
    return authorization === again['authorization'] ? undefined : 'SignatureDoesNotMatch';
  }

  readonly #sign = (...asked: Parameters<Signer>): ReturnType<Signer> =>
    createSigner({
      region: this.region,
      service: 's3',
      isPathLiteral: true,
      hasBodyHash: true,
      credentials: async () => FAKE_KEYS,
    })(...asked);
}

/** `x-amz-date: 20261128T130500Z`. */
function signedAtMs({ headers }: IncomingMessage): number {
  const [, y, m, d, h, min, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(headers['x-amz-date'])) ?? [];
  return Date.UTC(Number(y), Number(m) - 1, Number(d), Number(h), Number(min), Number(s));
}

function failure(code: keyof typeof STATUSES): Answer {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words</Message></Error>`;
  return { status: STATUSES[code], body, headers: { 'content-type': 'application/xml' } };
}
