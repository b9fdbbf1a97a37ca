/**
 * The formats of annotation values, one pure parser each.
 *
 * Invariants: a parser gives a value, or what it expected (and the nearest valid value where there is one); it never throws.
 * May import: core, config.
 */
import { durationMs, nearest } from '../src/config/fields.ts';
import { FLUSH_INTERVAL_MS, RETENTION_DAYS, SINK_NAMES } from '../src/config/forwarder-config.ts';
import type { SinkName } from '../src/config/forwarder-config.ts';
import { IMAGE_REFERENCE } from '../src/config/image-reference.ts';
import { OBJECT_NAME } from '../src/config/name-forms.ts';
import { quantityNumber } from '../src/config/quantity.ts';
import { hasStrayBrace, PLACEHOLDERS, unknownPlaceholders } from '../src/config/template.ts';

export type Value<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly code: 'invalid_value' | 'value_not_available' | 'not_allowed';
      readonly expected: string;
      readonly hint?: string;
    };

/** Text of an annotation to value. */
export type Parse<T> = (text: string) => Value<T>;

/** RFC 1123 label, the form of names of containers (API reference, Container `name`). */
const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

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
export const VALUE_CHARS_MAX = 8 * 1024;

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
    const one = oneOf(SINK_NAMES)(word);
    if (!one.ok) return one;
    if (!sinks.includes(one.value)) sinks.push(one.value);
  }
  return sinks.length > 0 ? { ok: true, value: sinks } : invalid(`a comma list of ${SINK_NAMES.join(', ')}`);
};

/** `/var/log/app/*.log,sidecar:/data/x.log`. */
export const fileList: Parse<readonly FileEntry[]> = (text) => {
  if (text.length > VALUE_CHARS_MAX) return invalid(`at most ${VALUE_CHARS_MAX} characters`);
  const entries: FileEntry[] = [];
  const faults: Fault[] = [];
  for (const word of words(text)) {
    const entry = fileEntry(word);
    if ('expected' in entry) faults.push(entry);
    else entries.push(entry);
  }
  const [first] = faults;
  if (first !== undefined) return faultsOf(first, faults);
  return entries.length > 0 ? { ok: true, value: entries } : invalid('a comma list of absolute paths');
};

/** What is wrong with one entry, and the entry that was meant where that can be told. */
interface Fault {
  readonly word: string;
  readonly expected: string;
  readonly meant?: string;
}

/** Entries that one answer names: it has some 256 characters. */
const FAULTS_SHOWN = 4;

/**
 * One answer for all entries that are wrong: what the first of them lacks, which they are, and what was meant. Only the hint repeats what
 * was found.
 */
function faultsOf(first: Fault, faults: readonly Fault[]): Value<never> {
  const named = faults.slice(0, FAULTS_SHOWN).map(({ word }) => (word.length <= 40 ? word : `${word.slice(0, 37)}...`));
  const rest = faults.length > FAULTS_SHOWN ? ` and ${faults.length - FAULTS_SHOWN} more` : '';
  const wrong = faults.length === 1 ? [] : [`wrong: ${named.join(', ')}${rest}`];
  // A proposal that has faults of its own helps nobody.
  const meant = faults.flatMap((fault) =>
    fault.meant === undefined || 'expected' in fileEntry(fault.meant) ? [] : [fault.meant],
  );
  const proposal = meant.length === 0 ? [] : [`did you mean ${meant.slice(0, FAULTS_SHOWN).join(',')}?`];
  const hints = [...wrong, ...proposal];
  return invalid(first.expected, hints.length === 0 ? undefined : hints.join('; '));
}

const FILE_EXPECTED = 'absolute paths such as /var/log/app/*.log, each with an optional container: before it';
/** The longest name in a directory (Linux, limits.h, NAME_MAX). */
const SEGMENT_BYTES_MAX = 255;
/**
 * The longest path that we take. The kernel takes 4,095 bytes (limits.h, PATH_MAX) with what stands before it: of the kubelet's volume
 * or of the container's root some 300, of our place and the container's name 84; and with the names that a pattern matches after it.
 */
const PATH_BYTES_MAX = 1_024;

