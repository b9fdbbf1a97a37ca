/**
 * Mounts of the user at the directories that are shipped.
 *
 * Pure. May import: core, config.
 */
import { listAt, member, textAt } from './json.ts';
import { isInside, normalized } from './mount-path.ts';
import { VOLUME } from './names.ts';
import type { ContainerView, MountView, VolumeView } from './pod.ts';

/** Volume sources that end with their pod; files on any other meet the next pod as well. */
const ENDS_WITH_POD = ['emptyDir', 'ephemeral', 'csi'];
/** Volume sources that hold configuration or credentials and never logs. */
const NO_LOGS = ['secret', 'configMap', 'downwardAPI', 'projected', 'image'];

/** True for a volume on which logs can lie. */
export function mayHoldLogs(volume: VolumeView): boolean {
  return !NO_LOGS.some((source) => member(volume.raw, source) !== undefined);
}

/** True for a volume that is gone with its pod, as our positions are. */
export function endsWithPod(volume: VolumeView): boolean {
  return ENDS_WITH_POD.some((source) => member(volume.raw, source) !== undefined);
}

/** The mounts of a container without ours. */
export function mountsOfOthers(container: ContainerView): readonly MountView[] {
  return container.mounts.filter((mount) => mount.volume !== VOLUME.logs);
}

/** The deepest mount of the container at or above the directory. */
export function mountAt(container: ContainerView, directory: string): MountView | undefined {
  return mountsOfOthers(container)
    .filter((candidate) => isInside(directory, normalized(candidate.path)))
    .toSorted((a, b) => normalized(b.path).length - normalized(a.path).length)[0];
}

/** True where the container cannot write below the mount. */
export function isReadOnly(mount: MountView | undefined): boolean {
  return mount !== undefined && member(mount.raw, 'readOnly') === true;
}

/** A block device that the container has as a file. */
interface DeviceView {
  readonly volume: string;
  readonly path: string;
}

/**
 * The block device of the container at or above the directory: nothing can lie there, and the API server refuses a mount at the path of
 * a device (API reference, Container `volumeDevices`).
 */
export function deviceAt(container: ContainerView, directory: string): DeviceView | undefined {
  for (const device of listAt(container.raw, 'volumeDevices')) {
    const path = textAt(device, 'devicePath');
    if (path === undefined || !isInside(directory, normalized(path))) continue;
    return { volume: textAt(device, 'name') ?? '', path };
  }
  return undefined;
}

/**
 * A mount of the container below the directory of a glob that holds what the glob means, as far as it can be told. The sidecar sees the
 * directory without it.
 */
export function mountWithin(
  container: ContainerView,
  glob: { readonly path: string; readonly directory: string },
): MountView | undefined {
  const pattern = glob.path.slice(glob.directory.length + 1).split('/');
  return mountsOfOthers(container).find((mount) => {
    const path = normalized(mount.path);
    if (path === glob.directory || !isInside(path, glob.directory)) return false;
    return mayMeet(path.slice(glob.directory.length + 1).split('/'), pattern);
  });
}

/** True where a file at the mount, or one that lies in it, may match the pattern. */
function mayMeet(mount: readonly string[], pattern: readonly string[]): boolean {
  for (const [i, name] of mount.entries()) {
    const part = pattern[i];
    if (part === undefined) return false;
    if (part.includes('**')) return true;
    if (!mayMatch(name, part)) return false;
  }
  return true;
}

/** By the text before the first pattern character and after the last: any more could take time without bound. */
function mayMatch(name: string, part: string): boolean {
  const [head = ''] = part.split(/[*?[]/, 1);
  if (head === part) return name === part;
  const tail = /[^*?\]]*$/.exec(part)?.[0] ?? '';
  return name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail);
}
