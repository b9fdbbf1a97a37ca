/**
 * A Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.
 *
 * Invariants: every part listens on 127.0.0.1 alone; ready means that pods can be created (the service account `default` exists).
 * There is no kubelet: `registerNode` adds a Node that says it is Ready, to which the scheduler binds pods that never run.
 * May import: node:, test/servers.
 */
import { join } from 'node:path';
import { defaultPreparation, type Preparation } from '../cache.ts';
import { ask } from '../http-json.ts';
import { freePorts } from '../loopback-ports.ts';
import { ManagedProcess } from '../managed-process.ts';
import type { RunningServer, ServerKind } from '../server-kind.ts';
import { createWorkFolder, discardWorkFolder } from '../work-folder.ts';
import { buildKubernetes, kubernetesAvailability, KUBERNETES_VERSION } from './build.ts';
import { apiServerArguments, controllerManagerArguments, etcdArguments, schedulerArguments } from './arguments.ts';
import { kubectlRunner, registerNode, requester, type Kubectl, type KubectlOptions, type Request } from './clients.ts';
import { writeCredentials } from './credentials.ts';

const READY_MS_MAX = 120_000;

export interface ControlPlane extends RunningServer {
  readonly version: string;
  /** PEM of what a client must trust. */
  readonly ca: string;
  /** Bearer token of a member of system:masters. */
  readonly adminToken: string;
  /** Path of a kubeconfig with that token. */
  readonly kubeconfig: string;
  /** Path of the kubectl of the same version. */
  readonly kubectlPath: string;
  /** stdout of kubectl; rejects with its stderr when the exit code is not 0. */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<string>;
  /** Exit code, stdout and stderr of kubectl. */
  readonly kubectlOutcome: Kubectl;
  /** One request to the API server as admin. `path` begins with `/api`. */
  readonly request: Request;
  /** Adds a Node that is Ready, and waits until the scheduler may use it. */
  registerNode(options?: { readonly name?: string; readonly kubeletVersion?: string }): Promise<void>;
  /** At once by default: on SIGTERM it would wait for the watches of its clients, longer than a test can. etcd holds the data. */
  haltApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** On the same port, with the same data; waits until it is ready again. */
  resumeApiServer(): Promise<void>;
}

interface Parts {
  readonly etcd: ManagedProcess;
  readonly apiServer: ManagedProcess;
  readonly controllerManager: ManagedProcess;
  readonly scheduler: ManagedProcess;
}

/** Starts all four parts. `apiServerFlags` are added to those of the API server. */
export async function startControlPlane(
  options: { readonly apiServerFlags?: readonly string[] } = {},
  preparation: Preparation = defaultPreparation(),
): Promise<ControlPlane> {
  const binaries = await buildKubernetes(preparation);
  const [etcdPort = 0, peerPort = 0, apiPort = 0] = await freePorts(3);
  const work = createWorkFolder('control-plane');
  const url = `https://127.0.0.1:${apiPort}`;
  const credentials = writeCredentials(work, url);
  const request = requester(url, credentials);
  const logFile = (name: string): string => join(work, `${name}.log`);
  const part = (name: string, args: readonly string[], ready: () => Promise<boolean>): ManagedProcess =>
    new ManagedProcess({
      name,
      program: join(binaries, name),
      args,
      cwd: work,
      logFile: logFile(name),
      ready,
      readyMsMax: READY_MS_MAX,
    });
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const parts: Parts = {
    etcd: part(
      'etcd',
      etcdArguments(work, etcdPort, peerPort),
      async () => (await ask(`${etcdUrl}/readyz`)).status === 200,
    ),
    apiServer: part(
      'kube-apiserver',
      [...apiServerArguments(credentials, etcdUrl, apiPort), ...(options.apiServerFlags ?? [])],
      async () => (await request('GET', '/readyz')).status === 200,
    ),
    // Neither listens; that they work is seen by what they do.
    controllerManager: part('kube-controller-manager', controllerManagerArguments(credentials), async () => {
      return (await request('GET', '/api/v1/namespaces/default/serviceaccounts/default')).status === 200;
    }),
    scheduler: part('kube-scheduler', schedulerArguments(credentials), async () => true),
  };
  const stop = async (): Promise<void> => {
    // Clients before servers, so that nobody logs that its server went away. Data is throw-away: no grace.
    await Promise.all([parts.scheduler.halt('SIGKILL'), parts.controllerManager.halt('SIGKILL')]);
    await parts.apiServer.halt('SIGKILL');
    await parts.etcd.halt('SIGKILL');
    discardWorkFolder(work);
  };
  try {
    await parts.etcd.start();
    await parts.apiServer.start();
    await Promise.all([parts.controllerManager.start(), parts.scheduler.start()]);
  } catch (error) {
    await stop();
    throw error;
  }
  const kubectl = kubectlRunner(join(binaries, 'kubectl'), credentials.files.adminKubeconfig, work);
  return {
    version: KUBERNETES_VERSION,
    url,
    ca: credentials.ca,
    adminToken: credentials.adminToken,
    kubeconfig: credentials.files.adminKubeconfig,
    kubectlPath: join(binaries, 'kubectl'),
    folder: work,
    logFiles: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'].map(logFile),
    get pids() {
      return processIds(parts);
    },
    stop,
    request,
    kubectlOutcome: kubectl,
    kubectl: async (args, kubectlOptions) => {
      const outcome = await kubectl(args, kubectlOptions);
      if (outcome.code === 0) return outcome.stdout;
      throw new Error(`kubectl ${args.join(' ')}: expected exit code 0, got ${outcome.code}: ${outcome.stderr.trim()}`);
    },
    registerNode: ({ name = 'fake-node', kubeletVersion = KUBERNETES_VERSION } = {}) =>
      registerNode(request, name, kubeletVersion),
    haltApiServer: (signal = 'SIGKILL') => parts.apiServer.halt(signal),
    resumeApiServer: () => parts.apiServer.start(),
  };
}

function processIds(parts: Parts): Readonly<Record<string, number>> {
  const named: ReadonlyArray<readonly [name: string, part: ManagedProcess]> = [
    ['etcd', parts.etcd],
    ['kube-apiserver', parts.apiServer],
    ['kube-controller-manager', parts.controllerManager],
    ['kube-scheduler', parts.scheduler],
  ];
  return Object.fromEntries(named.flatMap(([name, { pid }]) => (pid === undefined ? [] : [[name, pid]])));
}

export const controlPlane: ServerKind<ControlPlane> = {
  availability: kubernetesAvailability,
  prepare: async (preparation) => {
    await buildKubernetes(preparation);
  },
  start: (preparation) => startControlPlane({}, preparation),
};
