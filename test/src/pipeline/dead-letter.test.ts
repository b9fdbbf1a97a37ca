/**
 * Records that no sink takes are kept inside a bound, and what is not kept is counted.
 */
import assert from 'node:assert/strict';

import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { DeadLetter } from '../../../src/pipeline/dead-letter.ts';
import type { DeadRecord } from '../../../src/pipeline/dead-letter.ts';
import { parseDeadLine } from '../../../src/pipeline/dead-line.ts';
import { SCAN_BYTES } from '../../../src/pipeline/state-files.ts';
import { MemoryDisk } from '../../fakes/memory-state-files.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const record = (offset: number): DeadRecord => ({
  sink: 'elasticsearch',
  reason: 'rejected_by_sink',
  text: 'mapper_parsing_exception',
  container: 'app',
  path: '/log/a.log',
  source: 'AAAAAAAAAAAAAAAA',
  offset,
  to: offset + 1,
  destination: 'logs',
  record: `{"message":"${'x'.repeat(80)}"}\n`,
});

function build(bytesMax: number): { disk: MemoryDisk; letter: DeadLetter; discarded: () => number } {
  const disk = new MemoryDisk();
  const metrics = createMetrics();
  const letter = new DeadLetter({ files: disk.mount(), clock: new VirtualClock(), log: silentLog, metrics, bytesMax });
  return { disk, letter, discarded: () => metrics.counter('logtender_dead_letter_discarded_total', '').value() };
}

const lines = (disk: MemoryDisk, name: string): { offset: number; time: string }[] =>
  (disk.files.get(name)?.content.toString() ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { offset: number; time: string });

describe('dead letter', () => {
  it('keeps a record with its reason, place and time', async () => {
    const { disk, letter } = build(10_000);
    await letter.keep([record(7), record(9)]);
    const kept = lines(disk, 'dead-letter.ndjson');
    assert.deepEqual(kept, [
      { time: kept[0]?.time, ...record(7), record: { message: 'x'.repeat(80) } },
      { time: kept[0]?.time, ...record(9), record: { message: 'x'.repeat(80) } },
    ]);
    assert.match(kept[0]?.time ?? '', /^\d{4}-\d\d-\d\dT/);
  });

  it('stays inside its bound, keeps the newest and counts what had to go', async () => {
    const { disk, letter, discarded } = build(2_000);
    for (let offset = 0; offset < 30; offset += 1) await letter.keep([record(offset)]);
    const older = lines(disk, 'dead-letter.1.ndjson');
    const current = lines(disk, 'dead-letter.ndjson');
    const bytes = [...disk.files.values()].reduce((sum, { content }) => sum + content.length, 0);
    assert(bytes <= 2_000, `expected at most 2000 bytes, got ${bytes}`);
    const kept = [...older, ...current].map(({ offset }) => offset);
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, i) => 30 - kept.length + i),
    );
    assert.equal(discarded(), 30 - kept.length);
  });

  it('counts what had to go of an earlier process as well, in whichever file it stands', async () => {
    const { disk, letter, discarded } = build(2_000);
    for (let offset = 0; offset < 7; offset += 1) await letter.keep([record(offset)]);
    const kept = (): number => lines(disk, 'dead-letter.1.ndjson').length + lines(disk, 'dead-letter.ndjson').length;
    assert.equal(discarded() + kept(), 7);
    const left = kept();
    const metrics = createMetrics();
    const files = disk.mount();
    const next = new DeadLetter({ files, clock: new VirtualClock(), log: silentLog, metrics, bytesMax: 2_000 });
    for (let offset = 7; offset < 20; offset += 1) await next.keep([record(offset)]);
    assert.equal(metrics.counter('logtender_dead_letter_discarded_total', '').value(), left + 13 - kept());
  });

  it('is never in memory as a whole: what an earlier process left is counted in chunks', async () => {
    const { disk, letter } = build(4 * SCAN_BYTES);
    for (let offset = 0; offset < 12; offset += 1) await letter.keep(Array.from({ length: 50 }, () => record(offset)));
    const names = ['dead-letter.1.ndjson', 'dead-letter.ndjson'];
    const [older = 0, current = 0] = names.map((name) => lines(disk, name).length);
    assert(older > 0 && current > 0 && names.some((name) => (disk.files.get(name)?.content.length ?? 0) > SCAN_BYTES));
    const metrics = createMetrics();
    const files = { ...disk.mount(), read: () => assert.fail('expected chunks, got the whole file asked for') };
    const next = new DeadLetter({
      files,
      clock: new VirtualClock(),
      log: silentLog,
      metrics,
      bytesMax: 4 * SCAN_BYTES,
    });
    // More than fits beside what is there, twice.
    const many = Array.from({ length: 250 }, (_, i) => record(100 + i));
    await next.keep(many);
    await next.keep(many);
    assert.equal(metrics.counter('logtender_dead_letter_discarded_total', '').value(), older + current);
    assert.deepEqual(
      names.map((name) => lines(disk, name).length),
      [many.length, many.length],
    );
  });

  it('counts what a full disk did not take, and goes on', async () => {
    const { disk, letter, discarded } = build(2_000);
    disk.failure = 'ENOSPC';
    await letter.keep([record(1), record(2)]);
    assert.equal(discarded(), 2);
    disk.failure = undefined;
    await letter.keep([record(3)]);
    assert.deepEqual(
      lines(disk, 'dead-letter.ndjson').map(({ offset }) => offset),
      [3],
    );
  });

  it('a line that a full disk or a kill cut costs no other line', async () => {
    const { disk, letter, discarded } = build(10_000);
    await letter.keep([record(1)]);
    disk.fault = (call) => (call === 'append' ? { code: 'ENOSPC', done: 'half' } : undefined);
    await letter.keep([record(2)]);
    disk.fault = () => undefined;
    await letter.keep([record(3)]);
    const readable = (): readonly number[] =>
      (disk.files.get('dead-letter.ndjson')?.content.toString() ?? '')
        .split('\n')
        .flatMap((line) => parseDeadLine(line)?.offset ?? []);
    assert.deepEqual(readable(), [1, 3]);
    assert.equal(discarded(), 1);
    // A kill in the middle of a line, and the next process.
    const file = disk.files.get('dead-letter.ndjson');
    assert(file !== undefined);
    file.content = Buffer.concat([file.content, Buffer.from('{"time":"2026')]);
    const next = new DeadLetter({
      files: disk.mount(),
      clock: new VirtualClock(),
      log: silentLog,
      metrics: createMetrics(),
    });
    await next.keep([record(4)]);
    await next.keep([record(5)]);
    assert.deepEqual(readable(), [1, 3, 4, 5]);
  });
});
