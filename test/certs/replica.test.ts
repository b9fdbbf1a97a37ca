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

  it('the Lease carries the same status, beside what others put there', async () => {
    await replica.inOrder;
    const path = '/apis/coordination.k8s.io/v1/namespaces/logtender/leases/logtender-certs';
    await kube.others.patch(path, { metadata: { annotations: { theirs: 'x' } } }, 'application/merge-patch+json');
    await clock.advance(10_000, SLEEPERS);
    const { annotations } = (await kube.object(path)).metadata;
    assert.equal(annotations?.['theirs'], 'x');
    const status: unknown = JSON.parse(annotations['logging.io/certs-status'] ?? '');
    assert.deepEqual(status, JSON.parse(JSON.stringify(replica.status())));
  });

  it('two replicas whose configurations differ do not replace each other’s leaf: the holder of the Lease has its way', async () => {
    await replica.inOrder;
    const differing = parseCertsConfig({ keyType: 'rsa-2048', hosts: ['other.example'] }, { POD_NAME: 'certs-1' });
    assert.ok(differing.ok);
    const second = startReplica({
      client: createFakeKube(kube.others),
      config: differing.value,
      clock,
      random: () => 0.5,
      randomBytes,
      log: silentLog,
      metrics: createMetrics(),
      usesLease: true,
    });
    const leaf = async (): Promise<unknown> => (await kube.object(TLS_PATH))['data'];
    const before = await leaf();
    await clock.advance(5 * 60_000, 2 * SLEEPERS);
    assert.deepEqual(await leaf(), before);
    assert.match(JSON.stringify(second.status()), /"step":"issue_leaf".*"outcome":"yielded"/, 'and it can be seen');
    await replica.close();
    await clock.advance(60_000, SLEEPERS);
    const after = await leaf();
    assert.notDeepEqual(after, before, 'the next holder does it');
    await clock.advance(5 * 60_000, SLEEPERS);
    assert.deepEqual(await leaf(), after, 'once');
    await second.close();
  });

  it('the status page tells where it stands and holds no key', async () => {
    await replica.inOrder;
    const status = JSON.stringify(replica.status());
    assert.match(status, /"generation":1/);
    assert.match(status, /"ca":\{"name":"logtender CA 1 [0-9a-f]{8}","fingerprint":"[0-9a-f]{64}","notAfter":"20\d\d-/);
    assert.ok(!status.includes('PRIVATE'));
  });
});
