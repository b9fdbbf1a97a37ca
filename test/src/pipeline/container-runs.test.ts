/**
 * The fast road of container lines against the slow one: random lines of both stdio, whole and in parts, read in pieces, through both forms of
 * the byte kernel; the same batches, bytes, places, counts and outcome either way. Printed seeds repeat a run, CONTAINER_RUNS makes it longer.
 */
import assert from 'node:assert/strict';

import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import { BULK_BYTES_MAX, LINE_BYTES_MAX, PUT_LOG_EVENTS_COUNT_MAX, READ_BYTES } from '../../../src/core/limits.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { PARTS_MAX } from '../../../src/kernel/line-kernel.ts';
import type { LineKernel, LineRules } from '../../../src/kernel/line-kernel.ts';
import { PlainLineKernel } from '../../../src/kernel/plain-line-kernel.ts';
import { WasmLineKernel } from '../../../src/kernel/wasm-line-kernel.ts';
import { GROUPS_MAX, LAST, MORE_MAY_COME, OVERDUE } from '../../../src/parse/record-cutter.ts';
import { Account } from '../../../src/pipeline/ledger.ts';
import { RecordStage } from '../../../src/pipeline/record-stage.ts';
import { LogEventsEncoder, StreamTimes } from '../../../src/sinks/cloudwatch-logs/encode.ts';
import { DocumentEncoder } from '../../../src/sinks/document-encoder.ts';
import type { Encoder } from '../../../src/sinks/sink.ts';
import { forwarderConfig, sourceInfo } from '../../fakes/forwarder-config.ts';
import { randomObjectLine } from '../../fakes/random-object-line.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import type { SeededRandom } from '../../fakes/seeded-random.ts';

const RUNS = Number(process.env['CONTAINER_RUNS'] ?? 25);
const SOURCE = sourceInfo();
const BASE = 1_000;

const FORMS: Readonly<Record<string, (rules: LineRules) => LineKernel>> = {
  'plain TypeScript': (rules) => new PlainLineKernel(rules),
  'WebAssembly SIMD': (rules) => new WasmLineKernel(rules),
};

interface Way {
  readonly createKernel: (rules: LineRules) => LineKernel;
  readonly parser: 'cri' | 'none';
  readonly metadata: 'full' | 'none';
  readonly recordsMax: number;
  /** Ends of what is read at once: torn lines and parts at each of them. */
  readonly reads: readonly number[];
  /** At which of them nothing more comes for a while. */
  readonly overdue: ReadonlySet<number>;
  /** CloudWatch Logs instead of documents. */
  readonly events?: EventsWay;
}

interface EventsWay {
  readonly separateBatches: boolean;
  /** The last time of the stream before. */
  readonly lastMs: number | undefined;
  /** The clock at each read, in turn. */
  readonly clockMs: readonly number[];
}

