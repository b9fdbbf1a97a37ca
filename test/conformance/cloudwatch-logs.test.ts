/**
 * The CloudWatch Logs sink, with the real SDK, against a strict server in memory.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { FakeCloudWatchLogs } from '../fakes/cloudwatch-logs-server.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import type { Fault } from '../fakes/scripted-server.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { describeSink } from './sink.ts';
import type { Scripted } from './sink.ts';

function failure(type: string, status = 400): Fault {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: JSON.stringify({ __type: type, message: 'words' }),
  };
}

const FAULTS: Readonly<Partial<Record<Scripted, Fault>>> = {
  throttled: failure('ThrottlingException'),
  server_error: failure('ServiceUnavailableException', 500),
  refused: failure('InvalidParameterException'),
  too_large: failure('InvalidParameterException'),
  connection_cut: 'cut_before',
  answer_lost: 'cut_after',
  answer_cut: 'cut_in_answer',
  silence: 'silence',
  credentials: failure('UnrecognizedClientException'),
};

async function secretDir(values: Readonly<Record<string, string>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
  for (const [key, value] of Object.entries(values)) await writeFile(join(dir, key), value);
  return dir;
}

const KEYS = { 'aws-access-key-id': 'AKIDTEST', 'aws-secret-access-key': 'secret' };

interface Started {
  readonly fake: FakeCloudWatchLogs;
  readonly clock: VirtualClock;
  readonly sink: CloudWatchLogsSink;
  readonly dir: string;
  readonly stop: () => Promise<void>;
}

async function start(
  env: Readonly<Record<string, string>> = {},
  keys: Readonly<Record<string, string>> = KEYS,
): Promise<Started> {
  const fake = new FakeCloudWatchLogs();
  await fake.server.start();
  const dir = await secretDir(keys);
  const clock = new VirtualClock(Date.now());
  const config = forwarderConfig({
    CLOUDWATCH_ENDPOINT: fake.server.url,
    AWS_REGION: 'eu-central-1',
    SINK_SECRET_DIR: dir,
    ...env,
  });
  const sink = new CloudWatchLogsSink({ config, clock, log: silentLog, metrics: createMetrics() });
  const stop = async (): Promise<void> => {
    await sink.close();
    await fake.server.stop();
    await rm(dir, { recursive: true });
  };
  return { fake, clock, sink, dir, stop };
}

describeSink('cloudwatch', {
  isIdempotent: false,
  can: new Set<Scripted>([
    'throttled',
    'server_error',
    'refused',
    'too_large',
    'connection_cut',
    'answer_lost',
    'answer_cut',
    'silence',
    'credentials',
    'first_rejected',
  ]),
  start: async () => {
    const { fake, clock, sink, stop } = await start();
    fake.groups.set('/k8s/test/shop/web', {});
    fake.streams.set('/k8s/test/shop/web:web-7d9f-x2x/app/var/log/app/a.log', []);
    return {
      sink,
      clock,
      script: (next) => {
        const fault = FAULTS[next];
        if (fault !== undefined) fake.server.faults.push(fault);
        else fake.rejectedLogEventsInfo = { tooOldLogEventEndIndex: 1 };
      },
      unseen: () => fake.server.faults.length,
      stored: () => fake.messages,
      down: () => fake.server.stop(),
      up: () => fake.server.start(),
      stop,
    };
  },
});

function words(delivery: Delivery): string {
  return 'text' in delivery ? delivery.text : delivery.status;
}

describe('CloudWatchLogsSink', () => {
  let started: Started;
  afterEach(async () => started.stop());

  const deliver = async (line = 'x\n'): Promise<Delivery> => {
    const encoder = started.sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from(line), 0, Buffer.byteLength(line), 0, Date.now());
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
    return started.sink.deliver(encoder.finish(), options);
  };

  it('puts first, then creates stream and group with retention, then puts again', async () => {
    started = await start({ RETENTION_DAYS: '7' });
    assert.equal((await deliver()).status, 'delivered');
    assert.equal((await deliver()).status, 'delivered');
    const { calls, groups, streams } = started.fake;
    const made = ['CreateLogStream', 'CreateLogGroup', 'PutRetentionPolicy', 'CreateLogStream'];
    assert.deepEqual(calls, ['PutLogEvents', ...made, 'PutLogEvents', 'PutLogEvents']);
    assert.deepEqual([...groups], [['/k8s/test/shop/web', { retentionInDays: 7 }]]);
    assert.deepEqual([...streams.keys()], ['/k8s/test/shop/web:web-7d9f-x2x/app/var/log/app/a.log']);
  });

  it('does not touch a group that exists', async () => {
    started = await start({ RETENTION_DAYS: '7' });
    started.fake.groups.set('/k8s/test/shop/web', {});
    started.fake.denied.add('CreateLogGroup').add('PutRetentionPolicy');
    assert.equal((await deliver()).status, 'delivered');
    assert.deepEqual(started.fake.calls, ['PutLogEvents', 'CreateLogStream', 'PutLogEvents']);
  });

  it('delivers although the retention cannot be set', async () => {
    started = await start({ RETENTION_DAYS: '7' });
    started.fake.denied.add('PutRetentionPolicy');
    assert.equal((await deliver()).status, 'delivered');
  });

  it('says which permission is missing', async () => {
    started = await start();
    started.fake.denied.add('CreateLogGroup');
    const delivery = await deliver();
    assert(delivery.status === 'retryable' && delivery.reason === 'credentials');
    assert.match(delivery.text, /logs:CreateLogGroup/);
  });

  it('makes again what was deleted while in use', async () => {
    started = await start();
    await deliver();
    started.fake.streams.clear();
    started.fake.groups.clear();
    assert.equal((await deliver('again\n')).status, 'delivered');
    assert.deepEqual(started.fake.messages, ['again']);
  });

  it('uses new keys of the Secret without a restart', async () => {
    started = await start({}, { ...KEYS, 'aws-access-key-id': 'AKIDOLD' });
    started.fake.accessKeyId = 'AKIDNEW';
    assert.match(words(await deliver()), /UnrecognizedClientException.*access key is not known/);
    await writeFile(join(started.dir, 'aws-access-key-id'), 'AKIDNEW');
    await started.clock.advance(10_000, 0);
    assert.equal((await deliver()).status, 'delivered');
  });

  it('sends bytes that grow under escaping as one legal request', async () => {
    started = await start();
    const line = `${'"\\\u0001é😀'.repeat(5000)}\n`;
    assert.equal((await deliver(line)).status, 'delivered');
    assert.deepEqual(started.fake.messages, [line.trimEnd()]);
  });
});
