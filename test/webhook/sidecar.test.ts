/**
 * The injected container: security context, user, resources, position, env.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

import { parseForwarderEnv } from '../../src/config/forwarder-config.ts';
import { escapeForKubelet, expandAsKubelet } from '../../webhook/env-expansion.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, listAt, textAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';

async function inject(
  spec: JsonObject,
  annotations: Readonly<Record<string, string>> = {},
  cluster: ClusterCase = {},
): Promise<JsonObject> {
  const pod = {
    metadata: {
      name: 'p',
      annotations: { 'logging.io/inject': 'true', 'logging.io/files': '/var/log/app/*.log', ...annotations },
    },
    spec: { containers: [{ name: 'app' }], ...spec },
  };
  return applyPatch(pod, (await ask(testWebhook(cluster).handler, reviewOf(pod))).operations);
}

function sidecarOf(pod: JsonObject): Json {
  const all = [...listAt(pod, 'spec', 'initContainers'), ...listAt(pod, 'spec', 'containers')];
  return all.find((item) => textAt(item, 'name') === 'logtender') ?? null;
}

function envOf(pod: JsonObject): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(
    listAt(sidecarOf(pod), 'env').map((item) => [
      textAt(item, 'name') ?? '',
      textAt(item, 'value') ?? textAt(item, 'valueFrom', 'fieldRef', 'fieldPath'),
    ]),
  );
}

describe('the sidecar', () => {
  it('passes Pod Security restricted', async () => {
    const sidecar = sidecarOf(await inject({}));
    const context = at(sidecar, 'securityContext');
    assert.deepEqual(context, {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsGroup: 65532,
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const probe of ['readinessProbe', 'startupProbe', 'livenessProbe', 'lifecycle', 'ports', 'command']) {
      assert.equal(at(sidecar, probe), undefined, probe);
    }
  });

  const USERS: readonly (readonly [string, JsonObject, number, number | undefined])[] = [
    ['nobody known', {}, 65532, 65532],
    [
      "the container's user",
      { containers: [{ name: 'app', securityContext: { runAsUser: 1000, runAsGroup: 3000 } }] },
      1000,
      3000,
    ],
    ["the pod's user", { securityContext: { runAsUser: 1001 } }, 1001, undefined],
    [
      'the container wins',
      { securityContext: { runAsUser: 1001 }, containers: [{ name: 'app', securityContext: { runAsUser: 7 } }] },
      7,
      undefined,
    ],
    ['never root', { securityContext: { runAsUser: 0, runAsGroup: 0 } }, 65532, 65532],
    [
      'the pod alone, with its group',
      { securityContext: { runAsUser: 1001, runAsGroup: 2001, fsGroup: 3001, supplementalGroups: [4001] } },
      1001,
      2001,
    ],
    [
      'only an fsGroup: nobody, who has it as every container has',
      { securityContext: { fsGroup: 3001 } },
      65532,
      65532,
    ],
    [
      'a container that is root leaves it to the next whose user is known',
      {
        containers: [
          { name: 'a', securityContext: { runAsUser: 0 } },
          { name: 'b', securityContext: { runAsUser: 9 } },
        ],
      },
      9,
      undefined,
    ],
    [
      'the app before an init container',
      {
        containers: [{ name: 'a', securityContext: { runAsUser: 8 } }],
        initContainers: [{ name: 'i', securityContext: { runAsUser: 9 } }],
      },
      8,
      undefined,
    ],
    ['never the group of root', { securityContext: { runAsUser: 5, runAsGroup: 0 } }, 5, undefined],
  ];
  for (const [name, spec, user, group] of USERS) {
    it(`runs as: ${name}`, async () => {
      const context = at(sidecarOf(await inject(spec)), 'securityContext');
      assert.deepEqual([at(context, 'runAsUser'), at(context, 'runAsGroup')], [user, group]);
    });
  }

  /** Annotation of the namespace, spec, and user and group of ours. */
  const OPENSHIFT: readonly (readonly [string, string, JsonObject, number, number | undefined])[] = [
    ['the first of the range, in group 0 as all there', '1000650000/10000', {}, 1_000_650_000, undefined],
    ['the same by first and last', '1000650000-1000659999', {}, 1_000_650_000, undefined],
    [
      'the user of the app wins',
      '1000650000/10000',
      { securityContext: { runAsUser: 1_000_650_007 } },
      1_000_650_007,
      undefined,
    ],
    ['a range of root is none', '0/10', {}, 65532, 65532],
    ['users of its own map the first 65,536 alone', '1000650000/10000', { hostUsers: false }, 65532, 65532],
    ['users of the node', '1000650000/10000', { hostUsers: true }, 1_000_650_000, undefined],
    ['a range that is none', 'x', {}, 65532, 65532],
  ];
  for (const [name, range, spec, user, group] of OPENSHIFT) {
    it(`runs as, where the namespace has users of its own: ${name}`, async () => {
      const cluster = { annotations: { 'openshift.io/sa.scc.uid-range': range } };
      const context = at(sidecarOf(await inject(spec, {}, cluster)), 'securityContext');
      assert.deepEqual([at(context, 'runAsUser'), at(context, 'runAsGroup')], [user, group]);
    });
  }

  const LEVEL = 's0:c1,c2';
  /** What the containers say of SELinux, and what ours says. */
  const SELINUX: readonly (readonly [string, JsonObject, Json | undefined])[] = [
    ['nothing', {}, undefined],
    ['the level of the writer', { seLinuxOptions: { level: LEVEL } }, { level: LEVEL }],
    [
      'a type that Pod Security restricted allows',
      { seLinuxOptions: { level: LEVEL, type: 'container_kvm_t' } },
      { level: LEVEL, type: 'container_kvm_t' },
    ],
    [
      'a type, user and role that it refuses',
      { seLinuxOptions: { level: LEVEL, type: 'spc_t', user: 'u', role: 'r' } },
      { level: LEVEL },
    ],
    ['a refused type alone', { seLinuxOptions: { type: 'spc_t' } }, undefined],
    ['empty texts', { seLinuxOptions: { level: '', type: '' } }, undefined],
    ['no object', { seLinuxOptions: null }, undefined],
  ];
  for (const [name, securityContext, want] of SELINUX) {
    it(`SELinux options: ${name}`, async () => {
      const sidecar = sidecarOf(await inject({ containers: [{ name: 'app', securityContext }] }));
      assert.deepEqual(at(sidecar, 'securityContext', 'seLinuxOptions'), want);
    });
  }

  it('SELinux options: those of the container that gives us its user, not those of the pod, which are ours already', async () => {
    const spec = {
      securityContext: { seLinuxOptions: { level: 's0:c9' } },
      containers: [
        { name: 'a', securityContext: { runAsUser: 0, seLinuxOptions: { level: 's0:c8' } } },
        { name: 'b', securityContext: { runAsUser: 7, seLinuxOptions: { level: LEVEL } } },
      ],
    };
    assert.deepEqual(at(sidecarOf(await inject(spec)), 'securityContext', 'seLinuxOptions'), { level: LEVEL });
  });

  const FIXED = { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1024Mi' } };
  const RESOURCES: readonly (readonly [string, JsonObject, Readonly<Record<string, string>>, Json])[] = [
    ['built in', {}, {}, { requests: { cpu: '5m', memory: '48Mi' }, limits: { memory: '48Mi' } }],
    [
      'with an AWS sink',
      {},
      { 'logging.io/sink': 'cloudwatch' },
      { requests: { cpu: '5m', memory: '64Mi' }, limits: { memory: '64Mi' } },
    ],
    [
      'Guaranteed stays so',
      { containers: [{ name: 'app', resources: FIXED }] },
      {},
      { requests: { cpu: '50m', memory: '48Mi' }, limits: { cpu: '50m', memory: '48Mi' } },
    ],
    [
      'Guaranteed with wishes',
      { containers: [{ name: 'app', resources: FIXED }] },
      { 'logging.io/cpu-request': '200m', 'logging.io/memory-limit': '96Mi' },
      { requests: { cpu: '200m', memory: '96Mi' }, limits: { cpu: '200m', memory: '96Mi' } },
    ],
    [
      'limits without requests are Guaranteed too',
      { containers: [{ name: 'app', resources: { limits: { cpu: '1', memory: '1Gi' } } }] },
      {},
      { requests: { cpu: '50m', memory: '48Mi' }, limits: { cpu: '50m', memory: '48Mi' } },
    ],
    [
      'plain numbers of a manifest are quantities',
      { containers: [{ name: 'app', resources: { limits: { cpu: 1, memory: '1Gi' }, requests: { cpu: '1000m' } } }] },
      {},
      { requests: { cpu: '50m', memory: '48Mi' }, limits: { cpu: '50m', memory: '48Mi' } },
    ],
    [
      'written as the API server stores them, so that a second pass finds them',
      {},
      { 'logging.io/cpu-request': '0.1', 'logging.io/memory-limit': '1024Mi' },
      { requests: { cpu: '100m', memory: '48Mi' }, limits: { memory: '1Gi' } },
    ],
    [
      'a request alone raises the built-in limit',
      {},
      { 'logging.io/memory-request': '100Mi' },
      { requests: { cpu: '5m', memory: '100Mi' }, limits: { memory: '100Mi' } },
    ],
    [
      'a limit alone lowers the built-in request',
      {},
      { 'logging.io/memory-limit': '32Mi' },
      { requests: { cpu: '5m', memory: '32Mi' }, limits: { memory: '32Mi' } },
    ],
    [
      'a small request in a Guaranteed pod is raised, because it is the limit as well',
      { containers: [{ name: 'app', resources: FIXED }] },
      { 'logging.io/cpu-request': '5m' },
      { requests: { cpu: '20m', memory: '48Mi' }, limits: { cpu: '20m', memory: '48Mi' } },
    ],
    [
      'a Guaranteed pod may have containers with less memory than ours needs',
      { containers: [{ name: 'app', resources: { limits: { cpu: '1m', memory: '8Mi' } } }] },
      {},
      { requests: { cpu: '50m', memory: '48Mi' }, limits: { cpu: '50m', memory: '48Mi' } },
    ],
    ['resources of the pod: neither', { resources: FIXED }, {}, {}],
    [
      'limits of the pod: neither, whatever is asked for',
      { resources: { limits: FIXED.limits } },
      { 'logging.io/cpu-request': '10m', 'logging.io/memory-limit': '64Mi' },
      {},
    ],
    [
      'CPU of the pod alone',
      { resources: { requests: { cpu: '1' } } },
      {},
      { requests: { memory: '48Mi' }, limits: { memory: '48Mi' } },
    ],
    [
      'memory of the pod alone',
      { resources: { limits: { memory: '1Gi' } } },
      { 'logging.io/cpu-limit': '100m' },
      { requests: { cpu: '5m' }, limits: { cpu: '100m' } },
    ],
    [
      'a request above its limit is lowered',
      {},
      { 'logging.io/cpu-request': '1', 'logging.io/cpu-limit': '100m' },
      { requests: { cpu: '100m', memory: '48Mi' }, limits: { cpu: '100m', memory: '48Mi' } },
    ],
  ];
  for (const [name, spec, annotations, want] of RESOURCES) {
    it(`resources: ${name}`, async () =>
      assert.deepEqual(at(sidecarOf(await inject(spec, annotations)), 'resources'), want));
  }

  it('resources: what the API server sums up for the pod after us changes nothing in a second pass', async () => {
    const first = await inject({ resources: { limits: { cpu: '1' }, requests: { cpu: '1' } } });
    // defaultPodRequests of the API server: a pod-level request that nobody wrote becomes the sum of the containers.
    const pod = applyPatch(first, [{ op: 'add', path: '/spec/resources/requests/memory', value: '48Mi' }]);
    assert.deepEqual((await ask(testWebhook().handler, reviewOf(pod))).operations, []);
  });

  it('resources: none of ours stay none in a second pass, however the API server writes that', async () => {
    const pod = await inject({ resources: FIXED });
    assert.deepEqual(at(sidecarOf(pod), 'resources'), {}, 'empty lists would not come back from the API server');
    assert.deepEqual((await ask(testWebhook().handler, reviewOf(pod))).operations, []);
  });

  it('resources: says which wishes do not hold because the pod has its own', async () => {
    const pod = {
      metadata: { annotations: { 'logging.io/inject': 'true', 'logging.io/cpu-limit': '100m' } },
      spec: { containers: [{ name: 'app' }], resources: { limits: { cpu: '1' } } },
    };
    const { warnings } = await ask(testWebhook().handler, reviewOf(pod));
    assert(
      warnings.some((text) =>
        text.startsWith('logtender: resources_of_pod: logging.io/cpu-limit: the pod has resources of its own'),
      ),
      warnings.join('\n'),
    );
  });

  it('stands after mesh proxies and before the rest', async () => {
    const pod = await inject({ initContainers: ['a', 'istio-init', 'istio-proxy', 'b'].map((name) => ({ name })) });
    assert.deepEqual(
      listAt(pod, 'spec', 'initContainers').map((c) => textAt(c, 'name')),
      ['a', 'istio-init', 'istio-proxy', 'logtender', 'b'],
    );
  });

  it('writes what the forwarder reads', async () => {
    const pod = await inject(
      { terminationGracePeriodSeconds: 120, hostNetwork: true },
      {
        'logging.io/sink': 'cloudwatch,elasticsearch',
        'logging.io/retention-days': '30',
        'logging.io/flush-interval': '250ms',
        'logging.io/metadata': 'none',
      },
      { config: { awsRegion: 'eu-central-1', cloudwatchEndpoint: 'http://127.0.0.1:5000' } },
    );
    const config = parseForwarderEnv(envOf(pod));
    assert(config.ok);
    const { files, sinks, retentionDays, graceMs, adminPort, flushIntervalMs, metadata, awsRegion, logGroup } =
      config.value;
    assert.deepEqual(
      [sinks, retentionDays, graceMs, adminPort, flushIntervalMs, metadata],
      [['cloudwatch', 'elasticsearch'], 30, 120_000, 0, 250, 'none'],
    );
    assert.deepEqual([awsRegion, logGroup, files[0]?.container], ['eu-central-1', '/k8s/dev/shop/p', 'app']);
    assert.equal(envOf(pod)['POD_UID'], 'metadata.uid');
  });

  it('writes what the S3 sink reads, and only where one is asked for', async () => {
    const s3 = { compression: 'zstd', objectAge: '5m', tags: ['team=web'], kmsKey: 'alias/logs', deadLetter: true };
    const pod = await inject(
      { containers: [{ name: 'app' }] },
      { 'logging.io/sink': 's3', 'logging.io/bucket': 'logs-{cluster}', 'logging.io/prefix': 'a/{app}/{pod}' },
      { config: { s3 } },
    );
    const config = parseForwarderEnv(envOf(pod));
    assert(config.ok);
    const { bucket, prefix, compression, objectAgeMs, tags, kmsKey } = config.value.s3;
    assert.deepEqual(
      [bucket, prefix, compression, objectAgeMs, tags, kmsKey, config.value.isDeadLetterInS3],
      ['logs-dev', 'a/p/{pod}', 'zstd', 300_000, ['team=web'], 'alias/logs', true],
    );
    const container = listAt(pod, 'spec', 'initContainers')[0];
    assert.equal(at(container, 'resources', 'limits', 'memory'), '64Mi');
    const other = envOf(await inject({}, { 'logging.io/sink': 'console', 'logging.io/bucket': 'logs' }));
    assert(!Object.keys(other).some((name) => name.startsWith('S3_')));
  });

  it('an owner whose name could stand in no env gives no workload', async () => {
    const owner = { apiVersion: 'x/v1', kind: 'X', name: 'a\u0000b', uid: 'u', controller: true };
    const pod = {
      metadata: { name: 'p', annotations: { 'logging.io/inject': 'true' }, ownerReferences: [owner] },
      spec: { containers: [{ name: 'app' }] },
    };
    const patched = applyPatch(pod, (await ask(testWebhook().handler, reviewOf(pod))).operations);
    assert.equal(envOf(patched)['WORKLOAD_NAME'], 'p');
  });

  it('grace is bounded by what the forwarder plans with', async () => {
    assert.equal(envOf(await inject({ terminationGracePeriodSeconds: 10 ** 12 }))['GRACE_PERIOD'], '604800s');
    assert.equal(envOf(await inject({ terminationGracePeriodSeconds: -1 }))['GRACE_PERIOD'], '0s');
  });

  it('holds no value of a Secret, only its name', async () => {
    const pod = await inject({}, { 'logging.io/sink-secret': 'mine' });
    const volume = listAt(pod, 'spec', 'volumes').find((item) => textAt(item, 'name') === 'logtender-secret');
    assert.deepEqual(at(volume, 'secret'), { secretName: 'mine', optional: true });
  });
});

