/**
 * Repair, and what others add to our parts: every case starts from a pod that was injected once.
 */
import assert from 'node:assert/strict';

import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import type { Operation } from '../../webhook/patch.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { TestAnswer } from '../fakes/webhook.ts';

const CLUSTER = { accounts: ['logtender-forwarder'] };
const { handler } = testWebhook(CLUSTER);
const POD: JsonObject = {
  metadata: {
    name: 'web',
    annotations: {
      'logging.io/inject': 'true',
      'logging.io/files': 'app:/var/log/app/*.log',
      'logging.io/sink': 'elasticsearch',
      'logging.io/stdout': 'off',
      'logging.io/service-account': 'logtender-forwarder',
    },
  },
  spec: { containers: [{ name: 'app' }], serviceAccountName: 'default' },
};

async function injected(pod: JsonObject = POD): Promise<JsonObject> {
  return applyPatch(pod, (await ask(handler, reviewOf(pod))).operations);
}

function edit(pod: JsonObject, ...operations: readonly Operation[]): JsonObject {
  return applyPatch(pod, operations);
}

async function again(pod: JsonObject): Promise<TestAnswer> {
  return ask(handler, reviewOf(pod));
}

/** Injected, then changed by somebody: the next pass gives back exactly what the first one made. */
const REPAIRED: readonly (readonly [string, readonly Operation[]])[] = [
  ['restartPolicy was erased', [{ op: 'remove', path: '/spec/initContainers/0/restartPolicy' }]],
  ['an older image', [{ op: 'replace', path: '/spec/initContainers/0/image', value: 'logtender:0.0.1' }]],
  ['a changed value of env', [{ op: 'replace', path: '/spec/initContainers/0/env/0/value', value: 'other' }]],
  ['a lost env', [{ op: 'remove', path: '/spec/initContainers/0/env/19' }]],
  [
    'an env of an older version',
    [{ op: 'add', path: '/spec/initContainers/0/env/-', value: { name: 'RETENTION_DAYS', value: '30' } }],
  ],
  ['a command that runs something else', [{ op: 'add', path: '/spec/initContainers/0/command', value: ['sh'] }]],
  ['a probe', [{ op: 'add', path: '/spec/initContainers/0/startupProbe', value: { exec: {} } }]],
  [
    'a softer securityContext',
    [{ op: 'replace', path: '/spec/initContainers/0/securityContext/runAsNonRoot', value: false }],
  ],
  [
    'capabilities that were added',
    [{ op: 'add', path: '/spec/initContainers/0/securityContext/capabilities/add', value: ['SYS_PTRACE'] }],
  ],
  [
    'SELinux switched off',
    [{ op: 'add', path: '/spec/initContainers/0/securityContext/seLinuxOptions', value: { type: 'spc_t' } }],
  ],
  ['privileged', [{ op: 'add', path: '/spec/initContainers/0/securityContext/privileged', value: true }]],
  [
    'a member of securityContext that nobody knows yet',
    [{ op: 'add', path: '/spec/initContainers/0/securityContext/procMount', value: 'Unmasked' }],
  ],
  [
    'code of somebody in our process',
    [{ op: 'add', path: '/spec/initContainers/0/env/-', value: { name: 'NODE_OPTIONS', value: '--require /x.js' } }],
  ],
  ['less memory', [{ op: 'replace', path: '/spec/initContainers/0/resources/requests/memory', value: '47Mi' }]],
  ['a lost mount of ours', [{ op: 'remove', path: '/spec/initContainers/0/volumeMounts/0' }]],
  [
    'a mount of ours to nowhere',
    [
      {
        op: 'add',
        path: '/spec/initContainers/0/volumeMounts/-',
        value: { name: 'logtender-logs', mountPath: '/logtender/logs/old' },
      },
    ],
  ],
  ['a lost mount of the app', [{ op: 'remove', path: '/spec/containers/0/volumeMounts/0' }]],
  ['a moved subPath', [{ op: 'replace', path: '/spec/containers/0/volumeMounts/0/subPath', value: 'elsewhere' }]],
  [
    'a copy of our token in the app',
    [{ op: 'add', path: '/spec/containers/0/volumeMounts/-', value: { name: 'logtender-token', mountPath: '/t' } }],
  ],
  ['another Secret', [{ op: 'replace', path: '/spec/volumes/2/secret/secretName', value: 'other' }]],
  [
    'a volume of ours that is not needed',
    [
      {
        op: 'add',
        path: '/spec/volumes/-',
        value: {
          name: 'kube-api-access-ab1c2',
          projected: { sources: [{ serviceAccountToken: {} }, { configMap: {} }, { downwardAPI: {} }] },
        },
      },
    ],
  ],
  [
    'the status was written by a user',
    [
      {
        op: 'replace',
        path: '/metadata/annotations/logging.io~1status',
        value: '{"decision":"injected","originals":{}}',
      },
    ],
  ],
];

