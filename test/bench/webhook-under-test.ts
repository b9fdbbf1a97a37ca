/**
 * The webhook's handler with a cluster in memory, composed as webhook/main.ts composes it, for calls without a server.
 */
import { createPrometheusMetrics } from '../../src/admin/prometheus.ts';
import { problemsText } from '../../src/config/forwarder-config.ts';
import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { createLog } from '../../src/core/log.ts';
import { createMemoryKube } from '../../src/kube/memory.ts';
import { coreClusterPath } from '../../src/kube/paths.ts';
import { watchCluster } from '../../webhook/cluster-facts.ts';
import { createEvents } from '../../webhook/events.ts';
import { createHandler } from '../../webhook/handler.ts';
import type { Handler } from '../../webhook/handler.ts';
import { createRequestRecorder } from '../../webhook/requests.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { IMAGE, VERSION } from '../../webhook/version.ts';

export interface ComposedWebhook {
  readonly handler: Handler;
  /** Ends the watches, so that the process can end. */
  readonly close: () => Promise<void>;
}

/**
 * A handler with its facts about a cluster of one namespace.
 *
 * @param options.write takes the log lines
 */
export async function composeWebhook(options: {
  readonly namespace: string;
  readonly write: (line: string) => void;
}): Promise<ComposedWebhook> {
  const log = createLog({ clock: systemClock, level: 'info', write: options.write });
  const shared = { clock: systemClock, random: systemRandom, log, metrics: createPrometheusMetrics() };
  const parsed = readWebhookConfig({ cluster: 'bench' }, { image: IMAGE, checkDefault });
  if (!parsed.ok) throw new Error(problemsText(parsed.problems));
  const config = parsed.value;
  const client = createMemoryKube();
  await client.create(coreClusterPath('namespaces'), { metadata: { name: options.namespace } });
  await client.create(coreClusterPath('nodes'), {
    metadata: { name: 'node-1' },
    status: { nodeInfo: { kubeletVersion: 'v1.36.3' } },
  });
  const facts = watchCluster({ ...shared, client });
  const events = createEvents({ ...shared, client });
  const record = createRequestRecorder(shared);
  const handler = createHandler({ ...shared, config: () => config, facts, events, record, version: VERSION });
  while (!facts.isReady()) await shared.clock.sleep(5);
  const close = async (): Promise<void> => {
    await events.close();
    await facts.close();
    client.close();
  };
  return { handler, close };
}
