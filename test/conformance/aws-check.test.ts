/**
 * `check sink` for the destinations of AWS against strict fakes: every step that can fail does, and says what to do.
 *
 * The same steps on independent servers: test/cluster/s3.test.ts (versitygw), test/cluster/cloudwatch.test.ts (moto).
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { checkOf } from '../../src/sinks/check.ts';
import type { CheckStep } from '../../src/sinks/check.ts';
import { FakeCloudWatchLogs } from '../fakes/cloudwatch-logs-server.ts';
import { forwarderConfig } from '../fakes/forwarder-config.ts';
import { FAKE_KEYS, FakeS3 } from '../fakes/s3-server.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';

const HOUR_MS = 60 * 60 * 1000;

type Env = Readonly<Record<string, string>>;

let dir = '';
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
  writeFileSync(join(dir, 'aws-access-key-id'), FAKE_KEYS.accessKeyId);
  writeFileSync(join(dir, 'aws-secret-access-key'), FAKE_KEYS.secretAccessKey);
});
after(() => rmSync(dir, { recursive: true }));

/** Steps by name, as `outcome: text; remedy`. */
async function checked(
  sink: 's3' | 'cloudwatch',
  env: Env,
  more: { readonly writes?: boolean; readonly skewMs?: number } = {},
): Promise<Readonly<Record<string, string>>> {
  const { writes = false, skewMs } = more;
  const check = await checkOf(sink);
  assert(check !== undefined);
  const config = forwarderConfig({ SINK_SECRET_DIR: dir, AWS_REGION: 'eu-central-1', ...env });
  const clock = skewMs === undefined ? systemClock : new VirtualClock(Date.now() + skewMs);
  const steps: Record<string, string> = {};
  for await (const step of check({ config, clock, writes })) steps[step.name] = textOf(step);
  return steps;
}

function textOf({ outcome, text, remedy }: CheckStep): string {
  return `${outcome}: ${text}${remedy === undefined ? '' : `; ${remedy}`}`;
}

