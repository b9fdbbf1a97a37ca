/**
 * What a pod belongs to: `{app}` and `{workload}` of templates.
 *
 * Pure. Rules: DESIGN's, from the well-known labels (kubernetes.io, "Recommended Labels") and the way the controllers build names.
 * May import: core, config.
 */
import type { PodView } from './pod.ts';

const APP_LABELS = ['app.kubernetes.io/name', 'app', 'k8s-app'];

/** Owner's name: a ReplicaSet without its pod-template-hash, a Job of a CronJob without its number, else the pod's own. */
export function workloadOf(pod: PodView): string | undefined {
  const owner = pod.owner;
  // The API server checks no name of an owner but that it is there, and a NUL in env keeps a container from starting.
  if (owner === undefined || !/^[^\p{Cc}]{1,253}$/u.test(owner.name))
    return pod.name ?? pod.generateName?.replace(/-$/, '');
  if (owner.kind === 'ReplicaSet') {
    const hash = pod.labels.get('pod-template-hash');
    if (hash !== undefined && owner.name.endsWith(`-${hash}`)) return owner.name.slice(0, -hash.length - 1);
  }
  // The CronJob controller appends the scheduled time in minutes since the epoch: eight digits until the year 2160.
  if (owner.kind === 'Job') return owner.name.replace(/-\d{8}$/, '');
  return owner.name;
}

/** The first of the app labels, else the workload; undefined only for a pod without any name. */
export function appOf(pod: PodView): string | undefined {
  for (const label of APP_LABELS) {
    const app = pod.labels.get(label);
    if (app !== undefined && app !== '') return app;
  }
  return workloadOf(pod);
}
