/**
 * Whatever is fed to the encoder, in whatever order of sizes and times, no request leaves us that CloudWatch Logs refuses: random runs
 * aimed at each limit, judged by the rules that the strict proxy keeps (test/servers/cloudwatch/rules.ts), which share no number with the
 * product. Runs that the limits are really reached is asserted too.
 *
 * The seed is printed when a run fails; LIMITS_RUNS sets how many there are.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LINE_BYTES_MAX } from '../../src/core/limits.ts';
import type { Batch, ShapedRecord } from '../../src/core/record.ts';
import { LogEventsEncoder, StreamTimes } from '../../src/sinks/cloudwatch-logs/encode.ts';
import { logDestination, putLogEventsBody } from '../../src/sinks/cloudwatch-logs/request.ts';
import { restampedSlices } from '../../src/sinks/cloudwatch-logs/restamp.ts';
import { selectedSlices } from '../../src/sinks/selection.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import {
  BATCH_BYTES_MAX,
  BATCH_EVENTS_MAX,
  checkCall,
  EVENT_OVERHEAD_BYTES,
  SPAN_MS_MAX,
} from '../servers/cloudwatch/rules.ts';
import type { Input, LogEvent } from '../servers/cloudwatch/rules.ts';

const RUNS = Number(process.env['LIMITS_RUNS'] ?? 10);
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const SOURCE = sourceInfo();

/** A run of equal lines, read at one time. */
interface Step {
  readonly letter: string;
  /** Bytes of each line without its end. */
  readonly bytes: number;
  readonly lines: number;
  /** Moves the clock before the run, in milliseconds. */
  readonly moveMs: number;
}

/** What grows when it is escaped, what is several bytes of UTF-8, and what is no UTF-8 at all and becomes U+FFFD. */
const letter = fc.constantFrom('x', '"', '\u0001', 'é', '😀', 'invalid');
const bytes = fc.oneof(
  fc.nat({ max: 40 }),
  // 64 of these fill a batch exactly, and a byte more or less makes the difference.
  fc.constantFrom(
    BATCH_BYTES_MAX / 64 - EVENT_OVERHEAD_BYTES - 1,
    BATCH_BYTES_MAX / 64 - EVENT_OVERHEAD_BYTES,
    BATCH_BYTES_MAX / 64 - EVENT_OVERHEAD_BYTES + 1,
  ),
  fc.constantFrom(LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1),
);
const move = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 5 }) },
  fc.constantFrom(SPAN_MS_MAX - 1_000, SPAN_MS_MAX - 1, SPAN_MS_MAX, SPAN_MS_MAX + 1, SPAN_MS_MAX + 1_000),
  fc.constantFrom(-1, -3_600_000, -3_600_001, -2 * SPAN_MS_MAX),
);
const step: fc.Arbitrary<Step> = fc
  .record({ letter, bytes, moveMs: move, share: fc.constantFrom(1, 64, 65, BATCH_EVENTS_MAX, BATCH_EVENTS_MAX + 1) })
  .map(({ letter: of, bytes: size, moveMs, share }) => {
    // A little more than a batch: enough to overflow it, little enough for many runs.
    const lines = Math.max(1, Math.min(share, Math.floor((1.1 * BATCH_BYTES_MAX) / (size + EVENT_OVERHEAD_BYTES))));
    return { letter: of, bytes: size, lines, moveMs };
  });

function lineOf({ letter: of, bytes: size }: Step): Buffer {
  const unit = of === 'invalid' ? Buffer.from([0xff]) : Buffer.from(of);
  const line = Buffer.alloc(size + 1, 'x');
  for (let at = 0; at + unit.length <= size; at += unit.length) unit.copy(line, at);
  line[size] = 0x0a;
  return line;
}

/** What the service would read. */
function inputOf(slices: readonly Buffer[]): Input {
  return JSON.parse(Buffer.concat(putLogEventsBody({ group: 'g', stream: 's' }, slices)).toString('utf8')) as Input;
}

interface Reached {
  bytes: number;
  events: number;
  spanMs: number;
}

