/**
 * `logtender list`: the pods of a namespace or of the cluster that have a sidecar, have an old one, or should have one and have none.
 *
 * The last kind comes from an outage under failurePolicy Ignore, which admits in silence. Invariants: pods are read page by page and
 * only what is listed is kept; pods that have ended are left out, nothing can be done about them. May import: everything but test.
 */
import { parseArgs } from 'node:util';

import type { NamespaceFacts } from '../../webhook/injection.ts';
import { reasonOf, REASONS } from '../../webhook/reasons.ts';
import type { ReasonCode } from '../../webhook/reasons.ts';
import { METADATA_ONLY } from '../kube/client.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { coreClusterPath, corePath } from '../kube/paths.ts';
import { CLUSTER_OPTIONS, ClusterReader, connectCluster, outputFormat, rawOf } from './cluster-reader.ts';
import { EXCLUDED_NAMESPACES } from './offline-injection.ts';
import { namespaceFacts, readOperator } from './operator-config.ts';
import type { Install } from './operator-config.ts';
import { judgePod } from './pod-state.ts';
import type { PodState } from './pod-state.ts';
import { table } from './text-table.ts';

export interface ListedPod {
  readonly namespace: string;
  readonly name: string;
  readonly state: PodState['state'];
  readonly reason: string;
  /** Version and configuration hash that the status names; empty without one. */
  readonly version: string;
  readonly config: string;
  readonly shape: string;
  /** What can be done about it; empty where nothing is to be done. */
  readonly remedy: string;
}

export interface PodList {
  readonly counts: Readonly<Record<'pods' | 'injected' | 'outdated' | 'skipped' | 'bare', number>>;
  readonly pods: readonly ListedPod[];
  /** The operator has paused injection. */
  readonly isPaused: boolean;
  /** What could not be read, so that the rest rests on built-in defaults. */
  readonly gaps: readonly string[];
}

/** Runs the command; gives the exit code. */
export async function runList(args: readonly string[], write: (text: string) => void): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { ...CLUSTER_OPTIONS, 'all-namespaces': { type: 'boolean', short: 'A', default: false } },
  });
  const format = outputFormat(values.output);
  const { client, namespace } = await connectCluster(values);
  const install = { namespace: values['logtender-namespace'], instance: values.instance };
  try {
    const list = await listPods(client, {
      install,
      namespace: values['all-namespaces'] ? undefined : (values.namespace ?? namespace),
    });
    write(format === 'json' ? `${JSON.stringify(list, null, 2)}\n` : listText(list));
  } finally {
    client.close();
  }
  return 0;
}

/**
 * Reads and judges.
 *
 * @param options namespace undefined means all of them
 */
export async function listPods(
  client: KubeClient,
  options: { readonly install: Install; readonly namespace: string | undefined },
): Promise<PodList> {
  const reader = new ClusterReader(client);
  const operator = await readOperator(reader, options.install);
  const excluded = new Set([...EXCLUDED_NAMESPACES, options.install.namespace]);
  const namespaces = new NamespaceCache(reader);
  const counts = { pods: 0, injected: 0, outdated: 0, skipped: 0, bare: 0 };
  const pods: ListedPod[] = [];
  const judge = async (pod: KubeObject): Promise<void> => {
    counts.pods += 1;
    const { namespace = '', name = '' } = pod.metadata;
    if (excluded.has(namespace) || hasEnded(pod)) return;
    const state = await judgePod(rawOf(pod), await namespaces.get(namespace), operator);
    if (state.state === 'not_asked') return;
    counts[state.state] += 1;
    pods.push(listed(namespace, name, state));
  };
  const path = options.namespace === undefined ? coreClusterPath('pods') : corePath(options.namespace, 'pods');
  await reader.each(path, 'pods', {}, judge);
  return { counts, pods, isPaused: operator.config.paused, gaps: reader.gaps };
}

/** Namespaces by name: asked for once each, however many pods they have. */
class NamespaceCache {
  readonly #reader: ClusterReader;
  readonly #known = new Map<string, NamespaceFacts>();

  constructor(reader: ClusterReader) {
    this.#reader = reader;
  }

  async get(name: string): Promise<NamespaceFacts> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = await this.#reader.get(coreClusterPath('namespaces', name), `namespace ${name}`, METADATA_ONLY);
    // Without the right to read it only what its pods say themselves counts.
    const facts = namespaceFacts(name, found.status === 'found' ? found.value : { metadata: {} });
    this.#known.set(name, facts);
    return facts;
  }
}

/** Pod phases after which no container runs any more (API reference, PodStatus). */
function hasEnded(pod: KubeObject): boolean {
  const status = rawOf(pod)['status'];
  const phase = typeof status === 'object' && status !== null && 'phase' in status ? status.phase : undefined;
  return phase === 'Succeeded' || phase === 'Failed';
}

function listed(namespace: string, name: string, { state, reason, status }: PodState): ListedPod {
  const { version = '', config = '', shape = '' } = status ?? {};
  return { namespace, name, state, reason, version, config, shape, remedy: remedyOf(state, reason) };
}

function remedyOf(state: PodState['state'], reason: string): string {
  if (state === 'outdated') return 'create the pod again: it would be injected differently today';
  if (state === 'bare') return 'create the pod again: it was admitted while the webhook was away, or asked only later';
  return isReason(reason) ? reasonOf(reason).remedy : '';
}

function isReason(text: string): text is ReasonCode {
  return Object.hasOwn(REASONS, text);
}

/** The table for people, with the counts below. */
export function listText(list: PodList): string {
  const { counts, pods, gaps } = list;
  const rows = pods.map((pod) => [
    pod.namespace,
    pod.name,
    pod.state,
    pod.reason,
    pod.shape === '' ? '-' : pod.shape,
    pod.version === '' ? '-' : pod.version,
    pod.config === '' ? '-' : pod.config,
  ]);
  const remedies = [
    ...new Set(pods.filter(({ remedy }) => remedy !== '').map((pod) => `${pod.state} (${pod.reason})`)),
  ];
  const lines = [
    ...(rows.length === 0
      ? ['no pod that asks for a sidecar']
      : table(['NAMESPACE', 'POD', 'STATE', 'REASON', 'SHAPE', 'VERSION', 'CONFIG'], rows)),
    '',
    `${counts.pods} pods: ${counts.injected} injected, ${counts.outdated} outdated, ${counts.bare} bare, ${counts.skipped} skipped`,
    ...remedies.map((about) => {
      const pod = pods.find(({ state, reason, remedy }) => remedy !== '' && `${state} (${reason})` === about);
      return `${about}: ${pod?.remedy ?? ''}`;
    }),
    ...(list.isPaused ? ['injection is paused by the operator'] : []),
    ...gaps.map((gap) => `not known: ${gap}`),
  ];
  return `${lines.join('\n')}\n`;
}
