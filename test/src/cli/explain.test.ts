/**
 * `logtender explain` over an API in memory: facts from every object, the verdict, what is said about missing rights.
 */
import assert from 'node:assert/strict';

import { startLocalCertificates } from '../../../certs/local.ts';
import { explain } from '../../../src/cli/explain.ts';
import type { Explanation } from '../../../src/cli/explain.ts';
import { explanationText } from '../../../src/cli/explain-text.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { failureOf } from '../../../src/kube/client.ts';
import { groupPath, webhookConfigurationPath } from '../../../src/kube/paths.ts';
import { isObject } from '../../../webhook/json.ts';
import type { JsonObject } from '../../../webhook/json.ts';
import { askingPod, cliCluster, injected, INSTALL, putNamespace, putPod } from '../../fakes/cli-cluster.ts';
import type { FakeKube } from '../../fakes/kube.ts';

let caBundle = '';

async function cluster(options: Parameters<typeof cliCluster>[0] = {}): Promise<FakeKube> {
  const kube = await cliCluster({ caBundle, ...options });
  await putNamespace(kube, 'shop');
  return kube;
}

async function ask(kube: FakeKube, subject: string, namespace = 'shop'): Promise<Explanation> {
  return explain(kube, { install: INSTALL, subject, namespace });
}

function deployment(name: string, annotations: JsonObject, templateAnnotations: JsonObject): JsonObject {
  const labels = { app: name };
  const template = { metadata: { labels, annotations: templateAnnotations }, spec: { containers: [{ name: 'app' }] } };
  return { metadata: { name, annotations }, spec: { selector: { matchLabels: labels }, template } };
}

/** Metadata of a pod of a Deployment. */
function madeBy(deployment: string): JsonObject {
  return {
    labels: { app: deployment, 'pod-template-hash': 'h' },
    ownerReferences: [{ kind: 'ReplicaSet', name: `${deployment}-h`, uid: 'u', controller: true }],
  };
}

/** The pod with other metadata. */
function withMetadata(pod: JsonObject, more: JsonObject): JsonObject {
  const { metadata } = pod;
  return { ...pod, metadata: { ...(isObject(metadata) ? metadata : {}), ...more } };
}

