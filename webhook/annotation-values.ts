/**
 * The formats of annotation values, one pure parser each.
 *
 * Invariants: a parser gives a value, or what it expected (and the nearest valid value where there is one); it never throws.
 * May import: core, config.
 */
import { durationMs, nearest } from '../src/config/fields.ts';
import { FLUSH_INTERVAL_MS, RETENTION_DAYS, SINK_NAMES } from '../src/config/forwarder-config.ts';
import type { SinkName } from '../src/config/forwarder-config.ts';
import { unknownPlaceholders } from '../src/config/template.ts';

export type Value<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly code: 'invalid_value' | 'value_not_available';
      readonly expected: string;
      readonly hint?: string;
    };

/** Text of an annotation to value. */
export type Parse<T> = (text: string) => Value<T>;

/** One entry of `logging.io/files`. */
export interface FileEntry {
  /** Container that the user named; undefined means every user container. */
  readonly container: string | undefined;
  readonly path: string;
  /** The part without patterns, without a slash at its end: `/var/log/app`. */
  readonly directory: string;
}

export interface Quantity {
  readonly text: string;
  readonly number: number;
}

/** Longest annotation value that we act on: all annotations of an object together have 256 KiB, env of one process some 128 KiB. */
const VALUE_CHARS_MAX = 8 * 1024;

/** One of a few words; `later` are words of the documentation that this version has not got. */
export function oneOf<T extends string>(words: readonly T[], later: readonly string[] = []): Parse<T> {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return { ok: true, value: found };
    if (later.includes(text)) {
      return { ok: false, code: 'value_not_available', expected: `one of ${words.join(', ')} in this version` };
    }
    return invalid(`one of ${words.join(', ')}`, suggestion(text.toLowerCase(), words));
  };
}

/** `elasticsearch,cloudwatch`: sinks, each once. */
export const sinkList: Parse<readonly SinkName[]> = (text) => {
  const sinks: SinkName[] = [];
  for (const word of words(text)) {
    const one = oneOf(SINK_NAMES, ['s3', 'file'])(word);
    if (!one.ok) return one;
    if (!sinks.includes(one.value)) sinks.push(one.value);
  }
  return sinks.length > 0 ? { ok: true, value: sinks } : invalid(`a comma list of ${SINK_NAMES.join(', ')}`);
};

/** `/var/log/app/*.log,sidecar:/data/x.log`. */
export const fileList: Parse<readonly FileEntry[]> = (text) => {
  if (text.length > VALUE_CHARS_MAX) return invalid(`at most ${VALUE_CHARS_MAX} characters`);
  const entries: FileEntry[] = [];
  for (const word of words(text)) {
    const entry = fileEntry(word);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  return entries.length > 0 ? { ok: true, value: entries } : invalid('a comma list of absolute paths');
};

const FILE_EXPECTED = 'absolute paths such as /var/log/app/*.log, each with an optional container: before it';

function fileEntry(word: string): Value<FileEntry> {
  const match = /^(?:([a-z0-9](?:[-a-z0-9]*[a-z0-9])?):)?(.*)$/s.exec(word);
  const path = match?.[2] ?? '';
  if (/\p{Cc}/u.test(path)) return invalid(`${FILE_EXPECTED}, without control characters`);
  if (!path.startsWith('/')) return invalid(FILE_EXPECTED, `did you mean /${path.replace(/^(?:\.\/)?/, '')}?`);
  // ':' is refused in mount paths by the API server, a brace would have been cut at its comma.
  if (/[:{}\\]/.test(path)) return invalid(`${FILE_EXPECTED}, without colon, braces and backslash`);
  if (path.endsWith('/')) return invalid(`${FILE_EXPECTED}, that name files`, `did you mean ${path}*.log?`);
  const segments = path.slice(1).split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    return invalid(`${FILE_EXPECTED}, without empty, "." and ".." parts`);
  }
  const pattern = segments.findIndex((segment) => /[*?[\]]/.test(segment));
  const fixed = segments.slice(0, pattern === -1 ? -1 : pattern);
  return { ok: true, value: { container: match?.[1], path, directory: `/${fixed.join('/')}` } };
}

const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** Name of an object: RFC 1123 subdomain, at most 253 characters (Kubernetes concepts, "Object Names and IDs"). */
export function objectName(kind: string): Parse<string> {
  return (text) =>
    text.length <= 253 && DNS_SUBDOMAIN.test(text)
      ? { ok: true, value: text }
      : invalid(`the name of a ${kind} (lower case letters, digits, - and .)`);
}

