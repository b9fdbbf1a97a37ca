/**
 * What must stay of a pod whatever we inject: the pod without our parts, for comparison before and after.
 *
 * Written apart from the code under test: it knows our names and nothing of how the patch is made.
 */
import type { Json, JsonObject } from '../../webhook/json.ts';
import { isList, isObject, listAt, textAt } from '../../webhook/json.ts';

const OUR_ANNOTATIONS = new Set([
  'logging.io/status',
  'cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes',
  'kubectl.kubernetes.io/default-container',
  'eks.amazonaws.com/skip-containers',
]);
const OUR_FIELDS = new Set(['serviceAccountName', 'serviceAccount', 'automountServiceAccountToken']);

/** The pod without anything of ours and without the few declared fields; empty lists and absent ones count as the same. */
export function withoutOurs(pod: JsonObject): Json {
  const { metadata, spec, ...rest } = pod;
  return { ...rest, metadata: metadataWithoutOurs(metadata ?? null), spec: specWithoutOurs(spec ?? null) };
}

function metadataWithoutOurs(metadata: Json): Json {
  if (!isObject(metadata)) return metadata;
  const { annotations, ...rest } = metadata;
  const kept = entries(annotations ?? null).filter(([key]) => !OUR_ANNOTATIONS.has(key));
  return { ...rest, annotations: kept.map(([key, value]) => [key, value]) };
}

function specWithoutOurs(spec: Json): Json {
  const kept: [string, Json][] = [];
  for (const [key, value] of entries(spec)) {
    if (OUR_FIELDS.has(key)) continue;
    if (key === 'containers' || key === 'initContainers') {
      const others = listAt(spec, key).filter((item) => textAt(item, 'name') !== 'logtender');
      if (others.length > 0) kept.push([key, others.map(containerWithoutOurs)]);
    } else if (key === 'volumes') {
      const others = listAt(spec, key).filter((item) => !isOurVolume(textAt(item, 'name') ?? ''));
      if (others.length > 0) kept.push([key, others]);
    } else {
      kept.push([key, value]);
    }
  }
  return kept.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, value]);
}

function containerWithoutOurs(container: Json): Json {
  return entries(container)
    .map(([key, value]): [string, Json] => {
      if (key !== 'volumeMounts' || !isList(value)) return [key, value];
      return [key, value.filter((mount) => !isOurVolume(textAt(mount, 'name') ?? ''))];
    })
    .filter(([key, value]) => key !== 'volumeMounts' || !isList(value) || value.length > 0)
    .map(([key, value]) => [key, value]);
}

function isOurVolume(name: string): boolean {
  return name.startsWith('logtender-') || /^kube-api-access-[a-z0-9]{5}$/.test(name);
}

function entries(value: Json): [string, Json][] {
  return isObject(value) ? Object.entries(value) : [];
}
