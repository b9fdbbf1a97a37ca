/**
 * logtender installed in a test control plane: the manifests of deploy/ applied with kubectl, certs and webhook as processes of their
 * own, each with a token of its own service account, so that the rights in the manifests are the rights that they have.
 *
 * No kubelet runs here and no kube-proxy, so three things differ from a cluster, and nothing else: the Service of the webhook is an
 * ExternalName for localhost with the port in clientConfig, the Deployments have no replicas, and the processes read their configuration
 * from files. May import: src/core, test/servers.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { ask } from '../servers/http-json.ts';
import { freePorts } from '../servers/loopback-ports.ts';
import { ManagedProcess } from '../servers/managed-process.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { discardWorkFolder } from '../servers/work-folder.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const READY_MS_MAX = 60_000;
const POLL_MS = 25;

export interface Installation {
  readonly certs: ManagedProcess;
  readonly webhook: ManagedProcess;
  /** A file of ours for tests that need one. */
  readonly folder: string;
  /** Requests that the webhook answered, all reasons together. */
  calls(): Promise<number>;
  /** The webhook's metrics as text. */
  metrics(): Promise<string>;
  /** Port of the webhook on 127.0.0.1. */
  readonly port: number;
  /** The caBundle of the first entry, PEM. */
  caBundle(): Promise<string>;
  webhookLog(): string;
  uninstall(): Promise<void>;
}

export interface InstallOptions {
  /** YAML of certs.yaml. */
  readonly certs?: string;
  /** YAML of webhook.yaml; `server` is ours. */
  readonly webhook?: string;
}

/** Applies the manifests, starts both processes and waits until the webhook is ready. */
export async function install(plane: ControlPlane, options: InstallOptions = {}): Promise<Installation> {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-install-'));
  const [port = 0, adminPort = 0, certsPort = 0] = await freePorts(3);
  writeOverlay(folder, port);
  await plane.kubectl(['apply', '-k', folder]);
  const certsFile = join(folder, 'certs.yaml');
  writeFileSync(certsFile, `${options.certs ?? ''}\nadminHost: 127.0.0.1\nadminPort: ${certsPort}\n`);
  const webhookFile = join(folder, 'webhook.yaml');
  const server = `server: { host: 127.0.0.1, port: ${port}, adminPort: ${adminPort}, drain: 1s }`;
  writeFileSync(webhookFile, `${options.webhook ?? ''}\n${server}\n`);
  const certs = new ManagedProcess({
    name: 'logtender-certs',
    program: process.execPath,
    args: [join(ROOT, 'certs/main.ts')],
    cwd: folder,
    logFile: join(folder, 'certs.log'),
    env: {
      KUBECONFIG: await accountKubeconfig(plane, folder, 'logtender-certs'),
      POD_NAMESPACE: 'logtender',
      POD_NAME: 'certs-0',
      CERTS_CONFIG_FILE: certsFile,
    },
    ready: async () => (await ask(`http://127.0.0.1:${certsPort}/readyz`)).status === 200,
    readyMsMax: READY_MS_MAX,
  });
  const webhookLogFile = join(folder, 'webhook.log');
  const webhook = new ManagedProcess({
    name: 'logtender-webhook',
    program: process.execPath,
    args: [join(ROOT, 'webhook/main.ts')],
    cwd: folder,
    logFile: webhookLogFile,
    env: {
      KUBECONFIG: await accountKubeconfig(plane, folder, 'logtender-webhook'),
      POD_NAMESPACE: 'logtender',
      WEBHOOK_CONFIG_FILE: webhookFile,
    },
    ready: async () => (await ask(`http://127.0.0.1:${adminPort}/readyz`)).status === 200,
    readyMsMax: READY_MS_MAX,
  });
  await certs.start();
  await webhook.start();
  const metrics = async (): Promise<string> => String((await ask(`http://127.0.0.1:${adminPort}/metrics`)).body);
  return {
    certs,
    webhook,
    folder,
    port,
    metrics,
    calls: async () => sumOf(await metrics(), 'logtender_admission_requests_total'),
    caBundle: async () => {
      const path = '{.webhooks[0].clientConfig.caBundle}';
      const base64 = await plane.kubectl([
        'get',
        'mutatingwebhookconfiguration',
        'logtender-injector',
        '-o',
        `jsonpath=${path}`,
      ]);
      return Buffer.from(base64, 'base64').toString('utf8');
    },
    webhookLog: () => readFileSync(webhookLogFile, 'utf8'),
    uninstall: async () => {
      // The configuration first: from then on no pod waits for us.
      await plane.kubectl(['delete', 'mutatingwebhookconfiguration', 'logtender-injector', '--ignore-not-found']);
      await Promise.all([webhook.halt(), certs.halt()]);
      discardWorkFolder(folder);
    },
  };
}

/** Sum over all series of a counter in Prometheus text. */
export function sumOf(metrics: string, name: string): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Waits until `seen` gives a value; rejects after a minute with `what`. */
export async function eventually<T>(what: string, seen: () => Promise<T | undefined>): Promise<T> {
  const deadline = systemClock.monotonic() + READY_MS_MAX;
  for (;;) {
    const value = await seen();
    if (value !== undefined) return value;
    if (systemClock.monotonic() > deadline) throw new Error(`wait for ${what}: expected it within ${READY_MS_MAX} ms`);
    await systemClock.sleep(POLL_MS);
  }
}

/** A kustomization over deploy/ with what a control plane without nodes needs. */
function writeOverlay(folder: string, port: number): void {
  const entries = [0, 1, 2, 3].map(
    (i) => `      - op: replace\n        path: /webhooks/${i}/clientConfig/service/port\n        value: ${port}`,
  );
  const text = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ${relative(folder, join(ROOT, 'deploy'))}
replicas:
  - name: logtender-webhook
    count: 0
  - name: logtender-certs
    count: 0
patches:
  - target: { kind: Service, name: logtender-webhook }
    patch: |
      - op: replace
        path: /spec
        value: { type: ExternalName, externalName: localhost }
  - target: { kind: MutatingWebhookConfiguration }
    patch: |
${entries.join('\n')}
`;
  writeFileSync(join(folder, 'kustomization.yaml'), text);
}

/** A kubeconfig with a token of one of our own service accounts: its rights are the rights of the manifests. */
export async function accountKubeconfig(plane: ControlPlane, folder: string, account: string): Promise<string> {
  const token = await plane.kubectl(['create', 'token', account, '-n', 'logtender', '--duration=2h']);
  const path = join(folder, `${account}.kubeconfig`);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server: plane.url, 'certificate-authority-data': Buffer.from(plane.ca).toString('base64') },
      },
    ],
    users: [{ name: account, user: { token: token.trim() } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: account } }],
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}
