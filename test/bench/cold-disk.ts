/**
 * A disk of our own whose page cache can be emptied without touching the machine's: an ext4 image on a loop device, with the read-ahead
 * that nodes usually have. Linux, root.
 *
 * Read-ahead matters under a memory limit: each fault on the program's text pulls so much into the group (128 KiB is the kernel's
 * default, VM_READAHEAD_PAGES; disks with several MiB make a small group thrash).
 */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errorText } from '../../src/core/errors.ts';

const READ_AHEAD_KIB = 128;

export interface ColdDisk {
  /** Where it is mounted. */
  readonly folder: string;
  /** Nothing of it is in memory any more. Nobody may hold a file of it open. */
  chill(): void;
  remove(): void;
}

/**
 * Makes one of `sizeMib` under `root`, an existing folder.
 *
 * @returns why it cannot be had, in words, where it cannot
 */
export function makeColdDisk(root: string, sizeMib: number): ColdDisk | string {
  const image = join(root, 'disk.img');
  const folder = join(root, 'disk');
  let device = '';
  const run = (program: string, ...args: readonly string[]): string =>
    execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  const mount = (): void => void run('mount', '-o', 'noatime', device, folder);
  const remove = (): void => {
    process.off('exit', remove);
    // Lazily: a process that still stands in it must not keep the device.
    if (device !== '') run('umount', '-l', folder);
    if (device !== '') run('losetup', '-d', device);
    device = '';
  };
  try {
    mkdirSync(folder);
    const file = openSync(image, 'w');
    ftruncateSync(file, sizeMib * 2 ** 20);
    closeSync(file);
    run('mkfs.ext4', '-q', image);
    device = run('losetup', '--find', '--show', '--direct-io=on', image);
    writeFileSync(`/sys/block/${basename(device)}/queue/read_ahead_kb`, String(READ_AHEAD_KIB));
    mount();
  } catch (error) {
    if (device !== '') run('losetup', '-d', device);
    return `make a loop device: ${errorText(error).split('\n', 1)[0] ?? ''}; it needs root, losetup and mkfs.ext4`;
  }
  process.once('exit', remove);
  return {
    folder,
    chill: () => {
      run('umount', folder);
      mount();
    },
    remove,
  };
}
