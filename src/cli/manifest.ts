/**
 * Manifests as people write them: any mix of YAML documents, or JSON, read with their places so that they can be changed in place.
 *
 * Invariants: values are what kubectl would send (its YAML knows `yes`, `off` and `0644`, which YAML 1.2 has dropped); a text that
 * cannot be read is refused as a whole, with file, line and column. May import: everything but test.
 */
import { LineCounter, parseAllDocuments } from 'yaml';
import type { Document, ParsedNode, ScalarTag } from 'yaml';

import { isObject } from '../../webhook/json.ts';
import type { Json } from '../../webhook/json.ts';
import { errorText, OperationalError } from '../core/errors.ts';
import { MiB } from '../core/limits.ts';

export interface ManifestDocument {
  /** The tree with its places in the text; null for an empty document and for JSON that the YAML parser does not take. */
  readonly root: ParsedNode | null;
  readonly value: Json;
  /** Where the document stands in the text of the manifest: `[start, end)`. */
  readonly start: number;
  readonly end: number;
  /** What has to be added to places of the tree to get places in the text of the manifest. */
  readonly base: number;
}

export interface Manifest {
  /** Path of the file, or `(stdin)`. */
  readonly name: string;
  readonly text: string;
  readonly format: 'yaml' | 'json';
  readonly documents: readonly ManifestDocument[];
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** All objects of a large cluster are some tens of MiB; the tree takes some 30 times the text. */
export const MANIFEST_BYTES_MAX = 64 * MiB;

/**
 * Levels of a document: no object of Kubernetes has a tenth of it (the API server itself takes 10,000), and what walks a value, the YAML
 * parser among it, has a stack that ends.
 */
const DEPTH_MAX = 500;
const TOO_DEEP = `more than ${DEPTH_MAX} levels`;

/** Booleans and octal numbers of YAML 1.1 as sigs.k8s.io/yaml (go-yaml) resolves them; `y` and `n` are texts there. */
const KUBECTL_TAGS: ScalarTag[] = [
  {
    tag: 'tag:yaml.org,2002:bool',
    default: true,
    test: /^(?:yes|Yes|YES|on|On|ON|no|No|NO|off|Off|OFF)$/,
    resolve: (text) => /^(?:y|on)/i.test(text),
  },
  {
    tag: 'tag:yaml.org,2002:int',
    default: true,
    test: /^[-+]?0[0-7]+$/,
    resolve: (text) => Number.parseInt(text, 8),
  },
];

/**
 * Reads a manifest.
 *
 * @param name for messages
 * @throws OperationalError MANIFEST_UNREADABLE
 */
export function readManifest(name: string, text: string): Manifest {
  const slices = jsonSlices(text);
  if (slices !== undefined) {
    const documents = slices.map(([start, end]) => jsonDocument(name, text, start, end));
    return { name, text, format: 'json', documents };
  }
  const documents = parseTree(text).map((document) => yamlDocument(name, text, document));
  return { name, text, format: 'yaml', documents };
}

/** Line and column of offsets of a text, both from 1; the lines are looked for once. */
export function placesIn(text: string): (offset: number) => Place {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

function parseTree(text: string): readonly Document.Parsed[] {
  const options = {
    merge: true,
    customTags: (tags: readonly unknown[]) => [...KUBECTL_TAGS, ...tags],
    logLevel: 'error',
  };
  const parsed = parseAllDocuments(text, { ...(options as object), lineCounter: new LineCounter() });
  return 'empty' in parsed ? [] : parsed;
}

function yamlDocument(name: string, text: string, document: Document.Parsed): ManifestDocument {
  const [fault] = document.errors;
  if (fault !== undefined) {
    // The parser takes the end of its own stack for a fault of the text.
    const isDeep = fault.message.includes('call stack');
    const found = isDeep ? TOO_DEEP : (fault.message.split('\n', 1)[0] ?? '').replace(/ at line \d+, column \d+:$/, '');
    throw unreadable(name, placesIn(text)(fault.pos[0]), found, text);
  }
  const [start, , end] = document.range;
  const refuse = (found: string): OperationalError => unreadable(name, placesIn(text)(start), found, text);
  let value: Json;
  try {
    value = document.toJS() as Json;
  } catch (error) {
    // An alias without its anchor, or one that would blow the document up (the parser's own bound).
    throw refuse(errorText(error));
  }
  const found = notTaken(value);
  if (found !== undefined) throw refuse(found);
  return { root: document.contents, value, start, end, base: 0 };
}

/** What of a value is too much for us, or for the JSON that kubectl makes of it. */
function notTaken(value: Json): string | undefined {
  if (isDeeperThan(value, DEPTH_MAX)) return TOO_DEEP;
  return hasNumberWithoutEnd(value) ? 'a number without end, which JSON has not got' : undefined;
}

function hasNumberWithoutEnd(value: Json): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasNumberWithoutEnd);
}

/** Without recursion, which is what deep values break. */
function isDeeperThan(value: Json, levels: number): boolean {
  let level: readonly Json[] = [value];
  for (let depth = 0; depth <= levels; depth += 1) {
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
    if (level.length === 0) return false;
  }
  return true;
}

function unreadable(name: string, { line, column }: Place, found: string, text: string): OperationalError {
  const hint = text.includes('{{')
    ? 'render the chart first: helm template CHART | logtender inject -f -'
    : 'nothing was changed and nothing was written';
  return new OperationalError(
    'MANIFEST_UNREADABLE',
    `read ${name}: line ${line}, column ${column}: expected YAML or JSON, got: ${found}`,
    { hint },
  );
}

/** The values of a JSON text, one after the other as kubectl takes them; undefined where it is no such text. */
function jsonSlices(text: string): readonly (readonly [start: number, end: number])[] | undefined {
  if (!/^[\s\uFEFF]*[[{]/.test(text)) return undefined;
  const slices: [number, number][] = [];
  let at = 0;
  for (;;) {
    at += /^[\s\uFEFF]*/.exec(text.slice(at))?.[0].length ?? 0;
    if (at >= text.length) return slices;
    const end = jsonEnd(text, at);
    if (end === undefined || !isJson(text.slice(at, end))) return undefined;
    slices.push([at, end]);
    at = end;
  }
}

/** The end of the object or list that begins at `start`: where its brackets close, texts left out. */
function jsonEnd(text: string, start: number): number | undefined {
  let depth = 0;
  const token = /"(?:[^"\\]|\\[\s\S])*"|[{}[\]]/g;
  token.lastIndex = start;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (match[0] === '{' || match[0] === '[') depth += 1;
    else if (match[0] === '}' || match[0] === ']') depth -= 1;
    if (depth === 0) return match.index === start && match[0].startsWith('"') ? undefined : token.lastIndex;
  }
  return undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function jsonDocument(name: string, text: string, start: number, end: number): ManifestDocument {
  const slice = text.slice(start, end);
  const value = JSON.parse(slice) as Json;
  const found = notTaken(value);
  if (found !== undefined) throw unreadable(name, placesIn(text)(start), found, text);
  const [document] = parseTree(slice);
  // The tree is for places only: JSON may have what YAML has not (a key twice, of which the last counts).
  const root = document === undefined || document.errors.length > 0 ? null : document.contents;
  return { root: isObject(value) || Array.isArray(value) ? root : null, value, start, end, base: start };
}
