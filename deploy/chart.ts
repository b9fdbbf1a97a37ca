/**
 * `npm run build:chart`: makes the templates of the Helm chart from the manifests of this folder, which are the one source of both ways
 * to install.
 *
 * A template is a manifest with edits: each names a text of the manifest that must be there so many times, so that a manifest that
 * changed does not lose a value in silence. The result is committed; a test makes it anew and compares, another renders both ways and
 * compares the objects. Written by hand are only the values, the helpers, the notes and the test of `helm test`; the schema of the values is
 * made as well (chart-schema.ts).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EDITS, type Edit, type TemplateSource } from './chart-edits.ts';
import { valuesSchema } from './chart-schema.ts';

const FOLDER = join(import.meta.dirname, 'chart');

/** Every file that is made, by its path in the chart. */
export function chartFiles(): ReadonlyMap<string, string> {
  const templates = [...chartTemplates()].map(([name, text]) => [`templates/${name}`, text] as const);
  return new Map([...templates, ['values.schema.json', `${JSON.stringify(valuesSchema(), null, 2)}\n`]]);
}

/** Template -> its text. Throws when an edit does not fit its manifest. */
function chartTemplates(): ReadonlyMap<string, string> {
  return new Map(Object.entries(EDITS).map(([name, source]) => [name, templateOf(name, source)]));
}

function templateOf(name: string, { manifest, when, edits, tail }: TemplateSource): string {
  const text = readFileSync(join(import.meta.dirname, manifest), 'utf8');
  const edited = edits.reduce((before, edit) => applied(before, edit, manifest), text);
  const body = tail === undefined ? edited : withTail(edited, tail, manifest);
  const head = `{{- /* Made by npm run build:chart from deploy/${manifest}; do not edit ${name}. */ -}}\n`;
  return when === undefined ? head + body : `${head}{{- if ${when} }}\n${body}{{- end }}\n`;
}

function applied(text: string, { find, replace, times = 1 }: Edit, manifest: string): string {
  const parts = text.split(find);
  if (parts.length - 1 !== times)
    throw new Error(
      `build chart: ${manifest}: expected ${JSON.stringify(find)} ${times} times, got ${parts.length - 1}; change deploy/chart-edits.ts with the manifest`,
    );
  return parts.join(replace);
}

function withTail(text: string, tail: string, manifest: string): string {
  const line = tail.slice(0, tail.indexOf('\n') + 1);
  const start = text.indexOf(`\n${line}`) + 1;
  if (start === 0) throw new Error(`build chart: ${manifest}: expected the line ${JSON.stringify(line)}, got none`);
  return text.slice(0, start) + tail;
}

if (process.argv[1] === import.meta.filename)
  for (const [path, text] of chartFiles()) writeFileSync(join(FOLDER, path), text);
