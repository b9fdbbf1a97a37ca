/**
 * Pods that the suites ask for, and what they look at in what became of them.
 *
 * May import: src/kube, test.
 */
import { corePath } from '../../src/kube/paths.ts';
import { APP_IMAGE } from '../servers/node/pod-images.ts';
import { eventually } from '../cluster/installation.ts';
import type { Kubectl } from './kubectl.ts';

export const LOG_FILE = '/var/log/app/app.log';
/** For pods whose sink is away, so that they do not hold a test up; others have Kubernetes' 30 s and end sooner. */
export const SHORT_GRACE = { terminationGracePeriodSeconds: 10 };
const POD_MS_MAX = 90_000;

export interface Lines {
  readonly count: number;
  /** A second; 0 writes all at once. */
  readonly rate?: number;
  /** Length of a line with its end; 100 by default. */
  readonly bytes?: number;
  /** Lines that follow those, five a second. */
  readonly then?: number;
  /** Seconds that the application lives on; -1 until it is told to end. */
  readonly linger?: number;
  /** Lines after which the file is renamed. */
  readonly rotate?: number;
  /** Lines that it writes when it is told to end. */
  readonly farewell?: number;
  /** Its exit code. */
  readonly exit?: number;
}

interface Terminated {
  readonly exitCode: number;
  readonly reason?: string;
  readonly message?: string;
}

export interface ContainerStatus {
  readonly name: string;
  readonly containerID?: string;
  readonly restartCount: number;
  readonly ready: boolean;
  readonly state: { readonly terminated?: Terminated; readonly running?: object };
  readonly lastState: { readonly terminated?: Terminated };
}

export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: ReadonlyArray<{ readonly name: string }>;
    readonly initContainers?: ReadonlyArray<{ readonly name: string; readonly restartPolicy?: string }>;
  };
  readonly status: {
    readonly phase: string;
    readonly reason?: string;
    readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }>;
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** A namespace whose pods are all injected, with these defaults (annotation keys without prefix). */
export async function createInjected(
  kubectl: Kubectl,
  name: string,
  defaults: Readonly<Record<string, string>> = {},
  level: 'restricted' | 'privileged' = 'restricted',
): Promise<void> {
  const words = {
    // With the rotated ones: a sidecar that starts late on a busy machine still finds them.
    files: '/var/log/app/app.log*',
    stdout: 'off',
    sink: 'elasticsearch',
    'flush-interval': '200ms',
    ...defaults,
  };
  const annotations = Object.fromEntries(Object.entries(words).map(([key, value]) => [`logging.io/${key}`, value]));
  const labels = { 'logging.io/inject': 'true', 'pod-security.kubernetes.io/enforce': level };
  await kubectl.run(['apply', '-f', '-'], {
    input: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels, annotations } },
  });
}

/** A container that writes numbered lines. */
export function writer(lines: Lines, name = 'app', file = LOG_FILE): Readonly<Record<string, unknown>> {
  const flags = Object.entries(lines).map(([flag, value]) => `--${flag}=${value}`);
  return {
    name,
    image: APP_IMAGE,
    args: ['lines', `--file=${file}`, ...flags],
    // Without an image user that the webhook could know, the sidecar runs as 65532, and so does this.
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    resources: { requests: { cpu: '5m', memory: '16Mi' }, limits: { memory: '64Mi' } },
  };
}

/** A pod template around a container. */
export function template(
  container: Readonly<Record<string, unknown>>,
  spec: Readonly<Record<string, unknown>> = {},
  annotations: Readonly<Record<string, string>> = {},
): Readonly<Record<string, unknown>> {
  return {
    metadata: { labels: { app: 'web' }, annotations },
    spec: { containers: [container], ...spec },
  };
}

/** The pods of a namespace whose names begin so. */
export async function podsOf(kubectl: Kubectl, namespace: string, prefix = ''): Promise<readonly PodObject[]> {
  const items = (await kubectl.list(corePath(namespace, 'pods'))) as readonly PodObject[];
  return items.filter(({ metadata }) => metadata.name.startsWith(prefix));
}

/** Our container's status, native or plain. */
export function sidecarStatus({ status }: PodObject): ContainerStatus | undefined {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return all.find(({ name }) => name === 'logtender');
}

export const isReady = ({ status }: PodObject): boolean =>
  status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;

/** Waits until one pod is as asked, and gives it. */
export async function podThat(
  kubectl: Kubectl,
  namespace: string,
  prefix: string,
  is: (pod: PodObject) => boolean,
): Promise<PodObject> {
  return eventually(
    `pod ${prefix} of ${namespace}`,
    async () => (await podsOf(kubectl, namespace, prefix)).find(is),
    POD_MS_MAX,
  );
}

/** What is there twice has a history: restarts of every container, and what the sidecars warned of before and after. To stderr. */
export async function tellHistory(kubectl: Kubectl, namespace: string): Promise<void> {
  for (const { metadata, status } of await podsOf(kubectl, namespace)) {
    const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
    const restarts = all.map(({ name, restartCount, state }) => `${name} ${restartCount} ${JSON.stringify(state)}`);
    const logs = ['logs', metadata.name, '-n', namespace, '-c', 'logtender'];
    const texts = await Promise.all([['--previous'], []].map((more) => kubectl.outcome([...logs, ...more])));
    const words = texts.flatMap(({ stdout }) => stdout.split('\n').filter((line) => /warn|error|new ids/.test(line)));
    process.stderr.write(`${[`${namespace}/${metadata.name}`, ...restarts, ...words].join('\n  ')}\n`);
  }
}
