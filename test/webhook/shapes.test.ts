/**
 * Shapes of pods that need a decision (docs/shapes.md): what becomes of each, that nothing of the pod is lost, and that twice is once.
 */
import assert from 'node:assert/strict';

import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import type { ReasonCode } from '../../webhook/reasons.ts';
import { uninject } from '../../webhook/uninjection.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';
import { withoutOurs } from './survival.ts';

interface ShapeCase {
  readonly name: string;
  readonly spec?: JsonObject;
  readonly metadata?: JsonObject;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly cluster?: ClusterCase;
  /** What is decided. */
  readonly reason?: ReasonCode;
  /** Codes of the findings, in their order. */
  readonly codes?: readonly string[];
  readonly check?: (pod: JsonObject, original: JsonObject) => void;
}

const ASKED = {
  'logging.io/inject': 'true',
  'logging.io/files': '/var/log/app/*.log',
  'logging.io/stdout': 'off',
  'logging.io/sink': 'elasticsearch',
};

function podOf({ spec, metadata, annotations }: ShapeCase): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ...metadata, annotations: { ...ASKED, ...annotations } },
    spec: { containers: [{ name: 'app', image: 'app:1' }], ...spec },
  };
}

function sidecarOf(pod: JsonObject): Json {
  const all = [...listAt(pod, 'spec', 'initContainers'), ...listAt(pod, 'spec', 'containers')];
  return all.find((item) => textAt(item, 'name') === 'logtender') ?? null;
}

function envOf(pod: JsonObject, name: string): string | undefined {
  return textAt(
    listAt(sidecarOf(pod), 'env').find((item) => textAt(item, 'name') === name),
    'value',
  );
}

const names = (pod: JsonObject, list: string): readonly string[] =>
  listAt(pod, 'spec', list).map((item) => textAt(item, 'name') ?? '');
const annotation = (pod: JsonObject, key: string): string | undefined => textAt(pod, 'metadata', 'annotations', key);
const required = (key: string, value: string): JsonObject => ({
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'In', values: [value] }] }],
    },
  },
});

const WINDOWS: readonly ShapeCase[] = (
  [
    ['spec.os', { os: { name: 'windows' } }],
    ['node selector', { nodeSelector: { 'kubernetes.io/os': 'windows' } }],
    ['older node selector', { nodeSelector: { 'beta.kubernetes.io/os': 'windows' } }],
    ['required affinity', { affinity: required('kubernetes.io/os', 'windows') }],
    ['options of the pod', { securityContext: { windowsOptions: { runAsUserName: 'u' } } }],
    [
      'options of a container',
      { containers: [{ name: 'a', securityContext: { windowsOptions: { hostProcess: true } } }] },
    ],
  ] as const
).map(([name, spec]) => ({ name: `Windows, by ${name}`, spec, reason: 'windows_pod' as const }));

const LINUX: readonly ShapeCase[] = (
  [
    ['spec.os wins over the rest', { os: { name: 'linux' }, nodeSelector: { 'kubernetes.io/os': 'windows' } }],
    ['node selector', { nodeSelector: { 'kubernetes.io/os': 'linux' } }],
    ['affinity to another label', { affinity: required('example.org/os', 'windows') }],
    ['empty options', { securityContext: { windowsOptions: {} } }],
  ] as const
).map(([name, spec]) => ({ name: `Linux: ${name}`, spec }));

