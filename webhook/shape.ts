/**
 * Native sidecar or plain container, and what of the pod speaks against either.
 *
 * Pure. Native sidecars: KEP-753, on by default since Kubernetes 1.29; the oldest kubelet decides, not the API server.
 * May import: core, config.
 */
import { at, integerAt, isObject, listAt, textAt } from './json.ts';
import type { Json } from './json.ts';
import { FORWARDER_ACCOUNT, isMeshContainer } from './names.ts';
import { userContainers } from './pod.ts';
import type { PodView } from './pod.ts';
import type { ReasonCode } from './reasons.ts';
import type { AccountDecision } from './service-account.ts';

/** What the nodes say about native sidecars. */
export type Kubelets = 'ready' | 'old' | 'unknown';

export interface Shape {
  readonly shape: 'native' | 'container';
  readonly reason: ReasonCode;
}

/** What was asked for wins; `auto` is native when every kubelet knows it. */
export function decideShape(asked: 'auto' | 'native' | 'container', kubelets: Kubelets): Shape {
  if (asked !== 'auto') return { shape: asked, reason: 'shape_asked' };
  if (kubelets === 'ready') return { shape: 'native', reason: 'kubelets_ready' };
  return { shape: 'container', reason: kubelets === 'old' ? 'kubelets_old' : 'kubelets_unknown' };
}

/** What makes an injection impossible whatever was asked, or undefined. @param endsWith see `endsWith` */
export function shapeObstacle(pod: PodView, shape: Shape, endsWith: readonly string[]): ReasonCode | undefined {
  if (isWindows(pod)) return 'windows_pod';
  // A plain container that does not end keeps such a pod running: its Job would never complete.
  if (!isEnding(pod) || shape.shape === 'native' || endsWith.length > 0) return undefined;
  return shape.reason === 'shape_asked' ? 'ends_as_container' : 'ends_without_native';
}

/**
 * The containers with which a plain sidecar of a pod that is meant to end has to end by itself; empty where it need not, or cannot: for
 * that it must be able to read its own pod, which the account of `logtender namespace` may, and which a plain mesh proxy may prevent.
 * Under `Never` a failure of ours would fail the pod, and the Job would run again (Kubernetes, "Jobs", handling Pod and container failures).
 */
export function endsWith(pod: PodView, shape: Shape, account: AccountDecision): readonly string[] {
  if (shape.shape === 'native' || !isEnding(pod)) return [];
  if (textAt(pod.spec, 'restartPolicy') !== 'OnFailure') return [];
  // A proxy that comes after us changes nothing: what has the sidecar keeps it, and its wait is bounded.
  if (pod.ours === undefined && hasPlainMesh(pod)) return [];
  if (account.action !== 'switch' || account.account !== FORWARDER_ACCOUNT) return [];
  return userContainers(pod).flatMap(({ list, name }) => (list === 'containers' ? [name] : []));
}

function isEnding(pod: PodView): boolean {
  return (textAt(pod.spec, 'restartPolicy') ?? 'Always') !== 'Always';
}

/** The labels of nodes that name their system; the second is the first's older name. */
const OS_LABELS = ['kubernetes.io/os', 'beta.kubernetes.io/os'];

/**
 * The webhook sees no image, so the system is what the pod says of it: spec.os, else the nodes that it selects, else options that only
 * Windows has. Source: Kubernetes, "Guide for Running Windows Containers"; API reference, PodSpec `os`, WindowsSecurityContextOptions.
 */
function isWindows(pod: PodView): boolean {
  const named = textAt(pod.spec, 'os', 'name');
  if (named !== undefined) return named === 'windows';
  const selected = OS_LABELS.map((label) => textAt(pod.spec, 'nodeSelector', label)).find((os) => os !== undefined);
  if (selected !== undefined) return selected === 'windows';
  const contexts = [pod.spec, ...pod.others.map((container) => container.raw)];
  return contexts.some(hasWindowsOptions) || requiredTerms(pod).some(isWindowsTerm);
}

/** An empty object says nothing: the API server takes it in a pod of Linux too. */
function hasWindowsOptions(spec: Json | undefined): boolean {
  const options = at(spec, 'securityContext', 'windowsOptions');
  return isObject(options) && Object.keys(options).length > 0;
}

function requiredTerms(pod: PodView): readonly Json[] {
  const path = ['affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution', 'nodeSelectorTerms'];
  return listAt(pod.spec, ...path);
}

function isWindowsTerm(term: Json): boolean {
  return listAt(term, 'matchExpressions').some((expression) => {
    const values = listAt(expression, 'values');
    const isAbout = OS_LABELS.includes(textAt(expression, 'key') ?? '') && textAt(expression, 'operator') === 'In';
    return isAbout && values.length > 0 && values.every((value) => value === 'windows');
  });
}

/**
 * True where containers see the processes of others: /proc/PID/root of ours leads to its files, for root and for the same user.
 * Source: Kubernetes, "Share Process Namespace between Containers in a Pod"; hostPID shows all of the node.
 */
export function sharesProcesses(pod: PodView): boolean {
  return at(pod.spec, 'shareProcessNamespace') === true || at(pod.spec, 'hostPID') === true;
}

/** A mesh proxy among the plain containers ends together with us, so our last requests may have no network. */
export function hasPlainMesh(pod: PodView): boolean {
  return pod.others.some((container) => container.list === 'containers' && isMeshContainer(container.name));
}

/** The longest grace that the forwarder plans with: a week. */
const GRACE_SECONDS_MAX = 7 * 24 * 60 * 60;

/** Below this there is no time for a request that is answered late, nor for a second try. */
export const GRACE_SECONDS_LEAST = 5;

/** Seconds until the kubelet kills: terminationGracePeriodSeconds, 30 by default (API reference, PodSpec). */
export function graceSeconds(pod: PodView): number {
  const seconds = integerAt(pod.spec, 'terminationGracePeriodSeconds') ?? 30;
  return Math.min(Math.max(0, seconds), GRACE_SECONDS_MAX);
}
