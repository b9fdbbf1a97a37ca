/**
 * The engine as a whole: real files, a clock that the test moves, state folder and destination in memory.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  copyFileSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

import type { FileGlob, SinkName } from '../../../src/config/forwarder-config.ts';
import { LINE_BYTES_MAX, READ_BYTES } from '../../../src/core/limits.ts';
import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import type { RecordRules } from '../../../src/config/record-rules.ts';
import { createLog, silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { recordBytes } from '../../../src/core/record.ts';
import { RECORD_WAIT_MS } from '../../../src/parse/record-cutter.ts';
import { decodeLines } from '../../../src/pipeline/checkpoint-codec.ts';
import { Forwarder } from '../../../src/pipeline/forwarder.ts';
import type { Delivery, Encoder, Sink } from '../../../src/sinks/sink.ts';
import { FakeFolderWatches } from '../../fakes/folder-watches.ts';
import { MemoryDisk } from '../../fakes/memory-state-files.ts';
import type { Fault, StateCall } from '../../fakes/memory-state-files.ts';
import { whileTimePasses } from '../../fakes/passing-time.ts';
import { FakeDestination, fakeSink, partial, UNREACHABLE } from '../../fakes/sink.ts';
import type { FakeSinkOptions } from '../../fakes/sink.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const FLUSH_MS = 1_000;
const VOLUME = '/volume/.logtender/web';

/** What is made, copied or cut off after it has a later time than what was before: more than a tick of the file system's clock. */
const tick = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);

