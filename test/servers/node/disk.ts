/**
 * A disk of the node's own for images, containers and volumes: a file, as a loop device with the read-ahead of a cloud node.
 *
 * Why: under a memory limit each major fault on a program's text reads `read_ahead_kb` into the group. Where the machine's own disk
 * has 8 MiB there, Node seems to thrash in 48 MiB; the kernel's default and that of cloud disks is 128 KiB.
 * Invariant: the device lives as long as the mount: it is detached at once, which takes effect when its last user is gone (losetup(8)).
 * May import: node:.
 */
import { ftruncateSync, openSync, closeSync } from 'node:fs';

/** Sparse: what is not written takes no room. */
const DISK_BYTES = 8 * 1024 ** 3;
const READ_AHEAD_KIB = 128;

/** Makes the file; `mountDisk` formats it. */
export function createDisk(path: string): void {
  const file = openSync(path, 'wx', 0o600);
  ftruncateSync(file, DISK_BYTES);
  closeSync(file);
}

/** Shell commands that format the file and mount it at `target`, in the mount namespace in which they run. */
export function mountDisk(path: string, target: string): string {
  return `
mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1 '${path}'
device=$(losetup --show --find --direct-io=on '${path}' 2>/dev/null || losetup --show --find '${path}')
echo ${READ_AHEAD_KIB} > "/sys/block/\${device#/dev/}/queue/read_ahead_kb"
mount -o noatime "$device" '${target}'
losetup --detach "$device"
`;
}
