/**
 * Pull secrets for the image of the sidecar: the operator's, added to those that the pod has.
 *
 * Pure. Invariants: names of the operator's configuration alone, each a Secret of the pod's own namespace; nothing that the pod has is
 * changed or moved. A Secret that is missing keeps no pod from starting: the kubelet says so in an Event and pulls without it
 * (Kubernetes, "Pull an Image from a Private Registry"). May import: core, config.
 */
import { listAt, member, textAt } from './json.ts';
import type { Json } from './json.ts';
import type { PatchBuilder } from './patch.ts';
import type { PodView } from './pod.ts';

const PATH = '/spec/imagePullSecrets';

/** The configured names that the pod has not got. */
export function missingPullSecrets(pod: PodView, configured: readonly string[]): readonly string[] {
  const present = new Set(pullSecretsOf(pod).map((item) => textAt(item, 'name')));
  return [...new Set(configured)].filter((name) => !present.has(name));
}

/** Adds them at the end, where they are tried last. */
export function patchPullSecrets(patch: PatchBuilder, pod: PodView, configured: readonly string[]): void {
  for (const name of missingPullSecrets(pod, configured))
    patch.insert(PATH, member(pod.spec, 'imagePullSecrets'), { name });
}

/** The pod's list as it stands. */
export function pullSecretsOf(pod: PodView): readonly Json[] {
  return listAt(pod.spec, 'imagePullSecrets');
}
