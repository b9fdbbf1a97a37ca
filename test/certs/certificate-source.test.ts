/**
 * What a server is handed: proven pairs alone, the last good one whatever happens to the Secret.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { createSecretSource } from '../../certs/certificate-source.ts';
import type { CertificateSource } from '../../certs/certificate-source.ts';
import { newGeneration, newServingPair } from '../../certs/issuer.ts';
import type { IssuerOptions } from '../../certs/issuer.ts';
import { writeServingPair } from '../../certs/serving-state.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { corePath } from '../../src/kube/paths.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { DAY_MS, HOSTS, NAMESPACE, SETTINGS, TLS_PATH } from './small-world.ts';

const ISSUER: IssuerOptions = { ca: SETTINGS.ca, leaf: SETTINGS.leaf, hosts: HOSTS, randomBytes };

const OURS = { 'logging.io/owned-by': 'logtender-certs' };

describe('certificate source', () => {
  const clock = new VirtualClock();
  let kube = createFakeKube();
  let metrics = createMetrics();
  let source: CertificateSource;
  let state: CaState;

  before(async () => {
    const current = await newGeneration(ISSUER, 1, clock.now());
    state = { generation: 1, current, next: undefined, cross: undefined, previous: [] };
  });
  beforeEach(() => {
    kube = createFakeKube();
    metrics = createMetrics();
    source = createSecretSource({
      client: kube,
      clock,
      random: () => 0.5,
      log: silentLog,
      metrics,
      namespace: NAMESPACE,
      name: 'logtender-tls',
      owner: 'logtender-certs',
      hosts: HOSTS,
    });
  });
  afterEach(() => source.close());

  async function write(
    entries: Readonly<Record<string, string>>,
    labels: Readonly<Record<string, string>> = OURS,
  ): Promise<void> {
    const data = Object.fromEntries(
      Object.entries(entries).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    );
    const secret = { metadata: { name: 'logtender-tls', namespace: NAMESPACE, labels }, data };
    const updated = await kube.others.update(TLS_PATH, secret);
    if (!updated.ok) await kube.others.create(corePath(NAMESPACE, 'secrets'), secret);
    await clock.quiet(1);
  }

  it('hands out nothing before the first pair, and says why', async () => {
    await clock.quiet(1);
    assert.equal(source.current(), undefined);
    assert.equal(source.problem(), 'Secret logtender/logtender-tls was not seen yet');
  });

  it('counts from zero, so that an alert on growth sees the first refusal', () => {
    for (const result of ['taken', 'refused'])
      assert.match(
        metrics.expose(),
        new RegExp(`^logtender_certificate_reloads_total\\{result="${result}"\\} 0$`, 'm'),
      );
  });

  it('hands out a pair as soon as it is written, and tells once', async () => {
    const told: string[] = [];
    source.onChange((certificate) => told.push(certificate.fingerprint));
    const pair = await newServingPair(ISSUER, state, clock.now());
    await write(writeServingPair(pair));
    await write({ ...writeServingPair(pair), other: 'x' });
    assert.equal(source.current()?.fingerprint, pair.leaf.fingerprint);
    assert.equal(source.current()?.issuerFingerprint, state.current.certificate.fingerprint);
    assert.equal(source.problem(), undefined);
    assert.deepEqual(told, [pair.leaf.fingerprint]);
  });

  it('looks again at a pair that a wrong clock made it refuse', async () => {
    const pair = await newServingPair(ISSUER, state, clock.now());
    clock.jump(-DAY_MS);
    await write(writeServingPair(pair));
    assert.equal(source.current(), undefined);
    clock.jump(DAY_MS);
    await clock.advance(30_000, 1);
    assert.equal(source.current()?.fingerprint, pair.leaf.fingerprint);
    assert.equal(source.problem(), undefined);
  });

  it('a Secret of somebody else is refused, but where cert-manager is to write it', async () => {
    const pair = await newServingPair(ISSUER, state, clock.now());
    await write(writeServingPair(pair), {});
    assert.equal(source.current(), undefined);
    assert.match(
      source.problem() ?? '',
      /expected the label logging\.io\/owned-by=logtender-certs, got a Secret without it/,
    );
    const anybody = createSecretSource({
      client: kube,
      clock,
      random: () => 0.5,
      log: silentLog,
      metrics,
      namespace: NAMESPACE,
      name: 'logtender-tls',
      hosts: HOSTS,
    });
    await clock.quiet(2);
    assert.equal(anybody.current()?.fingerprint, pair.leaf.fingerprint);
    await anybody.close();
  });

  it('says that old connections have to end when the pair says so', async () => {
    const pair = await newServingPair(ISSUER, state, clock.now());
    await write(writeServingPair(pair));
    assert.equal(source.current()?.endsOldConnections, false);
    const marked = await newServingPair(ISSUER, state, clock.now());
    await write(writeServingPair({ ...marked, endsOldConnections: true }));
    assert.equal(source.current()?.endsOldConnections, true);
  });

  it('keeps the pair when the Secret is deleted', async () => {
    const pair = await newServingPair(ISSUER, state, clock.now());
    await write(writeServingPair(pair));
    await kube.others.delete(TLS_PATH);
    await clock.quiet(1);
    assert.equal(source.current()?.fingerprint, pair.leaf.fingerprint);
  });

  const bad: ReadonlyArray<
    readonly [
      name: string,
      entries: (good: ServingPair, other: ServingPair) => Promise<Readonly<Record<string, string>>>,
      problem: RegExp,
    ]
  > = [
    ['empty', async () => ({}), /tls.crt holds no certificate/],
    ['garbage', async (good) => ({ ...writeServingPair(good), 'tls.crt': 'garbage' }), /tls.crt holds no certificate/],
    [
      'garbage behind the leaf',
      async (good) => ({ ...writeServingPair(good), 'tls.crt': `${good.leaf.pem}garbage` }),
      /something that is no certificate/,
    ],
    [
      'the key of another',
      async (good, other) => ({ ...writeServingPair(good), 'tls.key': other.keyPem }),
      /not the key of tls.crt/,
    ],
    [
      'another CA',
      async (good) => ({
        ...writeServingPair(good),
        'ca.crt': (await newGeneration(ISSUER, 2, clock.now())).certificate.pem,
      }),
      /signed by no certificate of ca.crt/,
    ],
    [
      'another host',
      async () => writeServingPair(await newServingPair({ ...ISSUER, hosts: ['other.svc'] }, state, clock.now())),
      /does not cover logtender-webhook.logtender.svc/,
    ],
    [
      'expired',
      async () =>
        writeServingPair(
          await newServingPair(ISSUER, state, clock.now()).then((pair) => {
            clock.jump(31 * DAY_MS);
            return pair;
          }),
        ),
      /expired at/,
    ],
  ];
  for (const [name, entries, problem] of bad) {
    it(`${name}: keeps the old pair, counts it and says why`, async () => {
      const [good, other] = await Promise.all([
        newServingPair(ISSUER, state, clock.now()),
        newServingPair(ISSUER, state, clock.now()),
      ]);
      await write(writeServingPair(good));
      await write(await entries(good, other));
      assert.equal(source.current()?.fingerprint, good.leaf.fingerprint);
      assert.match(source.problem() ?? '', problem);
      assert.equal(metrics.counter('logtender_certificate_reloads_total', '').value({ result: 'refused' }), 1);
      const after = await newServingPair(ISSUER, state, clock.now());
      await write(writeServingPair(after));
      assert.equal(source.current()?.fingerprint, after.leaf.fingerprint, 'the next good pair is taken');
      assert.equal(source.problem(), undefined);
    });
  }
});
