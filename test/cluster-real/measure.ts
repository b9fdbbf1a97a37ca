/**
 * `node test/cluster-real/measure.ts [SECONDS]`: what the sidecar uses at the shipped requests and limits, by its own control group: at rest,
 * and at 1,000 lines a second to a real Elasticsearch. One JSON line per phase on stdout. Not a test: a busy machine gives other figures.
 */
import { systemClock } from '../../src/core/clock.ts';
import { defaultPreparation } from '../servers/cache.ts';
import type { Usage } from '../servers/node/control-groups.ts';
import { startCluster, startElasticsearch } from '../servers/servers.ts';
import { arrivals } from './arrived.ts';
import { buildImageFile } from './built-image.ts';
import { installLogtender } from './installation.ts';
import { kubectlFor } from './kubectl.ts';
import { createInjected, isReady, podThat, sidecarStatus, template, writer } from './pods.ts';

const NAMESPACE = 'measure';
const RATE = 1_000;
const LINE_BYTES = 182;
/** Start-up is over, the first records are sent. */
const WARM_MS = 10_000;
const SAMPLE_MS = 500;
const MIB = 1024 * 1024;
const seconds = Number(process.argv[2] ?? '60');

interface Sample {
  readonly atMs: number;
  readonly usage: Usage;
}

async function main(): Promise<void> {
  const undo: Array<() => Promise<void>> = [];
  try {
    const cluster = await startCluster(defaultPreparation());
    undo.push(() => cluster.stop());
    const search = await startElasticsearch();
    undo.push(() => search.stop());
    const image = await buildImageFile();
    undo.push(async () => image.discard());
    await cluster.importImage(image.path);
    const kubectl = kubectlFor(cluster.plane.kubectlPath, [`--kubeconfig=${cluster.plane.kubeconfig}`]);
    await installLogtender(kubectl, {
      image: image.reference,
      config: { cluster: 'real', elasticsearchUrl: await cluster.expose(search.url) },
    });
    // The words as shipped: nothing but what a user must say.
    await createInjected(kubectl, NAMESPACE, { 'flush-interval': '1s' });
    for (const [name, count] of [
      ['rest', 1],
      ['load', RATE * (seconds + 2 * (WARM_MS / 1000))],
    ] as const) {
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        ...template(writer({ count, rate: RATE, bytes: LINE_BYTES, rotate: 100_000, linger: -1 })),
        metadata: { name, namespace: NAMESPACE },
      };
      await kubectl.run(['apply', '-f', '-'], { input: pod });
      const id = sidecarStatus(await podThat(kubectl, NAMESPACE, name, isReady))?.containerID ?? '';
      await systemClock.sleep(WARM_MS);
      const samples: Sample[] = [];
      const end = systemClock.monotonic() + seconds * 1000;
      while (systemClock.monotonic() < end) {
        const usage = cluster.usage(id);
        if (usage !== undefined) samples.push({ atMs: systemClock.monotonic(), usage });
        await systemClock.sleep(SAMPLE_MS);
      }
      const after = await podThat(kubectl, NAMESPACE, name, () => true);
      process.stdout.write(
        `${JSON.stringify({ phase: name, ...summary(samples), restarts: sidecarStatus(after)?.restartCount })}\n`,
      );
      if (name === 'load') {
        const found = await arrivals(search, NAMESPACE, count + 1);
        process.stdout.write(`${JSON.stringify({ phase: 'arrived', found: Object.fromEntries(found) })}\n`);
      }
    }
  } finally {
    for (const action of undo.toReversed()) await action();
  }
}

function summary(samples: readonly Sample[]): Readonly<Record<string, number>> {
  const [first] = samples;
  const last = samples.at(-1);
  if (first === undefined || last === undefined) throw new Error('measure sidecar: expected samples, got none');
  const mib = (bytes: number): number => Math.round((bytes / MIB) * 10) / 10;
  const most = (value: (usage: Usage) => number): number => mib(Math.max(...samples.map(({ usage }) => value(usage))));
  return {
    seconds: Math.round((last.atMs - first.atMs) / 1000),
    cpuMillicores: Math.round(((last.usage.cpuNs - first.usage.cpuNs) / 1e6 / (last.atMs - first.atMs)) * 10_000) / 10,
    anonymousMibMax: most(({ anonymousBytes }) => anonymousBytes),
    chargedMibMax: most(({ memoryBytes }) => memoryBytes),
    chargedPeakMib: mib(last.usage.memoryPeakBytes),
    limitHits: last.usage.limitHits - first.usage.limitHits,
  };
}

await main();
