/**
 * With several sinks the page cache keeps what the slowest of them has still to read.
 */
import assert from 'node:assert/strict';
import { closeSync, fsyncSync, openSync, rmSync, utimesSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import { MiB } from '../../../src/core/limits.ts';
import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { Forwarder } from '../../../src/pipeline/forwarder.ts';
import { cachedBytes, folderThatDrops, NO_CACHED_PAGES } from '../../cached-pages.ts';
import { MemoryDisk } from '../../fakes/memory-state-files.ts';
import { FakeDestination, fakeSink, UNREACHABLE } from '../../fakes/sink.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';
import { skip } from '../../skip.ts';

const LINE = Buffer.from(`${'x'.repeat(64 * 1024 - 1)}\n`);
const BYTES = 8 * MiB;
const TURNS_MAX = 2_000;

describe('pages of a file that several sinks read', () => {
  let folder = '';
  before(function () {
    const found = folderThatDrops();
    if (found === undefined) return skip(this, NO_CACHED_PAGES);
    folder = found;
    return undefined;
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  it('stay until the slowest has had them acknowledged', async () => {
    const path = join(folder, 'app.log');
    const fd = openSync(path, 'w');
    for (let at = 0; at < BYTES; at += LINE.length) writeSync(fd, LINE);
    fsyncSync(fd);
    closeSync(fd);
    const clock = new VirtualClock();
    utimesSync(path, 0, 0);
    const forwarder = await Forwarder.open({
      files: [{ container: 'app', path: '/log/*.log', directory: '/log', mount: folder }],
      stdioRoot: undefined,
      sinks: ['elasticsearch', 'console'],
      uid: 'uid',
      epoch: 'epoch',
      flushIntervalMs: 100,
      rules: PLAIN_RULES,
      stateFiles: new MemoryDisk().mount(() => true),
      clock,
      random: () => 0.5,
      log: silentLog,
      metrics: createMetrics(),
      watch: false,
    });
    const quick = new FakeDestination();
    const slow = new FakeDestination();
    slow.script = () => UNREACHABLE;
    forwarder.attach(fakeSink({ destination: quick }));
    forwarder.attach(fakeSink({ destination: slow, name: 'console' }));
    const runUntilStored = async ({ stored }: FakeDestination): Promise<void> => {
      for (let turn = 0; turn < TURNS_MAX && stored.size < BYTES / LINE.length; turn += 1) {
        forwarder.turn();
        await clock.advance(50, 0);
      }
      forwarder.turn();
      await clock.advance(50, 0);
      assert.equal(stored.size, BYTES / LINE.length);
    };
    await runUntilStored(quick);
    assert.equal(slow.stored.size, 0);
    assert.equal(cachedBytes(path), BYTES, 'the slow one has read nothing');
    slow.script = () => 'store';
    await runUntilStored(slow);
    assert.equal(cachedBytes(path), 0);
    await forwarder.close();
  });
});
