/**
 * One budget over the buffers of all sinks: it holds while several of them are down, and keeps nobody from working who can.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import type { SinkName } from '../../../src/config/forwarder-config.ts';
import { KiB } from '../../../src/core/limits.ts';
import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import type { Metrics } from '../../../src/core/metrics.ts';
import { ByteBudget } from '../../../src/pipeline/byte-budget.ts';
import { Forwarder } from '../../../src/pipeline/forwarder.ts';
import { MemoryDisk } from '../../fakes/memory-state-files.ts';
import { FakeDestination, fakeSink, UNREACHABLE } from '../../fakes/sink.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const SINKS: readonly SinkName[] = ['elasticsearch', 'cloudwatch', 's3', 'console', 'file'];
const DOWN: readonly SinkName[] = ['elasticsearch', 'cloudwatch', 's3', 'file'];
const BATCH_BYTES = 32 * KiB;
/** One batch each, and one more: ten would be held without it. */
const BUDGET_BYTES = 6 * BATCH_BYTES;
const FILES = ['a', 'b', 'c'];
const LINE = `${'x'.repeat(99)}\n`;

describe('byte budget', () => {
  it('keeps a batch for each, and gives the rest to who asks first', () => {
    const budget = new ByteBudget(10);
    const [one, other] = [
      { heldBytes: 0, batchBytesMax: 4 },
      { heldBytes: 0, batchBytesMax: 4 },
    ];
    budget.join(one);
    budget.join(other);
    assert.deepEqual([budget.heldBytes, budget.isSpent], [0, false]);
    one.heldBytes = 5;
    assert.deepEqual([budget.heldBytes, budget.isSpent], [5, false]);
    one.heldBytes = 6;
    assert.deepEqual([budget.heldBytes, budget.isSpent], [6, true], 'four are kept for the other one');
    other.heldBytes = 4;
    assert.deepEqual([budget.heldBytes, budget.isSpent], [10, true]);
    one.heldBytes = 4;
    assert.deepEqual([budget.heldBytes, budget.isSpent], [8, false]);
  });

  it('is not kept from the others by a sink that does not open; one that opens late gets its batch all the same', async () => {
    const names: readonly SinkName[] = ['elasticsearch', 'console', 's3'];
    const folder = mkdtempSync(join(tmpdir(), 'logtender-budget-'));
    const clock = new VirtualClock();
    const forwarder = await openForwarder({
      folder,
      clock,
      sinks: names,
      metrics: createMetrics(),
      bufferBytesMax: 2 * BATCH_BYTES,
    });
    const attach = (name: SinkName): FakeDestination => {
      const destination = new FakeDestination();
      forwarder.attach(fakeSink({ destination, name, bytesMax: BATCH_BYTES, recordsMax: 10_000 }));
      return destination;
    };
    const run = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 50) {
        for (let turn = 0; turn < 8 && forwarder.turn() === 0; turn += 1) await clock.advance(0, 0);
        await clock.advance(50, 0);
      }
    };
    try {
      const down = attach('elasticsearch');
      down.script = () => UNREACHABLE;
      for (const file of FILES) appendFileSync(join(folder, `${file}.log`), LINE.repeat(1_000));
      await run(2_000);
      assert(forwarder.heldBytes > 1.5 * BATCH_BYTES, `${forwarder.heldBytes} bytes: it has both`);
      const late = attach('console');
      await run(10_000);
      assert.equal(late.stored.size, FILES.length * 1_000);
      assert(forwarder.heldBytes <= 3 * BATCH_BYTES);
      down.script = () => 'store';
      await run(60_000);
      assert.equal(down.stored.size, FILES.length * 1_000);
      assert.equal(forwarder.heldBytes, 0);
      assert.equal(forwarder.problems()['sink-s3'], 'not open yet, see the log');
    } finally {
      await forwarder.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('holds while four sinks of five are down: the fifth gets every source in turns, the others everything later', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-budget-'));
    const clock = new VirtualClock();
    const metrics = createMetrics();
    const destinations = new Map(SINKS.map((name) => [name, new FakeDestination()]));
    for (const name of DOWN) (destinations.get(name) ?? assert.fail()).script = () => UNREACHABLE;
    const forwarder = await openForwarder({ folder, clock, sinks: SINKS, metrics, bufferBytesMax: BUDGET_BYTES });
    for (const [name, destination] of destinations)
      forwarder.attach(fakeSink({ destination, name, bytesMax: BATCH_BYTES, recordsMax: 10_000 }));
    let peak = 0;
    const run = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 50) {
        for (let turn = 0; turn < 8; turn += 1) {
          const waitMs = forwarder.turn();
          peak = Math.max(peak, forwarder.heldBytes);
          await clock.advance(0, 0);
          if (waitMs > 0) break;
        }
        await clock.advance(50, 0);
      }
    };
    try {
      let lines = 0;
      for (let round = 0; round < 20; round += 1, lines += 100) {
        for (const file of FILES) appendFileSync(join(folder, `${file}.log`), LINE.repeat(100));
        await run(1_000);
      }
      const up = destinations.get('console') ?? assert.fail();
      assert.equal(up.stored.size, FILES.length * lines, 'the one that is up has everything');
      assert(peak <= BUDGET_BYTES + BATCH_BYTES, `${peak} bytes were held of ${BUDGET_BYTES} and one batch`);
      assert(peak > BATCH_BYTES * DOWN.length, 'those that are down hold a batch each');
      forwarder.observe();
      assert.match(metrics.expose(), /^logtender_buffered_bytes [1-9]/m);
      for (const destination of destinations.values()) destination.script = () => 'store';
      await run(60_000);
      for (const [name, destination] of destinations) assert.equal(destination.stored.size, FILES.length * lines, name);
      for (const { account } of forwarder.summaries()) account.assertBalanced();
      assert.equal(forwarder.heldBytes, 0);
      assert(peak <= BUDGET_BYTES + BATCH_BYTES);
    } finally {
      await forwarder.close();
      rmSync(folder, { recursive: true });
    }
  });
});

/** Over files of a folder, with a state that is in memory. */
function openForwarder(about: {
  folder: string;
  clock: VirtualClock;
  sinks: readonly SinkName[];
  metrics: Metrics;
  bufferBytesMax: number;
}): Promise<Forwarder> {
  const { folder, clock, sinks, metrics, bufferBytesMax } = about;
  return Forwarder.open({
    files: [{ container: 'app', path: '/log/*.log', directory: '/log', mount: folder }],
    sinks,
    uid: 'uid',
    epoch: 'epoch',
    flushIntervalMs: 200,
    rules: PLAIN_RULES,
    stateFiles: new MemoryDisk().mount(() => true),
    clock,
    random: () => 0.5,
    log: silentLog,
    metrics,
    watch: false,
    bufferBytesMax,
  });
}
