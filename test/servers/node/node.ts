/**
 * One node: containerd, kubelet and kube-proxy, in namespaces of their own, for a control plane on this machine's loopback.
 *
 * Invariants: each of the three can be ended and started again while pods live on; `stop` leaves no process, mount, link, control group
 * or loop device. May import: node:, src/core, test/servers.
 */
import { existsSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../../src/core/clock.ts';
import { ask } from '../http-json.ts';
import { ManagedProcess } from '../managed-process.ts';
import type { Addresses } from './addresses.ts';
import {
  containerdConfiguration,
  KUBELET_FOLDER,
  KUBELET_HEALTH_PORT,
  kubeletConfiguration,
  kubeProxyConfiguration,
  NODE_NAME,
  podNetwork,
  RUNTIME_SOCKET,
} from './configuration.ts';
import { createGroup, removeGroup } from './control-groups.ts';
import { createNamespaces, type Namespaces } from './namespaces.ts';
import type { RuntimePrograms } from './runtime-packages.ts';

const READY_MS_MAX = 60_000;
const IMPORT_MS_MAX = 120_000;
/** The runtime is initialized a fraction of a second after it listens. */
const KUBELET_STARTS_MAX = 10;
const KUBELET_PAUSE_MS = 500;

export interface NodeSpec {
  readonly work: string;
  readonly addresses: Addresses;
  readonly runtime: RuntimePrograms;
  /** Folder with kubelet and kube-proxy. */
  readonly binaries: string;
  /** Process 1 of the node. */
  readonly init: string;
}

/** What the kubelet and kube-proxy need of the control plane. */
export interface NodeAccess {
  readonly kubeletKubeconfig: string;
  readonly kubeProxyKubeconfig: string;
  /** PEM file: who shows a certificate of it may ask the kubelet. */
  readonly clientCa: string;
  /** True once the control plane sees the node as Ready. */
  readonly ready: () => Promise<boolean>;
}

export interface Node {
  readonly containerd: ManagedProcess;
  /** Makes an archive of an image known under the name in it. */
  importImage(archive: string): Promise<void>;
  /** Starts kubelet and kube-proxy and waits until the node is Ready. */
  join(access: NodeAccess): Promise<Kubelet>;
  /** Where this machine sees a path of the node. */
  pathOf(path: string): string;
  readonly pids: Readonly<Record<string, number>>;
  readonly logFiles: readonly string[];
  stop(): Promise<void>;
}

/** The kubelet, which can be away for a while; pods live on. */
export interface Kubelet {
  halt(): Promise<void>;
  resume(): Promise<void>;
}

/** Makes the namespaces and starts the container runtime. */
export async function createNode(spec: NodeSpec): Promise<Node> {
  const { work, addresses, runtime } = spec;
  // Left over from a run that was killed: the link was free, so nobody is in it.
  await removeGroup(addresses.group);
  createGroup(addresses.group);
  let namespaces: Namespaces | undefined;
  const processes: ManagedProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((process) => process.halt('SIGKILL')));
    await namespaces?.stop();
    rmSync(join(work, 'disk.ext4'), { force: true });
    if (!(await removeGroup(addresses.group)))
      throw new Error(`remove control groups of ${addresses.group}: expected them empty, got processes in them`);
  };
  try {
    const inner = await createNamespaces({ work, addresses, init: spec.init, hostName: NODE_NAME });
    namespaces = inner;
    const part = nodeProcesses(spec, inner);
    const containerd = part.containerd();
    processes.push(containerd);
    await containerd.start();
    return {
      containerd,
      importImage: async (archive) => {
        const args = ['--namespace', 'k8s.io', 'images', 'import', archive];
        const { code, stdout, stderr } = await inner.run(runtime.ctr, args, { timeoutMs: IMPORT_MS_MAX });
        if (code !== 0) throw new Error(`import ${archive}: expected exit code 0, got ${code}: ${stdout}${stderr}`);
      },
      join: async (access) => {
        const kubelet = part.kubelet(access);
        const kubeProxy = part.kubeProxy(access);
        processes.unshift(kubelet, kubeProxy);
        await Promise.all([startPatiently(kubelet), kubeProxy.start()]);
        return { halt: () => kubelet.halt('SIGKILL'), resume: () => startPatiently(kubelet) };
      },
      pathOf: (path) => `/proc/${inner.firstPid()}/root${path}`,
      get pids() {
        return Object.fromEntries(processes.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid]])));
      },
      logFiles: ['containerd', 'kubelet', 'kube-proxy', 'node-init'].map((name) => join(work, `${name}.log`)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * As a service manager does it: a kubelet that finds the runtime listening but not initialized yet ends with an error, and is started
 * again.
 */
async function startPatiently(kubelet: ManagedProcess): Promise<void> {
  for (let start = 1; ; start += 1) {
    try {
      return await kubelet.start();
    } catch (error) {
      if (start === KUBELET_STARTS_MAX) throw error;
      await systemClock.sleep(KUBELET_PAUSE_MS);
    }
  }
}

interface NodeProcesses {
  containerd(): ManagedProcess;
  kubelet(access: NodeAccess): ManagedProcess;
  kubeProxy(access: NodeAccess): ManagedProcess;
}

function nodeProcesses(spec: NodeSpec, namespaces: Namespaces): NodeProcesses {
  const { work, addresses, runtime, binaries } = spec;
  const write = (name: string, text: string): string => {
    const path = join(work, name);
    writeFileSync(path, text);
    return path;
  };
  const part = (
    name: string,
    program: string,
    args: readonly string[],
    ready: () => Promise<boolean>,
  ): ManagedProcess =>
    new ManagedProcess({
      name,
      ...namespaces.inside(program, args),
      env: { PATH: `${runtime.path}:${process.env['PATH'] ?? ''}`, LD_LIBRARY_PATH: runtime.libraries },
      cwd: '/',
      logFile: join(work, `${name}.log`),
      ready,
      readyMsMax: READY_MS_MAX,
    });
  return {
    containerd: () => {
      const networks = join(work, 'networks');
      mkdirSync(networks, { recursive: true });
      writeFileSync(join(networks, '10-pods.conflist'), podNetwork(addresses));
      const config = write(
        'containerd.toml',
        containerdConfiguration({ runc: runtime.runc, plugins: runtime.plugins, networks }),
      );
      const socket = (): string => `/proc/${namespaces.firstPid()}/root${RUNTIME_SOCKET}`;
      return part('containerd', runtime.containerd, ['--config', config], () => answers(socket()));
    },
    kubelet: ({ clientCa, kubeletKubeconfig, ready }) => {
      const resolvConf = write('resolv.conf', '');
      const config = write('kubelet.json', kubeletConfiguration({ addresses, clientCa, resolvConf }));
      const args = [
        `--config=${config}`,
        `--kubeconfig=${kubeletKubeconfig}`,
        `--root-dir=${KUBELET_FOLDER}`,
        `--cert-dir=${KUBELET_FOLDER}/pki`,
        `--hostname-override=${NODE_NAME}`,
        `--node-ip=${addresses.node}`,
      ];
      const health = `http://${addresses.node}:${KUBELET_HEALTH_PORT}/healthz`;
      // The control plane remembers a node as Ready for a while after its kubelet is gone: the kubelet itself is asked as well.
      const lives = async (): Promise<boolean> => (await ask(health)).status === 200 && (await ready());
      return part('kubelet', join(binaries, 'kubelet'), args, lives);
    },
    kubeProxy: ({ kubeProxyKubeconfig }) => {
      const config = write('kube-proxy.json', kubeProxyConfiguration(kubeProxyKubeconfig, addresses));
      // That it works is seen by the first pod that finds the API server.
      return part('kube-proxy', join(binaries, 'kube-proxy'), [`--config=${config}`], async () => true);
    },
  };
}

/** Whether somebody listens at that Unix socket. */
function answers(path: string): Promise<boolean> {
  if (!existsSync(path)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (is: boolean) => (): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', end(true));
    socket.once('error', end(false));
  });
}
