/**
 * Whose name the CloudWatch Logs sink signs in: every provider of the SDK's chain against a fake of its documented endpoint, in order of
 * precedence; credentials that are refused are asked for again.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { instanceMetadata, podIdentityAgent, securityTokenService } from '../fakes/aws-credential-servers.ts';
import type { Issued } from '../fakes/aws-credential-servers.ts';
import { FakeCloudWatchLogs } from '../fakes/cloudwatch-logs-server.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import type { ScriptedServer } from '../fakes/scripted-server.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

/** Everything that the chain reads: a developer's own settings take no part. */
const NAMES = [
  ...[
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_PROFILE',
    'AWS_REGION',
    'AWS_DEFAULT_REGION',
  ],
  ...['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'AWS_ROLE_ARN', 'AWS_WEB_IDENTITY_TOKEN_FILE'],
  ...['AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', 'AWS_ENDPOINT_URL_STS'],
  ...['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', 'AWS_EC2_METADATA_DISABLED', 'AWS_EC2_METADATA_SERVICE_ENDPOINT'],
  ...['AWS_USE_FIPS_ENDPOINT', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_CLOUDWATCH_LOGS'],
];
const REGION = 'eu-central-1';

describe('CloudWatchLogsSink: credentials', () => {
  const saved = new Map<string, string | undefined>();
  let fake: FakeCloudWatchLogs;
  let clock: VirtualClock;
  let sink: CloudWatchLogsSink;
  let dir: string;
  const servers: ScriptedServer[] = [];

  beforeEach(async () => {
    for (const name of NAMES) {
      saved.set(name, process.env[name]);
      delete process.env[name];
    }
    dir = await mkdtemp(join(tmpdir(), 'logtender-credentials-'));
    Object.assign(process.env, {
      AWS_CONFIG_FILE: join(dir, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: join(dir, 'credentials'),
      AWS_EC2_METADATA_DISABLED: 'true',
    });
    fake = new FakeCloudWatchLogs();
    await fake.server.start();
    fake.groups.set('/k8s/test/shop/web', {});
    fake.streams.set('/k8s/test/shop/web:web-7d9f-x2x/app/var/log/app/a.log', []);
    clock = new VirtualClock(Date.now());
    const config = forwarderConfig({
      CLOUDWATCH_ENDPOINT: fake.server.url,
      AWS_REGION: REGION,
      SINK_SECRET_DIR: join(dir, 'secret'),
    });
    sink = new CloudWatchLogsSink({ config, clock, log: silentLog, metrics: createMetrics() });
  });
  afterEach(async () => {
    await sink.close();
    for (const server of [fake.server, ...servers.splice(0)]) await server.stop();
    await rm(dir, { recursive: true });
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  const started = async (server: ScriptedServer): Promise<string> => {
    await server.start();
    servers.push(server);
    return server.url;
  };
  const deliver = async (): Promise<Delivery> => {
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, Date.now());
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
    return sink.deliver(encoder.finish(), options);
  };
  const issue = (...keys: readonly string[]): Issued => ({ keys, asked: 0 });

  type Way = (issued: Issued) => Promise<void>;
  const fromEnv: Way = async ({ keys }) => {
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: keys[0], AWS_SECRET_ACCESS_KEY: 'secret' });
  };
  const webIdentity: Way = async (issued) => {
    const token = join(dir, 'aws-token');
    await writeFile(token, 'jwt');
    Object.assign(process.env, {
      AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/logs',
      AWS_WEB_IDENTITY_TOKEN_FILE: token,
      AWS_REGION: REGION,
      AWS_ENDPOINT_URL_STS: await started(securityTokenService(issued, () => 'jwt')),
    });
  };
  const podIdentity: Way = async (issued) => {
    const token = join(dir, 'pod-token');
    await writeFile(token, 'pod-jwt');
    const url = await started(podIdentityAgent(issued, () => 'pod-jwt'));
    Object.assign(process.env, {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: token,
    });
  };
  const instance =
    (version: 1 | 2): Way =>
    async (issued) => {
      process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = await started(instanceMetadata(issued, version));
      delete process.env['AWS_EC2_METADATA_DISABLED'];
    };

  /** In the order of precedence. */
  const WAYS: ReadonlyArray<readonly [name: string, way: Way]> = [
    ['environment', fromEnv],
    ['web identity (IRSA)', webIdentity],
    ['container (EKS Pod Identity)', podIdentity],
    ['instance role by IMDSv2', instance(2)],
    ['kube2iam, which has no token', instance(1)],
  ];
  for (const [name, way] of WAYS) {
    it(name, async () => {
      await way(issue('AKIDFIRST'));
      fake.accessKeyId = 'AKIDFIRST';
      assert.deepEqual(await deliver(), { status: 'delivered', duplicates: 0 });
    });
  }

  it('the first that is there wins', async () => {
    for (const [i, [, way]] of WAYS.slice(0, 4).entries()) await way(issue(`AKID${i}`));
    fake.accessKeyId = 'AKID0';
    assert.equal((await deliver()).status, 'delivered');
  });

  for (const [name, way] of WAYS.slice(1, 4)) {
    it(`${name}: what the service refuses is asked for again, after ten seconds`, async () => {
      const issued = issue('AKIDOLD', 'AKIDNEW');
      await way(issued);
      fake.accessKeyId = 'AKIDNEW';
      const refused = await deliver();
      assert(refused.status === 'retryable' && refused.reason === 'credentials', JSON.stringify(refused));
      await deliver();
      assert.equal(issued.asked, 1, 'not with every try');
      await clock.advance(10_000, 0);
      await deliver();
      assert.equal((await deliver()).status, 'delivered');
      assert.equal(issued.asked, 2);
    });
  }

  it('a permission that is missing asks nobody for other credentials', async () => {
    const issued = issue('AKID');
    await podIdentity(issued);
    fake.denied.add('PutLogEvents');
    for (let i = 0; i < 3; i += 1) {
      await deliver();
      await clock.advance(10_000, 0);
    }
    assert.equal(issued.asked, 1);
  });

  const WRONG: ReadonlyArray<readonly [name: string, env: Readonly<Record<string, string>>, words: RegExp]> = [
    ['no credentials at all', {}, /CredentialsProviderError.*name a service account with a role/],
    [
      'a role that does not trust us',
      { AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/other' },
      /trust policy of the role/,
    ],
    ['a token that is no good', {}, /trust policy of the role/],
    ['a role that is no ARN', { AWS_ROLE_ARN: 'logs' }, /^ValidationError: /],
  ];
  for (const [index, [name, env, words]] of WRONG.entries()) {
    it(`${name}: says what to do`, async () => {
      if (index > 0) await webIdentity(issue('AKID'));
      if (index === 2) await writeFile(join(dir, 'aws-token'), 'forged');
      Object.assign(process.env, env);
      const delivery = await deliver();
      assert(delivery.status === 'retryable' && delivery.reason === 'credentials', JSON.stringify(delivery));
      assert.match(delivery.text, words);
    });
  }

  it('STS that cannot be reached is tried again, and nothing counts as sent', async () => {
    await webIdentity(issue('AKID'));
    await servers.at(-1)?.stop();
    const delivery = await deliver();
    assert.equal(delivery.status, 'retryable');
    await servers.at(-1)?.start();
    fake.accessKeyId = 'AKID';
    assert.equal((await deliver()).status, 'delivered');
  });
});
