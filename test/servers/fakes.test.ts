/**
 * The strict fakes of S3 and CloudWatch Logs held against versitygw and moto: each rule of a fake asked of both. Those of Elasticsearch and
 * OpenSearch are asked in search.test.ts, whose servers have small bodies.
 *
 * Not asked here: the limits of CloudWatch Logs. moto does not have them; the fake and the strict proxy before moto share one list of rules
 * (cloudwatch/rules.ts), each with its source, and cloudwatch.test.ts asks every one of them through the proxy.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createSigner } from '../../src/sinks/aws/signature.ts';
import { FakeCloudWatchLogs } from '../fakes/cloudwatch-logs-server.ts';
import { FAKE_KEYS, FakeS3 } from '../fakes/s3-server.ts';
import { ask } from './http-json.ts';
import type { Answer } from './http-json.ts';
import { requireServer } from './require-server.ts';
import { shapeOf } from './same-answers.ts';
import type { CloudWatchServer, S3Server } from './servers.ts';

const TEST_MS_MAX = 60_000;

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface PutQuestion {
  readonly name: string;
  readonly want: readonly [status: number, code: string];
  readonly key?: string;
  readonly bucket?: string;
  readonly region?: string;
  /** In the place of the right ones. */
  readonly keys?: Partial<Keys>;
  readonly isUnsigned?: true;
  readonly sha256?: string;
  readonly checksum?: string;
  /** By an identity that may not. */
  readonly isDenied?: true;
}

const OTHER = createHash('sha256').update('other').digest();

/** Asked in this order of one bucket. */
const PUTS: readonly PutQuestion[] = [
  { name: 'a new object', want: [200, ''] },
  { name: 'the same key again', want: [412, 'PreconditionFailed'] },
  { name: 'every character that is encoded', key: "a!b-_.'()=c/d é+~*", want: [200, ''] },
  {
    name: 'a key of 1,024 bytes',
    key: `k/${Array.from({ length: 7 }, () => 'x'.repeat(140)).join('/')}/${'y'.repeat(35)}`,
    want: [200, ''],
  },
  { name: 'a key of 1,025 bytes', key: 'k'.repeat(1_025), want: [400, 'KeyTooLongError'] },
  { name: 'a bucket that is not there', bucket: 'no-such-bucket', want: [404, 'NoSuchBucket'] },
  { name: 'no signature', isUnsigned: true, want: [403, 'AccessDenied'] },
  { name: 'an unknown key', keys: { accessKeyId: 'AKIDOTHER' }, want: [403, 'InvalidAccessKeyId'] },
  { name: 'a wrong secret', keys: { secretAccessKey: 'other' }, want: [403, 'SignatureDoesNotMatch'] },
  { name: 'another region', region: 'us-west-2', want: [400, 'AuthorizationHeaderMalformed'] },
  {
    name: 'the hash of another body',
    key: 'h',
    sha256: OTHER.toString('hex'),
    want: [400, 'XAmzContentSHA256Mismatch'],
  },
  { name: 'the checksum of another body', key: 'c', checksum: OTHER.toString('base64'), want: [400, 'BadDigest'] },
  { name: 'an identity without the right', key: 'd', isDenied: true, want: [403, 'AccessDenied'] },
  {
    name: 'an identity without the right, before the hash',
    key: 'e',
    isDenied: true,
    sha256: OTHER.toString('hex'),
    want: [403, 'AccessDenied'],
  },
];

