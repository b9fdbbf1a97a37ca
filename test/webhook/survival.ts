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

/** What the operator's configuration has beside it: names of pull secrets, and the switch for the annotations of meshes. */
interface Configured {
  readonly pullSecrets?: readonly string[];
  readonly isMeshBypassed?: boolean;
}

const MESH_ANNOTATIONS = ['traffic.sidecar.istio.io/excludeOutboundPorts', 'config.linkerd.io/skip-outbound-ports'];

/** The pod without anything of ours and without the few declared fields; empty lists and absent ones count as the same. */
export function withoutOurs(pod: JsonObject, configured: Configured = {}): Json {
  const { metadata, spec, ...rest } = pod;
  return {
    ...rest,
    metadata: metadataWithoutOurs(metadata ?? null, configured.isMeshBypassed === true ? MESH_ANNOTATIONS : []),
    spec: specWithoutOurs(spec ?? null, configured.pullSecrets ?? []),
  };
}

function metadataWithoutOurs(metadata: Json, extended: readonly string[]): Json {
  if (metadata === null) return { annotations: [] };
  if (!isObject(metadata)) return metadata;
  const { annotations, ...rest } = metadata;
  const kept = entries(annotations ?? null).filter(([key]) => !OUR_ANNOTATIONS.has(key) && !extended.includes(key));
  return { ...rest, annotations: kept.map(([key, value]) => [key, value]) };
}

function specWithoutOurs(spec: Json, pullSecrets: readonly string[]): Json {
  const kept: [string, Json][] = [];
  for (const [key, value] of entries(spec)) {
    if (OUR_FIELDS.has(key)) continue;
    if (key === 'containers' || key === 'initContainers') {
      const others = listAt(spec, key).filter((item) => textAt(item, 'name') !== 'logtender');
      if (others.length > 0) kept.push([key, others.map(containerWithoutOurs)]);
    } else if (key === 'volumes') {
      const others = listAt(spec, key).filter((item) => !isOurVolume(textAt(item, 'name') ?? ''));
      if (others.length > 0) kept.push([key, others]);
    } else if (key === 'imagePullSecrets' && pullSecrets.length > 0) {
      const others = listAt(spec, key).filter((item) => !pullSecrets.includes(textAt(item, 'name') ?? ''));
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
    .filter(([key, value]) => key !== 'volumeMounts' || (value !== null && (!isList(value) || value.length > 0)))
    .map(([key, value]) => [key, value]);
}

function isOurVolume(name: string): boolean {
  return name.startsWith('logtender-') || /^kube-api-access-[a-z0-9]{5}$/.test(name);
}

function entries(value: Json): [string, Json][] {
  return isObject(value) ? Object.entries(value) : [];
}
