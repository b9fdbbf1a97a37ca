/**
 * A control group of our own that limits the memory of one process as the kubelet limits a container's. Linux, root; cgroup v1 or v2.
 *
 * Source: kernel documentation, admin-guide/cgroup-v1/memory and admin-guide/cgroup-v2 ("Memory Interface Files").
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '../../src/core/errors.ts';

const MIB = 2 ** 20;

export interface MemoryCgroup {
  /** A process that writes its id here belongs to the group. */
  readonly procsPath: string;
  /** The most that was charged to the group so far, page cache included, in MiB. */
  peakMib(): number;
  /** Processes that the kernel killed because the limit was reached. */
  kills(): number;
  /** Takes the group away; its processes must be gone. */
  remove(): void;
}

interface Flavour {
  readonly limit: string;
  readonly peak: string;
  /** File with a line `oom_kill N`. */
  readonly events: string;
}

const V1: Flavour = {
  limit: 'memory.limit_in_bytes',
  peak: 'memory.max_usage_in_bytes',
  events: 'memory.oom_control',
};
const V2: Flavour = { limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' };

/**
 * A new group.
 *
 * @param limitMib undefined: it only counts
 * @returns why it cannot be had, in words, where it cannot
 */
export function createMemoryCgroup(name: string, limitMib: number | undefined): MemoryCgroup | string {
  const found = findHierarchy();
  if (found === undefined) return 'no cgroup hierarchy with the memory controller is mounted';
  const folder = join(found.mount, name);
  try {
    if (found.flavour === V2) writeFileSync(join(found.mount, 'cgroup.subtree_control'), '+memory');
    mkdirSync(folder);
    if (limitMib !== undefined) writeFileSync(join(folder, found.flavour.limit), String(limitMib * MIB));
    // Where there is swap a limit would be no limit; v1 counts it only where the kernel was told to.
    if (found.flavour === V2) writeFileSync(join(folder, 'memory.swap.max'), '0');
    else if (limitMib !== undefined && existsSync(join(folder, 'memory.memsw.limit_in_bytes')))
      writeFileSync(join(folder, 'memory.memsw.limit_in_bytes'), String(limitMib * MIB));
  } catch (error) {
    return `make a memory cgroup: ${errorText(error)}; it needs root and the memory controller`;
  }
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  return {
    procsPath: join(folder, 'cgroup.procs'),
    peakMib: () => Math.round((Number(read(found.flavour.peak)) / MIB) * 10) / 10,
    kills: () => Number(/^oom_kill (\d+)$/m.exec(read(found.flavour.events))?.[1] ?? 0),
    remove: () => rmdirSync(folder),
  };
}

/** Where the memory controller is mounted: field 5 is the place, what stands behind ` - ` type, source and options (proc(5), mountinfo). */
function findHierarchy(): { readonly mount: string; readonly flavour: Flavour } | undefined {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const mount = before.split(' ')[4] ?? '';
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup' && options.split(',').includes('memory')) return { mount, flavour: V1 };
    if (type !== 'cgroup2') continue;
    if (readFileSync(join(mount, 'cgroup.controllers'), 'utf8').split(/\s/).includes('memory'))
      return { mount, flavour: V2 };
  }
  return undefined;
}
