/**
 * What the real forwarder process costs per GiB of lines, with a sink that answers at once; that of others is measured in the same way (peers/).
 *
 * CPU is user and system time of the forwarder and its children until the last line has arrived; memory is its peak until then; lost and duplicates
 * are counted by the sink from numbered lines, after the forwarder has ended.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';
import { startDiscardSink } from './discard-process.ts';
import type { DiscardProcess } from './discard-process.ts';
import type { DiscardOrders } from './discard-sink.ts';
import { startForwarder } from './forwarder-process.ts';
import { rounded, treeCpuSeconds, watchMemory } from './measured-process.ts';
import type { PeakMemory } from './measured-process.ts';
import { writeWorkload } from './numbered-lines.ts';
import type { Workload } from './numbered-lines.ts';
import type { ProcessUnderTest } from './process-under-test.ts';

const GIB = 2 ** 30;
/** Source bytes of one run: a second or more of work, so that start-up and clock ticks do not show. */
export const LINES: Readonly<Record<Workload, number>> = {
  plain: 4_000_000,
  json: 2_400_000,
  cri: 3_200_000,
  java: 2_400_000,
};

export interface ForwarderCase {
  readonly workload: Workload;
  readonly sink: DiscardOrders['kind'];
  readonly variant: string;
  readonly metadata: 'full' | 'none';
  /** Further variables of the forwarder. */
  readonly env?: Readonly<Record<string, string>>;
}

const CRI = { PARSER: 'cri' } as const;
const GZIP = { ELASTICSEARCH_GZIP: 'true' } as const;
/** Records that are more, or less, than their lines. */
export const MULTILINE = { MULTILINE: 'java' } as const;
export const REDACT = { REDACT: '["password=[^ ]+","[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{4}"]' } as const;
const UNCOMPRESSED = { S3_COMPRESSION: 'none' } as const;

export const FORWARDER_CASES: readonly ForwarderCase[] = [
  { workload: 'plain', sink: 'elasticsearch', variant: 'items', metadata: 'none' },
  { workload: 'json', sink: 'elasticsearch', variant: 'items', metadata: 'none' },
  { workload: 'plain', sink: 'elasticsearch', variant: 'items+metadata', metadata: 'full' },
  { workload: 'json', sink: 'elasticsearch', variant: 'items+metadata', metadata: 'full' },
  { workload: 'cri', sink: 'elasticsearch', variant: 'items', metadata: 'none', env: CRI },
  { workload: 'cri', sink: 'elasticsearch', variant: 'items+metadata', metadata: 'full', env: CRI },
  { workload: 'plain', sink: 'elasticsearch', variant: 'items+metadata+gzip', metadata: 'full', env: GZIP },
  { workload: 'json', sink: 'elasticsearch', variant: 'items+metadata+gzip', metadata: 'full', env: GZIP },
  { workload: 'java', sink: 'elasticsearch', variant: 'items+metadata+multiline', metadata: 'full', env: MULTILINE },
  { workload: 'plain', sink: 'elasticsearch', variant: 'items+metadata+redact', metadata: 'full', env: REDACT },
  { workload: 'plain', sink: 'cloudwatch', variant: 'tls', metadata: 'none' },
  { workload: 'json', sink: 'cloudwatch', variant: 'tls', metadata: 'none' },
  { workload: 'cri', sink: 'cloudwatch', variant: 'tls', metadata: 'none', env: CRI },
  // TLS and compression aside, to be held against plain/elasticsearch/items, whose server does nothing but count.
  { workload: 'plain', sink: 'cloudwatch', variant: 'http', metadata: 'none' },
  { workload: 'plain', sink: 's3', variant: 'uncompressed', metadata: 'none', env: UNCOMPRESSED },
  { workload: 'plain', sink: 's3', variant: 'gzip', metadata: 'none' },
];

/** Who does the work of a case. */
export interface Subject {
  /** Program, and version where it is not ours. */
  readonly who: string;
  start(places: Places): ProcessUnderTest;
}

export interface Places {
  readonly root: string;
  /** Folder of the log file. */
  readonly logs: string;
  readonly log: string;
  readonly port: number;
  /** PEM of the sink's certificate: TLS. */
  readonly ca: string | undefined;
}

