/**
 * What readiness depends on.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';

import { writeCertificate } from '../../certs/authority.ts';
import { toPem } from '../../certs/bundle.ts';
import { entriesOf } from '../../certs/ca-bundle.ts';
import { crossCertificate, newGeneration, newServingPair } from '../../certs/issuer.ts';
import { startLocalCertificates } from '../../certs/local.ts';
import type { LocalCertificates } from '../../certs/local.ts';
import type { CertificateSource } from '../../certs/certificate-source.ts';
import { createPairKeeper } from '../../certs/pair-keeper.ts';
import { writeServingPair } from '../../certs/serving-state.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { CheckResult } from '../../src/admin/server.ts';
import type { KubeObject } from '../../src/kube/client.ts';
import { readinessChecks } from '../../webhook/readiness.ts';

describe('readiness', () => {
  let local: LocalCertificates;
  let bundle: string;

  before(async () => {
    local = await startLocalCertificates({
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: createMetrics(),
      hosts: ['localhost'],
    });
    bundle = await local.caBundlePem();
  });
  after(() => local.close());

  interface State {
    readonly source?: Pick<CertificateSource, 'current' | 'problem' | 'held'>;
    readonly configuration?: KubeObject | undefined;
    readonly nowMs?: number;
    readonly dialled?: CheckResult;
    readonly isFilled?: boolean;
    readonly isDraining?: boolean;
    readonly configNote?: string;
  }

  async function lines(state: State): Promise<ReadonlyArray<{ readonly name: string; readonly result: CheckResult }>> {
    const live = 'configuration' in state ? state.configuration : configuration(bundle, bundle);
    const checks = readinessChecks({
      certificates: state.source ?? local.source,
      trust: { entries: () => (live === undefined ? undefined : entriesOf(live)) },
      selfDial: { check: async () => state.dialled ?? { ok: true } },
      facts: { isReady: () => state.isFilled ?? true },
      configNote: () => state.configNote,
      isDraining: () => state.isDraining ?? false,
      clock: { ...systemClock, now: () => state.nowMs ?? systemClock.now() },
    });
    return Promise.all(checks.map(async ({ name, check }) => ({ name, result: await check() })));
  }

  async function failing(state: State): Promise<readonly string[]> {
    return (await lines(state)).filter(({ result }) => !result.ok).map(({ name }) => name);
  }

  it('is well when all is well', async () => assert.deepEqual(await failing({}), []));
  it('needs a certificate', async () =>
    assert.deepEqual(
      await failing({ source: { current: () => undefined, problem: () => 'none', held: () => undefined } }),
      ['certificate', 'ca-bundle'],
    ));
  it('needs one that has not expired', async () =>
    assert.deepEqual(await failing({ nowMs: Date.UTC(2100, 0, 1) }), ['certificate', 'ca-bundle']));
  it('a newer pair that waits for trust is a line, and no reason', async () => {
    const source = { current: () => local.source.current(), problem: () => undefined, held: () => 'a newer one waits' };
    assert.deepEqual(await failing({ source }), []);
    const [certificate] = await lines({ source });
    assert.deepEqual(certificate, { name: 'certificate', result: { ok: true, note: 'a newer one waits' } });
  });
  it('trust is a path to any certificate of the bundle: an intermediate beside the leaf, a root made anew of the same key', async () => {
    const rules = { lifeMs: 3_600_000, backdateMs: 60_000 };
    const issuer = { ca: rules, leaf: rules, hosts: ['localhost'], randomBytes };
    const nowMs = systemClock.now();
    const [root, current] = [await newGeneration(issuer, 1, nowMs), await newGeneration(issuer, 2, nowMs)];
    const cross = crossCertificate(issuer, root, current, nowMs);
    const pair = await newServingPair(issuer, { generation: 2, current, next: undefined, cross, previous: [] }, nowMs);
    const keeper = createPairKeeper({
      clock: systemClock,
      log: silentLog,
      metrics: createMetrics(),
      origin: 'test',
      hosts: ['localhost'],
      mode: 'files',
    });
    const entries = { ...writeServingPair(pair), 'ca.crt': toPem([cross, root.certificate]) };
    assert.deepEqual(keeper.offer(entries), { outcome: 'taken' });
    const privateKey = createPrivateKey(root.keyPem);
    const keys = { privateKey, publicKey: createPublicKey(root.keyPem) };
    const renewed = writeCertificate({
      serial: randomBytes(16),
      subject: root.certificate.commonName,
      issuer: root.certificate.commonName,
      notBeforeMs: nowMs - 60_000,
      notAfterMs: nowMs + 7_200_000,
      publicKey: keys.publicKey,
      issuerKeys: keys,
      role: { kind: 'ca' },
    });
    const well = [root.certificate.pem, renewed, cross.pem, current.certificate.pem];
    for (const pem of well)
      assert.deepEqual(await failing({ source: keeper, configuration: configuration(pem, pem) }), []);
    const configured = configuration(root.certificate.pem, bundle);
    assert.deepEqual(
      await failing({ source: keeper, configuration: configured }),
      ['ca-bundle'],
      'one entry of another',
    );
  });
  it('needs its CA in every entry', async () => {
    assert.deepEqual(await failing({ configuration: configuration(bundle, '') }), ['ca-bundle']);
    assert.deepEqual(await failing({ configuration: configuration('garbage', bundle) }), ['ca-bundle']);
    assert.deepEqual(await failing({ configuration: undefined }), ['ca-bundle']);
  });
  it('needs a handshake with itself', async () =>
    assert.deepEqual(await failing({ dialled: { ok: false, reason: 'refused' } }), ['self-dial']));
  it('needs its caches', async () => assert.deepEqual(await failing({ isFilled: false }), ['caches']));
  it('a wrong configuration file is a line, and no reason: the last good one serves', async () => {
    const note = 'the file is wrong, the last good configuration is in use: line 2: imagge';
    assert.deepEqual(await failing({ configNote: note }), []);
  });

  it('ends with the drain', async () => assert.deepEqual(await failing({ isDraining: true }), ['serving']));
});

function configuration(...bundles: readonly string[]): KubeObject {
  const webhooks = bundles.map((pem, i) => ({
    name: `w${i}`,
    clientConfig: { caBundle: Buffer.from(pem).toString('base64') },
  }));
  return { metadata: { name: 'logtender-injector' }, webhooks };
}
