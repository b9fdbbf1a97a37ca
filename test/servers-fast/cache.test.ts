/**
 * The cache of built servers: once, whole or not at all.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached, cacheKey, cacheRoot, findCached } from '../servers/cache.ts';

describe('cache of servers', () => {
  const entry = { name: 'thing', key: 'abc' };
  let root = '';
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'logtender-cache-'))));
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('builds an entry once, whoever asks at the same time', async () => {
    let builds = 0;
    const build = async (folder: string): Promise<void> => {
      builds += 1;
      await new Promise((done) => setImmediate(done));
      writeFileSync(join(folder, 'file'), 'made');
    };
    const folders = await Promise.all([cached(root, entry, build), cached(root, entry, build)]);
    assert.equal(builds, 1);
    assert.equal(folders[0], folders[1]);
    assert.equal(readFileSync(join(folders[0], 'file'), 'utf8'), 'made');
    assert.equal(findCached(root, entry), folders[0]);
    assert.deepEqual(readdirSync(root), ['thing-abc']);
  });

  it('leaves nothing of a build that failed, and builds again', async () => {
    await assert.rejects(cached(root, entry, fail), /no network/);
    assert.deepEqual(readdirSync(root), []);
    const folder = await cached(root, entry, async (path) => writeFileSync(join(path, 'whole'), ''));
    assert.deepEqual(readdirSync(folder), ['whole']);
  });

  it('takes a lock over whose holder is dead, and removes its unfinished folder', async () => {
    writeFileSync(join(root, 'thing-abc.lock'), '1\n');
    utimesSync(join(root, 'thing-abc.lock'), new Date(0), new Date(0));
    mkdirSync(join(root, 'thing-abc.tmp-1'));
    await cached(root, entry, async () => {});
    assert.deepEqual(readdirSync(root), ['thing-abc']);
  });

  it('removes entries of the same name that nobody used for a month', async () => {
    for (const name of ['thing-old', 'thing-new', 'other-old']) mkdirSync(join(root, name));
    for (const name of ['thing-old', 'other-old']) utimesSync(join(root, name), new Date(0), new Date(0));
    await cached(root, entry, async () => {});
    assert.deepEqual(readdirSync(root).toSorted(), ['other-old', 'thing-abc', 'thing-new']);
    assert.ok(!existsSync(join(root, 'thing-old')));
  });

  it('stands where the environment says', () => {
    assert.equal(cacheRoot({ LOGTENDER_CACHE: '/a', XDG_CACHE_HOME: '/b' }), '/a');
    assert.equal(cacheRoot({ LOGTENDER_CACHE: '', XDG_CACHE_HOME: '/b' }), '/b/logtender');
    assert.match(cacheRoot({}), /\/\.cache\/logtender$/);
  });

  it('has a key over all its parts and their borders', () => {
    assert.equal(cacheKey('ab', 'c'), cacheKey('ab', 'c'));
    assert.notEqual(cacheKey('ab', 'c'), cacheKey('a', 'bc'));
  });
});

async function fail(folder: string): Promise<void> {
  writeFileSync(join(folder, 'half'), '');
  throw new Error('no network');
}
