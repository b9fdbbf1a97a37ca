/**
 * Pods that cluster tests ask for, the namespaces they go to, and what the tests look at in what comes back.
 *
 * May import: test/servers, test/cluster/installation.ts.
 */
import type { ControlPlane } from '../servers/servers.ts';
import { eventually } from './installation.ts';

export type Fields = Readonly<Record<string, unknown>>;

export interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly image: string;
  readonly env?: ReadonlyArray<{ readonly name: string; readonly value?: string }>;
  readonly volumeMounts?: ReadonlyArray<{
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
  }>;
}

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly serviceAccountName: string;
    readonly automountServiceAccountToken?: boolean;
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly volumes?: readonly Fields[];
  };
}

/** The one file annotation that most cases need. */
export const FILES = { 'logging.io/files': '/var/log/app/*.log' };
/** A pod with these asks. */
export const ASKS = { 'logging.io/inject': 'true', ...FILES };

/** A pod of one container with these annotations; `spec` is put over its spec. */
export function podOf(name: string, annotations: Readonly<Record<string, string>>, spec: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'web' }, annotations },
    spec: { containers: [{ name: 'app', image: 'example/web:1' }], ...spec },
  };
}

/** What Pod Security `restricted` asks of a container. */
export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** Our container, in whichever list it stands. */
export function sidecarOf(pod: Pod): Container | undefined {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find(
    (container) => container.name === 'logtender',
  );
}

/** The text of the status annotation; the empty text where there is none. */
export function statusOf(pod: Pod): string {
  return pod.metadata.annotations?.['logging.io/status'] ?? '';
}

/** A namespace, waited for until pods can be created in it. */
export async function createNamespace(
  plane: ControlPlane,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await plane.kubectl(['create', '-f', '-'], {
    input: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
  });
  const path = `/api/v1/namespaces/${name}/serviceaccounts/default`;
  await eventually(`the default account of ${name}`, async () =>
    (await plane.request('GET', path)).status === 200 ? true : undefined,
  );
}

/** Creates a pod with kubectl and gives what the API server made of it; rejects with what it said. */
export async function createPod(plane: ControlPlane, namespace: string, pod: Fields): Promise<Pod> {
  return JSON.parse(await plane.kubectl(['create', '-n', namespace, '-o', 'json', '-f', '-'], { input: pod })) as Pod;
}
