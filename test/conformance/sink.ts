/**
 * What every sink must do, whatever its destination: one suite, run against each of them.
 *
 * A harness gives the sink, its scripted destination in the conformance words, and what the destination holds.
 */
import assert from 'node:assert/strict';
import { REQUEST_TIMEOUT_MS } from '../../src/core/limits.ts';
import type { Batch } from '../../src/core/record.ts';
import type { Delivery, DeliverOptions, Sink } from '../../src/sinks/sink.ts';
import { sourceInfo } from '../fakes/forwarder-config.ts';
import type { VirtualClock } from '../fakes/virtual-clock.ts';

/** What the destination does to the next request. */
const SCRIPTED = [
  'throttled',
  'server_error',
  /** The request as a whole is no good. */
  'refused',
  /** Too many bytes. */
  'too_large',
  /** The first record is refused for good, the others are stored. */
  'first_rejected',
  /** The second record is to be sent again, the others are stored. */
  'second_throttled',
  'connection_cut',
  /** Stored, but the answer does not arrive. */
  'answer_lost',
  /** Stored, but the answer is cut in its middle. */
  'answer_cut',
  'silence',
  'credentials',
] as const;
export type Scripted = (typeof SCRIPTED)[number];

/** A cable beside a real server can be cut and can be silent; the rest the server itself would have to say. */
export const BY_CABLE_ALONE = Object.fromEntries(
  SCRIPTED.filter((one) => !['connection_cut', 'answer_lost', 'silence'].includes(one)).map((one) => [
    one,
    'a real server is not brought to it; test/conformance does on the fake, which is held against it',
  ]),
);

export interface SinkHarness {
  readonly sink: Sink;
  readonly clock: VirtualClock;
  script(next: Scripted): void;
  /** Scripted requests that the destination has not seen yet. */
  unseen(): number;
  /** Lines that the destination holds, in the order of their arrival. */
  stored(): readonly string[] | Promise<readonly string[]>;
  /** The destination goes away, and comes back at the same place. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

export interface ConformanceOptions {
  readonly start: () => Promise<SinkHarness>;
  /** What cannot happen to this destination, each with the reason: everything else is tried. */
  readonly cannot: Readonly<Partial<Record<Scripted, string>>>;
  /** A resend of what is stored is recognised. */
  readonly isIdempotent: boolean;
}

const LINES = ['zero', 'one "1"', '', 'three é\u0001', 'four'];
/** What an empty line may be stored as. */
const EMPTY = new Set(['', ' ']);
const TIME_MS = Date.now();

