/**
 * One replica with its watches and readiness, against an API in memory: what changes is seen at once, what is wrong is said.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { startReplica } from '../../certs/replica.ts';
import type { Replica } from '../../certs/replica.ts';
import { parseCertsConfig } from '../../src/config/certs-config.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { failureOf } from '../../src/kube/client.ts';
import { webhookConfigurationPath } from '../../src/kube/paths.ts';
import { createFakeKube } from '../fakes/kube.ts';
import type { FakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { CA_PATH, CONFIGURATION_PATH, setBundle, TLS_PATH, webhookConfiguration } from './small-world.ts';

/** Rotator, Lease and three watches. */
const SLEEPERS = 5;

describe('replica', () => {
  const parsed = parseCertsConfig(undefined, { POD_NAME: 'certs-0' });
  let clock: VirtualClock;
  let kube: FakeKube;
  let replica: Replica;
  let metrics = createMetrics();

  beforeEach(async () => {
    clock = new VirtualClock();
    kube = createFakeKube();
    metrics = createMetrics();
    await kube.others.create(webhookConfigurationPath(), webhookConfiguration());
    assert.ok(parsed.ok);
    replica = startReplica({
      client: kube,
      config: parsed.value,
      clock,
      random: () => 0.5,
      randomBytes,
      log: silentLog,
      metrics,
      usesLease: true,
    });
  });
  afterEach(() => replica.close());

  const problems = (): readonly string[] => {
    return replica.checks.flatMap(({ name, check }) => {
      const result = check();
      return result.ok ? [] : [`${name}: ${result.reason}`];
    });
  };

  it('is in order by itself and holds the Lease', async () => {
    assert.equal(problems().length, 4, 'nothing is promised before the first look');
    await replica.inOrder;
    assert.deepEqual(problems(), []);
    const lease = await kube.object('/apis/coordination.k8s.io/v1/namespaces/logtender/leases/logtender-certs');
    assert.equal((lease['spec'] as Record<string, unknown>)['holderIdentity'], 'certs-0');
  });

  it('repairs at once, without waiting for a tick', async () => {
    await replica.inOrder;
    await clock.quiet(SLEEPERS);
    const before = [(await kube.object(CA_PATH))['data'], (await kube.object(TLS_PATH))['data']];
    await kube.others.patch(CONFIGURATION_PATH, setBundle(1, ''), 'application/json-patch+json');
    await kube.others.delete(CA_PATH);
    await kube.others.delete(TLS_PATH);
    await clock.advance(200, SLEEPERS);
    assert.deepEqual([(await kube.object(CA_PATH))['data'], (await kube.object(TLS_PATH))['data']], before);
    assert.deepEqual(problems(), []);
  });

  it('says what is wrong, and counts it', async () => {
    await replica.inOrder;
    await clock.quiet(SLEEPERS);
    await kube.others.delete(CONFIGURATION_PATH);
    await clock.advance(100, SLEEPERS);
    assert.deepEqual(problems(), ['ca-bundle: webhook configuration logtender-injector not found']);
    assert.match(metrics.expose(), /^logtender_certs_bundle_in_sync 0$/m);
    kube.fail = () => failureOf(503, 'away');
    await clock.advance(120_000, SLEEPERS);
    assert.match(problems()[0] ?? '', /^cluster: last look at the cluster \d+ ms ago: away$/);
    kube.fail = () => undefined;
    await kube.others.create(webhookConfigurationPath(), webhookConfiguration());
    await clock.advance(60_000, SLEEPERS);
    assert.deepEqual(problems(), []);
    assert.match(metrics.expose(), /^logtender_certs_rounds_total\{outcome="unobserved"\} \d+$/m);
  });

  it('the status page tells where it stands and holds no key', async () => {
    await replica.inOrder;
    const status = JSON.stringify(replica.status());
    assert.match(status, /"generation":1/);
    assert.match(status, /"ends":\{"ca":"20\d\d-/);
    assert.ok(!status.includes('PRIVATE'));
  });
});
