/**
 * The control groups of one node: made before the kubelet starts, measured while it runs, removed when it is gone.
 *
 * Both layouts: one folder per controller (version 1), or one tree (version 2). Source: kernel documentation, cgroup-v1 and cgroup-v2.
 * May import: node:, src/core.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../src/core/clock.ts';

const ROOT = '/sys/fs/cgroup';
/** Controllers of version 1 that runc and the kubelet use; cpu and cpuacct may be one folder with links to it. */
const CONTROLLERS = [
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'hugetlb',
  'net_cls',
  'systemd',
  // Version 2 beside version 1, without controllers: the kubelet makes its groups there too.
  'unified',
];
const CONTROLLERS_NEEDED = ['cpu', 'cpuset', 'memory', 'pids'];
/** What all pods together weigh, in processes of the usual priority. */
const SHARE_OF_PROCESSES = 8;
/** The kernel lets go of a group a moment after its last process. */
const REMOVE_MS_MAX = 10_000;
const REMOVE_POLL_MS = 20;

const isUnified = (): boolean => existsSync(join(ROOT, 'cgroup.controllers'));

function trees(): readonly string[] {
  if (isUnified()) return [ROOT];
  return CONTROLLERS.map((name) => join(ROOT, name)).filter((path) => existsSync(path));
}

/** What is in the way of containers, as a text; undefined when nothing is. */
export function missingControllers(): string | undefined {
  const has = isUnified()
    ? readFileSync(join(ROOT, 'cgroup.controllers'), 'utf8').trim().split(' ')
    : CONTROLLERS.filter((name) => existsSync(join(ROOT, name)));
  const missing = CONTROLLERS_NEEDED.filter((name) => !has.includes(name));
  return missing.length === 0 ? undefined : `the control groups ${missing.join(', ')} are not mounted under ${ROOT}`;
}

/** Makes the group in every tree. */
export function createGroup(name: string): void {
  for (const tree of trees()) {
    const path = join(tree, name);
    mkdirSync(path, { recursive: true });
    if (isUnified()) delegate(tree, path);
    // A group of version 1 without processors and memory nodes takes no process.
    else if (tree.endsWith('/cpuset'))
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        writeFileSync(join(path, file), readFileSync(join(tree, file), 'utf8').trim());
    giveShare(path);
  }
}

/**
 * All pods of the node are one group, and without this weigh as much as one process beside them: on a machine that does other work too they
 * would starve, where a real node has them alone.
 */
function giveShare(path: string): void {
  for (const [file, value] of [
    ['cpu.shares', SHARE_OF_PROCESSES * 1024],
    ['cpu.weight', SHARE_OF_PROCESSES * 100],
  ] as const)
    if (existsSync(join(path, file))) writeFileSync(join(path, file), String(value));
}

function delegate(...paths: readonly string[]): void {
  for (const path of paths) {
    const controllers = readFileSync(join(path, 'cgroup.controllers'), 'utf8').trim().split(' ');
    writeFileSync(join(path, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' '));
  }
}

/** Removes the group and all below it; its processes must be gone. Says whether nothing is left. */
export async function removeGroup(name: string): Promise<boolean> {
  const deadline = systemClock.monotonic() + REMOVE_MS_MAX;
  for (;;) {
    const left = trees().filter((tree) => !removeTree(join(tree, name)));
    if (left.length === 0) return true;
    if (systemClock.monotonic() > deadline) return false;
    await systemClock.sleep(REMOVE_POLL_MS);
  }
}

/** Children first; files in it are the kernel's and go with the folder. */
function removeTree(path: string): boolean {
  if (!existsSync(path)) return true;
  try {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) removeTree(join(path, entry.name));
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** What a container used so far and holds now, by its own control group. */
export interface Usage {
  /** Nanoseconds of processor time since its start. */
  readonly cpuNs: number;
  /** Bytes charged to it, page cache included. */
  readonly memoryBytes: number;
  /** The most that were ever charged. */
  readonly memoryPeakBytes: number;
  /** Memory that no file backs: what cannot be given back. */
  readonly anonymousBytes: number;
  /** How often an allocation met the limit. */
  readonly limitHits: number;
}

/** The folder of a container's memory group; undefined where it has none. @param containerId as in a pod's status */
export function groupOf(group: string, containerId: string): string | undefined {
  const tree = isUnified() ? ROOT : join(ROOT, 'memory');
  return findFolder(join(tree, group), containerId.slice(containerId.lastIndexOf('/') + 1));
}

/** Reads them; undefined where the container has no group any more. */
export function usageOf(group: string, containerId: string): Usage | undefined {
  const folder = groupOf(group, containerId);
  if (folder === undefined) return undefined;
  const read = (path: string): string => readFileSync(path, 'utf8');
  const field = (text: string, name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  try {
    const memory = (name: string): string => read(join(folder, name));
    if (isUnified()) {
      const stat = memory('memory.stat');
      return {
        cpuNs: field(memory('cpu.stat'), 'usage_usec') * 1000,
        memoryBytes: Number(memory('memory.current')),
        memoryPeakBytes: Number(memory('memory.peak')),
        anonymousBytes: field(stat, 'anon'),
        limitHits: field(memory('memory.events'), 'max'),
      };
    }
    const cpu = folder.replace(`${ROOT}/memory/`, `${ROOT}/cpuacct/`);
    return {
      cpuNs: Number(read(join(cpu, 'cpuacct.usage'))),
      memoryBytes: Number(memory('memory.usage_in_bytes')),
      memoryPeakBytes: Number(memory('memory.max_usage_in_bytes')),
      anonymousBytes: field(memory('memory.stat'), 'rss'),
      limitHits: Number(memory('memory.failcnt')),
    };
  } catch {
    return undefined;
  }
}

/** Process ids in a container's group, as this machine numbers them. */
export function processesOf(group: string, containerId: string): readonly number[] {
  const folder = groupOf(group, containerId);
  if (folder === undefined) return [];
  return readFileSync(join(folder, 'cgroup.procs'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

function findFolder(path: string, name: string): string | undefined {
  for (const folder of foldersIn(path)) {
    const at = join(path, folder);
    const found = folder === name ? at : findFolder(at, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Groups of other containers go while one is looked for: one that is gone has nothing in it. */
function foldersIn(path: string): readonly string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENODEV: taken away between open and read.
    if (code === 'ENOENT' || code === 'ENODEV') return [];
    throw error;
  }
}
