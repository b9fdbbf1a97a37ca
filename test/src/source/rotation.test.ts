/**
 * Which names are rotated forms, and which of them is older.
 */
import assert from 'node:assert/strict';

import { rotationOf } from '../../../src/source/rotation.ts';

const ROTATED: ReadonlyArray<readonly [name: string, base: string]> = [
  ['app.log.1', 'app.log'],
  ['app.log.12', 'app.log'],
  ['app.log-1', 'app.log'],
  ['app.log-20240131', 'app.log'],
  ['app.log.20240131', 'app.log'],
  ['app.log.2024-01-31', 'app.log'],
  ['app.log.2024-01-31.3', 'app.log'],
  ['app.log.2024-01-31_23-59-59', 'app.log'],
  ['app.log.2024-01-31T23', 'app.log'],
  ['app.log-2024-01-31-23', 'app.log'],
  ['access_log.1700000000', 'access_log'],
  ['server_1', 'server'],
];

const OTHERS = ['app.log', 'app.log.gz', 'app.log.1.gz', 'app.old', '.1', '1', 'app1.log', 'app-2024.log', 'app.log.'];

describe('rotation', () => {
  for (const [name, base] of ROTATED) {
    it(`${name} is a rotated ${base}`, () => {
      assert.equal(rotationOf(name)?.base, base);
    });
  }
  for (const name of OTHERS) {
    it(`${name} is no rotated form`, () => {
      assert.equal(rotationOf(name), undefined);
    });
  }

  const ORDERS: ReadonlyArray<readonly [rule: string, olderFirst: readonly string[]]> = [
    ['a larger counter is older', ['a.log.10', 'a.log.2', 'a.log.1']],
    ['an earlier date is older', ['a.log-20231231', 'a.log-20240101', 'a.log-20240131']],
    ['an earlier hour is older', ['a.log.2024-01-31-09', 'a.log.2024-01-31-10']],
    ['an earlier second is older', ['a.log.1700000000', 'a.log.1700000001']],
    ['of one day the larger counter is older', ['a.log.2024-01-31.2', 'a.log.2024-01-31.1']],
  ];
  for (const [rule, names] of ORDERS) {
    it(rule, () => {
      const byRank = names.toSorted((a, b) => (rotationOf(b)?.rank ?? 0) - (rotationOf(a)?.rank ?? 0));
      assert.deepEqual(byRank, names);
    });
  }
});
