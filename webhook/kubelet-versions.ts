/**
 * Whether every kubelet of the cluster knows native sidecars, asked at start and again every ten minutes.
 *
 * Invariants: the oldest kubelet decides; a cluster without nodes is judged by its API server; a failed question keeps the last answer
 * and is repeated soon. Source: KEP-753, "Version Skew Strategy". May import: core, config, kube.
 */
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import { isRecord } from '../src/kube/client.ts';
import type { KubeClient, KubeObject } from '../src/kube/client.ts';
import { coreClusterPath } from '../src/kube/paths.ts';
import type { Kubelets } from './shape.ts';

export interface KubeletVersions {
  current(): Kubelets;
  /** True after the first answer, good or bad. */
  isAsked(): boolean;
  close(): Promise<void>;
}

/** Nodes come and go in minutes; an older node that joins is rare, and a native sidecar on it only delays the pod's start. */
const ASK_AGAIN_MS = 10 * 60_000;
const ASK_AFTER_FAILURE_MS = 15_000;
const NATIVE_SINCE = { major: 1, minor: 29 } as const;
const PAGE_NODES = '100';

/** Starts to ask. */
export function watchKubelets(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
}): KubeletVersions {
  const { client, clock, log } = options;
  const stop = new AbortController();
  let current: Kubelets = 'unknown';
  let isAsked = false;
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const answer = await askKubelets(client, stop.signal);
      if (answer !== 'unknown') current = answer;
      else if (!stop.signal.aborted) log.warn('kubelet versions are not known', { kept: current });
      isAsked = true;
      await clock.sleep(answer === 'unknown' ? ASK_AFTER_FAILURE_MS : ASK_AGAIN_MS, stop.signal);
    }
  };
  const done = run();
  return {
    current: () => current,
    isAsked: () => isAsked,
    close: async () => {
      stop.abort();
      await done;
    },
  };
}

/** One question, page by page; `unknown` for any failure. */
export async function askKubelets(client: KubeClient, signal: AbortSignal): Promise<Kubelets> {
  let next = '';
  let nodes = 0;
  do {
    const query = { limit: PAGE_NODES, ...(next === '' ? {} : { continue: next }) };
    const page = await client.list(coreClusterPath('nodes'), query, { signal });
    if (!page.ok) return 'unknown';
    nodes += page.value.items.length;
    if (page.value.items.some((node) => !knowsNative(kubeletVersion(node)))) return 'old';
    next = page.value.next;
  } while (next !== '');
  if (nodes > 0) return 'ready';
  const server = await client.get('/version', { signal });
  if (!server.ok) return 'unknown';
  return knowsNative(server.value['gitVersion']) ? 'ready' : 'old';
}

function kubeletVersion(node: KubeObject): unknown {
  const status = node['status'];
  const info = isRecord(status) ? status['nodeInfo'] : undefined;
  return isRecord(info) ? info['kubeletVersion'] : undefined;
}

/** `v1.29.3-eks-1234` and its like; what is no version is taken for an old one. */
export function knowsNative(version: unknown): boolean {
  const match = typeof version === 'string' ? /^v?(\d+)\.(\d+)/.exec(version) : null;
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > NATIVE_SINCE.major || (major === NATIVE_SINCE.major && minor >= NATIVE_SINCE.minor);
}
