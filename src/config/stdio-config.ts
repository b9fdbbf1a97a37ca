/**
 * How stdout and stderr of the pod's containers reach the forwarder, as the webhook writes it into env.
 *
 * May import: core, config.
 */
import type { FileGlob } from './forwarder-config.ts';
import type { Reader } from './fields.ts';

/** `node`: the kubelet's own files; `api`: the API server, a spill log in the state folder between. */
export const STDIO_WAYS = ['node', 'api'] as const;
export type StdioWay = (typeof STDIO_WAYS)[number];

export const STDIO_ENV = {
  way: 'STDIO',
  containers: 'STDIO_CONTAINERS',
  tokenDir: 'STDIO_TOKEN_DIR',
} as const;

/** Where the sidecar sees the pod's own directory of the node. */
export const STDIO_DIR = '/logtender/stdio';
/** Where client libraries look for the token of the pod's account (ServiceAccount admission, DefaultAPITokenMountPath). */
export const ACCOUNT_TOKEN_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface StdioConfig {
  readonly way: StdioWay;
  /** Whose, init containers included; ours is never among them. */
  readonly containers: readonly string[];
  /** Folder with `token` and `ca.crt` for the API server. */
  readonly tokenDir: string;
}

/** Reads it; undefined where stdio is not shipped. */
export function readStdioConfig(reader: Reader): StdioConfig | undefined {
  const way = reader.oneOf<StdioWay, undefined>(STDIO_ENV.way, STDIO_WAYS, undefined);
  const containers = reader.list(STDIO_ENV.containers, [], CONTAINER);
  const tokenDir = reader.text(STDIO_ENV.tokenDir, ACCOUNT_TOKEN_DIR);
  return way === undefined ? undefined : { way, containers, tokenDir };
}

/** A container's name is a directory's here: no path. */
const CONTAINER = {
  expected: 'names of containers',
  test: (text: string): boolean => /^[^/\0]+$/.test(text) && text !== '.' && text !== '..',
};

/** Where stdio stands: what the records call the folder, where the sidecar sees it, and where what was compressed is unpacked to. */
export interface StdioPlaces {
  /** With the slash at its end. Every source below it is stdio, and no other. */
  readonly root: string;
  readonly mount: string;
  readonly unpacked: string;
}

/**
 * The kubelet's directory of a pod is `<namespace>_<name>_<uid>`, one folder a container in it, one file a start of the container
 * (kubernetes/kubernetes, pkg/kubelet/kuberuntime/helpers.go, BuildPodLogsDirectory). The spill log is laid out alike.
 */
export function stdioPlaces(
  { way }: StdioConfig,
  pod: { readonly namespace: string; readonly pod: string; readonly uid: string },
  stateDir: string,
): StdioPlaces {
  const unpacked = `${stateDir}/unpacked`;
  if (way === 'api') return { root: `${stateDir}/stdio/`, mount: `${stateDir}/stdio`, unpacked };
  return { root: `/var/log/pods/${pod.namespace}_${pod.pod}_${pod.uid}/`, mount: STDIO_DIR, unpacked };
}

/** The files of stdio as globs like those of the user. */
export function stdioGlobs({ way, containers }: StdioConfig, { root, mount, unpacked }: StdioPlaces): FileGlob[] {
  return containers.flatMap((container) => {
    const glob = { container, path: `${root}${container}/*.log`, directory: `${root}${container}` };
    const live = { ...glob, mount: `${mount}/${container}` };
    return way === 'node' ? [live, { ...glob, mount: `${unpacked}/${container}` }] : [live];
  });
}
