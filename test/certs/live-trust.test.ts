/**
 * A new serving pair against the live caBundle: it waits while the old one is trusted and it is not, and not for ever.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { parseTrustBundle, toPem } from '../../certs/bundle.ts';
import type { ServingPair } from '../../certs/bundle.ts';
import type { CaGeneration } from '../../certs/ca-state.ts';
import { createSecretSource } from '../../certs/certificate-source.ts';
import type { CertificateSource } from '../../certs/certificate-source.ts';
import { newGeneration, newServingPair } from '../../certs/issuer.ts';
import { mustWait } from '../../certs/live-trust.ts';
import { writeServingPair } from '../../certs/serving-state.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Metrics } from '../../src/core/metrics.ts';
import { corePath } from '../../src/kube/paths.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { DAY_MS, HOSTS, MINUTE_MS, NAMESPACE, SETTINGS, TLS_PATH } from './small-world.ts';

const ISSUER = { ca: SETTINGS.ca, leaf: SETTINGS.leaf, hosts: HOSTS, randomBytes };
const START_MS = new VirtualClock().now();
/** Before the end of the old pair; it is let go then. */
const LET_GO_MS = 5 * MINUTE_MS;

describe('live trust', () => {
  let oldCa: CaGeneration;
  let newCa: CaGeneration;
  let served: ServingPair;
  let offered: ServingPair;

  const pairOf = (current: CaGeneration): Promise<ServingPair> =>
    newServingPair(ISSUER, { generation: 1, current, next: undefined, cross: undefined, previous: [] }, START_MS);
  const pem = (...cas: readonly CaGeneration[]): string => toPem(cas.map(({ certificate }) => certificate));
  const entries = (...bundles: readonly string[]): Parameters<typeof mustWait>[2] =>
    bundles.map((text, i) => ({ name: `e${i}`, bundle: parseTrustBundle(text) }));

  before(async () => {
    [oldCa, newCa] = [await newGeneration(ISSUER, 1, START_MS), await newGeneration(ISSUER, 2, START_MS)];
    [served, offered] = [await pairOf(oldCa), await pairOf(newCa)];
  });

  it('waits while an entry would lose by it and none would win', () => {
    const [old, next, both] = [pem(oldCa), pem(newCa), pem(oldCa, newCa)];
    const TABLE: ReadonlyArray<readonly [waits: boolean, bundles: readonly string[]]> = [
      [true, [old]],
      [true, [old, both]],
      [true, [old, '']],
      [false, [both]],
      [false, [next]],
      [false, ['', 'garbage']],
      [false, [old, next]],
      [false, []],
    ];
    for (const [waits, bundles] of TABLE)
      assert.equal(mustWait(served, offered, entries(...bundles), START_MS), waits, `${bundles.length} entries`);
    assert.equal(mustWait(served, offered, undefined, START_MS), false, 'unknown trust speaks against nothing');
    const marked = { ...offered, endsOldConnections: true };
    assert.equal(mustWait(served, marked, entries(old), START_MS), false, 'the CA before was compromised');
  });

  it('lets go five minutes before the end of the old pair, or a tenth of a short life', () => {
    const end = served.leaf.notAfterMs;
    const at = (pair: ServingPair, nowMs: number): boolean => mustWait(pair, offered, entries(pem(oldCa)), nowMs);
    assert.equal(at(served, end - LET_GO_MS - 1), true);
    assert.equal(at(served, end - LET_GO_MS), false);
    const brief = { ...served, leaf: { ...served.leaf, notBeforeMs: end - 10 * MINUTE_MS } };
    assert.equal(at(brief, end - MINUTE_MS - 1), true);
    assert.equal(at(brief, end - MINUTE_MS), false);
  });

  describe('in a certificate source', () => {
    const clock = new VirtualClock();
    let kube = createFakeKube();
    let metrics: Metrics;
    let source: CertificateSource;
    let bundle: string;
    let changed: () => void;

    const heldGauge = (): number | undefined => metrics.gauge('logtender_serving_certificate_held', '').value();
    const write = async (pair: ServingPair): Promise<void> => {
      const data = Object.fromEntries(
        Object.entries(writeServingPair(pair)).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
      );
      const secret = { metadata: { name: 'logtender-tls', namespace: NAMESPACE }, data };
      const updated = await kube.others.update(TLS_PATH, secret);
      if (!updated.ok) await kube.others.create(corePath(NAMESPACE, 'secrets'), secret);
      await clock.quiet(1);
    };

    beforeEach(async () => {
      kube = createFakeKube();
      metrics = createMetrics();
      bundle = pem(oldCa);
      changed = () => assert.fail('nobody listens');
      source = createSecretSource({
        client: kube,
        clock,
        random: () => 0.5,
        log: silentLog,
        metrics,
        namespace: NAMESPACE,
        name: 'logtender-tls',
        hosts: HOSTS,
        trust: {
          entries: () => entries(bundle),
          onChange: (listener) => {
            changed = listener;
            return () => {};
          },
        },
      });
      await write(served);
      assert.deepEqual([source.current()?.fingerprint, heldGauge()], [served.leaf.fingerprint, 0]);
    });
    afterEach(() => source.close());

    it('the old pair stays until the caBundle trusts the new one, and then goes at once', async () => {
      await write(offered);
      assert.deepEqual([source.current()?.fingerprint, heldGauge()], [served.leaf.fingerprint, 1]);
      assert.match(source.held() ?? '', /a newer certificate waits until the live caBundle trusts it/);
      assert.equal(source.problem(), undefined, 'nothing is wrong with it');
      bundle = pem(oldCa, newCa);
      changed();
      assert.deepEqual([source.current()?.fingerprint, heldGauge()], [offered.leaf.fingerprint, 0]);
      assert.equal(source.held(), undefined);
    });

    it('a pair that comes before any other is taken, whoever trusts it', async () => {
      await source.close();
      kube = createFakeKube();
      const first = createSecretSource({
        client: kube,
        clock,
        random: () => 0.5,
        log: silentLog,
        metrics,
        namespace: NAMESPACE,
        name: 'logtender-tls',
        hosts: HOSTS,
        trust: { entries: () => entries(pem(oldCa)), onChange: () => () => {} },
      });
      await write(offered);
      assert.equal(first.current()?.fingerprint, offered.leaf.fingerprint);
      await first.close();
    });

    it('the old one is written back before trust comes: nothing waits any more', async () => {
      await write(offered);
      await write(served);
      assert.deepEqual([source.current()?.fingerprint, heldGauge()], [served.leaf.fingerprint, 0]);
    });

    it('the bound holds without any change: the new pair is taken before the old one ends', async () => {
      // A pair that outlives the one that is served.
      const later = { ...ISSUER, leaf: { ...ISSUER.leaf, lifeMs: 60 * DAY_MS } };
      const state = { generation: 1, current: newCa, next: undefined, cross: undefined, previous: [] };
      const longer = await newServingPair(later, state, START_MS);
      await write(longer);
      assert.equal(heldGauge(), 1);
      clock.jump(served.leaf.notAfterMs - LET_GO_MS - clock.now());
      await clock.advance(30_000, 1);
      assert.equal(source.current()?.fingerprint, longer.leaf.fingerprint);
    });
  });
});