describe('logtender explain', () => {
  before(async () => {
    const shared = { clock: systemClock, random: () => 0.5, log: silentLog, metrics: createMetrics() };
    const local = await startLocalCertificates({ ...shared, hosts: [] });
    caBundle = Buffer.from(await local.caBundlePem()).toString('base64');
    await local.close();
  });

  it('a namespace that the operator excluded by name in every entry', async () => {
    const kube = await cluster();
    const byName = { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['logtender', 'shop'] };
    const [one, two] = [{ matchExpressions: [byName] }, { matchExpressions: [{ ...byName, values: ['logtender'] }] }];
    await putPod(kube, 'shop', askingPod('web'));
    for (const [selectors, isExcluded] of [
      [[one, one], true],
      [[one, two], false],
    ] as const) {
      const webhooks = selectors.map((namespaceSelector, i) => ({ name: `entry-${i}`, namespaceSelector }));
      const patched = await kube.others.patch(
        webhookConfigurationPath('logtender-injector'),
        { webhooks },
        'application/merge-patch+json',
      );
      assert.ok(patched.ok);
      const { facts, verdict } = await ask(kube, 'pod/web');
      assert.deepEqual([facts.namespace.isExcluded, verdict.code === 'excluded_namespace'], [isExcluded, isExcluded]);
    }
  });

  it('an injected pod', async () => {
    const kube = await cluster();
    await putPod(kube, 'shop', injected(askingPod('web'), 'shop'));
    const explanation = await ask(kube, 'pod/web');
    assert.equal(explanation.verdict.code, 'injected');
    assert.deepEqual(
      [explanation.facts.webhook.entries, explanation.facts.webhook.ready, explanation.gaps],
      [[{ name: 'annotation-ignore.logtender.logging.io', isBundleEmpty: false, trustsServed: 'unknown' }], 1, []],
    );
    const text = explanationText(explanation);
    assert.match(text, /^pod\/web in namespace shop: has the sidecar$/m);
    assert.match(text, /^ {2}status +injected \(injected\), version .*, config [0-9a-f]{12}$/m);
    assert.match(text, /nothing is to be done/);
    assert(!`${text}${JSON.stringify(explanation)}`.includes('CANARY'), 'no value of env');
  });

  it('a bare pod of a labelled namespace, older than the label', async () => {
    const kube = await cluster();
    await putNamespace(kube, 'late', {
      labels: { 'logging.io/inject': 'true' },
      managedFields: [
        {
          manager: 'kubectl-label',
          time: '2026-03-01T00:00:00Z',
          fieldsV1: { 'f:metadata': { 'f:labels': { 'f:logging.io/inject': {} } } },
        },
      ],
    });
    await putPod(kube, 'late', {
      metadata: { name: 'web', creationTimestamp: '2026-02-01T00:00:00Z' },
      spec: { containers: [{ name: 'app' }] },
    });
    const { verdict, facts } = await ask(kube, 'web', 'late');
    assert.equal(verdict.code, 'pod_older_than_label');
    assert.equal(
      facts.webhook.entries === 'unknown' ? '' : facts.webhook.entries[0]?.name,
      'namespace-ignore.logtender.logging.io',
    );
  });

  it('a Deployment with the annotation on itself, and one whose template asks and has no pod yet', async () => {
    const kube = await cluster();
    const path = groupPath('apps/v1', 'shop', 'deployments');
    const asks = { 'logging.io/inject': 'true', 'logging.io/sink': 'console' };
    await kube.others.create(path, deployment('web', asks, {}));
    const pod = { metadata: { name: 'web-1', ...madeBy('web') }, spec: { containers: [{ name: 'app' }] } };
    await putPod(kube, 'shop', pod);
    // Bears the labels, and is made by nobody.
    await putPod(
      kube,
      'shop',
      withMetadata(askingPod('stranger'), { labels: { app: 'web', 'pod-template-hash': 'h' } }),
    );
    assert.equal((await ask(kube, 'deploy/web')).verdict.code, 'wrong_object');
    await kube.others.create(path, deployment('next', {}, asks));
    assert.equal((await ask(kube, 'deployment/next')).verdict.code, 'will_inject', 'the pods of others do not count');
    await kube.others.delete(`${path}/web`);
    await kube.others.create(path, deployment('web', {}, asks));
    assert.equal((await ask(kube, 'deployment/web')).verdict.code, 'template_newer');
  });

  it('the newest pod of a workload is the one that is looked at', async () => {
    const kube = await cluster();
    await kube.others.create(groupPath('apps/v1', 'shop', 'deployments'), deployment('web', {}, {}));
    const months = { old: '01', new: '03', middle: '02' };
    for (const [name, month] of Object.entries(months)) {
      const more = { ...madeBy('web'), creationTimestamp: `2026-${month}-01T00:00:00Z` };
      await putPod(kube, 'shop', withMetadata(askingPod(name), more));
    }
    assert.equal((await ask(kube, 'deployments/web')).facts.pod?.name, 'new');
  });

  it('a CronJob: the newest pod of its newest Job', async () => {
    const kube = await cluster();
    const jobs = groupPath('batch/v1', 'shop', 'jobs');
    await kube.others.create(groupPath('batch/v1', 'shop', 'cronjobs'), { metadata: { name: 'night' }, spec: {} });
    const { metadata } = await kube.object(groupPath('batch/v1', 'shop', 'cronjobs', 'night'));
    await kube.others.create(jobs, {
      metadata: { name: 'night-1', ownerReferences: [{ uid: metadata.uid }] },
      spec: { selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'x' } } },
    });
    const labels = { 'batch.kubernetes.io/controller-uid': 'x' };
    const job = await kube.object(`${jobs}/night-1`);
    const ownerReferences = [{ kind: 'Job', name: 'night-1', uid: job.metadata.uid ?? '' }];
    await putPod(kube, 'shop', withMetadata(askingPod('night-1-abc'), { labels, ownerReferences }));
    assert.equal((await ask(kube, 'cj/night')).facts.pod?.name, 'night-1-abc');
  });

  it('no webhook configuration, and an empty caBundle', async () => {
    const kube = await cluster();
    await putPod(kube, 'shop', askingPod('web'));
    await kube.others.delete(webhookConfigurationPath('logtender-injector'));
    assert.equal((await ask(kube, 'pod/web')).verdict.code, 'webhook_absent');
    const empty = await cliCluster();
    await putNamespace(empty, 'shop');
    await putPod(empty, 'shop', askingPod('web'));
    assert.equal((await ask(empty, 'pod/web')).verdict.code, 'ca_bundle_empty');
  });

  it('paused, and a configuration that is wrong', async () => {
    const paused = await cluster({ config: 'paused: true' });
    await putPod(paused, 'shop', injected(askingPod('web'), 'shop', 'paused: true'));
    assert.equal((await ask(paused, 'pod/web')).verdict.code, 'paused');
    const wrong = await cluster({ config: 'clustr: x' });
    await putPod(wrong, 'shop', injected(askingPod('web'), 'shop'));
    assert.match(
      explanationText(await ask(wrong, 'pod/web')),
      /config +wrong, .*line 1: clustr: .*did you mean cluster\?/,
    );
  });

  it('without rights: says which, and still a verdict', async () => {
    const kube = await cluster();
    await putPod(kube, 'shop', askingPod('web'));
    kube.fail = ({ path }) => (/\/pods\/web$/.test(path) ? undefined : failureOf(403, 'forbidden'));
    const { gaps, verdict } = await ask(kube, 'pod/web');
    assert.equal(verdict.code, 'bare_outage');
    for (const what of ['ConfigMap', 'namespace shop', 'webhook configuration', 'Lease', 'Secret', 'pods of logtender'])
      assert(
        gaps.some((gap) => gap.includes(what) && gap.includes('no right to')),
        `${what}: ${gaps.join()}`,
      );
  });

  it('what is not there, and what has no pods', async () => {
    const kube = await cluster();
    await assert.rejects(ask(kube, 'pod/none'), /get Pod: expected none in namespace shop, got none/);
    await assert.rejects(ask(kube, 'deploymnt/x'), /did you mean deployment\?/);
    await assert.rejects(ask(kube, 'service/x'), /expected pod, deployment/);
  });
});
