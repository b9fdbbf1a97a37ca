/**
 * `logtender check injection`: asks the API server for a pod that asks for a sidecar, as a dry run, and looks whether it got one.
 *
 * The whole way is in it: webhook configuration, caBundle, Service, a replica, its patch. Invariant: nothing is created. The right to
 * create pods in the namespace is needed. May import: everything but test.
 */
import { parseArgs } from 'node:util';

import { at, listAt, textAt } from '../../webhook/json.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { CONTAINER, PREFIX, STATUS_ANNOTATION } from '../../webhook/names.ts';
import type { KubeClient } from '../kube/client.ts';
import { corePath } from '../kube/paths.ts';
import { CLUSTER_OPTIONS, connectCluster } from './cluster-reader.ts';
import type { CommandIo } from './command-io.ts';

/** Above the 5 s that an API server gives the webhook, twice. */
const TIMEOUT_MS = 15_000;

export interface InjectionCheck {
  readonly ok: boolean;
  readonly text: string;
}

/** Exit 0 when the pod came back with its sidecar, else 1. */
export async function runCheckInjection(args: readonly string[], io: CommandIo): Promise<number> {
  const { kubeconfig, context, namespace: named } = CLUSTER_OPTIONS;
  const { values } = parseArgs({ args: [...args], options: { kubeconfig, context, namespace: named } });
  const { client, namespace } = await connectCluster(values);
  try {
    const { ok, text } = await checkInjection(client, values.namespace ?? namespace);
    io.out(`injection: ${ok ? 'ok' : 'failed'}: ${text}\n`);
    return ok ? 0 : 1;
  } finally {
    client.close();
  }
}

/** What became of the pod, in words. */
export async function checkInjection(client: KubeClient, namespace: string): Promise<InjectionCheck> {
  const result = await client.create(corePath(namespace, 'pods'), ASKING_POD, {
    query: { dryRun: 'All' },
    timeoutMs: TIMEOUT_MS,
  });
  if (!result.ok) return { ok: false, text: `a pod in ${namespace} was refused: ${result.text}` };
  const pod = result.value as unknown as JsonObject;
  const native = listAt(pod, 'spec', 'initContainers').some((one) => textAt(one, 'name') === CONTAINER);
  const plain = listAt(pod, 'spec', 'containers').some((one) => textAt(one, 'name') === CONTAINER);
  if (native || plain)
    return { ok: true, text: `a pod in ${namespace} gets its sidecar (${native ? 'native' : 'plain'})` };
  const status = at(pod, 'metadata', 'annotations', STATUS_ANNOTATION);
  const why =
    typeof status === 'string'
      ? `the webhook says ${status}`
      : `it was not sent to the webhook, or admitted while the webhook was away: logtender certs status, and whether ${namespace} is excluded`;
  return { ok: false, text: `a pod in ${namespace} gets no sidecar: ${why}` };
}

/** Asks by annotation, which is enough in every namespace; passes Pod Security `restricted`. */
const ASKING_POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    generateName: 'logtender-check-',
    annotations: { [`${PREFIX}inject`]: 'true', [`${PREFIX}files`]: '/var/log/app/*.log' },
  },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'app',
        image: 'app',
        resources: { requests: { cpu: '1m', memory: '1Mi' }, limits: { cpu: '1m', memory: '1Mi' } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
} as const;
