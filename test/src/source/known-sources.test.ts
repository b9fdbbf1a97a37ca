/**
 * Which sightings may be a file that the checkpoint knows.
 */
import assert from 'node:assert/strict';

import type { Sighting } from '../../../src/source/directory-scan.ts';
import { NO_HEAD } from '../../../src/source/identity.ts';
import { KnownSources } from '../../../src/source/known-sources.ts';
import type { KnownSource } from '../../../src/source/source-file.ts';

const known = (birthUs: number): KnownSource => ({
  id: 'id',
  container: 'app',
  path: '/log/a.log',
  identity: { dev: '1', ino: '7', birthUs },
  head: NO_HEAD,
  copy: false,
  orphan: false,
  order: 1,
  anchors: [],
});

const seen = (dev: string, birthUs: number, container = 'app'): Sighting => ({
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
});

describe('known sources', () => {
  const CASES: readonly (readonly [string, boolean, KnownSource, Sighting, boolean])[] = [
    ['the same device', false, known(0), seen('1', 0), true],
    ['another device, births known', false, known(5), seen('2', 5), true],
    ['another device, another birth', false, known(5), seen('2', 6), false],
    ['another device, no births', false, known(0), seen('2', 0), false],
    ['one volume on another node, no births (NFS)', true, known(0), seen('2', 0), true],
    ['one volume on another node, another birth', true, known(5), seen('2', 6), false],
    ['one volume, another container', true, known(5), seen('2', 5, 'db'), false],
  ];
  for (const [name, isOneVolume, source, sighting, want] of CASES)
    it(`${name}: ${want ? 'may be' : 'is not'} it`, () =>
      assert.equal(new KnownSources([source], isOneVolume).mayHold(sighting), want));
});
