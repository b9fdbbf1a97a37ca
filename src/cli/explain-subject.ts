/**
 * What `explain` was asked about: a pod, or a workload with its template and its newest pod.
 *
 * May import: everything but test.
 */
import { at, isObject, listAt, textAt, textMapAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import type { Owner } from '../../webhook/pod.ts';
import { nearest } from '../config/fields.ts';
import { OperationalError } from '../core/errors.ts';
import type { KubeObject } from '../kube/client.ts';
import { corePath, groupPath } from '../kube/paths.ts';
import { rawOf, selectorQuery } from './cluster-reader.ts';
import type { ClusterReader } from './cluster-reader.ts';
import { templatesOf } from './pod-templates.ts';

export interface Subject {
  /** `deployment/web`. */
  readonly title: string;
  /** The workload's own metadata and template; undefined for a pod. */
  readonly workload: JsonObject | undefined;
  readonly template: { readonly value: JsonObject; readonly owner: Owner | undefined } | undefined;
  readonly pod: JsonObject | undefined;
}

interface Kind {
  readonly kind: string;
  readonly group: string;
  readonly resource: string;
  readonly words: readonly string[];
}

/** Kinds that have pods, with the short names of kubectl. */
const KINDS: Readonly<Record<string, Kind>> = {
  pod: { kind: 'Pod', group: 'v1', resource: 'pods', words: ['pods', 'po'] },
  deployment: { kind: 'Deployment', group: 'apps/v1', resource: 'deployments', words: ['deployments', 'deploy'] },
  statefulset: { kind: 'StatefulSet', group: 'apps/v1', resource: 'statefulsets', words: ['statefulsets', 'sts'] },
  daemonset: { kind: 'DaemonSet', group: 'apps/v1', resource: 'daemonsets', words: ['daemonsets', 'ds'] },
  replicaset: { kind: 'ReplicaSet', group: 'apps/v1', resource: 'replicasets', words: ['replicasets', 'rs'] },
  replicationcontroller: {
    kind: 'ReplicationController',
    group: 'v1',
    resource: 'replicationcontrollers',
    words: ['replicationcontrollers', 'rc'],
  },
  job: { kind: 'Job', group: 'batch/v1', resource: 'jobs', words: ['jobs'] },
  cronjob: { kind: 'CronJob', group: 'batch/v1', resource: 'cronjobs', words: ['cronjobs', 'cj'] },
};

/**
 * Reads `KIND/NAME` (or a bare NAME, which is a pod).
 *
 * @throws OperationalError USAGE for a kind that has no pods, KUBE_NOT_FOUND, KUBE_FORBIDDEN
 */
export async function readSubject(reader: ClusterReader, text: string, namespace: string): Promise<Subject> {
  const [word, name = ''] = text.includes('/') ? text.split('/', 2) : ['pod', text];
  const [key, kind] = kindOf(word ?? '', text);
  if (name === '') throw usage(`expected KIND/NAME, got ${text}`);
  const title = `${key}/${name}`;
  const raw = await need(reader, kind, namespace, name);
  if (key === 'pod') return { title, workload: undefined, template: undefined, pod: raw };
  const object = {
    path: [],
    value: { ...raw, kind: kind.kind, apiVersion: kind.group },
    kind: kind.kind,
    name,
    namespace,
  };
  const [template] = templatesOf(object);
  return {
    title,
    workload: raw,
    template: template === undefined ? undefined : { value: template.value, owner: template.owner },
    pod: await newestPod(reader, raw, key, namespace),
  };
}

function kindOf(word: string, text: string): readonly [string, Kind] {
  const lower = word.toLowerCase().split('.', 1)[0] ?? '';
  const found = Object.entries(KINDS).find(([key, { words }]) => key === lower || words.includes(lower));
  if (found !== undefined) return found;
  const near = nearest(lower, Object.keys(KINDS));
  throw usage(
    `expected ${Object.keys(KINDS).join(', ')} and a name, got ${text}${near === undefined ? '' : `; did you mean ${near}?`}`,
  );
}

async function need(reader: ClusterReader, kind: Kind, namespace: string, name: string): Promise<JsonObject> {
  const path =
    kind.group === 'v1'
      ? corePath(namespace, kind.resource, name)
      : groupPath(kind.group, namespace, kind.resource, name);
  const found = await reader.get(path, `${kind.kind} ${namespace}/${name}`);
  if (found.status === 'found') return rawOf(found.value);
  const code = found.status === 'absent' ? 'KUBE_NOT_FOUND' : 'KUBE_FORBIDDEN';
  const got = found.status === 'absent' ? 'none' : 'no right to read it';
  throw new OperationalError(code, `get ${kind.kind}: expected ${name} in namespace ${namespace}, got ${got}`, {
    hint: 'name the namespace with -n',
  });
}

/** The newest pod of a workload: by its selector, or by that of the newest Job of a CronJob. */
async function newestPod(
  reader: ClusterReader,
  workload: JsonObject,
  key: string,
  namespace: string,
): Promise<JsonObject | undefined> {
  if (key === 'cronjob') {
    const jobs = await reader.all(groupPath('batch/v1', namespace, 'jobs'), `jobs of ${namespace}`);
    const uid = textAt(workload, 'metadata', 'uid');
    const job = newest((jobs.status === 'found' ? jobs.value : []).filter((one) => isOwnedBy(one, uid)));
    return job === undefined ? undefined : newestPod(reader, job, 'job', namespace);
  }
  const selector = selectorOf(workload, key);
  if (!isObject(selector)) return undefined;
  const pods = await reader.all(corePath(namespace, 'pods'), `pods of ${namespace}`, {
    labelSelector: selectorQuery(selector),
  });
  // Pods of others may bear the same labels; who made a pod stands on it.
  return newest((pods.status === 'found' ? pods.value : []).filter((pod) => isMadeBy(pod, workload, key)));
}

/** The Deployment controller names its ReplicaSets `<deployment>-<pod-template-hash>` and hands the hash on as a label of the pods. */
function isMadeBy(pod: KubeObject, workload: JsonObject, key: string): boolean {
  if (key !== 'deployment') return isOwnedBy(pod, textAt(workload, 'metadata', 'uid'));
  const raw = rawOf(pod);
  const hash = textMapAt(raw, 'metadata', 'labels').get('pod-template-hash');
  const replicaSet = `${textAt(workload, 'metadata', 'name')}-${hash}`;
  return listAt(raw, 'metadata', 'ownerReferences').some(
    (owner) => textAt(owner, 'kind') === 'ReplicaSet' && textAt(owner, 'name') === replicaSet,
  );
}

/** A ReplicationController selects by a plain map. */
function selectorOf(workload: JsonObject, key: string): Json | undefined {
  const selector = at(workload, 'spec', 'selector');
  return key === 'replicationcontroller' && selector !== undefined ? { matchLabels: selector } : selector;
}

function isOwnedBy(object: KubeObject, uid: string | undefined): boolean {
  const owners = listAt(rawOf(object), 'metadata', 'ownerReferences');
  return uid !== undefined && owners.some((owner) => textAt(owner, 'uid') === uid);
}

function newest(objects: readonly KubeObject[]): JsonObject | undefined {
  const created = (object: KubeObject): string => object.metadata.creationTimestamp ?? '';
  const [first] = objects.toSorted((a, b) => created(b).localeCompare(created(a)));
  return first === undefined ? undefined : rawOf(first);
}

function usage(message: string): OperationalError {
  return new OperationalError('USAGE', `logtender explain: ${message}`, {
    hint: 'logtender explain pod/NAME -n NAMESPACE',
  });
}
