/**
 * What no configuration and no annotation can make of the sidecar: more than a reader of its own pod's logs.
 */
import assert from 'node:assert/strict';

import fc from 'fast-check';

import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import { KEY_NAMES } from '../../webhook/annotations.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';

const SPEC: JsonObject = {
  containers: [{ name: 'app', volumeMounts: [{ name: 'host', mountPath: '/srv/logs' }] }, { name: 'other' }],
  volumes: [{ name: 'host', hostPath: { path: '/srv' } }],
};

function podWith(annotations: Readonly<Record<string, string>>): JsonObject {
  return { metadata: { name: 'p', annotations }, spec: SPEC };
}

async function injected(pod: JsonObject, cluster: ClusterCase = {}): Promise<JsonObject> {
  return applyPatch(pod, (await ask(testWebhook(cluster).handler, reviewOf(pod))).operations);
}

/** What holds of every injected pod: the container is confined, and every volume that is ours is of a kind that can do no harm. */
function checkConfined(pod: JsonObject, original: JsonObject): void {
  const ours = [...listAt(pod, 'spec', 'initContainers'), ...listAt(pod, 'spec', 'containers')].find(
    (item) => textAt(item, 'name') === 'logtender',
  );
  if (ours === undefined) return;
  const context = at(ours, 'securityContext');
  assert(isObject(context));
  const { runAsUser, runAsGroup, ...rest } = context;
  assert.deepEqual(rest, {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  assert(typeof runAsUser === 'number' && runAsUser > 0 && runAsGroup !== 0);
  for (const key of ['command', 'ports', 'lifecycle', 'volumeDevices', 'envFrom', 'stdin', 'tty'])
    assert.equal(at(ours, key), undefined, key);
  for (const variable of listAt(ours, 'env')) {
    const from = at(variable, 'valueFrom');
    assert(from === undefined || isObject(at(from, 'fieldRef')), 'no value of a Secret or a ConfigMap');
  }
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace', 'nodeName', 'priorityClassName'])
    assert.deepEqual(at(pod, 'spec', key), at(original, 'spec', key), key);
  const before = new Set(listAt(original, 'spec', 'volumes').map((volume) => textAt(volume, 'name')));
  for (const volume of listAt(pod, 'spec', 'volumes')) if (!before.has(textAt(volume, 'name'))) checkVolume(volume);
}

function checkVolume(volume: Json): void {
  const kinds = Object.keys(isObject(volume) ? volume : {}).filter((key) => key !== 'name');
  assert.equal(kinds.length, 1);
  assert(['emptyDir', 'secret', 'projected'].includes(kinds[0] ?? ''), kinds.join());
  // A volume names a Secret of its pod's namespace; there is no way to write another namespace (API reference, SecretVolumeSource).
  if (kinds[0] === 'secret') assert.match(textAt(volume, 'secret', 'secretName') ?? '', /^[a-z0-9.-]+$/);
}

describe('what the sidecar can never be', () => {
  it('no configuration can make it privileged, put it on the network of the node or mount a path of the node (B8 54)', () => {
    const attempts: readonly Readonly<Record<string, unknown>>[] = [
      { privileged: true },
      { securityContext: { privileged: true } },
      { hostNetwork: true },
      { hostPID: true },
      { volumes: [{ name: 'root', hostPath: { path: '/' } }] },
      { hostPath: '/' },
      { volumeMounts: [] },
      { sidecar: { securityContext: { runAsUser: 0 } } },
      { containers: [] },
      { template: {} },
      { command: ['sh'] },
      { runAsUser: 0 },
      { capabilities: ['SYS_ADMIN'] },
      { defaults: { privileged: 'true' } },
      { defaults: { 'host-path': '/' } },
      { defaults: { 'sink-secret': '../other/secret' } },
    ];
    for (const raw of attempts) {
      const parsed = readWebhookConfig(raw, { image: 'logtender:test', checkDefault });
      assert.equal(parsed.ok, false, JSON.stringify(raw));
    }
  });

  it('no annotation can either, whatever its value (B8 54)', async () => {
    const value = fc.oneof(
      fc.constantFrom('true', 'false', 'native', 'container', 'kube-system/admin', '../../etc', '/**', '/proc/*', '0'),
      fc.constantFrom('/srv/logs/*.log', 'app:/srv/logs/../*', 'cluster-admin', 'arn:aws:iam::123456789012:role/x'),
      fc.string({ maxLength: 60 }),
    );
    const key = fc.oneof(fc.constantFrom(...KEY_NAMES), fc.constantFrom('privileged', 'host-network', 'volumes'));
    const annotations = fc.dictionary(key, value, { maxKeys: 8 });
    await fc.assert(
      fc.asyncProperty(annotations, fc.boolean(), async (words, isNative) => {
        const all = Object.entries(words).map(([word, text]) => [`logging.io/${word}`, text] as const);
        const original = podWith({ ...Object.fromEntries(all), 'logging.io/inject': 'true' });
        checkConfined(await injected(original, { kubelets: isNative ? 'ready' : 'old' }), original);
      }),
      { numRuns: 300 },
    );
  });

  it("a user of a namespace cannot make us name another namespace's Secret or account (B8 55)", async () => {
    for (const name of ['kube-system/admin', 'kube-system.admin/x', '../admin', 'kube-system:admin', 'A']) {
      const original = podWith({
        'logging.io/inject': 'true',
        'logging.io/sink-secret': name,
        'logging.io/service-account': name,
      });
      const pod = await injected(original, { accounts: [name] });
      const secrets = listAt(pod, 'spec', 'volumes').map((volume) => textAt(volume, 'secret', 'secretName'));
      assert(secrets.includes('logtender-sink') && !secrets.includes(name), name);
      assert.equal(at(pod, 'spec', 'serviceAccountName'), undefined, name);
    }
  });

  it('whether an account exists is asked in the namespace of the pod alone (B8 55)', async () => {
    const asked: string[] = [];
    const facts = {
      namespace: async (name: string) =>
        ({ ok: true, value: { name, labels: new Map(), annotations: new Map() } }) as const,
      accountExists: async (namespace: string, name: string) => {
        asked.push(`${namespace}/${name}`);
        return { ok: true, value: true } as const;
      },
      kubelets: () => 'ready' as const,
      isReady: () => true,
      close: async () => {},
    };
    const pod = podWith({ 'logging.io/inject': 'true', 'logging.io/service-account': 'forwarder' });
    const { handler } = testWebhook({}, { facts });
    // The namespace that a pod claims for itself does not count: the API server says where it is created.
    const claimed = { ...pod, metadata: { ...(pod['metadata'] as JsonObject), namespace: 'kube-system' } };
    await ask(handler, reviewOf(claimed, 'shop'));
    assert.deepEqual(asked, ['shop/forwarder']);
  });

  it('a name of ours that is taken is refused in words, never taken over (B8 56)', async () => {
    const own = { name: 'logtender', image: 'mine:1' };
    const mount = { name: 'logtender-token', mountPath: '/stolen' };
    const taken: readonly (readonly [string, JsonObject, string])[] = [
      ['a container', { containers: [{ name: 'app' }, own] }, 'conflict_container'],
      ['an init container', { containers: [{ name: 'app' }], initContainers: [own] }, 'conflict_container'],
      [
        'a volume of another kind',
        { ...SPEC, volumes: [{ name: 'logtender-logs', hostPath: { path: '/' } }] },
        'conflict_volume',
      ],
      ['a mount of what is only to come', { containers: [{ name: 'app', volumeMounts: [mount] }] }, 'conflict_volume'],
    ];
    for (const [name, spec, code] of taken) {
      for (const policy of ['warn', 'deny']) {
        const metadata = { annotations: { 'logging.io/inject': 'true', 'logging.io/on-invalid': policy } };
        const { handler } = testWebhook();
        const answer = await ask(handler, reviewOf({ metadata, spec }));
        assert.equal(answer.reason, code, name);
        assert.equal(answer.allowed, policy === 'warn', name);
        assert.deepEqual(applyPatch({ metadata, spec }, answer.operations)['spec'], spec, `${name}: untouched`);
        assert.match(`${answer.message} ${answer.warnings.join()}`, /rename that/);
      }
    }
  });
});
