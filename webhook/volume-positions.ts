/**
 * Where the positions of files on persistent volumes are kept: beside the logs, so that the next pod goes on.
 *
 * Pure. Invariants: one folder a claim, because one checkpoint keeps what lies on it, by whichever volume of the pod it is named; never on a
 * volume for reading alone. `hostPath` and network volumes that a pod names itself are shared by pods that know nothing of each other: not
 * there. May import: core, config.
 */
import { POD_PLACEHOLDER, POSITIONS_FOLDER } from '../src/config/forwarder-config.ts';
import { member, textAt } from './json.ts';
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
 * The part that keeps the positions of each claim's files, by the name of every volume that is one.
 *
 * @param mounts of the user, one for each glob; undefined where the files lie on our emptyDir
 */
export function positionsParts(
  mounts: readonly ((VolumePart & { readonly isReadOnly: boolean }) | undefined)[],
  volumes: readonly VolumeView[],
): ReadonlyMap<string, VolumePart> {
  const claims = new Map(volumes.flatMap((volume) => claimOf(volume)));
  const parts = new Map<string, VolumePart>();
  for (const name of new Set([...claims.values()].map((claim) => claim.name))) {
    const own = mounts.filter((mount) => mount !== undefined && claims.get(mount.volume)?.name === name);
    const place = own.find((mount) => mount?.isReadOnly === false && claims.get(mount.volume)?.isReadOnly === false);
    // Whoever holds the positions ships for those who wait: it has to see all that they see, and with an expression each sees its own part.
    if (place === undefined || own.some((mount) => mount?.part.subPathExpr !== place.part.subPathExpr)) continue;
    const { volume, part } = place;
    for (const mount of own) if (mount !== undefined) parts.set(mount.volume, { volume, part });
  }
  return parts;
}

interface Claim {
  readonly name: string;
  readonly isReadOnly: boolean;
}

function claimOf({ name, raw }: VolumeView): readonly (readonly [volume: string, claim: Claim])[] {
  const claim = member(raw, 'persistentVolumeClaim');
  const claimName = textAt(claim, 'claimName');
  if (claimName === undefined) return [];
  return [[name, { name: claimName, isReadOnly: member(claim, 'readOnly') === true }]];
}

/** Where our container sees the part. */
export function positionsMountPath({ volume }: VolumePart): string {
  return `${PATHS.positions}/${volume}`;
}

/**
 * The folder in it, named for whoever goes on with the positions: a pod that keeps its name goes on with its own (StatefulSet, a pod without
 * an owner), others with those of their workload.
 */
export function positionsDir(pod: PodView, part: VolumePart): string {
  const hasOwnName = pod.owner === undefined || pod.owner.kind === 'StatefulSet';
  const workload = hasOwnName ? undefined : workloadOf(pod);
  // The forwarder knows the pod's name; a text that is no file name cannot be a workload of Kubernetes.
  const owner = workload !== undefined && FILE_NAME.test(workload) ? workload : POD_PLACEHOLDER;
  return `${positionsMountPath(part)}/${POSITIONS_FOLDER}/${owner}`;
}
