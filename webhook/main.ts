/**
 * The admission webhook: composition, signals, exit codes.
 *
 * Exit 0 after SIGTERM or SIGINT, 1 when it could not start or stop, 2 when its configuration is wrong.
 * May import: core, config, kube, admin, certs, webhook.
 */
import { readFile } from 'node:fs/promises';

import { createSecretSource } from '../certs/certificate-source.ts';
import { startAdminServer } from '../src/admin/server.ts';
import { certsNames, serviceHost } from '../src/config/certs-config.ts';
import { problemText } from '../src/config/fields.ts';
import { parseWebhookConfig, WEBHOOK_ENV } from '../src/config/webhook-config.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import { systemClock, systemRandom } from '../src/core/clock.ts';
import { errorText, OperationalError } from '../src/core/errors.ts';
import { createLog } from '../src/core/log.ts';
import { createMetrics } from '../src/core/metrics.ts';
import { createKubeClient } from '../src/kube/http-client.ts';
import { createInformer } from '../src/kube/informer.ts';
import { loadKubeConnection } from '../src/kube/kubeconfig.ts';
import { byName, webhookConfigurationPath } from '../src/kube/paths.ts';
import { watchCluster } from './cluster-facts.ts';
import { createEvents } from './events.ts';
import { createHandler } from './handler.ts';
import { readinessChecks } from './readiness.ts';
import { createRequestRecorder } from './requests.ts';
import { startWebhookServer } from './server.ts';
import { checkDefault } from './settings.ts';
import { IMAGE, VERSION } from './version.ts';

/** Beyond the drain: a request's own time-out and the Events under way. Below the 45 s of grace in the manifest. */
const STOP_EXTRA_MS = 20_000;

async function loadConfig(): Promise<WebhookConfig> {
  const file = process.env[WEBHOOK_ENV.configFile];
  const namespace = process.env[WEBHOOK_ENV.namespace];
  let text: string;
  try {
    text = file === undefined ? '' : await readFile(file, 'utf8');
  } catch (error) {
    throw new OperationalError('CONFIG_INVALID', `read ${file}: expected a file, got: ${errorText(error)}`);
  }
  const parsed = parseWebhookConfig(text, {
    image: IMAGE,
    checkDefault,
    ...(namespace === undefined ? {} : { namespace }),
  });
  if (parsed.ok) return parsed.value;
  const problems = parsed.problems.map(problemText).join('\n');
  throw new OperationalError('CONFIG_INVALID', `${file ?? 'defaults'}:\n${problems}`);
}

async function main(): Promise<void> {
  const config = await loadConfig();
  const names = certsNames(config.instance);
  const clock = systemClock;
  const random = systemRandom;
  const log = createLog({ clock, level: config.logLevel, write: (line) => process.stderr.write(line) });
  const metrics = createMetrics();
  const client = createKubeClient(await loadKubeConnection());
  const hosts = [serviceHost(config), ...config.hosts];
  const { namespace } = config;
  const certificates = createSecretSource({
    client,
    clock,
    random,
    log,
    metrics,
    namespace,
    name: names.tlsSecret,
    hosts,
  });
  const configuration = createInformer({
    client,
    clock,
    random,
    log,
    path: webhookConfigurationPath(),
    query: byName(names.webhookConfiguration),
  });
  const facts = watchCluster({ client, clock, random, log });
  const events = createEvents({ client, clock, log, metrics });
  const record = createRequestRecorder({ log, metrics });
  const handler = createHandler({ config, facts, events, clock, log, record, version: VERSION });
  const server = await startWebhookServer({
    config: config.server,
    handler,
    certificates,
    record,
    clock,
    log,
    metrics,
  });
  const admin = await startAdminServer({
    host: config.server.host,
    port: config.server.adminPort,
    metrics,
    ready: readinessChecks({
      certificates,
      configuration: () => configuration.get('', names.webhookConfiguration),
      facts,
      isDraining: () => server.isDraining(),
      clock,
    }),
  });
  log.info('webhook started', { version: VERSION, port: server.port, adminPort: admin.port });

  const stop = async (signal: string): Promise<void> => {
    log.info('webhook stopping', { signal, drainMs: config.server.drainMs });
    setTimeout(() => {
      log.error('stop took too long', {});
      process.exit(1);
    }, config.server.drainMs + STOP_EXTRA_MS).unref();
    await server.drain();
    await events.close();
    await Promise.all([facts.close(), configuration.close(), certificates.close(), admin.close()]);
    client.close();
    log.info('webhook stopped');
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      stop(signal).catch((error: unknown) => {
        log.error('stop failed', { error: errorText(error) });
        process.exitCode = 1;
      });
    });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`logtender webhook: ${errorText(error)}\n`);
  const isConfig = error instanceof OperationalError && error.code === 'CONFIG_INVALID';
  process.exit(isConfig ? 2 : 1);
});
