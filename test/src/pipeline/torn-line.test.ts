/**
 * Lines that a rotation tore: one record, whatever stands between its pieces, with kills, lost answers and files that go away. Real files, a
 * clock that the test moves, state folder and destination in memory.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import type { RecordRules } from '../../../src/config/record-rules.ts';
import type { SinkName } from '../../../src/config/forwarder-config.ts';
import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { decodeLines } from '../../../src/pipeline/checkpoint-codec.ts';
import { Forwarder } from '../../../src/pipeline/forwarder.ts';
import { unpackMissed } from '../../../src/source/compressed-logs.ts';
import { MemoryDisk } from '../../fakes/memory-state-files.ts';
import { whileTimePasses } from '../../fakes/passing-time.ts';
import { FakeDestination, fakeSink, partial, UNREACHABLE } from '../../fakes/sink.ts';
import type { FakeSinkOptions } from '../../fakes/sink.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const FLUSH_MS = 200;
/** Longer than a file needs to be seen as put aside, complete, and read. */
const LONG_MS = 4_000;
const LOG = '/logs/app/0.log';

/** One line of a container runtime, `seconds` after the first. */
const cri = (stdio: 'out' | 'err', tag: 'P' | 'F', text: string, seconds = 0): string =>
  `2026-11-28T10:00:${String(seconds).padStart(2, '0')}.000000001Z std${stdio} ${tag} ${text}\n`;

interface History {
  readonly name: string;
  /** What the old file and the new one hold. */
  readonly older: string;
  readonly newer: string;
  readonly records: readonly string[];
  readonly rules?: RecordRules;
}

const HISTORIES: readonly History[] = [
  {
    name: 'the rest is the first line of the new file',
    older: cri('out', 'F', 'one') + cri('out', 'P', 'be'),
    newer: cri('out', 'F', 'ginning') + cri('out', 'F', 'two'),
    records: ['one', 'beginning', 'two'],
  },
  {
    name: 'a line of the other stdio stands before the rest',
    older: cri('out', 'P', 'be'),
    newer: cri('err', 'F', 'oops') + cri('out', 'F', 'ginning') + cri('out', 'F', 'two'),
    records: ['beginning', 'oops', 'two'],
  },
  {
    name: 'a line of the other stdio stands behind the beginning',
    older: cri('out', 'P', 'be') + cri('err', 'F', 'oops'),
    newer: cri('out', 'F', 'ginning') + cri('out', 'F', 'two'),
    records: ['beginning', 'oops', 'two'],
  },
  {
    name: 'both stdios are torn, and come back in the other order',
    older: cri('out', 'P', 'be') + cri('err', 'P', 'oo'),
    newer: cri('err', 'F', 'ps') + cri('out', 'F', 'ginning') + cri('err', 'F', 'two'),
    records: ['beginning', 'oops', 'two'],
  },
  {
    name: 'a long line goes over in several parts',
    older: cri('out', 'P', 'a') + cri('out', 'P', 'b'),
    newer:
      cri('out', 'P', 'c') +
      cri('err', 'F', 'oops') +
      cri('out', 'P', 'd') +
      cri('out', 'F', 'e') +
      cri('out', 'F', 'two'),
    records: ['abcde', 'oops', 'two'],
  },
  {
    name: 'the rest is empty',
    older: cri('out', 'P', 'all of it'),
    newer: cri('out', 'F', '') + cri('out', 'F', 'two'),
    records: ['all of it', 'two'],
  },
  {
    name: 'no line is torn',
    older: cri('out', 'F', 'one'),
    newer: cri('out', 'F', 'two') + cri('out', 'P', 'th') + cri('out', 'F', 'ree'),
    records: ['one', 'two', 'three'],
  },
  {
    name: 'the other stdio goes on for so long that nothing is waited for',
    older: cri('out', 'P', 'be'),
    newer: cri('err', 'F', 'oops', 2) + cri('out', 'F', 'ginning', 2),
    records: ['be', 'oops', 'ginning'],
  },
  {
    name: 'the first line of its stdio was written so much later that it is another one',
    older: cri('out', 'P', 'be'),
    newer: cri('out', 'F', 'other', 30),
    records: ['be', 'other'],
  },
  {
    name: 'together they are longer than a record may be',
    older: cri('out', 'P', 'a'.repeat(100_000)),
    newer: cri('out', 'F', 'b'.repeat(100_000)),
    records: ['a'.repeat(100_000), 'b'.repeat(100_000)],
  },
  {
    name: 'the new file begins with a byte order mark',
    older: cri('out', 'P', 'be'),
    newer: `\u{feff}${cri('out', 'F', 'ginning')}${cri('out', 'F', 'two')}`,
    records: ['beginning', 'two'],
  },
  {
    name: 'the new file begins with a hole',
    older: cri('out', 'P', 'be'),
    newer: '\0'.repeat(5_000) + cri('out', 'F', 'ginning') + cri('out', 'F', 'two'),
    records: ['beginning', 'two'],
  },
  {
    name: 'the new file begins with a hole in which no rest is looked for',
    older: cri('out', 'P', 'be'),
    newer: '\0'.repeat(300_000) + cri('out', 'F', 'other'),
    records: ['be', 'other'],
  },
  {
    name: 'a trace goes on behind the torn line',
    older: cri('out', 'P', 'java.lang.Error: '),
    newer:
      cri('out', 'F', 'x') + cri('err', 'F', 'oops') + cri('out', 'F', '\tat a.B(C.java:1)') + cri('out', 'F', 'two'),
    records: ['java.lang.Error: x\n\tat a.B(C.java:1)', 'oops', 'two'],
    rules: { ...PLAIN_RULES, multiline: { presets: ['java'] } },
  },
  {
    name: 'the joined line is one that a filter drops',
    older: cri('out', 'F', 'one') + cri('out', 'P', 'se'),
    newer: cri('out', 'F', 'cret') + cri('out', 'F', 'two'),
    records: ['one', 'two'],
    rules: { ...PLAIN_RULES, exclude: ['^secret$'] },
  },
];

