/**
 * From a pod and the parts that it should have to the operations that are still missing.
 *
 * Pure. Invariants: decided element by element from the real pod, so a second pass gives no operation, and an element of ours that is
 * older, changed or lost is repaired; elements of others and what they added to ours (defaults, AWS env, token mounts) stay.
 * May import: core, config.
 */
import { ENV } from '../src/config/forwarder-config.ts';
import { covers, isObject, listAt, member, textAt } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { CONTAINER, FOREIGN_ANNOTATION, isMeshContainer, VOLUME } from './names.ts';
import { pointer } from './patch.ts';
import type { PatchBuilder } from './patch.ts';
import type { ContainerList, ContainerView, PodView } from './pod.ts';
import { patchPullSecrets } from './pull-secrets.ts';
import { coversResources } from './resources.ts';
import { coversContext } from './security-context.ts';
import { isAutomaticTokenVolume } from './service-account.ts';
import type { Parts } from './sidecar.ts';

export interface AccountChange {
  readonly account: string;
}

/** Members of a container that ours never has: an older version's, or somebody's attempt to run something else in it. */
const NEVER_OURS = [
  'command',
  'envFrom',
  'lifecycle',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'ports',
  'workingDir',
];
/** Members that mean the same in other words, or that may hold no more than ours do. */
const COVERS: Readonly<Partial<Record<string, typeof covers>>> = {
  resources: coversResources,
  securityContext: coversContext,
};
/** Env that is ours to remove; AWS_* may come from another webhook. NODE_OPTIONS would run somebody's code in our process. */
const OUR_ENV: ReadonlySet<string> = new Set([
  'NODE_OPTIONS',
  ...Object.values(ENV).filter((name) => !name.startsWith('AWS_')),
]);
const OUR_VOLUMES: ReadonlySet<string> = new Set(Object.values(VOLUME));

/** Operations on spec; annotations come after them (status.ts). */
export function patchSpec(patch: PatchBuilder, pod: PodView, parts: Parts, account: AccountChange | undefined): void {
  const tokenVolumes =
    account === undefined ? [] : pod.volumes.filter(isAutomaticTokenVolume).map((volume) => volume.name);
  const wanted = Map.groupBy(parts.userMounts, (mount) => mount.container);
  const tokens = new Set(tokenVolumes);
  for (const container of pod.others) patchMounts(patch, container, wanted.get(container.name) ?? [], tokens);
  patchContainer(patch, pod, parts);
  patchVolumes(patch, pod, parts, tokens);
  patchPullSecrets(patch, pod, parts.pullSecrets);
  if (account !== undefined) patchAccount(patch, pod, account.account);
}

/** Mounts of a user's container: ours are added or corrected, tokens of a switched account are taken away. */
function patchMounts(
  patch: PatchBuilder,
  container: ContainerView,
  own: Parts['userMounts'],
  tokenVolumes: ReadonlySet<string>,
): void {
  const path = pointer('spec', container.list, container.index, 'volumeMounts');
  const wanted = new Map<string, JsonObject>();
  for (const { mount } of own) wanted.set(textAt(mount, 'mountPath') ?? '', mount);
  const stale: ContainerView['mounts'][number][] = [];
  for (const mount of container.mounts) {
    if (mount.volume !== VOLUME.logs) {
      // Nobody else may hold our token, state or credentials, not even by a copy that another injector made.
      if (tokenVolumes.has(mount.volume) || OUR_VOLUMES.has(mount.volume)) stale.push(mount);
      continue;
    }
    const want = wanted.get(mount.path);
    if (want === undefined) stale.push(mount);
    else if (!covers(mount.raw, want)) patch.replace(`${path}/${mount.index}`, mount.raw, want);
    wanted.delete(mount.path);
  }
  for (const mount of stale.toReversed()) patch.remove(`${path}/${mount.index}`, mount.raw);
  for (const mount of wanted.values()) patch.insert(path, member(container.raw, 'volumeMounts'), mount);
}

function patchContainer(patch: PatchBuilder, pod: PodView, parts: Parts): void {
  const list: ContainerList = parts.shape === 'native' ? 'initContainers' : 'containers';
  const ours = pod.ours;
  const place = list === 'containers' ? '-' : nativePosition(pod);
  if (ours !== undefined && ours.list === list) {
    const index = place === '-' ? ours.index : place;
    if (index !== ours.index) moveContainer(patch, ours, index);
    repairContainer(patch, { ...ours, index }, parts.container);
    return;
  }
  if (ours !== undefined) {
    const path = pointer('spec', ours.list, ours.index);
    patch.operations.push({ op: 'test', path: `${path}/name`, value: CONTAINER }, { op: 'remove', path });
  }
  patch.insert(pointer('spec', list), member(pod.spec, list), parts.container, place);
}

/** After the last container of a mesh, so that we have a network; before all others, so that their logs are shipped too. */
function nativePosition(pod: PodView): number {
  const mesh = pod.others.findLast(({ list, name }) => list === 'initContainers' && isMeshContainer(name))?.index ?? -1;
  // An index counts without ours: what stands behind it moves up when it is taken out.
  const isOursBefore = pod.ours?.list === 'initContainers' && pod.ours.index < mesh;
  return isOursBefore ? mesh : mesh + 1;
}

/** Another injector put its containers between: ours goes back to its place with everything that others added to it. */
function moveContainer(patch: PatchBuilder, ours: ContainerView, index: number): void {
  const list = pointer('spec', ours.list);
  patch.remove(`${list}/${ours.index}`, ours.raw);
  patch.add(`${list}/${index}`, ours.raw);
}

