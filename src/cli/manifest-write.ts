/**
 * A manifest with new values for some of its documents, as text.
 *
 * Invariants: the text is read again and has exactly the wanted values, or it is not written; what did not change keeps its bytes. Where
 * an anchor stands in the way its aliases are written out; where nothing smaller helps, the document is written anew, without its
 * comments. May import: everything but test.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

import type { Json } from '../../webhook/json.ts';
import { editsFor } from './manifest-edit.ts';
import type { Edit } from './manifest-lines.ts';
import { readManifest } from './manifest.ts';
import type { Manifest, ManifestDocument } from './manifest.ts';
import { documentText, flowText, styleOf } from './manifest-style.ts';

export interface Rewritten {
  readonly text: string;
  /** In the old text, ascending, never overlapping. */
  readonly edits: readonly Edit[];
  /** Numbers (from 0) of documents that had to be written anew. */
  readonly rewritten: readonly number[];
}

/**
 * Writes the manifest.
 *
 * @param values the wanted value of each document, in order
 */
export function rewrite(manifest: Manifest, values: readonly Json[]): Rewritten {
  const ways = manifest.documents.map(() => 0);
  for (;;) {
    const perDocument = manifest.documents.map((document, i) =>
      editsOf(manifest, document, values[i] ?? null, ways[i] ?? 0),
    );
    const edits = perDocument.flat();
    const text = applyEdits(manifest.text, edits);
    const wrong = wrongDocuments(manifest, text, values);
    if (wrong.length === 0) return { text, edits, rewritten: ways.flatMap((way, i) => (way === WAYS - 1 ? [i] : [])) };
    assert(
      wrong.some((i) => (ways[i] ?? 0) < WAYS - 1),
      'a document that is written anew has the wanted value',
    );
    for (const i of wrong) ways[i] = Math.min((ways[i] ?? 0) + 1, WAYS - 1);
  }
}

/** In place; in place with aliases written out; anew. */
const WAYS = 3;

/** The text with its edits, which are in ascending order. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let at = 0;
  const parts: string[] = [];
  for (const edit of edits) {
    parts.push(text.slice(at, edit.start), edit.text);
    at = edit.end;
  }
  return [...parts, text.slice(at)].join('');
}

function editsOf(manifest: Manifest, document: ManifestDocument, after: Json, way: number): readonly Edit[] {
  const { root, value: before, base, start, end } = document;
  if (isDeepStrictEqual(before, after)) return [];
  const text = base === 0 ? manifest.text : manifest.text.slice(base, end);
  if (root !== null && way < WAYS - 1) {
    const edits = editsFor(text, root, { before, after }, way === 0 ? 'shared' : 'literal');
    if (edits !== undefined) return ordered(edits, base);
  }
  return [anew(manifest, document, after, root === null ? start : base + (root.range?.[0] ?? start))];
}

/** Edits at one place keep the order in which they were made; an insertion at the end of a deletion comes after it. */
function ordered(edits: readonly Edit[], base: number): readonly Edit[] {
  return edits
    .map((edit) => ({ ...edit, start: edit.start + base, end: edit.end + base }))
    .toSorted((a, b) => a.start - b.start || a.end - b.end);
}

function anew(manifest: Manifest, document: ManifestDocument, after: Json, start: number): Edit {
  const root = document.root;
  const style = root === null ? undefined : styleOf(manifest.text, root);
  if (manifest.format === 'json') {
    return {
      start: document.start,
      end: document.end,
      text: flowText(after, '', style ?? { eol: '\n', indent: 2, indentSeq: true }),
    };
  }
  return { start, end: document.base + (root?.range?.[1] ?? document.end), text: documentText(after, style) };
}

function wrongDocuments(manifest: Manifest, text: string, values: readonly Json[]): readonly number[] {
  const all = manifest.documents.map((_document, i) => i);
  const changed = all.filter((i) => !isDeepStrictEqual(manifest.documents[i]?.value, values[i]));
  if (changed.length === 0) return [];
  try {
    const again = readManifest(manifest.name, text).documents;
    // With a document too many or too few nobody can say whose fault it was.
    if (again.length !== all.length) return changed;
    const wrong = all.filter((i) => !isDeepStrictEqual(again[i]?.value, values[i]));
    return wrong.every((i) => changed.includes(i)) ? wrong : changed;
  } catch {
    return changed;
  }
}
