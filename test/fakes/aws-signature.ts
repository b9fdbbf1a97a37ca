/**
 * The signature that a request should bear, worked out by the book and without the code that signs.
 *
 * Source: IAM user guide, "Create a signed AWS API request": canonical request, string to sign, derived key. For requests without a query, whose
 * path needs no encoding. May import: node: only.
 */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=[^/]+\/((\d{8})\/([^/]+)\/([^/]+)\/aws4_request), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/;

/** Whether the request is signed with this secret key. */
export function isSignedBy(secretAccessKey: string, { method, url, headers }: IncomingMessage, body: Buffer): boolean {
  const parts = AUTHORIZATION.exec(headers.authorization ?? '');
  if (parts === null) return false;
  const [, scope = '', day = '', region = '', service = '', names = '', signature] = parts;
  const time = String(headers['x-amz-date']);
  const lines = names.split(';').map((name) => `${name}:${String(headers[name] ?? '').trim()}\n`);
  const canonical = [method, url, '', lines.join(''), names, sha256(body)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    (from, part) => createHmac('sha256', from).update(part).digest(),
    `AWS4${secretAccessKey}`,
  );
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  return time.startsWith(day) && createHmac('sha256', key).update(text).digest('hex') === signature;
}

/** When it says that it was signed, in milliseconds since the epoch. */
export function signedAtMs({ headers }: IncomingMessage): number {
  const iso = String(headers['x-amz-date']).replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5');
  return Date.parse(iso);
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