/** What the API server accepts and changes nothing for us. */
const PLAIN: readonly ShapeCase[] = (
  [
    ['activeDeadlineSeconds', { activeDeadlineSeconds: 60 }],
    ['a runtime class', { runtimeClassName: 'gvisor', overhead: { podFixed: { cpu: '250m' } } }],
    ['a priority', { priorityClassName: 'high', priority: 1000, preemptionPolicy: 'Never' }],
    ['IPC of the node', { hostIPC: true }],
    ['users of its own', { hostUsers: false }],
    ['scheduling gates', { schedulingGates: [{ name: 'example.org/wait' }] }],
    ['resource claims', { resourceClaims: [{ name: 'gpu', resourceClaimName: 'gpu' }] }],
    ['readiness gates', { readinessGates: [{ conditionType: 'example.org/ready' }] }],
    ['an ephemeral container', { ephemeralContainers: [{ name: 'debugger', targetContainerName: 'app' }] }],
    ['fields of a later version', { somethingNew: { deep: [null, {}, []] }, aNumber: 12.5 }],
    ['init containers that are absent', {}],
    ['init containers that are null', { initContainers: null }],
    ['init containers that are empty', { initContainers: [] }],
    ['volumes that are null', { volumes: null }],
    ['volumes that are empty', { volumes: [] }],
    ['mounts that are null', { containers: [{ name: 'app', volumeMounts: null, env: null, ports: null }] }],
    ['a null security context', { securityContext: null, affinity: null, nodeSelector: null, os: null }],
    ['null resources', { containers: [{ name: 'app', resources: null, securityContext: null }], resources: null }],
    ['null scalars', { serviceAccountName: null, restartPolicy: null, terminationGracePeriodSeconds: null }],
    ['two containers of one name', { containers: [{ name: 'app' }, { name: 'app' }] }],
    ['elements that are no containers', { containers: [{ name: 'app' }, null, 'x', {}, { name: 5 }] }],
  ] as const
).map(([name, spec]) => ({ name, spec }));

