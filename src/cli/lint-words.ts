/**
 * Words of logtender in the metadata of an object: in the right place, as the right kind, spelt right, and texts.
 *
 * Pure. What the words say is looked at in lint-templates.ts. May import: everything but test.
 */
import { documentationOf, KEY_NAMES } from '../../webhook/annotations.ts';
import type { Place } from '../../webhook/annotations.ts';
import type { Finding } from '../../webhook/finding.ts';
import { at, isObject } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { PREFIX } from '../../webhook/names.ts';
import { ownKeys, resolveSettings } from '../../webhook/settings.ts';
import { nearest, shown } from '../config/fields.ts';
import type { OfflineFacts } from './offline-facts.ts';
import type { ManifestObject, PodTemplate } from './pod-templates.ts';

/** A finding with its place in the document. */
export interface WordFinding {
  readonly finding: Finding;
  readonly path: readonly (string | number)[];
}

type Path = readonly (string | number)[];

/** What an object's metadata is, for the words in it. */
type Role = 'pod' | 'template' | 'workload' | 'namespace' | 'other';

/** Findings about the metadata of an object and of its templates. */
export function lintWords(
  object: ManifestObject,
  templates: readonly PodTemplate[],
  facts: OfflineFacts,
): readonly WordFinding[] {
  const isPod = object.kind === 'Pod';
  const role: Role = isPod
    ? 'pod'
    : object.kind === 'Namespace'
      ? 'namespace'
      : templates.length > 0
        ? 'workload'
        : 'other';
  const target = templates[0];
  const inside =
    target === undefined ? undefined : [...target.path.slice(object.path.length), 'metadata', 'annotations'].join('.');
  const own = lintMetadata(object.value, object.path, { role, inside });
  const inner = isPod
    ? []
    : templates.flatMap(({ value, path }) => lintMetadata(value, path, { role: 'template', inside }));
  const jobTemplate = at(object.value, 'spec', 'jobTemplate');
  const between = isObject(jobTemplate)
    ? lintMetadata(jobTemplate, [...object.path, 'spec', 'jobTemplate'], { role: 'workload', inside })
    : [];
  return [...own, ...between, ...inner, ...(role === 'namespace' ? lintNamespace(object, facts) : [])];
}

function lintMetadata(
  holder: JsonObject,
  path: Path,
  about: { readonly role: Role; readonly inside: string | undefined },
): readonly WordFinding[] {
  return (['annotations', 'labels'] as const).flatMap((kind) => {
    const map = at(holder, 'metadata', kind);
    if (!isObject(map)) return [];
    return Object.entries(map).flatMap(([key, value]): WordFinding[] => {
      const found = lintWord(key, value, { ...about, kind });
      return found.map((finding) => ({ finding, path: [...path, 'metadata', kind, key] }));
    });
  });
}

interface Word {
  readonly role: Role;
  readonly inside: string | undefined;
  readonly kind: 'annotations' | 'labels';
}

function lintWord(key: string, value: Json, word: Word): readonly Finding[] {
  if (!key.startsWith(PREFIX)) return lintForeign(key);
  const name = key.slice(PREFIX.length);
  const texts: Finding[] =
    typeof value === 'string'
      ? []
      : [{ code: 'value_no_text', key: name, detail: `expected a text in quotes, got ${shown(value)}` }];
  const place = lintPlace(name, word);
  return place === undefined ? texts : [...texts, place];
}

/** `logging.io/` almost: a key of nobody that looks like one of ours. */
function lintForeign(key: string): readonly Finding[] {
  const slash = key.indexOf('/');
  const domain = PREFIX.slice(0, -1);
  const prefix = slash === -1 ? key.slice(0, domain.length) : key.slice(0, slash);
  const isNear = Math.abs(prefix.length - domain.length) <= 2 && nearest(prefix, [domain]) !== undefined;
  const name = nearest(key.slice(prefix.length + 1), KEY_NAMES);
  if (!isNear || name === undefined) return [];
  return [
    {
      code: 'unknown_key',
      key: slash === -1 ? `${key}/` : key,
      detail: `expected a known key, did you mean ${PREFIX}${name}?`,
    },
  ];
}

const EXPECTED: Readonly<Record<Place, string>> = {
  pod: 'an annotation of the pod',
  namespace: 'an annotation of the namespace',
  'namespace-label': 'a label of the namespace',
  config: "a default in the operator's configuration",
};

/** Where the word should be; undefined where it is right, and where the values are looked at with it. */
function lintPlace(name: string, { role, kind, inside }: Word): Finding | undefined {
  const about = documentationOf(name);
  if (about === undefined) return undefined;
  const wrong = (expected: string, found: string): Finding => ({
    code: 'wrong_place',
    key: name,
    detail: `expected ${expected}, got ${found}`,
  });
  const isLabel = kind === 'labels';
  if (role === 'namespace') {
    if (isLabel === about.places.includes('namespace-label')) return undefined;
    // An annotation that is none of a namespace's is found with its value.
    return isLabel ? wrong(EXPECTED.namespace, 'a label') : undefined;
  }
  if (role === 'pod' || role === 'template') return isLabel ? wrong(EXPECTED.pod, 'a label') : undefined;
  if (role === 'workload') {
    return wrong(
      `it in ${inside ?? 'the template'}, from which the pods are made`,
      `${isLabel ? 'a label' : 'an annotation'} of the workload itself`,
    );
  }
  return wrong(
    about.places.map((place) => EXPECTED[place]).join(' or '),
    `${isLabel ? 'a label' : 'an annotation'} of an object without pods`,
  );
}

/** Defaults of a namespace, by the parsers of the webhook; and its labels. */
function lintNamespace({ name, path }: ManifestObject, facts: OfflineFacts): readonly WordFinding[] {
  const { labels, annotations } = facts.namespaceFacts(name);
  const { findings } = resolveSettings(
    { pod: new Map(), namespace: ownKeys(annotations), config: new Map() },
    facts.config,
  );
  const defaults = findings
    .filter(({ level }) => level === 'namespace')
    .map((finding) => ({ finding, path: [...path, 'metadata', 'annotations', `${PREFIX}${finding.key ?? ''}`] }));
  const values = [...ownKeys(labels)].flatMap(([key, text]): WordFinding[] => {
    const about = documentationOf(key);
    const value = about !== undefined && about.places.includes('namespace-label') ? about.parse?.(text) : undefined;
    if (value === undefined || value.ok) return [];
    const hint = value.hint === undefined ? '' : `, ${value.hint}`;
    const finding: Finding = {
      code: 'invalid_value',
      key,
      detail: `expected ${value.expected}, got ${shown(text)}${hint}`,
    };
    return [{ finding, path: [...path, 'metadata', 'labels', `${PREFIX}${key}`] }];
  });
  return [...defaults, ...values];
}
