/**
 * Whether what two values have in common stands in the same order in both.
 *
 * JSON gives no meaning to the order of keys, people do: a pod whose keys moved looks changed in every diff.
 */
import assert from 'node:assert/strict';

import type { Json } from '../../webhook/json.ts';
import { isList, isObject, textAt } from '../../webhook/json.ts';

/** Fails where a key or a list element of `before` that is still there in `after` has changed its place among the others. */
export function assertSameOrder(before: Json, after: Json, path = ''): void {
  if (isObject(before) && isObject(after)) {
    const keys = Object.keys(before).filter((key) => Object.hasOwn(after, key));
    const kept = Object.keys(after).filter((key) => Object.hasOwn(before, key));
    assert.deepEqual(kept, keys, path);
    for (const key of keys) assertSameOrder(before[key] ?? null, after[key] ?? null, `${path}/${key}`);
  } else if (isList(before) && isList(after)) {
    // Injection adds elements with names of its own to lists of named ones, and takes away token volumes and their mounts.
    const [those, these] = [new Set(before.map(nameOf)), new Set(after.map(nameOf))];
    const kept = before.filter((item) => these.has(nameOf(item)));
    const rest = after.filter((item) => those.has(nameOf(item)));
    assert.deepEqual(rest.map(nameOf), kept.map(nameOf), path);
    for (const [i, item] of kept.entries()) assertSameOrder(item, rest[i] ?? null, `${path}/${i}`);
  }
}

function nameOf(item: Json): string {
  return textAt(item, 'name') ?? JSON.stringify(item);
}
