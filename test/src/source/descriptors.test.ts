/**
 * Live files at rest: which of them are closed, and that each comes back as what it was, whatever happened to it meanwhile.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { FileSet, GONE_AFTER_MS } from '../../../src/source/file-set.ts';
import type { RestRule } from '../../../src/source/descriptors.ts';
import type { SourceFile } from '../../../src/source/source-file.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const QUIET_MS = 10_000;
/** The user id of `nobody` on Linux (credentials that own nothing). */
const NOBODY = 65_534;

describe('files at rest', () => {
  let folder: string;
  let clock: VirtualClock;
  let files: FileSet;
  let unsettled: Set<string>;
  let rested: string[];
  let lines: string[] = [];
  let ended: string[];

  const at = (name: string): string => join(folder, name);
  const build = (rest: RestRule): FileSet =>
    new FileSet({
      files: [{ container: 'app', path: '/log/*.log', directory: '/log', mount: folder }],
      uid: 'uid',
      epoch: 'epoch',
      known: [],
      clock,
      log: createLog({ clock, level: 'info', write: (line) => lines.push(line) }),
      metrics: createMetrics(),
      rest,
      isSettled: (source) => !unsettled.has(source.info.path),
      unsettledBytes: () => 0,
      onRestored: () => {},
      onChanged: () => {},
      onReleased: () => {},
      onEnded: (source) => ended.push(source.info.path),
      onRested: (source) => rested.push(source.info.path),
      onOlder: () => {},
      onVanished: () => {},
    });
  const scan = async (afterMs = 1_000): Promise<void> => {
    await clock.advance(afterMs, 0);
    files.scan();
    if (files.scanWanted) files.scan();
  };
  const of = (path: string): readonly SourceFile[] =>
    [...files.sources].filter((source) => source.info.path === `/log/${path}`);
  const only = (path: string): SourceFile => {
    const [first, ...more] = of(path);
    assert(first !== undefined && more.length === 0, `one source of ${path}, got ${of(path).length}`);
    return first;
  };
  const restOf = async (name: string, text: string): Promise<SourceFile> => {
    writeFileSync(at(name), text);
    await scan();
    await scan(QUIET_MS);
    const source = only(name);
    assert.equal(source.state, 'resting');
    assert.equal(source.fd, undefined);
    return source;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-rest-'));
    clock = new VirtualClock();
    unsettled = new Set();
    rested = [];
    ended = [];
    files = build({ openFiles: 0, quietMs: QUIET_MS });
  });
  afterEach(() => {
    files.close();
    rmSync(folder, { recursive: true });
  });

  it('closes those that are quiet longest, only what is settled, and keeps so many open', async () => {
    files.close();
    files = build({ openFiles: 1, quietMs: QUIET_MS });
    writeFileSync(at('a.log'), 'x\n');
    writeFileSync(at('b.log'), 'x\n');
    unsettled.add('/log/b.log');
    await scan();
    writeFileSync(at('c.log'), 'x\n');
    writeFileSync(at('d.log'), 'x\n');
    await scan();
    await scan(QUIET_MS - 1_000);
    assert.deepEqual(rested, ['/log/a.log'], 'the others are not quiet for long enough, or not settled');
    await scan();
    assert.deepEqual(rested.toSorted(), ['/log/a.log', '/log/c.log', '/log/d.log']);
    unsettled.clear();
    await scan();
    assert.equal(only('b.log').state, 'open', 'the one that may stay');
  });

  it('waits for a file that may not be read any more, says so once, and goes on under its id when it may', async () => {
    lines = [];
    const source = await restOf('a.log', 'one\n');
    const { id } = source.info;
    writeFileSync(at('b.log'), 'one\n');
    unsettled.add('/log/b.log');
    await scan();
    const open = only('b.log');
    chmodSync(folder, 0o755);
    for (const name of ['a.log', 'b.log']) {
      appendFileSync(at(name), 'two\n');
      chmodSync(at(name), 0);
    }
    for (let again = 0; again < 5; again += 1) await withoutRights(scan);
    assert.deepEqual([source.state, source.size, only('a.log')], ['resting', 4, source], 'it stays what it is');
    assert.deepEqual([open.state, open.size], ['open', 8], 'what is open is read on');
    const told = lines.filter((line) => line.includes('cannot be read'));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /a\.log".*EACCES.*fsGroup.*"mode":"0000"/);
    assert.deepEqual([...files.problems.keys()], [at('a.log')]);
    for (const name of ['a.log', 'b.log']) chmodSync(at(name), 0o644);
    await withoutRights(scan);
    assert.deepEqual([source.state, source.size, only('a.log').info.id], ['open', 8, id]);
    assert.equal(files.problems.size, 0);
    assert.deepEqual(ended, []);
  });

  it('opens a file again under its id when it grew, and closes it again', async () => {
    const source = await restOf('a.log', 'one\n');
    const { id } = source.info;
    await scan();
    assert.equal(source.state, 'resting', 'nothing happened to it');
    appendFileSync(at('a.log'), 'two\n');
    await scan();
    assert.deepEqual([source.state, source.size, only('a.log').info.id], ['open', 8, id]);
    await scan(QUIET_MS);
    await scan();
    assert.equal(source.state, 'resting');
  });

  it('opens it at once when a watch names it', async () => {
    const source = await restOf('a.log', 'one\n');
    appendFileSync(at('a.log'), 'two\n');
    files.poll({ names: new Set([at('b.log')]), active: true });
    assert.equal(source.state, 'resting');
    files.poll({ names: new Set([at('a.log')]), active: false });
    assert.deepEqual([source.state, source.size], ['open', 8]);
  });

  it('follows it through a rename, and holds it when it grew there', async () => {
    const source = await restOf('a.log', 'one\n');
    unsettled.add('/log/a.log');
    renameSync(at('a.log'), at('a.log.1'));
    appendFileSync(at('a.log.1'), 'late\n');
    writeFileSync(at('a.log'), 'new\n');
    await scan();
    assert.deepEqual(
      of('a.log').map(({ state, size }) => ({ state, size })),
      [
        { state: 'open', size: 9 },
        { state: 'open', size: 4 },
      ],
    );
    unlinkSync(at('a.log.1'));
    for (let i = 0; i < 20; i += 1) await scan();
    assert.notEqual(source.fd, undefined, 'deleted, and held until it is acknowledged');
  });

  it('begins another generation when it was cut off or written anew', async () => {
    for (const [name, text] of [
      ['short.log', 'x\n'],
      ['same.log', 'two\n'],
      ['long.log', 'three\n'],
    ] as const) {
      await restOf(name, 'one\n');
      writeFileSync(at(name), text);
      await scan();
      const [now] = of(name).filter(({ fd }) => fd !== undefined);
      assert.deepEqual([now?.size, now?.info.id !== undefined], [text.length, true]);
      assert(ended.includes(`/log/${name}`), `${name}: the old generation is done with`);
    }
  });

  it('takes another file under its name for another file', async () => {
    const { info } = await restOf('a.log', 'one\n');
    unlinkSync(at('a.log'));
    writeFileSync(at('a.log'), 'one\ntwo\n');
    await scan();
    await scan(GONE_AFTER_MS);
    assert.deepEqual(ended, ['/log/a.log']);
    assert.notEqual(only('a.log').info.id, info.id);
  });

  it('is forgotten when it is gone', async () => {
    await restOf('a.log', 'one\n');
    unlinkSync(at('a.log'));
    await scan();
    assert.deepEqual(ended, [], 'one scan is not enough');
    await scan(GONE_AFTER_MS);
    assert.deepEqual(ended, ['/log/a.log']);
  });

  it('knows a copy of it, before and after it is cut off', async () => {
    const source = await restOf('a.log', 'one\n');
    unsettled.add('/log/a.log');
    do {
      rmSync(at('a.log.1'), { force: true });
      copyFileSync(at('a.log'), at('a.log.1'));
    } while (
      statSync(at('a.log.1'), { bigint: true }).birthtimeNs <= statSync(at('a.log'), { bigint: true }).birthtimeNs
    );
    await scan();
    assert.equal(only('a.log'), source, 'the copy is no source');
    truncateSync(at('a.log'), 0);
    appendFileSync(at('a.log'), 'new\n');
    await scan();
    assert.deepEqual(
      of('a.log').map(({ size, name }) => ({ size, name })),
      [
        { size: 4, name: at('a.log.1') },
        { size: 4, name: at('a.log') },
      ],
    );
  });
});

/** Root reads what nobody may: it acts as the user `nobody` meanwhile. */
async function withoutRights(act: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await act();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