for (const [form, createKernel] of Object.entries(FORMS)) {
  describe(`runs of container lines, ${form}`, () => {
    it('become what each record alone becomes, in the same batches, wherever reads end', () => {
      const seed = testSeed();
      const random = seededRandom(seed);
      const fast = { records: 0, joined: 0 };
      for (let round = 0; round < RUNS; round += 1) {
        const input = randomInput(random);
        const way = { createKernel, ...randomWay(random, input.length) };
        const alone = ship(input, way, undefined);
        assert.deepEqual(ship(input, way, fast), alone, `TEST_SEED=${seed} round ${round}`);
      }
      // How many depends on the seed: where times jump there are few.
      assert(fast.records > 0 && fast.joined > 0, `runs take some, parts among them: ${JSON.stringify(fast)}`);
    });

    it('become the events that each record alone becomes, whatever the times say', () => {
      const seed = testSeed();
      const random = seededRandom(seed);
      const fast = { records: 0, joined: 0 };
      for (let round = 0; round < RUNS; round += 1) {
        const input = randomInput(random, timesOf(random));
        const way = { createKernel, ...randomWay(random, input.length), events: randomEvents(random) };
        const alone = ship(input, way, undefined);
        assert.deepEqual(ship(input, way, fast), alone, `TEST_SEED=${seed} round ${round}`);
      }
      // How many depends on the seed: where times jump there are few.
      assert(fast.records > 0 && fast.joined > 0, `runs take some, parts among them: ${JSON.stringify(fast)}`);
    });

    it('fall with a clock that was set back by more than an hour, and stay with any other', () => {
      const line = '2026-11-28T10:11:12.5Z stdout F one\n';
      for (const separateBatches of [false, true]) {
        for (const over of [-2, -1, 0, 1, 2]) {
          const events = { separateBatches, lastMs: NOON_MS + HOUR_MS + over, clockMs: [NOON_MS] };
          const input = Buffer.from(line.repeat(4));
          const way = {
            createKernel,
            events,
            reads: [input.length],
            parser: 'cri',
            metadata: 'none',
            recordsMax: 1,
          } as const;
          const alone = ship(input, { ...way, overdue: new Set<number>() }, undefined);
          const fast = ship(input, { ...way, overdue: new Set<number>() }, { records: 0, joined: 0 });
          assert.deepEqual(fast, alone, `over by ${over}`);
        }
      }
    });

    it('fill batches of events up to their number, and up to their bytes as they are counted and as they are written', () => {
      const cases = [
        ['', PUT_LOG_EVENTS_COUNT_MAX + 20],
        ['x'.repeat(200), 6_000],
        ['\u0001'.repeat(200), 3_000],
      ] as const;
      for (const [text, lines] of cases) {
        const events = { separateBatches: false, lastMs: undefined, clockMs: [NOON_MS] };
        const input = Buffer.from(`2026-11-28T10:11:12.5Z stdout F ${text}\n`.repeat(lines));
        const reads = [input.length];
        const way = { createKernel, reads, events, parser: 'cri', metadata: 'none', recordsMax: 1 } as const;
        const fast = { records: 0, joined: 0 };
        const alone = ship(input, { ...way, overdue: new Set<number>() }, undefined);
        assert.deepEqual(ship(input, { ...way, overdue: new Set<number>() }, fast), alone, text.slice(0, 9));
        assert(
          alone.length > 2 && fast.records > lines - 20,
          `but for the lines at the ends of reads: ${fast.records}`,
        );
      }
    });

    it('go on where they were when a batch was full as a read began', () => {
      const line = '2026-11-28T10:11:12.5Z stdout F one\n';
      const input = Buffer.from(line.repeat(2 * GROUPS_MAX + 5));
      const reads = [line.length * GROUPS_MAX, input.length];
      const way = {
        createKernel,
        parser: 'cri',
        metadata: 'none',
        recordsMax: GROUPS_MAX,
        overdue: new Set<number>(),
      } as const;
      assert.deepEqual(
        ship(input, { ...way, reads }, { records: 0, joined: 0 }),
        ship(input, { ...way, reads }, undefined),
      );
    });

    it('join parts up to their bounds, and leave what is over them to the rules', () => {
      const part = (tag: 'P' | 'F', bytes: number): string =>
        `2026-11-28T10:11:12.5Z stdout ${tag} ${'x'.repeat(bytes)}\n`;
      const empty = part('P', 0).length;
      for (const over of [-1, 0, 1, 2]) {
        const room = LINE_BYTES_MAX + over;
        const cases = [
          part('P', 5).repeat(PARTS_MAX + over - 1) + part('F', 5),
          part('P', room - 2 * empty - 9) + part('F', 9),
          part('P', 9) + part('F', room - 2 * empty - 9),
          part('P', room - empty) + part('F', 9),
        ];
        for (const lines of cases) {
          const input = Buffer.from(`${part('F', 1)}${lines}${part('F', 2)}`);
          const way = {
            createKernel,
            parser: 'cri',
            metadata: 'none',
            recordsMax: GROUPS_MAX,
            overdue: new Set<number>(),
          } as const;
          const fast = { records: 0, joined: 0 };
          const alone = ship(input, { ...way, reads: [input.length] }, undefined);
          assert.deepEqual(ship(input, { ...way, reads: [input.length] }, fast), alone, `over by ${over}`);
        }
      }
    });
  });
}

const NOON_MS = Date.parse('2026-11-28T12:00:00Z');
const HOUR_MS = 3_600_000;

/** Beginnings of the times of lines that stand, fall, and jump over hours, days, the age that counts and the ends of what has 13 digits. */
function timesOf(random: SeededRandom): () => string {
  const one = <T>(list: readonly [T, ...T[]]): T => list[random.below(list.length)] ?? list[0];
  const jumps = one([1_000, 12, 3]);
  let timeMs = NOON_MS - one([0, 0, 0, 0, 1, 13, 14]) * 24 * HOUR_MS + random.below(3) - 1 - one([0, HOUR_MS, HOUR_MS]);
  return () => {
    if (random.below(3) === 0) timeMs += random.below(5) - 1;
    if (random.below(jumps) === 0)
      timeMs += one([-1, 1]) * one([1, 1_000, 60_000, HOUR_MS, 23 * HOUR_MS, 24 * HOUR_MS]);
    // The very millisecond of each border, and one beside it.
    if (random.below(jumps) === 0) timeMs = NOON_MS - one([0, 1, 13, 14]) * 24 * HOUR_MS + random.below(3) - 1;
    if (random.below(jumps * 20) === 0)
      return one(['2001-09-09T01:46:39.999', '2001-09-09T01:46:40.000', '0001-01-01T00:00:00']);
    return new Date(timeMs).toISOString().slice(0, -1);
  };
}

