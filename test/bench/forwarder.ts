/**
 * What the real forwarder process costs per GiB of lines, with a sink that answers at once.
 *
 * CPU is user and system time of the forwarder until the last line has arrived; memory is its peak until then; lost and duplicates
 * are counted by the sink from numbered lines, after the forwarder has ended.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';
import { startDiscardSink } from './discard-process.ts';
import type { DiscardProcess } from './discard-process.ts';
import type { DiscardOrders } from './discard-sink.ts';
import { startForwarder } from './forwarder-process.ts';
import { cpuSeconds, rounded, watchMemory } from './measured-process.ts';
import type { PeakMemory } from './measured-process.ts';
import { writeWorkload } from './numbered-lines.ts';
import type { Workload } from './numbered-lines.ts';

const GIB = 2 ** 30;
/** Source bytes of one run: a second or more of work, so that start-up and clock ticks do not show. */
const LINES: Readonly<Record<Workload, number>> = { plain: 4_000_000, json: 2_400_000, cri: 3_200_000 };

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
  { workload: 'plain', sink: 'cloudwatch', variant: 'tls', metadata: 'none' },
  { workload: 'json', sink: 'cloudwatch', variant: 'tls', metadata: 'none' },
  // TLS and compression aside, to be held against plain/elasticsearch/items, whose server does nothing but count.
  { workload: 'plain', sink: 'cloudwatch', variant: 'http', metadata: 'none' },
  { workload: 'plain', sink: 's3', variant: 'uncompressed', metadata: 'none', env: UNCOMPRESSED },
  { workload: 'plain', sink: 's3', variant: 'gzip', metadata: 'none' },
];

/** One measurement of one case, as the object that is printed. `note` gets what is not a figure. */
export async function runForwarderCase(
  which: ForwarderCase,
  entry: string,
  note: (text: string) => void,
): Promise<object> {
  const root = await mkdtemp(join(tmpdir(), 'logtender-bench-'));
  const tls = which.variant === 'tls' ? loopbackTls() : undefined;
  const lines = LINES[which.workload];
  const sink = await startDiscardSink({ kind: which.sink, lines, tls, absentMs: 0 });
  try {
    return await measure(which, { root, sink, lines, ca: tls?.cert, entry, note });
  } finally {
    sink.stop();
    await rm(root, { recursive: true, force: true });
  }
}

async function measure(
  which: ForwarderCase,
  parts: {
    root: string;
    sink: DiscardProcess;
    lines: number;
    ca: string | undefined;
    entry: string;
    note: (text: string) => void;
  },
): Promise<object> {
  const { root, sink, lines, ca, entry, note } = parts;
  const logs = join(root, 'logs');
  await mkdir(logs);
  const bytes = writeWorkload(join(logs, 'app.log'), which.workload, 0, lines);
  const { sink: kind, metadata, env = {} } = which;
  const forwarder = startForwarder({ root, logs, sink: kind, metadata, port: sink.port, ca, entry, env });
  const memory = watchMemory(forwarder.pid);
  let peak: PeakMemory;
  let cpu = 0;
  let elapsedMs = 0;
  try {
    const done = await Promise.race([sink.complete, forwarder.endedEarly]);
    cpu = cpuSeconds(forwarder.pid);
    ({ elapsedMs } = done);
    const seconds = [done.cpuMs, elapsedMs].map((ms) => rounded(ms / 1000, 2));
    note(`${basename(entry)}; the sink used ${seconds[0] ?? 0} s of CPU in ${seconds[1] ?? 0} s\n`);
  } finally {
    peak = memory.stop();
    await forwarder.stop();
  }
  const { lost, duplicates } = await sink.count();
  return {
    bench: 'forwarder',
    who: 'logtender',
    workload: which.workload,
    sink: which.sink,
    variant: which.variant,
    cpu_s_per_gib: rounded((cpu * GIB) / bytes, 2),
    lines_per_s: Math.round((lines * 1000) / elapsedMs),
    rss_mib: peak.rssMib,
    anon_mib: peak.anonMib,
    lost,
    duplicates,
  };
}

/** Key and certificate of a server on loopback. */
export function loopbackTls(): { key: string; cert: string } {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: selfSigned(keys, Date.now()),
  };
}
