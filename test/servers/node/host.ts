/**
 * Whether this machine can run a node: Linux, root, the programs, control groups and file systems that containers need.
 *
 * May import: node:, test/servers.
 */
import { existsSync, readFileSync } from 'node:fs';
import { findProgram } from '../programs.ts';
import { missingControllers } from './control-groups.ts';
import { PROGRAMS_NEEDED } from './namespaces.ts';
import { missingForPackages, runtimeIsPrepared } from './runtime-packages.ts';

export interface Missing {
  readonly reason: string;
  readonly remedy: string;
}

/** The first thing that is in the way of a node, and what would change that; undefined when nothing is. */
export function missingForNode(cache: string): Missing | undefined {
  if (process.platform !== 'linux')
    return { reason: `containers need Linux, this is ${process.platform}`, remedy: 'run it in a Linux machine' };
  if (process.getuid?.() !== 0)
    return { reason: 'containers and network namespaces need root, this is another user', remedy: 'run it as root' };
  const programs = PROGRAMS_NEEDED.filter((name) => findProgram(name) === undefined);
  if (programs.length > 0)
    return {
      reason: `${programs.join(', ')} not found`,
      remedy: 'apt-get install util-linux mount iproute2 e2fsprogs',
    };
  const controllers = missingControllers();
  if (controllers !== undefined) return { reason: controllers, remedy: 'mount them, or run it outside a container' };
  if (!/\toverlay$/m.test(readFileSync('/proc/filesystems', 'utf8')))
    return { reason: 'the kernel has no overlay file system', remedy: 'modprobe overlay' };
  if (!existsSync('/dev/loop-control')) return { reason: 'the kernel has no loop devices', remedy: 'modprobe loop' };
  return runtimeIsPrepared(cache) ? undefined : missingForPackages();
}
