/**
 * A Node object that looks as if a kubelet had registered it, pure.
 *
 * May import: nothing.
 */

/** The object to create; its status is not taken at creation. */
export function fakeNode(name: string): Readonly<Record<string, unknown>> {
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} };
}

/**
 * The status that makes it Ready (API reference, NodeStatus).
 *
 * @param kubeletVersion such as `v1.36.3`
 * @param nowMs wall clock, milliseconds since the epoch
 */
export function nodeStatus(name: string, kubeletVersion: string, nowMs: number): Readonly<Record<string, unknown>> {
  const now = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  const resources = { cpu: '64', memory: '256Gi', pods: '10000', 'ephemeral-storage': '1Ti' };
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: 'InternalIP', address: '127.0.0.1' },
      { type: 'Hostname', address: name },
    ],
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'registered by a test',
        lastHeartbeatTime: now,
        lastTransitionTime: now,
      },
    ],
    nodeInfo: {
      kubeletVersion,
      kubeProxyVersion: '',
      containerRuntimeVersion: 'none://0',
      operatingSystem: 'linux',
      architecture: 'amd64',
      osImage: 'none',
      kernelVersion: 'none',
      machineID: name,
      systemUUID: name,
      bootID: name,
    },
  };
}
