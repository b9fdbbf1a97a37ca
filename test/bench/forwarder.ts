/**
 * What the real forwarder process costs per GiB of lines, with a sink that answers at once.
 *
 * CPU is user and system time of the forwarder until the last line has arrived; memory is its peak until then; lost and duplicates
 * are counted by the sink from numbered lines, after the forwarder has ended.
 */
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';
import type { DiscardOrders, DiscardReport } from './discard-sink.ts';
import { cpuSeconds, rounded, watchMemory } from './measured-process.ts';
import type { PeakMemory } from './measured-process.ts';
import { writeWorkload } from './numbered-lines.ts';
import type { Workload } from './numbered-lines.ts';
import { FORWARDER_NODE_FLAGS } from '../../src/config/forwarder-config.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const GIB = 2 ** 30;
/** Source bytes of one run: a second or more of work, so that start-up and clock ticks do not show. */
const LINES: Readonly<Record<Workload, number>> = { plain: 4_000_000, json: 2_400_000 };
/** A run that takes longer is broken, not slow. */
const RUN_MS_MAX = 300_000;
const END_MS_MAX = 30_000;

export interface ForwarderCase {
  readonly workload: Workload;
  readonly sink: DiscardOrders['kind'];
  readonly variant: string;
  readonly metadata: 'full' | 'none';
}

export const FORWARDER_CASES: readonly ForwarderCase[] = [
  { workload: 'plain', sink: 'elasticsearch', variant: 'items', metadata: 'none' },
  { workload: 'json', sink: 'elasticsearch', variant: 'items', metadata: 'none' },
  { workload: 'plain', sink: 'elasticsearch', variant: 'items+metadata', metadata: 'full' },
  { workload: 'json', sink: 'elasticsearch', variant: 'items+metadata', metadata: 'full' },
  { workload: 'plain', sink: 'cloudwatch', variant: 'tls', metadata: 'none' },
  { workload: 'json', sink: 'cloudwatch', variant: 'tls', metadata: 'none' },
];

/** One measurement of one case, as the object that is printed. `note` gets what is not a figure. */
export async function runForwarderCase(which: ForwarderCase, note: (text: string) => void): Promise<object> {
  const root = await mkdtemp(join(tmpdir(), 'logtender-bench-'));
  const sink = fork(join(import.meta.dirname, 'discard-sink.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    return await measure(which, root, sink, note);
  } finally {
    sink.disconnect();
    await rm(root, { recursive: true, force: true });
  }
}

async function measure(
  which: ForwarderCase,
  root: string,
  sink: ChildProcess,
  note: (text: string) => void,
): Promise<object> {
  const lines = LINES[which.workload];
  await mkdir(join(root, 'logs'));
  const bytes = writeWorkload(join(root, 'logs', 'app.log'), which.workload, lines);
  const tls = which.variant === 'tls' ? loopbackTls() : undefined;
  const orders: DiscardOrders = { kind: which.sink, lines, tls };
  const listening = nextReport(sink, 'listening');
  sink.send(orders);
  const env = await forwarderEnv(which, root, (await listening).port, tls?.cert);
  const entry = forwarderEntry();
  const complete = nextReport(sink, 'complete');
  const forwarder = spawn(process.execPath, [...FORWARDER_NODE_FLAGS, join(ROOT, entry)], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(forwarder, 'exit');
  const kill = (): void => void forwarder.kill('SIGKILL');
  process.once('exit', kill);
  const memory = watchMemory(forwarder.pid ?? 0);
  let peak: PeakMemory;
  let cpu = 0;
  let elapsedMs = 0;
  try {
    const early = ended.then(([code]) => Promise.reject(new Error(`forwarder ended early with ${String(code)}`)));
    early.catch(() => {});
    const done = await Promise.race([complete, early]);
    cpu = cpuSeconds(forwarder.pid ?? 0);
    ({ elapsedMs } = done);
    note(`${entry}; the sink used ${rounded(done.cpuMs / 1000, 2)} s of CPU in ${rounded(elapsedMs / 1000, 2)} s\n`);
  } finally {
    peak = memory.stop();
    await end(forwarder, ended);
    process.off('exit', kill);
  }
  const counted = nextReport(sink, 'counted');
  sink.send('count');
  const { lost, duplicates } = await counted;
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

/** SIGTERM, and SIGKILL for one that does not end. */
async function end(forwarder: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (forwarder.exitCode !== null || forwarder.signalCode !== null) return;
  forwarder.kill('SIGTERM');
  const timer = setTimeout(() => forwarder.kill('SIGKILL'), END_MS_MAX);
  await ended;
  clearTimeout(timer);
}

async function nextReport<R extends DiscardReport['report']>(
  sink: ChildProcess,
  report: R,
): Promise<Extract<DiscardReport, { report: R }>> {
  const signal = AbortSignal.timeout(RUN_MS_MAX);
  for (;;) {
    const [message] = (await once(sink, 'message', { signal })) as [DiscardReport];
    if (isReport(message, report)) return message;
  }
}

function isReport<R extends DiscardReport['report']>(
  message: DiscardReport,
  report: R,
): message is Extract<DiscardReport, { report: R }> {
  return message.report === report;
}

async function forwarderEnv(
  which: ForwarderCase,
  root: string,
  port: number,
  ca: string | undefined,
): Promise<Record<string, string>> {
  const logs = join(root, 'logs');
  const secret = join(root, 'secret');
  await mkdir(secret);
  await writeFile(join(secret, 'aws-access-key-id'), 'AKIDBENCH');
  await writeFile(join(secret, 'aws-secret-access-key'), 'bench');
  await writeFile(join(root, 'ca.pem'), ca ?? '');
  const files = [{ container: 'app', path: '/var/log/app/*.log', directory: '/var/log/app', mount: logs }];
  return {
    CLUSTER_NAME: 'bench',
    POD_NAMESPACE: 'bench',
    POD_NAME: 'bench-5d4f8c7b9-x2x4z',
    POD_UID: '11111111-2222-3333-4444-555555555555',
    NODE_NAME: 'node-1',
    LOG_FILES: JSON.stringify(files),
    SINKS: which.sink,
    METADATA: which.metadata,
    ELASTICSEARCH_URL: `http://127.0.0.1:${port}`,
    CLOUDWATCH_ENDPOINT: `https://127.0.0.1:${port}`,
    AWS_REGION: 'eu-central-1',
    SINK_SECRET_DIR: secret,
    STATE_DIR: join(root, 'state'),
    TERMINATION_MESSAGE_PATH: join(root, 'termination-message'),
    ADMIN_PORT: '0',
    FLUSH_INTERVAL: '200ms',
    LOG_LEVEL: 'warn',
    ...(ca === undefined ? {} : { NODE_EXTRA_CA_CERTS: join(root, 'ca.pem') }),
  };
}

/** The bundle that ships, when it was built after the last change of the source; else the source, which needs more memory. */
function forwarderEntry(): string {
  const bundle = 'dist/forwarder.mjs';
  if (!existsSync(join(ROOT, bundle))) return 'src/main.ts';
  const builtMs = statSync(join(ROOT, bundle)).mtimeMs;
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const isOld = sources.some(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs > builtMs);
  return isOld ? 'src/main.ts' : bundle;
}

function loopbackTls(): { key: string; cert: string } {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: selfSigned(keys, Date.now()),
  };
}
