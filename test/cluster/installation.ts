/**
 * logtender installed in a test control plane: the manifests of deploy/ applied with kubectl, certs and webhook as processes of their
 * own with the rights of the manifests.
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
import type { ManagedProcess } from '../servers/managed-process.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { discardWorkFolder } from '../servers/work-folder.ts';
import { accountKubeconfig, certsProcess, webhookProcess } from './processes.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const READY_MS_MAX = 60_000;
/** Ever less often: looking takes processor time from what is looked at. */
const POLL_MS = { min: 25, max: 150 };

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
  await applyManifests(plane, folder, port);
  const [ofCerts, ofWebhook] = await Promise.all([
    accountKubeconfig(plane, { folder, account: 'logtender-certs' }),
    accountKubeconfig(plane, { folder, account: 'logtender-webhook' }),
  ]);
  const certs = certsProcess({
    name: 'certs',
    folder,
    kubeconfig: ofCerts,
    config: options.certs ?? '',
    adminPort: certsPort,
  });
  const webhook = webhookProcess({
    name: 'webhook',
    folder,
    kubeconfig: ofWebhook,
    config: options.webhook ?? '',
    port,
    adminPort,
    drain: '1s',
  });
  const webhookLogFile = join(folder, 'webhook.log');
  // As in a cluster: the webhook waits for its certificate.
  await Promise.all([certs.start(), webhook.start()]);
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
      // A later installation in the same control plane makes certificates of its own lives: nothing here outlives us.
      await plane.kubectl([
        'delete',
        'secret',
        'logtender-ca',
        'logtender-tls',
        '-n',
        'logtender',
        '--ignore-not-found',
      ]);
      discardWorkFolder(folder);
    },
  };
}

/** Sum over all series of a counter in Prometheus text. */
export function sumOf(metrics: string, name: string): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Waits until `seen` gives a value; rejects after that time (a minute by default) with `what`. */
export async function eventually<T>(
  what: string,
  seen: () => Promise<T | undefined>,
  msMax = READY_MS_MAX,
): Promise<T> {
  const deadline = systemClock.monotonic() + msMax;
  for (let waitMs = POLL_MS.min; ; waitMs = Math.min(POLL_MS.max, 1.5 * waitMs)) {
    const value = await seen();
    if (value !== undefined) return value;
    if (systemClock.monotonic() > deadline) throw new Error(`wait for ${what}: expected it within ${msMax} ms`);
    await systemClock.sleep(waitMs);
  }
}

/**
 * Applies deploy/ with what a control plane without nodes needs: the Service leads to that port of this machine.
 *
 * @param overlay folder under deploy/overlays, where the certificates are not our own
 */
export async function applyManifests(
  plane: ControlPlane,
  folder: string,
  port: number,
  overlay?: string,
): Promise<void> {
  const entries = [0, 1, 2, 3].map(
    (i) => `      - op: replace\n        path: /webhooks/${i}/clientConfig/service/port\n        value: ${port}`,
  );
  const deploy = relative(folder, join(ROOT, 'deploy'));
  // The certificate manager is in the base alone.
  const rest =
    overlay === undefined
      ? 'replicas:\n  - { name: logtender-certs, count: 0 }'
      : `components: [${deploy}/overlays/${overlay}]\nreplicas:`;
  const text = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ${deploy}
${rest}
  - { name: logtender-webhook, count: 0 }
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
  await plane.kubectl(['apply', '-k', folder]);
}
