/**
 * Which sightings may be a file that the checkpoint knows.
 */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { lastChangeUs } from '../../../src/source/copies.ts';
import type { Sighting } from '../../../src/source/directory-scan.ts';
import { NO_HEAD, readHead } from '../../../src/source/identity.ts';
import { KnownSources } from '../../../src/source/known-sources.ts';
import type { KnownSource } from '../../../src/source/source-file.ts';

const known = (birthUs: number, positions?: string): KnownSource => ({
  id: 'id',
  container: 'app',
  path: '/log/a.log',
  positions,
  identity: { dev: '1', ino: '7', birthUs },
  head: NO_HEAD,
  copy: false,
  orphan: false,
  order: 1,
  anchors: [],
});

const seen = (dev: string, birthUs: number, positions?: string, container = 'app'): Sighting => ({
  name: '/mnt/a.log',
  path: '/log/a.log',
  container,
  identity: { dev, ino: '7', birthUs },
  key: `${dev}:7`,
  size: 1,
  mtimeNs: 1n,
  base: undefined,
  rank: 0,
  matched: true,
  positions,
});

describe('known sources', () => {
  const CASES: readonly (readonly [string, KnownSource, Sighting, boolean])[] = [
    ['the same device', known(0), seen('1', 0), true],
    ['another device, births known', known(5), seen('2', 5), true],
    ['another device, another birth', known(5), seen('2', 6), false],
    ['another device, no births', known(0), seen('2', 0), false],
    ['one volume on another node, no births (NFS)', known(0, '/v'), seen('2', 0, '/v'), true],
    ['one volume on another node, another birth', known(5, '/v'), seen('2', 6, '/v'), false],
    ['one volume, another container', known(5, '/v'), seen('2', 5, '/v', 'db'), false],
    ['another volume, though all numbers are the same', known(5, '/v'), seen('1', 5, '/w'), false],
    ['a volume’s, seen on no volume', known(5, '/v'), seen('1', 5), false],
    ['the pod’s own, on a volume that could keep nothing', known(5), seen('1', 5, '/v'), true],
  ];
  for (const [name, source, sighting, want] of CASES)
    it(`${name}: ${want ? 'may be' : 'is not'} it`, () =>
      assert.equal(new KnownSources([source]).mayHold(sighting), want));

  it('have their copy by the last generation of those that begin alike', () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-known-'));
    try {
      writeFileSync(join(folder, 'copy'), 'banner\none\n');
      const fd = openSync(join(folder, 'copy'), 'r');
      const head = readHead(fd, 'banner\n'.length);
      const orphan = (order: number): KnownSource => ({ ...known(1), id: `id-${order}`, orphan: true, head, order });
      const copy = { ...seen('1', 9), base: { name: '/mnt/a.log', path: '/log/a.log' }, rank: 1 };
      const opened = { fd, identity: { ...copy.identity, ino: '8' }, size: 'banner\none\n'.length };
      for (const orders of [
        [1, 3, 2],
        [3, 2, 1],
      ]) {
        const sources = new KnownSources(orders.map(orphan));
        assert.equal(sources.claimCopy(copy, opened, () => true)?.id, 'id-3');
        assert.equal(sources.claimCopy(copy, opened, () => true)?.id, 'id-2', 'each has one');
      }
      closeSync(fd);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('have no copy that was made after they were seen to be truncated, however alike they begin', () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-known-'));
    try {
      writeFileSync(join(folder, 'one'), 'banner\none\n');
      writeFileSync(join(folder, 'other'), 'other bytes\n');
      const [fd, other] = [openSync(join(folder, 'one'), 'r'), openSync(join(folder, 'other'), 'r')];
      const head = readHead(fd, 'banner\n'.length);
      const copyAt = (sources: KnownSource[], birthUs: number, first?: Sighting): string | undefined => {
        const all = new KnownSources(sources);
        // Its inode holds other bytes: it was truncated while nobody looked.
        if (first !== undefined) all.claim(first, { fd: other, identity: first.identity, size: 12 });
        const copy = { ...seen('1', birthUs), base: { name: '/mnt/a.log', path: '/log/a.log' }, rank: 1 };
        return all.claimCopy(copy, { fd, identity: { ...copy.identity, ino: '8' }, size: 11 }, () => true)?.id;
      };
      const orphan = { ...known(1), head, orphan: true, truncatedUs: 9 };
      assert.equal(copyAt([orphan], 9), 'id');
      assert.equal(copyAt([orphan], 10), undefined);
      const changedUs = lastChangeUs(other);
      assert.equal(copyAt([{ ...known(1), head }], changedUs, seen('1', 1)), 'id');
      assert.equal(copyAt([{ ...known(1), head }], changedUs + 1, seen('1', 1)), undefined);
      closeSync(fd);
      closeSync(other);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are given up where somebody looked, and forgotten with their volume', () => {
    const sources = new KnownSources([known(1), { ...known(2), orphan: true, path: '/waits/a.log' }]);
    sources.add([known(3, '/v'), { ...known(4, '/v'), orphan: true }, known(5, '/w')]);
    sources.remove('/v');
    const births = (isHidden: (one: KnownSource) => boolean): number[] =>
      sources.giveUp(isHidden).map(({ identity }) => identity.birthUs);
    assert.deepEqual(
      births(({ path }) => path.startsWith('/waits/')),
      [1, 5],
    );
    assert.deepEqual(
      births(() => false),
      [2],
    );
    assert(sources.isEmpty);
  });
});