describe('fake S3', function () {
  this.timeout(TEST_MS_MAX);
  const BODY = '{"message":"x"}\n';
  const fake = new FakeS3();
  let server: S3Server;
  let bucket = '';
  let nobody: Keys;
  before(async function () {
    server = await requireServer(this, 's3');
    bucket = `fake-${process.pid}`;
    server.createBucket(bucket);
    nobody = await server.createUser(`nobody-${process.pid}`);
    await fake.server.start();
  });
  after(() => fake.server.stop());

  const put = async (url: string, right: Keys, own: string, question: PutQuestion): Promise<Answer> => {
    const { region = fake.region, key = 'k1', keys = {}, isUnsigned = false } = question;
    const credentials = { ...right, ...keys };
    const sha256 = createHash('sha256').update(BODY).digest();
    const sign = createSigner({
      region,
      service: 's3',
      isPathLiteral: true,
      hasBodyHash: true,
      credentials: async () => credentials,
    });
    const parts = [question.bucket ?? own, ...key.split('/')].map((part) =>
      encodeURIComponent(part).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    );
    const path = `/${parts.join('/')}`;
    const headers = {
      'content-type': 'application/x-ndjson',
      'if-none-match': '*',
      'x-amz-content-sha256': question.sha256 ?? sha256.toString('hex'),
      'x-amz-checksum-sha256': question.checksum ?? sha256.toString('base64'),
    };
    const { host } = new URL(url);
    const signed = await sign({ method: 'PUT', host, path, headers }, Date.now());
    return ask(`${url}${path}`, { method: 'PUT', headers: isUnsigned ? headers : signed, body: BODY });
  };
  const codeOf = ({ body }: Answer): string => /<Code>([^<]*)<\/Code>/.exec(String(body))?.[1] ?? '';

  for (const question of PUTS) {
    it(`answers as a server does: ${question.name}`, async () => {
      const isDenied = question.isDenied === true;
      const real = await put(server.url, isDenied ? nobody : server.credentials, bucket, question);
      fake.isDenied = isDenied;
      const own = await put(fake.server.url, FAKE_KEYS, fake.bucket, question);
      assert.deepEqual([own.status, codeOf(own)], question.want, 'the fake');
      assert.deepEqual([real.status, codeOf(real)], question.want, 'the server');
    });
  }

  it('tells where a bucket is, and that there is none, to whoever asks', async () => {
    const head = async (url: string): Promise<readonly unknown[]> => {
      const { status, headers, body } = await ask(url, { method: 'HEAD' });
      // Of a bucket that is not there versitygw names its own region.
      return [status, status === 404 ? undefined : headers['x-amz-bucket-region'], body];
    };
    for (const more of ['', '-not'])
      assert.deepEqual(
        await head(`${fake.server.url}/${fake.bucket}${more}`),
        await head(`${server.url}/${bucket}${more}`),
      );
  });
});

