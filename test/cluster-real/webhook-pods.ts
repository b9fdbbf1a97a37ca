/**
 * The webhook's pods as a suite that takes them away sees them: their containers, their addresses in the Service, their caBundle.
 *
 * May import: test.
 */
import type { KubeClient } from '../../src/kube/client.ts';
import { eventually, sumOf } from '../cluster/installation.ts';
import { ask } from '../servers/http-json.ts';
import type { Kubectl } from './kubectl.ts';
import { isReady, podsOf, type PodObject } from './pods.ts';

const PODS_MS_MAX = 90_000;
const POLL_MS_MAX = 120_000;
/** deploy/webhook.yaml. */
const ADMIN_PORT = 8080;
const NAME = 'logtender-webhook';

export async function webhookPods(kubectl: Kubectl): Promise<readonly PodObject[]> {
  return podsOf(kubectl, 'logtender', `${NAME}-`);
}

/** Waits until so many are there, all Ready, and the given ones have ended, their drain included. */
export async function replacedPods(
  kubectl: Kubectl,
  count: number,
  gone: readonly string[],
): Promise<readonly PodObject[]> {
  return eventually(
    `${count} webhook pods that are Ready`,
    async () => {
      const pods = await webhookPods(kubectl);
      const isOld = pods.some(({ metadata }) => gone.includes(metadata.name));
      return pods.length === count && !isOld && pods.every(isReady) ? pods : undefined;
    },
    PODS_MS_MAX,
  );
}

/** Asks to have a pod moved, as `kubectl drain` does: a PodDisruptionBudget that is used up says no for the time being. */
export async function evict(kubectl: Kubectl, pod: PodObject): Promise<void> {
  const { name, namespace } = pod.metadata;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
  const input = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
  await eventually(
    `leave to evict ${pod.metadata.name}`,
    async () =>
      (await kubectl.outcome(['create', '--raw', path, '-f', '-'], { input })).code === 0 ? true : undefined,
    POLL_MS_MAX,
  );
}

/** Requests that a pod has answered, by its own count. Pods are reached over the cluster's link. */
export async function answeredBy(pod: PodObject): Promise<number> {
  const { podIP = '' } = pod.status as { readonly podIP?: string };
  const { body } = await ask(`http://${podIP}:${ADMIN_PORT}/metrics`);
  return sumOf(String(body), 'logtender_admission_requests_total');
}

interface Slice {
  readonly endpoints?: ReadonlyArray<{
    readonly targetRef?: { readonly name?: string };
    readonly conditions?: { readonly ready?: boolean };
  }>;
}

/** Names of the pods whose addresses the Service has as ready. Asked of the API server itself: kubectl takes longer than it may last. */
export async function servingPods(client: KubeClient): Promise<readonly string[]> {
  const path = '/apis/discovery.k8s.io/v1/namespaces/logtender/endpointslices';
  const result = await client.list(path, { labelSelector: `kubernetes.io/service-name=${NAME}` });
  if (!result.ok) throw new Error(`list endpoint slices: expected them, got ${result.text}`);
  return (result.value.items as readonly Slice[])
    .flatMap(({ endpoints = [] }) => endpoints)
    .filter(({ conditions }) => conditions?.ready === true)
    .map(({ targetRef }) => targetRef?.name ?? '');
}

/** The caBundle of each entry, as it stands there. */
export async function caBundles(kubectl: Kubectl): Promise<readonly string[]> {
  const configuration = (await kubectl.get('mutatingwebhookconfiguration', 'logtender-injector')) as {
    readonly webhooks: ReadonlyArray<{ readonly clientConfig: { readonly caBundle?: string } }>;
  };
  return configuration.webhooks.map(({ clientConfig }) => clientConfig.caBundle ?? '');
}
