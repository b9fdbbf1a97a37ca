/**
 * The webhook as the process that runs in a pod (the bundle), with a real certificate manager and an API server in memory.
 *
 * What it takes from its surroundings is what a cluster gives it: kubeconfig, configuration file, Secret, webhook configuration.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { entriesOf } from '../../certs/ca-bundle.ts';
import { toPem } from '../../certs/bundle.ts';
import { startReplica } from '../../certs/replica.ts';
import { certsNames, parseCertsConfig } from '../../src/config/certs-config.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { coreClusterPath, webhookConfigurationPath } from '../../src/kube/paths.ts';
import { bundleOf } from '../bundles.ts';
import { plainEnv } from '../plain-env.ts';
import { freePorts } from '../servers/loopback-ports.ts';
import { findProgram } from '../servers/programs.ts';
import { startKubeHttp } from './kube-http.ts';
import type { KubeHttp } from './kube-http.ts';

const READY_MS_MAX = 30_000;
const LOG_SETTLE_MS = 40;
export const SERVER_NAME = 'logtender-webhook.logtender.svc';

export interface WebhookProcess {
  readonly pid: number;
  readonly port: number;
  readonly adminPort: number;
  readonly kube: KubeHttp;
  /** PEM that clients trust. */
  readonly ca: string;
  readonly folder: string;
  admin(path: string): Promise<{ readonly status: number; readonly body: string }>;
  /** Everything it wrote to stdout and stderr, what it is just about to write included. */
  log(): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Resolves with its exit code when it has ended; a signal that killed it gives -1. */
  readonly ended: Promise<number>;
  /** Resident memory in MiB. */
  rssMib(): number;
  /** Ends the certificate manager, so that nothing is repaired any more. */
  stopCertificates(): Promise<void>;
  /** Ends everything. */
  close(): Promise<void>;
}

export interface WebhookProcessOptions {
  /** Further keys of webhook.yaml's `server`. */
  readonly server?: Readonly<Record<string, unknown>>;
  /** Runs the process on this processor alone, where the machine can do that. */
  readonly cpu?: number;
  /** Heap of the old generation in MiB; Node takes half of the memory of a container for it. */
  readonly heapMib?: number;
  /** For its Node. */
  readonly flags?: readonly string[];
}

/** Starts it and waits until it is ready. */
export async function startWebhookProcess(options: WebhookProcessOptions = {}): Promise<WebhookProcess> {
  // First: when it cannot be built nothing is left running.
  const bundle = bundleOf('webhook');
  const folder = mkdtempSync(join(tmpdir(), 'logtender-webhook-process-'));
  const kube = await startKubeHttp();
  const certificates = await issue(kube);
  const [port = 0, adminPort = 0] = await freePorts(2);
  const server = { host: '127.0.0.1', port, adminPort, drain: '300ms', ...options.server };
  // A folder of its own, as a mounted ConfigMap has: the webhook watches it, and the log beside it would be a change with each line.
  mkdirSync(join(folder, 'config'));
  writeFileSync(join(folder, 'config', 'webhook.yaml'), JSON.stringify({ cluster: 'test', server }));
  writeFileSync(join(folder, 'kubeconfig'), JSON.stringify(kubeconfig(kube.url)));
  const logFile = join(folder, 'webhook.log');
  const child = launch(bundle, folder, logFile, options);
  const ended = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : -1));
  const admin = async (path: string): Promise<{ status: number; body: string }> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}${path}`);
    return { status: response.status, body: await response.text() };
  };
  const { pid } = child;
  assert(pid !== undefined);
  const process: WebhookProcess = {
    pid,
    port,
    adminPort,
    kube,
    ca: certificates.ca,
    folder,
    admin,
    log: () => writtenTo(logFile),
    signal: (name) => void child.kill(name),
    ended,
    rssMib: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    stopCertificates: certificates.close,
    close: async () => {
      child.kill('SIGKILL');
      await ended;
      await certificates.close();
      await kube.close();
      rmSync(folder, { recursive: true });
    },
  };
  await untilReady(process);
  return process;
}

async function untilReady(process: WebhookProcess): Promise<void> {
  let hasEnded = false;
  void process.ended.then(() => (hasEnded = true));
  const deadlineMs = systemClock.monotonic() + READY_MS_MAX;
  for (;;) {
    const found = await process.admin('/readyz').catch(() => undefined);
    if (found?.status === 200) return;
    if (hasEnded || systemClock.monotonic() > deadlineMs) {
      const text = `start webhook: expected it ready, got ${found?.body ?? 'nothing'}\n${await process.log()}`;
      await process.close();
      assert.fail(text);
    }
    await systemClock.sleep(20);
  }
}

/** Lines are gathered before they are written (src/core/line-writer.ts): the file is whole when it has stopped growing. */
async function writtenTo(file: string): Promise<string> {
  for (let known = ''; ;) {
    await systemClock.sleep(LOG_SETTLE_MS);
    const text = readFileSync(file, 'utf8');
    if (text === known) return text;
    known = text;
  }
}

/** A CA and a leaf from the real certificate manager, in the Secrets and the webhook configuration of the API in memory. */
async function issue(kube: KubeHttp): Promise<{ ca: string; close: () => Promise<void> }> {
  const { client } = kube;
  const names = certsNames('');
  const service = { name: names.service, namespace: 'logtender' };
  await client.create(webhookConfigurationPath(), {
    metadata: { name: names.webhookConfiguration },
    webhooks: ['a', 'b'].map((name) => ({ name: `${name}.logtender.logging.io`, clientConfig: { service } })),
  });
  await client.create(coreClusterPath('namespaces'), { metadata: { name: 'shop' } });
  await client.create(coreClusterPath('nodes'), {
    metadata: { name: 'node-1' },
    status: { nodeInfo: { kubeletVersion: 'v1.36.3' } },
  });
  const parsed = parseCertsConfig({}, {});
  assert(parsed.ok);
  const shared = { clock: systemClock, random: systemRandom, randomBytes, log: silentLog, metrics: createMetrics() };
  const replica = startReplica({ ...shared, client, config: parsed.value, usesLease: false });
  await replica.inOrder;
  const configuration = await client.get(webhookConfigurationPath(names.webhookConfiguration));
  assert(configuration.ok);
  const [entry] = entriesOf(configuration.value);
  assert(entry !== undefined);
  let closed: Promise<void> | undefined;
  return { ca: toPem(entry.bundle.certificates), close: () => (closed ??= replica.close()) };
}

function launch(
  bundle: string,
  folder: string,
  logFile: string,
  { cpu, heapMib, flags = [] }: WebhookProcessOptions,
): ChildProcess {
  const taskset = cpu === undefined ? undefined : findProgram('taskset');
  const heap = heapMib === undefined ? [] : [`--max-old-space-size=${heapMib}`];
  const node = [process.execPath, ...heap, ...flags, bundle];
  const [program = '', ...args] = taskset === undefined ? node : [taskset, '-c', String(cpu), ...node];
  const out = openSync(logFile, 'a');
  return spawn(program, args, {
    cwd: folder,
    stdio: ['ignore', out, out],
    env: {
      ...plainEnv(),
      KUBECONFIG: join(folder, 'kubeconfig'),
      POD_NAMESPACE: 'logtender',
      WEBHOOK_CONFIG_FILE: join(folder, 'config', 'webhook.yaml'),
    },
  });
}

function kubeconfig(url: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user: {} }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
}
