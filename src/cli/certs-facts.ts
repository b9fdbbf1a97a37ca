/**
 * Where the certificates stand, from what may be read without any key: the status that certs writes on its Lease, the caBundle of the
 * webhook configuration, the public half of the Secret of the webhook, and what each webhook pod says of itself.
 *
 * Invariants: the Secret of the CA is never read; of the other Secret the key is neither kept nor shown. May import: everything but test.
 */
import { chainVerifies, parseTrustBundle } from '../../certs/bundle.ts';
import type { CertificateFacts } from '../../certs/bundle.ts';
import { entriesOf } from '../../certs/ca-bundle.ts';
import type { WebhookEntry } from '../../certs/ca-bundle.ts';
import { STATUS_ANNOTATION } from '../../certs/public-status.ts';
import { isList, isObject, listAt, textAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { certsNames } from '../config/certs-config.ts';
import type { KubeObject } from '../kube/client.ts';
import { corePath, groupPath, webhookConfigurationPath } from '../kube/paths.ts';
import { rawOf } from './cluster-reader.ts';
import type { ClusterReader, Found } from './cluster-reader.ts';
import type { Install } from './operator-config.ts';

export interface CertsFacts {
  /** The status on the Lease: what certs saw last. Found as `absent` where no replica has written one. */
  readonly status: Found<JsonObject>;
  readonly entries: Found<readonly WebhookEntry[]>;
  /** The chain in `logtender-tls`, leaf first. */
  readonly chain: Found<readonly CertificateFacts[]>;
  readonly pods: Found<readonly WebhookPod[]>;
}

/** One pod of the webhook. */
export interface WebhookPod {
  readonly name: string;
  readonly isReady: boolean;
  /** SHA-256 of the leaf that it serves; undefined where it could not be asked. */
  readonly fingerprint: string | undefined;
  readonly version: string | undefined;
}

/** Port of the admin server in deploy/webhook.yaml. */
const ADMIN_PORT = 8080;

/** Reads all of it. */
export async function readCerts(reader: ClusterReader, install: Install): Promise<CertsFacts> {
  return {
    status: await readStatus(reader, install),
    entries: entriesFound(await readConfiguration(reader, install)),
    chain: await readChain(reader, install),
    pods: await readWebhookPods(reader, install),
  };
}

/** Our webhook configuration. */
export function readConfiguration(reader: ClusterReader, { instance }: Install): Promise<Found<KubeObject>> {
  const { webhookConfiguration } = certsNames(instance);
  return reader.get(webhookConfigurationPath(webhookConfiguration), `webhook configuration ${webhookConfiguration}`);
}

function entriesFound(configuration: Found<KubeObject>): Found<readonly WebhookEntry[]> {
  return configuration.status === 'found' ? { status: 'found', value: entriesOf(configuration.value) } : configuration;
}

/** The annotation of the Lease as an object; what is no JSON object counts as absent. */
export async function readStatus(reader: ClusterReader, { namespace, instance }: Install): Promise<Found<JsonObject>> {
  const name = certsNames(instance).lease;
  const path = groupPath('coordination.k8s.io/v1', namespace, 'leases', name);
  const lease = await reader.get(path, `Lease ${namespace}/${name}`);
  if (lease.status !== 'found') return lease;
  try {
    const value = JSON.parse(lease.value.metadata.annotations?.[STATUS_ANNOTATION] ?? 'null') as Json;
    return isObject(value) ? { status: 'found', value } : { status: 'absent' };
  } catch {
    return { status: 'absent' };
  }
}

async function readChain(
  reader: ClusterReader,
  { namespace, instance }: Install,
): Promise<Found<readonly CertificateFacts[]>> {
  const name = certsNames(instance).tlsSecret;
  const secret = await reader.get(corePath(namespace, 'secrets', name), `Secret ${namespace}/${name}`);
  if (secret.status !== 'found') return secret;
  const text = Buffer.from(textAt(rawOf(secret.value), 'data', 'tls.crt') ?? '', 'base64').toString('latin1');
  return { status: 'found', value: parseTrustBundle(text).certificates };
}

/** The pods of the webhook, each asked over the API server what it serves. */
export async function readWebhookPods(
  reader: ClusterReader,
  { namespace, instance }: Install,
): Promise<Found<readonly WebhookPod[]>> {
  const { service } = certsNames(instance);
  const selector = `app.kubernetes.io/name=${service}`;
  const found = await reader.all(corePath(namespace, 'pods'), `pods of ${namespace}`, { labelSelector: selector });
  if (found.status !== 'found') return found;
  const ours = found.value.filter((pod) => pod.metadata.labels?.['app.kubernetes.io/name'] === service);
  const pods = await Promise.all(ours.map((pod) => readWebhookPod(reader, namespace, pod)));
  return { status: 'found', value: pods };
}

async function readWebhookPod(reader: ClusterReader, namespace: string, pod: KubeObject): Promise<WebhookPod> {
  const name = pod.metadata.name ?? '';
  const conditions = listAt(rawOf(pod), 'status', 'conditions');
  const isReady = conditions.some((one) => textAt(one, 'type') === 'Ready' && textAt(one, 'status') === 'True');
  const path = `${corePath(namespace, 'pods', `${name}:${ADMIN_PORT}`)}/proxy/status`;
  const said = isReady ? await reader.client.get(path) : undefined;
  if (said?.ok === false && said.kind === 'forbidden') reader.note('get pods/proxy', said);
  const status = said?.ok === true ? rawOf(said.value) : undefined;
  return { name, isReady, fingerprint: textAt(status, 'certificate'), version: textAt(status, 'version') };
}

/** Whether the served chain verifies against what an entry trusts. */
export function isServedTrusted(chain: readonly CertificateFacts[], entry: WebhookEntry, nowMs: number): boolean {
  return chain.length > 0 && chainVerifies(chain, entry.bundle.certificates, nowMs);
}

/** A certificate of the status. */
export function certificateIn(
  status: JsonObject,
  key: string,
): { readonly name: string; readonly fingerprint: string; readonly notAfterMs: number } | undefined {
  const name = textAt(status, key, 'name');
  const notAfterMs = Date.parse(textAt(status, key, 'notAfter') ?? '');
  if (name === undefined || Number.isNaN(notAfterMs)) return undefined;
  return { name, fingerprint: textAt(status, key, 'fingerprint') ?? '', notAfterMs };
}

/** Texts of a list in the status. */
export function textsIn(status: JsonObject, ...path: readonly string[]): readonly string[] {
  const last = path.at(-1) ?? '';
  const parent = path.slice(0, -1).reduce<Json | undefined>((at, key) => (isObject(at) ? at[key] : undefined), status);
  const found = isObject(parent) ? parent[last] : undefined;
  return isList(found) ? found.filter((one) => typeof one === 'string') : [];
}
