/**
 * Where pods are described in an object: a Pod itself, a workload's template, the items of a List, or any template of a custom resource.
 *
 * Pure. Invariant: a template is an object with `spec.containers` under a key that ends with `template`; nothing else is taken for one.
 * May import: everything but test.
 */
import type { Owner } from '../../webhook/pod.ts';
import { at, isList, isObject, listAt, member, textAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';

/** An object of a manifest. */
export interface ManifestObject {
  /** Path in the document. */
  readonly path: readonly (string | number)[];
  readonly value: JsonObject;
  readonly kind: string;
  /** Name, generateName with a star, or `(no name)`. */
  readonly name: string;
  /** Undefined where the object names none. */
  readonly namespace: string | undefined;
}

export interface PodTemplate {
  readonly object: ManifestObject;
  /** Path in the document. */
  readonly path: readonly (string | number)[];
  readonly value: JsonObject;
  /** What the pods will belong to; undefined for a Pod. */
  readonly owner: Owner | undefined;
}

/** Workloads of Kubernetes and where their template stands (API reference); what lacks it is no valid object. */
const WORKLOADS: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
  PodTemplate: ['template'],
};
const GROUPS = /^(?:v1|apps\/.+|batch\/.+|extensions\/.+)$/;

/** A custom resource nests its templates a few levels deep; recursion ends with room to spare. */
const DEPTH_MAX = 24;

/** The objects of a document: itself, or the items of a List at any depth. */
export function objectsOf(document: Json): readonly ManifestObject[] {
  return collectObjects(document, [], '');
}

/**
 * @param listed kind of what has none: an item of a PodList is a Pod, as kubectl takes it (k8s.io/apimachinery, unstructured/helpers.go,
 *   decodeToList)
 */
function collectObjects(value: Json, path: readonly (string | number)[], listed: string): readonly ManifestObject[] {
  if (!isObject(value) || path.length > DEPTH_MAX) return [];
  const kind = textAt(value, 'kind') ?? listed;
  if (isListKind(value, kind)) {
    const itemKind = kind.slice(0, -'List'.length);
    return listAt(value, 'items').flatMap((item, i) => collectObjects(item, [...path, 'items', i], itemKind));
  }
  const generateName = textAt(value, 'metadata', 'generateName');
  const name = textAt(value, 'metadata', 'name') ?? (generateName === undefined ? '(no name)' : `${generateName}*`);
  return [{ path, value, kind, name, namespace: textAt(value, 'metadata', 'namespace') }];
}

/** `List` and `PodList`; a custom resource may have a list of items of its own, and its kind need not end like this. */
function isListKind(value: JsonObject, kind: string): boolean {
  return kind.endsWith('List') && isList(member(value, 'items'));
}

/** The pod templates of an object, in the order in which they stand in it. */
export function templatesOf(object: ManifestObject): readonly PodTemplate[] {
  if (object.kind === 'Pod') return [{ object, path: object.path, value: object.value, owner: undefined }];
  const owner = ownerOf(object);
  return collectTemplates(object.value, object.path).map(({ path, value }) => ({ object, path, value, owner }));
}

/** Why the object is no valid one: its kind has pods, and they are not there. */
export function missingTemplate(
  object: ManifestObject,
): { readonly expected: string; readonly found: Json | undefined } | undefined {
  const isPod = object.kind === 'Pod';
  const apiVersion = textAt(object.value, 'apiVersion') ?? '';
  const template = isPod ? [] : Object.hasOwn(WORKLOADS, object.kind) ? WORKLOADS[object.kind] : undefined;
  if (template === undefined || (apiVersion !== '' && !GROUPS.test(apiVersion))) return undefined;
  const path = [...template, 'spec', 'containers'];
  const found = at(object.value, ...path);
  if (isList(found) && found.length > 0 && found.every((item) => textAt(item, 'name') !== undefined)) return undefined;
  return { expected: `${path.join('.')} to be a list of containers, each with a name`, found };
}

function collectTemplates(
  value: Json,
  path: readonly (string | number)[],
): readonly { readonly path: readonly (string | number)[]; readonly value: JsonObject }[] {
  if (path.length > DEPTH_MAX) return [];
  if (isList(value)) return value.flatMap((item, i) => collectTemplates(item, [...path, i]));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const deeper = [...path, key];
    const isTemplate = /template$/i.test(key) && isObject(item) && hasContainers(item);
    return isTemplate ? [{ path: deeper, value: item }] : collectTemplates(item, deeper);
  });
}

function hasContainers(template: JsonObject): boolean {
  const containers = listAt(template, 'spec', 'containers');
  return containers.length > 0 && containers.every((item) => isObject(item) && textAt(item, 'name') !== undefined);
}

/**
 * What the webhook will see as the owner, as far as its name goes: it takes the hash from the name of a Deployment's ReplicaSet and the
 * number from that of a CronJob's Job (workload.ts), which gives the names of Deployment and CronJob again.
 */
function ownerOf({ value, kind, name }: ManifestObject): Owner {
  return { apiVersion: textAt(value, 'apiVersion') ?? '', kind, name: name.replace(/-?\*$/, ''), uid: '' };
}
