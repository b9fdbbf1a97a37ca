/**
 * A namespace whose pods ship stdout and stderr, by either way, and the workloads that the suites put into it.
 *
 * May import: src/cli, test.
 */
import { namespaceManifests } from '../../src/cli/namespace.ts';
import type { Kubectl } from './kubectl.ts';
import { createInjected, template, writer, type Lines } from './pods.ts';

/** `node` needs a level of Pod Security that lets hostPath through; `api` an account with the right. */
export const WAYS = {
  node: { level: 'privileged', words: { stdout: 'node' } },
  api: { level: 'restricted', words: { stdout: 'auto', 'service-account': 'logtender-forwarder' } },
} as const;
export type Way = keyof typeof WAYS;

export async function createShipping(kubectl: Kubectl, way: Way, name: string): Promise<void> {
  const { level, words } = WAYS[way];
  await createInjected(kubectl, name, words, level);
  if (way === 'api') await kubectl.run(['apply', '-f', '-'], { input: namespaceManifests(name) });
}

export async function applyTo(kubectl: Kubectl, namespace: string, items: readonly unknown[]): Promise<void> {
  await kubectl.run(['apply', '-n', namespace, '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
}

/** A container that prints numbered lines. */
export const printing = (lines: Lines, name = 'app'): Readonly<Record<string, unknown>> => writer(lines, name, '-');

/** A Pod around such a container. */
export function podOf(name: string, lines: Lines): unknown {
  return { apiVersion: 'v1', kind: 'Pod', ...template(printing(lines)), metadata: { name } };
}

/** A Deployment, a StatefulSet or a DaemonSet of one pod, in the native shape or in the plain one. */
export function staying(
  kind: 'Deployment' | 'StatefulSet' | 'DaemonSet',
  shape: 'native' | 'container',
  lines: Lines,
): unknown {
  const name = `${kind.toLowerCase()}-${shape}`;
  const labels = { app: name };
  const pod = template(printing({ ...lines, linger: -1 }));
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name },
    spec: {
      ...(kind === 'DaemonSet' ? {} : { replicas: 1 }),
      ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
      selector: { matchLabels: labels },
      template: { ...pod, metadata: { labels, annotations: { 'logging.io/sidecar': shape } } },
    },
  };
}

/** A Job, or a CronJob of it, that prints and ends; what its init container prints is shipped as well. */
export function ending(kind: 'Job' | 'CronJob', name: string, lines: Lines, initLines: number): unknown {
  return jobOf(kind, name, printing(lines), { initContainers: [printing({ count: initLines, rate: 0 }, 'prepare')] });
}

/** The same in the plain shape, which asks for `OnFailure`, with a second container that writes into a file and ends some seconds later. */
export function endingPlain(name: string, lines: Lines, initLines: number): unknown {
  const annotations = { 'logging.io/sidecar': 'container' };
  const spec = {
    restartPolicy: 'OnFailure',
    initContainers: [printing({ count: initLines, rate: 0 }, 'prepare')],
    containers: [printing(lines), writer({ ...lines, linger: 3 }, 'writer')],
  };
  return jobOf('Job', name, printing(lines), spec, annotations);
}

function jobOf(
  kind: 'Job' | 'CronJob',
  name: string,
  app: Readonly<Record<string, unknown>>,
  spec: Readonly<Record<string, unknown>>,
  annotations: Readonly<Record<string, string>> = {},
): unknown {
  const pod = template(app, { restartPolicy: 'Never', ...spec }, annotations);
  const job = { backoffLimit: 0, template: pod };
  const whole =
    kind === 'Job' ? job : { schedule: '* * * * *', concurrencyPolicy: 'Forbid', jobTemplate: { spec: job } };
  return { apiVersion: 'batch/v1', kind, metadata: { name }, spec: whole };
}
