/**
 * What in a pod has one of our names and is not ours.
 *
 * Pure. Invariants: never a takeover, and never a refusal of our own earlier pass: once our container stands, whatever else carries
 * our names is repaired (pod-patch.ts). Mounts count as well as volumes: a mount of a volume that only we would add would open our
 * token or the sink's credentials to its container. May import: core, config.
 */
import type { Finding } from './finding.ts';
import { member, textAt } from './json.ts';
import { VOLUME } from './names.ts';
import type { ContainerView, PodView } from './pod.ts';

const KIND: Readonly<Record<string, string>> = {
  [VOLUME.logs]: 'emptyDir',
  [VOLUME.state]: 'emptyDir',
  [VOLUME.secret]: 'secret',
  [VOLUME.token]: 'projected',
  [VOLUME.stdio]: 'hostPath',
};

/** The conflicts of a pod, each with the name that is taken. */
export function findConflicts(pod: PodView): readonly Finding[] {
  if (pod.ours !== undefined)
    return pod.volumes.filter((volume) => isForeignKind(volume)).map(({ name }) => volumeConflict(name));
  const findings: Finding[] = [];
  if (pod.named.length > 0)
    findings.push({ code: 'conflict_container', detail: 'expected no container named logtender, got one' });
  const names = new Set([
    ...pod.volumes.filter(isForeignKind).map(({ name }) => name),
    ...pod.others.flatMap((container) => foreignMounts(container)),
  ]);
  return [...findings, ...[...names].map(volumeConflict)];
}

function volumeConflict(name: string): Finding {
  return { code: 'conflict_volume', detail: `expected ${name} to be free, got a volume or a mount of that name` };
}

function isForeignKind(volume: PodView['volumes'][number]): boolean {
  const kind = Object.hasOwn(KIND, volume.name) ? KIND[volume.name] : undefined;
  return kind !== undefined && member(volume.raw, kind) === undefined;
}

/** Names of our volumes that a container mounts in another way than we would. */
function foreignMounts(container: ContainerView): readonly string[] {
  return container.mounts
    .filter(({ volume, path, raw }) => {
      if (!Object.hasOwn(KIND, volume)) return false;
      return volume !== VOLUME.logs || textAt(raw, 'subPath') !== `${container.name}${path}`;
    })
    .map(({ volume }) => volume);
}
