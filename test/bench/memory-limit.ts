/**
 * The forwarder under a hard memory limit, as the kubelet sets it: cold image on a disk with the usual read-ahead, the sink absent at
 * first while the app writes and rotates, then everything at full speed. Beside it the same without a limit.
 *
 * Seen as kept: no kill, nothing lost, and CPU within 1.2 times of the unlimited run.
 */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { makeColdDisk } from './cold-disk.ts';
import { startDiscardSink } from './discard-process.ts';
import type { DiscardProcess } from './discard-process.ts';
import type { DiscardOrders } from './discard-sink.ts';
import { loopbackTls, MULTILINE, REDACT } from './forwarder.ts';
import { startForwarder } from './forwarder-process.ts';
import type { ForwarderUnderTest } from './forwarder-process.ts';
import { cpuSeconds, diskCosts, rounded, watchMemory } from './measured-process.ts';
import { createMemoryCgroup } from './memory-cgroup.ts';
import type { MemoryCgroup } from './memory-cgroup.ts';
import { writeWorkload } from './numbered-lines.ts';
import type { Workload } from './numbered-lines.ts';

/** Program, checkpoint and room to spare; the lines come on top. */
const DISK_MIB = 320;
/** Longest line of a workload. */
const LINE_BYTES_MAX = 300;
/** While the sink is absent the app writes so often. */
const WRITE_EVERY_MS = 100;
/** Of the lines so many are there at the start; the app writes the rest while the sink is absent. */
const WRITTEN_BEFORE = 0.7;

export interface LimitedRun {
  readonly sink: DiscardOrders['kind'];
  /** A second sink with the same records, which is there all the time. */
  readonly beside?: 'cloudwatch' | 's3';
  readonly workload: Workload;
  readonly metadata: 'full' | 'none';
  /** What is not as usual, in a word, and the variables that make it so. */
  readonly how?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly lines: number;
  readonly absentMs: number;
  /** Undefined: no limit, memory is only counted. */
  readonly limitMib: number | undefined;
  /** The bundle that is run, `dist/forwarder.mjs`, its chunks beside it. */
  readonly bundle: string;
}

/** What is measured under a limit: the sidecar's default is 48 MiB, and 64 where the AWS SDK may be loaded. */
export const LIMIT_CASES: ReadonlyArray<Pick<LimitedRun, 'workload' | 'sink' | 'beside' | 'metadata' | 'how' | 'env'>> =
  [
    { workload: 'plain', sink: 'elasticsearch', metadata: 'full' },
    { workload: 'json', sink: 'elasticsearch', metadata: 'full' },
    { workload: 'plain', sink: 'elasticsearch', metadata: 'full', how: 'gzip', env: { ELASTICSEARCH_GZIP: 'true' } },
    { workload: 'java', sink: 'elasticsearch', metadata: 'full', how: 'multiline', env: MULTILINE },
    { workload: 'plain', sink: 'elasticsearch', metadata: 'full', how: 'redact', env: REDACT },
    { workload: 'plain', sink: 'cloudwatch', metadata: 'none' },
    { workload: 'java', sink: 'cloudwatch', metadata: 'none', how: 'multiline', env: MULTILINE },
    { workload: 'plain', sink: 's3', metadata: 'full' },
    { workload: 'java', sink: 's3', metadata: 'full', how: 'multiline', env: MULTILINE },
    { workload: 'plain', sink: 's3', metadata: 'full', how: 'redact', env: REDACT },
    { workload: 'plain', sink: 'elasticsearch', beside: 'cloudwatch', metadata: 'full', how: 'and-cloudwatch' },
    { workload: 'plain', sink: 'elasticsearch', beside: 's3', metadata: 'full', how: 'and-s3' },
  ];

export interface LimitedFigures {
  readonly cpuSeconds: number;
  /** Of it, and the pages that came from the disk: what a limit costs. */
  readonly systemSeconds: number;
  readonly majorFaults: number;
  /** The most that was charged to the control group, page cache included. */
  readonly groupPeakMib: number;
  readonly rssMib: number;
  readonly anonMib: number;
  readonly kills: number;
  readonly lost: number;
  readonly duplicates: number;
}

/** One run; a text says why this machine cannot make one. */
export async function runUnderLimit(run: LimitedRun): Promise<LimitedFigures | string> {
  const root = mkdtempSync(join(tmpdir(), 'logtender-limit-'));
  const disk = makeColdDisk(root, DISK_MIB + Math.ceil((run.lines * LINE_BYTES_MAX) / 2 ** 20));
  if (typeof disk === 'string') {
    rmSync(root, { recursive: true, force: true });
    return disk;
  }
  const group = createMemoryCgroup(`logtender-bench-${process.pid}`, run.limitMib);
  try {
    if (typeof group === 'string') return group;
    const image = join(disk.folder, 'image');
    mkdirSync(image);
    cpSync(process.execPath, join(image, 'node'));
    cpSync(dirname(run.bundle), join(image, 'app'), { recursive: true });
    const logs = join(disk.folder, 'logs');
    mkdirSync(logs);
    writeWorkload(join(logs, 'app.log'), run.workload, 0, Math.floor(run.lines * WRITTEN_BEFORE));
    disk.chill();
    return await measure(run, { folder: disk.folder, logs, group });
  } finally {
    if (typeof group !== 'string') group.remove();
    disk.remove();
    rmSync(root, { recursive: true, force: true });
  }
}

