/**
 * Other injectors before and after ours on a real API server: whatever they add, the sidecar is native, after the mesh proxies, before
 * the rest, mounted; a second pass of the API server (reinvocationPolicy IfNeeded) changes nothing but what is needed.
 */
import assert from 'node:assert/strict';
import { ForeignWebhook } from '../fakes/foreign-webhook.ts';
import type { Mutation } from '../fakes/foreign-webhook.ts';
import * as changes from '../fakes/pod-changes.ts';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { eventually, install } from './installation.ts';
import type { Installation } from './installation.ts';
import { ASKS, createNamespace, podOf, sidecarOf, statusOf } from './pods.ts';
import type { Fields, Pod } from './pods.ts';

/** Ours is `logtender-injector`: the first of each pair sorts before it, the second after it. */
const PLACES = ['aa', 'zz'] as const;

/** Name -> what it does, and the names of the init containers that come out, in order. */
const INJECTORS: Readonly<Record<string, readonly [mutation: Mutation, inits: readonly string[]]>> = {
  istio: [changes.istio, ['istio-init', 'istio-proxy', 'logtender', 'migrate']],
  linkerd: [changes.linkerd, ['linkerd-init', 'linkerd-proxy', 'logtender', 'migrate']],
  vault: [changes.vault, ['logtender', 'migrate', 'vault-agent-init']],
  'vault-first': [changes.vaultFirst, ['logtender', 'vault-agent-init', 'migrate']],
  'pod-identity': [changes.podIdentity, ['logtender', 'migrate']],
};

const POD = podOf('web', ASKS, { initContainers: [{ name: 'migrate', image: 'example/web:1' }] });

const names = (pod: Pod): readonly string[] => (pod.spec.initContainers ?? []).map((container) => container.name);
/** Dry runs go the whole way through admission, and the same name can be asked for again. */
const dryly = (namespace: string): readonly string[] => [
  ...['create', '--dry-run=server', '-n', namespace, '-o', 'json', '-f', '-'],
];

describe('admission beside other injectors', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;
  let foreign: ForeignWebhook;

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    foreign = new ForeignWebhook(plane);
    await foreign.start();
    installed = await install(plane, { webhook: 'cluster: test\n' });
    for (const [name, [mutation]] of Object.entries(INJECTORS)) {
      for (const place of PLACES) {
        const namespace = `${place}-${name}`;
        await createNamespace(plane, namespace, { 'logging.io/failure-policy': 'fail' });
        await foreign.register({ name: namespace, mutation, namespaces: [namespace], reinvocationPolicy: 'IfNeeded' });
      }
    }
    await createNamespace(plane, 'all-of-them', { 'logging.io/failure-policy': 'fail' });
    for (const [name, mutation] of [
      ['aa-all-istio', changes.istio],
      ['aa-all-linkerd', changes.linkerd],
      ['zz-all-identity', changes.podIdentity],
      ['zz-all-vault', changes.vaultFirst],
    ] as const)
      await foreign.register({ name, mutation, namespaces: ['all-of-them'], reinvocationPolicy: 'IfNeeded' });
    for (const name of ['once', 'twice']) await createNamespace(plane, name, { 'logging.io/failure-policy': 'fail' });
    await foreign.register({ name: 'zz-labels', mutation: changes.labels, namespaces: ['twice'] });
    // API servers ask the newest one last of all.
    await eventually('the other webhooks', async () => {
      const before = foreign.calls;
      await plane.kubectl(dryly('twice'), { input: podOf('probe', {}) });
      return foreign.calls > before ? true : undefined;
    });
  });
  after(async function () {
    this.timeout(60_000);
    await foreign?.stop();
    await installed?.uninstall();
  });

  const create = async (namespace: string, input: Fields): Promise<Pod> =>
    JSON.parse(await plane.kubectl(dryly(namespace), { input })) as Pod;
  const assertRight = (pod: Pod): void => {
    const ours = sidecarOf(pod);
    assert.equal(ours?.restartPolicy, 'Always');
    const logs = (container: Pod['spec']['containers'][number] | undefined): readonly (string | undefined)[] =>
      (container?.volumeMounts ?? []).filter((mount) => mount.name === 'logtender-logs').map((mount) => mount.subPath);
    for (const user of ['app', 'migrate']) {
      const container = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((one) => one.name === user);
      assert.equal(logs(container).length, 1, `${user} mounts the shared volume`);
      assert.ok(logs(ours).includes(logs(container)[0]), `the sidecar sees the files of ${user}`);
    }
    assert.match(statusOf(pod), /^\{"decision":"injected"/);
  };
  /** The pod as it came back is asked for once more: nothing may change. */
  const assertStays = async (namespace: string, pod: Pod): Promise<void> => {
    const { labels, annotations } = pod.metadata;
    const metadata = { name: pod.metadata.name, labels, annotations };
    const again = await create(namespace, { apiVersion: 'v1', kind: 'Pod', metadata, spec: pod.spec });
    assert.deepEqual(again.spec, pod.spec);
    assert.deepEqual(again.metadata.annotations, annotations);
  };

  for (const [name, [, inits]] of Object.entries(INJECTORS)) {
    for (const place of PLACES) {
      it(`${name}, ${place === 'aa' ? 'before' : 'after'} ours: native, in place, mounted, and stays so`, async () => {
        const namespace = `${place}-${name}`;
        const before = foreign.calls;
        const pod = await create(namespace, POD);
        assert.ok(foreign.calls > before, 'the other webhook was asked');
        assert.deepEqual(names(pod), inits);
        assertRight(pod);
        await assertStays(namespace, pod);
      });
    }
  }

  it('all of them at once', async () => {
    const pod = await create('all-of-them', POD);
    // Istio goes first again at its second pass; what Vault's had put before the meshes stays between them.
    const before = ['istio-init', 'istio-proxy', 'vault-agent-init', 'linkerd-init', 'linkerd-proxy'];
    assert.deepEqual(names(pod), [...before, 'logtender', 'migrate']);
    assertRight(pod);
    const env = sidecarOf(pod)?.env?.map((variable) => variable.name) ?? [];
    assert.ok(env.includes('AWS_ROLE_ARN'), 'what another webhook gave to our container stays');
    await assertStays('all-of-them', pod);
  });

  it('asked twice for one pod gives what asking once gives (B8 43)', async () => {
    const specOf = async (namespace: string): Promise<Pod['spec']> => {
      const input = podOf('same', ASKS, { automountServiceAccountToken: false });
      return (await create(namespace, input)).spec;
    };
    const start = await installed.calls();
    const once = await specOf('once');
    const middle = await installed.calls();
    const twice = await specOf('twice');
    assert.equal(middle - start, 1);
    assert.equal((await installed.calls()) - middle, 2, 'the API server asked again after the other webhook');
    // Two namespaces: their names are in what we write, and nothing else differs.
    assert.deepEqual(JSON.parse(JSON.stringify(twice).replaceAll('twice', 'once')), once);
  });
});
