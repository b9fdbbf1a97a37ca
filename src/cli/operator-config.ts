/**
 * What the operator set up, as far as whoever runs a command may read it: configuration, kubelets, accounts, namespaces.
 *
 * May import: everything but test.
 */
import type { NamespaceFacts } from '../../webhook/injection.ts';
import { textAt, textMapAt } from '../../webhook/json.ts';
import { askKubelets } from '../../webhook/kubelet-versions.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { IMAGE, VERSION } from '../../webhook/version.ts';
import { certsNames } from '../config/certs-config.ts';
import { problemText } from '../config/fields.ts';
import { parseWebhookConfig } from '../config/webhook-config.ts';
import type { WebhookConfig } from '../config/webhook-config.ts';
import { OperationalError } from '../core/errors.ts';
import { METADATA_ONLY } from '../kube/client.ts';
import type { KubeObject } from '../kube/client.ts';
import { corePath } from '../kube/paths.ts';
import { rawOf } from './cluster-reader.ts';
import type { ClusterReader } from './cluster-reader.ts';
import type { EngineFacts } from './pod-state.ts';

/** Which install a command is about. */
export interface Install {
  readonly namespace: string;
  readonly instance: string;
}

export interface OperatorFacts extends EngineFacts {
  /** Where the configuration came from: `unknown` means that built-in defaults stand in. */
  readonly configStatus: 'found' | 'absent' | 'invalid' | 'unknown';
  readonly configProblems: readonly string[];
}

/** Reads what the engine needs. */
export async function readOperator(reader: ClusterReader, install: Install): Promise<OperatorFacts> {
  const { config, configStatus, configProblems } = await readConfig(reader, install);
  const kubelets = await askKubelets(reader.client, new AbortController().signal);
  if (kubelets === 'unknown') reader.gaps.push('list nodes: the versions of the kubelets are not known');
  const known = new Map<string, boolean>();
  const accountExists = async (namespace: string, name: string): Promise<boolean> => {
    const path = corePath(namespace, 'serviceaccounts', name);
    const asked = known.get(path);
    if (asked !== undefined) return asked;
    const found = await reader.get(path, `service account ${namespace}/${name}`, METADATA_ONLY);
    known.set(path, found.status === 'found');
    return found.status === 'found';
  };
  return { config, configStatus, configProblems, kubelets, version: VERSION, accountExists };
}

async function readConfig(
  reader: ClusterReader,
  { namespace, instance }: Install,
): Promise<Pick<OperatorFacts, 'configStatus' | 'configProblems'> & { readonly config: WebhookConfig }> {
  const name = certsNames(instance).configMap;
  const found = await reader.get(corePath(namespace, 'configmaps', name), `ConfigMap ${namespace}/${name}`);
  const options = { image: IMAGE, namespace, checkDefault };
  const text = found.status === 'found' ? textAt(rawOf(found.value), 'data', 'webhook.yaml') : undefined;
  const parsed = parseWebhookConfig(text ?? '', options);
  if (parsed.ok) {
    const status = found.status === 'found' && text === undefined ? 'absent' : found.status;
    return { config: parsed.value, configStatus: status, configProblems: [] };
  }
  const defaults = parseWebhookConfig('', options);
  if (!defaults.ok) throw new OperationalError('CONFIG_INVALID', 'read defaults: expected them to be valid');
  return { config: defaults.value, configStatus: 'invalid', configProblems: parsed.problems.map(problemText) };
}

/** Labels and annotations of a namespace, as the webhook sees them. */
export function namespaceFacts(name: string, namespace: KubeObject): NamespaceFacts {
  const raw = rawOf(namespace);
  return { name, labels: textMapAt(raw, 'metadata', 'labels'), annotations: textMapAt(raw, 'metadata', 'annotations') };
}