describe('the env of many files', () => {
  it('is one with which Linux still runs a program', async () => {
    const files = Array.from({ length: 25 }, (_, i) => `/srv/${'d'.repeat(250)}/log/${i}/*`).join(',');
    const containers = Array.from({ length: 10 }, (_, i) => ({ name: `app-${i}` }));
    const env = envOf(await inject({ containers }, { 'logging.io/files': files }));
    const text = env['LOG_FILES'] ?? '';
    assert(text.length > 90 * 1024, `${text.length}`);
    const run = spawnSync('/bin/true', [], { env: { LOG_FILES: text } });
    assert.deepEqual([run.error, run.status], [undefined, 0]);
    const tooMuch = spawnSync('/bin/true', [], { env: { LOG_FILES: 'x'.repeat(128 * 1024) } });
    assert.match(String(tooMuch.error), /E2BIG/, 'the bound of the kernel is where we think it is');
  });
});

describe('text in env', () => {
  const known = new Map([
    ['POD_NAME', 'p'],
    ['A', 'a'],
  ]);
  for (const text of [
    'plain',
    '$',
    '$$',
    '$(POD_NAME)',
    '$$(POD_NAME)',
    'a$b$$c$$$d',
    '$(A)$(A)',
    '$((A))',
    'x$',
    '$$$$(A)',
    '$(no end',
    '{pod}$HOME',
  ]) {
    it(`comes through the kubelet as it was: ${text}`, () =>
      assert.equal(expandAsKubelet(escapeForKubelet(text), known), text));
  }
  it('the model expands what is not escaped', () =>
    assert.equal(expandAsKubelet('$(A)-$(B)-$$(A)', known), 'a-$(B)-$(A)'));
});
