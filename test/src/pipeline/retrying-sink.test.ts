/**
 * Every outcome of a request, and the schedule of the retries.
 */
import assert from 'node:assert/strict';

import { createLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import type { Batch, SourceInfo } from '../../../src/core/record.ts';
import { RetryingSink } from '../../../src/pipeline/retrying-sink.ts';
import type { Settlement } from '../../../src/pipeline/retrying-sink.ts';
import type { Sink } from '../../../src/sinks/sink.ts';
import { FakeDestination, fakeSink, partial, UNREACHABLE } from '../../fakes/sink.ts';
import type { Answer, Script } from '../../fakes/sink.ts';
import { whileTimePasses } from '../../fakes/passing-time.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const SOURCE: SourceInfo = { id: 'source', container: 'app', path: '/log/a', file: 'log/a' };

function batchOf(destination: FakeDestination, records: number): Batch {
  const encoder = fakeSink({ destination }).createEncoder();
  const input = Buffer.from(Array.from({ length: records }, (_, i) => `r${i}\n`).join(''));
  assert.equal(encoder.append(SOURCE, input, 0, input.length, 0, 0), input.length);
  return encoder.finish();
}

interface Run {
  readonly settlement: Settlement;
  readonly destination: FakeDestination;
  readonly clock: VirtualClock;
  readonly lines: readonly string[];
  /** Indexes of each request. */
  readonly sent: readonly (readonly number[])[];
}

async function run(records: number, script: Script, abortAfterMs?: number): Promise<Run> {
  const destination = new FakeDestination();
  destination.script = script;
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = createLog({ clock, level: 'info', write: (line) => lines.push(line) });
  const retrying = new RetryingSink({
    sink: fakeSink({ destination }),
    clock,
    random: () => 0.5,
    log,
    metrics: createMetrics(),
  });
  const abort = new AbortController();
  const delivery = retrying.deliver(batchOf(destination, records), { sentBefore: () => false, signal: abort.signal });
  if (abortAfterMs !== undefined) void clock.sleep(abortAfterMs).then(() => abort.abort());
  const outcome = await whileTimePasses(clock, delivery, 600_000, 1_000);
  assert(outcome.settled, 'the delivery comes to its end');
  const settlement = outcome.value;
  return { settlement, destination, clock, lines, sent: destination.requests.map(({ indexes }) => indexes) };
}

/** One answer after the other, then `store`. */
const inTurn = (...answers: readonly Answer[]): Script => {
  const rest = [...answers];
  return () => rest.shift() ?? 'store';
};

const ALL = [0, 1, 2, 3, 4, 5, 6, 7];
const GOOD: Settlement = { settled: 8, duplicates: 0, rejected: [], conflicts: [] };

describe('retrying sink', () => {
  it('settles a batch that is stored at once', async () => {
    const { settlement, sent } = await run(8, inTurn());
    assert.deepEqual(settlement, GOOD);
    assert.deepEqual(sent, [ALL]);
  });

  it('calls it a first send only where nothing went out before, this delivery included', async () => {
    for (const isFirstSend of [true, false, undefined]) {
      const said: (boolean | undefined)[] = [];
      const destination = new FakeDestination();
      destination.script = inTurn(UNREACHABLE);
      const fake = fakeSink({ destination });
      const sink: Sink = {
        ...fake,
        deliver: (batch, options) => {
          said.push(options.isFirstSend);
          return fake.deliver(batch, options);
        },
      };
      const clock = new VirtualClock();
      const log = createLog({ clock, level: 'error', write: () => {} });
      const retrying = new RetryingSink({ sink, clock, random: () => 0.5, log, metrics: createMetrics() });
      const { signal } = new AbortController();
      const first = isFirstSend === undefined ? {} : { isFirstSend };
      const delivery = retrying.deliver(batchOf(destination, 2), { sentBefore: () => false, ...first, signal });
      assert((await whileTimePasses(clock, delivery, 600_000, 1_000)).settled);
      assert.deepEqual(said, [isFirstSend === true, false]);
    }
  });

  it('settles nothing to send', async () => {
    assert.deepEqual((await run(0, inTurn())).settlement, { ...GOOD, settled: 0 });
  });

  it('sends again until it is taken, and tells the trouble once and its end once', async () => {
    const { settlement, sent, lines } = await run(8, inTurn(UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE));
    assert.deepEqual(settlement, GOOD);
    assert.equal(sent.length, 5);
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { message: string }).message),
      ['sink does not take records, retrying', 'sink takes records again'],
    );
  });

  it('waits as long as the server asks for', async () => {
    const throttled: Answer = { status: 'retryable', reason: 'throttled', retryAfterMs: 120_000, text: '429' };
    const { clock } = await run(1, inTurn(throttled));
    assert(clock.monotonic() >= 120_000, `expected two minutes, got ${clock.monotonic()} ms`);
  });

  it('counts a record that is there already as delivered when its answer was lost', async () => {
    const { settlement, destination } = await run(8, inTurn('store_and_lose_answer'));
    assert.deepEqual(settlement, { ...GOOD, duplicates: 8 });
    assert.equal(destination.stored.size, 8);
  });

  it('sends only what a partial answer left open', async () => {
    const { settlement, sent } = await run(8, inTurn(partial({ retry: [2, 5] }), partial({ retry: [5] })));
    assert.deepEqual(settlement, GOOD);
    assert.deepEqual(sent, [ALL, [2, 5], [5]]);
  });

  it('reports what is rejected and what is in conflict by index', async () => {
    const rejected = [{ index: 3, reason: 'rejected_by_sink', text: 'no such field' }] as const;
    const { settlement, sent } = await run(8, inTurn(partial({ retry: [1], rejected: [...rejected], conflicts: [6] })));
    assert.deepEqual(settlement, { ...GOOD, rejected, conflicts: [6] });
    assert.deepEqual(sent, [ALL, [1]]);
  });

  it('halves what is too large, in order, and rejects the one record that alone is', async () => {
    const { settlement, sent } = await run(8, ({ indexes }) =>
      indexes.includes(5) ? { status: 'too_large', text: '413' } : 'store',
    );
    assert.deepEqual(settlement, { ...GOOD, rejected: [{ index: 5, reason: 'too_large', text: '413' }] });
    assert.deepEqual(sent, [ALL, [0, 1, 2, 3], [4, 5, 6, 7], [4, 5], [4], [5], [6, 7]]);
  });

  it('isolates every guilty record of a refused request', async () => {
    const { settlement, destination } = await run(8, ({ indexes }) =>
      indexes.some((index) => index === 0 || index === 7)
        ? { status: 'refused', reason: 'rejected_by_sink', text: '400' }
        : 'store',
    );
    assert.deepEqual(
      settlement.rejected.map(({ index }) => index),
      [0, 7],
    );
    assert.deepEqual(destination.texts, ['r1\n', 'r2\n', 'r3\n', 'r4\n', 'r5\n', 'r6\n']);
  });

  async function pastSendsOf(...answers: Answer[]): Promise<readonly string[][]> {
    const destination = new FakeDestination();
    destination.script = () => answers.shift() ?? 'store';
    const said: string[][] = [];
    const sink = fakeSink({ destination });
    const clock = new VirtualClock();
    const retrying = new RetryingSink({
      sink: {
        ...sink,
        deliver: async (batch, options) => {
          said.push(Array.from({ length: 3 }, (_, index) => options.pastSends?.(index) ?? ''));
          return sink.deliver(batch, options);
        },
      },
      clock,
      random: () => 0.5,
      log: createLog({ clock, level: 'error', write: () => {} }),
      metrics: createMetrics(),
    });
    const delivery = retrying.deliver(batchOf(destination, 3), {
      sentBefore: () => true,
      wentOut: (index) => index === 1,
      signal: new AbortController().signal,
    });
    assert((await whileTimePasses(clock, delivery, 60_000, 1_000)).settled);
    return said;
  }

  it('says of each record how often it went out without an outcome; what went out earlier stays so', async () => {
    assert.deepEqual(await pastSendsOf(UNREACHABLE, partial({ retry: [0, 1] }), 'store'), [
      ['none', 'earlier', 'none'],
      ['once', 'earlier_and_since', 'once'],
      ['several', 'earlier_and_since', 'once'],
    ]);
  });

  it('a request that was refused as a whole is none that went out', async () => {
    const refusals = (['throttled', 'credentials', 'not_found'] as const).map(
      (reason) => ({ status: 'retryable', reason, retryAfterMs: 0, text: 'refused' }) as const,
    );
    assert.deepEqual(await pastSendsOf(...refusals, UNREACHABLE, ...refusals.slice(0, 1), 'store'), [
      ...Array.from({ length: 4 }, () => ['none', 'earlier', 'none']),
      ...Array.from({ length: 2 }, () => ['once', 'earlier_and_since', 'once']),
    ]);
  });

  it('leaves a contiguous rest when it is aborted', async () => {
    const { settlement } = await run(
      8,
      ({ indexes }) => {
        if (indexes.length > 4) return { status: 'too_large', text: '413' };
        return indexes[0] === 0 ? 'store' : UNREACHABLE;
      },
      5_000,
    );
    assert.equal(settlement.settled, 4);
  });

  it('waits longer from failure to failure, up to the bound', async () => {
    const times: number[] = [];
    const destination = new FakeDestination();
    const clock = new VirtualClock();
    destination.script = () => {
      times.push(clock.monotonic());
      return times.length < 14 ? UNREACHABLE : 'store';
    };
    const log = createLog({ clock, level: 'error', write: () => {} });
    const retrying = new RetryingSink({
      sink: fakeSink({ destination }),
      clock,
      random: () => 1,
      log,
      metrics: createMetrics(),
    });
    const signal = new AbortController().signal;
    const done = retrying.deliver(batchOf(destination, 1), { sentBefore: () => false, signal });
    for (let i = 0; i < 400; i += 1) await clock.advance(1_000, 0);
    await done;
    const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    assert.deepEqual(waits.slice(0, 5), [200, 400, 800, 1_600, 3_200]);
    assert.deepEqual(waits.slice(-3), [30_000, 30_000, 30_000]);
  });
});
