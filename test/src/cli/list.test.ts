/**
 * `logtender list` over an API in memory: every state, counts, pages, missing rights.
 */
import assert from 'node:assert/strict';

import { listPods, listText } from '../../../src/cli/list.ts';
import { failureOf } from '../../../src/kube/client.ts';
import { corePath } from '../../../src/kube/paths.ts';
import { askingPod, cliCluster, injected, INSTALL, putNamespace, putPod } from '../../fakes/cli-cluster.ts';
import type { FakeKube } from '../../fakes/kube.ts';

/** One pod of each kind, in two namespaces. */
async function filled(): Promise<FakeKube> {
  const kube = await cliCluster();
  await putNamespace(kube, 'shop');
  await putNamespace(kube, 'labelled', { labels: { 'logging.io/inject': 'true' } });
  await putPod(kube, 'shop', injected(askingPod('well'), 'shop'));
  await putPod(kube, 'shop', injected(askingPod('old-version'), 'shop', '', '0.0.1'));
  await putPod(kube, 'shop', injected(askingPod('old-config'), 'shop', 'cluster: before'));
  await putPod(kube, 'shop', askingPod('bare'));
  const windows = { ...askingPod('windows'), spec: { os: { name: 'windows' }, containers: [{ name: 'app' }] } };
  await putPod(kube, 'shop', injected(windows, 'shop'));
  await putPod(kube, 'shop', { ...askingPod('done'), status: { phase: 'Succeeded' } });
  await putPod(kube, 'shop', { metadata: { name: 'silent' }, spec: { containers: [{ name: 'app' }] } });
  await putPod(kube, 'labelled', { metadata: { name: 'by-label' }, spec: { containers: [{ name: 'app' }] } });
  await putPod(kube, 'labelled', askingPod('no', { 'logging.io/inject': 'false' }));
  return kube;
}

const LISTED = [
  ['shop', 'well', 'injected', 'injected'],
  ['shop', 'old-version', 'outdated', 'injected'],
  ['shop', 'old-config', 'outdated', 'injected'],
  ['shop', 'bare', 'bare', 'injected'],
  ['shop', 'windows', 'skipped', 'windows_pod'],
  ['labelled', 'by-label', 'bare', 'injected'],
];

describe('logtender list', () => {
  it('tells injected, outdated, skipped and bare pods apart, and counts all', async () => {
    const kube = await filled();
    const list = await listPods(kube, { install: INSTALL, namespace: undefined });
    assert.deepEqual(
      list.pods.map(({ namespace, name, state, reason }) => [namespace, name, state, reason]),
      LISTED,
    );
    assert.deepEqual(list.counts, { pods: 10, injected: 1, outdated: 2, skipped: 1, bare: 2 });
    assert.deepEqual([list.gaps, list.isPaused], [[], false]);
    assert.match(list.pods[0]?.config ?? '', /^[0-9a-f]{12}$/);
    const text = listText(list);
    assert.match(text, /^NAMESPACE +POD +STATE +REASON +SHAPE +VERSION +CONFIG$/m);
    assert.match(text, /^10 pods: 1 injected, 2 outdated, 2 bare, 1 skipped$/m);
    assert.match(text, /^skipped \(windows_pod\): remove logging\.io\/inject/m);
    assert(!`${text}${JSON.stringify(list)}`.includes('CANARY'), 'no value of env');
  });

  it('one namespace alone', async () => {
    const list = await listPods(await filled(), { install: INSTALL, namespace: 'labelled' });
    assert.deepEqual([list.counts.pods, list.pods.map(({ name }) => name)], [2, ['by-label']]);
  });

  it('a pause outdates nothing and is said', async () => {
    const kube = await filled();
    const path = corePath('logtender', 'configmaps', 'logtender-config');
    await kube.others.patch(path, { data: { 'webhook.yaml': 'paused: true' } }, 'application/merge-patch+json');
    const list = await listPods(kube, { install: INSTALL, namespace: 'shop' });
    assert.deepEqual([list.isPaused, list.counts.outdated], [true, 2]);
    assert.match(listText(list), /injection is paused/);
  });

  it('is read page by page', async () => {
    const kube = await filled();
    const { list } = kube;
    const asked: string[] = [];
    kube.list = async (path, query, options) => {
      const whole = await list(path, query, options);
      if (!path.endsWith('/pods') || !whole.ok) return whole;
      asked.push(`${query?.['limit']}/${query?.['continue'] ?? ''}`);
      const at = Number(query?.['continue'] ?? 0);
      const items = whole.value.items.slice(at, at + 3);
      const next = at + 3 < whole.value.items.length ? String(at + 3) : '';
      return { ok: true, value: { ...whole.value, items, next } };
    };
    const pages = await listPods(kube, { install: INSTALL, namespace: 'shop' });
    assert.deepEqual(asked, ['500/', '500/3', '500/6']);
    assert.equal(pages.counts.pods, 7);
  });

  it('missing rights are said, and the rest is judged by what is known', async () => {
    const kube = await filled();
    kube.fail = ({ path }) => (/configmaps|nodes/.test(path) ? failureOf(403, 'forbidden') : undefined);
    const list = await listPods(kube, { install: INSTALL, namespace: 'shop' });
    assert.deepEqual(list.gaps, [
      'get ConfigMap logtender/logtender-config: no right to',
      'list nodes: the versions of the kubelets are not known',
    ]);
    assert.match(listText(list), /not known: get ConfigMap/);
  });

  it('an API server that is away ends the command', async () => {
    const kube = await filled();
    kube.fail = () => ({ ok: false, kind: 'unavailable', status: 0, text: 'ECONNREFUSED', retryAfterMs: 0 });
    await assert.rejects(listPods(kube, { install: INSTALL, namespace: 'shop' }), {
      code: 'CLUSTER_UNREADABLE',
      message: /ECONNREFUSED/,
    });
  });
});
