/**
 * How lines become records, as users write it: the formats of `multiline`, `redact`, `include`, `exclude`, `sample` and `detect`, on both
 * sides of the pod: the webhook checks annotations with them, the forwarder its env.
 *
 * Pure. A list is a pattern a line or, so that a pattern may hold anything, a JSON list of texts; never a comma list, because commas
 * are common in patterns. May import: core, config, pattern.
 */
import { compilePatterns, PATTERNS_MAX } from '../pattern/pattern-list.ts';

/** How the text of a line is read. */
export const PARSERS = ['auto', 'json', 'logfmt', 'cri', 'none'] as const;
export type Parser = (typeof PARSERS)[number];

/** Stack traces that are joined without a pattern of the user. */
export const MULTILINE_PRESETS = ['java', 'python', 'go', 'ruby', 'node', 'dotnet', 'php', 'rust', 'dart'] as const;
export type MultilinePreset = (typeof MULTILINE_PRESETS)[number];

export type Multiline =
  { readonly presets: readonly MultilinePreset[] } | { /** First line of a record. */ readonly start: string };

/** What is looked for in a record that its parser does not tell. */
export const DETECTIONS = ['time', 'level'] as const;
export type Detection = (typeof DETECTIONS)[number];

/** Levels of records, as `log.level` says them; the last two are errors and never sampled. */
export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type Level = (typeof LEVELS)[number];

/** The part of the records that is shipped: of all, of those with a level, or of those that match. */
export interface Sample {
  /** Above 0 and at most 1; undefined where `perSecondMax` says how many. */
  readonly share: number | undefined;
  readonly perSecondMax: number | undefined;
  readonly levels: readonly Level[];
  readonly pattern: string | undefined;
}

export interface RecordRules {
  readonly parser: Parser;
  readonly multiline: Multiline | undefined;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly redact: readonly string[];
  readonly sample: readonly Sample[];
  readonly detect: readonly Detection[];
}

/** Every line is a record as it is. */
export const PLAIN_RULES: RecordRules = {
  parser: 'auto',
  multiline: undefined,
  include: [],
  exclude: [],
  redact: [],
  sample: [],
  detect: [],
};

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly expected: string;
      readonly hint?: string;
      /** A word that is near one of these. */ readonly near?: readonly [string, readonly string[]];
    };

/** Longest value that is read, in UTF-16 units. */
const TEXT_CHARS_MAX = 8 * 1024;
const LIST_EXPECTED = 'a pattern a line, or a JSON list of patterns';
const START = 'start:';
/** Above any rate that a sidecar could ship. */
const PER_SECOND_MAX = 1_000_000;
const SAMPLE_EXPECTED =
  'a share (above 0% up to 100%) or a rate (100/s) a line, each with optional level:NAMES or a pattern after a blank: 10% DEBUG';

/** `["\\d{16}","password=\\S+"]`, or the same a line each. */
export function readPatterns(text: string): Read<readonly string[]> {
  const items = listItems(text);
  if (!items.ok) return items;
  const compiled = compilePatterns(items.value);
  return compiled.ok ? items : refused(compiled);
}

/** `10% DEBUG`, `50%`, `100/s level:debug,info`: the first entry that fits a record decides. */
export function readSamples(text: string): Read<readonly Sample[]> {
  const items = listItems(text);
  if (!items.ok) return items;
  const samples: Sample[] = [];
  for (const item of items.value) {
    const sample = readSample(item);
    if (!sample.ok) return sample;
    samples.push(sample.value);
  }
  const compiled = compilePatterns(samples.flatMap(({ pattern }) => (pattern === undefined ? [] : [pattern])));
  return compiled.ok ? { ok: true, value: samples } : refused(compiled);
}