function fileEntry(word: string): FileEntry | Fault {
  const invalid = (expected: string, meant?: string): Fault => ({
    word,
    expected,
    ...(meant === undefined ? {} : { meant }),
  });
  const [, container, path = ''] = /^(?:([^/:]*):)?(.*)$/s.exec(word) ?? [];
  const prefix = container === undefined ? '' : `${container}:`;
  if (/\p{Cc}/u.test(word)) return invalid(`${FILE_EXPECTED}, without control characters`);
  if (container !== undefined && !DNS_LABEL.test(container))
    return invalid(
      `${FILE_EXPECTED} (lower-case letters, digits and -)`,
      word.toLowerCase() === word ? undefined : `${container.toLowerCase()}:${path}`,
    );
  if (!path.startsWith('/')) return invalid(FILE_EXPECTED, `${prefix}/${path.replace(/^(?:\.\/)?/, '')}`);
  // ':' is refused in mount paths by the API server, a brace would have been cut at its comma.
  if (/[:{}\\]/.test(path)) return invalid(`${FILE_EXPECTED}, without colon, braces and backslash`);
  if (path.endsWith('/')) return invalid(`${FILE_EXPECTED}, that name files`, `${word}*.log`);
  const segments = path.slice(1).split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    return invalid(`${FILE_EXPECTED}, without empty, "." and ".." parts`);
  }
  const isLong = Buffer.byteLength(path) > PATH_BYTES_MAX;
  if (isLong || segments.some((segment) => Buffer.byteLength(segment) > SEGMENT_BYTES_MAX))
    return invalid(`${FILE_EXPECTED}, of at most ${PATH_BYTES_MAX} bytes and ${SEGMENT_BYTES_MAX} between slashes`);
  const pattern = segments.findIndex((segment) => /[*?[\]]/.test(segment));
  const fixed = segments.slice(0, pattern === -1 ? -1 : pattern);
  return { container, path, directory: `/${fixed.join('/')}` };
}

/** Name of an object: RFC 1123 subdomain, at most 253 characters (Kubernetes concepts, "Object Names and IDs"). */
export function objectName(kind: string): Parse<string> {
  return (text) =>
    OBJECT_NAME.test(text)
      ? { ok: true, value: text }
      : invalid(`the name of a ${kind} (lower case letters, digits, - and .)`);
}

/** Names of containers: RFC 1123 labels (API reference, Container `name`), each once. */
export const containerList: Parse<readonly string[]> = (text) => {
  const names = [...new Set(words(text))];
  const isValid = text.length <= VALUE_CHARS_MAX && names.length > 0 && names.every((name) => DNS_LABEL.test(name));
  return isValid ? { ok: true, value: names } : invalid('a comma list of names of containers');
};

/** A text with placeholders of `src/config/template.ts`, none of them a date: CloudWatch and S3 get none filled in. */
export const template: Parse<string> = (text) => parseTemplate(text, false);

/** The same with dates, for names of Elasticsearch. */
export const datedTemplate: Parse<string> = (text) => parseTemplate(text, true);

function parseTemplate(text: string, isDated: boolean): Value<string> {
  // A NUL in env keeps a container from starting; no other control character is of use in a name.
  if (text === '' || text.length > 512 || /\p{Cc}/u.test(text))
    return invalid('a template of 1 to 512 characters, none of them a control character');
  const [unknown] = unknownPlaceholders(text, { isDated });
  if (unknown !== undefined) {
    const dates = isDated ? ', dates of yyyy, MM, dd and HH' : '';
    const known = [...PLACEHOLDERS, 'label:KEY'].map((name) => `{${name}}`).join(', ');
    return invalid(`placeholders among ${known}${dates}`, suggestion(unknown, PLACEHOLDERS));
  }
  if (!hasStrayBrace(text)) return { ok: true, value: text };
  const single = /\{(\{[^{}]+\})\}/.exec(text)?.[1];
  return invalid('braces around placeholders only', single === undefined ? undefined : `did you mean ${single}?`);
}

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

/** More memory than a sidecar is ever meant to have: above it a number without unit is no slip of Mi. */
const GUESS_MAX = 4 * 2 ** 30;

/** The least with which the forwarder starts: Node's own heap and code, and time enough for it to load within seconds. */
export const MEMORY_LEAST: Quantity = { text: '32Mi', number: 32 * 2 ** 20 };
export const CPU_LIMIT_LEAST: Quantity = { text: '20m', number: 0.02 };

/** Kubernetes quantity above zero (API reference, "Quantity"). */
export function quantity(example: string): Parse<Quantity> {
  return (text) => {
    const number = quantityNumber(text);
    return number !== undefined
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

/** Reference of an image; the list of allowed images decides on the rest. */
export const imageReference: Parse<string> = (text) =>
  IMAGE_REFERENCE.test(text) ? { ok: true, value: text } : invalid(IMAGE_REFERENCE.expected);

/** The answer to a value that is not valid. */
export function invalid(expected: string, hint?: string): Value<never> {
  return { ok: false, code: 'invalid_value', expected, ...(hint === undefined ? {} : { hint }) };
}

/** A hint that names the candidate nearest to a word, if one is near. */
export function suggestion(word: string, candidates: readonly string[]): string | undefined {
  const near = nearest(word, candidates);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

/** The elements of a comma list, without blanks around them and without empty ones. */
export function words(text: string): readonly string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