/** A server with a certificate that nobody knows. */
async function withTls(run: (url: string) => Promise<void>): Promise<void> {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const server = createTlsServer({ key, cert: selfSigned(keys, Date.now()) });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    await run(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('check sink: s3', () => {
  let fake: FakeS3;
  beforeEach(async () => {
    fake = new FakeS3();
    await fake.server.start();
  });
  afterEach(() => fake.server.stop());

  const env = (more: Env = {}): Env => ({ S3_ENDPOINT: fake.server.url, S3_BUCKET: fake.bucket, ...more });

  it('goes from the name to the right to put, and writes nothing', async () => {
    const steps = await checked('s3', env());
    assert.deepEqual(Object.keys(steps), ['dns', 'tcp', 'tls', 'clock', 'region', 'identity', 'permission']);
    assert.equal(steps['region'], 'ok: logs is in eu-central-1');
    assert.equal(steps['identity'], 'ok: access key AKIDFAKE of the sink Secret');
    assert.match(steps['permission'] ?? '', /^ok: s3:PutObject on arn:aws:s3:::logs\/.+\*$/);
    assert.deepEqual(fake.objects, []);
  });

  it('names the right that only an object tells, and with --write puts one', async () => {
    const tagged = env({ S3_TAGS: 'team=shop', S3_KMS_KEY: 'alias/logs' });
    assert.match((await checked('s3', tagged))['permission'] ?? '', /for s3:PutObjectTagging and kms:GenerateDataKey/);
    assert.match((await checked('s3', tagged, { writes: true }))['write'] ?? '', /^ok: one record is in s3:\/\/logs\//);
    assert.equal(fake.objects.length, 1);
  });

  it('says the action and the ARN that are missing, of the partition of the region', async () => {
    fake.isDenied = true;
    assert.match(
      (await checked('s3', env()))['permission'] ?? '',
      /^failed: 403: AccessDenied.*allow s3:PutObject on arn:aws:s3:::logs\/\* to this identity/,
    );
    fake.region = 'cn-north-1';
    const china = await checked('s3', env({ AWS_REGION: 'cn-north-1' }));
    assert.match(china['permission'] ?? '', /arn:aws-cn:s3:::logs/);
  });

  it('tells the region of the bucket, a bucket that is not there, keys that are not known', async () => {
    fake.region = 'us-west-2';
    const elsewhere = await checked('s3', env());
    assert.match(elsewhere['region'] ?? '', /^failed: logs is in us-west-2.*set AWS_REGION .* to us-west-2$/);
    assert.equal(elsewhere['permission'], undefined);
    fake.region = 'eu-central-1';
    const missing = await checked('s3', env({ S3_BUCKET: 'other' }));
    assert.match(missing['permission'] ?? '', /^failed: 404: NoSuchBucket.*create the bucket/);
    const strange = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
    writeFileSync(join(strange, 'aws-access-key-id'), 'AKIDOTHER');
    writeFileSync(join(strange, 'aws-secret-access-key'), 'other');
    const unknown = await checked('s3', env({ SINK_SECRET_DIR: strange }));
    assert.match(unknown['auth'] ?? '', /^failed: 403: InvalidAccessKeyId.*check the keys/);
    rmSync(strange, { recursive: true });
  });

  it('says what is not configured before anything is asked', async () => {
    const nameless = await checked('s3', { S3_ENDPOINT: fake.server.url });
    assert.deepEqual(nameless, { bucket: 'failed: no bucket; set logging.io/bucket' });
  });

  it('shows an unknown certificate and where its CA goes', async () => {
    await withTls(async (url) => {
      const steps = await checked('s3', { S3_ENDPOINT: url, S3_BUCKET: 'logs' });
      assert.match(steps['tls'] ?? '', /^failed: certificate of .* by .*not trusted by the system's CAs.*s3-ca\.crt/);
      assert.equal(steps['permission'], undefined);
    });
  });

  it('says that nobody listens, that a name does not resolve, that the clock is off', async () => {
    await fake.server.stop();
    assert.match((await checked('s3', env()))['tcp'] ?? '', /^failed: 127\.0\.0\.1:\d+: .*network policies/);
    await fake.server.start();
    // A label of more than 63 characters: nobody has to be asked to know that there is none.
    const nowhere = await checked('s3', env({ S3_ENDPOINT: `http://${'x'.repeat(64)}` }));
    assert.match(nowhere['dns'] ?? '', /^failed: x+ does not resolve.*dnsPolicy/);
    assert.match(
      (await checked('s3', env(), { skewMs: HOUR_MS }))['clock'] ?? '',
      /^failed: our clock is 3[56]\d\d s ahead.*NTP/,
    );
  });
});

describe('check sink: cloudwatch', () => {
  let fake: FakeCloudWatchLogs;
  beforeEach(async () => {
    fake = new FakeCloudWatchLogs();
    await fake.server.start();
  });
  afterEach(() => fake.server.stop());

  const env = (more: Env = {}): Env => ({ CLOUDWATCH_ENDPOINT: fake.server.url, ...more });

  it('goes from the region to the right to put, and makes nothing', async () => {
    fake.groups.set('/k8s/test/shop/web', {});
    const steps = await checked('cloudwatch', env());
    assert.deepEqual(Object.keys(steps), ['region', 'dns', 'tcp', 'tls', 'clock', 'identity', 'permission', 'create']);
    assert.match(
      steps['permission'] ?? '',
      /^ok: logs:PutLogEvents on arn:aws:logs:eu-central-1:\*:log-group:\/k8s\/test\/shop\/web:log-stream:/,
    );
    assert.match(steps['create'] ?? '', /^skipped: logs:CreateLogStream.*check sink --write/);
    assert.deepEqual([...fake.streams], []);
  });

  it('with --write makes what is missing and puts one event', async () => {
    const steps = await checked('cloudwatch', env(), { writes: true });
    assert.match(steps['write'] ?? '', /^ok: one record is in \/k8s\/test\/shop\/web, log stream /);
    assert.deepEqual(fake.messages, ['logtender check sink']);
  });

  it('says the action and the ARN that are missing: of events, and of what only making tells', async () => {
    fake.denied.add('PutLogEvents');
    const put = await checked('cloudwatch', env({ LOG_GROUP: 'g' }));
    assert.match(
      put['permission'] ?? '',
      /^failed: AccessDenied.*allow logs:PutLogEvents on arn:aws:logs:eu-central-1:\*:log-group:g:log-stream:/,
    );
    fake.denied.clear();
    fake.denied.add('CreateLogGroup');
    const create = await checked('cloudwatch', env({ LOG_GROUP: 'g' }), { writes: true });
    assert.match(
      create['write'] ?? '',
      /^failed: nothing is in g.*allow logs:CreateLogGroup on arn:aws:logs:eu-central-1:\*:log-group:g/,
    );
  });

  it('tells unknown keys from missing rights', async () => {
    fake.accessKeyId = 'AKIDOTHER';
    const steps = await checked('cloudwatch', env());
    assert.match(steps['auth'] ?? '', /^failed: UnrecognizedClientException.*check the keys/);
  });

  it('names the endpoint of the region, FIPS and China included, before it goes there', async () => {
    for (const [more, want] of [
      [{ AWS_REGION: 'cn-north-1' }, /^ok: cn-north-1 at https:\/\/logs\.cn-north-1\.amazonaws\.com\.cn$/],
      [
        { AWS_REGION: 'us-gov-west-1', AWS_USE_FIPS_ENDPOINT: 'true' },
        /^ok: us-gov-west-1 at https:\/\/logs\.us-gov-west-1\.amazonaws\.com$/,
      ],
      [
        { AWS_REGION: 'us-east-2', AWS_USE_FIPS_ENDPOINT: 'true' },
        /^ok: us-east-2 at https:\/\/logs-fips\.us-east-2\.amazonaws\.com$/,
      ],
    ] as const) {
      const check = await checkOf('cloudwatch');
      const config = forwarderConfig({ SINK_SECRET_DIR: dir, ...more });
      // The first step alone: the next would leave this machine.
      for await (const step of check?.({ config, clock: systemClock, writes: false }) ?? []) {
        assert.match(textOf(step), want);
        break;
      }
    }
  });

  it('says that nobody listens, and that the clock is off', async () => {
    assert.match(
      (await checked('cloudwatch', env(), { skewMs: -HOUR_MS }))['clock'] ?? '',
      /^failed: our clock is 3[56]\d\d s behind/,
    );
    await fake.server.stop();
    assert.match((await checked('cloudwatch', env()))['tcp'] ?? '', /^failed: /);
  });

  it('shows an unknown certificate and how its CA is trusted', async () => {
    await withTls(async (url) => {
      const steps = await checked('cloudwatch', { CLOUDWATCH_ENDPOINT: url });
      assert.match(steps['tls'] ?? '', /^failed: certificate of .*NODE_EXTRA_CA_CERTS/);
    });
  });
});
