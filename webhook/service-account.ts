/**
 * Whether the pod's service account is switched, and why (or why not).
 *
 * Pure. A sidecar shares its pod's account, so a switch gives the app another identity too; therefore it happens only where the app
 * provably has no use for its own, and no container but ours holds a token of the new one. Source: DESIGN section 5; Kubernetes
 * "Configure Service Accounts for Pods"; the ServiceAccount admission plugin. May import: core, config.
 */
import type { ServiceAccountMode } from '../src/config/webhook-config.ts';
import { at, isObject, listAt, member, textAt } from './json.ts';
import type { Json } from './json.ts';
import { PATHS, VOLUME } from './names.ts';
import type { PodView, VolumeView } from './pod.ts';
import type { ReasonCode } from './reasons.ts';
import { sharesProcesses } from './shape.ts';

export interface AccountDecision {
  readonly action: 'keep' | 'switch';
  /** The account under which the pod will run. */
  readonly account: string;
  readonly reason: ReasonCode;
}

export interface AccountFacts {
  /** The account that somebody named. */
  readonly named: string | undefined;
  readonly mode: ServiceAccountMode;
  /** Whether the named account exists; never asked for when it does not matter. */
  readonly exists: boolean;
  /** The account before an earlier pass of ours switched it, as our own status says. */
  readonly original: string | undefined;
}

/** Decides. A pod that we switched in an earlier pass stays switched, recognised by our container's own token. */
export function decideAccount(pod: PodView, facts: AccountFacts): AccountDecision {
  const account = accountOf(pod);
  const keep = (reason: ReasonCode): AccountDecision => ({ action: 'keep', account, reason });
  if (isSwitched(pod)) {
    const reason = isExposed(pod) ? 'account_exposed' : switchReason(facts.original ?? 'default');
    return { action: 'switch', account, reason };
  }
  const obstacle = accountObstacle(pod, facts);
  if (obstacle !== undefined) return keep(obstacle);
  const named = facts.named ?? account;
  return { action: 'switch', account: named, reason: switchReason(account) };
}

/** True when the cluster has to be asked whether the named account exists. */
export function needsAccount(pod: PodView, facts: Omit<AccountFacts, 'exists' | 'original'>): boolean {
  return (
    !isSwitched(pod) && accountObstacle(pod, { ...facts, exists: false, original: undefined }) === 'account_not_found'
  );
}

/** The first thing that speaks against a switch; whether the account exists is asked last, because it may cost a request. */
function accountObstacle(pod: PodView, facts: AccountFacts): ReasonCode | undefined {
  const account = accountOf(pod);
  if (facts.named === undefined) return 'account_none_named';
  if (facts.named === account) return 'account_in_use';
  if (facts.mode === 'never') return 'account_mode_never';
  if (facts.mode === 'if-default' && account !== 'default') return 'account_pod_names_own';
  if (at(pod.spec, 'automountServiceAccountToken') === true) return 'account_token_wanted';
  if (pod.volumes.some(isOwnTokenVolume)) return 'account_token_volume';
  if (sharesProcesses(pod)) return 'account_processes_shared';
  return facts.exists ? undefined : 'account_not_found';
}

/** What came to a switched pod after us: another container that holds a token of the account, or that sees ours. */
function isExposed(pod: PodView): boolean {
  const tokens = new Set(pod.volumes.filter(isOwnTokenVolume).map(({ name }) => name));
  return sharesProcesses(pod) || pod.others.some(({ mounts }) => mounts.some(({ volume }) => tokens.has(volume)));
}

function switchReason(original: string): ReasonCode {
  return original === 'default' ? 'account_switched' : 'account_replaced';
}

/** `default` is what the API server fills in; `serviceAccount` is the old alias of serviceAccountName. */
function accountOf(pod: PodView): string {
  const names = [textAt(pod.spec, 'serviceAccountName'), textAt(pod.spec, 'serviceAccount')];
  return names.find((name) => name !== undefined && name !== '') ?? 'default';
}

/** Our own container holds its own API token, and the pod hands out none: that is only so after a switch. */
export function isSwitched(pod: PodView): boolean {
  const holdsToken = pod.ours?.mounts.some(
    (mount) => mount.volume === VOLUME.token && mount.path === PATHS.serviceAccount,
  );
  return holdsToken === true && at(pod.spec, 'automountServiceAccountToken') === false;
}

/**
 * The volume that the ServiceAccount admission plugin adds: its generated name, and a projection of token, CA and namespace; OpenShift's
 * has a CA of its services besides. Source: kubernetes/kubernetes, plugin/pkg/admission/serviceaccount, TokenVolumeSource;
 * openshift/kubernetes, the same file.
 */
export function isAutomaticTokenVolume(volume: VolumeView): boolean {
  const sources = listAt(volume.raw, 'projected', 'sources');
  const kinds = sources.map((source) => (isObject(source) ? Object.keys(source).join() : ''));
  return (
    /^kube-api-access-[a-z0-9]{5}$/.test(volume.name) &&
    [...new Set(kinds)].toSorted().join() === 'configMap,downwardAPI,serviceAccountToken' &&
    kinds.filter((kind) => kind !== 'configMap').length === 2
  );
}

/** The pod as a switch leaves it: without the volumes that the plugin added, and without their mounts. */
export function withoutAutomaticTokens(pod: PodView): PodView {
  const names = new Set(pod.volumes.filter(isAutomaticTokenVolume).map((volume) => volume.name));
  const isStaying = ({ volume }: { readonly volume: string }): boolean => !names.has(volume);
  return {
    ...pod,
    volumes: pod.volumes.filter(({ name }) => !names.has(name)),
    others: pod.others.map((container) => ({ ...container, mounts: container.mounts.filter(isStaying) })),
  };
}

/** A volume of the user (or of another webhook) that projects a token of the pod's account. */
function isOwnTokenVolume(volume: VolumeView): boolean {
  if (volume.name === VOLUME.token || isAutomaticTokenVolume(volume)) return false;
  return listAt(volume.raw, 'projected', 'sources').some(
    (source: Json) => member(source, 'serviceAccountToken') !== undefined,
  );
}
