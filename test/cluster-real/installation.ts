/**
 * logtender installed in a cluster that runs pods: `kubectl apply -k` of deploy/ with the image named, as a user does it.
 *
 * May import: src/core, test.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import type { Kubectl } from './kubectl.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const ROLLOUT_SECONDS_MAX = 180;

export interface InstallOptions {
  /** Full reference with tag. */
  readonly image: string;
  /** webhook.yaml of the ConfigMap; `image` is added. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Applies the manifests and waits until webhook and certificate manager are Ready. */
export async function installLogtender(kubectl: Kubectl, options: InstallOptions): Promise<void> {
  await withKustomization(options, (folder) => kubectl.run(['apply', '-k', folder]));
  for (const name of ['logtender-certs', 'logtender-webhook']) {
    const limit = `--timeout=${ROLLOUT_SECONDS_MAX}s`;
    const { code, stderr } = await kubectl.outcome([
      'rollout',
      'status',
      `deployment/${name}`,
      '-n',
      'logtender',
      limit,
    ]);
    if (code !== 0) throw new Error(`install ${name}: expected it Ready, got ${stderr.trim()}\n${await why(kubectl)}`);
  }
}

/** Removes everything that was applied, the webhook configuration first: from then on no pod waits for us. */
export async function uninstallLogtender(kubectl: Kubectl, options: InstallOptions): Promise<void> {
  await kubectl.run(['delete', 'mutatingwebhookconfiguration', 'logtender-injector', '--ignore-not-found']);
  await withKustomization(options, (folder) =>
    kubectl.run(['delete', '-k', folder, '--ignore-not-found', '--wait=true']),
  );
}

/** A kustomization that names the image, for our own pods and in the ConfigMap for the sidecars. */
async function withKustomization<T>(
  { image, config }: InstallOptions,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-install-'));
  const colon = image.lastIndexOf(':');
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [relative(folder, join(ROOT, 'deploy'))],
    images: [{ name: 'logtender', newName: image.slice(0, colon), newTag: image.slice(colon + 1) }],
    patches: [
      {
        target: { kind: 'ConfigMap', name: 'logtender-config' },
        patch: JSON.stringify([
          { op: 'replace', path: '/data/webhook.yaml', value: JSON.stringify({ image, ...config }) },
        ]),
      },
    ],
  };
  try {
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the pods say, for a message. */
async function why(kubectl: Kubectl): Promise<string> {
  const said = await Promise.all([
    kubectl.outcome(['get', 'pods', '-n', 'logtender', '-o', 'wide']),
    kubectl.outcome(['get', 'events', '-n', 'logtender', '--sort-by=.lastTimestamp']),
    kubectl.outcome(['logs', '-n', 'logtender', '-l', 'app.kubernetes.io/part-of=logtender', '--tail=20', '--prefix']),
  ]);
  return said.map(({ stdout }) => stdout).join('\n');
}
