/**
 * The fast road of container lines against the slow one: random lines of both stdio, whole and in parts, read in pieces, through both forms of
 * the byte kernel; the same batches, bytes, places, counts and outcome either way. Printed seeds repeat a run, CONTAINER_RUNS makes it longer.
 */
import assert from 'node:assert/strict';

import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import { BULK_BYTES_MAX, LINE_BYTES_MAX, READ_BYTES } from '../../../src/core/limits.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { PARTS_MAX } from '../../../src/kernel/line-kernel.ts';
import type { LineKernel, LineRules } from '../../../src/kernel/line-kernel.ts';
import { PlainLineKernel } from '../../../src/kernel/plain-line-kernel.ts';
import { WasmLineKernel } from '../../../src/kernel/wasm-line-kernel.ts';
import { GROUPS_MAX, LAST, MORE_MAY_COME, OVERDUE } from '../../../src/parse/record-cutter.ts';
import { Account } from '../../../src/pipeline/ledger.ts';
import { RecordStage } from '../../../src/pipeline/record-stage.ts';
import { DocumentEncoder } from '../../../src/sinks/document-encoder.ts';
import { forwarderConfig, sourceInfo } from '../../fakes/forwarder-config.ts';
import { randomObjectLine } from '../../fakes/random-object-line.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import type { SeededRandom } from '../../fakes/seeded-random.ts';

const RUNS = Number(process.env['CONTAINER_RUNS'] ?? 60);
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
      assert(
        fast.records > RUNS * 4 && fast.joined > RUNS,
        `runs take many, parts among them: ${JSON.stringify(fast)}`,
      );
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

/** Lines as runtimes write them, and as they do not. */
function randomInput(random: SeededRandom): Buffer {
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
    lines.push(`2026-11-28T10:11:${time} ${stdio} ${tag} ${randomText(random)}${one(['\n', '\n', '\n', '\r\n'])}`);
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
  if (random.below(25) === 0) return 'long '.repeat(random.below(LINE_BYTES_MAX / 5));
  // Escaped, a few of these fill a batch.
  if (random.below(60) === 0) return '\u0001'.repeat(random.below(LINE_BYTES_MAX));
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
  const encoder = createEncoder(way, unparsed);
  const batches: object[] = [];
  let from = 0;
  let lines = 0;
  const flush = (at: number): void => {
    if (encoder.records === 0) return;
    batches.push({ ...settled(stage, encoder, { from, at, lines }), unparsed: [...unparsed] });
    stage.swap();
    encoder.reset();
    from = at;
    lines = 0;
  };
  let at = 0;
  for (const end of readEnds(way.reads)) {
    const atEnd = end === input.length ? LAST : way.overdue.has(end) ? OVERDUE : MORE_MAY_COME;
    let isFresh = true;
    while (at < end) {
      stage.begin(SOURCE, 5, 5, 0);
      const run = { source: SOURCE, input, from: at, to: end, offset: BASE + at, timeMs: 5, isFresh };
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
      if (stage.append(encoder, SOURCE, input, { offset: BASE + at })) {
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

/** The batch, and what becomes of its lines whatever part of it is settled or refused. */
function settled(
  { log }: RecordStage,
  encoder: DocumentEncoder,
  { from, at, lines }: { readonly from: number; readonly at: number; readonly lines: number },
): object {
  const { records, offsets, ends, ranges, body } = encoder.finish();
  const span = { from: 0, to: log.length, first: 0, until: BASE + at };
  const parts = Array.from({ length: records + 1 }, (_, end) => end).filter((end) => end % 7 === 0 || end === records);
  return {
    ...{ text: body.toString('latin1'), offsets: [...offsets], ends: [...ends], ranges, length: log.length, lines },
    settledTo: Array.from({ length: records + 1 }, (_, end) => log.settledTo(span, end)),
    books: parts.map((end) => {
      const account = new Account();
      account.take({ lines, bytes: at - from });
      log.settle(account, span, end, [{ index: end >> 1, reason: 'rejected_by_sink' }]);
      return account.save();
    }),
  };
}
