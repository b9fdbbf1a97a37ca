/**
 * Runs an injected sidecar as a process on this machine: same entry, arguments and env as in the patched pod.
 *
 * One documented mapping stands between the two: a path P that container C sees is `<root>/<C>/P` here, each mount of a volume is a
 * link to `<root>/volumes/<volume>/<subPath>`, and the image's `/app/forwarder.mjs` is this package's own entry. The downward API's
 * fields are filled in from the pod, and the termination message has its mapped path in env. May import: core, config, webhook.
 */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ENV, FORWARDER_ENTRY } from '../config/forwarder-config.ts';
import { OperationalError } from '../core/errors.ts';
import { expandAsKubelet } from '../../webhook/env-expansion.ts';

interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
}

interface EnvEntry {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: readonly EnvEntry[];
  readonly volumeMounts?: readonly VolumeMount[];
  readonly terminationMessagePath?: string;
}

/** The fields of a pod that are read here; everything else may be there too. */
export interface RunnablePod {
  readonly metadata: { readonly name?: string; readonly namespace?: string; readonly uid?: string };
  readonly spec: {
    readonly nodeName?: string;
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
}

/** How to start the sidecar, and where the folders of its pod stand. */
export interface SidecarProcess {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where `path`, as container `container` sees it, stands on this machine. */
  readonly locate: (container: string, path: string) => string;
  readonly terminationMessagePath: string;
}

const SIDECAR = 'logtender';
/** The kubelet's default (core/v1 Container, terminationMessagePath). */
const TERMINATION_MESSAGE_PATH = '/dev/termination-log';

/**
 * Lays out the folders of the pod's mounts below `root` and says how to start its sidecar.
 *
 * @param entry what stands for the image's `/app/forwarder.mjs`: an absolute path to a bundle or to `src/main.ts`
 * @throws OperationalError USAGE when the pod has no sidecar
 */
export async function prepareSidecar(pod: RunnablePod, root: string, entry: string): Promise<SidecarProcess> {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const sidecar = all.find((container) => container.name === SIDECAR);
  if (sidecar === undefined) {
    throw new OperationalError('USAGE', `start sidecar: expected a pod with a container ${SIDECAR}, got one without`, {
      hint: 'Its status annotation logging.io/status says why nothing was injected.',
    });
  }
  const locate = (container: string, path: string): string => join(root, container, path);
  for (const container of all) await linkMounts(container, root, locate);
  const message = sidecar.terminationMessagePath ?? TERMINATION_MESSAGE_PATH;
  const terminationMessagePath = locate(SIDECAR, message);
  await mkdir(dirname(terminationMessagePath), { recursive: true });
  // The kubelet makes this file before the container starts.
  await writeFile(terminationMessagePath, '');
  const places = [message, ...(sidecar.volumeMounts ?? []).map((mount) => mount.mountPath)];
  const env = Object.fromEntries(
    (sidecar.env ?? []).map((variable) => [
      variable.name,
      mapPaths(envValue(variable, pod), places, (path) => locate(SIDECAR, path)),
    ]),
  );
  const args = (sidecar.args ?? []).map((arg) => (arg === FORWARDER_ENTRY ? entry : arg));
  return {
    args,
    env: { ...env, [ENV.terminationMessagePath]: terminationMessagePath },
    locate,
    terminationMessagePath,
  };
}

async function linkMounts(container: Container, root: string, locate: SidecarProcess['locate']): Promise<void> {
  // Outer mounts first, so that an inner one is made inside them, as the kubelet does.
  const mounts = (container.volumeMounts ?? []).toSorted((a, b) => a.mountPath.length - b.mountPath.length);
  for (const mount of mounts) {
    const volume = join(root, 'volumes', mount.name, mount.subPath ?? '');
    const place = locate(container.name, mount.mountPath);
    await mkdir(volume, { recursive: true });
    await mkdir(dirname(place), { recursive: true });
    await symlink(volume, place);
  }
}

/** Replaces each mounted place at the beginning of a path inside `value`; the longest place wins. */
function mapPaths(value: string, places: readonly string[], locate: (path: string) => string): string {
  const longestFirst = places.toSorted((a, b) => b.length - a.length).map((place) => RegExp.escape(place));
  const pattern = new RegExp(`(?<=^|")(${longestFirst.join('|')})(?=/|"|$)`, 'g');
  return value.replaceAll(pattern, (place) => locate(place));
}

/** An env entry's value as the kubelet gives it to the process; the webhook never writes a reference to another variable. */
function envValue(variable: EnvEntry, pod: RunnablePod): string {
  const fieldPath = variable.valueFrom?.fieldRef?.fieldPath;
  if (fieldPath === undefined) return expandAsKubelet(variable.value ?? '', new Map());
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
  };
  return fields[fieldPath] ?? '';
}
