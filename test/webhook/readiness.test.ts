/**
 * What readiness depends on.
 */
import assert from 'node:assert/strict';

import { startLocalCertificates } from '../../certs/local.ts';
import type { LocalCertificates } from '../../certs/local.ts';
import type { CertificateSource } from '../../certs/certificate-source.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
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
    readonly source?: Pick<CertificateSource, 'current' | 'problem'>;
    readonly configuration?: KubeObject | undefined;
    readonly nowMs?: number;
    readonly isFilled?: boolean;
    readonly isDraining?: boolean;
  }

  function failing(state: State): readonly string[] {
    const live = 'configuration' in state ? state.configuration : configuration(bundle, bundle);
    const checks = readinessChecks({
      certificates: state.source ?? local.source,
      configuration: () => live,
      facts: { isReady: () => state.isFilled ?? true },
      isDraining: () => state.isDraining ?? false,
      clock: { ...systemClock, now: () => state.nowMs ?? systemClock.now() },
    });
    return checks.filter(({ check }) => !check().ok).map(({ name }) => name);
  }

  it('is well when all is well', () => assert.deepEqual(failing({}), []));
  it('needs a certificate', () =>
    assert.deepEqual(failing({ source: { current: () => undefined, problem: () => 'none' } }), [
      'certificate',
      'ca-bundle',
    ]));
  it('needs one that has not expired', () =>
    assert.deepEqual(failing({ nowMs: Date.UTC(2100, 0, 1) }), ['certificate']));
  it('needs its CA in every entry', () => {
    assert.deepEqual(failing({ configuration: configuration(bundle, '') }), ['ca-bundle']);
    assert.deepEqual(failing({ configuration: configuration('garbage', bundle) }), ['ca-bundle']);
    assert.deepEqual(failing({ configuration: undefined }), ['ca-bundle']);
  });
  it('needs its caches', () => assert.deepEqual(failing({ isFilled: false }), ['caches']));
  it('ends with the drain', () => assert.deepEqual(failing({ isDraining: true }), ['serving']));
});

function configuration(...bundles: readonly string[]): KubeObject {
  const webhooks = bundles.map((pem, i) => ({
    name: `w${i}`,
    clientConfig: { caBundle: Buffer.from(pem).toString('base64') },
  }));
  return { metadata: { name: 'logtender-injector' }, webhooks };
}
