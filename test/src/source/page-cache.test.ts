/**
 * What is acknowledged leaves the page cache, what is not stays; and the file can be read on after that, whatever the collector does.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FRESH_PAGES_BYTES, FRESH_PAGES_MS, MiB, PAGES_BYTES_MIN } from '../../../src/core/limits.ts';
import { createLog } from '../../../src/core/log.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { PageCache } from '../../../src/source/page-cache.ts';
import type { SourceFile } from '../../../src/source/source-file.ts';
import { cachedBytes, folderThatDrops, NO_CACHED_PAGES, pagesOf } from '../../cached-pages.ts';
import { skip } from '../../skip.ts';

const BYTES = 16 * MiB;

describe('PageCache', () => {
  let folder = '';
  let path = '';
  const words: string[] = [];
  const log = createLog({ clock: systemClock, level: 'debug', write: (line) => void words.push(line) });
  let fd = -1;
  before(function () {
    const found = folderThatDrops();
    if (found === undefined) return skip(this, NO_CACHED_PAGES);
    folder = found;
    path = join(folder, 'app.log');
    return undefined;
  });
  beforeEach(() => {
    words.length = 0;
    writeWhole();
    readAll();
  });
  afterEach(() => closeSync(fd));
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  const writeWhole = (): void => {
    fd = openSync(path, 'w+');
    writeSync(fd, Buffer.alloc(BYTES, 'a line of the app\n'));
    fsyncSync(fd);
  };

  const readAll = (): void => {
    const buffer = Buffer.alloc(MiB);
    let at = 0;
    for (let got = -1; got !== 0; at += got) got = readSync(fd, buffer, 0, buffer.length, at);
    assert.equal(at, BYTES);
  };
  const cached = (): number => cachedBytes(path);
  const source = (of = fd): SourceFile => pagesOf(path, of, BYTES);

  it('gives back what is acknowledged, in pieces, and nothing beyond it', () => {
    const pages = new PageCache({ clock: systemClock, log });
    const file = source();
    assert.equal(cached(), BYTES);
    pages.release(file, PAGES_BYTES_MIN - 1);
    assert.equal(cached(), BYTES, 'too little to speak of');
    pages.release(file, 4 * MiB + 100);
    assert.equal(cached(), 12 * MiB);
    pages.release(file, 4 * MiB + PAGES_BYTES_MIN - 1);
    assert.equal(cached(), 12 * MiB, 'a piece later');
    pages.release(file, 12 * MiB);
    assert.equal(cached(), 4 * MiB);
    assert.deepEqual(words, []);
  });

  it('waits with what was just written, unless much is behind it', () => {
    const pages = new PageCache({ clock: systemClock, log });
    const file = source();
    file.mtimeMs = Date.now();
    file.size = 8 * MiB + FRESH_PAGES_BYTES;
    pages.release(file, 8 * MiB + 1);
    assert.equal(cached(), BYTES);
    pages.release(file, 8 * MiB);
    assert.equal(cached(), 8 * MiB);
    file.mtimeMs -= FRESH_PAGES_MS;
    pages.release(file, BYTES);
    assert.equal(cached(), 0);
  });

  it('leaves the descriptor as it is when its own objects are collected', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (let round = 0; round < 50; round += 1) new PageCache({ clock: systemClock, log }).release(source(), 4 * MiB);
    collect();
    collect();
    readAll();
    assert.deepEqual(words, []);
  });

  it('follows a file that was closed and opened again', () => {
    const pages = new PageCache({ clock: systemClock, log });
    const file = source();
    pages.release(file, 4 * MiB);
    const again = openSync(path, 'r');
    file.fd = again;
    pages.release(file, 8 * MiB);
    closeSync(again);
    assert.equal(cached(), 8 * MiB);
    file.fd = undefined;
    pages.release(file, 12 * MiB);
    assert.equal(cached(), 8 * MiB);
  });

  it('takes small steps through a file that is cached in large pieces', () => {
    const pages = new PageCache({ clock: systemClock, log });
    const file = source();
    for (let to = MiB; to <= BYTES; to += MiB) pages.release(file, to);
    assert.equal(cached(), 0);
  });

  it('gives up a file of which nothing can be given back, says so once, and goes on with others', () => {
    const pages = new PageCache({ clock: systemClock, log });
    const bad = source(1_000_000);
    pages.release(bad, 4 * MiB);
    pages.release(bad, 8 * MiB);
    pages.release(source(1_000_001), 8 * MiB);
    pages.release(source(), 4 * MiB);
    assert.equal(cached(), BYTES - 4 * MiB);
    assert.equal(words.length, 1, words.join(''));
    assert.match(words[0] ?? '', /cannot be given back.*app\.log/);
  });

  it('keeps few of its own objects, however many files there are', () => {
    const pages = new PageCache({ clock: systemClock, log });
    const fds = Array.from({ length: 40 }, () => openSync(path, 'r'));
    const files = fds.map((of) => source(of));
    for (const to of [4 * MiB, 8 * MiB]) for (const file of files) pages.release(file, to);
    for (const of of fds) closeSync(of);
    assert.equal(cached(), 8 * MiB);
    assert.deepEqual(words, []);
  });

  it('loads WASI without a word on stderr', () => {
    const script = `
      import { openSync, writeFileSync } from 'node:fs';
      import { PageCache } from ${JSON.stringify(join(import.meta.dirname, '../../../src/source/page-cache.ts'))};
      const log = { info: (...words) => process.stderr.write(JSON.stringify(words)) };
      const clock = { now: Date.now };
      new PageCache({ clock, log }).release({ size: Infinity, fd: openSync(${JSON.stringify(path)}, 'r'), info: {} }, ${4 * MiB});
      process.emitWarning('heard');`;
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.match(stderr, /^\(node:\d+\) Warning: heard\n/);
    assert.equal(stderr.includes('WASI'), false, stderr);
    assert.equal(cached(), BYTES - 4 * MiB);
  });
});