describe('forwarder', () => {
  let folder: string;
  let clock: VirtualClock;
  let disk: MemoryDisk;
  let forwarder: Forwarder;
  let destination: FakeDestination;
  let metrics: ReturnType<typeof createMetrics>;
  let starts = 0;
  let log = silentLog;
  let rules: RecordRules;
  let bootId: string | undefined;
  let stdioRoot: string | undefined;
  /** Of the volume at `/volume`, which keeps the positions of its files. */
  let volume: MemoryDisk;
  let files: readonly FileGlob[];
  let watches: FakeFolderWatches | undefined;
  /** What is written while it is false is lost. */
  let isAlive = true;
  /** Processes that are gone; their descriptors are closed at the end. */
  let crashed: Forwarder[] = [];

  const at = (name: string): string => resolve(folder, name);
  /** Half of the files lie on a volume. */
  const onVolume = (): void => {
    mkdirSync(at('v'));
    const directory = '/volume';
    files = [...files, { container: 'app', path: '/volume/*.log', directory, mount: at('v'), positions: VOLUME }];
  };
  const join = (): Promise<string | undefined> =>
    forwarder.join(
      VOLUME,
      volume.mount(() => isAlive),
    );

  const open = async (sinks: readonly SinkName[] = ['elasticsearch'], holdBytesMax?: number): Promise<Forwarder> => {
    starts += 1;
    metrics = createMetrics();
    return Forwarder.open({
      files,
      stdioRoot,
      sinks,
      uid: 'uid',
      epoch: `epoch-${starts}`,
      flushIntervalMs: FLUSH_MS,
      rules,
      stateFiles: disk.mount(() => isAlive),
      clock,
      random: () => 0.5,
      log,
      metrics,
      watch: watches !== undefined,
      watchFolder: watches?.watchFolder,
      bootId,
      ...(holdBytesMax === undefined ? {} : { holdBytesMax }),
    });
  };
  const start = async (options: Partial<FakeSinkOptions> = {}): Promise<void> => {
    forwarder = await open();
    forwarder.attach(fakeSink({ destination, ...options }));
  };
  /** Lets that much time pass in small steps. */
  const run = async (ms: number, stepMs = 50): Promise<void> => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      for (let turn = 0; turn < 8 && forwarder.turn() === 0; turn += 1) await clock.advance(0, 0);
      await clock.advance(stepMs, 0);
    }
  };
  const drain = async (limitMs = 60_000): Promise<boolean> => {
    const deadline = new AbortController();
    const draining = forwarder.drain(deadline.signal);
    let outcome = await whileTimePasses(clock, draining, limitMs);
    deadline.abort();
    if (!outcome.settled) outcome = await whileTimePasses(clock, draining, 1_000);
    assert(outcome.settled, 'the drain ends at its deadline');
    return outcome.value;
  };
  /** The destination holds another record under the first id of the next request, and is well after that. */
  const conflictOnce = (): void => {
    destination.script = () => {
      destination.script = () => 'store';
      return partial({ conflicts: [0] });
    };
  };
  const account = (sink = 0): ReturnType<Forwarder['summaries']>[number]['account'] => {
    const summary = forwarder.summaries()[sink];
    assert(summary !== undefined);
    summary.account.assertBalanced();
    return summary.account;
  };

  beforeEach(() => {
    rules = PLAIN_RULES;
    bootId = undefined;
    stdioRoot = undefined;
    watches = undefined;
    log = silentLog;
    volume = new MemoryDisk();
    folder = mkdtempSync(resolve(tmpdir(), 'logtender-forwarder-'));
    files = [{ container: 'app', path: '/log/*.log', directory: '/log', mount: folder }];
    clock = new VirtualClock();
    disk = new MemoryDisk();
    destination = new FakeDestination();
  });
  afterEach(async () => {
    for (const one of [...crashed, forwarder]) await one.close();
    crashed = [];
    rmSync(folder, { recursive: true });
  });

  for (const isCutOffAtOnce of [false, true])
    it(`keeps the order where names move while a scan looks into their files${isCutOffAtOnce ? ' and the original is cut off' : ''}`, async () => {
      let isMoved = false;
      const endRotation = (): void => {
        writeFileSync(at('a.log.1'), 'third\n');
        tick();
        writeFileSync(at('a.log'), '4\n');
      };
      // Within the scan: the copy of the first generation was just found, that of the second was listed and not yet opened.
      const rotate = (line: string): void => {
        if (isMoved || !line.includes('copy of a truncated file')) return;
        isMoved = true;
        renameSync(at('a.log.2'), at('a.log.3'));
        renameSync(at('a.log.1'), at('a.log.2'));
        writeFileSync(at('a.log.1'), '');
        if (isCutOffAtOnce) endRotation();
      };
      log = createLog({ clock, level: 'info', write: rotate });
      writeFileSync(at('a.log'), 'the first\n');
      await start();
      await run(2_000);
      tick();
      writeFileSync(at('a.log.2'), 'the first\n');
      tick();
      writeFileSync(at('a.log.1'), 'second\n');
      tick();
      writeFileSync(at('a.log'), 'third\n');
      for (let turns = 0; !isMoved; turns += 1) {
        assert(turns < 100, 'it is looked at some time');
        forwarder.turn();
        await clock.advance(isMoved ? 0 : 50, 0);
      }
      // And before the next turn that rotation ends.
      if (!isCutOffAtOnce) endRotation();
      await run(10_000);
      assert.deepEqual(destination.texts, ['the first\n', 'second\n', 'third\n', '4\n']);
    });

  it('ships what is there and what is written later, in order, each with its offset', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\n');
    await start();
    await run(3 * FLUSH_MS);
    appendFileSync(at('a.log'), 'three\n');
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'two\n', 'three\n']);
    assert.deepEqual(
      [...destination.stored.values()].map(({ offset }) => offset),
      [0, 4, 8],
    );
  });

  it('says after its end, too, how much of the files nobody read', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\n');
    // The sink never opens: nothing is read.
    forwarder = await open();
    await run(3 * FLUSH_MS);
    const unread = (): number | undefined => forwarder.summaries()[0]?.unreadBytes;
    assert.equal(unread(), 8);
    await forwarder.close();
    assert.equal(unread(), 8);
  });

  it('counts the hole that a writer leaves who keeps its offset after a truncation, and ships what stands behind it', async () => {
    writeFileSync(at('a.log'), 'before\n');
    await start();
    await run(3 * FLUSH_MS);
    const hole = 3 * READ_BYTES + 5;
    truncateSync(at('a.log'), 0);
    await run(1_100);
    const writer = openSync(at('a.log'), 'r+');
    writeSync(writer, 'after\nmore\0\0\n', hole);
    closeSync(writer);
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['before\n', 'after\n', 'more\0\0\n']);
    assert.deepEqual([...destination.stored.values()].at(-1)?.offset, hole + 'after\n'.length);
    assert.deepEqual([...account().dropped], [['nul_hole', { lines: 0, bytes: hole }]]);
    assert.deepEqual(account().delivered, { lines: 3, bytes: 'before\nafter\nmore\0\0\n'.length });
  });

  describe('a byte order mark', () => {
    const MARK = '\u{feff}';
    const offsets = (): number[] => [...destination.stored.values()].map(({ offset }) => offset);

    it('of UTF-8 is no part of the first line, whose place in the file stays what it is', async () => {
      writeFileSync(at('a.log'), `${MARK}{"a":1}\n${MARK}two\n`);
      await start();
      await run(3 * FLUSH_MS);
      assert.deepEqual(destination.texts, ['{"a":1}\n', `${MARK}two\n`], 'only at the beginning is it a mark');
      assert.deepEqual(offsets(), [3, 11]);
      assert.deepEqual(account().delivered, { lines: 2, bytes: 18 });
      assert.equal(account().dropped.size, 0);
    });

    it('alone, or cut in two, waits for what follows', async () => {
      const mark = Buffer.from(MARK);
      writeFileSync(at('a.log'), mark);
      writeFileSync(at('b.log'), mark.subarray(0, 2));
      await start();
      await run(3 * FLUSH_MS);
      await forwarder.close();
      await start();
      await run(3 * FLUSH_MS);
      appendFileSync(at('a.log'), 'one\n');
      appendFileSync(at('b.log'), Buffer.concat([mark.subarray(2), Buffer.from('two\n')]));
      await run(3 * FLUSH_MS);
      assert.deepEqual(destination.texts.toSorted(), ['one\n', 'two\n']);
      assert.deepEqual(offsets(), [3, 3]);
    });

    it('gives the same record under the same id when the answer was lost with the process', async () => {
      writeFileSync(at('a.log'), `${MARK}one\ntwo\n`);
      destination.script = () => 'store_and_lose_answer';
      await start();
      await run(3 * FLUSH_MS);
      await forwarder.close();
      destination.script = () => 'store';
      await start();
      await run(3 * FLUSH_MS);
      assert.deepEqual(destination.texts, ['one\n', 'two\n']);
      assert.deepEqual([account().duplicates, destination.hidden], [2, []]);
      assert.deepEqual(account().delivered, { lines: 2, bytes: 11 });
    });

    it('is none of the line where a file is rotated or cut off either', async () => {
      writeFileSync(at('a.log'), `${MARK}one\n`);
      await start();
      await run(3 * FLUSH_MS);
      renameSync(at('a.log'), at('a.log.1'));
      writeFileSync(at('a.log'), `${MARK}two\n`);
      await run(3 * FLUSH_MS);
      writeFileSync(at('a.log'), `${MARK}3\n`);
      await run(3 * FLUSH_MS);
      assert.deepEqual(destination.texts, ['one\n', 'two\n', '3\n']);
      assert.deepEqual(offsets(), [3, 3, 3]);
      assert.deepEqual(destination.hidden, []);
    });

    it('of UTF-16 is told once with what to do, and the lines are shipped as they are', async () => {
      const text = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('one\n', 'utf16le')]);
      writeFileSync(at('a.log'), text);
      const lines: string[] = [];
      log = createLog({ clock, level: 'info', write: (line) => lines.push(line) });
      forwarder = await open(['elasticsearch', 'console']);
      forwarder.attach(fakeSink({ destination }));
      forwarder.attach(fakeSink({ destination: new FakeDestination(), name: 'console' }));
      await run(3 * FLUSH_MS);
      appendFileSync(at('a.log'), Buffer.from('two\n', 'utf16le'));
      assert.equal(await drain(), true);
      const stored = [...destination.stored.values()].map(({ bytes }) => bytes);
      assert.deepEqual(Buffer.concat(stored), Buffer.concat([text, Buffer.from('two\n', 'utf16le')]));
      const told = lines.filter((line) => line.includes('UTF-16'));
      assert.equal(told.length, 1, 'once for both sinks');
      assert.match(told[0] ?? '', /"path":"\/log\/a\.log".*let the app write UTF-8/);
      assert.match(metrics.expose(), /^logtender_utf16_files_total 1$/m);
    });
  });

  it('goes on under the same ids on another machine after an end in order, whatever was in doubt', async () => {
    bootId = 'boot-1';
    writeFileSync(at('a.log'), 'one\ntwo\n');
    destination.script = () => 'store_and_lose_answer';
    await start();
    await run(3 * FLUSH_MS);
    await forwarder.close();
    bootId = 'boot-2';
    destination.script = () => 'store';
    appendFileSync(at('a.log'), 'three\n');
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'two\n', 'three\n']);
    assert.equal(account().duplicates, 2);
  });

  it('begins files that are older than the pod at their end where it cannot know more, counts what it passes over, and keeps that', async () => {
    const olderThanMs = Date.now() - 60_000;
    const longAgo = olderThanMs / 1000 - 60;
    onVolume();
    for (const name of ['v/a.log', 'v/a.log.1', 'own.log']) {
      writeFileSync(at(name), `old ${name}\n`);
      utimesSync(at(name), longAgo, longAgo);
    }
    writeFileSync(at('v/b.log'), 'new\n');
    await start();
    forwarder.joinOlder(VOLUME, olderThanMs);
    await run(3 * FLUSH_MS);
    appendFileSync(at('v/a.log'), 'more\n');
    await run(3 * FLUSH_MS);
    const texts = ['old own.log\n', 'new\n', 'more\n'];
    assert.deepEqual(destination.texts, texts, 'what lies elsewhere has no such rule');
    const passed = [['older_than_pod', { lines: 0, bytes: 'old v/a.log\nold v/a.log.1\n'.length }]];
    assert.deepEqual([...account().dropped], passed);
    assert.equal(forwarder.bytesPassedOver, 26);
    await forwarder.close();
    await start();
    // Its files are known, and not given up before anybody looked at them.
    await run(3 * FLUSH_MS);
    appendFileSync(at('v/b.log'), 'newer\n');
    utimesSync(at('v/b.log'), longAgo, longAgo);
    forwarder.joinOlder(VOLUME, olderThanMs);
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, [...texts, 'newer\n']);
    assert.deepEqual([...account().dropped], passed);
  });

  describe('files on a volume that keeps their positions', () => {
    const texts = (): string[] => destination.texts.toSorted();
    const known = (of: MemoryDisk): string[] =>
      [...of.files.values()].flatMap(({ content }) =>
        decodeLines(content).entries.flatMap((entry) => (entry.t === 'source' ? [entry.path] : [])),
      );
    const paths = (of: MemoryDisk): string[] => [...new Set(known(of))].toSorted();
    /** Another pod: its own folder and disk are new, the volume is not. */
    const nextPod = async (): Promise<void> => {
      disk = new MemoryDisk();
      rmSync(at('own.log'), { force: true });
      await start();
    };

    beforeEach(() => onVolume());

    it('are kept there and all else with the pod, and the next pod goes on with them and their counts alone', async () => {
      writeFileSync(at('own.log'), 'own 1\n');
      writeFileSync(at('v/a.log'), 'one\n');
      await start();
      await run(3 * FLUSH_MS);
      assert.deepEqual(texts(), ['own 1\n'], 'what is not taken yet waits');
      assert.equal(await join(), undefined);
      await run(3 * FLUSH_MS);
      appendFileSync(at('v/a.log'), 'two\n');
      await run(3 * FLUSH_MS);
      assert.deepEqual(account().delivered, { lines: 3, bytes: 14 });
      await forwarder.close();
      assert.deepEqual([paths(disk), paths(volume)], [['/log/own.log'], ['/volume/a.log']]);
      await nextPod();
      writeFileSync(at('own.log'), 'own 2\n');
      appendFileSync(at('v/a.log'), 'three\n');
      await run(3 * FLUSH_MS);
      assert.deepEqual(account().read, { lines: 1, bytes: 6 }, 'before it is joined');
      forwarder.observe();
      await join();
      forwarder.observe();
      const counters = (): string => metrics.expose();
      assert.match(counters(), /^logtender_delivered_lines_total\{sink="elasticsearch"\} 1$/m, 'no counter jumps');
      assert.deepEqual(account().delivered, { lines: 3, bytes: 14 }, 'the books do not forget');
      await run(3 * FLUSH_MS);
      assert.deepEqual(texts(), ['one\n', 'own 1\n', 'own 2\n', 'three\n', 'two\n']);
      assert.deepEqual(account().delivered, { lines: 4, bytes: 20 });
      forwarder.observe();
      assert.match(counters(), /^logtender_delivered_lines_total\{sink="elasticsearch"\} 2$/m);
      assert.deepEqual(destination.requests.flatMap(({ records }) => records).length, 5, 'nothing went out twice');
    });

    for (const answer of ['store_and_lose_answer', UNREACHABLE] as const) {
      const outcome = answer === UNREACHABLE ? 'never arrived' : 'arrived unheard';
      it(`are let go of when another pod takes over, while a batch with them ${outcome}; the rest goes on`, async () => {
        writeFileSync(at('v/a.log'), 'one\n');
        writeFileSync(at('own.log'), 'own 1\n');
        await start();
        await join();
        destination.script = () => answer;
        await run(2 * FLUSH_MS);
        assert.deepEqual(account().pending, { lines: 2, bytes: 10 });
        // Both are in the batch that fills, too.
        appendFileSync(at('v/a.log'), 'two\n');
        appendFileSync(at('own.log'), 'own 2\n');
        await run(2 * FLUSH_MS);
        forwarder.leave(VOLUME);
        assert.deepEqual(account().read, { lines: 2, bytes: 12 }, 'its books went with it');
        const before = destination.requests.length;
        destination.script = () => 'store';
        appendFileSync(at('v/a.log'), 'three\n');
        await run(3 * FLUSH_MS);
        const sent = destination.requests.slice(before).flatMap(({ records }) => records);
        assert.deepEqual(sent, ['own 1\n', 'own 2\n']);
        assert.deepEqual(account().delivered, { lines: 2, bytes: 12 });
        assert.equal(account().pending.lines, 0);
        const saved = [...volume.files].map(([name, { content }]) => [name, content.toString()]);
        await run(10 * FLUSH_MS);
        assert.deepEqual(
          [...volume.files].map(([name, { content }]) => [name, content.toString()]),
          saved,
          'nothing is written there any more',
        );
        await join();
        await run(3 * FLUSH_MS);
        assert.deepEqual(texts(), ['one\n', 'own 1\n', 'own 2\n', 'three\n', 'two\n']);
        assert.deepEqual(account().delivered, { lines: 5, bytes: 26 });
        assert.deepEqual(destination.hidden, []);
      });
    }

    it('are let go of while another file is copied and cut off: its lines come from the copy, once', async () => {
      writeFileSync(at('own.log'), 'own 1\n');
      await start();
      await join();
      await run(3 * FLUSH_MS);
      destination.script = () => 'store_and_lose_answer';
      writeFileSync(at('v/a.log'), 'one\n');
      appendFileSync(at('own.log'), 'own 2\n');
      await run(2 * FLUSH_MS);
      assert.equal(account().pending.lines, 2, 'one request has both');
      copyFileSync(at('own.log'), at('own.log.1'));
      truncateSync(at('own.log'));
      forwarder.leave(VOLUME);
      destination.script = () => 'store';
      // The request is given up before anybody looks at the file again.
      await clock.advance(0, 0);
      await run(5 * FLUSH_MS);
      assert.deepEqual(texts(), ['one\n', 'own 1\n', 'own 2\n']);
    });

    it('are let go of while the rest of a batch with them is sent again: what of them arrived is nobody’s any more', async () => {
      await start();
      await join();
      writeFileSync(at('v/a.log'), 'one\n');
      await run(FLUSH_MS / 4);
      writeFileSync(at('own.log'), 'own 1\n');
      destination.script = ({ records }) => (records.length === 2 ? partial({ retry: [1] }) : UNREACHABLE);
      await run(2 * FLUSH_MS);
      assert.deepEqual(destination.requests[0]?.records, ['one\n', 'own 1\n']);
      forwarder.leave(VOLUME);
      destination.script = () => 'store';
      await run(5 * FLUSH_MS);
      assert.deepEqual(account().delivered, { lines: 1, bytes: 6 });
      await join();
      await run(5 * FLUSH_MS);
      assert.deepEqual(texts(), ['one\n', 'own 1\n']);
      assert.deepEqual(account().delivered, { lines: 2, bytes: 10 });
    });

    it('are let go of from a batch that had no room for another file, which goes on', async () => {
      await start({ recordsMax: 1 });
      await join();
      destination.script = () => UNREACHABLE;
      writeFileSync(at('v/a.log'), 'one\n');
      writeFileSync(at('own.log'), '');
      await run(3 * FLUSH_MS);
      appendFileSync(at('v/a.log'), 'two\n');
      await run(FLUSH_MS / 2);
      appendFileSync(at('own.log'), 'own 1\n');
      await run(FLUSH_MS / 4);
      forwarder.leave(VOLUME);
      destination.script = () => 'store';
      await run(5 * FLUSH_MS);
      assert.deepEqual(texts(), ['own 1\n']);
    });

    it('are let go of without a trace on what is not among them', async () => {
      writeFileSync(at('v/a.log'), 'one\n');
      await start();
      await join();
      await run(3 * FLUSH_MS);
      unlinkSync(at('v/a.log'));
      await run(20 * FLUSH_MS);
      assert.deepEqual(account().read, { lines: 1, bytes: 4 }, 'of a file that is done with');
      forwarder.leave(VOLUME);
      forwarder.leave(VOLUME);
      assert.deepEqual(account().read, { lines: 0, bytes: 0 });
      writeFileSync(at('own.log'), 'own 1\n');
      assert.equal(await drain(), true);
      assert.deepEqual(destination.texts, ['one\n', 'own 1\n']);
      await forwarder.close();
      assert.deepEqual(paths(disk), ['/log/own.log']);
    });

    it('are known once, though they were let go of before anybody looked at them', async () => {
      writeFileSync(at('v/a.log'), 'one\n');
      await start();
      await join();
      await run(3 * FLUSH_MS);
      await forwarder.close();
      for (let life = 0; life < 2; life += 1) {
        await start();
        await join();
        forwarder.leave(VOLUME);
        await join();
        await run(3 * FLUSH_MS);
        assert.deepEqual(account().delivered, { lines: 1, bytes: 4 });
        await forwarder.close();
      }
      assert.equal(destination.requests.length, 1, 'it is not read again');
    });

    it('are not in doubt because the pod ships stdio or does not', async () => {
      writeFileSync(at('v/a.log'), 'one\n');
      destination.script = () => 'store_and_lose_answer';
      await start();
      await join();
      await run(2 * FLUSH_MS);
      await forwarder.close();
      destination.script = () => 'store';
      stdioRoot = '/log/pods/';
      await start();
      await join();
      await run(3 * FLUSH_MS);
      assert.deepEqual([texts(), account().duplicates], [['one\n'], 1]);
    });

    it('wait while their positions cannot be read, and nothing is written over those', async () => {
      writeFileSync(at('v/a.log'), 'one\n');
      await start();
      await join();
      await run(3 * FLUSH_MS);
      await forwarder.close();
      const saved = volume.files.get('checkpoint')?.content.toString();
      volume.readFailure = 'EIO';
      await start();
      const joining = await whileTimePasses(clock, join(), 10_000);
      assert(joining.settled);
      assert.match(joining.value ?? '', /EIO/);
      appendFileSync(at('v/a.log'), 'two\n');
      await run(20 * FLUSH_MS);
      assert.equal(volume.files.get('checkpoint')?.content.toString(), saved);
      volume.readFailure = undefined;
      await join();
      await run(3 * FLUSH_MS);
      assert.deepEqual(
        destination.requests.map(({ records }) => records),
        [['one\n'], ['two\n']],
      );
    });
  });

  it('tails nothing of the folder of positions, whatever the glob says', async () => {
    for (const folderOf of ['.logtender', 'x/.logtender']) mkdirSync(at(`${folderOf}/web`), { recursive: true });
    for (const name of ['.logtender/web/a.log', 'x/.logtender/web/a.log', 'x/b.log'])
      writeFileSync(at(name), `${name}\n`);
    const globs = ['/log/**/*.log', '/log/.*/*/*.log', '/log/x/.logtender/web/*.log'];
    files = globs.map((path) => {
      const directory = path.replace(/\/[^/]*\*.*/, '');
      return { container: 'app', path, directory, mount: at(directory.slice('/log/'.length)) };
    });
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['x/b.log\n']);
  });

  it('gathers lines for one flush interval', async () => {
    writeFileSync(at('a.log'), 'one\n');
    await start();
    await run(FLUSH_MS - 200);
    appendFileSync(at('a.log'), 'two\n');
    await run(100);
    assert.equal(destination.requests.length, 0);
    await run(FLUSH_MS);
    assert.deepEqual(
      destination.requests.map(({ records }) => records),
      [['one\n', 'two\n']],
    );
  });

  it('holds an incomplete line back until it is whole', async () => {
    writeFileSync(at('a.log'), 'one\ntw');
    await start();
    await run(5 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n']);
    appendFileSync(at('a.log'), 'o\n');
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'two\n']);
  });

  it('ships the incomplete last line of a rotated file once it is quiet, and of every file at the end', async () => {
    writeFileSync(at('a.log'), 'one\ntwo');
    await start();
    await run(2 * FLUSH_MS);
    renameSync(at('a.log'), at('a.log.1'));
    writeFileSync(at('a.log'), 'three\nfour');
    await run(6 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'two', 'three\n']);
    assert.equal(await drain(), true);
    assert.deepEqual(destination.texts, ['one\n', 'two', 'three\n', 'four']);
    assert.deepEqual(account().delivered, { lines: 4, bytes: 17 });
  });

  it('splits a line without end into parts that put together are the line', async () => {
    const line = `${'x'.repeat(LINE_BYTES_MAX - 1)}é${'y'.repeat(2 * LINE_BYTES_MAX)}`;
    writeFileSync(at('a.log'), `a\n${line}\nb\n`);
    await start();
    await run(3 * FLUSH_MS);
    assert.equal(destination.texts.join(''), `a\n${line}\nb\n`);
    assert.deepEqual(
      destination.texts.map((text) => text.length),
      [2, LINE_BYTES_MAX - 1, LINE_BYTES_MAX - 1, LINE_BYTES_MAX, 3, 2],
    );
  });

  it('reads a large file in turns with small ones', async () => {
    const big = Array.from({ length: 40_000 }, (_, i) => `big ${String(i).padStart(60, '0')}\n`).join('');
    writeFileSync(at('a.log'), big);
    writeFileSync(at('b.log'), 'small\n');
    await start({ recordsMax: 100_000, bytesMax: 2 * READ_BYTES });
    await run(3 * FLUSH_MS);
    assert(destination.requests.length > 2, 'several batches');
    assert(destination.requests[0]?.records.includes('small\n'), 'the small file is in the first');
    assert.equal(destination.stored.size, 40_001);
  });

  it('serves sources that go to different destinations within a flush interval each', async () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(at(`${name}.log`), `${name}1\n`);
    await start({ destinationOf: ({ path }) => path });
    await run(FLUSH_MS + 300);
    assert.deepEqual(destination.texts.toSorted(), ['a1\n', 'b1\n', 'c1\n']);
    assert.equal(destination.requests.length, 3, 'one batch for each');
    for (let i = 0; i < 20; i += 1) {
      for (const name of ['a', 'b', 'c']) appendFileSync(at(`${name}.log`), `${name}\n`);
      await run(100);
    }
    await run(3 * FLUSH_MS);
    assert.equal(destination.stored.size, 63);
    assert(destination.requests.length < 20, `batches gather, got ${destination.requests.length} requests`);
  });

  it('sends nothing before the checkpoint on disk knows the source and its reservation', async () => {
    writeFileSync(at('a.log'), 'one\n');
    const unknown: string[] = [];
    destination.script = () => {
      const synced = [...disk.files.values()].map(({ content, synced: bytes }) => content.subarray(0, bytes));
      const entries = synced.flatMap((bytes) => decodeLines(bytes).entries);
      const size = [...destination.stored.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
      if (!entries.some((entry) => entry.t === 'source')) unknown.push('source');
      if (!entries.some((entry) => entry.t === 'lane' && entry.reserved > size))
        unknown.push(`reservation beyond ${size}`);
      return 'store';
    };
    await start();
    for (let i = 0; i < 10; i += 1) {
      await run(2 * FLUSH_MS);
      appendFileSync(at('a.log'), `${'x'.repeat(200)}\n`);
    }
    assert.equal(destination.stored.size, 10);
    assert.deepEqual(unknown, []);
  });

  it('sends the same bytes again where a record ended inside of a character, although the rest of that is there by now', async () => {
    rules = { ...PLAIN_RULES, redact: ['secret'] };
    writeFileSync(at('a.log'), Buffer.from('one\ncaf\xc3', 'latin1'));
    await start();
    await run(2 * FLUSH_MS);
    destination.script = () => 'store_and_lose_answer';
    assert.equal(await drain(5_000), false);
    await forwarder.close();
    appendFileSync(at('a.log'), Buffer.from('\xa9 au lait\n', 'latin1'));
    destination.script = () => 'store';
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.hidden, []);
    const texts = [...destination.stored.values()].map(({ bytes }) => bytes.toString('utf8').trimEnd());
    assert.deepEqual(texts, ['one', 'caf\u{fffd}', '\u{fffd} au lait']);
  });

  it('goes on after a restart where the acknowledgements ended', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\n');
    await start();
    await run(3 * FLUSH_MS);
    await forwarder.close();
    appendFileSync(at('a.log'), 'three\n');
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(
      destination.requests.map(({ records }) => records),
      [['one\n', 'two\n'], ['three\n']],
    );
    assert.deepEqual(account().read, { lines: 3, bytes: 14 }, 'the books go on as well');
  });

  it('recognises its own records when the answer was lost with the process', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\n');
    destination.script = () => 'store_and_lose_answer';
    await start();
    await run(3 * FLUSH_MS);
    assert.equal(account().pending.lines, 2);
    await forwarder.close();
    destination.script = () => 'store';
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'two\n']);
    assert.equal(account().duplicates, 2);
    assert.deepEqual(account().delivered, { lines: 2, bytes: 8 });
  });

  it('knows to the byte what a process before it sent, however short the resend of the next one was', async () => {
    // Longer than the head that is hashed, so that megabytes are promised ahead.
    const lines = Array.from({ length: 40 }, (_, i) => `${String(i).padStart(99, '0')}\n`);
    writeFileSync(at('a.log'), lines.join(''));
    const said: string[] = [];
    const attach = (recordsMax: number): void => {
      const sink = fakeSink({ destination, recordsMax });
      forwarder.attach({
        ...sink,
        deliver: async (batch, options) => {
          for (let i = 0; i < batch.records; i += 1)
            said.push(
              `${Number(recordBytes(batch, i).toString())} ${String(options.sentBefore(i))} ${options.pastSends?.(i) ?? ''}`,
            );
          return sink.deliver(batch, options);
        },
      });
    };
    destination.script = () => UNREACHABLE;
    for (const recordsMax of [100, 10]) {
      forwarder = await open();
      attach(recordsMax);
      await run(2 * FLUSH_MS);
      await forwarder.close();
    }
    appendFileSync(at('a.log'), lines.join('').replaceAll('0000', '9000'));
    said.length = 0;
    destination.script = () => 'store';
    forwarder = await open();
    attach(100);
    await run(3 * FLUSH_MS);
    assert.equal(said.length, 80);
    assert(
      said.every((text) => text.includes('true')),
      'all of it was promised',
    );
    assert.equal(said.filter((text) => text.endsWith('earlier')).length, 40);
    assert.equal(said.filter((text) => text.endsWith('none')).length, 40);
  });

  it('takes new ids when the destination holds other records under the old ones, and loses nothing', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\nthree\n');
    writeFileSync(at('b.log'), 'four\n');
    let isFirst = true;
    destination.script = ({ records }) => {
      if (!isFirst) return 'store';
      isFirst = false;
      return partial({ conflicts: [records.indexOf('two\n')] });
    };
    await start();
    await run(4 * FLUSH_MS);
    const ids = new Map([...destination.stored.values()].map(({ bytes, source }) => [bytes.toString(), source.id]));
    assert.deepEqual([...ids.keys()].toSorted(), ['four\n', 'one\n', 'three\n', 'two\n']);
    assert.notEqual(ids.get('two\n'), ids.get('one\n'));
    assert.deepEqual(account().delivered, { lines: 4, bytes: 19 });
    assert.equal(account().pending.lines, 0);
    await forwarder.close();
    const requests = destination.requests.length;
    await start();
    await run(2 * FLUSH_MS);
    assert.equal(destination.requests.length, requests, 'the new id is in the checkpoint');
  });

  it('resends everything behind a conflict, also what stands further on in the same batch', async () => {
    writeFileSync(at('a.log'), 'one\n');
    writeFileSync(at('b.log'), 'two\n');
    await start();
    await run(300);
    appendFileSync(at('a.log'), 'three\n');
    let isFirst = true;
    destination.script = ({ records }) => {
      if (!isFirst) return 'store';
      isFirst = false;
      assert.deepEqual(records, ['one\n', 'two\n', 'three\n'], 'two runs of one source around another');
      return partial({ conflicts: [0], retry: [] });
    };
    await run(4 * FLUSH_MS);
    assert(destination.texts.includes('one\n'));
    assert.deepEqual(account().delivered, { lines: 3, bytes: 14 });
  });

  it('ends a record anew that was not sent yet when another file’s conflict made it read again', async () => {
    rules = { ...PLAIN_RULES, multiline: { presets: ['java'] } };
    destination.script = () => UNREACHABLE;
    await start();
    writeFileSync(at('a.log'), 'one\n');
    await run(RECORD_WAIT_MS + 2 * FLUSH_MS);
    // Encoded as a record by itself, because nothing more of it came in time, behind the request that is on its way.
    writeFileSync(at('b.log'), 'java.lang.Error: b\n');
    await run(RECORD_WAIT_MS + 2 * FLUSH_MS);
    assert.equal(account().pending.lines, 2);
    appendFileSync(at('b.log'), '\tat b\n');
    conflictOnce();
    await run(60_000, 500);
    assert.deepEqual(destination.texts.toSorted(), ['java.lang.Error: b\n\tat b\n', 'one\n']);
  });

  it('ends a record anew that goes out under another id', async () => {
    rules = { ...PLAIN_RULES, multiline: { presets: ['java'] } };
    destination.script = () => UNREACHABLE;
    await start();
    writeFileSync(at('a.log'), 'java.lang.Error: a\n');
    await run(RECORD_WAIT_MS + 2 * FLUSH_MS);
    appendFileSync(at('a.log'), '\tat a\n');
    conflictOnce();
    await run(60_000, 500);
    assert.deepEqual(destination.texts, ['java.lang.Error: a\n\tat a\n']);
  });

  it('sees that a file was cut off and grew again, however alike the beginnings are', async () => {
    const banner = `${'='.repeat(2_000)}\n`;
    writeFileSync(at('a.log'), `${banner}one\n`);
    await start();
    await run(3 * FLUSH_MS);
    writeFileSync(at('a.log'), `${banner}two\nthree\n`);
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, [banner, 'one\n', banner, 'two\n', 'three\n']);
    assert.deepEqual(destination.hidden, []);
  });

  it('does not let a line hide behind one that was sent by a process before and cut off since', async () => {
    writeFileSync(at('a.log'), 'same\n');
    await start();
    await run(3 * FLUSH_MS);
    destination.script = () => {
      // The power goes when the request is on its way.
      isAlive = false;
      disk.cutPower(() => 0);
      return 'store_and_lose_answer';
    };
    appendFileSync(at('a.log'), 'old\n');
    await run(2 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['same\n', 'old\n']);
    crashed.push(forwarder);
    isAlive = true;
    writeFileSync(at('a.log'), 'same\nnew\n');
    destination.script = () => 'store';
    await start();
    await run(3 * FLUSH_MS);
    assert(destination.texts.includes('new\n'));
    assert.deepEqual(destination.hidden, []);
  });

  for (const [how, text] of [
    ['was cut off', 'another line, and a longer one\n'],
    ['grew', 'java.lang.Error: a\n\tat b\n'],
  ] as const)
    it(`ends no record of a log that ${how} where a process before would have ended one that it never sent`, async () => {
      rules = { ...PLAIN_RULES, multiline: { presets: ['java'] } };
      // What an aborted request has of it is settled, the mark: positions are saved while the trace waits behind it.
      const banner = `\u{feff}${'='.repeat(2_000)}\n`;
      writeFileSync(at('a.log'), `${banner}java.lang.Error: a\n`);
      destination.script = () => 'store_and_lose_answer';
      await start({ recordsMax: 1 });
      assert.equal(await drain(5_000), false);
      await forwarder.close();
      // Meanwhile, and the same in all that was sent of it.
      writeFileSync(at('a.log'), `${banner}${text}`);
      destination.script = () => 'store';
      await start();
      await run(3 * FLUSH_MS);
      assert.deepEqual(destination.texts.slice(1), [text]);
      assert.deepEqual(destination.hidden, []);
    });

  it('keeps the order of files of which the newer begins like one that a process before saw cut off', async () => {
    const banner = `${'='.repeat(2_000)}\n`;
    writeFileSync(at('a.log'), `${banner}one\n`);
    destination.script = () => 'store_and_lose_answer';
    await start({ recordsMax: 1 });
    await run(3 * FLUSH_MS);
    truncateSync(at('a.log'), 0);
    await run(3 * FLUSH_MS);
    assert.equal(await drain(5_000), false);
    await forwarder.close();
    // A file that is there keeps another from getting its inode.
    tick();
    writeFileSync(at('a.log.2'), 'older\n');
    tick();
    writeFileSync(at('a.log.1'), `${banner}newer\n`);
    unlinkSync(at('a.log'));
    destination.script = () => 'store';
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, [banner, 'older\n', banner, 'newer\n']);
  });

  it('keeps the order of copies that were made while no forwarder ran, where a newer one begins like what was sent', async () => {
    const banner = `${'='.repeat(2_000)}\n`;
    writeFileSync(at('a.log'), banner);
    await start();
    await run(3 * FLUSH_MS);
    await forwarder.close();
    truncateSync(at('a.log'), 0);
    for (const [copy, text] of [
      ['a.log.2', 'older\n'],
      ['a.log.1', `${banner}newer\n`],
    ] as const) {
      tick();
      writeFileSync(at(copy), text);
    }
    tick();
    truncateSync(at('a.log'), 0);
    await start();
    await run(3 * FLUSH_MS);
    const texts = destination.texts.filter((text) => text !== banner);
    assert.deepEqual(texts, ['older\n', 'newer\n']);
  });

  it('counts a line that was sent by itself before a power cut, and completes a torn one after it', async () => {
    rules = { ...PLAIN_RULES, parser: 'cri' };
    const line = (tag: string, text: string): string => `2026-11-28T00:00:00.000000000Z stdout ${tag} ${text}\n`;
    bootId = 'boot-1';
    writeFileSync(at('a.log'), line('F', 'one'));
    await start();
    await run(3 * FLUSH_MS);
    renameSync(at('a.log'), at('a.log.1'));
    writeFileSync(at('a.log'), line('F', 'two'));
    destination.script = () => {
      // The power goes when the request is on its way.
      isAlive = false;
      disk.cutPower(() => 0);
      return 'store_and_lose_answer';
    };
    await run(12 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'two\n']);
    crashed.push(forwarder);
    isAlive = true;
    bootId = 'boot-2';
    // No runtime does that: it goes on with a file that it has put aside.
    appendFileSync(at('a.log.1'), line('P', 'begins '));
    destination.script = () => 'store';
    await start();
    await run(12 * FLUSH_MS);
    assert.deepEqual(destination.texts.at(-1), 'begins two\n');
    assert.equal(account().duplicatesMax, 1);
  });

  it('sends again with the time of the first sending, and what is new with its own', async () => {
    const times: string[] = [];
    const recording = (): Sink => {
      const sink = fakeSink({ destination, isAlive: () => isAlive });
      const createEncoder = (): Encoder => {
        const encoder = sink.createEncoder();
        const append = encoder.append.bind(encoder);
        encoder.append = (source, input, from, to, offset, timeMs) => {
          times.push(`${input.toString('utf8', from, to)}${new Date(timeMs).toISOString().slice(0, 16)}`);
          return append(source, input, from, to, offset, timeMs);
        };
        return encoder;
      };
      return { ...sink, createEncoder };
    };
    clock = new VirtualClock(Date.UTC(2026, 0, 31, 23, 58));
    writeFileSync(at('a.log'), 'early\n');
    forwarder = await open();
    forwarder.attach(recording());
    await run(2 * FLUSH_MS);
    destination.script = () => {
      isAlive = false;
      return 'store_and_lose_answer';
    };
    appendFileSync(at('a.log'), 'late\n');
    await run(2 * FLUSH_MS);
    crashed.push(forwarder);
    isAlive = true;
    destination.script = () => 'store';
    await clock.advance(5 * 60_000, 0);
    appendFileSync(at('a.log'), 'next day\n');
    forwarder = await open();
    forwarder.attach(recording());
    await run(3 * FLUSH_MS);
    const first = '2026-01-31T23:58';
    assert.deepEqual(times, [`early\n${first}`, `late\n${first}`, `late\n${first}`, 'next day\n2026-02-01T00:03']);
    assert.deepEqual(destination.texts, ['early\n', 'late\n', 'next day\n']);
    assert.equal(account().duplicates, 1);
  });

  it('does not let a line hide behind one that a power cut took out of the log again', async () => {
    bootId = 'boot-1';
    const before = `${'='.repeat(1_100)}\nfirst\n`;
    writeFileSync(at('a.log'), before);
    await start();
    await run(3 * FLUSH_MS);
    appendFileSync(at('a.log'), 'old 1\nold 2\n');
    destination.script = () => {
      isAlive = false;
      disk.cutPower(() => 0);
      return 'store_and_lose_answer';
    };
    await run(2 * FLUSH_MS);
    crashed.push(forwarder);
    isAlive = true;
    destination.script = () => 'store';
    writeFileSync(at('a.log'), `${before}new 1\nnew 2\n`, { flag: 'r+' });
    bootId = 'boot-2';
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts.slice(1), ['first\n', 'old 1\n', 'old 2\n', 'new 1\n', 'new 2\n']);
    assert.deepEqual(destination.hidden, []);
    await forwarder.close();
    appendFileSync(at('a.log'), 'last\n');
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.requests.at(-1)?.records, ['last\n'], 'the new id is in the checkpoint');
    assert.deepEqual([account().delivered.lines, account().duplicates], [5, 0]);
  });

  it('does not let a line hide behind one of which the damaged checkpoint knows nothing any more', async () => {
    const banner = `${'='.repeat(1_100)}\n`;
    writeFileSync(at('a.log'), `${banner}one 1\none 2\n`);
    await start();
    await run(3 * FLUSH_MS);
    await forwarder.close();
    for (const file of disk.files.values())
      file.content = Buffer.from(file.content.toString('latin1').replaceAll('"acked"', '"bcked"'), 'latin1');
    writeFileSync(at('a.log'), `${banner}two 1\ntwo 2\ntwo 3\n`, { flag: 'r+' });
    await start();
    await run(3 * FLUSH_MS);
    for (const line of ['two 1\n', 'two 2\n', 'two 3\n']) assert(destination.texts.includes(line), line);
    assert.deepEqual(destination.hidden, []);
  });

  it('counts and keeps what a sink will never take, and goes on behind it', async () => {
    writeFileSync(at('a.log'), 'one\nbad\nthree\n');
    destination.script = ({ records }) => {
      const index = records.indexOf('bad\n');
      return index < 0 ? 'store' : partial({ rejected: [{ index, reason: 'rejected_by_sink', text: 'mapping' }] });
    };
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'three\n']);
    assert.deepEqual(account().delivered, { lines: 2, bytes: 10 });
    assert.deepEqual(account().dropped.get('rejected_by_sink'), { lines: 1, bytes: 4 });
    const dead = JSON.parse(disk.files.get('dead-letter.ndjson')?.content.toString() ?? '{}') as Record<
      string,
      unknown
    >;
    assert.deepEqual([dead['record'], dead['offset'], dead['path'], dead['text']], ['bad', 4, '/log/a.log', 'mapping']);
    await forwarder.close();
    await start();
    await run(2 * FLUSH_MS);
    assert.deepEqual(
      account().dropped.get('rejected_by_sink'),
      { lines: 1, bytes: 4 },
      'counted once, also after a restart',
    );
  });

  it('lets one sink run ahead of another and holds files for the slower one', async () => {
    const slow = new FakeDestination();
    slow.script = () => UNREACHABLE;
    forwarder = await open(['elasticsearch', 'console']);
    forwarder.attach(fakeSink({ destination }));
    forwarder.attach(fakeSink({ destination: slow, name: 'console' }));
    writeFileSync(at('a.log'), 'one\n');
    await run(2 * FLUSH_MS);
    appendFileSync(at('a.log'), 'two\n');
    await run(2 * FLUSH_MS);
    unlinkSync(at('a.log'));
    await run(10 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n', 'two\n']);
    assert.deepEqual(slow.texts, []);
    assert.match(forwarder.problems()['sink-console'] ?? '', /unreachable/);
    slow.script = () => 'store';
    await run(40 * FLUSH_MS);
    assert.deepEqual(slow.texts, ['one\n', 'two\n']);
    assert.equal(forwarder.problems()['sink-console'], undefined);
    assert.equal(account(1).delivered.lines, 2, 'the counts outlive the file');
    assert.deepEqual((forwarder.ledger() as { sinks: { sources: unknown[] }[] }).sinks[1]?.sources, []);
  });

  it('holds files for a sink that comes later', async () => {
    forwarder = await open(['elasticsearch']);
    writeFileSync(at('a.log'), 'one\n');
    await run(2 * FLUSH_MS);
    unlinkSync(at('a.log'));
    await run(10 * FLUSH_MS);
    assert.match(forwarder.problems()['sink-elasticsearch'] ?? '', /not open/);
    forwarder.attach(fakeSink({ destination }));
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n']);
  });

  it('counts for each sink what was cut off before it was read', async () => {
    const slow = new FakeDestination();
    slow.script = () => UNREACHABLE;
    forwarder = await open(['elasticsearch', 'console']);
    forwarder.attach(fakeSink({ destination }));
    forwarder.attach(fakeSink({ destination: slow, name: 'console', recordsMax: 2 }));
    writeFileSync(at('a.log'), 'line\n'.repeat(100));
    await run(3 * FLUSH_MS);
    writeFileSync(at('a.log'), 'anew\n');
    await run(2 * FLUSH_MS);
    const lost = account(1).dropped.get('truncated');
    assert.deepEqual(lost, { lines: 0, bytes: 500 - account(1).pending.bytes }, 'counted while the rest is in flight');
    assert.equal(account(0).dropped.size, 0);
    slow.script = () => 'store';
    await run(60 * FLUSH_MS);
    assert.deepEqual(account(1).dropped.get('truncated'), lost, 'counted once');
    assert.deepEqual(account(1).read, { lines: 5, bytes: 505 });
    assert.deepEqual(account(1).delivered, { lines: 5, bytes: 505 - lost.bytes });
    await forwarder.close();
    forwarder = await open(['elasticsearch', 'console']);
    assert.deepEqual(account(1).dropped.get('truncated'), lost, 'also after a restart');
  });

  it('counts what was cut off before a sink was there to read it', async () => {
    forwarder = await open();
    writeFileSync(at('a.log'), 'one\ntwo\n');
    await run(2 * FLUSH_MS);
    writeFileSync(at('a.log'), 'anew\n');
    await run(2 * FLUSH_MS);
    assert.deepEqual(account().dropped.get('truncated'), { lines: 0, bytes: 8 });
    await forwarder.close();
    forwarder = await open();
    assert.deepEqual(account().dropped.get('truncated'), { lines: 0, bytes: 8 }, 'also after a restart');
    forwarder.attach(fakeSink({ destination }));
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['anew\n']);
  });

  it('counts what the hold limit gives up', async () => {
    forwarder = await open(['elasticsearch'], 100);
    forwarder.attach(fakeSink({ destination, recordsMax: 1 }));
    destination.script = () => UNREACHABLE;
    writeFileSync(at('a.log'), `${'x'.repeat(59)}\n`.repeat(5));
    await run(2 * FLUSH_MS);
    unlinkSync(at('a.log'));
    await run(5 * FLUSH_MS);
    destination.script = () => 'store';
    await run(60 * FLUSH_MS);
    const { delivered, dropped, read, pending } = account();
    assert.equal(read.bytes, 300);
    assert.equal(pending.bytes, 0);
    assert.equal(dropped.get('hold_limit')?.bytes, 300 - delivered.bytes);
    assert(delivered.bytes > 0, 'what was in memory still went out');
  });

  it('ends at its deadline with what is left counted and the positions saved', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\n');
    destination.script = () => UNREACHABLE;
    await start();
    await run(2 * FLUSH_MS);
    assert.equal(await drain(5_000), false);
    assert.deepEqual(account().pending, { lines: 2, bytes: 8 });
    await forwarder.close();
    destination.script = () => 'store';
    await start();
    assert.equal(await drain(), true);
    assert.deepEqual(destination.texts, ['one\n', 'two\n']);
  });

  it('saves its positions and ends though a sink hangs that takes no notice of its signal', async () => {
    forwarder = await open();
    const sink = fakeSink({ destination });
    const hanging = Promise.withResolvers<Delivery>();
    let isAsked = false;
    forwarder.attach(Object.assign(sink, { deliver: () => ((isAsked = true), hanging.promise) }));
    writeFileSync(at('a.log'), 'one\n');
    await run(2 * FLUSH_MS);
    assert(isAsked);
    const patience = Promise.withResolvers<void>();
    const closing = forwarder.close(patience.promise);
    patience.resolve();
    assert.equal(await closing, true);
    hanging.resolve(UNREACHABLE);
  });

  it('follows a writer that is still at it until it is quiet', async () => {
    writeFileSync(at('a.log'), '0\n');
    await start();
    const draining = forwarder.drain(new AbortController().signal);
    for (let i = 1; i <= 20; i += 1) {
      assert.deepEqual(await whileTimePasses(clock, draining, 200), { settled: false });
      appendFileSync(at('a.log'), `${i}\n`);
    }
    assert.deepEqual(await whileTimePasses(clock, draining, 2_000), { settled: true, value: true });
    assert.equal(destination.stored.size, 21);
  });

  it('shows the books as metrics', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\nthr');
    await start();
    await run(3 * FLUSH_MS);
    forwarder.observe();
    forwarder.observe();
    const text = metrics.expose();
    for (const line of [
      'logtender_read_lines_total{sink="elasticsearch"} 2',
      'logtender_delivered_lines_total{sink="elasticsearch"} 2',
      'logtender_delivered_bytes_total{sink="elasticsearch"} 8',
      'logtender_pending_lines{sink="elasticsearch"} 0',
      'logtender_unread_bytes{sink="elasticsearch"} 3',
      'logtender_sources 1',
    ]) {
      assert(text.split('\n').includes(line), `expected ${line} in\n${text}`);
    }
  });

  it('lets a bug in a sink end the run instead of hiding it', async () => {
    writeFileSync(at('a.log'), 'one\n');
    destination.script = () => {
      throw new TypeError('a bug');
    };
    await start();
    await assert.rejects(run(5 * FLUSH_MS), /a bug/);
  });

  const FAULTS: ReadonlyArray<readonly [call: StateCall, done: Fault['done']]> = [
    ['append', 'nothing'],
    ['append', 'half'],
    ['sync', 'nothing'],
    ['replace', 'nothing'],
    ['replace', 'all'],
  ];
  for (const code of ['ENOSPC', 'EROFS'])
    for (const [call, done] of FAULTS)
      it(`ships on while the state folder fails with ${code} at each ${call} (${done} of it done), says so, and saves again afterwards`, async () => {
        const said: string[] = [];
        log = createLog({ clock, level: 'info', write: (line) => said.push(line) });
        const times = (words: string): number => said.filter((line) => line.includes(words)).length;
        writeFileSync(at('a.log'), 'one\n');
        await start();
        await run(3 * FLUSH_MS);
        disk.fault = (at) =>
          at === call || at === 'replace' ? { code, done: at === call ? done : 'nothing' } : undefined;
        const lines = ['one\n'];
        for (let i = 0; i < 20; i += 1) {
          lines.push(`line ${i}\n`);
          appendFileSync(at('a.log'), `line ${i}\n`);
          await run(2 * FLUSH_MS);
        }
        // Where appends and syncs are well nothing writes a snapshot: only a start does.
        if (call === 'replace') {
          await forwarder.close();
          await start();
          await run(2 * FLUSH_MS);
        }
        assert.deepEqual(destination.texts, lines);
        assert.match(forwarder.problems()['positions'] ?? '', new RegExp(code));
        assert.match(metrics.expose(), /^logtender_checkpoint_failures_total [1-9]/m);
        assert(times('positions cannot be saved') >= 1 && times('positions cannot be saved') <= 2, said.join(''));
        disk.fault = () => undefined;
        await run(6 * FLUSH_MS);
        assert.equal(forwarder.problems()['positions'], undefined);
        assert.equal(times('positions are saved again'), 1);
        await forwarder.close();
        const requests = destination.requests.length;
        await start();
        assert.equal(await drain(), true);
        assert.deepEqual([destination.requests.length - requests, times('damaged')], [0, 0], 'and is whole');
        assert.deepEqual(account().delivered.lines, lines.length);
      });

  it('does not let a line hide behind one that was sent while the state disk was full', async () => {
    // Longer than what identifies a head: from there on positions are promised ahead.
    const banner = `${'='.repeat(1_100)}\n`;
    writeFileSync(at('a.log'), banner);
    await start();
    await run(3 * FLUSH_MS);
    disk.failure = 'ENOSPC';
    appendFileSync(at('a.log'), 'old\n');
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, [banner, 'old\n']);
    isAlive = false;
    crashed.push(forwarder);
    isAlive = true;
    writeFileSync(at('a.log'), `${banner}new\n`);
    await start();
    await run(3 * FLUSH_MS);
    assert(destination.texts.includes('new\n'), 'it arrives');
    assert.deepEqual(destination.hidden, []);
    disk.failure = undefined;
    await run(6 * FLUSH_MS);
    await forwarder.close();
    const requests = destination.requests.length;
    await start();
    assert.equal(await drain(), true);
    assert.equal(destination.requests.length, requests, 'positions are saved and trusted again');
  });

  it('reads all anew beside a checkpoint of another kind that cannot even be set aside', async () => {
    const content = Buffer.from('{"positions": "of another program"}\n');
    disk.files.set('checkpoint', { content, synced: content.length });
    disk.fault = (call) => (call === 'sync' ? undefined : { code: 'EROFS', done: 'nothing' });
    writeFileSync(at('a.log'), 'one\n');
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n']);
    assert.match(forwarder.problems()['positions'] ?? '', /EROFS/);
    assert.deepEqual(disk.files.get('checkpoint')?.content, content);
    disk.fault = () => undefined;
    await run(6 * FLUSH_MS);
    assert.equal(forwarder.problems()['positions'], undefined);
  });

  it('goes on without a state folder and says so', async () => {
    disk.failure = 'EROFS';
    writeFileSync(at('a.log'), 'one\n');
    await start();
    await run(3 * FLUSH_MS);
    assert.deepEqual(destination.texts, ['one\n']);
    assert.match(forwarder.problems()['positions'] ?? '', /EROFS/);
  });

  describe('of a file that is written to a hundred times a second', () => {
    const STEP_MS = 10;
    const written = new Map<string, number>();
    const arrived = new Map<string, number>();
    /** Everything is told, as long as somebody listens; the loop wakes for each of it, and for each step of the clock. */
    const write = async (lines: number): Promise<void> => {
      for (let i = 0; i < lines; i += 1) {
        const text = `line ${written.size}\n`;
        written.set(text, clock.monotonic());
        appendFileSync(at('a.log'), text);
        watches?.tell('change', 'a.log');
        await step();
      }
    };
    const step = async (): Promise<void> => {
      for (let turn = 0; turn < 8 && forwarder.turn() === 0; turn += 1) await clock.advance(0, 0);
      await clock.advance(STEP_MS, 0);
      for (const text of destination.texts) if (!arrived.has(text)) arrived.set(text, clock.monotonic());
    };
    const steps = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += STEP_MS) await step();
    };
    const oldestMs = (): number =>
      Math.max(...[...written].map(([text, ms]) => (arrived.get(text) ?? Number.POSITIVE_INFINITY) - ms));

    beforeEach(async () => {
      written.clear();
      arrived.clear();
      watches = new FakeFolderWatches();
      await start();
      await steps(2_000);
    });

    it('no line is older than the flush interval when its batch goes out, and a batch takes all that is there', async () => {
      await write(500);
      const watched = watches?.folders;
      await steps(2 * FLUSH_MS);
      assert.deepEqual(watched, [], 'the watch stood aside');
      assert.deepEqual([...destination.texts], [...written.keys()]);
      assert(oldestMs() <= FLUSH_MS + 2 * STEP_MS, `${oldestMs()} ms`);
      const requests = (500 * STEP_MS) / FLUSH_MS + 1;
      assert(destination.requests.length <= requests, `${destination.requests.length} requests`);
    });

    it('its folder is watched again once it is quiet, and the next line is told at once', async () => {
      await write(100);
      await steps(FLUSH_MS);
      assert.deepEqual(watches?.folders, [folder]);
      await steps(FLUSH_MS);
      await write(1);
      assert.equal(account().read.lines, 101);
    });

    it('what is rotated, made and cut off meanwhile is seen by the next look, no scan is waited for', async () => {
      await write(50);
      assert.deepEqual(watches?.folders, []);
      renameSync(at('a.log'), at('a.log.1'));
      // A time of its own, however coarse the file system's clock.
      utimesSync(folder, 1, 1);
      writeFileSync(at('b.log'), 'other\n');
      await write(12);
      forwarder.observe();
      assert.equal(metrics.gauge('logtender_sources', '').value(), 3);
    });
  });
});
