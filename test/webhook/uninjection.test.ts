/**
 * uninject beside the algebra (test/model/injection.test.ts): live pods, later edits of others, and a status that lies.
 */
import assert from 'node:assert/strict';

import { applyPatch } from '../../webhook/patch.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import { uninject } from '../../webhook/uninjection.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';

const TOKEN = 'kube-api-access-ab12c';
const SWITCHING: ClusterCase = { accounts: ['writer'] };

function podWith(annotations: Readonly<Record<string, string>>, spec: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-1',
      annotations: { 'logging.io/inject': 'true', 'logging.io/files': '/var/log/app/*.log', ...annotations },
    },
    spec: { containers: [{ name: 'app', image: 'x' }], ...spec },
  };
}

async function injected(pod: JsonObject, cluster: ClusterCase = {}): Promise<JsonObject> {
  return applyPatch(pod, (await ask(testWebhook(cluster).handler, reviewOf(pod))).operations);
}

const restored = (pod: JsonObject): JsonObject => applyPatch(pod, uninject(pod).operations);

/** A copy with the member at a path replaced. */
function withMember(value: Json, path: readonly (string | number)[], put: (old: Json | undefined) => Json): JsonObject {
  const copy = JSON.parse(JSON.stringify(value)) as Record<string, Json>;
  let holder: Record<string | number, Json> = copy;
  for (const key of path.slice(0, -1)) holder = holder[key] as unknown as Record<string | number, Json>;
  const last = path.at(-1) ?? '';
  holder[last] = put(holder[last]);
  return copy;
}

const ANNOTATIONS = ['metadata', 'annotations'];

describe('uninject', () => {
  it('gives back the token volume, its mounts and the account that a switch took', async () => {
    const projection = [
      { serviceAccountToken: { path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt' } },
      { downwardAPI: { items: [] } },
    ];
    const pod = podWith(
      { 'logging.io/service-account': 'writer', 'eks.amazonaws.com/skip-containers': 'other' },
      {
        serviceAccountName: 'default',
        serviceAccount: 'default',
        volumes: [
          { name: 'a', emptyDir: {} },
          { name: TOKEN, projected: { sources: projection } },
          { name: 'b', emptyDir: {} },
        ],
        containers: [
          {
            name: 'app',
            volumeMounts: [
              { name: 'a', mountPath: '/a' },
              { name: TOKEN, mountPath: '/t' },
              { name: 'b', mountPath: '/b' },
            ],
          },
        ],
      },
    );
    const there = await injected(pod, SWITCHING);
    assert.equal(at(there, 'spec', 'serviceAccountName'), 'writer');
    assert.deepEqual(restored(there), pod);
  });

  it('takes the account out of a live pod, which has its old alias and defaults as well', async () => {
    const pod = podWith({ 'logging.io/service-account': 'writer' });
    const live = withMember(await injected(pod, SWITCHING), ['spec', 'serviceAccount'], () => 'writer');
    const back = restored(withMember(live, ['spec', 'restartPolicy'], () => 'Always'));
    assert.deepEqual(back, { ...pod, spec: { containers: [{ name: 'app', image: 'x' }], restartPolicy: 'Always' } });
  });

  it('keeps what others changed after the injection', async () => {
    const pod = podWith({ 'logging.io/service-account': 'writer' });
    let there = await injected(pod, SWITCHING);
    there = withMember(there, ['spec', 'serviceAccountName'], () => 'chosen-later');
    there = withMember(there, ['spec', 'containers'], (old) => [
      { name: 'proxy' },
      ...(Array.isArray(old) ? (old as Json[]) : []),
    ]);
    there = withMember(there, [...ANNOTATIONS, 'kubectl.kubernetes.io/default-container'], () => 'proxy2');
    const key = 'cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes';
    there = withMember(there, [...ANNOTATIONS, key], (old) => `first,${JSON.stringify(old).slice(1, -1)},last`);
    const back = restored(there);
    assert.equal(at(back, 'spec', 'serviceAccountName'), 'chosen-later');
    assert.deepEqual(
      listAt(back, 'spec', 'containers').map((container) => textAt(container, 'name')),
      ['proxy', 'app'],
    );
    assert.equal(at(back, ...ANNOTATIONS, key), 'first,last');
    assert.equal(at(back, ...ANNOTATIONS, 'kubectl.kubernetes.io/default-container'), 'proxy2');
    assert(!JSON.stringify(back).includes('logtender-'));
  });

  it('takes our volumes away from containers of others as well', async () => {
    const there = withMember(await injected(podWith({})), ['spec', 'containers'], (old) => [
      ...(Array.isArray(old) ? (old as Json[]) : []),
      { name: 'copy', volumeMounts: [{ name: 'logtender-logs', mountPath: '/x' }] },
    ]);
    assert.deepEqual(listAt(restored(there), 'spec', 'containers')[1], { name: 'copy' });
  });

  it('takes nothing but tokens of accounts from a status, which users can write', async () => {
    const there = withMember(
      await injected(podWith({ 'logging.io/service-account': 'writer' }), SWITCHING),
      [...ANNOTATIONS, 'logging.io/status'],
      (old) => {
        const status = JSON.parse(typeof old === 'string' ? old : '') as { originals: Record<string, Json> };
        status.originals['volumes'] = [
          { index: 0, volume: { name: 'host', hostPath: { path: '/' } } },
          { index: -1, volume: 7 },
        ];
        status.originals['mounts'] = [{ container: 'app', index: 0, mount: { name: 'host', mountPath: '/host' } }];
        status.originals['replaced'] = {
          '/spec/volumes': [{ name: 'host', hostPath: { path: '/' } }],
          '/spec/hostNetwork': true,
        };
        return JSON.stringify(status);
      },
    );
    assert(!JSON.stringify(restored(there)).includes('host'));
  });

  for (const status of [
    '{',
    '[]',
    '"x"',
    '{"originals":7}',
    '{"originals":{"annotations":[],"replaced":"x","mounts":{}}}',
  ]) {
    it(`does without a status that says ${status}`, async () => {
      const pod = podWith({});
      const there = withMember(await injected(pod), [...ANNOTATIONS, 'logging.io/status'], () => status);
      assert.deepEqual(restored(there), pod);
    });
  }

  it('takes back the status of a pod that got no sidecar', async () => {
    const pod = {
      kind: 'Pod',
      metadata: { annotations: { 'logging.io/inject': 'yes' } },
      spec: { containers: [{ name: 'a' }] },
    };
    const there = await injected(pod);
    assert(isObject(at(there, ...ANNOTATIONS)) && at(there, ...ANNOTATIONS, 'logging.io/status') !== undefined);
    assert.equal(uninject(there).found, 'explained');
    assert.deepEqual(restored(there), pod);
  });

  const FOREIGN: readonly (readonly [name: string, pod: JsonObject])[] = [
    ['without anything of ours', podWith({})],
    ['with a container of our name that is not ours', podWith({}, { containers: [{ name: 'logtender', image: 'x' }] })],
    [
      'with volumes of our names and no container of ours',
      podWith({}, { volumes: [{ name: 'logtender-state', emptyDir: {} }] }),
    ],
    ['without containers', { kind: 'Pod', spec: {} }],
    ['without anything', {}],
  ];
  for (const [name, pod] of FOREIGN) {
    it(`leaves a pod ${name} as it is`, () => assert.deepEqual(uninject(pod), { found: 'bare', operations: [] }));
  }
});