/** Encodes all steps and judges every batch, whole, in parts and with other times. */
function judgeAll(steps: readonly Step[], separateBatches: boolean, reached: Reached): void {
  const encoder = new LogEventsEncoder({
    destinationOf: () => 'g:s',
    times: new StreamTimes(),
    separateBatches,
    onReplaced: () => {},
  });
  let timeMs = NOW;
  let records = 0;
  let lastBatchMs = Number.NEGATIVE_INFINITY;
  const close = (): void => {
    const batch = encoder.finish();
    const events = judge(batch, reached);
    const [first] = events;
    if (separateBatches && first !== undefined && first.timestamp >= NOW) {
      assert(first.timestamp > lastBatchMs || lastBatchMs - first.timestamp > 3_600_000, 'batches share no time');
      lastBatchMs = events.at(-1)?.timestamp ?? 0;
    }
    records += batch.records;
    encoder.reset();
  };
  let want = 0;
  for (const each of steps) {
    timeMs = Math.max(NOW - 10 * SPAN_MS_MAX, timeMs + each.moveMs);
    const line = lineOf(each);
    const input = Buffer.concat(Array.from({ length: each.lines }, () => line));
    want += each.lines * Math.max(1, Math.ceil(each.bytes / LINE_BYTES_MAX));
    for (let at = 0; at < input.length;) {
      const next = encoder.append(SOURCE, input, at, input.length, at, timeMs);
      if (next < input.length) close();
      at = next;
    }
  }
  if (encoder.records > 0) close();
  // A long line whose characters do not end at the cut has a part more.
  assert(records >= want, `${records} of ${want} records`);
}

function judge(batch: Batch, reached: Reached): readonly LogEvent[] {
  const whole = inputOf(selectedSlices(batch, undefined));
  const events = whole['logEvents'] as readonly LogEvent[];
  // Judged at the time of its last event, so that age plays no part; span counts for all that are valid then.
  const last = events.at(-1)?.timestamp ?? 0;
  const judged = (input: Input): void => assert.equal(checkCall('PutLogEvents', input, last), undefined);
  judged(whole);
  // Parts of large batches are smaller than what was judged already, and cost seconds.
  if (batch.records > 200) return reach(events, reached);
  const half = Array.from({ length: Math.ceil(batch.records / 2) }, (_, i) => i * 2);
  judged(inputOf(selectedSlices(batch, half)));
  const restamped = inputOf(restampedSlices(batch, half, last));
  judged(restamped);
  assert.deepEqual(
    (restamped['logEvents'] as readonly LogEvent[]).map(({ message }) => message),
    half.map((index) => events[index]?.message),
  );
  return reach(events, reached);
}

function reach(events: readonly LogEvent[], reached: Reached): readonly LogEvent[] {
  const [first, last] = [events[0]?.timestamp ?? 0, events.at(-1)?.timestamp ?? 0];
  const size = events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + EVENT_OVERHEAD_BYTES, 0);
  reached.bytes = Math.max(reached.bytes, size);
  reached.events = Math.max(reached.events, events.length);
  reached.spanMs = Math.max(reached.spanMs, last - first);
  return events;
}

describe('limits of PutLogEvents (model)', () => {
  for (const separateBatches of [false, true]) {
    it(`no request breaks one, each is reached${separateBatches ? ', batches share no time' : ''}`, () => {
      const reached: Reached = { bytes: 0, events: 0, spanMs: 0 };
      const property = fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), (steps) =>
        judgeAll(steps, separateBatches, reached),
      );
      fc.assert(property, {
        numRuns: RUNS,
        // Whatever chance brings: each limit to the last byte, event and millisecond, and one more of each.
        examples: [
          [[{ letter: 'x', bytes: BATCH_BYTES_MAX / 64 - EVENT_OVERHEAD_BYTES, lines: 65, moveMs: 0 }]],
          [[{ letter: 'x', bytes: 0, lines: BATCH_EVENTS_MAX + 1, moveMs: 0 }]],
          [
            [
              { letter: 'x', bytes: 1, lines: 1, moveMs: 0 },
              { letter: 'x', bytes: 1, lines: 1, moveMs: SPAN_MS_MAX },
              { letter: 'x', bytes: 1, lines: 1, moveMs: 1 },
            ],
          ],
        ],
      });
      assert.deepEqual(reached, { bytes: BATCH_BYTES_MAX, events: BATCH_EVENTS_MAX, spanMs: SPAN_MS_MAX });
    }).timeout(60_000);
  }

  it('a batch of one more byte, event or millisecond would be found out', () => {
    const event = (timestamp: number, message = 'x'): LogEvent => ({ timestamp, message });
    const full = 'x'.repeat(BATCH_BYTES_MAX / 2 - EVENT_OVERHEAD_BYTES);
    const wrong: ReadonlyArray<readonly [rule: string, events: readonly LogEvent[]]> = [
      ['batch_bytes', [event(NOW, full), event(NOW, `${full}x`)]],
      ['batch_count', Array.from({ length: BATCH_EVENTS_MAX + 1 }, () => event(NOW))],
      ['span', [event(NOW - SPAN_MS_MAX - 1), event(NOW)]],
      ['order', [event(NOW), event(NOW - 1)]],
      ['event_empty', [event(NOW, '')]],
    ];
    for (const [rule, logEvents] of wrong) {
      const input = { logGroupName: 'g', logStreamName: 's', logEvents };
      assert.equal(checkCall('PutLogEvents', input, NOW)?.rule, rule);
    }
  });
});

