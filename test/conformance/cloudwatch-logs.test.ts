/**
 * The CloudWatch Logs sink against a strict server in memory, which checks every signature, those of the real SDK included.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Batch } from '../../src/core/record.ts';
import type { Delivery, DeliverOptions } from '../../src/sinks/sink.ts';
import { sourceInfo } from '../fakes/forwarder-config.ts';
import type { Fault } from '../fakes/scripted-server.ts';
import { failure, GROUP, ImpatientClock, KEYS, seen, start, STREAM, words } from '../fakes/started-cloudwatch.ts';
import type { Started } from '../fakes/started-cloudwatch.ts';
import { describeSink } from './sink.ts';
import type { Scripted } from './sink.ts';

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

describeSink('cloudwatch', {
  isIdempotent: false,
  cannot: { second_throttled: 'PutLogEvents throttles a request as a whole (API reference, rejectedLogEventsInfo)' },
  start: async () => {
    const { fake, clock, sink, stop } = await start();
    fake.groups.set(GROUP, {});
    fake.streams.set(`${GROUP}:${STREAM}`, []);
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

const EMPTY_GROUP = { logGroupClass: undefined, kmsKeyId: undefined, tags: undefined };

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
    await started.sink.close();
    const { calls, groups, streams } = started.fake;
    const made = ['CreateLogStream', 'CreateLogGroup', 'CreateLogStream'];
    assert.deepEqual(calls, ['PutLogEvents', ...made, 'PutLogEvents', 'PutRetentionPolicy']);
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

  it('delivers although the retention cannot be set, and sets it a minute later', async () => {
    started = await start({ RETENTION_DAYS: '7' });
    const { fake, clock } = started;
    fake.errors.set('PutRetentionPolicy', ['OperationAbortedException']);
    assert.equal((await deliver()).status, 'delivered');
    await seen(fake, 'PutRetentionPolicy', 1);
    assert.equal((await deliver()).status, 'delivered');
    await clock.advance(60_000, 0);
    assert.equal((await deliver()).status, 'delivered');
    await seen(fake, 'PutRetentionPolicy', 2);
    assert.equal(fake.groups.get(GROUP)?.retentionInDays, 7);
  });

  const SETTINGS = {
    CLOUDWATCH_LOG_GROUP_CLASS: 'infrequent-access',
    CLOUDWATCH_KMS_KEY: 'arn:aws:kms:eu-central-1:111122223333:key/k',
    CLOUDWATCH_TAGS: 'team=shop,env=prod',
  };
  const WHOLE = {
    logGroupClass: 'INFREQUENT_ACCESS',
    kmsKeyId: SETTINGS.CLOUDWATCH_KMS_KEY,
    tags: { team: 'shop', env: 'prod' },
  };
  const LESS: ReadonlyArray<
    readonly [name: string, denied: readonly string[], refused: readonly string[], want: object]
  > = [
    ['all of it', [], [], WHOLE],
    ['no tags without logs:TagResource', ['TagResource'], [], { ...WHOLE, tags: undefined }],
    ['no key that is disabled', [], ['kmsKeyId'], { ...WHOLE, kmsKeyId: undefined }],
    ['no class that the region lacks', [], ['logGroupClass'], { ...WHOLE, logGroupClass: undefined }],
    [
      'nothing but the name',
      ['TagResource'],
      ['kmsKeyId'],
      { ...WHOLE, tags: undefined, kmsKeyId: undefined, logGroupClass: undefined },
    ],
  ];
  for (const [name, denied, refused, want] of LESS) {
    it(`a new group gets class, key and tags: ${name}, and every line`, async () => {
      started = await start(SETTINGS);
      for (const action of denied) started.fake.denied.add(action);
      for (const setting of refused) started.fake.refusedSettings.add(setting);
      assert.equal((await deliver()).status, 'delivered');
      assert.deepEqual({ ...EMPTY_GROUP, ...started.fake.groups.get(GROUP) }, { ...EMPTY_GROUP, ...want });
    });
  }

  it('retention is set on a group whose making had no answer', async () => {
    started = await start({ RETENTION_DAYS: '7' });
    started.fake.errors.set('CreateLogGroup', ['ServiceUnavailableException']);
    assert.equal((await deliver()).status, 'retryable');
    started.fake.groups.set(GROUP, {});
    started.fake.errors.set('CreateLogStream', ['ResourceNotFoundException']);
    assert.equal((await deliver()).status, 'delivered');
    await started.sink.close();
    assert.equal(started.fake.groups.get(GROUP)?.retentionInDays, 7);
  });

  it('says which action is missing, and on which ARN', async () => {
    started = await start();
    started.fake.denied.add('CreateLogGroup');
    const delivery = await deliver();
    assert(delivery.status === 'retryable' && delivery.reason === 'credentials');
    assert.match(
      delivery.text,
      /allow logs:CreateLogGroup on arn:aws:logs:eu-central-1:\*:log-group:\/k8s\/test\/shop\/web to this identity/,
    );
  });

  it('spreads requests as configured', async () => {
    started = await start({ CLOUDWATCH_REQUESTS_PER_SECOND: '2' });
    await deliver();
    const before = started.fake.calls.length;
    const third = deliver();
    const puts = (): number => started.fake.calls.slice(before).length;
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(puts(), 0, 'two puts of one second are used up');
    await started.clock.advance(500, 0);
    assert.equal((await third).status, 'delivered');
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

describe('CloudWatchLogsSink: events of the wrong time', () => {
  const DAY = 24 * 60 * 60 * 1000;
  let started: Started;
  afterEach(async () => started.stop());

  const batchAt = (ages: readonly number[]): Batch => {
    const encoder = started.sink.createEncoder();
    const now = started.clock.now();
    ages.forEach((age, i) => {
      const line = Buffer.from(`${age} "é"\n`);
      assert.equal(encoder.append(sourceInfo(), line, 0, line.length, i * 100, now - age), line.length);
    });
    return encoder.finish();
  };
  const once = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
  const prepare = async (env: Readonly<Record<string, string>>): Promise<void> => {
    started = await start(env);
    started.fake.groups.set(GROUP, {});
    started.fake.streams.set(`${GROUP}:${STREAM}`, []);
    started.fake.nowMs = (): number => started.clock.now();
  };

  it('go to the dead letter, each with its reason', async () => {
    await prepare({});
    const old = await started.sink.deliver(batchAt([15 * DAY, 15 * DAY - 5]), once);
    assert(old.status === 'partial');
    assert.deepEqual(
      old.rejected.map(({ index, reason, text }) => [index, reason, text]),
      [0, 1].map((index) => [index, 'too_old', 'older than 14 days']),
    );
    const early = await started.sink.deliver(batchAt([-3 * 3_600_000]), once);
    assert(early.status === 'partial' && early.rejected[0]?.reason === 'too_new');
    assert.deepEqual(started.fake.messages, []);
  });

  it('are stored with the time of now when the user says so', async () => {
    await prepare({ CLOUDWATCH_REJECTED: 'restamp' });
    const batch = batchAt([15 * DAY, 15 * DAY - 5]);
    assert.deepEqual(await started.sink.deliver(batch, once), { status: 'delivered', duplicates: 0 });
    const events = started.fake.streams.get(`${GROUP}:${STREAM}`) ?? [];
    assert.deepEqual(
      events.map(({ message }) => message),
      [15 * DAY, 15 * DAY - 5].map((age) => `${age} "é"`),
    );
    // The service's clock is known by its Date header, in whole seconds.
    for (const { timestamp } of events) assert(Math.abs(timestamp - started.clock.now()) < 5_000, String(timestamp));
  });

  it('refused again, they are dead; not answered, they are asked for again and counted', async () => {
    await prepare({ CLOUDWATCH_REJECTED: 'restamp' });
    started.fake.nowMs = (): number => started.clock.now() + 30 * DAY;
    const dead = await started.sink.deliver(batchAt([15 * DAY]), once);
    assert(dead.status === 'partial' && dead.rejected.length === 1 && dead.rejected[0]?.reason === 'too_old');
    started.fake.nowMs = (): number => started.clock.now();
    const batch = batchAt([15 * DAY, 15 * DAY]);
    started.fake.errors.set('PutLogEvents', []);
    let puts = 0;
    started.fake.onPut = (): void => {
      puts += 1;
      if (puts === 1) started.fake.server.faults.push('cut_after');
    };
    const open = await started.sink.deliver(batch, once);
    assert(open.status === 'partial' && open.retry.length === 2, JSON.stringify(open));
    const resent: number[] = [];
    const onResend = async (records: number): Promise<void> => void resent.push(records);
    const again = await started.sink.deliver(batch, { ...once, selection: open.retry, onResend });
    assert.deepEqual([again, resent], [{ status: 'delivered', duplicates: 0 }, [2]]);
  });
});

describe('CloudWatchLogsSink: answers that are lost', () => {
  let started: Started;
  afterEach(async () => started.stop());

  const resent: number[] = [];
  const options = {
    selection: undefined,
    sentBefore: (): boolean => false,
    signal: new AbortController().signal,
    onResend: async (records: number): Promise<void> => void resent.push(records),
  };
  const prepare = async (env: Readonly<Record<string, string>> = {}): Promise<void> => {
    resent.length = 0;
    started = await start(env, KEYS, new ImpatientClock(Date.now()));
    started.fake.groups.set(GROUP, {});
    started.fake.streams.set(`${GROUP}:${STREAM}`, []);
  };
  const batchOf = (lines: string): Batch => {
    const encoder = started.sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from(lines), 0, Buffer.byteLength(lines), 0, started.clock.now());
    return encoder.finish();
  };
  const deliver = (batch: Batch, more: Partial<DeliverOptions> = {}): Promise<Delivery> =>
    started.sink.deliver(batch, { ...options, ...more });

  it('are counted before the records go out again, once for each time', async () => {
    await prepare();
    const batch = batchOf('a\nb\nc\n');
    started.fake.server.faults.push('cut_after', 'cut_before', failure('ThrottlingException'));
    for (const want of [[], [3], [3, 3], [3, 3]]) {
      await started.sink.deliver(batch, options);
      assert.deepEqual(resent, want);
    }
    assert.equal(started.fake.messages.length, 6, 'three too many, which is at most what was counted');
  });

  it('are counted for what an earlier process may have sent', async () => {
    await prepare();
    await started.sink.deliver(batchOf('a\nb\nc\n'), { ...options, sentBefore: (index) => index < 2 });
    assert.deepEqual(resent, [2]);
  });

  it('nothing is counted for what surely was not stored', async () => {
    await prepare();
    const batch = batchOf('a\nb\n');
    started.fake.server.faults.push(failure('ThrottlingException'), failure('AccessDeniedException'));
    for (let i = 0; i < 3; i += 1) await started.sink.deliver(batch, options);
    await started.fake.server.stop();
    assert.equal((await started.sink.deliver(batch, options)).status, 'retryable');
    await started.fake.server.start();
    let last = await started.sink.deliver(batch, options);
    while (last.status === 'retryable') last = await started.sink.deliver(batch, options);
    // The first call after the stop may have found the old connection, which may mean anything.
    assert(resent.length <= 1, String(resent));
  });

  it('confirm: what is stored is found, in as many looks as it takes, and not sent again', async () => {
    await prepare({ CLOUDWATCH_CONFIRM: 'true' });
    const batch = batchOf('same\nsame\n"é"\n');
    started.fake.server.faults.push('cut_after');
    assert.equal((await deliver(batch)).status, 'retryable');
    started.fake.hiddenLooks = 3;
    assert.deepEqual(await deliver(batch), { status: 'delivered', duplicates: 0 });
    assert.deepEqual(started.fake.messages, ['same', 'same', '"é"']);
    assert.deepEqual([resent, started.fake.hiddenLooks], [[], 0]);
  });

  it('confirm: what is not stored is sent again, and counted, because it may yet appear', async () => {
    await prepare({ CLOUDWATCH_CONFIRM: 'true' });
    const batch = batchOf('a\nb\n');
    started.fake.server.faults.push('cut_before');
    assert.equal((await deliver(batch)).status, 'retryable');
    assert.deepEqual(await deliver(batch), { status: 'delivered', duplicates: 0 });
    assert.deepEqual([started.fake.messages, resent], [['a', 'b'], [2]]);
  });

  it('confirm: an equal line of an earlier batch, of the same millisecond, is not taken for this one', async () => {
    await prepare({ CLOUDWATCH_CONFIRM: 'true' });
    assert.equal((await deliver(batchOf('same\n'))).status, 'delivered');
    const batch = batchOf('same\n');
    started.fake.server.faults.push('cut_before');
    assert.equal((await deliver(batch)).status, 'retryable');
    assert.equal((await deliver(batch)).status, 'delivered');
    assert.deepEqual(started.fake.messages, ['same', 'same']);
  });

  it('confirm: a part that is stored settles, and the rest is asked for', async () => {
    await prepare({ CLOUDWATCH_CONFIRM: 'true' });
    const batch = batchOf('a\nb\nc\n');
    started.fake.server.faults.push('cut_after');
    await deliver(batch);
    started.fake.streams.get(`${GROUP}:${STREAM}`)?.splice(1, 1);
    const delivery = await deliver(batch);
    assert(delivery.status === 'partial');
    assert.deepEqual(delivery.retry, [1]);
    assert.equal((await deliver(batch, { selection: delivery.retry })).status, 'delivered');
    assert.deepEqual(started.fake.messages, ['a', 'c', 'b']);
  });

  for (const [name, errors, looks] of [
    ['forbidden', ['AccessDeniedException'], 1],
    ['throttled for good', Array.from({ length: 20 }, () => 'ThrottlingException'), 5],
  ] as const) {
    it(`confirm: reading that is ${name} ends, and the records go out`, async () => {
      await prepare({ CLOUDWATCH_CONFIRM: 'true' });
      const batch = batchOf('a\n');
      started.fake.server.faults.push('cut_before');
      await deliver(batch);
      started.fake.errors.set('GetLogEvents', [...errors]);
      let last = await deliver(batch);
      for (let tries = 0; last.status === 'retryable' && tries < 20; tries += 1) last = await deliver(batch);
      assert.equal(last.status, 'delivered');
      assert.equal(started.fake.calls.filter((call) => call === 'GetLogEvents').length, looks);
    });
  }

  it('confirm: a stream that is shared with other pods is not read', async () => {
    await prepare({ CLOUDWATCH_CONFIRM: 'true', LOG_STREAM: 'shared' });
    const batch = batchOf('a\n');
    started.fake.streams.set(`${GROUP}:shared/var/log/app/a.log`, []);
    started.fake.server.faults.push('cut_after');
    await deliver(batch);
    assert.equal((await deliver(batch)).status, 'delivered');
    assert.deepEqual([started.fake.messages, resent], [['a', 'a'], [1]]);
    assert(!started.fake.calls.includes('GetLogEvents'));
  });
});
