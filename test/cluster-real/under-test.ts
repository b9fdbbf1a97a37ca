/**
 * One cluster for all suites of this folder: node, Elasticsearch, the image of this checkout; with logtender installed from it by the
 * manifests, or empty for the suite that installs by Helm.
 *
 * Pods reach Elasticsearch through the operator's configuration (`elasticsearchUrl`). May import: test.
 */
import { requireServer } from '../servers/require-server.ts';
import type { RealCluster, SearchServer } from '../servers/servers.ts';
import { buildImageFile, type ImageFile } from './built-image.ts';
import { installLogtender, uninstallLogtender, type InstallOptions } from './installation.ts';
import { kubectlFor, type Kubectl } from './kubectl.ts';

export interface UnderTest {
  readonly cluster: RealCluster;
  readonly kubectl: Kubectl;
  readonly search: SearchServer;
  /** Where pods reach it. */
  readonly searchUrl: string;
  readonly image: ImageFile;
  readonly install: InstallOptions;
}

let shared: Promise<UnderTest> | undefined;
/** Whether the manifests are applied; one step after the other. */
let installed: Promise<boolean> = Promise.resolve(false);

/** For `before` hooks; the first call starts everything. */
export async function requireLogtender(context: Mocha.Context): Promise<UnderTest> {
  const real = await requireCluster(context);
  installed = installed.then(async (is) => {
    if (!is) await installLogtender(real.kubectl, real.install);
    return true;
  });
  await installed;
  return real;
}

/** The same without logtender, which whoever asks for it so installs and removes himself. */
export async function requireEmptyCluster(context: Mocha.Context): Promise<UnderTest> {
  const real = await requireCluster(context);
  installed = installed.then(async (is) => {
    if (is) await uninstallLogtender(real.kubectl, real.install);
    return false;
  });
  await installed;
  return real;
}

async function requireCluster(context: Mocha.Context): Promise<UnderTest> {
  const cluster = await requireServer(context, 'cluster');
  if (shared === undefined) {
    // Compressing Node and starting Java take as long as each other.
    const building = buildImageFile();
    // Whoever waits for it gets the failure; nobody may be there yet.
    building.catch(() => {});
    shared = requireServer(context, 'elasticsearch').then((search) => start(cluster, search, building));
  }
  return shared;
}

async function start(cluster: RealCluster, search: SearchServer, building: Promise<ImageFile>): Promise<UnderTest> {
  const image = await building;
  // The servers end in the root hooks; the file has nobody else.
  process.once('exit', () => image.discard());
  await cluster.importImage(image.path);
  const searchUrl = await cluster.expose(search.url);
  const { kubectlPath, kubeconfig, request } = cluster.plane;
  const kubectl = kubectlFor(kubectlPath, [`--kubeconfig=${kubeconfig}`], request);
  const install = {
    image: image.reference,
    config: { cluster: 'real', elasticsearchUrl: searchUrl, stdoutNode: true },
  };
  return { cluster, kubectl, search, searchUrl, image, install };
}