describe('fake CloudWatch Logs', function () {
  this.timeout(TEST_MS_MAX);
  const fake = new FakeCloudWatchLogs();
  let server: CloudWatchServer;
  before(async function () {
    server = await requireServer(this, 'cloudwatch');
    await server.reset();
    await fake.server.start();
  });
  after(() => fake.server.stop());

  /** The same call to both; the fake insists on a hash that is signed, moto on none. */
  const both = async (action: string, input: unknown): Promise<readonly [real: Answer, fake: Answer]> => {
    const body = JSON.stringify(input);
    const headers = {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `Logs_20140328.${action}`,
      'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${server.region}/logs/aws4_request, SignedHeaders=content-length;host;x-amz-content-sha256, Signature=0`,
    };
    const asked = { method: 'POST', headers, body };
    return [await ask(`${server.url}/`, asked), await ask(`${fake.server.url}/`, asked)];
  };
  /** Status, and the type of an error without its namespace. */
  const verdictOf = ({ status, body }: Answer): readonly [number, unknown] => [
    status,
    status === 200 ? '' : (body as { readonly __type?: unknown }).__type,
  ];
  const alike = async (action: string, input: unknown): Promise<readonly [number, unknown]> => {
    const [real, own] = await both(action, input);
    assert.deepEqual(verdictOf(own), verdictOf(real), `${action}: the fake, the server`);
    return verdictOf(own);
  };

  const group = { logGroupName: 'g' };
  const stream = { ...group, logStreamName: 's' };
  const logEvents = [{ timestamp: Date.now(), message: 'x' }];
  for (const [name, action, input, want] of [
    ['a stream of a group that is not there', 'CreateLogStream', stream, 'ResourceNotFoundException'],
    ['events for a group that is not there', 'PutLogEvents', { ...stream, logEvents }, 'ResourceNotFoundException'],
    [
      'retention of a group that is not there',
      'PutRetentionPolicy',
      { ...group, retentionInDays: 7 },
      'ResourceNotFoundException',
    ],
    [
      'reading from a group that is not there',
      'GetLogEvents',
      { ...stream, startFromHead: true },
      'ResourceNotFoundException',
    ],
    [
      'a group with class and tags',
      'CreateLogGroup',
      { ...group, logGroupClass: 'STANDARD', tags: { team: 'shop' } },
      '',
    ],
    ['the same group again', 'CreateLogGroup', group, 'ResourceAlreadyExistsException'],
    ['events for a stream that is not there', 'PutLogEvents', { ...stream, logEvents }, 'ResourceNotFoundException'],
    [
      'reading from a stream that is not there',
      'GetLogEvents',
      { ...stream, startFromHead: true },
      'ResourceNotFoundException',
    ],
    ['a stream', 'CreateLogStream', stream, ''],
    ['the same stream again', 'CreateLogStream', stream, 'ResourceAlreadyExistsException'],
    ['retention', 'PutRetentionPolicy', { ...group, retentionInDays: 7 }, ''],
    ['events', 'PutLogEvents', { ...stream, logEvents }, ''],
  ] as const) {
    it(`answers as a server does: ${name}`, async () => {
      assert.deepEqual(await alike(action, input), [want === '' ? 200 : 400, want]);
    });
  }

  it('tells old and new events by the same indexes', async () => {
    fake.nowMs = () => Date.now();
    const HOUR_MS = 3_600_000;
    for (const hours of [
      [-16 * 24, -15 * 24, 0],
      [0, 1, 3, 4],
      [-15 * 24, 0, 3],
      [-15 * 24, -15 * 24],
    ]) {
      const events = hours.map((hour) => ({ timestamp: Date.now() + hour * HOUR_MS, message: `${hour}` }));
      const [real, own] = await both('PutLogEvents', { ...stream, logEvents: events });
      const infoOf = ({ body }: Answer): unknown =>
        (body as { readonly rejectedLogEventsInfo?: unknown }).rejectedLogEventsInfo;
      assert.deepEqual(infoOf(own), infoOf(real), hours.join());
      assert.deepEqual(shapeOf(own), shapeOf(real));
    }
    fake.nowMs = undefined;
  });

  it('gives back the same events, page by page, between the same bounds', async () => {
    const nowMs = Date.now();
    await alike('CreateLogStream', { ...group, logStreamName: 'r' });
    // Apart from each other, and none at a bound: of the end moto takes the event itself too, which the reference excludes.
    const events = Array.from({ length: 7 }, (_, i) => ({ timestamp: nowMs + 10 * i, message: `m${i}` }));
    await alike('PutLogEvents', { ...group, logStreamName: 'r', logEvents: events });
    const bounds = { startTime: nowMs + 5, endTime: nowMs + 45 };
    const read: string[][] = [];
    for (const at of [0, 1] as const) {
      const messages: string[] = [];
      let nextToken: string | undefined;
      for (;;) {
        const input = {
          ...group,
          logStreamName: 'r',
          startFromHead: true,
          ...bounds,
          ...(nextToken === undefined ? {} : { nextToken }),
        };
        const answer = (await both('GetLogEvents', input))[at];
        const page = answer.body as {
          readonly events: ReadonlyArray<{ readonly message: string }>;
          readonly nextForwardToken: string;
        };
        messages.push(...page.events.map(({ message }) => message));
        // API reference, GetLogEvents: at the end the same token comes back.
        if (page.nextForwardToken === nextToken) break;
        nextToken = page.nextForwardToken;
      }
      read.push(messages);
    }
    assert.deepEqual(read[1], ['m1', 'm2', 'm3', 'm4']);
    assert.deepEqual(read[0], read[1]);
  });
});
