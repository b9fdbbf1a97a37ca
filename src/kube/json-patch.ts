/**
 * Applies JSON Patch (RFC 6902: add, replace, remove, test) and JSON Merge Patch (RFC 7396) to raw JSON.
 *
 * For the API in memory alone: real patches are applied by the API server. Inputs are never changed. May import: core, config.
 */
import { isDeepStrictEqual } from 'node:util';

import { isRecord } from './client.ts';

export type PatchOutcome =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly text: string };

/** Applies the operations in order; the first that fails ends it. */
export function applyJsonPatch(document: unknown, operations: unknown): PatchOutcome {
  if (!Array.isArray(operations)) return { ok: false, text: 'expected a list of operations' };
  const root = { value: structuredClone(document) };
  for (const [index, operation] of operations.entries()) {
    const problem = isRecord(operation) ? applyOne(root, operation) : 'expected an object';
    if (problem !== undefined) return { ok: false, text: `operation ${index}: ${problem}` };
  }
  return { ok: true, value: root.value };
}

/** RFC 7396 section 2. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return structuredClone(patch);
  const merged = new Map(Object.entries(isRecord(document) ? structuredClone(document) : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, applyMergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

function applyOne(root: { value: unknown }, operation: Readonly<Record<string, unknown>>): string | undefined {
  const { op, path, value } = operation;
  if (typeof path !== 'string' || !path.startsWith('/')) return `expected a JSON pointer, got ${JSON.stringify(path)}`;
  const keys = path
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop() ?? '';
  let parent: unknown = root.value;
  for (const key of keys) parent = child(parent, key);
  const found = child(parent, last);
  if (op === 'test') return isDeepStrictEqual(found, value) ? undefined : `testing ${path} failed`;
  if ((op === 'replace' || op === 'remove') && found === undefined) return `${path} does not exist`;
  if (op !== 'add' && op !== 'replace' && op !== 'remove') return `unknown operation ${JSON.stringify(op)}`;
  if (Array.isArray(parent)) return changeList(parent, last, op, value);
  if (!isRecord(parent)) return `${path} has no parent`;
  const target = parent as Record<string, unknown>;
  if (op === 'remove') delete target[last];
  else target[last] = structuredClone(value);
  return undefined;
}

function changeList(list: unknown[], key: string, op: string, value: unknown): string | undefined {
  const index = key === '-' ? list.length : Number(key);
  if (!Number.isInteger(index) || index < 0 || index > list.length)
    return `expected an index up to ${list.length}, got ${key}`;
  if (op === 'add') list.splice(index, 0, structuredClone(value));
  else if (op === 'replace') list[index] = structuredClone(value);
  else list.splice(index, 1);
  return undefined;
}

function child(parent: unknown, key: string): unknown {
  if (Array.isArray(parent)) return parent[Number(key)];
  return isRecord(parent) && Object.hasOwn(parent, key) ? parent[key] : undefined;
}
