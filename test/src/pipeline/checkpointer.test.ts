/**
 * What was persisted outlives kills, power cuts, full disks and damage.
 */
import assert from 'node:assert/strict';

import { createLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { encodeLine } from '../../../src/pipeline/checkpoint-codec.ts';
import type { LaneEntry, SourceEntry } from '../../../src/pipeline/checkpoint-codec.ts';
import { Checkpointer } from '../../../src/pipeline/checkpointer.ts';
import { EMPTY_ACCOUNT } from '../../../src/pipeline/ledger.ts';
import { MemoryDisk } from '../../fakes/memory-state-files.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const source = (id: string): SourceEntry => ({
  t: 'source',
  id,
  container: 'app',
  path: `/log/${id}`,
  dev: '1',
  ino: id,
  birthUs: 0,
  order: 1,
  headLength: 0,
  headHash: '',
  copy: false,
  orphan: false,
});

const lane = (id: string, acked: number): LaneEntry => ({
  t: 'lane',
  sink: 'console',
  id,
  acked,
  tail: '',
  reserved: acked,
  sent: acked,
  sentTail: '',
  cuts: [],
  account: EMPTY_ACCOUNT,
});

interface Life {
  readonly checkpointer: Checkpointer;
  readonly clock: VirtualClock;
  readonly lines: string[];
}

async function life(disk: MemoryDisk, bootId?: string): Promise<Life> {
  const made = unopened(disk, bootId);
  await made.checkpointer.open();
  return made;
}

function unopened(disk: MemoryDisk, bootId?: string): Life {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = createLog({ clock, level: 'info', write: (line) => lines.push(line) });
  const checkpointer = new Checkpointer({ files: disk.mount(), clock, log, metrics: createMetrics(), bootId });
  return { checkpointer, clock, lines };
}

const acked = ({ checkpointer }: Life, id: string): number | undefined => checkpointer.lane('console', id)?.acked;
const isDoubted = ({ checkpointer }: Life): boolean =>
  [...checkpointer.state.sources.values()].some(({ doubtful }) => doubtful === true);

