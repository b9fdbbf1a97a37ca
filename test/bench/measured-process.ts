/**
 * What a process costs, from /proc: CPU time so far, and the peak of its memory, its children's included, while it is watched. Linux only.
 *
 * Sources: proc(5), /proc/PID/stat (majflt; utime, stime in clock ticks; cutime, cstime of children that have ended), /proc/PID/smaps_rollup (Rss,
 * Anonymous in kB) and /proc/PID/task/TID/children.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Often enough to see a batch's buffers, rare enough to cost nothing. */
const SAMPLE_MS = 100;
const KIB_PER_MIB = 1024;

export interface PeakMemory {
  readonly rssMib: number;
  readonly anonMib: number;
}

/** User and system time of all threads of a process, in seconds. */
export function cpuSeconds(pid: number): number {
  const [user, system] = cpuFields(pid);
  return (user + system) / TICKS_PER_SECOND;
}

/** System time of all threads of a process, in seconds, and its major faults: pages that came from the disk. */
export function diskCosts(pid: number): { readonly systemSeconds: number; readonly majorFaults: number } {
  const [, system] = cpuFields(pid);
  return { systemSeconds: system / TICKS_PER_SECOND, majorFaults: Number(statFields(pid)[9]) };
}

/** User and system time of a process and of its children that have ended, in seconds. */
export function cpuSecondsWithEnded(pid: number): number {
  return cpuFields(pid).reduce((all, ticks) => all + ticks, 0) / TICKS_PER_SECOND;
}

/** User and system time of a process with its children and theirs, those that have ended included. */
export function treeCpuSeconds(pid: number): number {
  const sum = processTree(pid)
    .flatMap(cpuFields)
    .reduce((all, ticks) => all + ticks, 0);
  return sum / TICKS_PER_SECOND;
}

/** What /proc/PID/stat holds from its third field on: the second is the name in brackets and may hold spaces. */
function statFields(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** utime, stime, cutime, cstime: fields 14 to 17. */
function cpuFields(pid: number): readonly [number, number, number, number] {
  const fields = statFields(pid);
  return [Number(fields[11]), Number(fields[12]), Number(fields[13]), Number(fields[14])];
}

/** The process, first, and its children and theirs. */
function processTree(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    // It ended meanwhile, or the kernel does not list children (CONFIG_PROC_CHILDREN): those are then not counted.
    return [];
  }
}

/** Watches the memory of a process until it is stopped. */
export function watchMemory(pid: number): { stop: () => PeakMemory } {
  let rss = 0;
  let anon = 0;
  const sample = (): void => {
    try {
      const rollups = processTree(pid).map((id) => readFileSync(`/proc/${id}/smaps_rollup`, 'latin1'));
      rss = Math.max(rss, kib(rollups, 'Rss'));
      anon = Math.max(anon, kib(rollups, 'Anonymous'));
    } catch {
      // The process ended between two samples: the peak so far stands.
    }
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      sample();
      return { rssMib: rounded(rss / KIB_PER_MIB, 1), anonMib: rounded(anon / KIB_PER_MIB, 1) };
    },
  };
}

function kib(rollups: readonly string[], name: string): number {
  const field = new RegExp(`^${name}: *(\\d+) kB$`, 'm');
  return rollups.reduce((sum, rollup) => sum + Number(field.exec(rollup)?.[1] ?? 0), 0);
}

/** A figure as it is printed. */
export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
