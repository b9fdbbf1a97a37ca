/**
 * Other injectors between two passes of ours: pods as they leave them, and what is right of our part afterwards.
 *
 * The API server calls webhooks again whose configuration says IfNeeded when a later one changed the pod (API reference,
 * MutatingWebhook reinvocationPolicy). Each injector here is our own few lines that do what the real one does to a pod.
 */
import assert from 'node:assert/strict';

import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { uninject } from '../../webhook/uninjection.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import { withoutOurs } from './survival.ts';

type Injector = (pod: JsonObject) => JsonObject;

const POD: JsonObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    generateName: 'web-',
    annotations: {
      'logging.io/inject': 'true',
      'logging.io/files': '/var/log/app/*.log',
      'logging.io/stdout': 'off',
      'logging.io/sink': 'elasticsearch',
    },
  },
  spec: {
    initContainers: [{ name: 'migrate', image: 'migrate:1' }],
    containers: [
      { name: 'app', image: 'app:1', env: [{ name: 'A', value: 'a' }] },
      { name: 'worker', image: 'worker:1' },
    ],
  },
};

function editSpec(pod: JsonObject, edit: (spec: JsonObject) => JsonObject): JsonObject {
  const spec = pod['spec'];
  assert(isObject(spec));
  return { ...pod, spec: edit(spec) };
}

function annotate(pod: JsonObject, annotations: Readonly<Record<string, string>>): JsonObject {
  const metadata = pod['metadata'];
  assert(isObject(metadata) && isObject(metadata['annotations']));
  return { ...pod, metadata: { ...metadata, annotations: { ...metadata['annotations'], ...annotations } } };
}

const eachContainer = (spec: JsonObject, list: string, edit: (container: JsonObject) => JsonObject): readonly Json[] =>
  listAt(spec, list).map((container) => (isObject(container) ? edit(container) : container));

const withMount = (mount: JsonObject) => (container: JsonObject) => ({
  ...container,
  volumeMounts: [...listAt(container, 'volumeMounts'), mount],
});

/** A native proxy first of all, its volumes, its status. */
const istio: Injector = (pod) =>
  annotate(
    editSpec(pod, (spec) => ({
      ...spec,
      initContainers: [
        { name: 'istio-validation', image: 'proxy:1' },
        { name: 'istio-proxy', image: 'proxy:1', restartPolicy: 'Always', startupProbe: { httpGet: { port: 15_021 } } },
        ...listAt(spec, 'initContainers'),
      ],
      volumes: [{ name: 'istio-envoy', emptyDir: { medium: 'Memory' } }, ...listAt(spec, 'volumes')],
    })),
    { 'sidecar.istio.io/status': '{}', 'kubectl.kubernetes.io/default-container': 'app' },
  );

/** Its init container behind all others, and a native proxy there too: the proxy has to come before us all the same. */
const linkerd: Injector = (pod) =>
  annotate(
    editSpec(pod, (spec) => ({
      ...spec,
      initContainers: [
        ...listAt(spec, 'initContainers'),
        { name: 'linkerd-init', image: 'init:1' },
        { name: 'linkerd-proxy', image: 'proxy:1', restartPolicy: 'Always' },
      ],
      volumes: [...listAt(spec, 'volumes'), { name: 'linkerd-identity', emptyDir: {} }],
    })),
    { 'linkerd.io/proxy-version': '1' },
  );

/** A plain proxy at the very beginning of the containers, an init container before all others. */
const linkerdPlain: Injector = (pod) =>
  editSpec(pod, (spec) => ({
    ...spec,
    initContainers: [{ name: 'linkerd-init', image: 'init:1' }, ...listAt(spec, 'initContainers')],
    containers: [{ name: 'linkerd-proxy', image: 'proxy:1' }, ...listAt(spec, 'containers')],
  }));

/** An init container first, a sidecar last, a shared volume that is mounted everywhere, ours included. */
const vault: Injector = (pod) =>
  annotate(
    editSpec(pod, (spec) => {
      const mount = withMount({ name: 'vault-secrets', mountPath: '/vault/secrets' });
      const agent = { image: 'vault:1', volumeMounts: [{ name: 'vault-secrets', mountPath: '/vault/secrets' }] };
      return {
        ...spec,
        initContainers: [{ name: 'vault-agent-init', ...agent }, ...eachContainer(spec, 'initContainers', mount)],
        containers: [...eachContainer(spec, 'containers', mount), { name: 'vault-agent', ...agent }],
        volumes: [...listAt(spec, 'volumes'), { name: 'vault-secrets', emptyDir: { medium: 'Memory' } }],
      };
    }),
    { 'vault.hashicorp.com/agent-inject-status': 'injected' },
  );

