/**
 * The certificate manager: composition, signals, exit codes.
 *
 * Exit 0 after SIGTERM or SIGINT, 1 when it could not start or stop, 2 when its configuration is wrong. It listens for health and
 * metrics alone. May import: src/core, src/config, src/kube, src/admin, certs.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { parse } from 'yaml';

import { startAdminServer } from '../src/admin/server.ts';
import { CERTS_ENV, parseCertsConfig } from '../src/config/certs-config.ts';
import type { CertsConfig } from '../src/config/certs-config.ts';
import { problemText } from '../src/config/fields.ts';
import { systemClock, systemRandom } from '../src/core/clock.ts';
import { errorText, OperationalError } from '../src/core/errors.ts';
import { createLog } from '../src/core/log.ts';
import { createMetrics } from '../src/core/metrics.ts';
import { createKubeClient } from '../src/kube/http-client.ts';
import { loadKubeConnection } from '../src/kube/kubeconfig.ts';
import { startReplica } from './replica.ts';

/** The longest orderly stop: one request's time-out for the step that was begun, one for the Lease. Below the usual grace of 30 s. */
const STOP_MS_MAX = 20_000;

async function loadConfig(): Promise<CertsConfig> {
  const file = process.env[CERTS_ENV.configFile];
  let document: unknown;
  try {
    document = file === undefined ? undefined : parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new OperationalError('CONFIG_INVALID', `read ${file}: expected a YAML file, got: ${errorText(error)}`);
  }
  const parsed = parseCertsConfig(document ?? undefined, process.env);
  if (parsed.ok) return parsed.value;
  throw new OperationalError('CONFIG_INVALID', parsed.problems.map(problemText).join('\n'));
}

async function main(): Promise<void> {
  const config = await loadConfig();
  const clock = systemClock;
  const log = createLog({ clock, level: config.logLevel, write: (line) => process.stderr.write(line) });
  const metrics = createMetrics();
  const client = createKubeClient(await loadKubeConnection());
  const shared = { client, config, clock, random: systemRandom, randomBytes, log, metrics };
  const replica = startReplica({ ...shared, usesLease: true });
  const pages = { '/status': (): unknown => replica.status() };
  const admin = await startAdminServer({
    host: config.adminHost,
    port: config.adminPort,
    metrics,
    ready: replica.checks,
    pages,
  });
  log.info('certs started', { namespace: config.namespace, adminPort: admin.port });

  const stop = async (signal: string): Promise<void> => {
    log.info('certs stopping', { signal });
    setTimeout(() => {
      log.error('stop took too long', { timeoutMs: STOP_MS_MAX });
      process.exit(1);
    }, STOP_MS_MAX).unref();
    await replica.close();
    await admin.close();
    client.close();
    log.info('certs stopped');
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
  process.stderr.write(`logtender certs: ${errorText(error)}\n`);
  const isConfig = error instanceof OperationalError && error.code === 'CONFIG_INVALID';
  process.exit(isConfig ? 2 : 1);
});
