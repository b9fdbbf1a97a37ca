/**
 * When the forwarder gets the files of each volume, and when they are taken from it: real files, a clock that the test moves.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { silentLog } from '../../../src/core/log.ts';
import { BEAT_MS, LOOK_MS, SETTLE_MS, STALE_MS } from '../../../src/pipeline/position-claim.ts';
import type { StateFiles } from '../../../src/pipeline/state-files.ts';
import { END_WAIT_MS, VolumePositions } from '../../../src/pipeline/volume-positions.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

/** Notes what it is told. */
class Told {
  readonly words: string[] = [];
  readonly files = new Map<string, StateFiles>();
  readonly bytesPassedOver = 7;
  unread: string | undefined;
  /** What a join waits for. */
  reading: Promise<void> = Promise.resolve();

  async join(positions: string, files: StateFiles): Promise<string | undefined> {
    this.words.push(`join ${nameOf(positions)}`);
    await this.reading;
    if (this.unread === undefined) this.files.set(positions, files);
    return this.unread;
  }

  joinOlder(positions: string, olderThanMs: number): void {
    assert(olderThanMs > 0, 'the pod’s own folder has a time of birth');
    this.words.push(`join older ${nameOf(positions)}`);
  }

  leave(positions: string): void {
    this.words.push(`leave ${nameOf(positions)}`);
    this.files.delete(positions);
  }
}

const nameOf = (positions: string): string => positions.split('/').at(-3) ?? '';

