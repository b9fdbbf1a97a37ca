/**
 * Pods as other programs change them, pure: the popular injectors in the shape of what they do, and programs that break ours.
 *
 * Written from the documentation of those programs; only what touches other sidecars is here. Each is idempotent, as theirs are.
 * Invariant: the given pod stays as it is.
 */
import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import type { Mutation } from './foreign-webhook.ts';

const objects = (list: readonly Json[]): readonly JsonObject[] => list.filter(isObject);
const has = (list: readonly Json[], name: string): boolean => list.some((item) => textAt(item, 'name') === name);
const specOf = (pod: JsonObject): JsonObject => (isObject(pod['spec']) ? pod['spec'] : {});
const withSpec = (pod: JsonObject, more: JsonObject): JsonObject => ({ ...pod, spec: { ...specOf(pod), ...more } });

function annotated(pod: JsonObject, more: Readonly<Record<string, string>>): JsonObject {
  const metadata = isObject(pod['metadata']) ? pod['metadata'] : {};
  const annotations = at(metadata, 'annotations');
  return { ...pod, metadata: { ...metadata, annotations: { ...(isObject(annotations) ? annotations : {}), ...more } } };
}

/** The elements that are not there yet are added, at the start or at the end. */
function added(list: readonly Json[], items: readonly JsonObject[], place: 'first' | 'last'): readonly Json[] {
  const missing = items.filter((item) => !has(list, textAt(item, 'name') ?? ''));
  return place === 'first' ? [...missing, ...list] : [...list, ...missing];
}

const EMPTY_DIR = { emptyDir: {} };

/** Native istio-proxy before everything, after its init container (Istio documentation, "Sidecar injection", native sidecars). */
export const istio: Mutation = (pod) => {
  const proxy = {
    name: 'istio-proxy',
    image: 'example/proxyv2:1',
    restartPolicy: 'Always',
    volumeMounts: [{ name: 'istio-envoy', mountPath: '/etc/istio/proxy' }],
  };
  const inits = listAt(pod, 'spec', 'initContainers').filter(
    (one) => !['istio-init', 'istio-proxy'].includes(textAt(one, 'name') ?? ''),
  );
  const changed = withSpec(pod, {
    initContainers: [{ name: 'istio-init', image: 'example/proxyv2:1' }, proxy, ...inits],
    volumes: added(listAt(pod, 'spec', 'volumes'), [{ name: 'istio-envoy', ...EMPTY_DIR }], 'last'),
  });
  return annotated(changed, { 'sidecar.istio.io/status': '{"containers":["istio-proxy"]}' });
};

/** Native linkerd-proxy at the start, after linkerd-init (Linkerd documentation, "Automatic proxy injection"). */
export const linkerd: Mutation = (pod) => {
  const proxy = { name: 'linkerd-proxy', image: 'example/proxy:1', restartPolicy: 'Always' };
  const changed = withSpec(pod, {
    initContainers: added(
      listAt(pod, 'spec', 'initContainers'),
      [{ name: 'linkerd-init', image: 'example/proxy-init:1' }, proxy],
      'first',
    ),
    volumes: added(listAt(pod, 'spec', 'volumes'), [{ name: 'linkerd-identity-end-entity', ...EMPTY_DIR }], 'last'),
  });
  return annotated(changed, { 'linkerd.io/proxy-version': '1' });
};

/** An init container, a plain sidecar and a volume that every container mounts (Vault documentation, "Agent Injector"). */
export const vault: Mutation = (pod) => {
  if (textAt(pod, 'metadata', 'annotations', 'vault.hashicorp.com/agent-inject-status') === 'injected') return pod;
  const mount = { name: 'vault-secrets', mountPath: '/vault/secrets' };
  const mounting = (list: readonly Json[]): readonly Json[] =>
    objects(list).map((one) => ({ ...one, volumeMounts: [...listAt(one, 'volumeMounts'), mount] }));
  const agent = (name: string): JsonObject => ({ name, image: 'example/vault:1', volumeMounts: [mount] });
  const changed = withSpec(pod, {
    initContainers: [...mounting(listAt(pod, 'spec', 'initContainers')), agent('vault-agent-init')],
    containers: [...mounting(listAt(pod, 'spec', 'containers')), agent('vault-agent')],
    volumes: [...listAt(pod, 'spec', 'volumes'), { name: 'vault-secrets', ...EMPTY_DIR }],
  });
  return annotated(changed, { 'vault.hashicorp.com/agent-inject-status': 'injected' });
};

/** The same with its init container first (annotation agent-init-first). */
export const vaultFirst: Mutation = (pod) => {
  const changed = vault(pod);
  if (changed === pod) return pod;
  const inits = listAt(changed, 'spec', 'initContainers');
  const isAgent = (one: Json): boolean => textAt(one, 'name') === 'vault-agent-init';
  return withSpec(changed, { initContainers: [...inits.filter(isAgent), ...inits.filter((one) => !isAgent(one))] });
};

