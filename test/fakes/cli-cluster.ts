/**
 * A small cluster in memory for the commands that look at one: logtender installed, pods that the engine injected.
 */
import assert from 'node:assert/strict';

import { parseWebhookConfig } from '../../src/config/webhook-config.ts';
import { coreClusterPath, corePath, groupPath, webhookConfigurationPath } from '../../src/kube/paths.ts';
import { inject, readAsked } from '../../webhook/injection.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { IMAGE, VERSION } from '../../webhook/version.ts';
import { createFakeKube } from './kube.ts';
import type { FakeKube } from './kube.ts';

export const INSTALL = { namespace: 'logtender', instance: '' } as const;

/** Selectors as in deploy/webhook-configuration.yaml, cut to two entries. */
function webhooks(caBundle: string): readonly JsonObject[] {
  const entry = (name: string, operator: string): JsonObject => ({
    name: `${name}.logtender.logging.io`,
    clientConfig: caBundle === '' ? {} : { caBundle },
    namespaceSelector: { matchExpressions: [{ key: 'logging.io/inject', operator, values: ['true'] }] },
  });
  return [entry('namespace-ignore', 'In'), entry('annotation-ignore', 'NotIn')];
}

/** An installation whose configuration is the given YAML. */
export async function cliCluster(
  options: { readonly config?: string; readonly caBundle?: string } = {},
): Promise<FakeKube> {
  const kube = createFakeKube();
  const put = async (path: string, object: JsonObject): Promise<void> => {
    const created = await kube.others.create(path, object);
    assert(created.ok, created.ok ? '' : created.text);
  };
  await put(coreClusterPath('nodes'), {
    metadata: { name: 'node' },
    status: { nodeInfo: { kubeletVersion: 'v1.36.0' } },
  });
  await put(corePath('logtender', 'configmaps'), {
    metadata: { name: 'logtender-config' },
    data: { 'webhook.yaml': options.config ?? '' },
  });
  await put(webhookConfigurationPath(), {
    metadata: { name: 'logtender-injector', creationTimestamp: '2026-01-01T00:00:00Z' },
    webhooks: webhooks(options.caBundle ?? ''),
  });
  await put(corePath('logtender', 'pods'), {
    metadata: { name: 'logtender-webhook-1', labels: { 'app.kubernetes.io/name': 'logtender-webhook' } },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  return kube;
}

export async function putNamespace(kube: FakeKube, name: string, metadata: JsonObject = {}): Promise<void> {
  const created = await kube.others.create(coreClusterPath('namespaces'), { metadata: { ...metadata, name } });
  assert(created.ok);
}

/** A pod that asks by annotation. */
export function askingPod(name: string, annotations: Readonly<Record<string, string>> = {}): JsonObject {
  return {
    metadata: {
      name,
      creationTimestamp: '2026-02-01T00:00:00Z',
      annotations: {
        'logging.io/inject': 'true',
        'logging.io/stdout': 'off',
        'logging.io/sink': 'console',
        'logging.io/files': '/var/log/app/*.log',
        ...annotations,
      },
    },
    spec: { containers: [{ name: 'app', image: 'app', env: [{ name: 'PASSWORD', value: 'CANARY' }] }] },
    status: { phase: 'Running' },
  };
}

/** The pod as the webhook would have admitted it under that configuration. */
export function injected(pod: JsonObject, namespace: string, config = '', version = VERSION): JsonObject {
  const parsed = parseWebhookConfig(config, { image: IMAGE, namespace: 'logtender', checkDefault });
  assert(parsed.ok);
  const facts = { name: namespace, labels: new Map<string, string>(), annotations: new Map<string, string>() };
  const reading = readAsked(pod, facts, parsed.value);
  if (reading.kind === 'decided') return applyPatch(pod, reading.outcome.operations);
  const known = { config: parsed.value, version, kubelets: 'ready', accountExists: false } as const;
  return applyPatch(pod, inject(reading.asked, known).operations);
}

export async function putPod(kube: FakeKube, namespace: string, pod: JsonObject): Promise<void> {
  const created = await kube.others.create(corePath(namespace, 'pods'), pod);
  assert(created.ok, created.ok ? '' : created.text);
}

/** The Lease of certs with its status. */
export async function putLease(kube: FakeKube, status: JsonObject): Promise<void> {
  const created = await kube.others.create(groupPath('coordination.k8s.io/v1', 'logtender', 'leases'), {
    metadata: { name: 'logtender-certs', annotations: { 'logging.io/certs-status': JSON.stringify(status) } },
  });
  assert(created.ok);
}
