/**
 * The formats of the keys that hold patterns: `redact`, `include`, `exclude`, `sample`, `multiline`.
 *
 * Pure. A list is a pattern a line or, so that a pattern may hold anything, a JSON list of texts; never a comma list, because commas
 * are common in patterns. Patterns are ECMAScript regular expressions (flag u) without what no engine can match in linear time:
 * lookaround, back-references and counts above a thousand (the same bounds as RE2's syntax page). May import: core, config.
 */
import { invalid, suggestion, VALUE_CHARS_MAX, words } from './annotation-values.ts';
import type { Parse, Value } from './annotation-values.ts';

/** Stack traces that are joined without a pattern of the user. */
export const MULTILINE_PRESETS = ['java', 'python', 'go', 'ruby', 'node', 'dotnet', 'php', 'rust', 'dart'] as const;
export type MultilinePreset = (typeof MULTILINE_PRESETS)[number];

export type Multiline =
  { readonly presets: readonly MultilinePreset[] } | { /** First line of a record. */ readonly start: string };

/** The share of the lines that match, or of all lines, that is shipped. */
export interface Sample {
  /** Above 0 and at most 1. */
  readonly share: number;
  readonly pattern: string | undefined;
}

/** Patterns of one key, each tried against every line. */
const PATTERNS_MAX = 64;
const PATTERN_CHARS_MAX = 1_024;
/** RE2's own bound of a counted repetition: above it the automaton no longer fits the memory of a sidecar. */
const REPEAT_MAX = 1_000;

const LIST_EXPECTED = 'a pattern a line, or a JSON list of patterns';
const START = 'start:';

/** `["\\d{16}","password=\\S+"]`, or the same a line each. */
export const patternList: Parse<readonly string[]> = (text) => {
  const items = listItems(text);
  if (!items.ok) return items;
  for (const item of items.value) {
    const pattern = linearPattern(item);
    if (!pattern.ok) return pattern;
  }
  return items;
};

/** `10% DEBUG`, `50%`: a share a line, each with the pattern that it is for; the first that matches a line decides. */
export const sampleList: Parse<readonly Sample[]> = (text) => {
  const items = listItems(text);
  if (!items.ok) return items;
  const samples: Sample[] = [];
  for (const item of items.value) {
    const match = /^(\d{1,3}(?:\.\d{1,3})?)%(?:\s+(.+))?$/s.exec(item);
    const percent = Number(match?.[1]);
    if (match === null || !(percent > 0 && percent <= 100))
      return invalid('a share a line, above 0% up to 100%, each with an optional pattern after a blank: 10% DEBUG');
    const pattern = match[2] === undefined ? undefined : linearPattern(match[2]);
    if (pattern?.ok === false) return pattern;
    samples.push({ share: percent / 100, pattern: pattern?.value });
  }
  return { ok: true, value: samples };
};

/** `java,python`, or `start:` and the pattern of the first line of a record. */
export const multiline: Parse<Multiline> = (text) => {
  const expected = `presets among ${MULTILINE_PRESETS.join(', ')}, or ${START} and a pattern`;
  if (text.startsWith(START)) {
    const pattern = linearPattern(text.slice(START.length));
    return pattern.ok ? { ok: true, value: { start: pattern.value } } : pattern;
  }
  const presets: MultilinePreset[] = [];
  for (const word of words(text)) {
    const preset = MULTILINE_PRESETS.find((known) => known === word);
    if (preset === undefined) return invalid(expected, suggestion(word.toLowerCase(), MULTILINE_PRESETS));
    if (!presets.includes(preset)) presets.push(preset);
  }
  return presets.length > 0 ? { ok: true, value: { presets } } : invalid(expected);
};

function listItems(text: string): Value<readonly string[]> {
  if (text.length > VALUE_CHARS_MAX) return invalid(`at most ${VALUE_CHARS_MAX} characters`);
  // A pattern may begin with a bracket; one that begins with a bracket and a quote has to stand in a JSON list.
  const isJson = /^\s*\[\s*"/.test(text);
  const items = isJson ? jsonTexts(text) : text.split('\n').map((line) => line.trim());
  if (items === undefined) return invalid(`${LIST_EXPECTED} (what begins with [" has to be JSON)`);
  const kept = items.filter((item) => item !== '');
  if (kept.length === 0) return invalid(LIST_EXPECTED);
  return kept.length <= PATTERNS_MAX ? { ok: true, value: kept } : invalid(`at most ${PATTERNS_MAX} patterns`);
}

function jsonTexts(text: string): readonly string[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}

function linearPattern(pattern: string): Value<string> {
  if (pattern === '' || pattern.length > PATTERN_CHARS_MAX)
    return invalid(`patterns of 1 to ${PATTERN_CHARS_MAX} characters`);
  try {
    RegExp(pattern, 'u');
  } catch {
    return invalid('regular expressions (ECMAScript syntax)', 'is a bracket or a backslash missing?');
  }
  const found = notLinear(pattern);
  return found === undefined ? { ok: true, value: pattern } : invalid(`patterns without ${found}`);
}

/** What in a well-formed pattern needs more than linear time or memory, in words; undefined when nothing does. */
function notLinear(pattern: string): string | undefined {
  const outside = pattern.replaceAll(/\\[1-9k]|\\[pPu]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]/gsu, (token) =>
    /^\\[1-9k]/.test(token) ? token : ' ',
  );
  if (outside.includes('\\')) return 'back-references';
  if (/\(\?<?[=!]/.test(outside)) return 'lookahead and lookbehind';
  const counts = [...outside.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].flatMap(([, least, most]) => [least, most]);
  return counts.some((count) => Number(count ?? '0') > REPEAT_MAX) ? `counts above ${REPEAT_MAX}` : undefined;
}
