/**
 * The S3 sink against a strict PutObject in memory.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Batch } from '../../src/core/record.ts';
import { S3Sink } from '../../src/sinks/s3/sink.ts';
import type { Delivery, PromisedRequest } from '../../src/sinks/sink.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { FAKE_KEYS, FakeS3 } from '../fakes/s3-server.ts';
import type { Fault } from '../fakes/scripted-server.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { describeSink } from './sink.ts';
import type { Scripted } from './sink.ts';

const error = (code: string): string => `<Error><Code>${code}</Code><Message>words</Message></Error>`;

const FAULTS: Readonly<Partial<Record<Scripted, Fault>>> = {
  throttled: { status: 503, body: error('SlowDown') },
  server_error: { status: 500, body: error('InternalError') },
  too_large: { status: 413 },
  connection_cut: 'cut_before',
  answer_lost: 'cut_after',
  answer_cut: 'cut_in_answer',
  silence: 'silence',
  credentials: { status: 403, body: error('AccessDenied') },
};

const CANNOT = {
  refused: 'nothing that PutObject answers is about a record, so nothing is refused (docs/errors.md)',
  first_rejected: 'S3 looks into no object: it stores all of it or nothing',
  second_throttled: 'S3 looks into no object: it stores all of it or nothing',
  answer_cut: 'an answer without a body has nothing to be cut in; a cut in its head: network.test.ts, in_answer',
} as const;

const linesOf = (body: Buffer): string[] =>
  gunzipSync(body)
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { message: string }).message);

let secretDir = '';
before(async () => {
  secretDir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
  await writeFile(join(secretDir, 'aws-access-key-id'), FAKE_KEYS.accessKeyId);
  await writeFile(join(secretDir, 'aws-secret-access-key'), FAKE_KEYS.secretAccessKey);
});
after(async () => rm(secretDir, { recursive: true }));

function sinkFor(fake: FakeS3, clock: VirtualClock, env: Readonly<Record<string, string>> = {}): S3Sink {
  const config = forwarderConfig({
    S3_ENDPOINT: fake.server.url,
    S3_BUCKET: fake.bucket,
    AWS_REGION: fake.region,
    SINK_SECRET_DIR: secretDir,
    ...env,
  });
  return new S3Sink({ config, clock, metrics: createMetrics() });
}

describeSink('s3', {
  isIdempotent: true,
  cannot: CANNOT,
  start: async () => {
    const fake = new FakeS3();
    await fake.server.start();
    const clock = new VirtualClock(Date.now());
    return {
      sink: sinkFor(fake, clock),
      clock,
      script: (next) => {
        const fault = FAULTS[next];
        assert(fault !== undefined);
        fake.server.faults.push(fault);
      },
      unseen: () => fake.server.faults.length,
      stored: () => fake.objects.flatMap(({ body }) => linesOf(body)),
      down: () => fake.server.stop(),
      up: () => fake.server.start(),
      stop: () => fake.server.stop(),
    };
  },
});

describe('S3Sink', () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 28, 13, 5));
  let fake: FakeS3;
  beforeEach(async () => {
    fake = new FakeS3();
    await fake.server.start();
  });
  afterEach(async () => fake.server.stop());

  const batchOf = (sink: S3Sink, text: string, offset = 0): Batch => {
    const input = Buffer.from(text);
    const encoder = sink.createEncoder();
    assert.equal(encoder.append(sourceInfo(), input, 0, input.length, offset, clock.now()), input.length);
    return encoder.finish();
  };
  const deliver = (sink: S3Sink, batch: Batch, more: object = {}): Promise<Delivery> =>
    sink.deliver(batch, {
      selection: undefined,
      sentBefore: () => false,
      signal: new AbortController().signal,
      ...more,
    });

  it('names an object by hour, pod, container, source and range, and asks for what is configured', async () => {
    const sink = sinkFor(fake, clock, {
      S3_PREFIX: 'lake/{cluster}/{namespace}',
      S3_COMPRESSION: 'zstd',
      S3_STORAGE_CLASS: 'STANDARD_IA',
      S3_KMS_KEY: 'alias/logs',
      S3_TAGS: 'team=web & co,cost centre=7'.replace(' & ', ' + '),
    });
    assert.deepEqual(await deliver(sink, batchOf(sink, 'a\nbc\n', 100)), { status: 'delivered', duplicates: 0 });
    const [object] = fake.objects;
    assert(object !== undefined);
    assert.equal(
      object.key,
      'lake/test/shop/year=2026/month=11/day=28/hour=13/web-7d9f-x2x_app_AAAABBBBCCCCDDDD_0000000000000100-0000000000000105.ndjson.zst',
    );
    assert.equal(zstdDecompressSync(object.body).toString().split('\n').length, 3);
    assert.equal(object.headers['x-amz-storage-class'], 'STANDARD_IA');
    assert.equal(object.headers['x-amz-server-side-encryption'], 'aws:kms');
    assert.equal(object.headers['x-amz-server-side-encryption-aws-kms-key-id'], 'alias/logs');
    assert.equal(object.headers['x-amz-tagging'], 'team=web%20%2B%20co&cost%20centre=7');
    await sink.close();
  });

  it('takes the name and the verdict of a promise that was made before', async () => {
    const sink = sinkFor(fake, clock);
    const asked: PromisedRequest[] = [];
    const promise = (isResend: boolean) => async (request: PromisedRequest) => {
      asked.push(request);
      return { key: 'old/name.ndjson.gz', isResend };
    };
    const batch = batchOf(sink, 'a\nb\n');
    fake.foreign.add('old/name.ndjson.gz');
    assert.deepEqual(await deliver(sink, batch, { promise: promise(true) }), { status: 'delivered', duplicates: 2 });
    const conflict = await deliver(sink, batch, { promise: promise(false) });
    assert(conflict.status === 'partial');
    assert.deepEqual(conflict.conflicts, [0, 1]);
    assert.deepEqual([asked[0]?.from, asked[0]?.to], [0, 4]);
    assert.match(asked[0]?.key ?? '', /_0000000000000000-0000000000000004\.ndjson\.gz$/);
    assert.deepEqual(fake.objects, []);
    await sink.close();
  });

  it('gives each half of a range a name of its own', async () => {
    const sink = sinkFor(fake, clock);
    const batch = batchOf(sink, 'a\nb\nc\n');
    await deliver(sink, batch, { selection: [0, 1] });
    await deliver(sink, batch, { selection: [2] });
    await deliver(sink, batch, { selection: [0, 2] });
    const names = fake.objects.map(({ key }) => /_(\d+-\d+.*)\.ndjson\.gz$/.exec(key)?.[1] ?? '');
    assert.deepEqual(names.slice(0, 2), ['0000000000000000-0000000000000004', '0000000000000004-0000000000000006']);
    assert.match(names[2] ?? '', /^0000000000000000-0000000000000006-[0-9a-f]{12}$/);
    await sink.close();
  });

  it('says what is missing: bucket, region, right, clock, region of the bucket', async () => {
    const text = async (sink: S3Sink): Promise<string> => {
      const delivery = await deliver(sink, batchOf(sink, 'x\n'));
      await sink.close();
      return delivery.status === 'retryable' ? delivery.text : delivery.status;
    };
    assert.match(await text(sinkFor(fake, clock, { S3_BUCKET: '' })), /no bucket: set logging\.io\/bucket/);
    assert.match(await text(sinkFor(fake, clock, { S3_ENDPOINT: '', AWS_REGION: '' })), /no AWS region/);
    assert.match(
      await text(sinkFor(fake, clock, { S3_BUCKET: 'other' })),
      /404: NoSuchBucket: words; create the bucket/,
    );
    fake.server.faults.push({ status: 403, body: error('AccessDenied') });
    assert.match(await text(sinkFor(fake, clock)), /allow s3:PutObject on arn:aws:s3:::logs\/\*/);
    fake.server.faults.push({ status: 403, body: error('RequestTimeTooSkewed') });
    assert.match(await text(sinkFor(fake, clock)), /clock of the node/);
    fake.server.faults.push({ status: 301, headers: { 'x-amz-bucket-region': 'us-west-2' } });
    assert.match(await text(sinkFor(fake, clock)), /the bucket is in us-west-2, we asked in eu-central-1/);
    fake.server.faults.push({ status: 501, body: error('NotImplemented') });
    assert.match(await text(sinkFor(fake, clock)), /knows no conditional write/);
  });
});
