/**
 * The two processes of the control side as processes of their own in a test: the bundles of an image, files for their configuration,
 * each with a token of its own service account, so that the rights in the manifests are the rights that they have.
 *
 * May import: test, test/servers.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleOf } from '../bundles.ts';
import type { BundleName } from '../bundles.ts';
import { ask } from '../servers/http-json.ts';
import { ManagedProcess } from '../servers/managed-process.ts';
import type { ControlPlane } from '../servers/servers.ts';

const READY_MS_MAX = 60_000;

export interface ProcessOptions {
  /** Unique in the folder: of the process, its log and its configuration. */
  readonly name: string;
  readonly folder: string;
  readonly kubeconfig: string;
  /** YAML; where it listens is added. */
  readonly config: string;
  readonly adminPort: number;
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take until it is ready. */
  readonly readyMsMax?: number;
}

export type Settings = Readonly<Record<string, string | number>>;

/** A replica of the certificate manager, not started yet. */
export function certsProcess(options: ProcessOptions): ManagedProcess {
  const file = join(options.folder, `${options.name}.yaml`);
  writeFileSync(file, `${options.config}\nadminHost: 127.0.0.1\nadminPort: ${options.adminPort}\n`);
  return processOf('certs', options, { POD_NAME: options.name, CERTS_CONFIG_FILE: file });
}

/** A replica of the webhook, not started yet. @param drain how long it serves on after SIGTERM @param server more of that section's keys */
export function webhookProcess(
  options: ProcessOptions & { readonly port: number; readonly drain: string; readonly server?: Settings },
): ManagedProcess {
  const file = join(options.folder, `${options.name}.yaml`);
  const { port, adminPort, drain } = options;
  const server = { host: '127.0.0.1', port, adminPort, drain, ...options.server };
  writeFileSync(file, `${options.config}\nserver: ${JSON.stringify(server)}\n`);
  return processOf('webhook', options, { WEBHOOK_CONFIG_FILE: file });
}

function processOf(entry: BundleName, options: ProcessOptions, env: Readonly<Record<string, string>>): ManagedProcess {
  const { name, folder, kubeconfig, adminPort, readyMsMax = READY_MS_MAX } = options;
  return new ManagedProcess({
    name,
    program: process.execPath,
    args: [bundleOf(entry)],
    cwd: folder,
    logFile: join(folder, `${name}.log`),
    env: { KUBECONFIG: kubeconfig, POD_NAMESPACE: 'logtender', ...env, ...options.env },
    ready: async () => (await ask(`http://127.0.0.1:${adminPort}/readyz`)).status === 200,
    readyMsMax,
  });
}

export interface KubeconfigOptions {
  readonly folder: string;
  /** Name of the service account. */
  readonly account: string;
  /** Where the API server is reached; the first one of the control plane by default. */
  readonly url?: string;
  /** Name of the file without its end; the account by default. */
  readonly name?: string;
  /** Of the account; ours by default. */
  readonly namespace?: string;
}

/** A kubeconfig with a token of one of our own service accounts: its rights are the rights of the manifests. */
export async function accountKubeconfig(plane: ControlPlane, options: KubeconfigOptions): Promise<string> {
  const { folder, account, url = plane.url, name = account, namespace = 'logtender' } = options;
  const token = await plane.kubectl(['create', 'token', account, '-n', namespace, '--duration=2h']);
  const path = join(folder, `${name}.kubeconfig`);
  const cluster = { server: url, 'certificate-authority-data': Buffer.from(plane.ca).toString('base64') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: account, user: { token: token.trim() } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: account } }],
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}
