/**
 * Reads and writes our two Secrets: compare-and-swap on the resourceVersion, and never a Secret that is not ours.
 *
 * Invariants: ours is what carries our label with our owner's name; a Secret of that name without it is never written; the type of a
 * Secret is immutable, so that it is `Opaque` from the first write and is kept as found ever after. Other people's labels stay.
 * May import: src/core, src/kube, certs.
 */
import { isRecord } from '../src/kube/client.ts';
import type { KubeClient, KubeFailure, KubeObject, KubeResult } from '../src/kube/client.ts';
import { corePath } from '../src/kube/paths.ts';
import type { SecretEntries } from './ca-state.ts';
import type { SecretView } from './observation.ts';

/** Label that marks what we may write; its value is the owner, so that two installs in one namespace leave each other alone. */
const OWNER_LABEL = 'logging.io/owned-by';

export interface SecretStoreOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
}

export type Parse<T> = (entries: SecretEntries) =>
  | { readonly ok: true; readonly value: T }
  /** `isNewer`: a later version's, never written. */
  | { readonly ok: false; readonly problem: string; readonly isNewer?: boolean };

/** What a read found, or the failure of the read itself. */
export type SecretRead<T> =
  | { readonly ok: true; readonly view: SecretView<T>; readonly annotations: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly failure: KubeFailure };

/** The Secret as it stands at the API server. */
export async function readSecret<T>(store: SecretStoreOptions, parse: Parse<T>): Promise<SecretRead<T>> {
  const result = await store.client.get(corePath(store.namespace, 'secrets', store.name));
  if (result.ok) {
    return { ok: true, view: viewOf(result.value, store, parse), annotations: result.value.metadata.annotations ?? {} };
  }
  if (result.kind !== 'not_found') return { ok: false, failure: result };
  return { ok: true, view: { status: 'missing' }, annotations: {} };
}

/**
 * Creates the Secret (`replaces` undefined) or replaces its data if it still has that resourceVersion.
 *
 * @returns conflict, already_exists or not_found when somebody was faster: read again
 */
export async function writeSecret(
  store: SecretStoreOptions,
  entries: SecretEntries,
  replaces: string | undefined,
): Promise<KubeResult> {
  const data = Object.fromEntries(
    Object.entries(entries).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
  );
  if (replaces === undefined) {
    const metadata = { name: store.name, namespace: store.namespace, labels: { [OWNER_LABEL]: store.owner } };
    return store.client.create(corePath(store.namespace, 'secrets'), {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata,
      data,
    });
  }
  // A JSON Patch replaces the data alone and keeps what others put on the object; both tests hold or nothing is written.
  const operations = [
    {
      op: 'test',
      path: `/metadata/labels/${OWNER_LABEL.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      value: store.owner,
    },
    { op: 'replace', path: '/metadata/resourceVersion', value: replaces },
    { op: 'add', path: '/data', value: data },
  ];
  return store.client.patch(
    corePath(store.namespace, 'secrets', store.name),
    operations,
    'application/json-patch+json',
  );
}

/** The entries of a Secret as text. Data that is no base64 reads as what Buffer makes of it: the parser will refuse it. */
export function entriesOfSecret(secret: KubeObject): SecretEntries {
  const data = isRecord(secret['data']) ? secret['data'] : {};
  const texts = Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(texts.map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')]));
}

/** Why the Secret is somebody else's, or undefined when it is ours. */
export function foreignProblem(
  secret: KubeObject,
  store: Pick<SecretStoreOptions, 'namespace' | 'name' | 'owner'>,
): string | undefined {
  const owner = secret.metadata.labels?.[OWNER_LABEL];
  if (owner === store.owner) return undefined;
  const found = owner === undefined ? 'a Secret without it' : owner;
  return `Secret ${store.namespace}/${store.name}: expected the label ${OWNER_LABEL}=${store.owner}, got ${found}; delete or rename it`;
}

function viewOf<T>(secret: KubeObject, store: SecretStoreOptions, parse: Parse<T>): SecretView<T> {
  const foreign = foreignProblem(secret, store);
  if (foreign !== undefined) return { status: 'foreign', problem: foreign };
  const resourceVersion = secret.metadata.resourceVersion ?? '';
  const parsed = parse(entriesOfSecret(secret));
  if (!parsed.ok && parsed.isNewer === true) {
    return { status: 'foreign', problem: `Secret ${store.namespace}/${store.name}: ${parsed.problem}` };
  }
  if (!parsed.ok) return { status: 'corrupt', resourceVersion, problem: parsed.problem };
  return { status: 'valid', resourceVersion, value: parsed.value };
}
