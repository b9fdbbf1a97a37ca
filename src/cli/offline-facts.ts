/**
 * What stands in for the cluster when manifests are injected without one: options of the command line and the manifests themselves.
 *
 * Invariants: a Namespace among the manifests counts for its pods, the options for all other namespaces; what nobody can know offline
 * is assumed, and the assumption is said in the line of every workload that rests on it. May import: everything but test.
 */
import { parseAllDocuments } from 'yaml';

import type { NamespaceFacts } from '../../webhook/injection.ts';
import { isObject, textAt, textMapAt } from '../../webhook/json.ts';
import type { Json } from '../../webhook/json.ts';
import { knowsNative } from '../../webhook/kubelet-versions.ts';
import { checkDefault } from '../../webhook/settings.ts';
import type { Kubelets } from '../../webhook/shape.ts';
import { IMAGE } from '../../webhook/version.ts';
import { problemText, shown } from '../config/fields.ts';
import type { TextForm } from '../config/fields.ts';
import { LABEL, OBJECT_NAME } from '../config/name-forms.ts';
import { parseWebhookConfig } from '../config/webhook-config.ts';
import type { WebhookConfig } from '../config/webhook-config.ts';
import { OperationalError } from '../core/errors.ts';
import type { CommandIo } from './command-io.ts';
import { readManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import { objectsOf } from './pod-templates.ts';

/** Options that `inject`, `diff` and `lint` share, as `parseArgs` takes them. */
export const OFFLINE_OPTIONS = {
  filename: { type: 'string', short: 'f', multiple: true },
  namespace: { type: 'string', short: 'n', default: 'default' },
  'namespace-label': { type: 'string', multiple: true },
  'namespace-annotation': { type: 'string', multiple: true },
  config: { type: 'string' },
  'kubelet-version': { type: 'string' },
  'service-account': { type: 'string', multiple: true },
} as const;

/** The values of `OFFLINE_OPTIONS`. */
export interface OfflineValues {
  readonly filename?: readonly string[] | undefined;
  readonly namespace: string;
  readonly 'namespace-label'?: readonly string[] | undefined;
  readonly 'namespace-annotation'?: readonly string[] | undefined;
  readonly config?: string | undefined;
  readonly 'kubelet-version'?: string | undefined;
  readonly 'service-account'?: readonly string[] | undefined;
}

export interface OfflineFacts {
  readonly config: WebhookConfig;
  /** Whether the operator's configuration was given; without it built-in defaults stand in. */
  readonly isConfigKnown: boolean;
  /** Namespace of objects that name none. */
  readonly namespace: string;
  readonly namespaceFacts: (name: string) => NamespaceFacts;
  /** Whether the facts of a namespace come from a Namespace among the manifests. */
  readonly isNamespaceKnown: (name: string) => boolean;
  readonly kubelets: Kubelets;
  readonly areKubeletsAssumed: boolean;
  /** Undefined where existence is assumed. */
  readonly accountExists: (namespace: string, name: string) => boolean | undefined;
}

/**
 * The manifests that the command line names.
 *
 * @throws OperationalError USAGE for none, MANIFEST_UNREADABLE
 */
export async function readManifests(
  command: string,
  files: readonly string[] | undefined,
  io: CommandIo,
): Promise<readonly Manifest[]> {
  if (files === undefined || files.length === 0) {
    throw new OperationalError('USAGE', `logtender ${command}: expected -f FILE, got none`, {
      hint: `logtender ${command} -f deployment.yaml, or -f - for the standard input`,
    });
  }
  const manifests: Manifest[] = [];
  for (const file of files) manifests.push(readManifest(file === '-' ? '(stdin)' : file, await io.read(file)));
  return manifests;
}

/**
 * The facts.
 *
 * @throws OperationalError USAGE for options that make no sense, CONFIG_INVALID for a configuration that does not parse
 */
export async function offlineFacts(
  command: string,
  values: OfflineValues,
  options: { readonly manifests: readonly Manifest[]; readonly io: CommandIo },
): Promise<OfflineFacts> {
  const { manifests, io } = options;
  checkNames(command, values);
  const config = await readConfig(values.config, io);
  const labels = keyValues(command, 'namespace-label', values['namespace-label']);
  const annotations = keyValues(command, 'namespace-annotation', values['namespace-annotation']);
  const objects = manifests.flatMap(({ documents }) => documents.flatMap(({ value }) => objectsOf(value)));
  const known = new Map<string, NamespaceFacts>();
  const accounts = new Set<string>();
  for (const { kind, name, namespace, value } of objects) {
    if (kind === 'Namespace') {
      known.set(name, {
        name,
        labels: textMapAt(value, 'metadata', 'labels'),
        annotations: textMapAt(value, 'metadata', 'annotations'),
      });
    } else if (kind === 'ServiceAccount') accounts.add(`${namespace ?? values.namespace}/${name}`);
  }
  const named = values['service-account'];
  return {
    config,
    isConfigKnown: values.config !== undefined,
    namespace: values.namespace,
    namespaceFacts: (name) => known.get(name) ?? { name, labels, annotations },
    isNamespaceKnown: (name) => known.has(name),
    kubelets: kubeletsOf(command, values['kubelet-version']),
    areKubeletsAssumed: values['kubelet-version'] === undefined,
    accountExists: (namespace, name) => {
      if (accounts.has(`${namespace}/${name}`)) return true;
      return named === undefined ? undefined : named.includes(name);
    },
  };
}

/** What no API server would take as a name would only seem to be injected. */
function checkNames(command: string, values: OfflineValues): void {
  const check = (option: string, name: string, form: TextForm): void => {
    if (form.test(name)) return;
    throw new OperationalError(
      'USAGE',
      `logtender ${command}: --${option}: expected ${form.expected}, got ${shown(name)}`,
      { hint: `logtender help ${command}` },
    );
  };
  check('namespace', values.namespace, LABEL);
  for (const name of values['service-account'] ?? []) check('service-account', name, OBJECT_NAME);
}

function kubeletsOf(command: string, version: string | undefined): Kubelets {
  if (version === undefined) return 'ready';
  if (!/^v?\d+\.\d+/.test(version)) {
    throw new OperationalError(
      'USAGE',
      `logtender ${command}: --kubelet-version: expected a version such as 1.36, got ${version}`,
      {
        hint: 'kubectl get nodes shows the versions; the oldest counts',
      },
    );
  }
  return knowsNative(version) ? 'ready' : 'old';
}

function keyValues(command: string, option: string, pairs: readonly string[] | undefined): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const pair of pairs ?? []) {
    const at = pair.indexOf('=');
    if (at <= 0) {
      throw new OperationalError('USAGE', `logtender ${command}: --${option}: expected KEY=VALUE, got ${pair}`, {
        hint: `--${option} logging.io/inject=true`,
      });
    }
    values.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return values;
}

/** webhook.yaml as the webhook reads it, or the ConfigMap that holds it. */
async function readConfig(file: string | undefined, io: CommandIo): Promise<WebhookConfig> {
  const text = file === undefined ? '' : webhookYaml(await io.read(file));
  const parsed = parseWebhookConfig(text, { image: IMAGE, checkDefault });
  if (parsed.ok) return parsed.value;
  throw new OperationalError(
    'CONFIG_INVALID',
    `${file ?? 'defaults'}:\n${parsed.problems.map(problemText).join('\n')}`,
  );
}

function webhookYaml(text: string): string {
  try {
    for (const document of parseAllDocuments(text)) {
      const value = document.errors.length === 0 ? (document.toJS() as Json) : null;
      const inside =
        isObject(value) && value['kind'] === 'ConfigMap' ? textAt(value, 'data', 'webhook.yaml') : undefined;
      if (inside !== undefined) return inside;
    }
  } catch {
    // The configuration's own parser says what is wrong.
  }
  return text;
}
