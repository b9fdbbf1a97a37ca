/**
 * Native sidecar or plain container, and what of the pod speaks against either.
 *
 * Pure. Native sidecars: KEP-753, on by default since Kubernetes 1.29; the oldest kubelet decides, not the API server.
 * May import: core, config.
 */
import { integerAt, textAt } from './json.ts';
import { isMeshContainer } from './names.ts';
import type { PodView } from './pod.ts';
import type { ReasonCode } from './reasons.ts';

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

/** What makes an injection impossible whatever was asked, or undefined. */
export function shapeObstacle(pod: PodView, shape: Shape): ReasonCode | undefined {
  const os = textAt(pod.spec, 'os', 'name') ?? textAt(pod.spec, 'nodeSelector', 'kubernetes.io/os');
  if (os === 'windows') return 'windows_pod';
  // A plain container that does not end keeps such a pod running: its Job would never complete.
  const isEnding = (textAt(pod.spec, 'restartPolicy') ?? 'Always') !== 'Always';
  return isEnding && shape.shape === 'container' ? 'ends_without_native' : undefined;
}

/** A mesh proxy among the plain containers ends together with us, so our last requests may have no network. */
export function hasPlainMesh(pod: PodView): boolean {
  return pod.others.some((container) => container.list === 'containers' && isMeshContainer(container.name));
}

/** The longest grace that the forwarder plans with: a week. */
const GRACE_SECONDS_MAX = 7 * 24 * 60 * 60;

/** Seconds until the kubelet kills: terminationGracePeriodSeconds, 30 by default (API reference, PodSpec). */
export function graceSeconds(pod: PodView): number {
  const seconds = integerAt(pod.spec, 'terminationGracePeriodSeconds') ?? 30;
  return Math.min(Math.max(0, seconds), GRACE_SECONDS_MAX);
}
