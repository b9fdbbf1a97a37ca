/**
 * The API in memory behaves as the real one in what we rely on: versions, conflicts, patches, watches.
 */
import assert from 'node:assert/strict';

import { applyJsonPatch, applyMergePatch } from '../../../src/kube/json-patch.ts';
import { createMemoryKube } from '../../../src/kube/memory.ts';
import { byName, coreClusterPath, corePath, groupPath, webhookConfigurationPath } from '../../../src/kube/paths.ts';

const SECRETS = corePath('ns', 'secrets');
const PATH = corePath('ns', 'secrets', 'a');
const kindOf = (result: { readonly ok: boolean; readonly kind?: string }): string =>
  result.ok ? 'ok' : (result.kind ?? '');

describe('API in memory', () => {
  it('creates once, swaps by version, deletes once', async () => {
    const kube = createMemoryKube();
    const created = await kube.create(SECRETS, { metadata: { name: 'a' } });
    assert.ok(created.ok);
    assert.equal(created.value.metadata.namespace, 'ns');
    assert.equal(kindOf(await kube.create(SECRETS, { metadata: { name: 'a' } })), 'already_exists');
    const version = created.value.metadata.resourceVersion ?? '';
    assert.equal(kindOf(await kube.update(PATH, { metadata: { name: 'a', resourceVersion: version }, x: 1 })), 'ok');
    assert.equal(
      kindOf(await kube.update(PATH, { metadata: { name: 'a', resourceVersion: version }, x: 2 })),
      'conflict',
    );
    assert.equal(kindOf(await kube.delete(PATH)), 'ok');
    for (const gone of [
      await kube.delete(PATH),
      await kube.get(PATH),
      await kube.update(PATH, {}),
      await kube.patch(PATH, [], 'application/json-patch+json'),
    ]) {
      assert.equal(kindOf(gone), 'not_found');
    }
  });

  it('a JSON patch with the version of an older state is a conflict, a failed test is invalid', async () => {
    const kube = createMemoryKube();
    await kube.create(SECRETS, { metadata: { name: 'a' }, data: {} });
    const stale = [{ op: 'replace', path: '/metadata/resourceVersion', value: '1' }];
    assert.equal(kindOf(await kube.patch(PATH, stale, 'application/json-patch+json')), 'conflict');
    const test = [{ op: 'test', path: '/data', value: { x: 1 } }];
    assert.equal(kindOf(await kube.patch(PATH, test, 'application/json-patch+json')), 'invalid');
  });

  it('what is handed out and taken in is copied', async () => {
    const kube = createMemoryKube();
    const body = { metadata: { name: 'a' }, data: { x: '1' } };
    await kube.create(SECRETS, body);
    body.data.x = '2';
    const first = await kube.get(PATH);
    assert.ok(first.ok);
    (first.value['data'] as { x: string }).x = '3';
    const second = await kube.get(PATH);
    assert.ok(second.ok);
    assert.deepEqual(second.value['data'], { x: '1' });
  });

  it('a watch begins where the list ended, in one namespace or in all, by name', async () => {
    const kube = createMemoryKube();
    await kube.create(SECRETS, { metadata: { name: 'before' } });
    const list = await kube.list(coreClusterPath('secrets'));
    assert.ok(list.ok);
    assert.equal(list.value.items.length, 1);
    const { resourceVersion } = list.value;
    await kube.create(SECRETS, { metadata: { name: 'a' } });
    const stop = new AbortController();
    const seen: string[] = [];
    const ends = [
      kube.watch(
        coreClusterPath('secrets'),
        { resourceVersion },
        (e) => seen.push(`all ${e.type} ${e.object.metadata.name ?? ''}`),
        stop.signal,
      ),
      kube.watch(SECRETS, { resourceVersion, ...byName('b') }, (e) => seen.push(`b ${e.type}`), stop.signal),
    ];
    await kube.create(SECRETS, { metadata: { name: 'b' } });
    await kube.delete(PATH);
    stop.abort();
    await Promise.all(ends);
    assert.deepEqual(seen, ['all ADDED a', 'all ADDED b', 'b ADDED', 'all DELETED a']);
  });

  it('a resume point that is too old is gone', async () => {
    const kube = createMemoryKube();
    await kube.create(SECRETS, { metadata: { name: 'a' } });
    for (let i = 0; i < 1_001; i += 1) await kube.update(PATH, { metadata: { name: 'a' }, i });
    const result = await kube.watch(SECRETS, { resourceVersion: '1' }, () => {}, new AbortController().signal);
    assert.equal(kindOf(result), 'gone');
  });
});

describe('json patch', () => {
  const document = { a: [{ n: 1 }, { n: 2 }], 'x/y~z': 1 };
  const table: ReadonlyArray<readonly [name: string, operations: unknown, want: unknown]> = [
    ['adds to an object', [{ op: 'add', path: '/b', value: 1 }], { ...document, b: 1 }],
    ['replaces by escaped pointer', [{ op: 'replace', path: '/x~1y~0z', value: 2 }], { ...document, 'x/y~z': 2 }],
    ['inserts into a list', [{ op: 'add', path: '/a/1', value: 0 }], { ...document, a: [{ n: 1 }, 0, { n: 2 }] }],
    ['appends to a list', [{ op: 'add', path: '/a/-', value: 0 }], { ...document, a: [{ n: 1 }, { n: 2 }, 0] }],
    ['removes from a list', [{ op: 'remove', path: '/a/0' }], { ...document, a: [{ n: 2 }] }],
    ['tests deeply', [{ op: 'test', path: '/a', value: [{ n: 1 }, { n: 2 }] }], document],
    ['fails a wrong test', [{ op: 'test', path: '/a/0/n', value: 2 }], 'operation 0: testing /a/0/n failed'],
    [
      'fails to replace nothing',
      [{ op: 'replace', path: '/nothing', value: 2 }],
      'operation 0: /nothing does not exist',
    ],
    ['fails without a parent', [{ op: 'add', path: '/no/parent', value: 2 }], 'operation 0: /no/parent has no parent'],
    ['fails beyond a list', [{ op: 'add', path: '/a/9', value: 2 }], 'operation 0: expected an index up to 2, got 9'],
    ['fails an unknown operation', [{ op: 'hop', path: '/a' }], 'operation 0: unknown operation "hop"'],
    ['fails what is no list', {}, 'expected a list of operations'],
  ];
  for (const [name, operations, want] of table) {
    it(name, () => {
      const before = structuredClone(document);
      const outcome = applyJsonPatch(document, operations);
      assert.deepEqual(outcome.ok ? outcome.value : outcome.text, want);
      assert.deepEqual(document, before, 'the input is not changed');
    });
  }

  it('merge patch: RFC 7396, appendix A', () => {
    const cases: ReadonlyArray<readonly [original: unknown, patch: unknown, want: unknown]> = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [
        ['a', 'b'],
        ['c', 'd'],
        ['c', 'd'],
      ],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [original, patch, want] of cases) assert.deepEqual(applyMergePatch(original, patch), want);
  });
});

describe('paths', () => {
  it('no name reaches another object', () => {
    assert.equal(corePath('a/b', 'secrets', '../x'), '/api/v1/namespaces/a%2Fb/secrets/..%2Fx');
    assert.equal(groupPath('apps/v1', 'a', 'deployments'), '/apis/apps/v1/namespaces/a/deployments');
    assert.equal(
      webhookConfigurationPath('x'),
      '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/x',
    );
  });
});
