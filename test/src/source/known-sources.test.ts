/**
 * Which sightings may be a file that the checkpoint knows.
 */
import assert from 'node:assert/strict';

import type { Sighting } from '../../../src/source/directory-scan.ts';
import { NO_HEAD } from '../../../src/source/identity.ts';
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
