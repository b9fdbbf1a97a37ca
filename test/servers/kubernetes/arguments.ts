/**
 * The command lines of the control plane, pure. Why each flag that is not plain addressing is there stands beside it.
 *
 * May import: test/servers/kubernetes/credentials.ts (types).
 */
import { join } from 'node:path';
import type { Credentials } from './credentials.ts';

export function etcdArguments(work: string, clientPort: number, peerPort: number): readonly string[] {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    `--data-dir=${join(work, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // Throw-away data: a power cut may lose it, an fsync per write would make every test wait for the disk.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

export function apiServerArguments(credentials: Credentials, etcdUrl: string, port: number): readonly string[] {
  const { files } = credentials;
  return [
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--advertise-address=127.0.0.1',
    // The Service `kubernetes` has no endpoints: loopback is refused as an endpoint address.
    '--endpoint-reconciler-type=none',
    `--tls-cert-file=${files.certificate}`,
    `--tls-private-key-file=${files.key}`,
    `--token-auth-file=${files.tokens}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${files.serviceAccountPublicKey}`,
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--allow-privileged=true',
    '--profiling=false',
  ];
}

export function controllerManagerArguments({ files }: Credentials): readonly string[] {
  return [
    `--kubeconfig=${files.controllerManagerKubeconfig}`,
    `--service-account-private-key-file=${files.serviceAccountKey}`,
    `--root-ca-file=${files.certificate}`,
    // Each controller under an account of its own, as every installer sets it: the user of the kubeconfig alone may do too little.
    '--use-service-account-credentials=true',
    '--secure-port=0',
    '--leader-elect=false',
    // With the built-in 20 per second the service account `default` of a new namespace comes after 5 s instead of 0.5 s.
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
    // Nobody renews the heartbeat of a Node without kubelet; with the built-in value it is NotReady after 56 s.
    '--node-monitor-grace-period=24h',
  ];
}

export function schedulerArguments({ files }: Credentials): readonly string[] {
  return [`--kubeconfig=${files.schedulerKubeconfig}`, '--secure-port=0', '--leader-elect=false'];
}
