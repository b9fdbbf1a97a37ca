/**
 * Keys, tokens and the serving certificate of a throw-away control plane, written into its work folder.
 *
 * Elliptic keys: made in milliseconds where RSA takes seconds. Clients show bearer tokens, so no client certificates are needed; the
 * serving certificate is its own authority. May import: node:, src/core, test/servers.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomHex, systemClock } from '../../../src/core/clock.ts';
import { selfSigned } from './self-signed.ts';

/** User -> groups, as the RBAC bootstrap roles of Kubernetes know them. */
const USERS = {
  admin: 'system:masters',
  'system:kube-controller-manager': '',
  'system:kube-scheduler': '',
  'system:kube-proxy': '',
  'system:node:node-1': 'system:nodes',
} as const;
export type User = keyof typeof USERS;

export interface Credentials {
  /** PEM: what a client must trust. */
  readonly ca: string;
  readonly adminToken: string;
  /** Writes a kubeconfig for an API server at `url` into the folder and gives its path. */
  kubeconfig(name: string, user: User, url: string): string;
  /** Paths by what they hold. */
  readonly files: {
    readonly certificate: string;
    readonly key: string;
    readonly tokens: string;
    readonly serviceAccountKey: string;
    readonly serviceAccountPublicKey: string;
    readonly adminKubeconfig: string;
    readonly controllerManagerKubeconfig: string;
    readonly schedulerKubeconfig: string;
  };
}

/**
 * Writes all credentials for an API server at `url` into `folder`.
 *
 * @param addresses IPv4 addresses beside 127.0.0.1 for which its certificate is good
 */
export function writeCredentials(folder: string, url: string, addresses: readonly string[] = []): Credentials {
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const serving = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const accounts = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const ca = selfSigned(serving, systemClock.now(), addresses);
  const tokens: Readonly<Record<User, string>> = {
    admin: randomHex(16),
    'system:kube-controller-manager': randomHex(16),
    'system:kube-scheduler': randomHex(16),
    'system:kube-proxy': randomHex(16),
    'system:node:node-1': randomHex(16),
  };
  // Static token file: token,user,uid,"groups" (Kubernetes documentation, Authenticating).
  const lines = Object.entries(USERS).map(([user, group]) => `${token(tokens, user)},${user},${user},"${group}"\n`);
  const kubeconfig = (name: string, user: User, server = url): string =>
    write(name, kubeconfigText(server, ca, tokens[user]));
  return {
    ca,
    adminToken: tokens.admin,
    kubeconfig,
    files: {
      certificate: write('apiserver.crt', ca),
      key: write('apiserver.key', privatePem(serving.privateKey)),
      tokens: write('tokens.csv', lines.join('')),
      serviceAccountKey: write('service-account.key', privatePem(accounts.privateKey)),
      serviceAccountPublicKey: write('service-account.pub', publicPem(accounts.publicKey)),
      adminKubeconfig: kubeconfig('admin.kubeconfig', 'admin'),
      controllerManagerKubeconfig: kubeconfig('controller-manager.kubeconfig', 'system:kube-controller-manager'),
      schedulerKubeconfig: kubeconfig('scheduler.kubeconfig', 'system:kube-scheduler'),
    },
  };
}

const privatePem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const publicPem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

const token = (tokens: Readonly<Record<string, string>>, user: string): string => tokens[user] ?? '';

/** A kubeconfig is YAML, and JSON is YAML. */
function kubeconfigText(url: string, ca: string, bearer: string): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'test', user: { token: bearer } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'default' } }],
    'current-context': 'test',
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
