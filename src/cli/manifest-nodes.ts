/**
 * The nodes of a YAML tree as an edit of their text needs them: where they stand, and which came from which.
 *
 * Pure. May import: everything but test.
 */
import { isAlias, isMap, isNode, isScalar, isSeq } from 'yaml';
import type { Node, Pair, YAMLMap } from 'yaml';

import { textAt } from '../../webhook/json.ts';
import type { Json } from '../../webhook/json.ts';

/** Where something stands: `[start, end)` of the text. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly value: Node | undefined;
}

/** A pair of a map, key and value together. */
export interface Keyed extends Span {
  readonly key: string;
}

/** An element of a list afterwards. */
export interface Aligned {
  /** Place in the list before; undefined for what is new. */
  readonly from: number | undefined;
  readonly value: Json;
}

/** The pairs of a map with plain keys, in order; undefined where some key is more than a text. */
export function keyedPairs(node: YAMLMap): readonly Keyed[] | undefined {
  const pairs = node.items.map((pair) => keyed(pair));
  const found = pairs.filter((pair) => pair !== undefined);
  return found.length === pairs.length ? found : undefined;
}

function keyed({ key, value }: Pair): Keyed | undefined {
  if (!isScalar(key) || !key.range) return undefined;
  const node = isNode(value) ? value : undefined;
  return {
    key: String(key.value),
    start: key.range[0],
    end: Math.max(endOf(key), node === undefined ? 0 : endOf(node)),
    value: node,
  };
}

/** Where the text of a node ends; the range of a block collection goes on to the next token. */
export function endOf(node: Node): number {
  const end = node.range?.[1] ?? 0;
  if (isAlias(node) || isScalar(node)) return end;
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1);
    const pair = last === undefined ? undefined : keyed(last);
    return pair?.end ?? end;
  }
  if (isSeq(node) && node.flow !== true) {
    const last = node.items.at(-1);
    return isNode(last) ? endOf(last) : end;
  }
  return end;
}

/** Which element came from which: each from the one in its place where none came or went, else equal ones and those of one name. */
export function align(before: readonly Json[], after: readonly Json[]): readonly Aligned[] {
  if (before.length === after.length) return after.map((value, from) => ({ from, value }));
  const names = after.map(nameOf);
  const texts = after.map((item) => JSON.stringify(item));
  const aligned: Aligned[] = after.map((value) => ({ from: undefined, value }));
  let cursor = 0;
  for (const [from, item] of before.entries()) {
    const name = nameOf(item);
    const text = JSON.stringify(item);
    let to = cursor;
    while (to < after.length && texts[to] !== text && (name === undefined || names[to] !== name)) to += 1;
    const value = after[to];
    if (to >= after.length || value === undefined) continue;
    aligned[to] = { from, value };
    cursor = to + 1;
  }
  return aligned;
}

/** What tells elements of Kubernetes lists apart: the name, and the path of a mount. */
function nameOf(item: Json): string | undefined {
  const name = textAt(item, 'name');
  return name === undefined ? undefined : JSON.stringify([name, textAt(item, 'mountPath')]);
}
