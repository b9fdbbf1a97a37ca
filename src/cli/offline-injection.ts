/**
 * The webhook's engine over manifests: what becomes of every pod template, and the manifests with it.
 *
 * Invariants: for a Pod the operations are the webhook's own; a template is treated as the pod that its controller will make of it.
 * May import: everything but test.
 */
import { inject, neededAccount, readAsked } from '../../webhook/injection.ts';
import type { NamespaceFacts, Outcome } from '../../webhook/injection.ts';
import { isDegrading } from '../../webhook/finding.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isList, isObject } from '../../webhook/json.ts';
import { PREFIX } from '../../webhook/names.ts';
import { applyPatch, pointer } from '../../webhook/patch.ts';
import type { Operation } from '../../webhook/patch.ts';
import { VERSION } from '../../webhook/version.ts';
import { shown } from '../config/fields.ts';
import { LABEL } from '../config/name-forms.ts';
import type { WebhookConfig } from '../config/webhook-config.ts';
import type { Manifest } from './manifest.ts';
import type { OfflineFacts } from './offline-facts.ts';
import { missingTemplate, objectsOf, templatesOf } from './pod-templates.ts';
import type { ManifestObject, PodTemplate } from './pod-templates.ts';

/** What becomes of one pod template. */
export interface DecidedTemplate {
  readonly template: PodTemplate;
  readonly namespace: string;
  readonly outcome: Outcome;
  /** The named account, where its existence was assumed. */
  readonly accountAssumed: string | undefined;
}

/** An object that Kubernetes would refuse. */
export interface InvalidObject {
  readonly object: ManifestObject;
  readonly code: 'manifest_invalid' | 'value_no_text';
  readonly detail: string;
}

export interface DecidedDocument {
  readonly value: Json;
  readonly templates: readonly DecidedTemplate[];
  readonly invalid: readonly InvalidObject[];
}

/** Namespaces that no entry of our webhook configuration selects, beside the one of logtender itself (deploy/). */
export const EXCLUDED_NAMESPACES: readonly string[] = ['kube-system', 'kube-node-lease'];

/** Decides on every template of a manifest, document by document. */
export function decideManifest(manifest: Manifest, facts: OfflineFacts): readonly DecidedDocument[] {
  return manifest.documents.map(({ value }) => {
    const objects = objectsOf(value);
    const templates = objects.flatMap(templatesOf).map((template) => decideTemplate(template, facts));
    return {
      value: templates.reduce(
        (document, { template, outcome }) => patchedAt(document, template.path, outcome.operations),
        value,
      ),
      templates,
      invalid: invalidObjects(objects),
    };
  });
}

/** The objects that are not what their kind says, or that ask with something else than a text. */
export function invalidObjects(objects: readonly ManifestObject[]): readonly InvalidObject[] {
  return objects.flatMap((object): InvalidObject[] => {
    const missing = missingTemplate(object);
    if (missing !== undefined) {
      const detail = `expected ${missing.expected}, got ${shown(missing.found)}`;
      return [{ object, code: 'manifest_invalid', detail }];
    }
    const templates = templatesOf(object);
    return [
      ...(templates.length === 0 ? [] : noNamespace(object)),
      ...templates.flatMap(({ value }) =>
        noTexts(value).map((detail): InvalidObject => ({ object, code: 'value_no_text', detail })),
      ),
    ];
  });
}

/** What the API server would refuse only seems to be injected. */
function noNamespace(object: ManifestObject): readonly InvalidObject[] {
  const { namespace } = object;
  if (namespace === undefined || LABEL.test(namespace)) return [];
  const detail = `expected metadata.namespace to be a name of ${LABEL.expected}, got ${shown(namespace)}`;
  return [{ object, code: 'manifest_invalid', detail }];
}

/** `logging.io/inject: true` without quotes is a boolean, and nobody has asked. */
function noTexts(template: JsonObject): readonly string[] {
  const annotations = at(template, 'metadata', 'annotations');
  return Object.entries(isObject(annotations) ? annotations : {}).flatMap(([key, value]) =>
    key.startsWith(PREFIX) && typeof value !== 'string'
      ? [`${key}: expected a text in quotes, got ${shown(value)}`]
      : [],
  );
}

/** Decides on one template. */
export function decideTemplate(template: PodTemplate, facts: OfflineFacts): DecidedTemplate {
  const { config } = facts;
  const namespace = template.object.namespace ?? facts.namespace;
  const decided = (outcome: Outcome, accountAssumed?: string): DecidedTemplate => ({
    template,
    namespace,
    outcome,
    accountAssumed,
  });
  const isExcluded = namespace === config.namespace || EXCLUDED_NAMESPACES.includes(namespace);
  if (isExcluded) return decided(excluded(template, facts.namespaceFacts(namespace), config));
  const reading = readAsked(template.value, facts.namespaceFacts(namespace), config, template.owner);
  if (reading.kind === 'decided') return decided(reading.outcome);
  const account = neededAccount(reading.asked, config);
  const known = account === undefined ? false : facts.accountExists(namespace, account);
  const outcome = inject(reading.asked, {
    config,
    version: VERSION,
    kubelets: facts.kubelets,
    accountExists: known ?? true,
  });
  return decided(outcome, known === undefined ? account : undefined);
}

/**
 * A pod that the webhook never sees. One that asks itself is told so; a label, which may have been meant for other namespaces, is no
 * question of the pod.
 */
function excluded({ value, owner }: PodTemplate, namespace: NamespaceFacts, config: WebhookConfig): Outcome {
  const unlabelled = readAsked(value, { ...namespace, labels: new Map() }, config, owner);
  const isAsked = unlabelled.kind === 'asked';
  const reading = isAsked ? unlabelled : readAsked(value, namespace, config, owner);
  if (reading.kind === 'decided') return reading.outcome;
  const reason = 'namespace_excluded';
  return {
    decision: isAsked
      ? { action: 'skip', reason, isExplained: true, level: 'pod' }
      : { action: 'skip', reason, isExplained: false },
    reason,
    operations: [],
    findings: [],
    injected: undefined,
  };
}

/** True where something that was asked for is not given, or not as it was asked for. */
export function isRefused({ decision, findings }: Outcome): boolean {
  if (decision.action === 'deny') return true;
  return (decision.action === 'skip' && decision.isExplained) || findings.some(isDegrading);
}

/** The operations as operations on the document. */
export function inDocument(path: readonly (string | number)[], operations: readonly Operation[]): readonly Operation[] {
  const prefix = pointer(...path);
  return operations.map((operation) => ({ ...operation, path: `${prefix}${operation.path}` }));
}

/** The document with operations applied to the object at a path; all else is the same value. */
export function patchedAt(document: Json, path: readonly (string | number)[], operations: readonly Operation[]): Json {
  if (operations.length === 0) return document;
  const [key, ...rest] = path;
  if (key === undefined) return isObject(document) ? applyPatch(document, operations) : document;
  if (typeof key === 'number') {
    return isList(document)
      ? document.map((item, i) => (i === key ? patchedAt(item, rest, operations) : item))
      : document;
  }
  if (!isObject(document)) return document;
  // Not by spread alone: a key may be `__proto__`.
  const copy: JsonObject = { ...document };
  return Object.defineProperty(copy, key, {
    value: patchedAt(document[key] ?? null, rest, operations),
    enumerable: true,
    writable: true,
    configurable: true,
  });
}
