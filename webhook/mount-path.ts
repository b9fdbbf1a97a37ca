/**
 * Paths of mounts, compared.
 *
 * Pure. May import: node:path only.
 */
import { posix } from 'node:path';

/** True when `path` is `directory` or lies in it. */
export function isInside(path: string, directory: string): boolean {
  if (!path.startsWith(directory)) return false;
  return path.length === directory.length || directory === '/' || path[directory.length] === '/';
}

/** Most paths by far: from the root, without a part that is empty, `.` or `..`. */
const PLAIN = /^(?:\/(?!\.{0,2}(?:\/|$))[^/]+)+$/;

/**
 * The place in the container that a mount path means: `/var/log//app/`, `/var/log/x/../app` and `var/log/app` are all `/var/log/app`.
 * The API server takes each of them as it stands, the kubelet begins a relative one at the root, and the runtime cleans them
 * (kubernetes/kubernetes, pkg/kubelet, makeMounts; OCI runtime specification, "Mounts").
 */
export function normalized(path: string): string {
  if (PLAIN.test(path)) return path;
  const text = posix.normalize(`/${path}`);
  return text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text;
}
