/**
 * Watches as hints: what they say, when they stand aside for a busy folder, and that nothing is missed where they do.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { silentLog } from '../../../src/core/log.ts';
import { FolderWatch } from '../../../src/source/watch.ts';
import { FakeFolderWatches } from '../../fakes/folder-watches.ts';

describe('folder watch', () => {
  let folder: string;
  let watches: FakeFolderWatches;
  let watch: FolderWatch;
  let woken = 0;
  /** So many events, and a look. */
  const look = (events: number, mayStandAside = true): ReturnType<FolderWatch['take']> => {
    for (let i = 0; i < events; i += 1) watches.tell('change', 'a.log', folder);
    return watch.take(mayStandAside);
  };
  const standAside = (): void => {
    look(2);
    look(2);
    assert(watch.isBusy);
  };
  /** The clock of a file system ticks every few milliseconds: a time of its own for each change. */
  let times = 0;
  const stamp = (): void => {
    times += 1;
    utimesSync(folder, 1_000_000 + times, 1_000_000 + times);
  };

  beforeEach(() => {
    woken = 0;
    folder = mkdtempSync(join(tmpdir(), 'logtender-watch-'));
    watches = new FakeFolderWatches();
    const wake = (): void => void (woken += 1);
    watch = new FolderWatch({ wake, log: silentLog, watchFolder: watches.watchFolder });
    watch.follow([folder]);
  });
  afterEach(() => {
    watch.close();
    assert.deepEqual(watches.folders, []);
    rmSync(folder, { recursive: true });
  });

  it('says which file was written to, and wakes once until somebody looks', () => {
    const { names, scan } = look(3, false);
    assert.deepEqual([names, scan, woken], [new Set([join(folder, 'a.log')]), false, 1]);
    assert.deepEqual(look(0, false), { names: new Set(), scan: false });
    look(1);
    assert.equal(woken, 2);
  });

  it('asks for a scan when a name came or went', () => {
    watches.tell('rename', 'b.log');
    assert.equal(watch.isPending, true);
    assert.equal(watch.take(true).scan, true);
    assert.equal(watch.isPending, false);
  });

  it('stands aside for a writer that goes on and on, not for one burst', () => {
    look(50);
    look(1);
    look(50);
    assert.equal(watch.isBusy, false);
    const hints = look(2);
    assert.equal(watch.isBusy, true);
    assert.deepEqual(watches.folders, []);
    // What was on its way when it was closed is found by this look.
    assert.deepEqual(hints, { scan: true, names: undefined });
  });

  it('does not stand aside where a timer cannot do as well', () => {
    for (let i = 0; i < 10; i += 1) look(50, false);
    assert.equal(watch.isBusy, false);
  });

  it('asks for everything at each look while it stands aside, and for a scan when a name came or went', () => {
    writeFileSync(join(folder, 'a.log'), '');
    stamp();
    standAside();
    assert.deepEqual(look(0), { scan: true, names: undefined });
    assert.deepEqual(look(0), { scan: false, names: undefined });
    for (const change of [
      () => renameSync(join(folder, 'a.log'), join(folder, 'a.log.1')),
      () => writeFileSync(join(folder, 'a.log'), ''),
      () => rmSync(join(folder, 'a.log.1')),
      () => mkdirSync(join(folder, 'below')),
    ]) {
      change();
      stamp();
      assert.deepEqual(look(0), { scan: true, names: undefined });
      // Once more: see below.
      assert.deepEqual(look(0), { scan: true, names: undefined });
      assert.deepEqual(look(0), { scan: false, names: undefined });
    }
  });

  it('misses no second change within one tick of the clock of the file system, with a look between the two', () => {
    const second = (): void => {
      writeFileSync(join(folder, 'a.log'), '');
      utimesSync(folder, 1_000_000 + times, 1_000_000 + times);
    };
    writeFileSync(join(folder, 'a.log'), '');
    stamp();
    // The look that closes the watch is the one between; and then one while it stands aside.
    standAside();
    second();
    assert.equal(look(0).scan, true);
    assert.equal(look(0).scan, false);
    renameSync(join(folder, 'a.log'), join(folder, 'a.log.1'));
    stamp();
    assert.equal(look(0).scan, true);
    second();
    assert.equal(look(0).scan, true);
    assert.equal(look(0).scan, false);
  });

  it('takes over again when it is told to, and what came before that is found by the same look', () => {
    standAside();
    const opened = watches.opened;
    assert.deepEqual(look(0, false), { scan: true, names: undefined });
    assert.deepEqual([watches.folders, watches.opened, watch.isBusy], [[folder], opened + 1, false]);
    assert.deepEqual(look(1, false).names, new Set([join(folder, 'a.log')]));
  });

  it('of several folders only the busy one is not watched', () => {
    const quiet = join(folder, 'quiet');
    mkdirSync(quiet);
    watch.follow([folder, quiet]);
    standAside();
    assert.deepEqual(watches.folders, [quiet]);
    watches.tell('change', 'b.log', quiet);
    assert.equal(watch.isPending, true);
    // A scan in between changes nothing of it.
    watch.follow([folder, quiet]);
    assert.deepEqual(watches.folders, [quiet]);
    look(0, false);
    assert.deepEqual(new Set(watches.folders), new Set([folder, quiet]));
  });

  it('is polled when it cannot be watched any more, and is tried again once it was gone', () => {
    standAside();
    watches.failure = new Error('no watch left');
    assert.deepEqual(look(0, false), { scan: true, names: undefined });
    assert.deepEqual([watch.isBusy, watches.folders], [false, []]);
    watches.failure = undefined;
    watch.follow([folder]);
    assert.deepEqual(watches.folders, []);
    watch.follow([]);
    watch.follow([folder]);
    assert.deepEqual(watches.folders, [folder]);
  });

  it('takes a folder that goes away while it stands aside for one whose names changed', () => {
    const below = join(folder, 'below');
    mkdirSync(below);
    watch.follow([below]);
    for (let i = 0; i < 2; i += 1) {
      watches.tell('change', 'a.log', below);
      watches.tell('change', 'a.log', below);
      watch.take(true);
    }
    assert(watch.isBusy);
    rmSync(below, { recursive: true });
    assert.equal(watch.take(true).scan, true);
    watch.follow([]);
    assert.equal(watch.isBusy, false);
  });

  it('tells of a write by the watch of the system, also after it stood aside', async () => {
    const told = Promise.withResolvers<void>();
    let wake = told.resolve;
    const real = new FolderWatch({ wake: () => wake(), log: silentLog });
    const write = (): void => writeFileSync(join(folder, 'a.log'), 'line\n', { flag: 'a' });
    try {
      real.follow([folder]);
      write();
      await told.promise;
      for (let looks = 0; !real.isBusy; looks += 1) {
        assert(looks < 100, 'it stands aside some time');
        for (let i = 0; i < 8; i += 1) {
          write();
          await new Promise(setImmediate);
        }
        real.take(true);
      }
      write();
      await new Promise(setImmediate);
      assert.equal(real.isPending, false);
      assert.deepEqual(real.take(false), { scan: true, names: undefined });
      const again = Promise.withResolvers<void>();
      wake = again.resolve;
      write();
      await again.promise;
      assert.deepEqual(real.take(false).names, new Set([join(folder, 'a.log')]));
    } finally {
      real.close();
    }
  });
});