async function measure(
  run: LimitedRun,
  { folder, logs, group }: { folder: string; logs: string; group: MemoryCgroup },
): Promise<LimitedFigures> {
  const { sink, beside, metadata, lines, absentMs } = run;
  const tls = [sink, beside].includes('cloudwatch') ? loopbackTls() : undefined;
  const started = async (kind: DiscardOrders['kind'], awayMs: number): Promise<DiscardProcess> =>
    startDiscardSink({ kind, lines, tls: kind === 'cloudwatch' ? tls : undefined, absentMs: awayMs });
  const first = await started(sink, absentMs);
  const second = beside === undefined ? undefined : await started(beside, 0);
  const sinks = second === undefined ? [first] : [first, second];
  const counted = async (): Promise<{ lost: number; duplicates: number }> => {
    const counts = await Promise.all(sinks.map(async (one) => one.count()));
    const sum = (of: 'lost' | 'duplicates'): number => counts.reduce((total, count) => total + count[of], 0);
    return { lost: sum('lost'), duplicates: sum('duplicates') };
  };
  const forwarder = startForwarder({
    root: folder,
    logs,
    sink,
    metadata,
    port: first.port,
    ca: tls?.cert,
    entry: join(folder, 'image/app/forwarder.mjs'),
    node: join(folder, 'image/node'),
    procsPath: group.procsPath,
    env: { ...besideEnv(run, second?.port), ...run.env },
  });
  const memory = watchMemory(forwarder.pid);
  try {
    await writeMeanwhile(run, logs, forwarder);
    await Promise.race([Promise.all(sinks.map(async (one) => one.complete)), forwarder.endedEarly]);
    const costs = { cpuSeconds: cpuSeconds(forwarder.pid), ...diskCosts(forwarder.pid) };
    const { rssMib, anonMib } = memory.stop();
    await forwarder.stop();
    const { lost, duplicates } = await counted();
    const groupPeakMib = group.peakMib();
    return { ...costs, groupPeakMib, rssMib, anonMib, kills: group.kills(), lost, duplicates };
  } catch (error) {
    if (group.kills() === 0) throw error;
    const { lost, duplicates } = await counted();
    const memoryPeak = memory.stop();
    const costs = { cpuSeconds: 0, systemSeconds: 0, majorFaults: 0 };
    return { ...costs, ...memoryPeak, groupPeakMib: group.peakMib(), kills: group.kills(), lost, duplicates };
  } finally {
    memory.stop();
    await forwarder.stop();
    for (const one of sinks) one.stop();
  }
}

/** The variables of the second sink. */
function besideEnv({ sink, beside }: LimitedRun, port: number | undefined): Record<string, string> {
  if (beside === undefined || port === undefined) return {};
  const SINKS = `${sink},${beside}`;
  return beside === 's3'
    ? { SINKS, S3_ENDPOINT: `http://127.0.0.1:${port}` }
    : { SINKS, CLOUDWATCH_ENDPOINT: `https://127.0.0.1:${port}` };
}

/** What the app writes while the sink is absent, evenly, with one rotation in the middle. */
async function writeMeanwhile(run: LimitedRun, logs: string, forwarder: ForwarderUnderTest): Promise<void> {
  const path = join(logs, 'app.log');
  const first = Math.floor(run.lines * WRITTEN_BEFORE);
  const steps = Math.max(2, Math.floor(run.absentMs / WRITE_EVERY_MS));
  const until = (step: number): number => first + Math.floor(((run.lines - first) * step) / steps);
  for (let step = 0; step < steps; step += 1) {
    if (step === Math.floor(steps / 2)) renameSync(path, `${path}.1`);
    writeWorkload(path, run.workload, until(step), until(step + 1));
    await Promise.race([systemClock.sleep(WRITE_EVERY_MS), forwarder.endedEarly]);
  }
}

export interface ComparedRun extends Omit<LimitedRun, 'limitMib'> {
  readonly limitMib: number;
}

/** A limited run and an unlimited one, as the object that is printed. */
export async function compareLimit(run: ComparedRun): Promise<object> {
  const unlimited = await runUnderLimit({ ...run, limitMib: undefined });
  if (typeof unlimited === 'string') throw new Error(unlimited);
  const limited = await runUnderLimit(run);
  if (typeof limited === 'string') throw new Error(limited);
  return {
    bench: 'forwarder',
    who: 'logtender',
    workload: run.workload,
    sink: run.sink,
    variant: run.how === undefined ? 'memory-limit' : `memory-limit+${run.how}`,
    memory_limit_mib: run.limitMib,
    absent_s: run.absentMs / 1000,
    lines: run.lines,
    kills: limited.kills,
    lost: limited.lost,
    duplicates: limited.duplicates,
    cpu_s: limited.cpuSeconds,
    cpu_s_unlimited: unlimited.cpuSeconds,
    cpu_ratio: rounded(limited.cpuSeconds / unlimited.cpuSeconds, 2),
    system_s: limited.systemSeconds,
    system_s_unlimited: unlimited.systemSeconds,
    major_faults: limited.majorFaults,
    major_faults_unlimited: unlimited.majorFaults,
    anon_mib: limited.anonMib,
    group_peak_mib: limited.groupPeakMib,
    rss_mib_unlimited: unlimited.rssMib,
    anon_mib_unlimited: unlimited.anonMib,
    group_peak_mib_unlimited: unlimited.groupPeakMib,
  };
}
