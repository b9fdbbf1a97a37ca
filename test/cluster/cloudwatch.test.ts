/**
 * What of the CloudWatch Logs sink only an independent server can judge: deletions while in use, what a new group has, events of the wrong time,
 * reading back, and the policies of deploy/iam before a server that verifies signatures and enforces actions.
 *
 * moto enforces the actions of a policy, not its resources (its access_control.py says so): those are judged in test/deploy/iam.test.ts.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { checkCloudWatch } from '../../src/sinks/cloudwatch-logs/check.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import type { Delivery, DeliverOptions } from '../../src/sinks/sink.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { requireServer } from '../servers/require-server.ts';
import type { CloudWatchServer } from '../servers/servers.ts';

const TEST_MS_MAX = 60_000;
const GROUP = '/k8s/test/shop/web';
const STREAM = 'web-7d9f-x2x/app/var/log/app/a.log';
const DAY_MS = 24 * 60 * 60 * 1000;

/** The waits between looks are over at once, the time limit of a request is not. */
class ImpatientClock extends VirtualClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return ms < 10_000 ? Promise.resolve() : super.sleep(ms, signal);
  }
}

describe('CloudWatch Logs on moto', function () {
  this.timeout(TEST_MS_MAX);
  let server: CloudWatchServer;
  let sink: CloudWatchLogsSink | undefined;
  const dirs: string[] = [];

  before(async function () {
    server = await requireServer(this, 'cloudwatch');
  });
  beforeEach(() => server.reset());
  afterEach(async () => {
    await sink?.close();
    sink = undefined;
    for (const dir of dirs.splice(0)) await rm(dir, { recursive: true });
  });

  const open = async (
    env: Readonly<Record<string, string>> = {},
    keys: { readonly accessKeyId: string; readonly secretAccessKey: string } = server.credentials,
  ): Promise<CloudWatchLogsSink> => {
    await sink?.close();
    const dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
    dirs.push(dir);
    await writeFile(join(dir, 'aws-access-key-id'), keys.accessKeyId);
    await writeFile(join(dir, 'aws-secret-access-key'), keys.secretAccessKey);
    const config = forwarderConfig({
      CLOUDWATCH_ENDPOINT: server.url,
      AWS_REGION: server.region,
      SINK_SECRET_DIR: dir,
      ...env,
    });
    sink = new CloudWatchLogsSink({
      config,
      clock: env['CLOUDWATCH_CONFIRM'] === 'true' ? new ImpatientClock(Date.now()) : systemClock,
      log: silentLog,
      metrics: createMetrics(),
    });
    return sink;
  };
  const deliverVia = async (
    to: CloudWatchLogsSink,
    lines: string,
    more: Partial<DeliverOptions> & { readonly timeMs?: number; readonly tries?: number } = {},
  ): Promise<Delivery> => {
    const { timeMs = Date.now(), tries = 1, ...options } = more;
    const encoder = to.createEncoder();
    encoder.append(sourceInfo(), Buffer.from(lines), 0, Buffer.byteLength(lines), 0, timeMs);
    const batch = encoder.finish();
    const { signal } = new AbortController();
    const once = (): Promise<Delivery> =>
      to.deliver(batch, { selection: undefined, sentBefore: () => false, signal, ...options });
    let delivery = await once();
    for (let i = 1; i < tries; i += 1) delivery = await once();
    return delivery;
  };
  const messages = async (): Promise<readonly string[]> =>
    (await server.readEvents(GROUP, STREAM)).map(({ message }) => message);

  it('stream and group that are deleted in use are made again', async () => {
    const to = await open();
    assert.equal((await deliverVia(to, 'one\n')).status, 'delivered');
    await server.call('DeleteLogStream', { logGroupName: GROUP, logStreamName: STREAM });
    assert.equal((await deliverVia(to, 'two\n')).status, 'delivered');
    assert.deepEqual(await messages(), ['two']);
    await server.call('DeleteLogGroup', { logGroupName: GROUP });
    assert.equal((await deliverVia(to, 'three\n')).status, 'delivered');
    assert.deepEqual(await messages(), ['three']);
  });

  it('a new group has class, key, tags and retention', async () => {
    const kmsKeyId = `arn:aws:kms:${server.region}:111122223333:key/1234abcd`;
    const to = await open({
      RETENTION_DAYS: '30',
      CLOUDWATCH_LOG_GROUP_CLASS: 'infrequent-access',
      CLOUDWATCH_KMS_KEY: kmsKeyId,
      CLOUDWATCH_TAGS: 'team=shop,env=prod',
    });
    assert.equal((await deliverVia(to, 'x\n')).status, 'delivered');
    await to.close();
    const { body } = await server.call('DescribeLogGroups', { logGroupNamePrefix: GROUP });
    const [group] = (body as { readonly logGroups: ReadonlyArray<Readonly<Record<string, unknown>>> }).logGroups;
    assert.deepEqual([group?.['retentionInDays'], group?.['kmsKeyId']], [30, kmsKeyId]);
    const tags = await server.call('ListTagsLogGroup', { logGroupName: GROUP });
    assert.deepEqual(tags.body, { tags: { team: 'shop', env: 'prod' } });
  });

  it('old events are stored with the time of now when the user says so', async () => {
    const to = await open({ CLOUDWATCH_REJECTED: 'restamp' });
    const delivery = await deliverVia(to, 'a\nb\n', { timeMs: Date.now() - 15 * DAY_MS });
    assert.deepEqual(delivery, { status: 'delivered', duplicates: 0 });
    const events = await server.readEvents(GROUP, STREAM);
    assert.deepEqual(
      events.map(({ message }) => message),
      ['a', 'b'],
    );
    assert(events.every(({ timestamp }) => timestamp > Date.now() - DAY_MS));
  });

  for (const [confirm, want, counted] of [
    ['false', ['a', 'a', 'é"', 'é"'], [2]],
    ['true', ['a', 'é"'], []],
  ] as const) {
    it(`an answer that is lost, confirm ${confirm}: ${want.length} events, ${counted.length} resends counted`, async () => {
      const to = await open({ CLOUDWATCH_CONFIRM: confirm });
      await deliverVia(to, 'before\n');
      await server.call('DeleteLogStream', { logGroupName: GROUP, logStreamName: STREAM });
      await server.call('CreateLogStream', { logGroupName: GROUP, logStreamName: STREAM });
      server.order({ fault: 'drop-after', count: 1, action: 'PutLogEvents' });
      const resent: number[] = [];
      const onResend = async (records: number): Promise<void> => void resent.push(records);
      const delivery = await deliverVia(to, 'a\né"\n', { tries: 2, onResend });
      assert.equal(delivery.status, 'delivered');
      assert.deepEqual((await messages()).toSorted(), want);
      assert.deepEqual(resent, counted);
    });
  }

  describe('policies of deploy/iam', () => {
    const enforce = async (afterCalls: string): Promise<void> => {
      await fetch(`${server.motoUrl}/moto-api/reset-auth`, { method: 'POST', body: afterCalls });
    };
    /** Calls of IAM go to moto directly, before it enforces anything. */
    const iam = async (input: Readonly<Record<string, string>>): Promise<string> => {
      const response = await fetch(server.motoUrl, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          authorization:
            'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0',
        },
        body: new URLSearchParams({ Version: '2010-05-08', ...input }).toString(),
      });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      return text;
    };
    /** A user with these policies; moto matches no resource but `*`. */
    const userWith = async (...files: readonly string[]): Promise<{ accessKeyId: string; secretAccessKey: string }> => {
      await iam({ Action: 'CreateUser', UserName: 'logs' });
      for (const file of files) {
        const text = await readFile(join(import.meta.dirname, '../../deploy/iam', file), 'utf8');
        const document = text.replaceAll(/"Resource": "[^"]*"/g, '"Resource": "*"');
        await iam({ Action: 'PutUserPolicy', UserName: 'logs', PolicyName: file, PolicyDocument: document });
      }
      const made = await iam({ Action: 'CreateAccessKey', UserName: 'logs' });
      const member = (name: string): string => new RegExp(`<${name}>([^<]+)</${name}>`).exec(made)?.[1] ?? '';
      return { accessKeyId: member('AccessKeyId'), secretAccessKey: member('SecretAccessKey') };
    };
    afterEach(() => enforce('inf'));

    it('write alone is enough where the group exists, and not where it does not', async () => {
      const keys = await userWith('cloudwatch-logs-write.json');
      await server.call('CreateLogGroup', { logGroupName: GROUP });
      await enforce('0');
      const to = await open({}, keys);
      assert.equal((await deliverVia(to, 'x\n')).status, 'delivered');
      const other = await open({ LOG_GROUP: '/k8s/other' }, keys);
      const refused = await deliverVia(other, 'x\n');
      assert(refused.status === 'retryable' && refused.reason === 'credentials', JSON.stringify(refused));
      assert.match(refused.text, /logs:CreateLogGroup/);
    });

    it('write and create make group, retention and tags', async () => {
      const keys = await userWith('cloudwatch-logs-write.json', 'cloudwatch-logs-create.json');
      await enforce('0');
      const to = await open({ RETENTION_DAYS: '7', CLOUDWATCH_TAGS: 'team=shop' }, keys);
      assert.equal((await deliverVia(to, 'x\n')).status, 'delivered');
      await to.close();
      await enforce('inf');
      const { body } = await server.call('DescribeLogGroups', { logGroupNamePrefix: GROUP });
      const { logGroups } = body as { readonly logGroups: ReadonlyArray<{ readonly retentionInDays?: number }> };
      assert.equal(logGroups[0]?.retentionInDays, 7);
    });

    it('confirm needs its policy, and without it the lines go out again', async () => {
      for (const [files, want] of [
        [['cloudwatch-logs-write.json', 'cloudwatch-logs-confirm.json'], 1],
        [['cloudwatch-logs-write.json'], 2],
      ] as const) {
        await server.reset();
        const keys = await userWith(...files);
        await server.call('CreateLogGroup', { logGroupName: GROUP });
        await server.call('CreateLogStream', { logGroupName: GROUP, logStreamName: STREAM });
        await enforce('0');
        server.order({ fault: 'drop-after', count: 1, action: 'PutLogEvents' });
        const to = await open({ CLOUDWATCH_CONFIRM: 'true' }, keys);
        assert.equal((await deliverVia(to, 'x\n', { tries: 2 })).status, 'delivered');
        await enforce('inf');
        assert.equal((await messages()).length, want);
      }
    });

    it('check sink says which action is missing, and what a written event needs', async () => {
      const checked = async (keys: { accessKeyId: string; secretAccessKey: string }): Promise<string> => {
        await open({}, keys);
        const config = forwarderConfig({
          CLOUDWATCH_ENDPOINT: server.url,
          AWS_REGION: server.region,
          SINK_SECRET_DIR: dirs.at(-1) ?? '',
        });
        const steps: string[] = [];
        for await (const { name, outcome, text } of checkCloudWatch({ config, clock: systemClock, writes: true }))
          steps.push(`${name} ${outcome}: ${text}`);
        return steps.slice(5).join('\n');
      };
      const nobody = await userWith();
      await enforce('0');
      assert.match(await checked(nobody), /permission failed: [^]*allow logs:PutLogEvents on arn:aws:logs:us-east-1:/);
      await enforce('inf');
      await server.reset();
      const writer = await userWith('cloudwatch-logs-write.json');
      await enforce('0');
      assert.match(
        await checked(writer),
        /permission ok: logs:PutLogEvents[^]*\nwrite failed: [^]*allow logs:CreateLogGroup/,
      );
      await enforce('inf');
      await server.reset();
      const maker = await userWith('cloudwatch-logs-write.json', 'cloudwatch-logs-create.json');
      await enforce('0');
      const written = await checked(maker);
      const [, group = '', stream = ''] = /\nwrite ok: one record is in (.+), log stream (.+)$/.exec(written) ?? [];
      assert.notEqual(stream, '', written);
      await enforce('inf');
      const events = await server.readEvents(group, stream);
      assert.deepEqual(
        events.map(({ message }) => message),
        ['logtender check sink'],
      );
    });

    it('no policy, and a secret that does not match, hold the lines back', async () => {
      const keys = await userWith();
      await enforce('0');
      const denied = await deliverVia(await open({}, keys), 'x\n');
      assert(denied.status === 'retryable' && denied.reason === 'credentials');
      assert.match(denied.text, /logs:PutLogEvents/);
      const forged = await deliverVia(await open({}, { ...keys, secretAccessKey: 'other' }), 'x\n');
      // moto says this in XML, so there is no name to go by: the status alone tells.
      assert(forged.status === 'retryable' && forged.reason === 'credentials', JSON.stringify(forged));
    });
  });
});
