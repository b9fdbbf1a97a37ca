/**
 * Stdout and stderr by the way that the configuration names.
 *
 * May import: core, config, source.
 */
import { stdioPlaces } from '../config/stdio-config.ts';
import { createPodLogFeed } from './pod-log/feed.ts';
import { apiServerUrl, createOpenLog } from './pod-log/log-request.ts';
import { createStdio } from './stdio.ts';
import type { Stdio, StdioFeed, StdioOptions } from './stdio.ts';

export interface StdioWayOptions extends StdioOptions {
  /** See FeedOptions. */
  readonly endWaitMs: number;
  /** Of the process: the kubelet names the API server in it. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Opens it; nothing is asked before its `start`. */
export function openStdioWay(options: StdioWayOptions): Stdio {
  return createStdio(options, options.config.way === 'api' ? apiFeed(options) : undefined);
}

function apiFeed(options: StdioWayOptions): StdioFeed {
  const { config, pod, stateDir, env, log } = options;
  const url = apiServerUrl(env);
  if (url === undefined) {
    const problem = 'KUBERNETES_SERVICE_HOST is not set, the API server is not known';
    log.error('stdout and stderr are not shipped', { problem });
    const nothing = { isComplete: () => true, problem: () => problem, isDispensable: () => false };
    return { ...nothing, start: () => {}, end: () => {}, close: async () => {} };
  }
  const server = createOpenLog({ url, tokenDir: config.tokenDir, namespace: pod.namespace, pod: pod.pod });
  const folder = stdioPlaces(config, pod, stateDir).mount;
  const feed = createPodLogFeed({ ...options, containers: config.containers, folder, open: server.open });
  const close = async (): Promise<void> => {
    await feed.close();
    server.close();
  };
  return { ...feed, close };
}
