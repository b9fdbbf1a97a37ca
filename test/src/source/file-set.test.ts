/**
 * The set of files against a real folder: discovery, rotation, truncation, copies, holding and letting go.
 */
import assert from 'node:assert/strict';
import fs, {
  appendFileSync,
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { FileSet, SEAL_QUIET_MS, SEAL_WAIT_MS_MAX } from '../../../src/source/file-set.ts';
import type { KnownSource, SourceFile } from '../../../src/source/source-file.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const SCAN_MS = 1_000;

/** Until a deleted file that is settled has been let go. */
const LET_GO_SCANS = SEAL_WAIT_MS_MAX / SCAN_MS + 2;

/** What an open file holds. */
const content = ({ fd, size }: SourceFile): string => {
  assert(fd !== undefined, 'an open file');
  const buffer = Buffer.alloc(size);
  readSync(fd, buffer, 0, size, 0);
  return buffer.toString();
};

type Fault = (code: string, when: (first: unknown, args: readonly unknown[]) => boolean) => void;

/** Makes one call of the file system fail as the kernel would: root may do everything, and a disk that fails is hard to come by. */
const faulty = (name: 'readSync' | 'readdirSync' | 'statSync'): { fail: Fault; heal: () => void } => {
  const real = fs[name];
  const heal = (): void => {
    Object.assign(fs, { [name]: real });
    syncBuiltinESMExports();
  };
  const fail: Fault = (code, when) => {
    const fake = (...args: readonly unknown[]): unknown => {
      if (when(args[0], args)) throw Object.assign(new Error(`${code}: made to fail`), { code, syscall: name });
      return Reflect.apply(real, fs, args);
    };
    Object.assign(fs, { [name]: fake });
    syncBuiltinESMExports();
  };
  return { fail, heal };
};

describe('file set', () => {
  let folder: string;
  let clock: VirtualClock;
  let files: FileSet;
  let lines: string[];
  let isSettled: (source: SourceFile) => boolean;
  let released: string[];
  let ended: string[];

  const at = (name: string): string => join(folder, name);
  const build = (pattern = '*.log', holdBytesMax = 1_000_000, known: readonly KnownSource[] = []): FileSet => {
    const log = createLog({ clock, level: 'info', write: (line) => lines.push(line) });
    return new FileSet({
      files: [{ container: 'app', path: `/log/${pattern}`, directory: '/log', mount: folder }],
      uid: 'uid',
      epoch: 'epoch',
      known,
      clock,
      log,
      metrics: createMetrics(),
      holdBytesMax,
      isSettled: (source) => isSettled(source),
      unsettledBytes: (source) => source.size - source.anchor.offset,
      onRestored: () => {},
      onChanged: () => {},
      onReleased: (source) => released.push(source.info.path),
      onEnded: (source) => ended.push(source.info.path),
      onOlder: () => {},
      onVanished: () => {},
      onRested: () => {},
    });
  };
  const scan = async (): Promise<void> => {
    await clock.advance(SCAN_MS, 0);
    files.scan();
    if (files.scanWanted) files.scan();
  };
  const chain = (path: string): readonly SourceFile[] =>
    files.chains.find(([first]) => first?.info.path === `/log/${path}`) ?? [];
  const only = (path: string): SourceFile => {
    const [first, ...more] = chain(path);
    assert(first !== undefined && more.length === 0, `one source of ${path}, got ${chain(path).length}`);
    return first;
  };
  const paths = (): string[] => files.chains.map(([first]) => first?.info.path ?? '').toSorted();

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-files-'));
    clock = new VirtualClock();
    lines = [];
    released = [];
    ended = [];
    isSettled = () => false;
    files = build();
  });
  afterEach(() => {
    files.close();
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });

  it('finds what the glob means and nothing else', async () => {
    for (const name of ['a.log', 'b.log', '.hidden.log', 'c.txt', 'a.log.1.gz']) writeFileSync(at(name), 'x\n');
    mkdirSync(at('dir.log'));
    await scan();
    assert.deepEqual(paths(), ['/log/a.log', '/log/b.log']);
    assert.equal(only('a.log').info.file, 'log/a.log');
  });

  it('finds files in folders below', async () => {
    files = build('**/*.log');
    mkdirSync(at('x/y'), { recursive: true });
    writeFileSync(at('x/y/a.log'), 'x\n');
    writeFileSync(at('b.log'), 'x\n');
    await scan();
    assert.deepEqual(paths(), ['/log/b.log', '/log/x/y/a.log']);
    assert.deepEqual(files.folders.toSorted(), [folder, at('x'), at('x/y')]);
  });

  it('waits for a folder that is not there yet', async () => {
    rmSync(folder, { recursive: true });
    await scan();
    assert.deepEqual(paths(), []);
    mkdirSync(folder);
    writeFileSync(at('a.log'), 'x\n');
    await scan();
    assert.deepEqual(paths(), ['/log/a.log']);
  });

  it('keeps id and path of a file that is renamed, and reads the new one after it', async () => {
    writeFileSync(at('a.log'), 'old\n');
    await scan();
    const { id } = only('a.log').info;
    renameSync(at('a.log'), at('a.log.1'));
    writeFileSync(at('a.log'), 'new\n');
    await scan();
    assert.deepEqual(chain('a.log').map(content), ['old\n', 'new\n']);
    assert.equal(chain('a.log')[0]?.info.id, id);
    assert.notEqual(chain('a.log')[1]?.info.id, id);
  });

  it('takes files that were written and rotated between two scans, oldest first', async () => {
    await scan();
    for (const [name, text] of [
      ['a.log.10', '1'],
      ['a.log.2', '2'],
      ['a.log.1', '3'],
      ['a.log', '4'],
    ] as const) {
      writeFileSync(at(name), `${text}\n`);
    }
    await scan();
    assert.deepEqual(chain('a.log').map(content), ['1\n', '2\n', '3\n', '4\n']);
  });

  it('puts a rotated file that is found late before the live one', async () => {
    writeFileSync(at('a.log'), 'live\n');
    await scan();
    writeFileSync(at('a.log.1'), 'older\n');
    await scan();
    assert.deepEqual(chain('a.log').map(content), ['older\n', 'live\n']);
  });

  it('takes a dated name for a log of its own where there is no such base', async () => {
    files = build('app.log*');
    writeFileSync(at('app.log.2024-01-31'), 'x\n');
    await scan();
    assert.equal(only('app.log.2024-01-31').info.path, '/log/app.log.2024-01-31');
  });

  it('seals a rotated file when it was quiet, opens it again when it grows, and parks it when all is settled', async () => {
    writeFileSync(at('a.log'), 'one\n');
    await scan();
    const source = only('a.log');
    renameSync(at('a.log'), at('a.log.1'));
    files.scan();
    assert.equal(source.sealed, false);
    await clock.advance(SEAL_QUIET_MS, 0);
    files.scan();
    assert.equal(source.sealed, true);
    appendFileSync(at('a.log.1'), 'late\n');
    files.poll({ names: undefined, active: true });
    assert.equal(source.sealed, false, 'it grew');
    isSettled = () => true;
    await scan();
    await scan();
    assert.equal(source.state, 'parked');
    assert.equal(source.fd, undefined);
    appendFileSync(at('a.log.1'), 'later\n');
    await scan();
    assert.equal(source.state, 'open');
    assert.equal(source.size, 'one\nlate\nlater\n'.length);
  });

  describe('a file that a scan misses', () => {
    let elsewhere: string;
    beforeEach(() => {
      elsewhere = mkdtempSync(join(tmpdir(), 'logtender-elsewhere-'));
    });
    afterEach(() => rmSync(elsewhere, { recursive: true }));

    // A listing in the middle of a rename, made certain: for the length of one scan the file is in another folder.
    const missOnce = async (name: string, backAs: string): Promise<void> => {
      renameSync(at(name), join(elsewhere, name));
      await clock.advance(10, 0);
      files.scan();
      renameSync(join(elsewhere, name), at(backAs));
      await clock.advance(10, 0);
      files.scan();
    };

    it('keeps its id, whether its descriptor is open or not', async () => {
      for (const settled of [false, true]) {
        isSettled = () => settled;
        files.close();
        files = build();
        for (const name of ['a.log', 'a.log.1', 'a.log.2']) rmSync(at(name), { force: true });
        writeFileSync(at('a.log'), 'old\n');
        await scan();
        const { id } = only('a.log').info;
        renameSync(at('a.log'), at('a.log.1'));
        for (let i = 0; i < 4; i += 1) await scan();
        assert.deepEqual(
          [...files.sources].map((source) => source.state),
          [settled ? 'parked' : 'open'],
        );
        await missOnce('a.log.1', 'a.log.2');
        assert.deepEqual(
          [...files.sources].map((source) => source.info.id),
          [id],
        );
        assert.deepEqual(ended, []);
      }
    });

    it('is gone when it stays away', async () => {
      isSettled = () => true;
      writeFileSync(at('a.log'), 'old\n');
      await scan();
      renameSync(at('a.log'), join(elsewhere, 'a.log'));
      for (let i = 0; i < 3; i += 1) await scan();
      assert.deepEqual(chain('a.log'), []);
      assert.deepEqual(ended, ['/log/a.log']);
    });
  });

  it('does not let a file that never gets quiet stop its successor', async () => {
    writeFileSync(at('a.log'), 'one\n');
    await scan();
    const source = only('a.log');
    renameSync(at('a.log'), at('a.log.1'));
    for (let ms = 0; ms <= SEAL_WAIT_MS_MAX; ms += 500) {
      assert.equal(files.isPassable(source), false, `after ${ms} ms`);
      appendFileSync(at('a.log.1'), 'more\n');
      files.scan();
      await clock.advance(500, 0);
    }
    await clock.advance(500, 0);
    assert.equal(files.isPassable(source), true);
  });

  describe('with a file system that fails', () => {
    const read = faulty('readSync');
    const list = faulty('readdirSync');
    const stat = faulty('statSync');
    afterEach(() => {
      for (const { heal } of [read, list, stat]) heal();
    });
    const isOf = (name: string): ((fd: unknown) => boolean) => {
      const { ino } = statSync(at(name));
      return (fd) => typeof fd === 'number' && fs.fstatSync(fd).ino === ino;
    };
    const told = (): number => lines.filter((line) => line.includes('cannot be read')).length;
    const openDescriptors = (): number => fs.readdirSync('/proc/self/fd').length;

    it('lists a folder that may not be entered', async () => {
      files = build('**/*.log');
      mkdirSync(at('x'));
      writeFileSync(at('a.log'), 'x\n');
      stat.fail('EACCES', (name) => name === at('x'));
      await scan();
      assert.deepEqual(paths(), ['/log/a.log']);
    });

    it('leaves a new file that cannot be read alone, tells it once, and reads it when it can', async () => {
      for (const name of ['a.log', 'b.log']) writeFileSync(at(name), 'x\n');
      const before = openDescriptors();
      read.fail('EIO', isOf('a.log'));
      await scan();
      await scan();
      assert.deepEqual(paths(), ['/log/b.log']);
      assert.deepEqual([...files.problems], [[at('a.log'), 'EIO']]);
      assert.equal(told(), 1);
      assert.equal(openDescriptors(), before + 1, 'only what is read stays open');
      read.heal();
      await scan();
      assert.deepEqual(paths(), ['/log/a.log', '/log/b.log']);
      assert.equal(files.problems.size, 0);
    });

    it('keeps an open file that fails once as it is, and the others going', async () => {
      for (const name of ['a.log', 'b.log']) writeFileSync(at(name), 'x\n');
      await scan();
      const [a, b] = [only('a.log'), only('b.log')];
      const { id } = a.info;
      for (const name of ['a.log', 'b.log']) appendFileSync(at(name), 'more\n');
      read.fail('EIO', isOf('a.log'));
      await scan();
      files.poll({ names: undefined, active: true });
      assert.deepEqual([a.size, b.size], [2, 7]);
      assert.deepEqual([...files.problems], [[at('a.log'), 'EIO']]);
      assert.equal(told(), 1);
      // Truncated while it cannot be read: what follows is read later.
      truncateSync(at('a.log'), 0);
      appendFileSync(at('a.log'), 'y');
      await scan();
      assert.deepEqual(
        chain('a.log').map(({ size }) => size),
        [2, 0],
      );
      read.heal();
      isSettled = () => true;
      await scan();
      assert.notEqual(only('a.log').info.id, id);
      assert.equal(content(only('a.log')), 'y');
      assert.equal(files.problems.size, 0);
    });

    it('gives a known file its id back when it can be read again', async () => {
      writeFileSync(at('a.log'), 'x\n');
      await scan();
      const { info, identity, head, order, end } = only('a.log');
      const { container, path, id } = info;
      const about = { id, container, path, positions: undefined, identity, head, order };
      const known = [{ ...about, copy: false, orphan: false, anchors: [end] }];
      for (const goodReads of [0, 1, 2, 3]) {
        files.close();
        files = build('*.log', 1_000_000, known);
        const isIt = isOf('a.log');
        let reads = 0;
        read.fail('EIO', (fd) => isIt(fd) && (reads += 1) > goodReads);
        await scan();
        await scan();
        read.heal();
        await scan();
        assert.equal(only('a.log').info.id, id, `fails after ${goodReads} reads`);
      }
    });

    it('keeps a parked file that grew and cannot be read', async () => {
      writeFileSync(at('a.log'), 'x\n');
      await scan();
      const source = only('a.log');
      renameSync(at('a.log'), at('a.log.1'));
      isSettled = () => true;
      for (let i = 0; i < 3; i += 1) await scan();
      assert.equal(source.state, 'parked');
      appendFileSync(at('a.log.1'), 'more\n');
      const before = openDescriptors();
      read.fail('EIO', isOf('a.log.1'));
      await scan();
      assert.equal(source.state, 'parked');
      assert.equal(openDescriptors(), before);
      read.heal();
      isSettled = () => false;
      await scan();
      assert.deepEqual([source.state, source.size, ended.length], ['open', 7, 0]);
    });

    for (const settled of [false, true]) {
      it(`keeps what is in a folder that cannot be listed for a while, settled: ${settled}`, async () => {
        files = build('**/*.log');
        isSettled = () => settled;
        mkdirSync(at('x/y'), { recursive: true });
        for (const name of ['x/y/a.log', 'x/y/b.log']) writeFileSync(at(name), 'x\n');
        await scan();
        renameSync(at('x/y/b.log'), at('x/y/b.log.1'));
        for (let i = 0; i < 3; i += 1) await scan();
        const ids = (): string[] => [...files.sources].map(({ info }) => info.id);
        const before = ids();
        for (const folderThatFails of ['x/y', 'x', '.']) {
          list.fail('EACCES', (name) => name === join(folder, folderThatFails));
          for (let i = 0; i < 20; i += 1) await scan();
          assert.equal(only('x/y/a.log').sealed, false, 'its last line may not be whole');
          list.heal();
          await scan();
          assert.deepEqual(ids(), before);
          assert.deepEqual(ended, []);
        }
        assert.equal(files.problems.size, 0);
      });
    }

    it('does not let go of a deleted file that grew and cannot be read', async () => {
      writeFileSync(at('a.log'), 'x\n');
      await scan();
      const source = only('a.log');
      isSettled = () => true;
      const isIt = isOf('a.log');
      appendFileSync(at('a.log'), 'more\n');
      unlinkSync(at('a.log'));
      read.fail('EIO', isIt);
      for (let i = 0; i < 3 * LET_GO_SCANS; i += 1) await scan();
      assert.deepEqual(ended, []);
      read.heal();
      await scan();
      assert.equal(content(source), 'x\nmore\n');
      for (let i = 0; i < LET_GO_SCANS; i += 1) await scan();
      assert.deepEqual(ended, ['/log/a.log']);
      assert.equal(files.problems.size, 0);
    });

    it('lets go of a file that is deleted in a folder that cannot be listed', async () => {
      writeFileSync(at('a.log'), 'x\n');
      await scan();
      list.fail('EACCES', () => true);
      unlinkSync(at('a.log'));
      isSettled = () => true;
      for (let i = 0; i < 20; i += 1) await scan();
      assert.deepEqual(ended, ['/log/a.log']);
    });
  });

  it('holds a deleted file open until it is settled, then forgets it', async () => {
    writeFileSync(at('a.log'), 'one\n');
    await scan();
    const source = only('a.log');
    unlinkSync(at('a.log'));
    for (let i = 0; i < LET_GO_SCANS; i += 1) await scan();
    assert.equal(content(source), 'one\n');
    isSettled = () => true;
    await scan();
    assert.equal(source.state, 'ended');
    assert.deepEqual(ended, ['/log/a.log']);
  });

  it('reads what the writer of a deleted file still writes, and lets its successor go on meanwhile', async () => {
    writeFileSync(at('a.log'), 'one\n');
    await scan();
    const source = only('a.log');
    isSettled = ({ size, anchor }) => size === anchor.offset;
    const settle = (): void => {
      source.anchor = source.end;
    };
    settle();
    const writer = fs.openSync(at('a.log'), 'a');
    unlinkSync(at('a.log'));
    files.scan();
    await clock.advance(SEAL_QUIET_MS, 0);
    files.scan();
    assert.equal(files.isPassable(source), true, 'the successor waits for no more than quiet');
    await clock.advance(SEAL_WAIT_MS_MAX - 2 * SEAL_QUIET_MS, 0);
    files.scan();
    fs.writeSync(writer, 'late\n');
    files.poll({ names: new Set(), active: true });
    assert.equal(content(source), 'one\nlate\n');
    settle();
    await clock.advance(SEAL_WAIT_MS_MAX - 1, 0);
    files.sweep();
    assert.equal(source.state, 'open');
    await clock.advance(1, 0);
    fs.writeSync(writer, 'last\n');
    files.sweep();
    assert.equal(source.state, 'open', 'the look right before the end found growth');
    assert.equal(content(source), 'one\nlate\nlast\n');
    fs.closeSync(writer);
    settle();
    await clock.advance(SEAL_WAIT_MS_MAX, 0);
    files.sweep();
    assert.equal(source.state, 'ended');
  });

  it('gives the oldest deleted file up at the hold limit, and says so', async () => {
    files = build('*.log', 100);
    for (const text of ['1', '2', '3']) {
      writeFileSync(at('a.log'), text.repeat(60));
      await scan();
      unlinkSync(at('a.log'));
      await scan();
    }
    assert.deepEqual(released, ['/log/a.log', '/log/a.log']);
    assert.deepEqual(
      chain('a.log').map(({ fd }) => fd !== undefined),
      [false, false, true],
    );
    assert(lines.some((line) => line.includes('hold limit')));
  });

  it('begins another generation when a file is truncated', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\n');
    await scan();
    const before = only('a.log').info.id;
    truncateSync(at('a.log'), 0);
    appendFileSync(at('a.log'), 'new\n');
    await scan();
    isSettled = () => true;
    await scan();
    assert.equal(content(only('a.log')), 'new\n');
    assert.notEqual(only('a.log').info.id, before);
  });

  const REWRITES: ReadonlyArray<readonly [what: string, text: string]> = [
    ['to the same size', 'ONE\nTWO\n'],
    ['to a larger size', 'ONE\nTWO\nTHREE\n'],
  ];
  for (const [what, text] of REWRITES) {
    it(`begins another generation when a file is rewritten in place ${what}`, async () => {
      writeFileSync(at('a.log'), 'one\ntwo\n');
      await scan();
      const { id } = only('a.log').info;
      const { mtimeNs } = statSync(at('a.log'), { bigint: true });
      // The file system's clock is coarse: write until the time of the write differs.
      do writeFileSync(at('a.log'), text);
      while (statSync(at('a.log'), { bigint: true }).mtimeNs === mtimeNs);
      await scan();
      isSettled = () => true;
      await scan();
      assert.equal(content(only('a.log')), text);
      assert.notEqual(only('a.log').info.id, id);
    });
  }

  /** Birth times come from a coarse clock: until the copy is younger. */
  const copyOf = (original: string, copy: string): void => {
    do {
      rmSync(at(copy), { force: true });
      copyFileSync(at(original), at(copy));
    } while (statSync(at(copy), { bigint: true }).birthtimeNs <= statSync(at(original), { bigint: true }).birthtimeNs);
  };

  it('takes a copy for what it is before and after its original is truncated', async () => {
    writeFileSync(at('a.log'), 'one\ntwo\n');
    await scan();
    const { id } = only('a.log').info;
    copyOf('a.log', 'a.log.1');
    await scan();
    assert.equal(only('a.log').name, at('a.log'), 'the copy is no source');
    truncateSync(at('a.log'), 0);
    appendFileSync(at('a.log'), 'new\n');
    await scan();
    assert.deepEqual(chain('a.log').map(content), ['one\ntwo\n', 'new\n']);
    assert.equal(chain('a.log')[0]?.info.id, id, 'the copy goes on under the id of the original');
    assert.equal(chain('a.log')[0]?.name, at('a.log.1'));
  });

  it('does not take a file for a copy that was made after the original was changed, however alike they begin', async () => {
    const banner = `${'='.repeat(1_100)}\n`;
    writeFileSync(at('a.log'), `${banner}one\n`);
    await scan();
    truncateSync(at('a.log'), 0);
    appendFileSync(at('a.log'), 'two\n');
    unlinkSync(at('a.log'));
    const changedNs = BigInt(Date.now() + 1) * 1_000_000n;
    // Birth times come from a coarse clock.
    do writeFileSync(at('next'), `${banner}three\n`);
    while (statSync(at('next'), { bigint: true }).birthtimeNs <= changedNs && unlinkSync(at('next')) === undefined);
    renameSync(at('next'), at('a.log.1'));
    await scan();
    const texts = chain('a.log').flatMap((source) => (source.fd === undefined ? [] : [content(source)]));
    assert.deepEqual(texts, ['two\n', `${banner}three\n`]);
  });

  it('does not take the same text for a copy when it is older', async () => {
    writeFileSync(at('a.log.1'), 'start\n');
    do {
      rmSync(at('a.log'), { force: true });
      writeFileSync(at('a.log'), 'start\n');
    } while (
      statSync(at('a.log'), { bigint: true }).birthtimeNs <= statSync(at('a.log.1'), { bigint: true }).birthtimeNs
    );
    await scan();
    assert.deepEqual(chain('a.log').map(content), ['start\n', 'start\n']);
  });

  it('moves to the copy when the original is deleted', async () => {
    writeFileSync(at('a.log'), 'one\n');
    await scan();
    const source = only('a.log');
    copyOf('a.log', 'a.log.1');
    await scan();
    unlinkSync(at('a.log'));
    isSettled = () => true;
    for (let i = 0; i < LET_GO_SCANS; i += 1) await scan();
    assert.equal(source.state, 'parked');
    assert.deepEqual(paths(), []);
    assert.equal([...files.sources].length, 1);
  });

  it('knows a new file behind a reused inode', async () => {
    writeFileSync(at('a.log'), 'one\n');
    await scan();
    const { id } = only('a.log').info;
    isSettled = () => true;
    unlinkSync(at('a.log'));
    for (let i = 0; i < LET_GO_SCANS; i += 1) await scan();
    writeFileSync(at('a.log'), 'one\n');
    await scan();
    assert.notEqual(only('a.log').info.id, id);
  });

  it('reads two names of one inode once', async () => {
    writeFileSync(at('a.log'), 'one\n');
    linkSync(at('a.log'), at('b.log'));
    await scan();
    assert.equal(files.chains.length, 1);
  });

  it('follows symbolic links inside the mount and none out of it', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
    writeFileSync(join(outside, 'password'), 'secret\n');
    mkdirSync(at('data'));
    writeFileSync(at('data/real'), 'x\n');
    symlinkSync('data/real', at('inside.log'));
    symlinkSync(join(outside, 'password'), at('outside.log'));
    symlinkSync('/nowhere', at('dangling.log'));
    await scan();
    rmSync(outside, { recursive: true });
    assert.deepEqual(paths(), ['/log/inside.log']);
  });

  it('follows a symbolic link to its next target', async () => {
    writeFileSync(at('1'), 'one\n');
    writeFileSync(at('2'), 'two\n');
    symlinkSync('1', at('a.log'));
    await scan();
    unlinkSync(at('a.log'));
    symlinkSync('2', at('a.log'));
    await scan();
    assert.deepEqual(chain('a.log').map(content), ['one\n', 'two\n']);
  });

  it('says once who may read a file that we may not, and reads it when we may', async function () {
    if (process.getuid?.() === 0) {
      // Root reads everything; a folder where a file should be unreadable cannot be made.
      writeFileSync(at('a.log'), 'x\n');
      await scan();
      assert.equal(files.problems.size, 0);
      return;
    }
    writeFileSync(at('a.log'), 'x\n', { mode: 0 });
    await scan();
    await scan();
    const told = lines.filter((line) => line.includes('cannot be read'));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /EACCES.*"mode":"0000"/);
    chmodSync(at('a.log'), 0o600);
    await scan();
    assert.equal(files.problems.size, 0);
    assert.deepEqual(paths(), ['/log/a.log']);
  });
});
