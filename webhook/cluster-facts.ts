/**
 * What the webhook knows of the cluster: namespaces, service accounts, versions of the kubelets.
 *
 * Invariants: metadata only, and of it only what we read; a cache miss costs one live GET; a failure is a value, because what to do
 * about it belongs to failurePolicy. May import: core, config, kube.
 */
import type { Clock, Random } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import { METADATA_LIST_ONLY, METADATA_ONLY } from '../src/kube/client.ts';
import type { KubeClient, KubeObject } from '../src/kube/client.ts';
import { createInformer } from '../src/kube/informer.ts';
import type { Informer } from '../src/kube/informer.ts';
import { coreClusterPath, corePath } from '../src/kube/paths.ts';
import type { NamespaceFacts } from './injection.ts';
import { NAMESPACE_USERS, POD_SECURITY_ENFORCE, PREFIX } from './names.ts';
import { watchKubelets } from './kubelet-versions.ts';
import type { Kubelets } from './shape.ts';

export type Fact<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly text: string };

export interface ClusterFacts {
  /** `isFresh` asks the API server even when the cache knows the namespace; `signal` is read only where it has to be asked. */
  namespace(
    name: string,
    options: { readonly signal: AbortSignal; readonly isFresh: boolean },
  ): Promise<Fact<NamespaceFacts>>;
  accountExists(namespace: string, name: string, signal: AbortSignal): Promise<Fact<boolean>>;
  kubelets(): Kubelets;
  /** False until the caches have been filled once. */
  isReady(): boolean;
  close(): Promise<void>;
}

/** Names of namespaces and accounts are at most 253 characters; a live GET must leave time for an answer within 5 s. */
const LIVE_GET_MS = 2_000;

/** Watches the cluster; starts at once. */
export function watchCluster(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): ClusterFacts {
  const { client } = options;
  const accept = { list: METADATA_LIST_ONLY, watch: METADATA_ONLY };
  const namespaces = createInformer({ ...options, path: coreClusterPath('namespaces'), accept, keep: keptNamespace });
  const accounts = createInformer({ ...options, path: coreClusterPath('serviceaccounts'), accept, keep: keptAccount });
  const kubelets = watchKubelets(options);
  const read = { accept: METADATA_ONLY, timeoutMs: LIVE_GET_MS };
  return {
    namespace: async (name, options) => {
      const known = options.isFresh ? undefined : namespaces.get('', name);
      if (known !== undefined) return { ok: true, value: toFacts(name, known) };
      const found = await client.get(coreClusterPath('namespaces', name), { ...read, signal: options.signal });
      if (found.ok) return { ok: true, value: toFacts(name, found.value) };
      return { ok: false, text: `get namespace: expected an answer, got ${found.kind}` };
    },
    accountExists: async (namespace, name, signal) => {
      if (accounts.get(namespace, name) !== undefined) return { ok: true, value: true };
      const found = await client.get(corePath(namespace, 'serviceaccounts', name), { ...read, signal });
      if (found.ok) return { ok: true, value: true };
      if (found.kind === 'not_found') return { ok: true, value: false };
      return { ok: false, text: `get service account: expected an answer, got ${found.kind}` };
    },
    kubelets: () => kubelets.current(),
    isReady: () => namespaces.hasSynced() && accounts.hasSynced() && kubelets.isAsked(),
    close: async () => {
      await Promise.all([close(namespaces), close(accounts), kubelets.close()]);
    },
  };
}

async function close(informer: Informer): Promise<void> {
  await informer.close();
}

/** Of a namespace we keep our own labels and annotations, the users that OpenShift gives it and its Pod Security: some 200 bytes each. */
function keptNamespace(object: KubeObject): KubeObject {
  const { name, resourceVersion, labels, annotations } = object.metadata;
  return {
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      labels: own(labels),
      annotations: own(annotations),
    },
  };
}

/** Of a service account we keep that it exists. */
function keptAccount(object: KubeObject): KubeObject {
  const { name, namespace, resourceVersion } = object.metadata;
  return {
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
  };
}

function own(texts: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(texts ?? {}).filter(
      ([key]) => key.startsWith(PREFIX) || key === NAMESPACE_USERS || key === POD_SECURITY_ENFORCE,
    ),
  );
}

/** An object of the cache stays as it is until a newer one takes its place: it is read once, not once for each pod. */
const FACTS = new WeakMap<KubeObject, NamespaceFacts>();

function toFacts(name: string, object: KubeObject): NamespaceFacts {
  const known = FACTS.get(object);
  if (known !== undefined) return known;
  const facts = {
    name,
    labels: new Map(Object.entries(own(object.metadata.labels))),
    annotations: new Map(Object.entries(own(object.metadata.annotations))),
  };
  FACTS.set(object, facts);
  return facts;
}