/** Records that interleave, which stand in one batch or not at all: what each says of its time, in milliseconds from its reading. */
interface Cluster {
  readonly moveMs: number;
  readonly records: ReadonlyArray<{ readonly ownMs: number; readonly bytes: number; readonly isPart: boolean }>;
}

const HOUR_MS = 3_600_000;
const cluster: fc.Arbitrary<Cluster> = fc.record({
  moveMs: fc.oneof(move, fc.constantFrom(-HOUR_MS + 1, -HOUR_MS - 1)),
  records: fc.array(
    fc.record({
      ownMs: fc.oneof(
        fc.constantFrom(Number.NaN, 0, 1, -1, -SPAN_MS_MAX, -SPAN_MS_MAX - 1, -30 * HOUR_MS, -20 * HOUR_MS),
        fc.integer({ min: -14 * SPAN_MS_MAX, max: HOUR_MS }),
      ),
      bytes: fc.constantFrom(0, 1, 100, LINE_BYTES_MAX),
      isPart: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
});

/** Appends all clusters as the pipeline does, and judges every batch. */
function judgeClusters(clusters: readonly Cluster[], separateBatches: boolean, reached: Reached): void {
  const times = new StreamTimes();
  const encoder = new LogEventsEncoder({ destinationOf: () => 'g:s', times, separateBatches, onReplaced: () => {} });
  let timeMs = NOW;
  let offset = 0;
  let lastBatchMs = Number.NEGATIVE_INFINITY;
  const messages: string[] = [];
  const close = (): void => {
    const events = judge(encoder.finish(), reached);
    const [first] = events;
    if (separateBatches && first !== undefined) {
      assert(first.timestamp > lastBatchMs || lastBatchMs - first.timestamp > HOUR_MS, 'batches share no time');
      lastBatchMs = events.at(-1)?.timestamp ?? 0;
    }
    messages.push(...events.map(({ message }) => message));
    encoder.reset();
  };
  const append = ({ records }: Cluster): boolean => {
    const lastMs = times.last('g:s');
    encoder.mark();
    const isTaken = records.every(({ ownMs, bytes: size, isPart }, at) => {
      const text = Buffer.alloc(size, 'x');
      const place = { offset: offset + at * (LINE_BYTES_MAX + 1), bytes: size + 1 };
      const said = { timeMs: timeMs + ownMs, level: -1, showsLevel: false, stdio: '' } as const;
      const record: ShapedRecord = {
        text,
        from: 0,
        to: size,
        json: undefined,
        jsonBytes: 0,
        ...place,
        ...said,
        isPart,
      };
      return encoder.appendRecord(SOURCE, record, timeMs);
    });
    if (isTaken) return true;
    encoder.rewind();
    assert.equal(times.last('g:s'), lastMs, 'what was rewound left no time');
    return false;
  };
  for (const each of clusters) {
    timeMs += each.moveMs;
    if (!append(each)) {
      assert(encoder.records > 0, 'an empty batch takes any cluster');
      close();
      assert(append(each), 'an empty batch takes any cluster');
    }
    offset += each.records.length * (LINE_BYTES_MAX + 1);
  }
  if (encoder.records > 0) close();
  const mark = ' [continued in the next event]';
  assert.deepEqual(
    messages,
    clusters.flatMap(({ records }) =>
      records.map(({ bytes: size, isPart }) => `${'x'.repeat(size) || ' '}${isPart ? mark : ''}`),
    ),
  );
}

describe('limits of PutLogEvents with own times (model)', () => {
  for (const separateBatches of [false, true]) {
    it(`an empty batch takes any cluster${separateBatches ? ', batches share no time' : ''}`, () => {
      const reached: Reached = { bytes: 0, events: 0, spanMs: 0 };
      const property = fc.property(fc.array(cluster, { minLength: 1, maxLength: 8 }), (clusters) =>
        judgeClusters(clusters, separateBatches, reached),
      );
      const one = (ownMs: number): Cluster['records'][number] => ({ ownMs, bytes: 1, isPart: false });
      fc.assert(property, {
        numRuns: 10 * RUNS,
        examples: [
          [[{ moveMs: 0, records: [one(-30 * HOUR_MS), one(0)] }]],
          // The same refused by a batch that has one already.
          [
            [
              { moveMs: 0, records: [one(-31 * HOUR_MS)] },
              { moveMs: 0, records: [one(-30 * HOUR_MS), one(-20 * HOUR_MS), one(0)] },
            ],
          ],
          // The clock is set back by just as much as is no step; times apart make it one more.
          [
            [
              { moveMs: 0, records: [one(0)] },
              { moveMs: 0, records: [{ ...one(0), bytes: LINE_BYTES_MAX }] },
              ...Array.from({ length: 7 }, () => ({ moveMs: 0, records: [{ ...one(0), bytes: LINE_BYTES_MAX }] })),
              { moveMs: -HOUR_MS, records: [one(0), one(0)] },
            ],
          ],
        ],
      });
      assert.equal(reached.spanMs, SPAN_MS_MAX);
    }).timeout(60_000);
  }
});

describe('names of log groups and log streams (model)', () => {
  /** Anything that a label, an annotation, a file or a node may be called, and what breaks rules most easily. */
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({
      unit: fc.constantFrom(':', '*', '/', 'a', 'é', '{', '}', '\ud800', ' ', '😀', '\u0000'),
      maxLength: 700,
    }),
    fc.constantFrom('', 'aws/', 'aws', '{pod}', ':', '*'),
  );
  const template = fc.oneof(
    fc.constantFrom(
      '/k8s/{cluster}/{namespace}/{app}',
      '{pod}/{container}',
      'aws/{app}',
      '{app}',
      '{file}',
      '{node}:{file}',
    ),
    anything,
  );
  const env = (text: string): string => (text === '' ? 'x' : text);

  it('are legal for any pod, any template and any file, and the same each time', () => {
    const property = fc.property(
      fc.record({ group: template, stream: template, cluster: anything, app: anything, pod: anything, file: anything }),
      ({ group, stream, cluster, app, pod, file }) => {
        const config = forwarderConfig({
          ...{ LOG_GROUP: env(group), LOG_STREAM: env(stream), CLUSTER_NAME: env(cluster), APP_NAME: env(app) },
          ...{ POD_NAME: env(pod), NODE_NAME: env(file), WORKLOAD_NAME: env(app) },
        });
        const source = sourceInfo(`/${file}`);
        const destination = logDestination(config, source);
        const names = { logGroupName: destination.group, logStreamName: destination.stream };
        for (const action of ['CreateLogGroup', 'CreateLogStream'])
          assert.equal(checkCall(action, names, NOW), undefined, JSON.stringify(destination));
        assert.deepEqual(logDestination(config, source), destination);
      },
    );
    fc.assert(property, { numRuns: 50 * RUNS });
  });

  it('two files of a container have two log streams, whatever the template and however long', () => {
    const property = fc.property(template, fc.nat({ max: 600 }), (stream, length) => {
      const config = forwarderConfig({ LOG_STREAM: env(stream) });
      const [one, two] = ['a', 'b'].map(
        (last) => logDestination(config, sourceInfo(`/var/log/${'d'.repeat(length)}/${last}.log`)).stream,
      );
      assert.notEqual(one, two);
    });
    fc.assert(property, { numRuns: 50 * RUNS });
  });
});
