/**
 * What a process costs, from /proc: CPU time so far, and the peak of its memory while it is watched. Linux only.
 *
 * Sources: proc(5), /proc/PID/stat (utime, stime in clock ticks) and /proc/PID/smaps_rollup (Rss, Anonymous in kB).
 */
import { readFileSync } from 'node:fs';

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
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the name in brackets and may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Watches the memory of a process until it is stopped. */
export function watchMemory(pid: number): { stop: () => PeakMemory } {
  let rss = 0;
  let anon = 0;
  const sample = (): void => {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      rss = Math.max(rss, kib(rollup, 'Rss'));
      anon = Math.max(anon, kib(rollup, 'Anonymous'));
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

function kib(rollup: string, name: string): number {
  return Number(new RegExp(`^${name}: *(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0);
}

/** A figure as it is printed. */
export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