/** Env and a token in every container, ours included; the lists are written anew, as a typed round trip writes them. */
const eks: Injector = (pod) =>
  editSpec(pod, (spec) => {
    const equip = (container: JsonObject): JsonObject =>
      withMount({
        name: 'aws-iam-token',
        mountPath: '/var/run/secrets/eks.amazonaws.com/serviceaccount',
        readOnly: true,
      })({
        ...container,
        env: [
          ...listAt(container, 'env'),
          { name: 'AWS_ROLE_ARN', value: 'arn:aws:iam::123456789012:role/app' },
          { name: 'AWS_WEB_IDENTITY_TOKEN_FILE', value: '/var/run/secrets/eks.amazonaws.com/serviceaccount/token' },
        ],
      });
    return {
      ...spec,
      containers: eachContainer(spec, 'containers', equip),
      initContainers: eachContainer(spec, 'initContainers', equip),
      volumes: [
        { name: 'aws-iam-token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
        ...listAt(spec, 'volumes'),
      ],
    };
  });

/** Does not know native sidecars and erases what makes ours one; drops a mount that it does not know either. */
const careless: Injector = (pod) =>
  editSpec(pod, (spec) => ({
    ...spec,
    initContainers: eachContainer(spec, 'initContainers', ({ restartPolicy: _gone, ...rest }) => rest),
    containers: eachContainer(spec, 'containers', (container) => ({ ...container, volumeMounts: [] })),
  }));

/** Name, injectors in their order, and the order of init containers afterwards. */
const TABLE: readonly (readonly [string, readonly Injector[], readonly string[]])[] = [
  ['nobody', [], ['logtender', 'migrate']],
  ['Istio', [istio], ['istio-validation', 'istio-proxy', 'logtender', 'migrate']],
  ['Linkerd, behind all', [linkerd], ['migrate', 'linkerd-init', 'linkerd-proxy', 'logtender']],
  ['Linkerd, plain', [linkerdPlain], ['linkerd-init', 'logtender', 'migrate']],
  ['Vault', [vault], ['logtender', 'vault-agent-init', 'migrate']],
  ['EKS pod identity', [eks], ['logtender', 'migrate']],
  [
    'Istio, EKS and Vault',
    [istio, eks, vault],
    ['vault-agent-init', 'istio-validation', 'istio-proxy', 'logtender', 'migrate'],
  ],
  ['one that erases', [careless], ['logtender', 'migrate']],
];

const { handler } = testWebhook();

async function pass(pod: JsonObject): Promise<JsonObject> {
  return applyPatch(pod, (await ask(handler, reviewOf(pod))).operations);
}

const names = (pod: JsonObject, list: string): readonly string[] =>
  listAt(pod, 'spec', list).map((item) => textAt(item, 'name') ?? '');
const named = (pod: JsonObject, list: string, name: string): Json =>
  listAt(pod, 'spec', list).find((item) => textAt(item, 'name') === name) ?? null;
const mountsOf = (container: Json): readonly string[] =>
  listAt(container, 'volumeMounts').map((mount) => `${textAt(mount, 'name')} ${textAt(mount, 'mountPath')}`);

describe('a second pass after other injectors', () => {
  for (const [name, injectors, order] of TABLE) {
    it(`${name}: native, after the proxies, mounted; nothing of theirs is lost`, async () => {
      const first = await pass(POD);
      const between = injectors.reduce((pod, injector) => injector(pod), first);
      const second = await pass(between);
      assert.deepEqual(names(second, 'initContainers'), order);
      const ours = named(second, 'initContainers', 'logtender');
      assert.equal(at(ours, 'restartPolicy'), 'Always');
      for (const app of ['app', 'worker']) {
        assert(mountsOf(named(second, 'containers', app)).includes('logtender-logs /var/log/app'), app);
        assert(mountsOf(ours).includes(`logtender-logs /logtender/logs/${app}/var/log/app`), app);
      }
      if (injectors.includes(eks)) {
        const env = listAt(ours, 'env').map((item) => textAt(item, 'name'));
        assert(env.includes('AWS_ROLE_ARN'), 'what another webhook gave to our container stays');
      }
      assert.deepEqual(withoutOurs(second), withoutOurs(between), 'nothing of the others is lost');
      assert.deepEqual((await ask(handler, reviewOf(second))).operations, [], 'a third pass changes nothing');
    });

    it(`${name}: uninject afterwards takes ours and leaves theirs`, async () => {
      if (injectors.includes(careless)) return;
      const between = injectors.reduce((pod, injector) => injector(pod), await pass(POD));
      const restored = applyPatch(between, uninject(between).operations);
      const theirs = injectors.reduce((pod, injector) => injector(pod), POD);
      assert.deepEqual(restored['spec'], theirs['spec']);
      assert.equal(JSON.stringify(restored).includes('logtender'), false);
    });
  }

  it('an injector that ran before us gives the same as one that ran between', async () => {
    for (const injector of [istio, vault, eks]) {
      const before = await pass(injector(POD));
      const between = await pass(injector(await pass(POD)));
      assert.deepEqual(
        names(before, 'initContainers').filter((n) => n !== 'vault-agent-init'),
        names(between, 'initContainers').filter((n) => n !== 'vault-agent-init'),
      );
    }
  });
});
