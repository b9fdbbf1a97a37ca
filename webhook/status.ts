/**
 * The annotation `logging.io/status`: what was decided and why, for people (`kubectl describe pod`) and for uninject.
 *
 * Invariants: it is written by us and believed by nobody for a decision; only the originals are read back, and only where our own
 * container stands in the pod; the same pod gives the same text, so a second pass changes nothing. May import: core, config.
 */
import type { Decision } from './decision.ts';
import type { Finding } from './finding.ts';
import { findingMembers } from './finding.ts';
import { isObject, listAt, member, textAt } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { isHoldingNothing, replacedInMetadata, replacedMembers } from './originals.ts';
import { FOREIGN_ANNOTATION, STATUS_ANNOTATION, VOLUME } from './names.ts';
import type { PodView } from './pod.ts';
import { missingPullSecrets } from './pull-secrets.ts';
import { reasonText } from './reasons.ts';
import { isAutomaticTokenVolume, isSwitched } from './service-account.ts';
import type { AccountDecision } from './service-account.ts';
import type { Settings } from './settings.ts';
import type { Shape } from './shape.ts';
import type { Parts } from './sidecar.ts';
import { inLines } from './status-lines.ts';

/** Findings that a status lists; the rest is counted. */
const FINDINGS_MAX = 12;

/** Everything that the status of an injected pod tells. */
export interface Injected {
  readonly settings: Settings;
  readonly shape: Shape;
  readonly account: AccountDecision;
  readonly parts: Parts;
}

/** What a status is made from. */
export interface StatusFacts {
  readonly pod: PodView;
  readonly decision: Decision;
  readonly findings: readonly Finding[];
  readonly version: string;
  /** Of the operator's configuration (config-hash.ts). */
  readonly configHash: string;
  readonly injected: Injected | undefined;
}

/** The status as JSON, in lines that `kubectl describe` shows whole where a value's own length lets it. */
export function statusText(options: StatusFacts): string {
  const { decision, findings, injected, version, configHash } = options;
  const shown = findings.slice(0, FINDINGS_MAX).map(findingMembers);
  const status: JsonObject = {
    decision: wordOf(decision),
    reason: decision.reason,
    ...('level' in decision ? { level: decision.level } : {}),
    version,
    config: configHash,
    message: reasonText(decision.reason),
    ...(injected === undefined ? skippedFields(options.pod) : injectedFields(options.pod, injected)),
    ...(shown.length === 0 ? {} : { findings: shown }),
    ...(findings.length > FINDINGS_MAX ? { findingsMore: findings.length - FINDINGS_MAX } : {}),
  };
  return inLines(status);
}

/** The same with nothing but what uninject needs and the reason, for pods whose annotations leave no room for more. */
export function shortStatusText(options: StatusFacts): string {
  const { pod, decision, version, configHash, injected } = options;
  return inLines({
    decision: wordOf(decision),
    reason: decision.reason,
    version,
    config: configHash,
    ...(injected === undefined ? skippedFields(pod) : { originals: originalsOf(pod, injected) }),
  });
}

function wordOf({ action }: Decision): string {
  return action === 'inject' ? 'injected' : action === 'skip' ? 'skipped' : 'denied';
}

function injectedFields(pod: PodView, { settings, shape, account, parts }: Injected): JsonObject {
  const destinations: Record<string, Json> = {};
  for (const sink of settings.sinks) {
    if (sink === 'elasticsearch') destinations[sink] = parts.destinations.dataStream;
    else if (sink === 'cloudwatch')
      destinations[sink] = `${parts.destinations.logGroup} ${parts.destinations.logStream}`;
    else if (sink === 's3') destinations[sink] = `s3://${parts.destinations.bucket}/${parts.destinations.prefix}`;
    else destinations[sink] = sink === 'file' ? 'file in the state volume' : 'log of the sidecar';
  }
  return {
    shape: shape.shape,
    shapeReason: shape.reason,
    account: account.account,
    accountReason: account.reason,
    destinations,
    resources: member(parts.container, 'resources') ?? {},
    levels: levelsOf(settings),
    originals: originalsOf(pod, { account, parts }),
  };
}

/** Which keys have their value from which level; what is not here is built in. */
function levelsOf({ origins }: Settings): JsonObject {
  const levels = (['pod', 'namespace', 'config'] as const).map((level): readonly [string, readonly string[]] => [
    level,
    [...origins].filter(([, from]) => from === level).map(([key]) => key),
  ]);
  return Object.fromEntries(levels.filter(([, keys]) => keys.length > 0));
}

/** A status alone may have made the map that it stands in. */
function skippedFields(pod: PodView): JsonObject {
  const replaced = replacedInMetadata(pod) ?? replacedBefore(pod);
  return replaced === undefined ? {} : { originals: { replaced } };
}

/** The account that an earlier pass of ours found, undefined before one and where the pod named none. */
export function originalAccount(pod: PodView): string | undefined {
  const originals = previousOriginals(pod);
  const names = [textAt(originals, 'serviceAccountName'), textAt(originals, 'serviceAccount')];
  return names.find((name) => name !== undefined && name !== '');
}