/** Our forwarder in a case. @param entry a bundle or a source file */
export function logtender(
  { sink, metadata, env = {} }: Pick<ForwarderCase, 'sink' | 'metadata' | 'env'>,
  entry: string,
): Subject {
  return { who: 'logtender', start: (places) => startForwarder({ ...places, sink, metadata, entry, env }) };
}

/**
 * One measurement of one case, as the object that is printed. `note` gets what is not a figure.
 *
 * @param lines another number of lines than the case's own
 */
export async function runForwarderCase(
  which: ForwarderCase,
  subject: Subject,
  note: (text: string) => void,
  lines = LINES[which.workload],
): Promise<ForwarderFigures> {
  const root = await mkdtemp(join(tmpdir(), 'logtender-bench-'));
  const tls = which.variant === 'tls' ? loopbackTls() : undefined;
  const sink = await startDiscardSink({ kind: which.sink, lines, tls, absentMs: 0 });
  try {
    const logs = join(root, 'logs');
    await mkdir(logs);
    const log = join(logs, 'app.log');
    const bytes = writeWorkload(log, which.workload, 0, lines);
    const cost = await measure(subject, { root, logs, log, port: sink.port, ca: tls?.cert }, sink, note);
    const { lost, duplicates, elapsedMs, cpuMs } = await sink.count();
    return {
      bench: 'forwarder',
      who: subject.who,
      workload: which.workload,
      sink: which.sink,
      variant: which.variant,
      cpu_s_per_gib: rounded((cost.cpuSeconds * GIB) / bytes, 2),
      lines_per_s: Math.round(((lines - lost) * 1000) / elapsedMs),
      rss_mib: cost.peak.rssMib,
      anon_mib: cost.peak.anonMib,
      lost,
      duplicates,
      elapsed_s: rounded(elapsedMs / 1000, 2),
      sink_cpu_s: rounded(cpuMs / 1000, 2),
    };
  } finally {
    sink.stop();
    await rm(root, { recursive: true, force: true });
  }
}

export interface ForwarderFigures {
  readonly bench: 'forwarder';
  readonly who: string;
  readonly workload: string;
  readonly sink: string;
  readonly variant: string;
  readonly cpu_s_per_gib: number;
  readonly lines_per_s: number;
  readonly rss_mib: number;
  readonly anon_mib: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly elapsed_s: number;
  /** The sink is not the limit where this is well below `elapsed_s`. */
  readonly sink_cpu_s: number;
}

async function measure(
  subject: Subject,
  places: Places,
  sink: DiscardProcess,
  note: (text: string) => void,
): Promise<{ readonly cpuSeconds: number; readonly peak: PeakMemory }> {
  const running = subject.start(places);
  const memory = watchMemory(running.pid);
  let peak: PeakMemory;
  let cpu = 0;
  try {
    const how = await Promise.race([settled(sink), running.endedEarly]);
    cpu = treeCpuSeconds(running.pid);
    if (how === 'quiet') note(`${subject.who}: nothing new for ${QUIET_MS_MAX / 1000} s; what has come counts\n`);
  } finally {
    peak = memory.stop();
    await running.stop();
  }
  return { cpuSeconds: cpu, peak };
}

/** So long after the last new line the rest counts as lost; far longer than any pause for a retry or a flush. */
const QUIET_MS_MAX = 30_000;
const LOOK_MS = 1_000;

/** Waits until every line has come, or nothing new comes any more. */
async function settled(sink: DiscardProcess): Promise<'complete' | 'quiet'> {
  const complete = sink.complete.then(() => 'complete' as const);
  let lost = Number.POSITIVE_INFINITY;
  for (let quietMs = 0; quietMs < QUIET_MS_MAX; quietMs += LOOK_MS) {
    const how = await Promise.race([complete, systemClock.sleep(LOOK_MS)]);
    if (how === 'complete') return how;
    const now = (await sink.count()).lost;
    if (now < lost) quietMs = 0;
    lost = now;
  }
  return 'quiet';
}

/** Key and certificate of a server on loopback. */
export function loopbackTls(): { key: string; cert: string } {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: selfSigned(keys, Date.now()),
  };
}