const CASES: readonly ShapeCase[] = [
  ...WINDOWS,
  ...LINUX,
  ...PLAIN,
  { name: 'containers that are null', spec: { containers: null }, reason: 'not_a_pod' },
  { name: 'containers that are empty', spec: { containers: [] }, reason: 'not_a_pod' },
  {
    name: 'labels that are null',
    metadata: { labels: null, ownerReferences: null, name: null },
    check: (pod) => assert.equal(envOf(pod, 'APP_NAME'), undefined),
  },
  {
    name: 'a mirror pod of a static pod',
    annotations: { 'kubernetes.io/config.mirror': 'abc' },
    reason: 'mirror_pod',
    check: (pod) => assert.equal(annotation(pod, 'logging.io/status'), undefined),
  },
  {
    name: 'network of the node: no port of ours on it',
    spec: { hostNetwork: true },
    check: (pod) => assert.equal(envOf(pod, 'ADMIN_PORT'), '0'),
  },
  {
    name: 'our port is declared: the next one',
    spec: { containers: [{ name: 'app', ports: [{ containerPort: 15_099 }, { containerPort: 15_100 }] }] },
    check: (pod) => assert.equal(envOf(pod, 'ADMIN_PORT'), '15101'),
  },
  {
    name: 'ten ports in a row are declared: none',
    spec: {
      containers: [{ name: 'app', ports: Array.from({ length: 10 }, (_, i) => ({ containerPort: 15_099 + i })) }],
    },
    check: (pod) => assert.equal(envOf(pod, 'ADMIN_PORT'), '0'),
  },
  {
    name: 'processes shared between containers',
    spec: { shareProcessNamespace: true },
    codes: ['processes_shared'],
  },
  { name: 'processes of the node', spec: { hostPID: true }, codes: ['processes_shared'] },
  {
    name: 'processes shared: the account is not switched',
    spec: { shareProcessNamespace: true },
    annotations: { 'logging.io/service-account': 'f' },
    cluster: { accounts: ['f'] },
    codes: ['account_processes_shared', 'processes_shared'],
    check: (pod) => assert.equal(at(pod, 'spec', 'serviceAccountName'), undefined),
  },
  {
    name: 'no grace',
    spec: { terminationGracePeriodSeconds: 0 },
    codes: ['grace_short'],
    check: (pod) => assert.equal(envOf(pod, 'GRACE_PERIOD'), '0s'),
  },
  { name: 'just enough grace', spec: { terminationGracePeriodSeconds: 5 } },
  {
    name: 'a mount for reading, with a part of the volume',
    spec: {
      containers: [
        { name: 'app', volumeMounts: [{ name: 'v', mountPath: '/var/log', subPath: 'logs', readOnly: true }] },
      ],
      volumes: [{ name: 'v', emptyDir: {} }],
    },
    check: (pod) =>
      assert.deepEqual(listAt(sidecarOf(pod), 'volumeMounts')[0], {
        name: 'v',
        mountPath: '/logtender/logs/app/var/log',
        readOnly: true,
        subPath: 'logs',
      }),
  },
  {
    name: 'a part of the volume that is named after the pod',
    spec: {
      containers: [
        {
          name: 'app',
          env: [{ name: 'ME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
          volumeMounts: [{ name: 'v', mountPath: '/var/log/app', subPathExpr: '$(ME)' }],
        },
      ],
      volumes: [{ name: 'v', hostPath: { path: '/logs' } }],
    },
    codes: ['persistent_volume'],
    check: (pod) => assert.equal(textAt(listAt(sidecarOf(pod), 'volumeMounts')[0], 'subPathExpr'), '$(POD_NAME)'),
  },
  {
    name: 'a persistent volume keeps the positions beside the logs, in what the app mounts of it',
    spec: {
      containers: [{ name: 'app', volumeMounts: [{ name: 'v', mountPath: '/var/log/app', subPath: 'logs' }] }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }],
    },
    check: (pod) => {
      assert.deepEqual(listAt(sidecarOf(pod), 'volumeMounts').slice(0, 2), [
        { name: 'v', mountPath: '/logtender/logs/app/var/log/app', readOnly: true, subPath: 'logs' },
        { name: 'v', mountPath: '/logtender/positions/v', subPath: 'logs' },
      ]);
      assert.match(envOf(pod, 'LOG_FILES') ?? '', /"positions":"\/logtender\/positions\/v\/\.logtender\/[^/"]+"/);
    },
  },
  {
    name: 'init containers: their logs are shipped as well, ours stands before them',
    spec: { initContainers: [{ name: 'migrate' }] },
    check: (pod) => {
      assert.deepEqual(names(pod, 'initContainers'), ['logtender', 'migrate']);
      assert.match(envOf(pod, 'LOG_FILES') ?? '', /"container":"migrate"/);
    },
  },
  {
    name: 'plain: init containers leave their files in the shared volume',
    spec: { initContainers: [{ name: 'migrate' }] },
    cluster: { kubelets: 'old' },
    check: (pod) => {
      assert.deepEqual([names(pod, 'initContainers'), names(pod, 'containers')], [['migrate'], ['app', 'logtender']]);
      assert.equal(listAt(listAt(pod, 'spec', 'initContainers')[0], 'volumeMounts').length, 1);
    },
  },
  {
    name: 'a Job where native is not known',
    spec: { restartPolicy: 'OnFailure' },
    cluster: { kubelets: 'unknown' },
    reason: 'ends_without_native',
  },
  {
    name: 'a Job that asks for a plain container, whatever the kubelets know',
    spec: { restartPolicy: 'OnFailure' },
    annotations: { 'logging.io/sidecar': 'container' },
    reason: 'ends_as_container',
  },
  ...(['old', 'unknown'] as const).map((kubelets): ShapeCase => ({
    name: `a Job where native is ${kubelets}, under the account that may see the end of the others: it ends with them`,
    spec: {
      restartPolicy: 'OnFailure',
      initContainers: [{ name: 'migrate' }],
      containers: [{ name: 'app' }, { name: 'second' }],
    },
    annotations: { 'logging.io/service-account': 'logtender-forwarder' },
    cluster: { kubelets, accounts: ['logtender-forwarder'] },
    check: (pod) => {
      assert.deepEqual(names(pod, 'containers'), ['app', 'second', 'logtender']);
      assert.equal(envOf(pod, 'END_WITH'), 'app,second');
      assert.equal(at(pod, 'spec', 'serviceAccountName'), 'logtender-forwarder');
    },
  })),
  ...(
    [
      ['whose pod fails for good with ours', { restartPolicy: 'Never' }],
      [
        'with a plain proxy of a mesh, which may keep ours from the API server',
        { restartPolicy: 'OnFailure', containers: [{ name: 'app' }, { name: 'istio-proxy' }] },
      ],
    ] as const
  ).map(([what, spec]): ShapeCase => ({
    name: `a Job where native is not known, ${what}, under the account that may see the end of the others`,
    spec,
    annotations: { 'logging.io/service-account': 'logtender-forwarder' },
    cluster: { kubelets: 'old', accounts: ['logtender-forwarder'] },
    reason: 'ends_without_native',
  })),
  {
    name: 'a Job where native is not known, under an account of whose rights nothing is known',
    spec: { restartPolicy: 'OnFailure' },
    annotations: { 'logging.io/service-account': 'f' },
    cluster: { kubelets: 'old', accounts: ['f'] },
    reason: 'ends_without_native',
  },
  {
    name: 'a plain sidecar of a pod that does not end is ended by others',
    annotations: { 'logging.io/service-account': 'logtender-forwarder' },
    cluster: { kubelets: 'old', accounts: ['logtender-forwarder'] },
    check: (pod) => assert.equal(envOf(pod, 'END_WITH'), undefined),
  },
  {
    name: 'native is asked for where a kubelet is old',
    annotations: { 'logging.io/sidecar': 'native' },
    cluster: { kubelets: 'old' },
    codes: ['native_not_everywhere'],
  },
  {
    name: 'only generateName, without an owner',
    metadata: { name: '', generateName: 'web-' },
    check: (pod) => assert.deepEqual([envOf(pod, 'APP_NAME'), envOf(pod, 'LOG_GROUP')], ['web', '/k8s/dev/shop/web']),
  },
  {
    name: 'no name at all: the forwarder fills in what it is told by the downward API',
    metadata: { name: '' },
    check: (pod) =>
      assert.deepEqual([envOf(pod, 'APP_NAME'), envOf(pod, 'LOG_GROUP')], [undefined, '/k8s/dev/shop/{app}']),
  },
  {
    name: 'an account of kube2iam is respected, and none is added',
    annotations: { 'iam.amazonaws.com/role': 'app', 'logging.io/role-arn': 'arn:aws:iam::123456789012:role/logs' },
    check: (pod) => {
      assert.equal(annotation(pod, 'iam.amazonaws.com/role'), 'app');
      assert.equal(envOf(pod, 'AWS_ROLE_ARN'), 'arn:aws:iam::123456789012:role/logs');
      assert.equal(listAt(listAt(pod, 'spec', 'containers')[0], 'env').length, 0);
    },
  },
  {
    name: 'no role of kube2iam is invented',
    check: (pod) => assert.equal(annotation(pod, 'iam.amazonaws.com/role'), undefined),
  },
  {
    name: "the operator's pull secrets come after the pod's own, each once",
    spec: { imagePullSecrets: [{ name: 'mine' }, { name: 'shared' }] },
    cluster: { config: { imagePullSecrets: ['shared', 'logtender-pull'] } },
    check: (pod) => {
      assert.deepEqual(names(pod, 'imagePullSecrets'), ['mine', 'shared', 'logtender-pull']);
      assert.match(annotation(pod, 'logging.io/status') ?? '', /"pullSecrets":\["logtender-pull"\]/);
    },
  },
  {
    name: "the operator's pull secrets in a pod without any",
    cluster: { config: { imagePullSecrets: ['a', 'b'] } },
    check: (pod) => assert.deepEqual(names(pod, 'imagePullSecrets'), ['a', 'b']),
  },
  {
    name: "the operator's pull secrets in place of null",
    spec: { imagePullSecrets: null },
    cluster: { config: { imagePullSecrets: ['a'] } },
    check: (pod) => assert.deepEqual(names(pod, 'imagePullSecrets'), ['a']),
  },
  {
    name: 'a plain mesh proxy: the way past it is off by default',
    spec: { containers: [{ name: 'app' }, { name: 'istio-proxy' }] },
    codes: ['mesh_not_native'],
  },
  {
    name: 'a plain sidecar beside a plain mesh proxy has the same to fear',
    spec: { containers: [{ name: 'app' }, { name: 'linkerd-proxy' }] },
    cluster: { kubelets: 'old' },
    codes: ['mesh_not_native'],
  },
  ...(
    [
      ['istio-proxy', 'istio-validation', 'istio-init', 'traffic.sidecar.istio.io/excludeOutboundPorts'],
      ['linkerd-proxy', 'linkerd-network-validator', 'linkerd-init', 'config.linkerd.io/skip-outbound-ports'],
    ] as const
  ).flatMap(([proxy, validator, redirector, key]): readonly ShapeCase[] => [
    {
      name: `${proxy} is plain and the operator wants a way past it: the list is extended`,
      spec: { initContainers: [{ name: validator }], containers: [{ name: 'app' }, { name: proxy }] },
      annotations: { [key]: '25, 9200', 'logging.io/sink': 'elasticsearch,cloudwatch' },
      cluster: { config: { meshBypass: true } },
      codes: ['mesh_bypassed'],
      check: (pod) => assert.equal(annotation(pod, key), '25, 9200,443'),
    },
    {
      name: `${proxy} with an init container that redirects by itself: nothing that we could write would help`,
      spec: { initContainers: [{ name: redirector }], containers: [{ name: 'app' }, { name: proxy }] },
      cluster: { config: { meshBypass: true } },
      codes: ['mesh_not_native'],
      check: (pod) => assert.equal(annotation(pod, key), undefined),
    },
    {
      name: `${proxy} is native and needs no way past it`,
      spec: { initContainers: [{ name: proxy, restartPolicy: 'Always' }] },
      cluster: { config: { meshBypass: true } },
      check: (pod) => assert.equal(annotation(pod, key), undefined),
    },
  ]),
  {
    name: 'a way past a plain proxy, to an address that only a Secret knows: none',
    spec: { containers: [{ name: 'app' }, { name: 'istio-proxy' }] },
    cluster: { config: { meshBypass: true, elasticsearchUrl: undefined } },
    codes: ['mesh_not_native'],
  },
];

describe('shapes of pods', () => {
  for (const shape of CASES) {
    it(shape.name, async () => {
      const original = podOf(shape);
      const { handler, records } = testWebhook(shape.cluster);
      const answer = await ask(handler, reviewOf(original));
      assert.equal(answer.reason, shape.reason ?? 'injected', answer.warnings.join('\n'));
      const found = records[0]?.findings?.map(({ code }) => code) ?? [];
      assert.deepEqual(found, shape.codes ?? []);
      const pod = applyPatch(original, answer.operations);
      // What the operator switched on touches fields that otherwise nobody may touch; uninject shows that it is all.
      if (shape.cluster?.config === undefined)
        assert.deepEqual(withoutOurs(pod), withoutOurs(original), 'nothing of the pod is lost');
      assert.deepEqual((await ask(handler, reviewOf(pod))).operations, [], 'twice is once');
      assert.deepEqual(applyPatch(pod, uninject(pod).operations), original, 'and uninject gives it back');
      assert.equal(isObject(sidecarOf(pod)), answer.reason.startsWith('injected'));
      shape.check?.(pod, original);
    });
  }

  it('2,000 variables of env are none of our business', async () => {
    const env = Array.from({ length: 2_000 }, (_, i) => ({ name: `V${i}`, value: `$(V${i - 1})` }));
    const original = podOf({ name: '', spec: { containers: [{ name: 'app', env }] } });
    const { handler } = testWebhook();
    const answer = await ask(handler, reviewOf(original));
    assert(answer.body.length < 20_000, 'the patch does not grow with them');
    const pod = applyPatch(original, answer.operations);
    assert.deepEqual(at(listAt(pod, 'spec', 'containers')[0] ?? null, 'env'), env);
    assert.deepEqual((await ask(handler, reviewOf(pod))).operations, []);
  });
});