export function describeSink(name: string, options: ConformanceOptions): void {
  describe(`sink conformance: ${name}`, () => {
    const can = new Set<Scripted>(SCRIPTED.filter((next) => options.cannot[next] === undefined));
    for (const [next, why] of Object.entries(options.cannot)) assert(why.length > 20, `${name}: why not ${next}?`);
    let harness: SinkHarness;
    beforeEach(async () => {
      harness = await options.start();
    });
    afterEach(async () => {
      await harness.sink.close();
      await harness.stop();
    });

    const deliver = (batch: Batch, more: Partial<DeliverOptions> = {}): Promise<Delivery> =>
      harness.sink.deliver(batch, {
        selection: undefined,
        sentBefore: () => false,
        signal: new AbortController().signal,
        ...more,
      });
    const arrived = async (): Promise<void> => {
      while (harness.unseen() > 0) await new Promise((resolve) => setImmediate(resolve));
    };
    it('stores every record once, in order', async () => {
      assert.deepEqual(await deliver(batchOf(harness.sink)), { status: 'delivered', duplicates: 0 });
      assertLines(await harness.stored(), LINES);
    });

    it('sends a selection alone', async () => {
      assert.equal((await deliver(batchOf(harness.sink), { selection: [0, 3, 4] })).status, 'delivered');
      assertLines(await harness.stored(), ['zero', LINES[3] ?? '', 'four']);
    });

    it('takes fifty deliveries one after another', async () => {
      const batch = batchOf(harness.sink, ['x']);
      for (let i = 0; i < 50; i += 1)
        assert.notEqual((await deliver(batch, { sentBefore: () => true })).status, 'retryable');
    });

    for (const [next, reason] of [
      ['throttled', 'throttled'],
      ['server_error', 'server_error'],
      ['connection_cut', 'unreachable'],
      ['credentials', 'credentials'],
    ] as const) {
      itIf(can, next, `${next}: nothing is stored, the same goes through later`, async () => {
        const batch = batchOf(harness.sink);
        harness.script(next);
        const delivery = await deliver(batch);
        assert(delivery.status === 'retryable', JSON.stringify(delivery));
        // A cut of an idle connection and of a request look alike to some clients: both are retried.
        assert(
          delivery.reason === reason || (reason === 'unreachable' && delivery.reason === 'timeout'),
          delivery.reason,
        );
        assert.notEqual(delivery.text, '');
        assert.deepEqual(await harness.stored(), []);
        assert.deepEqual(await deliver(batch, { sentBefore: () => true }), { status: 'delivered', duplicates: 0 });
        assertLines(await harness.stored(), LINES);
      });
    }

    itIf(can, 'first_rejected', 'a rejected record is named with the reason, the others are stored', async () => {
      harness.script('first_rejected');
      const delivery = await deliver(batchOf(harness.sink));
      assert(delivery.status === 'partial', JSON.stringify(delivery));
      assert.deepEqual(
        delivery.rejected.map(({ index }) => index),
        [0],
      );
      assert.notEqual(delivery.rejected[0]?.text, '');
      assert.deepEqual([delivery.retry, delivery.conflicts, delivery.duplicates], [[], [], 0]);
      assertLines(await harness.stored(), LINES.slice(1));
    });

    itIf(can, 'first_rejected', 'indexes are those of the batch, not of the selection', async () => {
      harness.script('first_rejected');
      const delivery = await deliver(batchOf(harness.sink), { selection: [2, 4] });
      assert(delivery.status === 'partial', JSON.stringify(delivery));
      assert.deepEqual(
        delivery.rejected.map(({ index }) => index),
        [2],
      );
      assertLines(await harness.stored(), ['four']);
    });

    itIf(can, 'second_throttled', 'a throttled record is asked for again, alone', async () => {
      const batch = batchOf(harness.sink);
      harness.script('second_throttled');
      const delivery = await deliver(batch);
      assert(delivery.status === 'partial', JSON.stringify(delivery));
      assert.deepEqual(delivery.retry, [1]);
      assert.equal((await deliver(batch, { selection: delivery.retry })).status, 'delivered');
      assertLines((await harness.stored()).toSorted(), LINES.toSorted());
    });

    itIf(can, 'refused', 'a request that is no good is refused with words', async () => {
      harness.script('refused');
      const delivery = await deliver(batchOf(harness.sink));
      assert(delivery.status === 'refused', JSON.stringify(delivery));
      assert.notEqual(delivery.text, '');
    });

    itIf(can, 'too_large', 'a request that is too large is to be halved', async () => {
      harness.script('too_large');
      const delivery = await deliver(batchOf(harness.sink));
      assert(delivery.status === 'too_large' || delivery.status === 'refused', JSON.stringify(delivery));
    });

    for (const next of ['answer_lost', 'answer_cut'] as const) {
      itIf(
        can,
        next,
        `${next}: sent again, ${options.isIdempotent ? 'recognised' : 'stored twice'}, never lost`,
        async () => {
          const batch = batchOf(harness.sink);
          harness.script(next);
          assert.equal((await deliver(batch)).status, 'retryable');
          const again = await deliver(batch, { sentBefore: () => true });
          const duplicates = options.isIdempotent ? LINES.length : 0;
          assert.deepEqual(again, { status: 'delivered', duplicates });
          assertLines(await harness.stored(), options.isIdempotent ? LINES : [...LINES, ...LINES]);
        },
      );
    }

    itIf(can, 'silence', 'no answer: given up after the time limit', async () => {
      harness.script('silence');
      const pending = deliver(batchOf(harness.sink));
      await arrived();
      await harness.clock.advance(REQUEST_TIMEOUT_MS, 0);
      const delivery = await pending;
      assert(delivery.status === 'retryable' && delivery.reason === 'timeout', JSON.stringify(delivery));
      assert.equal((await deliver(batchOf(harness.sink))).status, 'delivered');
    });

    itIf(can, 'silence', 'an abort drops the request at once, and a later one works', async () => {
      harness.script('silence');
      const controller = new AbortController();
      const pending = deliver(batchOf(harness.sink), { signal: controller.signal });
      await arrived();
      controller.abort();
      assert.equal((await pending).status, 'retryable');
      assert.equal((await deliver(batchOf(harness.sink), { signal: controller.signal })).status, 'retryable');
      assert.equal((await deliver(batchOf(harness.sink))).status, 'delivered');
    });

    itIf(can, 'connection_cut', 'a destination that goes away and comes back', async () => {
      assert.equal((await deliver(batchOf(harness.sink, ['before']))).status, 'delivered');
      const batch = batchOf(harness.sink);
      await harness.down();
      const delivery = await deliver(batch);
      assert(delivery.status === 'retryable' && delivery.text !== '', JSON.stringify(delivery));
      await harness.up();
      let last = await deliver(batch);
      // The first request may still find the old connection.
      if (last.status === 'retryable') last = await deliver(batch);
      assert.equal(last.status, 'delivered');
      assertLines(await harness.stored(), ['before', ...LINES]);
    });
  });
}

/** A destination to which this cannot happen has nothing to prove; its options say so. */
function itIf(can: ReadonlySet<Scripted>, next: Scripted, title: string, run: () => Promise<void>): void {
  if (can.has(next)) it(title, run);
}

let batches = 0;

/** A batch of the lines, encoded by the sink, from a source of its own. */
function batchOf(sink: Sink, lines: readonly string[] = LINES): Batch {
  batches += 1;
  const input = Buffer.from(`${lines.join('\n')}\n`);
  const encoder = sink.createEncoder();
  const source = sourceInfo('/var/log/app/a.log', String(batches).padStart(16, '0'));
  assert.equal(encoder.append(source, input, 0, input.length, 0, TIME_MS), input.length);
  const batch = encoder.finish();
  assert.equal(batch.records, lines.length);
  return batch;
}

function assertLines(got: readonly string[], want: readonly string[]): void {
  assert.deepEqual(
    got.map((line) => (EMPTY.has(line) ? '' : line)),
    want,
  );
}
