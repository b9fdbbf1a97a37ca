/**
 * Signatures against what AWS itself published: two examples of the S3 user guide, and the whole test suite of Signature Version 4 where
 * the corpus is there.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { createSigner } from '../../../../src/sinks/aws/signature.ts';
import type { UnsignedRequest } from '../../../../src/sinks/aws/signature.ts';
import { CORPUS_PREFIX, skip } from '../../../skip.ts';

const FOLDER = resolve(
  process.env['CORPUS_DIR'] ?? join(import.meta.dirname, '../../../../../shared/corpus'),
  'sigv4/aws-sig-v4-test-suite',
);
const CORPUS_MISSING = `${CORPUS_PREFIX}there is no folder with the test suite of Signature Version 4; CORPUS_DIR names its parent`;

/** Scope and credentials of the test suite ("Signature Version 4 Test Suite", AWS General Reference). */
const SUITE = { region: 'us-east-1', service: 'service', isPathLiteral: false, hasBodyHash: false } as const;
const SUITE_KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const SUITE_TIME_MS = Date.UTC(2015, 7, 30, 12, 36, 0);

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * S3 user guide, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", "Examples: Signature Calculations".
 */
describe('signature of an S3 request', () => {
  const sign = createSigner({
    region: 'us-east-1',
    service: 's3',
    isPathLiteral: true,
    hasBodyHash: true,
    credentials: async () => ({
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    }),
  });
  const timeMs = Date.UTC(2013, 4, 24);
  const host = 'examplebucket.s3.amazonaws.com';
  const signatureOf = async (request: UnsignedRequest): Promise<string | undefined> =>
    /Signature=(\w+)/.exec((await sign(request, timeMs))['authorization'] ?? '')?.[1];

  it('is that of the published GET of a range', async () => {
    const headers = { range: 'bytes=0-9', 'x-amz-content-sha256': sha256('') };
    assert.equal(
      await signatureOf({ method: 'GET', host, path: '/test.txt', headers }),
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    );
  });

  it('is that of the published listing with a query', async () => {
    const headers = { 'x-amz-content-sha256': sha256('') };
    assert.equal(
      await signatureOf({ method: 'GET', host, path: '/', query: { 'max-keys': '2', prefix: 'J' }, headers }),
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
  });

  it('adds the hash of a small body, and a session token', async () => {
    const session = createSigner({
      region: 'eu-central-1',
      service: 's3',
      isPathLiteral: true,
      hasBodyHash: true,
      credentials: async () => ({ ...SUITE_KEYS, sessionToken: 'token' }),
    });
    const signed = await session({ method: 'PUT', host, path: '/x', headers: {}, body: 'hello' }, timeMs);
    assert.equal(signed['x-amz-content-sha256'], sha256('hello'));
    assert.equal(signed['x-amz-security-token'], 'token');
    assert.match(
      signed['authorization'] ?? '',
      /SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/,
    );
  });
});

describe('signature: the AWS test suite', () => {
  before(function () {
    if (!existsSync(FOLDER)) skip(this, CORPUS_MISSING);
  });

  it('every request gets the published signature', async () => {
    const requests = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.req'));
    assert(requests.length >= 30, `found ${requests.length}`);
    for (const name of requests.toSorted()) {
      const stem = join(FOLDER, dirname(name), basename(name, '.req'));
      const { request, sessionToken } = parse(readFileSync(`${stem}.req`, 'utf8'));
      const credentials = { ...SUITE_KEYS, ...(sessionToken === undefined ? {} : { sessionToken }) };
      const sign = createSigner({ ...SUITE, credentials: async () => credentials });
      const signed = await sign(request, SUITE_TIME_MS);
      assert.equal(signed['authorization'], readFileSync(`${stem}.authz`, 'utf8').trim(), name);
    }
  });
});

/** A request of the suite. A folded header is several values (RFC 2616, 4.2), and so is one that stands there twice. */
function parse(text: string): { request: UnsignedRequest; sessionToken: string | undefined } {
  const [head = '', body = ''] = text.split(/\n\n(.*)/s);
  const [first = '', ...lines] = head.split('\n');
  const [, method = '', target = ''] = /^(\S+) (.*) HTTP\/1\.1$/.exec(first) ?? [];
  const headers: Record<string, string> = {};
  let last = '';
  for (const line of lines) {
    const [, name, value = ''] = /^([^:\s]+):(.*)$/.exec(line) ?? [];
    last = name?.toLowerCase() ?? last;
    const words = (name === undefined ? line : value).trim();
    headers[last] = headers[last] === undefined ? words : `${headers[last]},${words}`;
  }
  const { host = '', 'x-amz-security-token': sessionToken, 'x-amz-date': _date, ...rest } = headers;
  const [path = '', ownSearch = ''] = target.split(/\?(.*)/s);
  // The two requests with a form are signed as the query protocol wants it, as their .creq files show: parameters in the query, no body.
  const isForm = rest['content-type']?.startsWith('application/x-www-form-urlencoded') === true;
  const search = isForm ? body : ownSearch;
  const query: Record<string, string[]> = {};
  for (const pair of search.split('&').filter((part) => part !== '')) {
    const [key = '', value = ''] = pair.split(/=(.*)/s);
    query[decodeURIComponent(key)] = [...(query[decodeURIComponent(key)] ?? []), decodeURIComponent(value)];
  }
  return { request: { method, host, path, query, headers: rest, body: isForm ? '' : body }, sessionToken };
}
