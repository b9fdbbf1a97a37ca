/**
 * Configuration files of the container runtime, the network plugin, the kubelet and kube-proxy. Pure; why each line that is not plain
 * addressing is there stands beside it.
 *
 * May import: test/servers/node.
 */
import type { Addresses } from './addresses.ts';

/** The name that pods' sandboxes run under; the image is ours. */
export const PAUSE_IMAGE = 'logtender.test/pause:1';
export const RUNTIME_SOCKET = '/run/containerd/containerd.sock';
export const KUBELET_FOLDER = '/var/lib/kubelet';
export const KUBELET_HEALTH_PORT = 10_248;

/** containerd 1.6 and 1.7 (https://github.com/containerd/containerd/blob/release/1.7/docs/cri/config.md). */
export function containerdConfiguration(paths: {
  readonly runc: string;
  readonly plugins: string;
  readonly networks: string;
}): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${RUNTIME_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  # A machine without CAP_SYS_RESOURCE may not lower an OOM score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "${paths.runc}"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${paths.plugins}"
    conf_dir = "${paths.networks}"
`;
}

/** Each pod has a link of its own to the node's namespace, which routes: no bridge, no address translation between pods. */
export function podNetwork(addresses: Addresses): string {
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: addresses.podRange }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: '/run/cni-addresses',
  };
  return JSON.stringify({ cniVersion: '0.4.0', name: 'pods', plugins: [{ type: 'ptp', ipMasq: false, ipam }] });
}

/** KubeletConfiguration v1beta1 (https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/). */
export function kubeletConfiguration(options: {
  readonly addresses: Addresses;
  /** PEM file of who may ask: the API server shows a certificate of it. */
  readonly clientCa: string;
  readonly resolvConf: string;
}): string {
  const { addresses } = options;
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: options.clientCa },
    },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: `unix://${RUNTIME_SOCKET}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${addresses.group}`,
    // Machines with the older control groups can run it too.
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    makeIPTablesUtilChains: false,
    // The disk of the machine is somebody else's: no pod is evicted for it, and no image goes.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    address: '0.0.0.0',
    readOnlyPort: 0,
    // Asked from the machine's own namespace whether it lives.
    healthzBindAddress: '0.0.0.0',
    healthzPort: KUBELET_HEALTH_PORT,
    clusterDomain: 'cluster.local',
    clusterDNS: [addresses.dns],
    resolvConf: options.resolvConf,
    volumePluginDir: `${KUBELET_FOLDER}/volume-plugins`,
    // Logs of containers are rotated while a test looks: the least that the kubelet takes, 10 MiB and 10 s by default.
    containerLogMaxSize: '1Mi',
    containerLogMonitorInterval: '3s',
    // A crash loop waits 10, 20, 40 s otherwise; what is looked at is what becomes of its lines, and they come faster so.
    crashLoopBackOff: { maxContainerRestartPeriod: '4s' },
    // How full volumes are is looked at each minute otherwise, and a pod that is to be evicted for it lives as long.
    volumeStatsAggPeriod: '5s',
    // Tests wait for what changed in a pod.
    syncFrequency: '10s',
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
  });
}

/** KubeProxyConfiguration v1alpha1: real Service routing, by nftables (GA since Kubernetes 1.33). */
export function kubeProxyConfiguration(kubeconfig: string, addresses: Addresses): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig },
    clusterCIDR: addresses.podRange,
    hostnameOverride: NODE_NAME,
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    // Limits of the whole machine's connection table are not ours to change.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    nftables: { syncPeriod: '30s', minSyncPeriod: '50ms' },
  });
}

/** Its user is system:node:node-1. */
export const NODE_NAME = 'node-1';
