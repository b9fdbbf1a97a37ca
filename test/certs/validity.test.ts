/**
 * When what is due, asked about times of our choice.
 */
import assert from 'node:assert/strict';

import type { CertificateFacts, ServingPair } from '../../certs/bundle.ts';
import { caRenewalReason, leafRenewalReason, notAfterMs, renewAtMs } from '../../certs/validity.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const RULES = { lifeMs: 30 * DAY_MS, backdateMs: HOUR_MS };
const MADE_MS = Date.UTC(2026, 0, 1);

function facts(name: string, lifeMs: number, jitter = '00000000'): CertificateFacts {
  return {
    fingerprint: jitter + name,
    pem: '',
    commonName: name,
    notBeforeMs: MADE_MS - HOUR_MS,
    notAfterMs: MADE_MS + lifeMs,
  };
}

const CA = facts('ca', 365 * DAY_MS);
const PAIR: ServingPair = { leaf: facts('leaf', 30 * DAY_MS), chain: [], keyPem: '', issuer: CA };

describe('validity', () => {
  it('two thirds of the life, a little less by jitter, never by the backdate', () => {
    assert.equal(renewAtMs(facts('x', 30 * DAY_MS), RULES), MADE_MS + 20 * DAY_MS);
    assert.equal(renewAtMs(facts('x', 30 * DAY_MS, 'ffffffff'), RULES), MADE_MS + 20 * DAY_MS - 0.6 * DAY_MS);
  });

  it('a life shorter than configured is not renewed without end', () => {
    // A rule of "30 days before the end" would find a leaf of 6 hours due from the beginning.
    assert.equal(renewAtMs(facts('x', 6 * HOUR_MS), RULES), MADE_MS + 4 * HOUR_MS);
  });

  const table: ReadonlyArray<
    readonly [
      name: string,
      pair: ServingPair | 'missing' | 'unreadable',
      covers: boolean,
      atMs: number,
      want: string | undefined,
    ]
  > = [
    ['missing', 'missing', true, MADE_MS, 'missing'],
    ['unreadable', 'unreadable', true, MADE_MS, 'unreadable'],
    ['fresh', PAIR, true, MADE_MS, undefined],
    ['a moment before two thirds', PAIR, true, MADE_MS + 20 * DAY_MS - 1, undefined],
    ['at two thirds', PAIR, true, MADE_MS + 20 * DAY_MS, 'near_expiry'],
    ['at its end', PAIR, true, MADE_MS + 30 * DAY_MS, 'expired'],
    ['a clock that went back', PAIR, true, MADE_MS - 2 * HOUR_MS, 'expired'],
    ['other hosts configured', PAIR, false, MADE_MS, 'wrong_host'],
    ['the CA changed', { ...PAIR, issuer: facts('old', 365 * DAY_MS) }, true, MADE_MS, 'wrong_issuer'],
    ['its CA ended', { ...PAIR, issuer: facts('old', DAY_MS) }, true, MADE_MS + 2 * DAY_MS, 'expired'],
  ];
  for (const [name, pair, covers, atMs, want] of table) {
    it(`leaf, ${name}: ${want ?? 'nothing'}`, () => {
      assert.equal(
        leafRenewalReason(pair, CA, () => covers, RULES, atMs),
        want,
      );
    });
  }

  it('a leaf that could only be renewed up to the same end stays', () => {
    const ending = facts('ca', 30 * DAY_MS);
    const pair = { ...PAIR, issuer: ending };
    assert.equal(
      leafRenewalReason(pair, ending, () => true, RULES, MADE_MS + 25 * DAY_MS),
      undefined,
    );
  });

  it('no leaf outlives its CA', () => {
    assert.equal(notAfterMs(MADE_MS + 360 * DAY_MS, RULES, CA), CA.notAfterMs);
    assert.equal(notAfterMs(MADE_MS, RULES, undefined), MADE_MS + 30 * DAY_MS);
  });

  it('CA: due at two thirds, expired at its end', () => {
    const rules = { lifeMs: 365 * DAY_MS, backdateMs: HOUR_MS };
    assert.equal(caRenewalReason(CA, rules, MADE_MS + 243 * DAY_MS), undefined);
    assert.equal(caRenewalReason(CA, rules, MADE_MS + 244 * DAY_MS), 'near_expiry');
    assert.equal(caRenewalReason(CA, rules, CA.notAfterMs), 'expired');
  });
});
