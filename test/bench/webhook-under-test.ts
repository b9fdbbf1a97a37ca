/**
 * The real webhook on loopback with a cluster in memory, composed as `npm start` composes it: for both modes of the admission bench.
 *
 * Forked, it is a process of its own that reports where it listens.
 */
import { startLocalCertificates } from '../../certs/local.ts';
import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import { problemsText } from '../../src/config/forwarder-config.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createMemoryKube } from '../../src/kube/memory.ts';
import { coreClusterPath } from '../../src/kube/paths.ts';
import { watchCluster } from '../../webhook/cluster-facts.ts';
import { createEvents } from '../../webhook/events.ts';
import { createHandler } from '../../webhook/handler.ts';
import type { Handler } from '../../webhook/handler.ts';
import { createRequestRecorder } from '../../webhook/requests.ts';
import { startWebhookServer } from '../../webhook/server.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { IMAGE, VERSION } from '../../webhook/version.ts';

export const SERVER_NAME = 'logtender-webhook.logtender.svc';
export const NAMESPACE = 'bench';

export interface WebhookListening {
  readonly port: number;
  readonly ca: string;
}

export interface ComposedWebhook {
  readonly handler: Handler;
  readonly listen: () => Promise<WebhookListening>;
  /** Ends the watches, so that the process can end. */
  readonly close: () => Promise<void>;
}

/** A handler with its facts about an empty cluster; what it needs to be served comes with it. */
export async function composeWebhook(): Promise<ComposedWebhook> {
  const shared = { clock: systemClock, random: systemRandom, log: silentLog, metrics: createMetrics() };
  const raw = {
    cluster: 'bench',
    elasticsearchUrl: 'http://es:9200',
    server: { host: '127.0.0.1', port: 0, drain: '0ms' },
  };
  const parsed = readWebhookConfig(raw, { image: IMAGE, checkDefault });
  if (!parsed.ok) throw new Error(problemsText(parsed.problems));
  const config = parsed.value;
  const client = createMemoryKube();
  await client.create(coreClusterPath('namespaces'), { metadata: { name: NAMESPACE } });
  await client.create(coreClusterPath('nodes'), {
    metadata: { name: 'node-1' },
    status: { nodeInfo: { kubeletVersion: 'v1.36.3' } },
  });
  const facts = watchCluster({ ...shared, client });
  const events = createEvents({ ...shared, client });
  const record = createRequestRecorder(shared);
  const handler = createHandler({ ...shared, config, facts, events, record, version: VERSION });
  while (!facts.isReady()) await shared.clock.sleep(5);
  const listen = async (): Promise<WebhookListening> => {
    const certificates = await startLocalCertificates({ ...shared, hosts: [SERVER_NAME, 'localhost', '127.0.0.1'] });
    const server = await startWebhookServer({
      ...shared,
      config: config.server,
      handler,
      certificates: certificates.source,
      record,
    });
    return { port: server.port, ca: await certificates.caBundlePem() };
  };
  const close = async (): Promise<void> => {
    await events.close();
    await facts.close();
    client.close();
  };
  return { handler, listen, close };
}

if (import.meta.main) {
  process.once('disconnect', () => process.exit(0));
  const { listen } = await composeWebhook();
  process.send?.(await listen());
}
