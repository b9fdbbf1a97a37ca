/**
 * Where the positions of files on a persistent volume are kept: beside the logs, so that the next pod goes on.
 *
 * Pure. Invariants: only where all files of the pod lie on one claim, because one checkpoint keeps them all, and a pod that waits for another
 * one's positions ships nothing; never on a volume for reading alone. `hostPath` and network volumes that a pod names itself are shared by
 * pods that know nothing of each other: not there. May import: core, config.
 */
import { POSITIONS_FOLDER } from '../src/config/forwarder-config.ts';
import { member } from './json.ts';
import { PATHS } from './names.ts';
import type { PodView, VolumeView } from './pod.ts';
import type { SubPath } from './sub-path.ts';
import { workloadOf } from './workload.ts';

/** A part of one of the pod's volumes. */
export interface VolumePart {
  readonly volume: string;
  readonly part: SubPath;
}

/** A file name for any file system, and the name of any object of Kubernetes that has pods (RFC 1123 subdomain). */
const FILE_NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/**
 * The part that keeps the positions; undefined where they stay with the pod.
 *
 * @param mounts of the user, one for each glob; undefined where the files lie on our emptyDir
 */
export function positionsPart(
  mounts: readonly ((VolumePart & { readonly isReadOnly: boolean }) | undefined)[],
  volumes: readonly VolumeView[],
): VolumePart | undefined {
  const place = mounts.find((mount) => mount?.isReadOnly === false);
  if (place === undefined || !mounts.every((mount) => mount?.volume === place.volume)) return undefined;
  const claim = member(volumes.find(({ name }) => name === place.volume)?.raw, 'persistentVolumeClaim');
  if (claim === undefined || member(claim, 'readOnly') === true) return undefined;
  // Whoever holds the positions ships for those who wait: it has to see all that they see, and with an expression each sees its own part.
  const isCommon = mounts.every((mount) => mount?.part.subPathExpr === place.part.subPathExpr);
  return isCommon ? { volume: place.volume, part: place.part } : undefined;
}

/**
 * The folder, named for whoever goes on with the positions: a pod that keeps its name goes on with its own (StatefulSet, a pod without an
 * owner), others with those of their workload.
 */
export function positionsDir(pod: PodView): string {
  const hasOwnName = pod.owner === undefined || pod.owner.kind === 'StatefulSet';
  const workload = hasOwnName ? undefined : workloadOf(pod);
  // The forwarder knows the pod's name; a text that is no file name cannot be a workload of Kubernetes.
  const owner = workload !== undefined && FILE_NAME.test(workload) ? workload : '{pod}';
  return `${PATHS.positions}/${POSITIONS_FOLDER}/${owner}`;
}
