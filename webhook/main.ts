/**
 * The admission webhook: composition, signals, exit codes.
 *
 * Exit 0 after SIGTERM or SIGINT, 1 when it could not start or stop, 2 when its configuration is wrong.
 * May import: core, config, kube, admin, certs, webhook.
 */
import { createSecretSource } from '../certs/certificate-source.ts';
import { createFileSource } from '../certs/file-source.ts';
import { toPem } from '../certs/bundle.ts';
import { createPrometheusMetrics } from '../src/admin/prometheus.ts';
import { startAdminServer } from '../src/admin/server.ts';
import { certsNames, serviceHost } from '../src/config/certs-config.ts';
import { problemWithoutValue } from '../src/config/fields.ts';
import { parseWebhookConfig, WEBHOOK_ENV } from '../src/config/webhook-config.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import type { Parsed } from '../src/config/fields.ts';
import { systemClock, systemRandom } from '../src/core/clock.ts';
import { errorText, OperationalError } from '../src/core/errors.ts';
import { createLineWriter, descriptorOutput } from '../src/core/line-writer.ts';
import { createLog, logLine } from '../src/core/log.ts';
import { listenForEnd } from '../src/core/lost-signal.ts';
import { createEventWriter } from '../src/kube/events.ts';
import { createKubeClient } from '../src/kube/http-client.ts';
import { loadKubeConnection } from '../src/kube/kubeconfig.ts';
import { watchCluster } from './cluster-facts.ts';
import { openDoors } from './doors.ts';
import { configHash } from './config-hash.ts';
import { createConfigNotices } from './config-notices.ts';
import { configFileAt, createConfigSource } from './config-source.ts';
import type { ConfigFile } from './config-source.ts';
import { createEvents } from './events.ts';
import { createHandler } from './handler.ts';
import { watchTrust } from './live-trust.ts';
import { readinessChecks } from './readiness.ts';
import { createRequestRecorder } from './requests.ts';
import { createSelfDial } from './self-dial.ts';
import { startWebhookServer } from './server.ts';
import { checkDefault } from './settings.ts';
import { IMAGE, VERSION } from './version.ts';

const STDERR = 2;

/** Beyond the drain: a request's own time-out and the Events under way. Below the 45 s of grace in the manifest. */
const STOP_EXTRA_MS = 20_000;

/** Without a file every key has its default, and nothing is ever read again. */
const NO_FILE: ConfigFile = { read: async () => '', watch: () => () => {} };

function parseConfig(text: string): Parsed<WebhookConfig> {
  const namespace = process.env[WEBHOOK_ENV.namespace];
  const tlsMode = process.env[WEBHOOK_ENV.tlsMode];
  return parseWebhookConfig(text, {
    image: IMAGE,
    checkDefault,
    ...(namespace === undefined ? {} : { namespace }),
    ...(tlsMode === undefined ? {} : { tlsMode }),
  });
}

/** At the start there is nothing good to keep: a wrong file ends the process. */
async function loadConfig(
  path: string | undefined,
  file: ConfigFile,
): Promise<{ config: WebhookConfig; text: string }> {
  const text = await file.read();
  const parsed = parseConfig(text);
  if (parsed.ok) return { config: parsed.value, text };
  const problems = parsed.problems.map(problemWithoutValue).join('\n');
  throw new OperationalError('CONFIG_INVALID', `${path ?? 'defaults'}:\n${problems}`);
}

function isoOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

async function main(): Promise<void> {
  const path = process.env[WEBHOOK_ENV.configFile];
  const file = path === undefined ? NO_FILE : configFileAt(path);
  const started = await loadConfig(path, file);
  const { config } = started;
  const names = certsNames(config.instance);
  const clock = systemClock;
  const random = systemRandom;
  const lost = (lines: number): string => logLine(clock.now(), 'error', 'log lines lost', { lines });
  const lines = createLineWriter({ output: descriptorOutput(STDERR), clock, lost });
  process.once('exit', () => lines.end());
  const log = createLog({ clock, level: config.logLevel, write: (line) => lines.write(line) });
  const metrics = createPrometheusMetrics();
  const client = createKubeClient(await loadKubeConnection());
  const hosts = [serviceHost(config), ...config.hosts];
  const { namespace } = config;
  const { tls } = config;
  const owner = tls.mode === 'self' ? names.owner : undefined;
  const trust = watchTrust({ client, clock, random, log, name: names.webhookConfiguration });
  const pairs = { clock, log, metrics, hosts, trust };
  const certificates =
    tls.mode === 'files'
      ? createFileSource({ ...tls, ...pairs })
      : createSecretSource({ ...pairs, client, random, namespace, name: names.tlsSecret, owner });
  const facts = watchCluster({ client, clock, random, log });
  const events = createEvents({ client, clock, log, metrics });
  const record = createRequestRecorder({ log, metrics });
  const configEvents = createEventWriter({ client, clock, log, metrics, component: 'logtender-webhook' });
  const tell = createConfigNotices({ client, events: configEvents, log, namespace, name: names.configMap });
  const configSource = createConfigSource({ started, file, parse: parseConfig, tell, clock, log, metrics });
  const handler = createHandler({
    config: () => configSource.current(),
    facts,
    events,
    clock,
    log,
    record,
    version: VERSION,
  });
  const doors = await openDoors(config.server, { clock, log, metrics });
  const selfDial = createSelfDial({
    host: config.server.host,
    port: () => server.port,
    serverName: serviceHost(config),
    bundles: () => (trust.entries() ?? []).map(({ bundle }) => toPem(bundle.certificates)),
    fingerprint: () => certificates.current()?.fingerprint ?? '',
    clock,
  });
  const server = await startWebhookServer({
    config: config.server,
    handler,
    certificates,
    ...doors,
    onDistrust: () => {
      // Our copies may be behind: then the newer pair is taken, or readiness says that our CA is not trusted.
      certificates.refresh();
      trust.refresh();
    },
    isOwnPort: selfDial.isOwnPort,
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
      trust,
      facts,
      selfDial,
      isDraining: () => server.isDraining(),
      configNote: () => configSource.note(),
      clock,
    }),
    pages: {
      '/status': () => ({
        version: VERSION,
        certificate: certificates.current()?.fingerprint,
        certificateEnds: isoOf(certificates.current()?.notAfterMs),
        config: configHash(configSource.current()),
        configNote: configSource.note(),
        paused: configSource.current().paused,
      }),
    },
  });
  log.info('webhook started', { version: VERSION, port: server.port, adminPort: admin.port });

  const stop = async (signal: string): Promise<void> => {
    log.info('webhook stopping', { signal, drainMs: config.server.drainMs });
    setTimeout(() => {
      log.error('stop took too long', {});
      process.exit(1);
    }, config.server.drainMs + STOP_EXTRA_MS).unref();
    await server.drain();
    await configSource.close();
    await Promise.all([events.close(), configEvents.close()]);
    await Promise.all([facts.close(), trust.close(), certificates.close(), admin.close(), doors.close()]);
    client.close();
    log.info('webhook stopped');
  };
  const end = (signal: string): void => {
    stop(signal).catch((error: unknown) => {
      log.error('stop failed', { error: errorText(error) });
      process.exitCode = 1;
    });
  };
  listenForEnd(end, { isOnce: true });
}

main().catch((error: unknown) => {
  process.stderr.write(`logtender webhook: ${errorText(error)}\n`);
  const isConfig = error instanceof OperationalError && error.code === 'CONFIG_INVALID';
  process.exit(isConfig ? 2 : 1);
});