function randomEvents(random: SeededRandom): EventsWay {
  const one = <T>(list: readonly [T, ...T[]]): T => list[random.below(list.length)] ?? list[0];
  const near = (): number => one([0, 0, 0, -1, 1, HOUR_MS, HOUR_MS + 1, -HOUR_MS, -25 * HOUR_MS, 12 * HOUR_MS]);
  const clockMs = Array.from({ length: 1 + random.below(4) }, () => NOON_MS + near());
  const lastMs = random.below(3) === 0 ? undefined : NOON_MS + near() - random.below(2) * 24 * HOUR_MS;
  // Where all is as long ago as 13 digits begin.
  const shift = random.below(10) === 0 ? Date.parse('2001-09-09T01:46:40Z') - NOON_MS : 0;
  return { separateBatches: random.below(2) === 0, lastMs, clockMs: clockMs.map((ms) => ms + shift) };
}

/** Lines as runtimes write them, and as they do not. */
function randomInput(random: SeededRandom, timeOf?: () => string): Buffer {
  const one = <T>(list: readonly [T, ...T[]]): T => list[random.below(list.length)] ?? list[0];
  const lines: string[] = [];
  // Of one stdio for a while, the lines of the other between them now and then.
  const mixes = one([2, 5, 40]);
  let stdio = 'stdout';
  const count = 1 + random.below(one([60, 300]));
  for (let i = 0; i < count; i += 1) {
    if (random.below(mixes) === 0) stdio = one(['stdout', 'stderr', '-']);
    const tag = one(['F', 'F', 'P', 'P', ...(random.below(20) === 0 ? ['F:x', 'P:x', 'x'] : [])]);
    const time = one(['12.123456789Z', '12.123456789Z', '13.5Z', random.below(9) === 0 ? '12.1+01:00' : '15.25Z']);
    const begin = timeOf === undefined ? `2026-11-28T10:11:${time}` : `${timeOf()}${one(['Z', 'Z', '456789Z'])}`;
    lines.push(`${begin} ${stdio} ${tag} ${randomText(random)}${one(['\n', '\n', '\n', '\r\n'])}`);
    if (random.below(60) === 0) lines.push('no header at all\n');
  }
  if (random.below(4) === 0) lines.push('2026-11-28T10:11:12Z stdout P the end of wh');
  const bytes = lines.map((line) => Buffer.from(line));
  // A part that ends inside of a character.
  if (random.below(8) === 0)
    bytes.splice(random.below(bytes.length), 0, Buffer.from('2026-11-28T10:11:12Z stdout P \xe2\x82\n', 'latin1'));
  return Buffer.concat(bytes);
}

function randomText(random: SeededRandom): string {
  const one = <T>(list: readonly [T, ...T[]]): T => list[random.below(list.length)] ?? list[0];
  // Up to the longest, of each size as often.
  const bytes = random.below(LINE_BYTES_MAX) >> random.below(8);
  if (random.below(25) === 0) return 'long '.repeat(bytes / 5);
  // Escaped, a few of these fill a batch.
  if (random.below(60) === 0) return '\u0001'.repeat(bytes);
  if (random.below(6) === 0) return randomObjectLine(random);
  return one(['', ' ', 'one', 'a "b" \\ \t', '{"a":', '1}', ' {"b":2}', 'ü€😀', '\r', 'x'.repeat(99)]);
}

function randomWay(random: SeededRandom, length: number): Omit<Way, 'createKernel'> {
  const reads = new Set<number>([length]);
  const count = random.below(4) === 0 ? random.below(30) : random.below(3);
  for (let i = 0; i < count; i += 1) reads.add(random.below(length));
  const ends = [...reads].toSorted((a, b) => a - b);
  return {
    parser: random.below(5) === 0 ? 'none' : 'cri',
    metadata: random.below(2) === 0 ? 'full' : 'none',
    // As many as one cluster may have, or more.
    recordsMax: random.below(2) === 0 ? GROUPS_MAX + random.below(12) : 1_000,
    reads: ends,
    overdue: new Set(ends.filter(() => random.below(6) === 0)),
  };
}