function readSample(item: string): Read<Sample> {
  const match = /^(?:(\d{1,3}(?:\.\d{1,3})?)%|(\d{1,7})\/s)(?:\s+(.+))?$/s.exec(item);
  if (match === null) return { ok: false, expected: SAMPLE_EXPECTED };
  const [, percent, rate, scope] = match;
  const amount = Number(percent ?? rate);
  if (!(amount > 0 && amount <= (percent === undefined ? PER_SECOND_MAX : 100)))
    return { ok: false, expected: SAMPLE_EXPECTED };
  const share = percent === undefined ? undefined : amount / 100;
  const perSecondMax = percent === undefined ? amount : undefined;
  if (scope?.startsWith('level:') !== true)
    return { ok: true, value: { share, perSecondMax, levels: [], pattern: scope } };
  const levels = readWords(scope.slice('level:'.length), LEVELS, 'levels');
  return levels.ok ? { ok: true, value: { share, perSecondMax, levels: levels.value, pattern: undefined } } : levels;
}

/** `java,python`, or `start:` and the pattern of the first line of a record. */
export function readMultiline(text: string): Read<Multiline> {
  if (text.startsWith(START)) {
    const start = text.slice(START.length);
    const compiled = compilePatterns([start]);
    return compiled.ok ? { ok: true, value: { start } } : refused(compiled);
  }
  const presets = readWords(text, MULTILINE_PRESETS, 'presets');
  if (presets.ok) return { ok: true, value: { presets: presets.value } };
  return { ...presets, expected: `${presets.expected}, or ${START} and a pattern` };
}

/** `time,level`. */
export function readDetections(text: string): Read<readonly Detection[]> {
  return text === 'none' ? { ok: true, value: [] } : readWords(text, DETECTIONS, 'words');
}

/** The rules as they are written into env; a text that reads as the same. */
export function multilineText(multiline: Multiline): string {
  return 'start' in multiline ? `${START}${multiline.start}` : multiline.presets.join(',');
}

export function sampleText({ share, perSecondMax, levels, pattern }: Sample): string {
  const amount = share === undefined ? `${perSecondMax ?? 0}/s` : `${Number((share * 100).toFixed(3))}%`;
  const scope = levels.length > 0 ? ` level:${levels.join(',')}` : pattern === undefined ? '' : ` ${pattern}`;
  return amount + scope;
}

function readWords<T extends string>(text: string, known: readonly T[], what: string): Read<readonly T[]> {
  const expected = `${what} among ${known.join(', ')}`;
  const found: T[] = [];
  for (const word of text.split(',').map((part) => part.trim())) {
    if (word === '') continue;
    const one = known.find((candidate) => candidate === word);
    if (one === undefined) return { ok: false, expected, near: [word.toLowerCase(), known] };
    if (!found.includes(one)) found.push(one);
  }
  return found.length > 0 ? { ok: true, value: found } : { ok: false, expected };
}

function refused({ expected, hint }: { readonly expected: string; readonly hint?: string }): Read<never> {
  return hint === undefined ? { ok: false, expected } : { ok: false, expected, hint };
}

function listItems(text: string): Read<readonly string[]> {
  if (text.length > TEXT_CHARS_MAX) return { ok: false, expected: `at most ${TEXT_CHARS_MAX} characters` };
  // A pattern may begin with a bracket; one that begins with a bracket and a quote has to stand in a JSON list.
  const isJson = /^\s*\[\s*"/.test(text);
  const items = isJson ? jsonTexts(text) : text.split('\n').map((line) => line.trim());
  if (items === undefined) return { ok: false, expected: `${LIST_EXPECTED} (what begins with [" has to be JSON)` };
  const kept = items.filter((item) => item !== '');
  if (kept.length === 0) return { ok: false, expected: LIST_EXPECTED };
  return kept.length <= PATTERNS_MAX
    ? { ok: true, value: kept }
    : { ok: false, expected: `at most ${PATTERNS_MAX} patterns` };
}

function jsonTexts(text: string): readonly string[] | undefined {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}
