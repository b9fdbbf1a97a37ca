/**
 * certs.yaml: defaults, names, and every problem with its key, expectation, finding and remedy.
 */
import assert from 'node:assert/strict';

import { certsNames, parseCertsConfig, serviceHost } from '../../../src/config/certs-config.ts';
import { problemText } from '../../../src/config/fields.ts';

const DAY_MS = 86_400_000;

describe('certs config', () => {
  it('an empty file gives the defaults', () => {
    const parsed = parseCertsConfig(undefined, {});
    assert.ok(parsed.ok);
    const { caLifeMs, leafLifeMs, settleMs, pruneMarginMs, tickMs, namespace } = parsed.value;
    assert.deepEqual(
      [caLifeMs, leafLifeMs, settleMs, pruneMarginMs, tickMs],
      [365 * DAY_MS, 30 * DAY_MS, 60_000, 3_600_000, 30_000],
    );
    assert.equal(namespace, 'logtender');
    assert.equal(serviceHost(parsed.value), 'logtender-webhook.logtender.svc');
  });

  it('the env says who we are and wins', () => {
    const parsed = parseCertsConfig({ namespace: 'a', instance: 'blue' }, { POD_NAMESPACE: 'b', POD_NAME: 'certs-1' });
    assert.ok(parsed.ok);
    assert.equal(parsed.value.identity, 'certs-1');
    assert.equal(serviceHost(parsed.value), 'logtender-webhook-blue.b.svc');
  });

  it('every name takes the suffix of the instance', () => {
    const [first, second] = [Object.values(certsNames('')), Object.values(certsNames('blue'))];
    assert.deepEqual(
      second,
      first.map((name) => `${name}-blue`),
    );
  });

  it('a year in a minute is a legal configuration', () => {
    const scaled = {
      caLife: '60s',
      leafLife: '20s',
      settle: '2s',
      pruneMargin: '2s',
      restoreGrace: '2s',
      tick: '1s',
      lease: '2s',
    };
    assert.ok(parseCertsConfig(scaled, {}).ok);
  });

  const table: ReadonlyArray<readonly [name: string, document: unknown, problem: RegExp]> = [
    [
      'a typo',
      { leafLive: '20d' },
      /^leafLive: expected a known key \(.*leafLife.*\), got "leafLive"; did you mean leafLife\?$/,
    ],
    ['a number without unit', { tick: 30 }, /^tick: expected a duration .*, got 30; write 30s or 30ms$/],
    ['a list', ['x'], /expected an object/],
    ['a key type that is none', { keyType: 'rsa' }, /^keyType: expected one of ecdsa-p256, rsa-2048, got "rsa"/],
    [
      'a mode that is none',
      { mode: 'certmanager' },
      /^mode: expected one of self, cert-manager, files, .*did you mean cert-manager\?/,
    ],
    ['a name that is none', { namespace: 'Log_Tender' }, /^namespace: expected lower-case letters, digits and -/],
    ['an instance that is too long', { instance: 'a'.repeat(41) }, /^instance: expected at most 40/],
    ['a host that is none', { hosts: ['a b'] }, /^hosts: expected a list of DNS names and IP addresses, got "a b"$/],
    ['a leaf as long as its CA', { leafLife: '300d' }, /^caLife: expected at least twice leafLife/],
    ['a leaf shorter than a few ticks', { leafLife: '60s' }, /^leafLife: expected at least six ticks \(180000ms\)/],
    [
      'no room for a rotation',
      { caLife: '60s', leafLife: '20s', tick: '3s', settle: '15s' },
      /^caLife: expected at least three times settle and four ticks/,
    ],
    ['a grace below a tick', { restoreGrace: '1s' }, /^restoreGrace: expected at least one tick/],
    ['an unknown level', { logLevel: 'loud' }, /^logLevel: expected one of debug, info, warn, error, got "loud"/],
  ];
  for (const [name, document, problem] of table) {
    it(`${name}: refused with its key`, () => {
      const parsed = parseCertsConfig(document, {});
      assert.ok(!parsed.ok);
      assert.match(parsed.problems.map(problemText).join('\n'), new RegExp(problem.source, 'm'));
    });
  }
});