describe('torn line', () => {
  let folder: string;
  let clock: VirtualClock;
  let disk: MemoryDisk;
  let forwarder: Forwarder;
  let destination: FakeDestination;
  let metrics: ReturnType<typeof createMetrics>;
  let rules: RecordRules;
  let isAlive = { now: true };
  let starts = 0;
  let crashed: Forwarder[] = [];

  const at = (name: string): string => join(folder, 'node', 'app', name);
  const open = async (sinks: readonly SinkName[] = ['elasticsearch']): Promise<void> => {
    starts += 1;
    metrics = createMetrics();
    isAlive = { now: true };
    const own = isAlive;
    const log = silentLog;
    const glob = { container: 'app', path: '/logs/app/*.log', directory: '/logs/app' };
    const places = { mount: join(folder, 'node'), root: '/logs/', unpacked: join(folder, 'unpacked') };
    forwarder = await Forwarder.open({
      files: [places.mount, places.unpacked].map((mount) => ({ ...glob, mount: join(mount, 'app') })),
      relocate: (known) => unpackMissed(known, { containers: ['app'], ...places, log, metrics }),
      stdioRoot: '/logs/',
      sinks,
      uid: 'uid',
      epoch: `epoch-${starts}`,
      flushIntervalMs: FLUSH_MS,
      rules,
      stateFiles: disk.mount(() => own.now),
      clock,
      random: () => 0.5,
      log,
      metrics,
      watch: false,
    });
  };
  const start = async (options: Partial<FakeSinkOptions> = {}): Promise<void> => {
    await open();
    const own = isAlive;
    forwarder.attach(fakeSink({ destination, isAlive: () => own.now, ...options }));
  };
  /** The process is gone without a word. */
  const kill = (): void => {
    isAlive.now = false;
    forwarder.abort();
    crashed.push(forwarder);
  };
  const run = async (ms: number, stepMs = 50): Promise<void> => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      for (let turn = 0; turn < 8 && forwarder.turn() === 0; turn += 1) await clock.advance(0, 0);
      await clock.advance(stepMs, 0);
    }
  };
  const rotate = (older: string, newer: string | undefined, stamp = '20261128-100000'): void => {
    appendFileSync(at('0.log'), older);
    renameSync(at('0.log'), at(`0.log.${stamp}`));
    if (newer !== undefined) writeFileSync(at('0.log'), newer);
  };
  /** A torn line was joined and sent, nobody heard the answer, the process is gone, and then one of the two files. */
  const killedWithout = async (name: string): Promise<void> => {
    writeFileSync(at('0.log'), '');
    destination.script = () => 'store_and_lose_answer';
    await start();
    rotate(cri('out', 'P', 'be'), cri('out', 'F', 'ginning'));
    await run(LONG_MS);
    kill();
    unlinkSync(at(name));
    destination.script = () => 'store';
  };
  const texts = (): string[] => destination.texts.map((text) => text.slice(0, -1));
  const sorted = (records: readonly string[]): string[] => records.toSorted();
  /** The books are whole: every line and byte of what was written is delivered or dropped. */
  const assertBooks = (content: string): void => {
    const [summary] = forwarder.summaries();
    assert(summary !== undefined);
    summary.account.assertBalanced();
    assert.deepEqual(summary.account.read, {
      lines: content.split('\n').length - 1,
      bytes: Buffer.byteLength(content),
    });
    assert.deepEqual(summary.account.pending, { lines: 0, bytes: 0 });
    assert.equal(summary.unreadBytes, 0);
  };
  const torn = (outcome: 'joined' | 'apart'): number =>
    metrics.counter('logtender_torn_lines_total', '').value({ sink: 'elasticsearch', outcome });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-torn-'));
    for (const side of ['node', 'unpacked']) mkdirSync(join(folder, side, 'app'), { recursive: true });
    clock = new VirtualClock();
    disk = new MemoryDisk();
    destination = new FakeDestination();
    rules = PLAIN_RULES;
  });
  afterEach(async () => {
    for (const one of [...crashed, forwarder]) await one.close();
    crashed = [];
    rmSync(folder, { recursive: true });
  });

  for (const { name, older, newer, records, rules: own = PLAIN_RULES } of HISTORIES) {
    it(`${name}: at once, in an end in order, and once however often the process is killed`, async () => {
      rules = own;
      for (const way of ['steady', 'drained', 'killed'] as const) {
        destination = new FakeDestination();
        disk = new MemoryDisk();
        for (const file of ['0.log', '0.log.20261128-100000']) rmSync(at(file), { force: true });
        // Answers are lost, so that all is sent again after each kill.
        if (way === 'killed') destination.script = () => 'store_and_lose_answer';
        writeFileSync(at('0.log'), '');
        await start({ recordsMax: 2 });
        await run(100);
        rotate(older, newer);
        if (way === 'drained') {
          const drained = await whileTimePasses(clock, forwarder.drain(new AbortController().signal), 10_000);
          assert.deepEqual(drained, { settled: true, value: true });
        } else {
          for (let kills = 0; way === 'killed' && kills < 6; kills += 1) {
            await run(kills === 0 ? LONG_MS : 700);
            kill();
            if (kills === 4) destination.script = () => 'store';
            await start({ recordsMax: 1 + kills });
          }
          await run(LONG_MS);
        }
        assert.deepEqual(sorted(texts()), sorted(records), way);
        assert.deepEqual(destination.hidden, []);
        assertBooks(older + newer);
        await forwarder.close();
      }
    });
  }

  it('is told to the checkpoint before it is sent: which file has the rest, and where', async () => {
    writeFileSync(at('0.log'), '');
    const told: unknown[] = [];
    destination.script = ({ records }) => {
      if (!records.includes('beginning\n')) return 'store';
      for (const { content } of disk.files.values())
        for (const entry of decodeLines(content).entries) if (entry.t === 'lane' && entry.rest) told.push(entry.rest);
      return 'store';
    };
    await start();
    rotate(cri('out', 'F', 'one') + cri('out', 'P', 'be'), cri('err', 'F', 'oops') + cri('out', 'F', 'ginning'));
    await run(LONG_MS);
    const [rest] = told as readonly { readonly at: number; readonly parts: unknown }[];
    const oops = cri('err', 'F', 'oops').length;
    assert.equal(rest?.at, cri('out', 'F', 'one').length + cri('out', 'P', 'be').length);
    assert.deepEqual(rest.parts, [[oops, oops + cri('out', 'F', 'ginning').length]]);
    assert.equal(torn('joined'), 1);
    assert.equal(torn('apart'), 0);
  });

  it('waits for a writer that says the rest later, and not for ever', async () => {
    for (const [afterMs, records] of [
      [6_000, ['beginning']],
      [16_000, ['be', 'ginning']],
    ] as const) {
      destination = new FakeDestination();
      disk = new MemoryDisk();
      rmSync(at('0.log.20261128-100000'), { force: true });
      writeFileSync(at('0.log'), '');
      await start();
      rotate(cri('out', 'P', 'be'), '');
      await run(afterMs);
      appendFileSync(at('0.log'), cri('out', 'F', 'ginning', 6));
      await run(LONG_MS);
      assert.deepEqual(texts(), records);
      await forwarder.close();
    }
  });

  it('keeps what is newer waiting for no longer than a second', async () => {
    writeFileSync(at('0.log'), '');
    await start();
    rotate(cri('out', 'P', 'be'), cri('err', 'F', 'oops'));
    // A second until the old file is complete, and one for the rest.
    await run(2_600);
    assert.deepEqual(texts(), ['be', 'oops']);
    assert.equal(torn('apart'), 1);
  });

  it('ends with the file where none followed', async () => {
    writeFileSync(at('0.log'), '');
    await start();
    rotate(cri('out', 'P', 'be'), undefined);
    await run(LONG_MS);
    assert.deepEqual(texts(), ['be']);
    writeFileSync(at('0.log'), cri('out', 'F', 'ginning'));
    await run(LONG_MS);
    assert.deepEqual(texts(), ['be', 'ginning']);
  });

  it('is whole for a sink that was away while the log was rotated again and again', async () => {
    writeFileSync(at('0.log'), '');
    await open();
    await run(100);
    const all: string[] = [];
    for (let file = 0; file < 4; file += 1) {
      const older = cri('out', 'F', `st ${file}`) + cri('err', 'F', `line ${file}`) + cri('out', 'P', 'te');
      all.push(older);
      rotate(older, '', `20261128-10000${file}`);
      await run(file === 1 ? 2_000 : 100);
    }
    const last = cri('out', 'F', 'st 4');
    appendFileSync(at('0.log'), last);
    const own = isAlive;
    forwarder.attach(fakeSink({ destination, isAlive: () => own.now, recordsMax: 3 }));
    await run(2 * LONG_MS);
    const lines = [0, 1, 2, 3].map((file) => `line ${file}`);
    assert.deepEqual(sorted(texts()), sorted(['st 0', 'test 1', 'test 2', 'test 3', 'test 4', ...lines]));
    assertBooks(all.join('') + last);
  });

  it('is whole in each lane, whatever the other one does', async () => {
    writeFileSync(at('0.log'), '');
    await open(['elasticsearch', 'console']);
    const other = new FakeDestination();
    other.script = () => UNREACHABLE;
    forwarder.attach(fakeSink({ destination }));
    forwarder.attach(fakeSink({ destination: other, name: 'console' }));
    rotate(cri('out', 'P', 'be'), cri('out', 'F', 'ginning'));
    await run(LONG_MS);
    rotate(cri('out', 'P', 'mid'), cri('out', 'F', 'dle'), '20261128-100001');
    await run(LONG_MS);
    assert.deepEqual(texts(), ['beginning', 'middle']);
    other.script = () => 'store';
    await run(60_000, 500);
    assert.deepEqual(other.texts, ['beginning\n', 'middle\n']);
  });

  it('is counted where it begins when the sink refuses it, and nothing of it comes back', async () => {
    writeFileSync(at('0.log'), '');
    destination.script = ({ records, indexes }) =>
      partial({
        rejected: indexes
          .filter((_, i) => records[i] === 'beginning\n')
          .map((index) => ({ index, reason: 'rejected_by_sink', text: 'no' })),
      });
    await start();
    const older = cri('out', 'P', 'be');
    const newer = cri('out', 'F', 'ginning') + cri('out', 'F', 'two');
    rotate(older, newer);
    await run(LONG_MS);
    kill();
    await start();
    await run(LONG_MS);
    assert.deepEqual(texts(), ['two']);
    const dropped = forwarder.summaries()[0]?.account.dropped.get('rejected_by_sink');
    assert.deepEqual(dropped, { lines: 2, bytes: Buffer.byteLength(older) });
    assertBooks(older + newer);
  });

  it('moves nothing while the batch has no room', async () => {
    writeFileSync(at('0.log'), '');
    destination.script = () => UNREACHABLE;
    await start({ recordsMax: 2 });
    const older = cri('out', 'F', 'one') + cri('out', 'F', 'two') + cri('out', 'F', 'three') + cri('out', 'P', 'be');
    rotate(older, cri('err', 'F', 'oops') + cri('out', 'F', 'ginning'));
    await run(LONG_MS);
    destination.script = () => 'store';
    await run(60_000, 500);
    assert.deepEqual(texts(), ['one', 'two', 'three', 'beginning', 'oops']);
  });

  it('goes out without its rest, under a new id, when the file that had it is gone after a kill', async () => {
    await killedWithout('0.log');
    await start();
    await run(2 * LONG_MS);
    assert.deepEqual(texts(), ['beginning', 'be']);
    assert.deepEqual(destination.hidden, []);
    assert.equal(forwarder.summaries()[0]?.account.duplicatesMax, 1, 'it may be there twice, and that is counted');
  });

  it('leaves the rest as a line of its own when what it completes is gone unsent after a kill', async () => {
    writeFileSync(at('0.log'), '');
    destination.script = () => UNREACHABLE;
    await start();
    rotate(cri('out', 'P', 'be'), cri('out', 'F', 'ginning') + cri('out', 'F', 'two'));
    await run(LONG_MS);
    kill();
    unlinkSync(at('0.log.20261128-100000'));
    destination.script = () => 'store';
    await start();
    await run(2 * LONG_MS);
    assert.deepEqual(texts(), ['ginning', 'two']);
  });

  it('is counted as maybe there twice when what it completed is gone, though a kill comes before the rest is sent', async () => {
    await killedWithout('0.log.20261128-100000');
    await open();
    await run(2 * LONG_MS);
    kill();
    await start();
    await run(LONG_MS);
    assert.deepEqual(texts(), ['beginning', 'ginning']);
    assert.equal(forwarder.summaries()[0]?.account.duplicatesMax, 1);
  });

  it('is as it is when the file that followed is cut off before it was read', async () => {
    writeFileSync(at('0.log'), '');
    await start();
    rotate(cri('out', 'P', 'be'), '');
    await run(1_500);
    appendFileSync(at('0.log'), cri('out', 'P', 'gin'));
    await run(200);
    truncateSync(at('0.log'), 0);
    appendFileSync(at('0.log'), cri('out', 'F', 'new'));
    await run(2 * LONG_MS);
    assert.deepEqual(destination.hidden, []);
    assert.deepEqual(texts().at(-1)?.endsWith('new'), true, 'nothing that stands there is lost');
  });

  it('is left where a line stands that its old file got after it', async () => {
    writeFileSync(at('0.log'), '');
    await start();
    rotate(cri('out', 'P', 'be'), cri('out', 'F', 'ginning'));
    await run(LONG_MS);
    appendFileSync(at('0.log.20261128-100000'), cri('out', 'F', 'late'));
    await run(LONG_MS);
    kill();
    await start();
    await run(LONG_MS);
    assert.deepEqual(texts(), ['beginning', 'late']);
    assert.deepEqual(destination.hidden, []);
  });

  it('is made again from the archive that the kubelet made of the old file while nobody was there', async () => {
    writeFileSync(at('0.log'), '');
    destination.script = () => 'store_and_lose_answer';
    await start();
    const older = cri('out', 'F', 'one') + cri('out', 'P', 'be');
    const newer = cri('out', 'F', 'ginning') + cri('out', 'F', 'two');
    rotate(older, newer);
    await run(LONG_MS);
    kill();
    const name = '0.log.20261128-100000';
    writeFileSync(at(`${name}.gz`), gzipSync(older));
    unlinkSync(at(name));
    destination.script = () => 'store';
    await start();
    await run(LONG_MS);
    assert.deepEqual(texts(), ['one', 'beginning', 'two']);
    assert.deepEqual(destination.hidden, []);
    assertBooks(older + newer);
  });

  it('is taken for one where the file of the path is the user’s own, read as lines of a container runtime', async () => {
    rules = { ...PLAIN_RULES, parser: 'cri' };
    writeFileSync(at('0.log'), '');
    await start();
    rotate(cri('out', 'P', 'be'), cri('out', 'F', 'ginning'));
    await run(LONG_MS);
    assert.deepEqual(texts(), ['beginning']);
    assert.equal([...destination.stored.values()][0]?.source.path, LOG);
  });
});
