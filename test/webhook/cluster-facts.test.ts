/**
 * Namespaces, accounts and kubelet versions, against the API in memory.
 */
import assert from 'node:assert/strict';

import { silentLog } from '../../src/core/log.ts';
import { failureOf } from '../../src/kube/client.ts';
import { coreClusterPath, corePath } from '../../src/kube/paths.ts';
import { watchCluster } from '../../webhook/cluster-facts.ts';
import type { ClusterFacts } from '../../webhook/cluster-facts.ts';
import { watchKubelets } from '../../webhook/kubelet-versions.ts';
import { createFakeKube } from '../fakes/kube.ts';
import type { FakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

const signal = new AbortController().signal;

async function addNamespace(kube: FakeKube, name: string, labels: Readonly<Record<string, string>>): Promise<void> {
  const made = await kube.others.create(coreClusterPath('namespaces'), {
    metadata: {
      name,
      labels,
      annotations: {
        'logging.io/sink': 'console',
        'example.org/secret': 'x',
        'openshift.io/sa.scc.uid-range': '1000650000/10000',
        'openshift.io/sa.scc.mcs': 's0:c1',
      },
    },
  });
  assert(made.ok);
}

async function addNode(kube: FakeKube, name: string, kubeletVersion: string): Promise<void> {
  const made = await kube.others.create(coreClusterPath('nodes'), {
    metadata: { name },
    status: { nodeInfo: { kubeletVersion } },
  });
  assert(made.ok);
}

/** Turns of the event loop until the caches are filled. */
async function filled(facts: ClusterFacts): Promise<void> {
  for (let turn = 0; turn < 1_000 && !facts.isReady(); turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert(facts.isReady());
}

describe('cluster facts', () => {
  let kube: FakeKube;
  let facts: ClusterFacts;

  beforeEach(async () => {
    kube = createFakeKube();
    await addNamespace(kube, 'shop', { 'logging.io/inject': 'true', 'kubernetes.io/metadata.name': 'shop' });
    facts = watchCluster({ client: kube, clock: new VirtualClock(), random: () => 0.5, log: silentLog });
    await filled(facts);
    kube.before = () => {};
  });
  afterEach(() => facts.close());

  const gets = (): readonly string[] => kube.calls.filter((call) => call.verb === 'get').map((call) => call.path);

  it('a known namespace costs no request, and only our own labels and annotations are kept, and the users of the namespace', async () => {
    const before = gets().length;
    const found = await facts.namespace('shop', { signal, isFresh: false });
    assert(found.ok);
    assert.deepEqual([...found.value.labels], [['logging.io/inject', 'true']]);
    assert.deepEqual(
      [...found.value.annotations],
      [
        ['logging.io/sink', 'console'],
        ['openshift.io/sa.scc.uid-range', '1000650000/10000'],
      ],
    );
    assert.equal(gets().length, before);
  });

  it('an unknown one costs one live GET; a fresh answer is asked for on demand', async () => {
    kube.fail = (call) => (call.verb === 'watch' ? failureOf(500, '') : undefined);
    await addNamespace(kube, 'late', {});
    const before = gets().length;
    assert((await facts.namespace('late', { signal, isFresh: false })).ok);
    assert((await facts.namespace('shop', { signal, isFresh: true })).ok);
    assert(gets().length - before <= 2 && gets().at(-1) === coreClusterPath('namespaces', 'shop'));
  });

  it('a change is followed', async () => {
    const patch = { metadata: { labels: { 'logging.io/inject': 'false' } } };
    await kube.others.patch(coreClusterPath('namespaces', 'shop'), patch, 'application/merge-patch+json');
    for (let turn = 0; turn < 1_000; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      const found = await facts.namespace('shop', { signal, isFresh: false });
      if (found.ok && found.value.labels.get('logging.io/inject') === 'false') return;
    }
    assert.fail('the change was not seen');
  });

  it('accounts: there, not there, not known', async () => {
    await kube.others.create(corePath('shop', 'serviceaccounts'), { metadata: { name: 'f' } });
    assert.deepEqual(await facts.accountExists('shop', 'f', signal), { ok: true, value: true });
    assert.deepEqual(await facts.accountExists('shop', 'g', signal), { ok: true, value: false });
    kube.fail = () => failureOf(503, '');
    assert.deepEqual(await facts.accountExists('shop', 'g', signal), {
      ok: false,
      text: 'get service account: expected an answer, got unavailable',
    });
  });
});

describe('kubelet versions', () => {
  const TABLE: readonly (readonly [string, readonly string[], 'ready' | 'old' | 'unknown'])[] = [
    ['all new', ['v1.29.0', 'v1.36.3', 'v2.0.0'], 'ready'],
    ['the oldest decides', ['v1.36.3', 'v1.28.15-eks-1'], 'old'],
    ['what is no version is old', ['v1.36.3', 'dev'], 'old'],
    ['no nodes and no version of the server', [], 'unknown'],
  ];
  for (const [name, versions, want] of TABLE) {
    it(`${name}: ${want}`, async () => {
      const kube = createFakeKube();
      await Promise.all(versions.map((version, i) => addNode(kube, `n${i}`, version)));
      const clock = new VirtualClock();
      const kubelets = watchKubelets({ client: kube, clock, log: silentLog });
      await clock.quiet(1);
      assert(kubelets.isAsked());
      assert.equal(kubelets.current(), want);
      await kubelets.close();
    });
  }

  it('without nodes the API server decides', async () => {
    for (const [gitVersion, want] of [
      ['v1.36.3', 'ready'],
      ['v1.28.0', 'old'],
    ] as const) {
      const kube = {
        ...createFakeKube(),
        get: async () => ({ ok: true, value: { metadata: {}, gitVersion } }) as const,
      };
      const clock = new VirtualClock();
      const kubelets = watchKubelets({ client: kube, clock, log: silentLog });
      await clock.quiet(1);
      assert.equal(kubelets.current(), want);
      await kubelets.close();
    }
  });

  it('asks once and again after ten minutes; a failure keeps the answer and is repeated soon', async () => {
    const kube = createFakeKube();
    await addNode(kube, 'n', 'v1.30.0');
    const clock = new VirtualClock();
    const kubelets = watchKubelets({ client: kube, clock, log: silentLog });
    await clock.advance(9 * 60_000);
    assert.equal(kube.calls.length, 1);
    kube.fail = () => failureOf(503, '');
    await clock.advance(60_000);
    await clock.quiet(1);
    assert.deepEqual([kubelets.current(), kube.calls.length], ['ready', 2]);
    kube.fail = () => undefined;
    await addNode(kube, 'old', 'v1.20.0');
    await clock.advance(15_000);
    await clock.quiet(1);
    assert.equal(kubelets.current(), 'old');
    await kubelets.close();
  });
});
