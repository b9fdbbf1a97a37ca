/**
 * Every pod template of the third-party corpus (CORPUS_DIR, default ../shared/corpus beside the checkout).
 *
 * Without the folder there are none, and the suites that need them are skipped with `CORPUS_MISSING`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { parseAllDocuments } from 'yaml';

import type { Json, JsonObject } from '../webhook/json.ts';
import { isList, isObject, listAt } from '../webhook/json.ts';
import { CORPUS_PREFIX } from './skip.ts';

const FOLDER = resolve(process.env['CORPUS_DIR'] ?? join(import.meta.dirname, '../../shared/corpus'), 'pods');

/** DESIGN names this one skip that CI allows. */
export const CORPUS_MISSING = `${CORPUS_PREFIX}there is no folder with third-party pods; CORPUS_DIR names it`;

export interface Template {
  /** File, number of the document in it, and path in the document. */
  readonly name: string;
  /** The template as a Pod. */
  readonly pod: JsonObject;
}

/** Whether the folder is there. */
export function hasCorpus(): boolean {
  return existsSync(FOLDER);
}

/** All YAML files of the folder, sorted; their absolute paths. */
export function corpusFiles(): readonly string[] {
  if (!hasCorpus()) return [];
  return readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .toSorted()
    .map((name) => join(FOLDER, name));
}

/** Pod templates at any depth of the documents of all files; what is no YAML has none. */
export function corpusTemplates(): readonly Template[] {
  return corpusFiles().flatMap(templatesOf);
}

function templatesOf(file: string): readonly Template[] {
  const found: Template[] = [];
  const walk = (value: Json, path: string): void => {
    if (isList(value)) value.forEach((item, i) => walk(item, `${path}[${i}]`));
    if (!isObject(value)) return;
    if (listAt(value, 'spec', 'containers').length > 0) {
      const metadata = isObject(value['metadata']) ? value['metadata'] : {};
      found.push({ name: path, pod: { ...value, apiVersion: 'v1', kind: 'Pod', metadata } });
    }
    for (const [key, member] of Object.entries(value)) walk(member, `${path}.${key}`);
  };
  parseAllDocuments(readFileSync(file, 'utf8')).forEach((document, i) => {
    if ('toJS' in document && document.errors.length === 0)
      walk(document.toJS() as Json, `${file.slice(FOLDER.length + 1)}#${i}`);
  });
  return found;
}

/** The template with more annotations. */
export function withAnnotations(pod: JsonObject, more: Readonly<Record<string, string>>): JsonObject {
  const metadata = isObject(pod['metadata']) ? pod['metadata'] : {};
  const annotations = isObject(metadata['annotations']) ? metadata['annotations'] : {};
  return { ...pod, metadata: { ...metadata, annotations: { ...annotations, ...more } } };
}
