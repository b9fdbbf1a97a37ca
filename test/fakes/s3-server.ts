/**
 * PutObject as strictly as S3 reads it, in memory.
 *
 * Each rule with its source: [put] S3 API reference, PutObject; [head] the same, HeadBucket; [cond] S3 user guide, "Conditional writes"; [sig] the same,
 * "Authenticating Requests (AWS Signature Version 4)"; [int] the same, "Checking object integrity"; [gw] seen on versitygw 1.8 by
 * test/servers/s3.test.ts.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createSigner } from '../../src/sinks/aws/signature.ts';
import { ScriptedServer } from './scripted-server.ts';
import type { Answer } from './scripted-server.ts';

export const FAKE_KEYS = { accessKeyId: 'AKIDFAKE', secretAccessKey: 'fake' } as const;

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

  #put(request: IncomingMessage, body: Buffer): Answer {
    const { headers } = request;
    const path = (request.url ?? '').split('?')[0] ?? '';
    assert.equal(request.method, 'PUT');
    const wrong = this.#signatureProblem(request, path);
    if (wrong !== undefined) return failure(403, wrong);
    // [gw] Whether an identity may is decided before its body is looked at.
    if (this.isDenied) return failure(403, 'AccessDenied');
    const [, bucket = '', ...rest] = path.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    if (bucket !== this.bucket) return failure(404, 'NoSuchBucket');
    // [put] "The name of a key is a sequence of Unicode characters whose UTF-8 encoding is at most 1,024 bytes long."
    if (Buffer.byteLength(key) > 1024) return failure(400, 'KeyTooLongError');
    const sha256 = createHash('sha256').update(body).digest();
    // [sig] The hash that is signed is the hash of the body.
    if (headers['x-amz-content-sha256'] !== sha256.toString('hex')) return failure(400, 'XAmzContentSHA256Mismatch');
    // [int] A checksum that does not fit is answered with BadDigest.
    if (headers['x-amz-checksum-sha256'] !== sha256.toString('base64')) return failure(400, 'BadDigest');
    // [cond] Without it this project never writes.
    assert.equal(headers['if-none-match'], '*');
    if (this.foreign.has(key) || this.objects.some((object) => object.key === key)) {
      return failure(412, 'PreconditionFailed');
    }
    this.objects.push({ key, body, headers });
    return { status: 200, body: '' };
  }

  /** [sig] Everything that is signed is computed anew by a signer of the fake's own keys. */
  #signatureProblem(request: IncomingMessage, path: string): string | undefined {
    const { authorization = '', host = '' } = request.headers;
    const [, id, date, region, names = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=[0-9a-f]{64}$/.exec(
        authorization,
      ) ?? [];
    if (id === undefined || date === undefined) return 'AccessDenied';
    if (id !== FAKE_KEYS.accessKeyId) return 'InvalidAccessKeyId';
    if (region !== this.region) return 'AuthorizationHeaderMalformed';
    const signed = names.split(';');
    for (const name of ['host', 'x-amz-content-sha256', 'x-amz-date']) {
      if (!signed.includes(name)) return 'SignatureDoesNotMatch';
    }
    this.#checks.push(this.#check(request, signed, path, host));
    return undefined;
  }

  readonly #checks: Promise<void>[] = [];

  async #check(request: IncomingMessage, signed: readonly string[], path: string, host: string): Promise<void> {
    const sign = createSigner({
      region: this.region,
      service: 's3',
      isPathLiteral: true,
      hasBodyHash: true,
      credentials: async () => FAKE_KEYS,
    });
    const [, y, m, d, h, min, s] =
      /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(request.headers['x-amz-date'])) ?? [];
    const timeMs = Date.UTC(Number(y), Number(m) - 1, Number(d), Number(h), Number(min), Number(s));
    const others = signed.filter((name) => name !== 'host' && name !== 'x-amz-date');
    const headers = Object.fromEntries(others.map((name) => [name, String(request.headers[name])]));
    const again = await sign({ method: 'PUT', host, path, headers }, timeMs);
    assert.equal(request.headers.authorization, again['authorization']);
  }

  /** Rejects when a signature was wrong. */
  async assertSigned(): Promise<void> {
    await Promise.all(this.#checks);
  }
}

function failure(status: number, code: string): Answer {
  return { status, body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words</Message></Error>` };
}
