/**
 * What an injection puts in the place of something that held nothing: kept in the status, so that uninject gives back `null`, `[]` and
 * `{}` where they stood, and nothing where nothing stood.
 *
 * Pure. Invariants: by pointer into the pod before the injection (ours is the only element that can shift a position, and it is gone
 * again when pointers are read); only the few members that an injection creates are ever named. May import: core, config.
 */
import { at, isList, isObject, member } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { FOREIGN_ANNOTATION } from './names.ts';
import { pointer } from './patch.ts';
import type { PodView } from './pod.ts';
import { missingPullSecrets } from './pull-secrets.ts';
import type { Parts } from './sidecar.ts';

const ANNOTATION_PLACES = Object.values(FOREIGN_ANNOTATION).map((key) => ({
  key,
  path: pointer('metadata', 'annotations', key),
}));
const ACCOUNT_FIELDS = ['serviceAccountName', 'serviceAccount', 'automountServiceAccountToken'];

/** Members of the metadata that a status creates where they hold nothing; undefined where there are none. */
export function replacedInMetadata(pod: PodView): JsonObject | undefined {
  return nonEmpty([
    emptyMap('/metadata', member(pod.raw, 'metadata')),
    emptyMap('/metadata/annotations', at(pod.raw, 'metadata', 'annotations')),
  ]);
}

/** The same for a whole injection: lists that we add to, texts of others that are no texts. */
export function replacedMembers(pod: PodView, parts: Parts, isAccountSwitched: boolean): JsonObject | undefined {
  const mounted = new Set(parts.userMounts.map((mount) => mount.container));
  const ourList = parts.shape === 'native' ? 'initContainers' : 'containers';
  const annotations = at(pod.raw, 'metadata', 'annotations');
  return nonEmpty([
    ...Object.entries(replacedInMetadata(pod) ?? {}),
    ...ANNOTATION_PLACES.map(({ key, path }) => noText(path, member(annotations, key))),
    emptyList(pointer('spec', ourList), member(pod.spec, ourList)),
    emptyList('/spec/volumes', member(pod.spec, 'volumes')),
    missingPullSecrets(pod, parts.pullSecrets).length === 0
      ? undefined
      : emptyList('/spec/imagePullSecrets', member(pod.spec, 'imagePullSecrets')),
    ...pod.others
      .filter(({ name }) => mounted.has(name))
      .map(({ list, index, raw }) => {
        const mounts = member(raw, 'volumeMounts');
        return mounts === undefined ? undefined : emptyList(pointer('spec', list, index, 'volumeMounts'), mounts);
      }),
    ...(isAccountSwitched
      ? ACCOUNT_FIELDS.map((key) => (member(pod.spec, key) === null ? entry(pointer('spec', key), null) : undefined))
      : []),
  ]);
}

/** True for null, words, and empty lists and maps: what a status, which users can write, may make uninject put back. */
export function isHoldingNothing(found: Json): boolean {
  return typeof found !== 'object' || found === null || Object.keys(found).length === 0;
}

type Entry = readonly [path: string, value: Json];

const entry = (path: string, value: Json): Entry => [path, value];

function emptyMap(path: string, found: Json | undefined): Entry | undefined {
  return found === undefined || (isObject(found) && Object.keys(found).length > 0) ? undefined : entry(path, found);
}

function emptyList(path: string, found: Json | undefined): Entry | undefined {
  return found === undefined || (isList(found) && found.length > 0) ? undefined : entry(path, found);
}

function noText(path: string, found: Json | undefined): Entry | undefined {
  return found === undefined || typeof found === 'string' ? undefined : entry(path, found);
}

function nonEmpty(entries: readonly (Entry | undefined)[]): JsonObject | undefined {
  const found = entries.filter((item) => item !== undefined);
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
