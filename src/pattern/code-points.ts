/**
 * Sets of Unicode code points as sorted, disjoint ranges; and what the class escapes of ECMAScript stand for. Pure.
 *
 * Surrogates are no characters of UTF-8 and are in no set. Source: ECMA-262, "CharacterClassEscape". May import: nothing.
 */

/** Inclusive. */
export type Range = readonly [from: number, to: number];
export type CodePoints = readonly Range[];

export const LAST_CODE_POINT = 0x10ffff;
const SURROGATES: Range = [0xd800, 0xdfff];

export const DIGITS: CodePoints = [[0x30, 0x39]];
export const WORD: CodePoints = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** WhiteSpace and LineTerminator. */
export const SPACE: CodePoints = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
/** What `.` leaves out without the flag s. */
export const LINE_ENDS: CodePoints = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];

/** Sorted and joined, without surrogates. */
export function normalized(ranges: CodePoints): CodePoints {
  const sorted = ranges.toSorted(([a], [b]) => a - b);
  const joined: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined.flatMap(withoutSurrogates);
}

function withoutSurrogates([from, to]: Range): Range[] {
  const [low, high] = SURROGATES;
  if (to < low || from > high) return [[from, to]];
  const parts: Range[] = [];
  if (from < low) parts.push([from, low - 1]);
  if (to > high) parts.push([high + 1, to]);
  return parts;
}

/** Every code point that is not in the set. */
export function complement(ranges: CodePoints): CodePoints {
  const outside: Range[] = [];
  let next = 0;
  for (const [from, to] of normalized(ranges)) {
    if (from > next) outside.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST_CODE_POINT) outside.push([next, LAST_CODE_POINT]);
  return normalized(outside);
}

/** Sets of properties that were asked for lately: a pattern is compiled twice, and pods of one workload carry the same. */
const properties = new Map<string, CodePoints>();
const PROPERTIES_KEPT = 64;

/** The code points of a Unicode property (`L`, `Script=Greek`), as V8 knows it: some ten milliseconds for the first who asks. */
export function propertySet(name: string, isNegated: boolean): CodePoints {
  const known = properties.get(name) ?? readProperty(name);
  if (properties.size >= PROPERTIES_KEPT) properties.clear();
  properties.set(name, known);
  return isNegated ? complement(known) : known;
}

function readProperty(name: string): CodePoints {
  const runs = new RegExp(`\\p{${name}}+`, 'gu');
  const ranges: Range[] = [];
  for (let plane = 0; plane <= LAST_CODE_POINT; plane += 0x10000) {
    const isFirst = plane === 0;
    const unitsEach = isFirst ? 1 : 2;
    const text = planeText(plane);
    // The surrogates of plane 0 are blanks; if those are meant, the set loses the surrogates when it is normalized.
    for (const match of text.matchAll(runs)) {
      const from = plane + match.index / unitsEach;
      ranges.push([from, from + match[0].length / unitsEach - 1]);
    }
  }
  return normalized(ranges);
}

/** All 65,536 code points of a plane as a text. */
function planeText(plane: number): string {
  const units = new Uint16Array(plane === 0 ? 0x10000 : 0x20000);
  for (let i = 0; i < 0x10000; i += 1) {
    if (plane === 0) units[i] = i >= SURROGATES[0] && i <= SURROGATES[1] ? 0x20 : i;
    else {
      units[i * 2] = 0xd800 + ((plane - 0x10000 + i) >> 10);
      units[i * 2 + 1] = 0xdc00 + (i & 0x3ff);
    }
  }
  return Buffer.from(units.buffer).toString('utf16le');
}

/** Letters that are equal when case does not count, by code point; made when the first pattern asks. */
let foldings: ReadonlyMap<number, readonly number[]> | undefined;

/** The set with every letter that is equal to one of its own when case does not count (Unicode simple case folding). */
export function caseless(ranges: CodePoints): CodePoints {
  foldings ??= readFoldings();
  const more: Range[] = [...ranges];
  for (const [from, to] of ranges) {
    if (from === to) more.push(...(foldings.get(from) ?? []).map((other): Range => [other, other]));
    else
      for (const [code, others] of foldings)
        if (code >= from && code <= to) more.push(...others.map((other): Range => [other, other]));
  }
  return normalized(more);
}

function readFoldings(): ReadonlyMap<number, readonly number[]> {
  const classes = new Map<string, number[]>();
  // The last letters with case end below U+1E944 (Adlam).
  for (let code = 0; code < 0x1e944; code += 1) {
    if (code === SURROGATES[0]) code = SURROGATES[1] + 1;
    const text = String.fromCodePoint(code);
    const folded = text.toUpperCase().toLowerCase();
    if (folded === text && text.toUpperCase() === text) continue;
    const known = classes.get(folded);
    if (known === undefined) classes.set(folded, [code]);
    else known.push(code);
  }
  const map = new Map<number, readonly number[]>();
  for (const members of classes.values()) {
    if (members.length === 1) continue;
    for (const code of members) {
      // What V8 takes for equal counts: full foldings (ß and SS) are no simple ones.
      const same = new RegExp(`^\\u{${code.toString(16)}}$`, 'iu');
      const others = members.filter((other) => other !== code && same.test(String.fromCodePoint(other)));
      if (others.length > 0) map.set(code, others);
    }
  }
  return map;
}
