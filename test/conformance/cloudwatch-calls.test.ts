/**
 * How the CloudWatch Logs sink calls: which calls need the SDK and which never load it, clocks that are off, limits of time.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REQUEST_TIMEOUT_MS } from '../../src/core/limits.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Batch } from '../../src/core/record.ts';
import { loadSdk } from '../../src/sinks/cloudwatch-logs/calls.ts';
import type { SessionOptions } from '../../src/sinks/cloudwatch-logs/session.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { failure, GROUP, ImpatientClock, KEYS, seen, start, STREAM, words } from '../fakes/started-cloudwatch.ts';
import type { Started } from '../fakes/started-cloudwatch.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

const ONE_DELIVERY = join(import.meta.dirname, '../fakes/one-delivery-main.ts');

describe('CloudWatchLogsSink: the SDK', () => {
  let started: Started;
  let loads = 0;
  const prepare = async (env: Readonly<Record<string, string>> = {}): Promise<void> => {
    loads = 0;
    const counted = (): ReturnType<typeof loadSdk> => {
      loads += 1;
      return loadSdk();
    };
    const clock = new ImpatientClock(Date.now());
    started = await start(env, KEYS, clock, { loadSdk: counted, instanceRegion: async () => 'eu-west-3' });
  };
  afterEach(async () => started.stop());
  const deliver = async (): Promise<Delivery> => {
    const encoder = started.sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, Date.now());
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
    return started.sink.deliver(encoder.finish(), options);
  };

  it('is not loaded by a sidecar whose group is there, whatever happens to its events and its stream', async () => {
    await prepare({ RETENTION_DAYS: '7' });
    const { fake } = started;
    fake.groups.set(GROUP, {});
    assert.equal((await deliver()).status, 'delivered');
    fake.streams.clear();
    assert.equal((await deliver()).status, 'delivered');
    fake.server.faults.push(failure('ThrottlingException'), failure('ServiceUnavailableException', 503), 'cut_after');
    for (let i = 0; i < 3; i += 1) assert.equal((await deliver()).status, 'retryable');
    assert.equal((await deliver()).status, 'delivered');
    assert.equal(loads, 0);
  });

  it('is in no part of the process before it is needed: by the modules that a process of its own loads', async () => {
    await prepare();
    const env = {
      CLOUDWATCH_ENDPOINT: started.fake.server.url,
      AWS_REGION: 'eu-central-1',
      SINK_SECRET_DIR: started.dir,
    };
    const packagesOf = async (): Promise<readonly string[]> => {
      const { stdout } = await promisify(execFile)(process.execPath, [ONE_DELIVERY, JSON.stringify(env)]);
      const { status, packages } = JSON.parse(stdout) as { status: string; packages: readonly string[] };
      assert.equal(status, 'delivered');
      return packages;
    };
    // Without its group first: the same process does load it then.
    assert((await packagesOf()).includes('@aws-sdk/client-cloudwatch-logs'));
    started.fake.streams.clear();
    const packages = await packagesOf();
    assert(packages.includes('@smithy/signature-v4') && !packages.includes('@aws-sdk/client-cloudwatch-logs'));
  });

  it('is loaded once for a group that has to be made, with its retention', async () => {
    await prepare({ RETENTION_DAYS: '7' });
    assert.equal((await deliver()).status, 'delivered');
    await seen(started.fake, 'PutRetentionPolicy', 1);
    assert.equal(loads, 1);
  });

  it('is loaded to read back what may be stored', async () => {
    await prepare({ CLOUDWATCH_CONFIRM: 'true' });
    started.fake.groups.set(GROUP, {});
    started.fake.streams.set(`${GROUP}:${STREAM}`, []);
    started.fake.server.faults.push('cut_after');
    const encoder = started.sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, Date.now());
    const batch = encoder.finish();
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
    assert.equal((await started.sink.deliver(batch, options)).status, 'retryable');
    assert.equal(loads, 0);
    assert.equal((await started.sink.deliver(batch, options)).status, 'delivered');
    assert.deepEqual([loads, started.fake.messages], [1, ['x']]);
  });

  it('is asked for the region of a profile before the machine is', async () => {
    await prepare({ AWS_REGION: '' });
    started.fake.groups.set(GROUP, {});
    const config = join(started.dir, 'config');
    await writeFile(config, '[default]\nregion = ap-south-1\n');
    const names = ['AWS_CONFIG_FILE', 'AWS_REGION', 'AWS_PROFILE'];
    const saved = names.map((name) => [name, process.env[name]] as const);
    for (const name of names) delete process.env[name];
    process.env['AWS_CONFIG_FILE'] = config;
    try {
      started.fake.denied.add('PutLogEvents');
      assert.match(words(await deliver()), /arn:aws:logs:ap-south-1:/);
      assert.equal(loads, 1);
    } finally {
      for (const [name, value] of saved) {
        delete process.env[name];
        if (value !== undefined) process.env[name] = value;
      }
    }
  });

  it('a region that could be none is said, and nothing is sent', async () => {
    await prepare({ AWS_REGION: 'eu central 1' });
    assert.match(words(await deliver()), /^no AWS region: expected a name such as eu-central-1, got eu central 1$/);
    assert.deepEqual(started.fake.calls, []);
  });
});

describe('CloudWatchLogsSink: clocks and time limits', () => {
  const SKEW_MS = 20 * 60 * 1000;
  let started: Started;
  afterEach(async () => started.stop());
  const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
  const batchOf = (lines: string): Batch => {
    const encoder = started.sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from(lines), 0, Buffer.byteLength(lines), 0, Date.now());
    return encoder.finish();
  };

  for (const skewMs of [SKEW_MS, -SKEW_MS]) {
    for (const error of ['InvalidSignatureException', 'RequestExpired']) {
      it(`a clock that is ${skewMs / 60_000} min off: ${error} once, then signed for the time of the service`, async () => {
        started = await start({}, KEYS, new VirtualClock(Date.now() + skewMs));
        started.fake.groups.set(GROUP, {});
        started.fake.skewError = error;
        const batch = batchOf('x\n');
        const first = await started.sink.deliver(batch, options);
        assert(first.status === 'retryable' && first.reason === 'credentials', JSON.stringify(first));
        assert.match(first.text, /clock of the node/);
        assert.equal((await started.sink.deliver(batch, options)).status, 'delivered');
        // Also by other keys.
        await writeFile(join(started.dir, 'aws-session-token'), 'token');
        await started.clock.advance(10_000, 0);
        assert.equal((await started.sink.deliver(batchOf('y\n'), options)).status, 'delivered');
        assert.deepEqual(started.fake.messages, ['x', 'y']);
      });
    }
  }

  it('a connection that never comes about is no possible duplicate, silence after it is one', async () => {
    started = await start();
    const { fake, clock, dir } = started;
    fake.groups.set(GROUP, {});
    let isKnown = false;
    const lookup: SessionOptions['lookup'] = (_host, { all }, done) => {
      if (!isKnown) return;
      if (all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
      else done(null, '127.0.0.1', 4);
    };
    const config = forwarderConfig({
      CLOUDWATCH_ENDPOINT: fake.server.url.replace('127.0.0.1', 'logs.test'),
      AWS_REGION: 'eu-central-1',
      SINK_SECRET_DIR: dir,
    });
    const sink = new CloudWatchLogsSink({ config, clock, log: silentLog, metrics: createMetrics(), lookup });
    const resent: number[] = [];
    const onResend = async (records: number): Promise<void> => void resent.push(records);
    const batch = batchOf('a\nb\n');
    const late = async (isUnderWay: () => boolean): Promise<void> => {
      const delivering = sink.deliver(batch, { ...options, onResend });
      while (!isUnderWay()) await new Promise((resolve) => setImmediate(resolve));
      await clock.quiet(1);
      await clock.advance(REQUEST_TIMEOUT_MS, 0);
      const delivery = await delivering;
      assert(delivery.status === 'retryable' && delivery.reason === 'timeout', JSON.stringify(delivery));
    };
    await late(() => true);
    await late(() => true);
    assert.deepEqual(resent, []);
    isKnown = true;
    fake.server.faults.push('silence');
    await late(() => fake.server.requests > 0);
    assert.deepEqual(resent, []);
    assert.equal((await sink.deliver(batch, { ...options, onResend })).status, 'delivered');
    assert.deepEqual([resent, fake.messages], [[2], ['a', 'b']]);
    await sink.close();
  });
});
