/**
 * A Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.
 *
 * Invariants: every part listens on 127.0.0.1 alone; ready means that pods can be created (the service account `default` exists).
 * There is no kubelet: `registerNode` adds a Node that says it is Ready, to which the scheduler binds pods that never run.
 * Controllers, kubectl and `request` use the first API server; the others are there for tests that ask for them.
 * May import: node:, test/servers.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { defaultPreparation, type Preparation } from '../cache.ts';
import { ask } from '../http-json.ts';
import { freePorts } from '../loopback-ports.ts';
import { ManagedProcess } from '../managed-process.ts';
import type { RunningServer, ServerKind } from '../server-kind.ts';
import { createWorkFolder, discardWorkFolder } from '../work-folder.ts';
import { buildKubernetes, kubernetesAvailability, KUBERNETES_VERSION } from './build.ts';
import { apiServer, type ApiServer } from './api-server.ts';
import { controllerManagerArguments, etcdArguments, schedulerArguments } from './arguments.ts';
import { kubectlRunner, registerNode, type Kubectl, type KubectlOptions, type Request } from './clients.ts';
import { writeCredentials, type Credentials } from './credentials.ts';

const READY_MS_MAX = 120_000;
const API_SERVER = 'kube-apiserver';

export interface ControlPlane extends RunningServer {
  readonly version: string;
  /** PEM of what a client must trust. */
  readonly ca: string;
  /** Bearer token of a member of system:masters. */
  readonly adminToken: string;
  readonly credentials: Credentials;
  /** Folder with its binaries. */
  readonly binaries: string;
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
  /** All of them, on one etcd: the one of `url` first. */
  readonly apiServers: readonly ApiServer[];
  /** The first API server away; see ApiServer. */
  haltApiServer(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** On the same port, with the same data; waits until it is ready again. */
  resumeApiServer(): Promise<void>;
}

export interface ControlPlaneOptions {
  /** Added to the flags of each API server; a function gets what it should know of the files. */
  readonly apiServerFlags?: readonly string[] | ((credentials: Credentials) => readonly string[]);
  /** IPv4 addresses beside 127.0.0.1 for which the serving certificate is good. */
  readonly addresses?: readonly string[];
  /** 1 by default. */
  readonly apiServers?: number;
}

/** Name -> process, in no order. */
type Parts = Readonly<Record<'etcd' | 'controllerManager' | 'scheduler', ManagedProcess>>;

/** Starts all parts. */
export async function startControlPlane(
  options: ControlPlaneOptions = {},
  preparation: Preparation = defaultPreparation(),
): Promise<ControlPlane> {
  const binaries = await buildKubernetes(preparation);
  const [etcdPort = 0, peerPort = 0, ...apiPorts] = await freePorts(2 + (options.apiServers ?? 1));
  const work = createWorkFolder('control-plane');
  const url = `https://127.0.0.1:${apiPorts[0]}`;
  const credentials = writeCredentials(work, url, options.addresses ?? []);
  const { apiServerFlags = [] } = options;
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
  const apiServers = apiPorts.map((port, i) =>
    apiServer({
      name: i === 0 ? API_SERVER : `${API_SERVER}-${i + 1}`,
      program: join(binaries, API_SERVER),
      work,
      credentials,
      etcdUrl,
      port,
      flags: typeof apiServerFlags === 'function' ? apiServerFlags(credentials) : apiServerFlags,
    }),
  );
  const [first] = apiServers;
  assert(first !== undefined, 'a control plane has an API server');
  const { request } = first;
  const parts: Parts = {
    etcd: part(
      'etcd',
      etcdArguments(work, etcdPort, peerPort),
      async () => (await ask(`${etcdUrl}/readyz`)).status === 200,
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
    await Promise.all(apiServers.map((server) => server.halt()));
    await parts.etcd.halt('SIGKILL');
    discardWorkFolder(work);
  };
  try {
    await parts.etcd.start();
    await first.resume();
    // One after the other: the first one fills an empty etcd with what every cluster has.
    await Promise.all(apiServers.slice(1).map((server) => server.resume()));
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
    credentials,
    binaries,
    kubeconfig: credentials.files.adminKubeconfig,
    kubectlPath: join(binaries, 'kubectl'),
    folder: work,
    logFiles: [
      ...['etcd', 'kube-controller-manager', 'kube-scheduler'].map(logFile),
      ...apiServers.map((server) => logFile(server.process.name)),
    ],
    get pids() {
      return processIds([...Object.values(parts), ...apiServers.map((server) => server.process)]);
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
    apiServers,
    haltApiServer: (signal) => first.halt(signal),
    resumeApiServer: () => first.resume(),
  };
}

function processIds(processes: readonly ManagedProcess[]): Readonly<Record<string, number>> {
  return Object.fromEntries(processes.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid]])));
}

export const controlPlane: ServerKind<ControlPlane> = {
  availability: kubernetesAvailability,
  prepare: async (preparation) => {
    await buildKubernetes(preparation);
  },
  start: (preparation) => startControlPlane({}, preparation),
};
