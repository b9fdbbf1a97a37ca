/**
 * `node test/cluster-real/followers.ts [SECONDS] [FOLLOWERS,...] [REAL_MAX]`: what `stdout: api` costs API server and kubelet. The forwarder's own feed,
 * so many times in this process, follows real containers that print a line a second; processor time and memory of both servers from /proc.
 * One JSON line per number of followers on stdout. Not a test: a busy machine gives other figures.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { createLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createPodLogFeed } from '../../src/source/pod-log/feed.ts';
import { createOpenLog } from '../../src/source/pod-log/log-request.ts';
import type { StdioFeed } from '../../src/source/stdio.ts';
import { cpuSeconds } from '../bench/measured-process.ts';
import { sumOf } from '../cluster/installation.ts';
import { defaultPreparation } from '../servers/cache.ts';
import { NODE_NAME } from '../servers/node/configuration.ts';
import { startCluster, type RealCluster } from '../servers/servers.ts';
import { kubectlFor } from './kubectl.ts';
import { isReady, podThat, template, writer } from './pods.ts';
import { startStandIn } from './stand-in-kubelet.ts';

const NAMESPACE = 'followers';
/** Containers that are followed, by several each. */
const PODS = 10;
/** Openings are over, and what they cost. */
const WARM_MS = 15_000;
const KIB_PER_MIB = 1024;
/** Between two openings, so that this process is not the limit. */
const OPEN_PAUSE_MS = 5;
const [secondsText = '30', countsText = '0,1,100,1000', realMaxText = '100'] = process.argv.slice(2);
const seconds = Number(secondsText);
/** Above it the followed are those of a stand-in: a kubelet needs an inotify instance for each follow, and many machines have 128. */
const realMax = Number(realMaxText);

interface Followers {
  /** Lines that each has written down. */
  lines(): readonly number[];
  /** What is wrong with them, each text once. */
  problems(): readonly string[];
  stop(): Promise<void>;
}

async function main(): Promise<void> {
  const undo: Array<() => Promise<void>> = [];
  try {
    const cluster = await startCluster(defaultPreparation());
    undo.push(() => cluster.stop());
    const folder = mkdtempSync(join(tmpdir(), 'logtender-followers-'));
    undo.push(async () => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'token'), cluster.plane.adminToken);
    writeFileSync(join(folder, 'ca.crt'), cluster.plane.ca);
    const standIn = await startStandIn(cluster.plane);
    undo.push(() => standIn.stop());
    await startPods(cluster, standIn.name);
    for (const count of countsText.split(',').map(Number)) {
      const followers = await follow(cluster, folder, count, standIn.name);
      await systemClock.sleep(WARM_MS);
      const before = followers.lines();
      const usage = await measure(cluster);
      const after = followers.lines();
      const received = after.map((lines, i) => lines - (before[i] ?? 0));
      const sum = received.reduce((total, lines) => total + lines, 0);
      process.stdout.write(
        `${JSON.stringify({
          followers: count,
          kubelet: count > realMax ? 'stand-in' : 'real',
          seconds,
          ...usage,
          linesPerSecond: Math.round(sum / seconds),
          ...(count === 0 ? {} : { fewestLines: Math.min(...received), problems: followers.problems() }),
        })}\n`,
      );
      await followers.stop();
    }
  } finally {
    for (const action of undo.toReversed()) await action();
  }
}

async function startPods({ plane }: RealCluster, standIn: string): Promise<void> {
  const kubectl = kubectlFor(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfig}`], plane.request);
  const names = Array.from({ length: PODS }, (_, i) => `talker-${i}`);
  const talker = (name: string, spec: Readonly<Record<string, unknown>>): unknown => ({
    apiVersion: 'v1',
    kind: 'Pod',
    ...template(writer({ count: 1_000_000, rate: 1 }, 'app', '-'), spec),
    metadata: { name, namespace: NAMESPACE },
  });
  const items = [...names.map((name) => talker(name, { nodeName: NODE_NAME })), talker(standIn, { nodeName: standIn })];
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } };
  await kubectl.run(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items: [namespace] } });
  await plane.kubectl(['wait', '--for=create', 'serviceaccount/default', '-n', NAMESPACE, '--timeout=60s']);
  await kubectl.run(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
  for (const name of names) await podThat(kubectl, NAMESPACE, name, isReady);
}

/** So many feeds, one container each. */
async function follow({ plane }: RealCluster, folder: string, count: number, standIn: string): Promise<Followers> {
  const spills: string[] = [];
  const feeds: Array<{ readonly feed: StdioFeed; readonly close: () => void }> = [];
  const log = createLog({ clock: systemClock, level: 'error', write: () => {} });
  for (let i = 0; i < count; i += 1) {
    const own = join(folder, `${count}-${i}`);
    mkdirSync(own);
    spills.push(join(own, 'app/stdio.log'));
    const pod = count > realMax ? standIn : `talker-${i % PODS}`;
    // A connection pool of its own each, as each sidecar has.
    const { open, close } = createOpenLog({ url: new URL(plane.url), tokenDir: folder, namespace: NAMESPACE, pod });
    const shared = { clock: systemClock, random: systemRandom, log, metrics: createMetrics() };
    const feed = createPodLogFeed({ containers: ['app'], folder: own, open, endWaitMs: 0, ...shared });
    feed.start();
    feeds.push({ feed, close });
    await systemClock.sleep(OPEN_PAUSE_MS);
  }
  return {
    lines: () => spills.map((path) => readFileSync(path, 'latin1').split('\n').length - 1),
    problems: () => [...new Set(feeds.flatMap(({ feed }) => feed.problem() ?? []))].slice(0, 3),
    stop: async () => {
      await Promise.all(feeds.map(({ feed }) => feed.close()));
      for (const { close } of feeds) close();
    },
  };
}

/** Of both servers, over the time; memory at its end. */
async function measure({ plane, pids }: RealCluster): Promise<Readonly<Record<string, number>>> {
  const apiServer = pids['kube-apiserver'] ?? 0;
  // What this machine started is nsenter(1); the kubelet is its child.
  const kubelet = Number(readFileSync(`/proc/${pids['kubelet']}/task/${pids['kubelet']}/children`, 'utf8').trim());
  const beganMs = systemClock.monotonic();
  const before = [cpuSeconds(apiServer), cpuSeconds(kubelet)] as const;
  await systemClock.sleep(seconds * 1000);
  const spent = (systemClock.monotonic() - beganMs) / 1000;
  const cores = (now: number, then: number): number => Math.round(((now - then) / spent) * 1000);
  const { body } = await plane.request('GET', '/metrics');
  const open = String(body)
    .split('\n')
    .filter((line) => line.startsWith('apiserver_longrunning_requests{') && line.includes('subresource="log"'));
  return {
    openLogs: sumOf(open.join('\n'), 'apiserver_longrunning_requests'),
    apiServerMillicores: cores(cpuSeconds(apiServer), before[0]),
    apiServerMib: residentMib(apiServer),
    kubeletMillicores: cores(cpuSeconds(kubelet), before[1]),
    kubeletMib: residentMib(kubelet),
  };
}

function residentMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib ?? 0) / KIB_PER_MIB);
}

await main();