/** What others may add to our parts without a second pass undoing it. */
const KEPT: readonly (readonly [string, readonly Operation[]])[] = [
  [
    'defaults of the API server',
    [
      { op: 'add', path: '/spec/initContainers/0/imagePullPolicy', value: 'IfNotPresent' },
      { op: 'add', path: '/spec/volumes/2/secret/defaultMode', value: 420 },
      { op: 'add', path: '/spec/initContainers/0/volumeMounts/0/recursiveReadOnly', value: 'Disabled' },
    ],
  ],
  [
    'what the admission of OpenShift writes into contexts',
    [
      { op: 'add', path: '/spec/initContainers/0/securityContext/privileged', value: false },
      { op: 'add', path: '/spec/initContainers/0/securityContext/seLinuxOptions', value: { level: 's0:c26,c5' } },
    ],
  ],
  [
    'quantities in the words of the API server',
    [
      { op: 'replace', path: '/spec/initContainers/0/resources/requests/cpu', value: '0.005' },
      { op: 'replace', path: '/spec/initContainers/0/resources/limits/memory', value: '50331648' },
    ],
  ],
  ['limits of a LimitRange', [{ op: 'add', path: '/spec/initContainers/0/resources/limits/cpu', value: '1' }]],
  [
    'AWS env and token of another webhook',
    [
      { op: 'add', path: '/spec/initContainers/0/env/-', value: { name: 'AWS_REGION', value: 'eu-central-1' } },
      {
        op: 'add',
        path: '/spec/initContainers/0/volumeMounts/-',
        value: { name: 'aws-iam-token', mountPath: '/var/run/secrets/eks.amazonaws.com/serviceaccount' },
      },
    ],
  ],
  [
    'a mesh proxy that was put first',
    [{ op: 'add', path: '/spec/initContainers/0', value: { name: 'istio-proxy', restartPolicy: 'Always' } }],
  ],
  [
    'a container of another injector',
    [
      {
        op: 'add',
        path: '/spec/containers/0',
        value: {
          name: 'vault-agent',
          volumeMounts: [{ name: 'logtender-logs', mountPath: '/var/log/app', subPath: 'vault-agent/var/log/app' }],
        },
      },
    ],
  ],
];