function repairContainer(patch: PatchBuilder, ours: ContainerView, wanted: JsonObject): void {
  const path = pointer('spec', ours.list, ours.index);
  for (const [key, value] of Object.entries(wanted)) {
    if (key === 'env' || key === 'volumeMounts') continue;
    const found = member(ours.raw, key);
    const isCovered = COVERS[key] ?? covers;
    if (!isCovered(found, value)) patch.set(`${path}/${key}`, found, value);
  }
  for (const key of NEVER_OURS) {
    const found = member(ours.raw, key);
    if (found !== undefined) patch.remove(`${path}/${key}`, found);
  }
  repairList(patch, `${path}/env`, ours.raw, 'env', {
    wanted,
    id: 'name',
    isOurs: (item) => OUR_ENV.has(textAt(item, 'name') ?? ''),
  });
  repairList(patch, `${path}/volumeMounts`, ours.raw, 'volumeMounts', { wanted, id: 'mountPath', isOurs: isOurMount });
}

function isOurMount(item: Json): boolean {
  return OUR_VOLUMES.has(textAt(item, 'name') ?? '') || (textAt(item, 'mountPath') ?? '').startsWith('/logtender/');
}

/** A list whose elements are told apart by one member: corrects, removes what is ours and no longer wanted, adds what is missing. */
function repairList(
  patch: PatchBuilder,
  path: string,
  found: JsonObject,
  key: 'env' | 'volumeMounts',
  rule: { readonly wanted: JsonObject; readonly id: string; readonly isOurs: (item: Json) => boolean },
): void {
  const missing = new Map<string, Json>(listAt(rule.wanted, key).map((item) => [textAt(item, rule.id) ?? '', item]));
  const stale: number[] = [];
  const items = listAt(found, key);
  items.forEach((item, index) => {
    const id = textAt(item, rule.id) ?? '';
    const want = missing.get(id);
    if (want === undefined) {
      if (rule.isOurs(item)) stale.push(index);
      return;
    }
    missing.delete(id);
    if (!covers(item, want)) patch.replace(`${path}/${index}`, item, want);
  });
  for (const index of stale.toReversed()) patch.remove(`${path}/${index}`, items[index] ?? null);
  for (const item of missing.values()) patch.insert(path, member(found, key), item);
}

function patchVolumes(patch: PatchBuilder, pod: PodView, parts: Parts, tokenVolumes: ReadonlySet<string>): void {
  const path = pointer('spec', 'volumes');
  const missing = new Map<string, JsonObject>(parts.volumes.map((volume) => [textAt(volume, 'name') ?? '', volume]));
  const stale: PodView['volumes'][number][] = [];
  for (const volume of pod.volumes) {
    const want = missing.get(volume.name);
    if (want === undefined) {
      if (tokenVolumes.has(volume.name) || OUR_VOLUMES.has(volume.name)) stale.push(volume);
      continue;
    }
    missing.delete(volume.name);
    if (!covers(volume.raw, want)) patch.replace(`${path}/${volume.index}`, volume.raw, want);
  }
  for (const volume of stale.toReversed()) patch.remove(`${path}/${volume.index}`, volume.raw);
  for (const volume of missing.values()) patch.insert(path, member(pod.spec, 'volumes'), volume);
}

/** serviceAccount is the old alias of serviceAccountName; where it is set the two must say the same. */
function patchAccount(patch: PatchBuilder, pod: PodView, account: string): void {
  const set = (key: string, value: Json): void => {
    const old = member(pod.spec, key);
    if (old !== value) patch.set(pointer('spec', key), old, value);
  };
  set('serviceAccountName', account);
  if (member(pod.spec, 'serviceAccount') !== undefined) set('serviceAccount', account);
  set('automountServiceAccountToken', false);
}

/** The values of others' annotations as they should be: extended lists, and a default container where nobody chose one. */
export function foreignAnnotations(
  pod: PodView,
  parts: Parts,
  isAccountSwitched: boolean,
): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  const evictable = parts.volumes
    .filter((volume) => isObject(volume['emptyDir']))
    .map((volume) => textAt(volume, 'name') ?? '');
  wanted.set(FOREIGN_ANNOTATION.safeToEvict, extended(pod.annotations.get(FOREIGN_ANNOTATION.safeToEvict), evictable));
  if (isAccountSwitched) {
    const names = pod.others.map((container) => container.name);
    wanted.set(
      FOREIGN_ANNOTATION.eksSkipContainers,
      extended(pod.annotations.get(FOREIGN_ANNOTATION.eksSkipContainers), names),
    );
  }
  if (parts.bypass !== undefined) {
    const { annotation, ports } = parts.bypass;
    wanted.set(annotation, extended(pod.annotations.get(annotation), ports));
  }
  const first = defaultContainer(pod);
  if (first !== undefined && !pod.annotations.has(FOREIGN_ANNOTATION.defaultContainer)) {
    wanted.set(FOREIGN_ANNOTATION.defaultContainer, first);
  }
  return wanted;
}

/** The container that `kubectl logs` and `kubectl exec` mean when nobody says which. */
export function defaultContainer(pod: PodView): string | undefined {
  return pod.others.find(({ list, name }) => list === 'containers' && !isMeshContainer(name))?.name;
}

/** A comma list with these words in it; what was there stays as it was written. */
function extended(list: string | undefined, words: readonly string[]): string {
  const known = new Set((list ?? '').split(',').map((word) => word.trim()));
  const added = words.filter((word) => !known.has(word));
  return [...(list === undefined || list.trim() === '' ? [] : [list]), ...added].join(',');
}
