/**
 * RFC 6902 operations as values, a builder that keeps them honest, and their application.
 *
 * Invariants: what is replaced or removed is tested first; removals inside a list go from its end; the builder never looks at
 * anything but the raw pod. The only file that loads fast-json-patch. May import: core, config.
 */
import jsonPatch, { JsonPatchError } from 'fast-json-patch';
import type { Operation as LibraryOperation } from 'fast-json-patch';

import { OperationalError } from '../src/core/errors.ts';
import { isList } from './json.ts';
import type { Json, JsonObject } from './json.ts';

export type Operation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

const ESCAPED = /[~/]/;

function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** RFC 6901 section 3. */
export function pointer(...keys: readonly (string | number)[]): string {
  let path = '';
  for (const key of keys) path += `/${typeof key === 'string' && ESCAPED.test(key) ? escaped(key) : key}`;
  return path;
}

/** Collects operations in the order in which they apply. */
export class PatchBuilder {
  readonly operations: Operation[] = [];
  readonly #madeLists = new Set<string>();

  add(path: string, value: Json): void {
    this.operations.push({ op: 'add', path, value });
  }

  /** Tests that `old` stands there, then puts `value` in its place. */
  replace(path: string, old: Json, value: Json): void {
    this.operations.push({ op: 'test', path, value: old }, { op: 'replace', path, value });
  }

  /** Tests that `old` stands there, then takes it away. */
  remove(path: string, old: Json): void {
    this.operations.push({ op: 'test', path, value: old }, { op: 'remove', path });
  }

  /** Adds to a list that may be absent (or null), at its end or before `index`. */
  insert(listPath: string, list: Json | undefined, value: Json, index: number | '-' = '-'): void {
    if (isList(list) || this.#madeLists.has(listPath)) {
      this.add(`${listPath}/${index}`, value);
      return;
    }
    this.#madeLists.add(listPath);
    this.add(listPath, [value]);
  }

  /** Sets a member whether or not it is there; nothing when it already has the value. */
  set(path: string, old: Json | undefined, value: Json): void {
    if (old === undefined) this.add(path, value);
    else this.replace(path, old, value);
  }
}

/**
 * Applies operations and returns a new pod; the given one stays as it is.
 *
 * @throws OperationalError REVIEW_INVALID when an operation does not apply
 */
export function applyPatch(pod: JsonObject, operations: readonly Operation[]): JsonObject {
  // A copy, because the library puts our values into the pod and later operations would change them here.
  const sequence: LibraryOperation[] = structuredClone([...operations]);
  try {
    return jsonPatch.applyPatch(pod, sequence, true, false).newDocument;
  } catch (cause) {
    const name = cause instanceof JsonPatchError ? cause.name : 'an unknown failure';
    throw new OperationalError('REVIEW_INVALID', `apply patch: expected every operation to apply, got ${name}`, {
      cause,
    });
  }
}
