/**
 * The CA state survives writing and reading, and whatever is not whole is refused with a text.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { parseCaState, writeCaState } from '../../certs/ca-state.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { crossCertificate, newGeneration } from '../../certs/issuer.ts';
import { HOSTS, SETTINGS } from './small-world.ts';

const ISSUER = { ca: SETTINGS.ca, leaf: SETTINGS.leaf, hosts: HOSTS, randomBytes };
const NOW_MS = Date.UTC(2026, 0, 1);

describe('ca state', () => {
  let whole: CaState;

  before(async () => {
    const [previous, current, next] = await Promise.all(
      [1, 2, 3].map((number) => newGeneration(ISSUER, number, NOW_MS)),
    );
    assert.ok(previous !== undefined && current !== undefined && next !== undefined);
    whole = {
      generation: 2,
      current,
      next,
      cross: crossCertificate(ISSUER, current, next, NOW_MS),
      previous: [{ certificate: previous.certificate, neededUntilMs: NOW_MS + 1_000 }],
    };
  });

  it('is read as it was written', () => {
    assert.deepEqual(parseCaState(writeCaState(whole)), { ok: true, value: whole });
    const names = [{ fingerprint: 'ab', notAfterMs: NOW_MS }];
    const later: CaState = { ...whole, leafLifeMs: 1_000, forgotten: names };
    assert.deepEqual(parseCaState(writeCaState(later)), { ok: true, value: later });
    const small: CaState = { ...whole, next: undefined, cross: undefined, previous: [] };
    assert.deepEqual(parseCaState(writeCaState(small)), { ok: true, value: small });
  });

  it('holds no key of a previous CA', () => {
    const keys = Object.keys(writeCaState(whole)).filter((name) => name.endsWith('.key'));
    assert.deepEqual(keys, ['ca.key', 'next.key']);
  });

  const table: ReadonlyArray<
    readonly [name: string, change: (entries: Record<string, string>) => Record<string, string>, problem: RegExp]
  > = [
    ['nothing', () => ({}), /expected schema 1, got nothing/],
    ['a later schema', (e) => ({ ...e, rotation: '{"schema":2}' }), /expected schema 1, got 2 of a later version/],
    ['a schema that never was', (e) => ({ ...e, rotation: '{"schema":"x"}' }), /expected schema 1, got "x"/],
    [
      'forgotten CAs without an end',
      (e) => ({ ...e, rotation: '{"schema":1,"generation":1,"previous":[],"forgotten":[{}]}' }),
      /notAfter of each of the forgotten CAs/,
    ],
    [
      'a leaf life that is none',
      (e) => ({ ...e, rotation: '{"schema":1,"generation":1,"previous":[],"leafLifeMs":-1}' }),
      /expected a leafLifeMs of at least 0/,
    ],
    ['no JSON', (e) => ({ ...e, rotation: '{' }), /JSON/],
    [
      'a generation of zero',
      (e) => ({ ...e, rotation: '{"schema":1,"generation":0,"previous":[]}' }),
      /generation of at least 1/,
    ],
    [
      'a broken list',
      (e) => ({ ...e, rotation: '{"schema":1,"generation":1,"previous":[{}]}' }),
      /fingerprint and neededUntil/,
    ],
    ['no CA', ({ 'ca.crt': _crt, 'ca.key': _key, ...e }) => e, /ca.crt is missing/],
    ['garbage for the CA', (e) => ({ ...e, 'ca.crt': 'x' }), /ca.crt is no certificate/],
    ['the key of another', (e) => ({ ...e, 'ca.key': e['next.key'] ?? '' }), /ca.key is not the key of ca.crt/],
    [
      'the cross certificate for the CA',
      (e) => ({ ...e, 'next.crt': e['cross.crt'] ?? '' }),
      /next.crt is not signed by itself/,
    ],
    [
      'a foreign cross certificate',
      (e) => ({ ...e, 'cross.crt': e['next.crt'] ?? '' }),
      /cross.crt is signed by none of our CAs/,
    ],
    ['a previous CA missing', ({ 'previous-0.crt': _crt, ...e }) => e, /previous-0.crt is no certificate/],
    [
      'another previous CA',
      (e) => ({ ...e, 'previous-0.crt': e['next.crt'] ?? '' }),
      /the previous CAs are not those of rotation/,
    ],
  ];
  for (const [name, change, problem] of table) {
    it(`${name}: refused`, () => {
      const parsed = parseCaState(change({ ...writeCaState(whole) }));
      assert.ok(!parsed.ok);
      assert.match(parsed.problem, problem);
      assert.ok(!parsed.problem.includes('PRIVATE'), 'no key in a text');
      assert.equal(parsed.isNewer ?? false, name === 'a later schema', 'only a later version’s is left alone');
    });
  }
});
