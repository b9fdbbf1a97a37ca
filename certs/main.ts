/**
 * The certificate manager: composition, signals, exit codes.
 *
 * Exit 0 after SIGTERM or SIGINT, 1 when it could not start or stop, 2 when its configuration is wrong. It listens for health and
 * metrics alone. May import: src/core, src/config, src/kube, src/admin, certs.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { createPrometheusMetrics } from '../src/admin/prometheus.ts';
import { startAdminServer } from '../src/admin/server.ts';
import { CERTS_ENV, parseCertsText } from '../src/config/certs-config.ts';
import type { CertificateMode, CertsConfig } from '../src/config/certs-config.ts';
import { problemText } from '../src/config/fields.ts';
import { systemClock, systemRandom } from '../src/core/clock.ts';
import { errorText, OperationalError } from '../src/core/errors.ts';
import { createLog } from '../src/core/log.ts';
import { listenForEnd } from '../src/core/lost-signal.ts';
import { createEventWriter } from '../src/kube/events.ts';
import { createKubeClient } from '../src/kube/http-client.ts';
import { loadKubeConnection } from '../src/kube/kubeconfig.ts';
import { createFault } from './fault.ts';
import { startReplica } from './replica.ts';
import type { Replica, ReplicaOptions } from './replica.ts';

/** The longest orderly stop: one request's time-out for the step that was begun, one for the Lease. Below the usual grace of 30 s. */
const STOP_MS_MAX = 20_000;

async function loadConfig(): Promise<CertsConfig> {
  const file = process.env[CERTS_ENV.configFile];
  let text: string;
  try {
    text = file === undefined ? '' : await readFile(file, 'utf8');
  } catch (error) {
    throw new OperationalError('CONFIG_INVALID', `read ${file}: expected a YAML file, got: ${errorText(error)}`);
  }
  const parsed = parseCertsText(text, process.env);
  if (parsed.ok) return parsed.value;
  throw new OperationalError('CONFIG_INVALID', `${file ?? 'env'}:\n${parsed.problems.map(problemText).join('\n')}`);
}

type Work = Pick<Replica, 'checks' | 'status' | 'close'>;

async function manage(options: Pick<ReplicaOptions, 'config' | 'clock' | 'log' | 'metrics' | 'fault'>): Promise<Work> {
  const client = createKubeClient(await loadKubeConnection());
  const { clock, log, metrics } = options;
  const events = createEventWriter({ client, clock, log, metrics, component: 'logtender-certs' });
  const replica = startReplica({ ...options, client, random: systemRandom, randomBytes, events, usesLease: true });
  return {
    checks: replica.checks,
    status: () => replica.status(),
    close: async () => {
      await replica.close();
      await events.close();
      client.close();
    },
  };
}

function idle(mode: CertificateMode): Work {
  return { checks: [], status: () => ({ mode }), close: () => Promise.resolve() };
}

async function main(): Promise<void> {
  const config = await loadConfig();
  const { faultAt } = config;
  const fault =
    faultAt === undefined ? {} : { fault: createFault(faultAt, () => process.kill(process.pid, 'SIGKILL')) };
  const clock = systemClock;
  const log = createLog({ clock, level: config.logLevel, write: (line) => process.stderr.write(line) });
  const metrics = createPrometheusMetrics();
  // Somebody else makes the certificate: no client even, so that nothing can be written whatever the rights are.
  const work = config.mode === 'self' ? await manage({ config, clock, log, metrics, ...fault }) : idle(config.mode);
  const admin = await startAdminServer({
    host: config.adminHost,
    port: config.adminPort,
    metrics,
    ready: work.checks,
    pages: { '/status': (): unknown => work.status() },
  });
  log.info('certs started', { mode: config.mode, namespace: config.namespace, adminPort: admin.port });

  const stop = async (signal: string): Promise<void> => {
    log.info('certs stopping', { signal });
    setTimeout(() => {
      log.error('stop took too long', { timeoutMs: STOP_MS_MAX });
      process.exit(1);
    }, STOP_MS_MAX).unref();
    await work.close();
    await admin.close();
    log.info('certs stopped');
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
  process.stderr.write(`logtender certs: ${errorText(error)}\n`);
  const isConfig = error instanceof OperationalError && error.code === 'CONFIG_INVALID';
  process.exit(isConfig ? 2 : 1);
});