/** What uninject puts back: null stands for a member that was not there. */
function originalsOf(pod: PodView, { account, parts }: Pick<Injected, 'account' | 'parts'>): JsonObject {
  const isAccountSwitched = account.action === 'switch';
  const previous = previousOriginals(pod);
  if (previous !== undefined && isSwitched(pod) === (member(previous, 'serviceAccountName') !== undefined))
    return { ...previous, ...additions(pod, parts, previous) };
  const annotations: Record<string, Json> = {
    [FOREIGN_ANNOTATION.safeToEvict]: safeToEvictBefore(pod),
    [FOREIGN_ANNOTATION.defaultContainer]: pod.annotations.get(FOREIGN_ANNOTATION.defaultContainer) ?? null,
  };
  if (isAccountSwitched)
    annotations[FOREIGN_ANNOTATION.eksSkipContainers] =
      pod.annotations.get(FOREIGN_ANNOTATION.eksSkipContainers) ?? null;
  const replaced = { ...replacedBefore(pod), ...replacedMembers(pod, parts, isAccountSwitched) };
  const first = {
    annotations,
    ...(isAccountSwitched ? accountOriginals(pod) : {}),
    ...(Object.keys(replaced).length === 0 ? {} : { replaced }),
  };
  return { ...first, ...additions(pod, parts, first) };
}

/** What depends on other injectors and on the operator, so that a later pass may be the first to add it. */
function additions(pod: PodView, parts: Parts, known: JsonObject): JsonObject {
  const { bypass } = parts;
  const annotations = member(known, 'annotations');
  const isNewBypass = bypass !== undefined && member(annotations, bypass.annotation) === undefined;
  const pullSecrets = missingPullSecrets(pod, parts.pullSecrets);
  return {
    ...(isNewBypass
      ? {
          annotations: {
            ...(isObject(annotations) ? annotations : {}),
            [bypass.annotation]: pod.annotations.get(bypass.annotation) ?? null,
          },
          meshPorts: bypass.ports,
        }
      : {}),
    ...(pullSecrets.length === 0 ? {} : { pullSecrets: [...listAt(known, 'pullSecrets'), ...pullSecrets] }),
  };
}

function accountOriginals(pod: PodView): JsonObject {
  // Without a status to remember it, the account before an earlier switch can only have been the one that switches by default.
  if (isSwitched(pod))
    return { serviceAccountName: 'default', serviceAccount: null, automountServiceAccountToken: null };
  const volumes = pod.volumes.filter(isAutomaticTokenVolume);
  const names = new Set(volumes.map((volume) => volume.name));
  const mounts = pod.others.flatMap((container) =>
    container.mounts
      .filter((mount) => names.has(mount.volume))
      .map((mount) => ({ container: container.name, index: mount.index, mount: mount.raw })),
  );
  return {
    serviceAccountName: member(pod.spec, 'serviceAccountName') ?? null,
    serviceAccount: member(pod.spec, 'serviceAccount') ?? null,
    automountServiceAccountToken: member(pod.spec, 'automountServiceAccountToken') ?? null,
    ...(volumes.length === 0 ? {} : { volumes: volumes.map(({ index, raw }) => ({ index, volume: raw })) }),
    ...(mounts.length === 0 ? {} : { mounts }),
  };
}

/** The originals of an earlier status, where our own container shows that there was one. */
function previousOriginals(pod: PodView): JsonObject | undefined {
  return pod.ours === undefined ? undefined : originalsIn(pod);
}

/** What an earlier status of ours replaced in the metadata; nothing else of a pod without our container is believed. */
function replacedBefore(pod: PodView): JsonObject | undefined {
  const replaced = member(originalsIn(pod), 'replaced');
  if (!isObject(replaced)) return undefined;
  const kept = ['/metadata', '/metadata/annotations'].flatMap((path): (readonly [string, Json])[] => {
    const value = member(replaced, path);
    return value !== undefined && isHoldingNothing(value) ? [[path, value]] : [];
  });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function safeToEvictBefore(pod: PodView): string | null {
  const list = pod.annotations.get(FOREIGN_ANNOTATION.safeToEvict);
  return pod.ours === undefined ? (list ?? null) : withoutOurs(list);
}

/** The originals that the status annotation holds, whoever wrote it; undefined for none. */
export function originalsIn(pod: PodView): JsonObject | undefined {
  const status = statusOf(pod);
  const originals = member(status, 'originals');
  return isObject(originals) ? originals : undefined;
}

/** The status annotation as JSON; undefined for none and for what is no object. */
export function statusOf(pod: PodView): JsonObject | undefined {
  const text = pod.annotations.get(STATUS_ANNOTATION);
  if (text === undefined) return undefined;
  try {
    const status = JSON.parse(text) as Json;
    return isObject(status) ? status : undefined;
  } catch {
    return undefined;
  }
}

/** The comma list as it was before we added our volumes. */
function withoutOurs(list: string | undefined): string | null {
  if (list === undefined) return null;
  const ours: ReadonlySet<string> = new Set(Object.values(VOLUME));
  const words = list.split(',').filter((word) => !ours.has(word));
  return words.length === 0 && list !== '' ? null : words.join(',');
}
