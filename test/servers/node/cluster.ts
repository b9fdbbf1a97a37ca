/**
 * A whole cluster of one node: the control plane on loopback, real kubelet, real containers, real Service routing by kube-proxy.
 *
 * Pods reach the API server by the Service `kubernetes`, and what `expose` names, through relays at the machine's end of the link;
 * nothing else outside the node. There is no DNS. May import: node:, test/servers.
 */
import { defaultPreparation, type Preparation } from '../cache.ts';
import { buildKubernetes, kubernetesAvailability } from '../kubernetes/build.ts';
import { startControlPlane, type ControlPlane } from '../kubernetes/control-plane.ts';
import type { ManagedProcess } from '../managed-process.ts';
import type { Availability, RunningServer, ServerKind } from '../server-kind.ts';
import { createWorkFolder, discardWorkFolder } from '../work-folder.ts';
import type { Addresses } from './addresses.ts';
import { NODE_NAME } from './configuration.ts';
import { processesOf, usageOf, type Usage } from './control-groups.ts';
import { missingForNode } from './host.ts';
import { claimAddresses, releaseAddresses } from './link.ts';
import { createNode, type Kubelet, type Node } from './node.ts';
import { buildPodProgram, writePodImages } from './pod-images.ts';
import { startRelay, type Relay } from './relay.ts';
import { prepareRuntime, runtimeIsPrepared } from './runtime-packages.ts';

export interface RealCluster extends RunningServer {
  readonly plane: ControlPlane;
  readonly addresses: Addresses;
  readonly containerd: ManagedProcess;
  readonly kubelet: Kubelet;
  /** The URL under which pods reach a server that listens on this machine's loopback. */
  expose(url: string): Promise<string>;
  /** Makes the image of an archive (OCI layout as tar) known to the node. */
  importImage(archive: string): Promise<void>;
  /** What a container uses, by its control group; undefined when it has none. @param containerId as in a pod's status */
  usage(containerId: string): Usage | undefined;
  /** Where this machine sees a path of the node. */
  nodePath(path: string): string;
  /** Its process ids, as this machine numbers them. */
  processes(containerId: string): readonly number[];
}

/** Starts all parts; about 10 s. */
export async function startCluster(preparation: Preparation = defaultPreparation()): Promise<RealCluster> {
  const [binaries, runtime, init] = [
    await buildKubernetes(preparation),
    await prepareRuntime(preparation),
    await buildPodProgram(preparation),
  ];
  const work = createWorkFolder('node');
  const addresses = await claimAddresses();
  const relays: Relay[] = [];
  let node: Node | undefined;
  let plane: ControlPlane | undefined;
  const stop = async (): Promise<void> => {
    try {
      await node?.stop();
    } finally {
      // Whatever the node left behind, the rest still goes.
      await releaseAddresses(addresses);
      await Promise.all(relays.map((relay) => relay.stop()));
      await plane?.stop();
      discardWorkFolder(work);
    }
  };
  const relayTo = async (url: string): Promise<number> => {
    const relay = await startRelay(addresses.host, Number(new URL(url).port));
    relays.push(relay);
    return relay.port;
  };
  try {
    // Both take seconds and neither waits for the other.
    const [started, created] = await Promise.allSettled([
      startControlPlane(controlPlaneOptions(addresses), preparation),
      createNode({ work, addresses, runtime, binaries, init }),
    ]);
    if (started.status === 'fulfilled') plane = started.value;
    if (created.status === 'fulfilled') node = created.value;
    if (plane === undefined) throw reasonOf(started);
    if (node === undefined) throw reasonOf(created);
    const own = node;
    const apiPort = await relayTo(plane.url);
    for (const archive of writePodImages(init, work)) await own.importImage(archive);
    await publishApiServer(plane, addresses, apiPort);
    const { request, credentials } = plane;
    const url = `https://${addresses.host}:${apiPort}`;
    const kubelet = await own.join({
      kubeletKubeconfig: credentials.kubeconfig('kubelet.kubeconfig', 'system:node:node-1', url),
      kubeProxyKubeconfig: credentials.kubeconfig('kube-proxy.kubeconfig', 'system:kube-proxy', url),
      clientCa: credentials.files.certificate,
      ready: async () => isReady((await request('GET', `/api/v1/nodes/${NODE_NAME}`)).body),
    });
    const ownPlane = plane;
    return {
      plane: ownPlane,
      addresses,
      containerd: own.containerd,
      kubelet,
      url: ownPlane.url,
      folder: work,
      logFiles: [...own.logFiles, ...ownPlane.logFiles],
      get pids() {
        return { ...ownPlane.pids, ...own.pids };
      },
      expose: async (target) => {
        const { protocol } = new URL(target);
        return `${protocol}//${addresses.host}:${await relayTo(target)}`;
      },
      importImage: (archive) => own.importImage(archive),
      nodePath: (path) => own.pathOf(path),
      usage: (id) => usageOf(addresses.group, id),
      processes: (id) => processesOf(addresses.group, id),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function controlPlaneOptions(addresses: Addresses): Parameters<typeof startControlPlane>[0] {
  return {
    addresses: [addresses.host, addresses.kubernetes],
    apiServerFlags: ({ files }) => [
      `--service-cluster-ip-range=${addresses.serviceRange}`,
      '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-client-certificate=${files.certificate}`,
      `--kubelet-client-key=${files.key}`,
    ],
  };
}

function reasonOf(result: PromiseSettledResult<unknown>): Error {
  if (result.status === 'fulfilled') return new Error('start cluster: expected a reason, got none');
  return result.reason instanceof Error ? result.reason : new Error(String(result.reason));
}

/** The Service `kubernetes` leads to the relay: the API server itself cannot name a loopback address as its endpoint. */
async function publishApiServer(plane: ControlPlane, addresses: Addresses, port: number): Promise<void> {
  await plane.kubectl(['create', '-f', '-'], {
    input: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      ports: [{ name: 'https', port, protocol: 'TCP' }],
      endpoints: [{ addresses: [addresses.host], conditions: { ready: true } }],
    },
  });
}

/** Ready, and without the taint that every new node has: the scheduler may use it. */
function isReady(body: unknown): boolean {
  const { status, spec } = body as {
    readonly status?: { readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }> };
    readonly spec?: { readonly taints?: readonly unknown[] };
  };
  const ready = status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True');
  return ready === true && (spec?.taints ?? []).length === 0;
}

async function availability(cache: string): Promise<Availability> {
  const missing = missingForNode(cache);
  if (missing !== undefined) return { available: false, ...missing };
  const kubernetes = await kubernetesAvailability(cache);
  if (!kubernetes.available) return kubernetes;
  return { available: true, prepared: kubernetes.prepared && runtimeIsPrepared(cache) };
}

export const cluster: ServerKind<RealCluster> = {
  availability,
  prepare: async (preparation) => {
    await prepareRuntime(preparation);
    await buildKubernetes(preparation);
    await buildPodProgram(preparation);
  },
  start: (preparation) => startCluster(preparation),
};
