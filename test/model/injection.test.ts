/**
 * The algebra of injection over generated pods: a second pass changes nothing, uninject is the inverse, nothing that is not ours changes,
 * two implementations of RFC 6902 agree, and no pod makes the engine throw.
 *
 * Runs: PROPERTY_RUNS (CI size 1,000); the seed of a failure is printed with its shrunk example, TEST_SEED repeats it.
 */
import assert from 'node:assert/strict';

import fc from 'fast-check';
import { applyPatch as applyIndependently } from 'rfc6902';
import type { Operation as IndependentOperation } from 'rfc6902';

import { inject, neededAccount, readAsked } from '../../webhook/injection.ts';
import type { Outcome } from '../../webhook/injection.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import type { Operation } from '../../webhook/patch.ts';
import { uninject } from '../../webhook/uninjection.ts';
import { testSeed } from '../fakes/seeded-random.ts';
import { webhookConfig } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';
import { withoutOurs } from '../webhook/survival.ts';
import { assertSameOrder } from './key-order.ts';
import { arbitraryCluster, arbitraryPod, TOKEN_SOURCES } from './generated-pods.ts';

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 1_000);
const VERSION = '0.0.0-test';

/** The engine as the webhook calls it. */
function injectInto(pod: JsonObject, cluster: ClusterCase): Outcome {
  const config = webhookConfig(cluster.config);
  const namespace = {
    name: 'shop',
    labels: new Map(Object.entries(cluster.labels ?? {})),
    annotations: new Map(Object.entries(cluster.annotations ?? {})),
  };
  const reading = readAsked(pod, namespace, config);
  if (reading.kind === 'decided') return reading.outcome;
  const account = neededAccount(reading.asked, config);
  const accountExists = account !== undefined && (cluster.accounts ?? []).includes(account);
  return inject(reading.asked, { config, version: VERSION, kubelets: cluster.kubelets ?? 'ready', accountExists });
}

/** The second implementation, which works in place: on a copy without shared parts, as JSON off a wire has none. */
function appliedIndependently(pod: JsonObject, operations: readonly Operation[]): JsonObject {
  const copy = JSON.parse(JSON.stringify(pod)) as JsonObject;
  const errors = applyIndependently(copy, JSON.parse(JSON.stringify(operations)) as IndependentOperation[]);
  assert.deepEqual(
    errors.filter((error) => error !== null),
    [],
  );
  return copy;
}

describe('the algebra of injection', function () {
  this.timeout(600_000);
  const seed = testSeed();
  const outcomes = new Map<string, number>();
  const check = (property: (pod: JsonObject, cluster: ClusterCase) => void): void =>
    fc.assert(fc.property(arbitraryPod, arbitraryCluster, property), { seed: seed | 0, numRuns: RUNS });

  it(`is tried on pods of many fates (seed ${seed}, ${RUNS} runs)`, () => {
    check((pod, cluster) => {
      const { reason } = injectInto(pod, cluster);
      outcomes.set(reason, (outcomes.get(reason) ?? 0) + 1);
    });
    const injected = (outcomes.get('injected') ?? 0) + (outcomes.get('injected_degraded') ?? 0);
    assert(injected > RUNS / 5, JSON.stringify([...outcomes]));
    assert(outcomes.size >= 8, JSON.stringify([...outcomes]));
  });

  it(`inject after inject has no operation (seed ${seed})`, () => {
    check((pod, cluster) => {
      const patched = applyPatch(pod, injectInto(pod, cluster).operations);
      assert.deepEqual(injectInto(patched, cluster).operations, []);
    });
  });

  it(`uninject after inject gives the pod back, and has nothing left to do (seed ${seed})`, () => {
    check((pod, cluster) => {
      const patched = applyPatch(pod, injectInto(pod, cluster).operations);
      const restored = applyPatch(patched, uninject(patched).operations);
      assert.deepEqual(restored, pod);
      assert.deepEqual(uninject(restored), { found: 'bare', operations: [] });
    });
  });

  it(`what is not ours stays (seed ${seed})`, () => {
    check((pod, cluster) => {
      const patched = applyPatch(pod, injectInto(pod, cluster).operations);
      const { imagePullSecrets, meshBypass } = webhookConfig(cluster.config);
      const configured = { pullSecrets: imagePullSecrets, isMeshBypassed: meshBypass };
      assert.deepEqual(withoutOurs(patched, configured), withoutOurs(pod, configured));
    });
  });

  it(`what stays keeps its order, there and back (seed ${seed})`, () => {
    assert.throws(() => assertSameOrder({ a: 1, b: 2 }, { b: 2, x: 3, a: 1 }), 'the look at the order can fail');
    assert.throws(() => assertSameOrder([{ name: 'a' }, { name: 'b' }], [{ name: 'b' }, { name: 'a', c: 1 }]));
    check((pod, cluster) => {
      const patched = applyPatch(pod, injectInto(pod, cluster).operations);
      assertSameOrder(pod, patched);
      assertSameOrder(patched, applyPatch(patched, uninject(patched).operations));
    });
  });

  it(`two implementations of RFC 6902 agree on both patches (seed ${seed})`, () => {
    check((pod, cluster) => {
      const there = injectInto(pod, cluster).operations;
      const patched = applyPatch(pod, there);
      assert.deepEqual(appliedIndependently(pod, there), patched);
      const back = uninject(patched).operations;
      // The second implementation loses a member `__proto__` of a value that it adds (a token mount that comes back may have one).
      if (JSON.stringify(back).includes('"__proto__":')) return;
      assert.deepEqual(appliedIndependently(patched, back), applyPatch(patched, back));
    });
  });

  it('a token mounted where logs are asked for, taken away by the switch of the account, is once as twice', () => {
    const volume = { name: 'kube-api-access-ab12c', projected: { sources: TOKEN_SOURCES } };
    const pod: JsonObject = {
      metadata: {
        annotations: { 'logging.io/service-account': 'logtender-forwarder', 'logging.io/files': '/var/log/app/*.log' },
      },
      spec: {
        containers: [{ name: 'app', volumeMounts: [{ name: volume.name, mountPath: '/var/log/app' }] }, { name: 'b' }],
        volumes: [volume],
      },
    };
    const cluster = { labels: { 'logging.io/inject': 'true' }, accounts: ['logtender-forwarder'] };
    const patched = applyPatch(pod, injectInto(pod, cluster).operations);
    assert.deepEqual(injectInto(patched, cluster).operations, []);
    assert.deepEqual(applyPatch(patched, uninject(patched).operations), pod);
  });
});