describe('checkpointer', () => {
  it('gives back what it was told, from log and from snapshot', async () => {
    const disk = new MemoryDisk();
    const first = await life(disk);
    first.checkpointer.putSource(source('a'));
    first.checkpointer.putLane(lane('a', 5));
    assert.equal(await first.checkpointer.persist(), true);
    first.checkpointer.putLane(lane('a', 9));
    await first.checkpointer.persist();
    for (let start = 0; start < 3; start += 1) {
      const next = await life(disk);
      assert.equal(acked(next, 'a'), 9);
      assert.equal(next.checkpointer.state.sources.size, 1);
      assert.equal(isDoubted(next), false);
    }
  });

  it('survives a power cut at any byte after the last persist, with what was persisted', async () => {
    for (let kept = 0; kept < 400; kept += 7) {
      const disk = new MemoryDisk();
      const first = await life(disk);
      first.checkpointer.putSource(source('a'));
      first.checkpointer.putLane(lane('a', 5));
      await first.checkpointer.persist();
      first.checkpointer.putLane(lane('a', 9));
      // An acknowledgement is written without an fsync.
      await first.clock.advance(300, 0);
      first.checkpointer.tick();
      await first.clock.advance(0, 0);
      disk.cutPower((unsynced) => Math.min(unsynced, kept));
      const next = await life(disk);
      assert([5, 9].includes(acked(next, 'a') ?? -1), `with ${kept} bytes kept`);
      assert.equal(isDoubted(next), false);
    }
  });

  it('writes acknowledgements a few times a second and syncs them once a second', async () => {
    const disk = new MemoryDisk();
    const { checkpointer, clock } = await life(disk);
    const { writes, syncs } = disk;
    for (let ms = 0; ms < 10_000; ms += 10) {
      checkpointer.putLane(lane('a', ms));
      checkpointer.tick();
      await clock.advance(10, 0);
    }
    const synced = disk.syncs - syncs;
    assert(synced >= 9 && synced <= 11, `about one fsync a second, got ${synced} in ten`);
    const written = disk.writes - writes - synced;
    assert(written >= 45 && written <= 51, `about five writes a second, got ${written} in ten`);
  });

  it('forgets a source and keeps its counts', async () => {
    const disk = new MemoryDisk();
    const { checkpointer } = await life(disk);
    checkpointer.putSource(source('a'));
    checkpointer.putLane(lane('a', 5));
    const retired = { console: { ...EMPTY_ACCOUNT, delivered: { lines: 2, bytes: 5 } } };
    checkpointer.putGone('a', retired);
    await checkpointer.persist();
    const { state } = (await life(disk)).checkpointer;
    assert.deepEqual([state.sources.size, state.lanes.size], [0, 0]);
    assert.deepEqual(state.retired, retired);
  });

  it('goes on when the disk is full, says so once, and is whole when there is room again', async () => {
    const disk = new MemoryDisk();
    const first = await life(disk);
    first.checkpointer.putSource(source('a'));
    await first.checkpointer.persist();
    disk.failure = 'ENOSPC';
    for (let ms = 0; ms < 60_000; ms += 500) {
      first.checkpointer.putLane(lane('a', ms));
      first.checkpointer.tick();
      await first.clock.advance(500, 0);
    }
    assert.equal(await first.checkpointer.persist(), false);
    assert.match(first.checkpointer.problem ?? '', /ENOSPC/);
    assert.equal(first.lines.filter((line) => line.includes('cannot be saved')).length, 1);
    disk.failure = undefined;
    await first.clock.advance(5_000, 0);
    assert.equal(await first.checkpointer.persist(), true);
    assert.equal(first.checkpointer.problem, undefined);
    assert.equal(acked(await life(disk), 'a'), 59_500);
  });

  it('folds its log into a snapshot before it grows without bound', async () => {
    const disk = new MemoryDisk();
    const first = await life(disk);
    for (let n = 1; n <= 4_000; n += 1) {
      first.checkpointer.putLane(lane('a', n));
      await first.checkpointer.persist();
    }
    const bytes = [...disk.files.values()].reduce((sum, { content }) => sum + content.length, 0);
    assert(bytes < 600 * 1024, `expected at most two logs, got ${bytes} bytes`);
    assert.equal(acked(await life(disk), 'a'), 4_000);
  });

  it('takes a log that belongs to another snapshot for stale', async () => {
    const disk = new MemoryDisk();
    const first = await life(disk);
    first.checkpointer.putLane(lane('a', 5));
    await first.checkpointer.persist();
    const log = disk.files.get('checkpoint-1.log');
    assert(log !== undefined, 'the first log');
    const stale = Buffer.from(log.content);
    await life(disk);
    await life(disk);
    const third = await life(disk);
    third.checkpointer.putLane(lane('a', 9));
    await third.checkpointer.persist();
    await life(disk);
    // The crash came after the snapshot with number 5 and before its log.
    disk.files.set('checkpoint-1.log', { content: stale, synced: stale.length });
    assert.equal(acked(await life(disk), 'a'), 9);
  });

  const BOOTS: ReadonlyArray<readonly [before: string | undefined, now: string | undefined, doubted: boolean]> = [
    ['boot-1', 'boot-1', false],
    ['boot-1', 'boot-2', true],
    ['boot-1', undefined, false],
    [undefined, 'boot-2', false],
  ];
  for (const [before, now, doubted] of BOOTS) {
    it(`${doubted ? 'doubts' : 'trusts'} in boot ${now ?? 'unknown'} what was sent in boot ${before ?? 'unknown'}, and so do later starts`, async () => {
      const disk = new MemoryDisk();
      const first = await life(disk, before);
      first.checkpointer.putSource(source('a'));
      assert.equal(await first.checkpointer.persist(), true);
      for (let start = 0; start < 2; start += 1) assert.equal(isDoubted(await life(disk, now)), doubted);
      assert.equal(isDoubted(await life(disk, 'boot-3')), doubted || before !== undefined || now !== undefined);
    });
  }

  it('cuts the torn end of its log without alarm, and trusts the rest', async () => {
    for (let torn = 1; torn < 180; torn += 13) {
      const disk = new MemoryDisk();
      const first = await life(disk);
      first.checkpointer.putSource(source('a'));
      first.checkpointer.putLane(lane('a', 5));
      await first.checkpointer.persist();
      first.checkpointer.putLane(lane('a', 9));
      await first.checkpointer.persist();
      cut(disk, 'checkpoint-1.log', torn);
      const next = await life(disk);
      assert.equal(acked(next, 'a'), 5, `${torn} bytes`);
      assert.equal(isDoubted(next), false);
      assert(!next.lines.some((line) => line.includes('"level":"error"')), next.lines.join(''));
    }
  });

  it('trusts no id of a snapshot that stayed behind on a full disk, until a run is saved to its end', async () => {
    const disk = new MemoryDisk();
    const first = await life(disk);
    first.checkpointer.putSource(source('a'));
    first.checkpointer.putLane(lane('a', 5));
    await first.checkpointer.persist();
    disk.failure = 'ENOSPC';
    first.checkpointer.putLane(lane('a', 9));
    assert.equal(await first.checkpointer.persist(), false);
    for (let start = 0; start < 2; start += 1) {
      const next = await life(disk);
      assert.deepEqual([acked(next, 'a'), isDoubted(next)], [5, true], 'as often as it starts');
      assert(next.lines.some((line) => line.includes('new ids')));
    }
    disk.failure = undefined;
    // Whoever finds a source again takes the doubt from it: here nobody does, so it stays, saved.
    assert.equal(isDoubted(await life(disk)), true);
    const last = await life(disk);
    assert.equal(isDoubted(last), true);
    assert(!last.lines.some((line) => line.includes('could not be saved')), 'the snapshot is a new one');
  });

  it('trusts in any boot what was closed in order, and doubts again what began after that', async () => {
    const disk = new MemoryDisk();
    const first = await life(disk, 'boot-1');
    first.checkpointer.putSource(source('a'));
    assert.equal(await first.checkpointer.close(), true);
    assert.equal(isDoubted(await life(disk, 'boot-2')), false);
    assert.equal(isDoubted(await life(disk, 'boot-3')), true);
  });

  it('says at its close whether everything is on the disk', async () => {
    const disk = new MemoryDisk();
    const { checkpointer } = await life(disk);
    checkpointer.putSource(source('a'));
    disk.failure = 'ENOSPC';
    assert.equal(await checkpointer.close(), false);
    disk.failure = undefined;
    assert.equal(await checkpointer.close(), true, 'it is tried even right after a failure');
  });

  describe('where it cannot be read', () => {
    let disk: MemoryDisk;
    let saved: string | undefined;
    const snapshot = (name = 'checkpoint'): string | undefined => disk.files.get(name)?.content.toString();
    /** A start whose reads fail for that long. */
    const start = async (failsForMs: number): Promise<Life> => {
      disk.readFailure = 'EIO';
      const made = unopened(disk);
      const opening = made.checkpointer.open();
      for (let ms = 0; ms < failsForMs; ms += 100) await made.clock.advance(100, 0);
      disk.readFailure = undefined;
      for (let ms = 0; ms < 5_000; ms += 100) await made.clock.advance(100, 0);
      await opening;
      return made;
    };
    const goOn = async ({ checkpointer, clock }: Life): Promise<void> => {
      checkpointer.putSource(source('b'));
      for (let ms = 0; ms < 10_000; ms += 100) {
        checkpointer.tick();
        await clock.advance(100, 0);
      }
    };

    beforeEach(async () => {
      disk = new MemoryDisk();
      const first = await life(disk);
      first.checkpointer.putSource(source('a'));
      first.checkpointer.putLane(lane('a', 5));
      assert.equal(await first.checkpointer.close(), true);
      saved = snapshot();
    });

    it('for a moment, it is read all the same', async () => {
      const next = await start(700);
      assert.deepEqual([acked(next, 'a'), isDoubted(next), next.checkpointer.problem], [5, false, undefined]);
    });

    it('for longer, the run goes on without it, and it is set aside before anything is written in its place', async () => {
      const next = await start(4_000);
      assert.deepEqual([next.checkpointer.isRead, acked(next, 'a'), snapshot()], [false, undefined, saved]);
      assert.match(next.checkpointer.problem ?? '', /EIO/);
      await goOn(next);
      assert.equal(snapshot('checkpoint.unreadable'), saved);
      assert.equal(next.checkpointer.problem, undefined);
      assert(next.lines.some((line) => line.includes('could not be read is set aside')));
      assert.deepEqual([...(await life(disk)).checkpointer.state.sources.keys()], ['b']);
    });

    it('and cannot be set aside either, nothing is written in its place', async () => {
      disk.fault = (call) => (call === 'rename' ? { code: 'EIO', done: 'nothing' } : undefined);
      const next = await start(4_000);
      await goOn(next);
      assert.equal(snapshot(), saved);
      assert.match(next.checkpointer.problem ?? '', /EIO/);
      disk.fault = () => undefined;
      assert.equal(acked(await life(disk), 'a'), 5);
    });
  });

  const DAMAGES: ReadonlyArray<readonly [what: string, damage: (disk: MemoryDisk) => void, want: number | undefined]> =
    [
      ['a garbled line in the log', (disk) => garble(disk, 'checkpoint-1.log', 60), 9],
      ['a snapshot that lost its end', (disk) => cut(disk, 'checkpoint', 10), 9],
      ['a log that lost its first line', (disk) => garble(disk, 'checkpoint-1.log', -20), undefined],
      ['a snapshot of a version before', (disk) => replaceSnapshot(disk, { version: 0 }), undefined],
      [
        'a snapshot of another program',
        (disk) => {
          const content = Buffer.from('{"registrar": [{"offset": 5}]}\n');
          disk.files.set('checkpoint', { content, synced: content.length });
        },
        undefined,
      ],
      ['an empty snapshot', (disk) => disk.files.set('checkpoint', { content: Buffer.alloc(0), synced: 0 }), undefined],
      [
        'a snapshot of zeros',
        (disk) => disk.files.set('checkpoint', { content: Buffer.alloc(500), synced: 500 }),
        undefined,
      ],
      ['a snapshot of a later version', (disk) => replaceSnapshot(disk, { version: 2 }), undefined],
    ];
  for (const [what, damage, want] of DAMAGES) {
    it(`keeps what can be known of ${what}, and says so`, async () => {
      const disk = new MemoryDisk();
      const first = await life(disk);
      first.checkpointer.putSource(source('a'));
      await first.checkpointer.persist();
      first.checkpointer.putLane(lane('a', 5));
      await first.checkpointer.persist();
      first.checkpointer.putLane(lane('a', 9));
      await first.checkpointer.persist();
      damage(disk);
      const next = await life(disk);
      assert.equal(acked(next, 'a'), want);
      assert(next.lines.some((line) => line.includes('"level":"error"')));
      const third = await life(disk);
      assert(!third.lines.some((line) => line.includes('"level":"error"')), 'the next start finds it in order');
      for (const one of [next, third]) assert.equal(isDoubted(one), one.checkpointer.state.sources.size > 0);
    });
  }
});

function replaceSnapshot(disk: MemoryDisk, { version }: { version: number }): void {
  const content = Buffer.from(encodeLine({ t: 'logtender-checkpoint', version, seq: 1 }));
  disk.files.set('checkpoint', { content, synced: content.length });
}

function garble(disk: MemoryDisk, name: string, at: number): void {
  const file = disk.files.get(name);
  assert(file !== undefined, name);
  const content = Buffer.from(file.content);
  content[at + 30] = (content[at + 30] ?? 0) ^ 1;
  disk.files.set(name, { content, synced: content.length });
}

function cut(disk: MemoryDisk, name: string, bytes: number): void {
  const file = disk.files.get(name);
  assert(file !== undefined, name);
  file.content = file.content.subarray(0, file.content.length - bytes);
}