/** Env and a projected token in every container that is not skipped (EKS documentation, "IAM roles for service accounts"). */
export const podIdentity: Mutation = (pod) => {
  const skipped = new Set(
    (textAt(pod, 'metadata', 'annotations', 'eks.amazonaws.com/skip-containers') ?? '').split(','),
  );
  const token = { name: 'aws-iam-token', mountPath: '/var/run/secrets/eks.amazonaws.com/serviceaccount' };
  const env = [
    { name: 'AWS_ROLE_ARN', value: 'arn:aws:iam::111122223333:role/app' },
    { name: 'AWS_WEB_IDENTITY_TOKEN_FILE', value: `${token.mountPath}/token` },
  ];
  const identified = (one: JsonObject): JsonObject =>
    skipped.has(textAt(one, 'name') ?? '')
      ? one
      : {
          ...one,
          env: added(listAt(one, 'env'), env, 'last'),
          volumeMounts: added(listAt(one, 'volumeMounts'), [{ ...token, readOnly: true }], 'last'),
        };
  const sources = [
    { serviceAccountToken: { audience: 'sts.amazonaws.com', expirationSeconds: 86_400, path: 'token' } },
  ];
  return withSpec(pod, {
    initContainers: objects(listAt(pod, 'spec', 'initContainers')).map(identified),
    containers: objects(listAt(pod, 'spec', 'containers')).map(identified),
    volumes: added(listAt(pod, 'spec', 'volumes'), [{ name: token.name, projected: { sources } }], 'last'),
  });
};

const isOurs = (one: Json): boolean => textAt(one, 'name') === 'logtender';

/** What a program does that reads pods with a client older than native sidecars: the member is gone from every init container. */
export const dropsRestartPolicy: Mutation = (pod) =>
  withSpec(pod, {
    initContainers: objects(listAt(pod, 'spec', 'initContainers')).map(({ restartPolicy: _gone, ...one }) => one),
  });

/** Our container is gone, its volumes stay. */
export const dropsContainer: Mutation = (pod) =>
  withSpec(pod, { initContainers: listAt(pod, 'spec', 'initContainers').filter((one) => !isOurs(one)) });

/** Our container is the last of the init containers. */
export const movesToEnd: Mutation = (pod) => {
  const inits = listAt(pod, 'spec', 'initContainers');
  return withSpec(pod, { initContainers: [...inits.filter((one) => !isOurs(one)), ...inits.filter(isOurs)] });
};

/** Our container is a plain one now, though the status says native. */
export const makesPlain: Mutation = (pod) => {
  const inits = objects(listAt(pod, 'spec', 'initContainers'));
  const plain = inits.filter(isOurs).map(({ restartPolicy: _gone, ...one }) => one);
  return withSpec(pod, {
    initContainers: inits.filter((one) => !isOurs(one)),
    containers: [...listAt(pod, 'spec', 'containers'), ...plain],
  });
};

function withoutMounts(pod: JsonObject, isDropped: (container: Json) => boolean): JsonObject {
  const dropped = (list: readonly Json[]): readonly Json[] =>
    objects(list).map((one) =>
      isDropped(one)
        ? {
            ...one,
            volumeMounts: listAt(one, 'volumeMounts').filter((mount) => textAt(mount, 'name') !== 'logtender-logs'),
          }
        : one,
    );
  return withSpec(pod, {
    initContainers: dropped(listAt(pod, 'spec', 'initContainers')),
    containers: dropped(listAt(pod, 'spec', 'containers')),
  });
}

/** The user's containers no longer mount the shared directory. */
export const dropsUserMount: Mutation = (pod) => withoutMounts(pod, (one) => !isOurs(one));
/** Our container no longer does. */
export const dropsOurMount: Mutation = (pod) => withoutMounts(pod, isOurs);

/** Nobody mounts it, and the volume is gone. */
export const dropsVolume: Mutation = (pod) => {
  const bare = withoutMounts(pod, () => true);
  return withSpec(bare, {
    volumes: listAt(bare, 'spec', 'volumes').filter((volume) => textAt(volume, 'name') !== 'logtender-logs'),
  });
};

/** The shared volume is something else than the emptyDir that we made. */
export const changesVolume: Mutation = (pod) =>
  withSpec(pod, {
    volumes: objects(listAt(pod, 'spec', 'volumes')).map((volume) =>
      textAt(volume, 'name') === 'logtender-logs' ? { name: 'logtender-logs', configMap: { name: 'other' } } : volume,
    ),
  });

/** A label more: the least change that makes an API server ask the earlier webhooks again. */
export const labels: Mutation = (pod) => {
  const metadata = isObject(pod['metadata']) ? pod['metadata'] : {};
  const found = at(metadata, 'labels');
  return {
    ...pod,
    metadata: { ...metadata, labels: { ...(isObject(found) ? found : {}), 'other.example/seen': 'true' } },
  };
};