/** All batches that the input becomes, and what is booked of them; `fast`: with runs, of which it counts what they took. */
function ship(input: Buffer, way: Way, fast: { records: number; joined: number } | undefined): readonly object[] {
  const rules = { ...PLAIN_RULES, parser: way.parser };
  const stage = new RecordStage(rules, { metrics: createMetrics(), sink: 'elasticsearch', hasHeaders: true });
  const unparsed: number[] = [];
  const times = new StreamTimes();
  if (way.events?.lastMs !== undefined) times.set('group:stream', way.events.lastMs);
  const encoder = way.events === undefined ? createEncoder(way, unparsed) : createEvents(way, way.events, times);
  const batches: object[] = [];
  let from = 0;
  let lines = 0;
  const flush = (at: number): void => {
    if (encoder.records === 0) return;
    batches.push({
      ...settled(stage, encoder, { from, at, lines }),
      unparsed: [...unparsed],
      last: times.last('group:stream'),
    });
    stage.swap();
    encoder.reset();
    from = at;
    lines = 0;
  };
  let at = 0;
  for (const [read, end] of readEnds(way.reads).entries()) {
    const timeMs = way.events?.clockMs[read % way.events.clockMs.length] ?? 5;
    const atEnd = end === input.length ? LAST : way.overdue.has(end) ? OVERDUE : MORE_MAY_COME;
    let isFresh = true;
    while (at < end) {
      stage.begin(SOURCE, timeMs, 5, 0);
      const run = { source: SOURCE, input, from: at, to: end, offset: BASE + at, timeMs, isFresh };
      const before = encoder.records;
      const next = fast === undefined ? at : stage.appendRun(encoder, run);
      isFresh = false;
      if (next > at && fast !== undefined) {
        fast.records += encoder.records - before;
        fast.joined += stage.lines - (encoder.records - before);
        lines += stage.lines;
        at = next;
        continue;
      }
      const to = stage.cut(input, at, end, atEnd);
      if (to === at) break;
      if (stage.append(encoder, SOURCE, input, BASE + at)) {
        lines += stage.lines;
        at = to;
      } else {
        assert(encoder.records > 0, 'an empty batch takes any cluster');
        flush(at);
      }
    }
  }
  flush(at);
  return [...batches, { at }];
}

/** As a reader does: no more at once than its buffer holds, and the whole file in the end. */
function readEnds(ends: readonly number[]): readonly number[] {
  const all: number[] = [];
  let before = 0;
  for (const end of ends) {
    for (let at = before + READ_BYTES; at < end; at += READ_BYTES) all.push(at);
    all.push(end);
    before = end;
  }
  return all;
}

function createEncoder({ createKernel, parser, metadata, recordsMax }: Way, unparsed: number[]): DocumentEncoder {
  const { pod } = forwarderConfig({});
  return new DocumentEncoder({
    ...{ pod, metadata, parser, recordsMax, createKernel, hasAction: true, bytesMax: BULK_BYTES_MAX },
    destinationOf: () => 'index',
    onReplaced: (count) => unparsed.push(-count),
    onUnparsed: (count) => unparsed.push(count),
  });
}

function createEvents({ createKernel }: Way, { separateBatches }: EventsWay, times: StreamTimes): LogEventsEncoder {
  const onReplaced = (count: number): void => assert.fail(`the shaper has replaced them: ${count}`);
  return new LogEventsEncoder({
    destinationOf: () => 'group:stream',
    times,
    separateBatches,
    onReplaced,
    createKernel,
  });
}

/** The batch, and what becomes of its lines whatever part of it is settled or refused. */
function settled(
  { log }: RecordStage,
  encoder: Encoder,
  { from, at, lines }: { readonly from: number; readonly at: number; readonly lines: number },
): object {
  const batch = encoder.finish();
  const { records, offsets, ranges, body } = batch;
  const span = { from: 0, to: log.length, first: 0, until: BASE + at };
  // Each is looked for through the whole batch: of a large one some are enough.
  const every = records > 2_000 ? 199 : 1;
  const all = Array.from({ length: records + 1 }, (_, end) => end);
  const ends = all.filter((end) => end % every === 0 || end >= records - 1);
  const parts = ends.filter((end) => end % 7 === 0 || end === records);
  return {
    ...{
      text: body.toString('latin1'),
      offsets: [...offsets],
      ends: [...batch.ends],
      ranges,
      length: log.length,
      lines,
    },
    settledTo: ends.map((end) => log.settledTo(span, end)),
    books: parts.map((end) => {
      const account = new Account();
      account.take({ lines, bytes: at - from });
      log.settle(account, span, end, [{ index: end >> 1, reason: 'rejected_by_sink' }]);
      return account.save();
    }),
  };
}