/** A template of DESIGN's placeholders. */
export const template: Parse<string> = (text) => {
  // A NUL in env keeps a container from starting; no other control character is of use in a name.
  if (text === '' || text.length > 512 || /\p{Cc}/u.test(text))
    return invalid('a template of 1 to 512 characters, none of them a control character');
  const unknown = unknownPlaceholders(text);
  if (unknown.length === 0) return { ok: true, value: text };
  return invalid(
    'placeholders among {cluster}, {namespace}, {pod}, {container}, {app}, {workload}, {node}, {file}, {label:KEY}',
    suggestion(unknown[0] ?? '', ['cluster', 'namespace', 'pod', 'container', 'app', 'workload', 'node', 'file']),
  );
};

/** Retention that CloudWatch Logs accepts, in days. */
export const retentionDays: Parse<number> = (text) => {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (RETENTION_DAYS.includes(days)) return { ok: true, value: days };
  const nearer = RETENTION_DAYS.toSorted((a, b) => Math.abs(a - days) - Math.abs(b - days))[0];
  const expected = 'days that CloudWatch accepts, such as 1, 7, 14, 30, 90, 365, 3653';
  return invalid(expected, Number.isNaN(days) || nearer === undefined ? undefined : `did you mean ${nearer}?`);
};

/** Duration within the bounds of the flush interval; the text is kept, the forwarder reads the same format. */
export const flushInterval: Parse<string> = (text) => {
  const ms = durationMs(text);
  if (ms !== undefined && ms >= FLUSH_INTERVAL_MS.min && ms <= FLUSH_INTERVAL_MS.max) return { ok: true, value: text };
  const expected = `a duration from ${FLUSH_INTERVAL_MS.min}ms to ${FLUSH_INTERVAL_MS.max / 1000}s with a unit (ms, s, m, h, d)`;
  return invalid(expected, /^\d+$/.test(text) ? `did you mean ${text}s?` : undefined);
};

/** ARN of an IAM role (IAM user guide, "IAM ARNs"). */
export const roleArn: Parse<string> = (text) =>
  /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/.test(text)
    ? { ok: true, value: text }
    : invalid('the ARN of an IAM role, arn:aws:iam::ACCOUNT:role/NAME');

const QUANTITY = /^(\d+(?:\.\d*)?|\.\d+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d{1,2})?$/;
const FACTOR: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** More memory than a sidecar is ever meant to have: above it a number without unit is no slip of Mi. */
const GUESS_MAX = 4 * 2 ** 30;

/** The least with which the forwarder starts: Node's own heap and code, and time enough for it to load within seconds. */
export const MEMORY_LEAST: Quantity = { text: '32Mi', number: 32 * 2 ** 20 };
export const CPU_LIMIT_LEAST: Quantity = { text: '20m', number: 0.02 };

/** Kubernetes quantity above zero (API reference, "Quantity"). */
export function quantity(example: string): Parse<Quantity> {
  return (text) => {
    const match = QUANTITY.exec(text);
    const suffix = match?.[2] ?? '';
    const factor = /^[eE]/.test(suffix) ? 10 ** Number(suffix.slice(1)) : (FACTOR[suffix] ?? 1);
    const number = match === null ? 0 : Number(match[1]) * factor;
    return number > 0 && Number.isFinite(number)
      ? { ok: true, value: { text, number } }
      : invalid(`a quantity above zero, such as ${example}`);
  };
}

/** A quantity that is not below the least with which the sidecar starts; an invalid one is answered with the nearest that is. */
export function quantityFrom(least: Quantity, example: string): Parse<Quantity> {
  const parse = quantity(example);
  return (text) => {
    const value = parse(text);
    if (!value.ok || value.value.number >= least.number) return value;
    // `48`, `48m` and `48k` are bytes and mean Mi more often than not.
    const guess = least.text.endsWith('Mi') ? parse(`${/^\d+/.exec(text)?.[0] ?? '0'}Mi`) : value;
    const near =
      guess.ok && guess.value.number >= least.number && guess.value.number <= GUESS_MAX ? guess.value : least;
    return invalid(`a quantity of at least ${least.text}, such as ${example}`, `did you mean ${near.text}?`);
  };
}

/** Reference of an image: no blanks, 1 to 512 characters; the list of allowed images decides on the rest. */
export const imageReference: Parse<string> = (text) =>
  /^[^\s\p{Cc}]{1,512}$/u.test(text) ? { ok: true, value: text } : invalid('an image reference');

function invalid(expected: string, hint?: string): Value<never> {
  return { ok: false, code: 'invalid_value', expected, ...(hint === undefined ? {} : { hint }) };
}

function suggestion(word: string, candidates: readonly string[]): string | undefined {
  const near = nearest(word, candidates);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

function words(text: string): readonly string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
