/**
 * One reading of a raw pod: its containers, mounts, volumes and metadata with their real positions.
 *
 * Invariants: the raw JSON stays untouched; what is malformed is left out here and stays in the pod.
 * Ours is decided by the container itself (name and the mount of its state), never by an annotation, which users can write.
 * May import: core, config.
 */
import { isObject, listAt, textAt, textMapAt } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { CONTAINER, isMeshContainer, PATHS, VOLUME } from './names.ts';

export type ContainerList = 'initContainers' | 'containers';

export interface MountView {
  readonly index: number;
  readonly volume: string;
  readonly path: string;
  readonly raw: JsonObject;
}

export interface ContainerView {
  readonly list: ContainerList;
  readonly index: number;
  readonly name: string;
  readonly mounts: readonly MountView[];
  readonly raw: JsonObject;
}

export interface VolumeView {
  readonly index: number;
  readonly name: string;
  readonly raw: JsonObject;
}

export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface PodView {
  readonly raw: JsonObject;
  readonly spec: Json | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly name: string | undefined;
  readonly generateName: string | undefined;
  /** The controller that made the pod. */
  readonly owner: Owner | undefined;
  /** Init containers first, then containers, in their order, without anything that is called `logtender`. */
  readonly others: readonly ContainerView[];
  /** Whatever is called `logtender`. */
  readonly named: readonly ContainerView[];
  /** Our own container from an earlier pass. */
  readonly ours: ContainerView | undefined;
  readonly volumes: readonly VolumeView[];
}

/**
 * Reads a pod as the API server sent it.
 *
 * @param template what will own the pods, where `raw` is a pod template: those pods have its labels, annotations and spec, and a name
 *   of the owner's making (kubernetes/kubernetes, pkg/controller, GetPodFromTemplate)
 */
export function readPod(raw: JsonObject, template?: Owner): PodView {
  const spec = raw['spec'];
  const all = [...containersOf(spec, 'initContainers'), ...containersOf(spec, 'containers')];
  const named = all.filter((container) => container.name === CONTAINER);
  return {
    raw,
    spec,
    labels: textMapAt(raw, 'metadata', 'labels'),
    annotations: textMapAt(raw, 'metadata', 'annotations'),
    name: template === undefined ? nonEmpty(textAt(raw, 'metadata', 'name')) : undefined,
    generateName: template === undefined ? nonEmpty(textAt(raw, 'metadata', 'generateName')) : `${template.name}-`,
    owner: template ?? ownerOf(raw),
    others: all.filter((container) => container.name !== CONTAINER),
    named,
    ours: named.length === 1 ? named.find(isOurs) : undefined,
    volumes: volumesOf(spec),
  };
}

/** Containers of the user: neither ours nor a mesh's. */
export function userContainers(pod: PodView): readonly ContainerView[] {
  return pod.others.filter((container) => !isMeshContainer(container.name));
}

/** Ours is what keeps our state where we keep it; a user's container that only shares the name does not. */
function isOurs(container: ContainerView): boolean {
  return container.mounts.some((mount) => mount.volume === VOLUME.state && mount.path === PATHS.state);
}

/** A name that can stand in env and in a list. The API server refuses more than this (RFC 1123 labels), but it does so after us. */
const SAYABLE = /^\P{Cc}+$/u;

function containersOf(spec: Json | undefined, list: ContainerList): ContainerView[] {
  return listAt(spec, list).flatMap((raw, index) => {
    const name = textAt(raw, 'name');
    return isObject(raw) && name !== undefined && SAYABLE.test(name)
      ? [{ list, index, name, mounts: mountsOf(raw), raw }]
      : [];
  });
}

function mountsOf(container: JsonObject): MountView[] {
  return listAt(container, 'volumeMounts').flatMap((raw, index) => {
    const volume = textAt(raw, 'name');
    const path = textAt(raw, 'mountPath');
    return isObject(raw) && volume !== undefined && path !== undefined ? [{ index, volume, path, raw }] : [];
  });
}

function volumesOf(spec: Json | undefined): VolumeView[] {
  return listAt(spec, 'volumes').flatMap((raw, index) => {
    const name = textAt(raw, 'name');
    return isObject(raw) && name !== undefined ? [{ index, name, raw }] : [];
  });
}

function ownerOf(pod: JsonObject): Owner | undefined {
  for (const reference of listAt(pod, 'metadata', 'ownerReferences')) {
    if (!isObject(reference) || reference['controller'] !== true) continue;
    return {
      apiVersion: textAt(reference, 'apiVersion') ?? '',
      kind: textAt(reference, 'kind') ?? '',
      name: textAt(reference, 'name') ?? '',
      uid: textAt(reference, 'uid') ?? '',
    };
  }
  return undefined;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
