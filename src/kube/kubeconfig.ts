/**
 * Where the API server is and how a request proves who we are: kubeconfig files, exec plugins, in-cluster tokens.
 *
 * The only file that loads @kubernetes/client-node, and only when asked to; of it the module of the kubeconfig alone, because the models
 * of its index take 20 MiB of memory that a bundle can leave out (deploy/build.ts).
 * Invariant: credentials are asked for again for each request, so that rotated tokens are followed. May import: core, config.
 */
import type { RequestOptions } from 'node:https';

import { errorText, OperationalError } from '../core/errors.ts';

export interface KubeConnection {
  /** Base address of the API server. */
  readonly server: URL;
  /** Namespace of the context, if it names one. */
  readonly namespace: string | undefined;
  /** Headers, client certificate, CA and (behind a proxy) an agent for one request. */
  credentials(): Promise<RequestOptions>;
}

export interface KubeconfigOptions {
  /** Kubeconfig file. Without it: KUBECONFIG, then ~/.kube/config, then the pod's own service account. */
  readonly file?: string;
  readonly context?: string;
}

/**
 * Loads a connection.
 *
 * @throws OperationalError KUBE_UNAVAILABLE when there is no usable kubeconfig and we are in no cluster
 */
export async function loadKubeConnection(options: KubeconfigOptions = {}): Promise<KubeConnection> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  try {
    if (options.file === undefined) config.loadFromDefault();
    else config.loadFromFile(options.file);
    if (options.context !== undefined) config.setCurrentContext(options.context);
  } catch (error) {
    throw unusable(`read kubeconfig: expected a kubeconfig file, got: ${errorText(error)}`, error);
  }
  const cluster = config.getCurrentCluster();
  // The library falls back to this address when it finds nothing; no API server of today listens there.
  if (cluster === null || cluster.server === 'http://localhost:8080') {
    throw unusable('find API server: expected a kubeconfig with a current context, got none');
  }
  const server = URL.parse(cluster.server);
  if (server === null) throw unusable(`read kubeconfig: expected a URL as server, got ${cluster.server}`);
  const isProxied = cluster.proxyUrl !== undefined;
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return {
    server,
    namespace,
    credentials: async () => {
      const request: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(request);
      // Its agent keeps no connections open; ours does. Only a proxy needs the agent that the library makes.
      if (!isProxied) delete request.agent;
      return request;
    },
  };
}

function unusable(message: string, cause?: unknown): OperationalError {
  const hint = 'Set KUBECONFIG to a kubeconfig file, or run in a pod with a service account token.';
  return new OperationalError('KUBE_UNAVAILABLE', message, { cause, hint });
}
