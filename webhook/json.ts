/**
 * Raw JSON as it came from JSON.parse, and the only ways we look into it.
 *
 * Invariants: own members only (a pod may carry keys such as `__proto__` or `constructor`); nothing is ever changed in place.
 * May import: nothing.
 */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** Own member of an object; undefined for anything that has none. */
export function member(value: Json | undefined, key: string): Json | undefined {
  if (!isObject(value)) return undefined;
  const found = value[key];
  // Most members that are asked for are not there, and nothing from JSON is undefined: only what was found may be inherited.
  return found !== undefined && Object.hasOwn(value, key) ? found : undefined;
}

/** Member at a path of keys. */
export function at(value: Json | undefined, ...keys: readonly string[]): Json | undefined {
  let found = value;
  for (const key of keys) found = member(found, key);
  return found;
}

/** A text member, undefined when it is absent or something else. */
export function textAt(value: Json | undefined, ...keys: readonly string[]): string | undefined {
  const found = at(value, ...keys);
  return typeof found === 'string' ? found : undefined;
}

/** A whole-number member, undefined when it is absent or something else. */
export function integerAt(value: Json | undefined, ...keys: readonly string[]): number | undefined {
  const found = at(value, ...keys);
  return typeof found === 'number' && Number.isInteger(found) ? found : undefined;
}

/** The elements of a list member; an absent or malformed list has none. Positions are the real ones. */
export function listAt(value: Json | undefined, ...keys: readonly string[]): readonly Json[] {
  const found = at(value, ...keys);
  return isList(found) ? found : [];
}

/** String members of an object as a Map, so that no key can reach a prototype. */
export function textMapAt(value: Json | undefined, ...keys: readonly string[]): ReadonlyMap<string, string> {
  const found = at(value, ...keys);
  const map = new Map<string, string>();
  if (isObject(found)) {
    for (const [key, text] of Object.entries(found)) if (typeof text === 'string') map.set(key, text);
  }
  return map;
}

/**
 * True when everything that `wanted` says stands in `found`: members that others added (defaults of the API server) do not count.
 * Lists are compared element by element, each by the same rule.
 */
export function covers(found: Json | undefined, wanted: Json): boolean {
  if (isList(wanted)) {
    return isList(found) && found.length === wanted.length && wanted.every((item, i) => covers(found[i], item));
  }
  if (!isObject(wanted)) return found === wanted;
  return isObject(found) && Object.keys(wanted).every((key) => covers(member(found, key), wanted[key] ?? null));
}