describe('positions of volumes', () => {
  let root: string;
  let clock: VirtualClock;
  let told: Told;
  let made: VolumePositions[];

  const folderOf = (volume: string): string => join(root, volume, '.logtender', 'web');
  const claimOf = (volume: string): string => join(folderOf(volume), 'claim');
  const claim = (volume: string, pod: string): void => {
    mkdirSync(folderOf(volume), { recursive: true });
    writeFileSync(claimOf(volume), JSON.stringify({ pod, uid: `uid of ${pod}` }));
  };
  const start = (...volumes: readonly string[]): VolumePositions => {
    const globs = volumes.map((volume) => ({ container: 'app', path: `/${volume}/*`, directory: `/${volume}` }));
    const positions = new VolumePositions({
      files: [
        ...globs.map((glob, i) => ({ ...glob, mount: '/m', positions: folderOf(volumes[i] ?? '') })),
        { container: 'app', path: '/own/*', directory: '/own', mount: '/own' },
      ],
      pod: { pod: 'web-a', uid: 'uid of web-a' },
      stateDir: root,
      clock,
      log: silentLog,
    });
    made.push(positions);
    positions.start(told);
    return positions;
  };
  /**
   * Real turns for the disk, and virtual time where a step is given. Time passes only while that many sleep (who waits for a claim or holds
   * one, and the end that was asked for): else a slow disk would be slower than the end, and than another pod's silence.
   */
  const until = async (what: string, isSo: () => boolean, pace = { stepMs: 0, sleepers: 0 }): Promise<void> => {
    for (let turn = 0; !isSo(); turn += 1) {
      assert(turn < 2_000, what);
      await clock.advance(pace.stepMs, pace.sleepers);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'logtender-volumes-'));
    clock = new VirtualClock(Date.now());
    told = new Told();
    made = [];
  });
  afterEach(async () => {
    for (const one of made) one.stop();
    for (const files of told.files.values()) await files.close();
    rmSync(root, { recursive: true });
  });

  it('are nothing to wait for where no volume keeps any', () => {
    const positions = start();
    assert.deepEqual([positions.isEmpty, positions.isDecided, positions.problem()], [true, true, undefined]);
  });

  it('are taken each by itself: one is free, one is another pod’s, one cannot be written', async () => {
    claim('held', 'web-b');
    writeFileSync(join(root, 'refused'), '');
    const positions = start('free', 'held', 'refused');
    assert.equal(positions.isDecided, false);
    await until('both that can be are', () => told.words.length === 2);
    assert.deepEqual(told.words.toSorted(), ['join free', 'join older refused']);
    await until('words', () => positions.problem()?.includes('pod web-b ships') === true);
    assert.match(positions.problem() ?? '', /refused.*cannot be kept.*7 bytes were passed over/);
    assert.deepEqual(positions.lastWords().length, 1);
    assert.match(positions.lastWords()[0] ?? '', /held.*nothing was forwarded from here: pod web-b/);
    assert.equal(positions.isDecided, false, 'somebody is waited for');
    rmSync(claimOf('held'));
    await until('it is given back', () => told.words.includes('join held'), { stepMs: LOOK_MS / 2, sleepers: 2 });
    await until('nothing is waited for', () => positions.isDecided);
    assert.deepEqual(positions.lastWords(), []);
  });

  it('are taken still when the end was asked for before anybody looked, and those of another pod are left to it', async () => {
    claim('held', 'web-b');
    const positions = start('free', 'held');
    positions.end();
    assert.equal(positions.isDecided, false, 'nobody has looked yet');
    await until('both are decided', () => positions.isDecided);
    assert.deepEqual(told.words, ['join free']);
    assert.deepEqual(positions.lastWords().length, 1);
    assert.match(positions.lastWords()[0] ?? '', /held.*nothing was forwarded from here: pod web-b/);
  });

  it('of a pod that is gone are taken over at the end as before', async () => {
    claim('a', 'web-b');
    const positions = start('a');
    await until('words', () => /pod web-b ships/.test(positions.problem() ?? ''));
    await until('it is taken over', () => /being taken over/.test(positions.problem() ?? ''), {
      stepMs: LOOK_MS,
      sleepers: 1,
    });
    positions.end();
    assert.equal(positions.isDecided, false);
    await until('it is decided', () => positions.isDecided, { stepMs: LOOK_MS, sleepers: 2 });
    assert.deepEqual(told.words, ['join a']);
  });

  it('that another pod gives back at the end are waited for while they are read, and nobody is named', async () => {
    claim('a', 'web-b');
    const reading = Promise.withResolvers<void>();
    told.reading = reading.promise;
    const positions = start('a');
    await until('words', () => /pod web-b ships/.test(positions.problem() ?? ''));
    positions.end();
    rmSync(claimOf('a'));
    await until('it is being read', () => told.words.includes('join a'), { stepMs: LOOK_MS / 4, sleepers: 2 });
    assert.equal(positions.isDecided, false);
    assert.deepEqual(positions.lastWords(), [
      `${folderOf('a')}: nothing was forwarded from here: positions are being read`,
    ]);
    reading.resolve();
    await until('it is decided', () => positions.isDecided);
    assert.deepEqual(positions.lastWords(), []);
  });

  it('are not waited for at the end longer than a take-over lasts, whatever the disk does', async () => {
    told.unread = 'EIO';
    const positions = start('a');
    await until('words', () => /EIO/.test(positions.problem() ?? ''));
    positions.end();
    const before = clock.monotonic();
    await until('it is decided', () => positions.isDecided, { stepMs: LOOK_MS / 4, sleepers: 2 });
    assert(clock.monotonic() - before <= END_WAIT_MS + LOOK_MS / 4);
    assert.match(positions.lastWords()[0] ?? '', /nothing was forwarded from here: positions cannot be read: EIO/);
  });

  it('are not taken after the stop', async () => {
    claim('held', 'web-b');
    const positions = start('held');
    await until('words', () => /pod web-b ships/.test(positions.problem() ?? ''));
    positions.stop();
    assert.equal(positions.isDecided, true);
    await clock.advance(2 * STALE_MS, 0);
    assert.deepEqual(told.words, []);
  });

  it('are let go of when another pod took over, alone, and taken again when that one is gone', async () => {
    const positions = start('a', 'b');
    await until('both', () => told.words.length === 2 && positions.isDecided);
    claim('a', 'web-b');
    await until('it is noticed', () => told.words.length > 2, { stepMs: BEAT_MS / 5, sleepers: 2 });
    await until('words', () => /pod web-b ships/.test(positions.problem() ?? ''), { stepMs: LOOK_MS / 2, sleepers: 2 });
    assert(!told.words.includes('leave b'));
    assert.match(readFileSync(claimOf('a'), 'utf8'), /web-b/, 'it is not ours to give back');
    await until('it is taken again', () => told.words.filter((word) => word === 'join a').length === 2, {
      stepMs: SETTLE_MS / 2,
      sleepers: 2,
    });
    assert.equal(positions.problem(), undefined);
    await told.files.get(folderOf('a'))?.close();
    told.files.delete(folderOf('a'));
    assert.equal(existsSync(claimOf('a')), false);
  });

  it('that cannot be read are asked for again, and their files wait', async () => {
    told.unread = 'EIO';
    const positions = start('a');
    await until('it is asked again', () => told.words.length >= 3, { stepMs: LOOK_MS, sleepers: 2 });
    assert.match(positions.problem() ?? '', /positions cannot be read: EIO/);
    assert.equal(positions.isDecided, false);
    told.unread = undefined;
    await until('it is taken up', () => positions.isDecided, { stepMs: LOOK_MS, sleepers: 1 });
    assert.equal(positions.problem(), undefined);
    assert(existsSync(dirname(claimOf('a'))));
  });
});