describe('a pod that was injected before', () => {
  for (const [name, operations] of REPAIRED) {
    it(`repairs: ${name}`, async () => {
      const pod = await injected();
      const changed = edit(pod, ...operations);
      const answer = await again(changed);
      assert.notEqual(answer.reason, 'already_injected');
      assert(answer.operations.length > 0);
      const repaired = applyPatch(changed, answer.operations);
      assert.deepEqual(sorted(repaired), sorted(edit(pod, ...statusOf(repaired))));
      assert.deepEqual((await again(repaired)).operations, []);
    });
  }

  for (const [name, operations] of KEPT) {
    it(`keeps: ${name}`, async () => {
      const changed = edit(await injected(), ...operations);
      const { operations: more } = await again(changed);
      const paths = more
        .map((operation) => operation.path)
        .filter((path) => !path.startsWith('/metadata/annotations/'));
      assert.deepEqual(
        paths.filter((path) => path.includes('initContainers/0')),
        [],
      );
      const twice = applyPatch(changed, more);
      assert.deepEqual((await again(twice)).operations, []);
      for (const operation of operations) {
        if (operation.op === 'add' && !operation.path.endsWith('-'))
          assert(hasAt(twice, operation.path), operation.path);
      }
    });
  }

  it('moves from plain to native, and back', async () => {
    const old = testWebhook({ ...CLUSTER, kubelets: 'old' });
    const plain = applyPatch(POD, (await ask(old.handler, reviewOf(POD))).operations);
    assert.deepEqual(names(plain, 'containers'), ['app', 'logtender']);
    const native = applyPatch(plain, (await again(plain)).operations);
    assert.deepEqual([names(native, 'containers'), names(native, 'initContainers')], [['app'], ['logtender']]);
    assert.deepEqual((await again(native)).operations, []);
    const back = applyPatch(native, (await ask(old.handler, reviewOf(native))).operations);
    assert.deepEqual([names(back, 'containers'), names(back, 'initContainers')], [['app', 'logtender'], []]);
  });

  for (const [name, order, want] of [
    ['behind an init container', ['migrate', 'logtender'], ['logtender', 'migrate']],
    ['before a mesh proxy', ['logtender', 'migrate', 'istio-proxy'], ['migrate', 'istio-proxy', 'logtender']],
    ['too far behind a mesh proxy', ['istio-proxy', 'migrate', 'logtender'], ['istio-proxy', 'logtender', 'migrate']],
  ] as const) {
    it(`goes back to its place with what others added to it: ${name}`, async () => {
      const pod = await injected(POD);
      const ours = listAt(pod, 'spec', 'initContainers')[0];
      assert(isObject(ours));
      const added = { ...ours, env: [...listAt(ours, 'env'), { name: 'AWS_ROLE_ARN', value: 'x' }] };
      const inits = order.map((one) => (one === 'logtender' ? added : { name: one, image: 'example/one' }));
      const moved = edit(pod, { op: 'replace', path: '/spec/initContainers', value: inits });
      const back = applyPatch(moved, (await again(moved)).operations);
      assert.deepEqual(names(back, 'initContainers'), want);
      assert.deepEqual(
        listAt(back, 'spec', 'initContainers').find((one) => textAt(one, 'name') === 'logtender'),
        added,
      );
      assert.deepEqual((await again(back)).operations, []);
    });
  }

  it('never denies its own second pass, even under on-invalid: deny', async () => {
    const pod = edit(POD, { op: 'add', path: '/metadata/annotations/logging.io~1on-invalid', value: 'deny' });
    const answer = await again(edit(await injected(pod), ...(REPAIRED[11]?.[1] ?? [])));
    assert.deepEqual([answer.status, answer.allowed], [200, true]);
  });

  it('a user cannot fake a switch by the status alone', async () => {
    const status = JSON.stringify({
      decision: 'injected',
      accountReason: 'account_switched',
      originals: { serviceAccountName: 'x' },
    });
    const pod = edit(POD, { op: 'add', path: '/metadata/annotations/logging.io~1status', value: status });
    const found = JSON.parse(textAt(await injected(pod), 'metadata', 'annotations', 'logging.io/status') ?? '') as Json;
    assert.equal(at(found, 'originals', 'serviceAccountName'), 'default');
  });
});

function names(pod: JsonObject, list: string): readonly string[] {
  return listAt(pod, 'spec', list).map((item) => textAt(item, 'name') ?? '');
}

function hasAt(pod: Json, path: string): boolean {
  let found: Json | undefined = pod;
  for (const key of path.slice(1).split('/')) {
    found = Array.isArray(found)
      ? (found[Number(key)] as Json | undefined)
      : at(found, key.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return found !== undefined;
}

/** The status may tell of another pass' findings and originals; all else must be as before. */
function statusOf(pod: JsonObject): readonly Operation[] {
  const value = textAt(pod, 'metadata', 'annotations', 'logging.io/status') ?? '';
  return [{ op: 'replace', path: '/metadata/annotations/logging.io~1status', value }];
}

/** Lists whose elements have names, in one order: a repaired element may stand elsewhere. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return (value as Json[]).map(sorted).toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sorted(item)]));
}

function idOf(item: Json): string {
  return `${textAt(item, 'name') ?? ''}${textAt(item, 'mountPath') ?? ''}${JSON.stringify(item)}`;
}
