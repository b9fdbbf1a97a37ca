/**
 * Parses untyped configuration into typed values and collects every problem at once.
 *
 * A message names the key, what was expected, what was found and, where there is one, the nearest valid value. May import: core.
 */

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Path of the key: `sinks.elasticsearch.url`. */
  readonly path: string;
  readonly expected: string;
  /** What was found, as JSON, cut to 80 characters. */
  readonly found: string;
  /** The known word (key, choice) that was meant most likely. */
  readonly near?: string;
  /** What to do; it may repeat what was found. */
  readonly hint?: string;
  /** Line of the file, 1 for the first; undefined where there is no file or nothing of it to point at. */
  readonly line?: number;
}

export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

/** One sentence for people, with what was found: for the terminal of whoever holds the configuration. */
export function problemText(problem: Problem): string {
  const hint = problem.hint === undefined ? '' : `; ${problem.hint}`;
  return `${placeOf(problem)}, got ${problem.found}${nearText(problem)}${hint}`;
}

/**
 * The same for logs, Events and /readyz, which others read: line, path, what was expected and the known word that is near. What was
 * found may be a password in the wrong place, and a hint may repeat it.
 */
export function problemWithoutValue(problem: Problem): string {
  return `${placeOf(problem)}${nearText(problem)}`;
}

function placeOf({ line, path, expected }: Problem): string {
  return `${line === undefined ? '' : `line ${line}: `}${path}: expected ${expected}`;
}

function nearText({ near }: Problem): string {
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** The form of a text: in words for people, as a test, and as a pattern for editors where a pattern says all of it. */
export interface TextForm {
  readonly expected: string;
  readonly test: (text: string) => boolean;
  /** Regular expression (ECMA-262 with the flag u) that says the same as `test`. */
  readonly pattern?: string;
}

/** The form that a regular expression describes. */
export function textForm(expected: string, pattern: RegExp): TextForm {
  return { expected, test: (text) => pattern.test(text), pattern: pattern.source };
}

/** What a parser asked for under one key: the source of the JSON Schema and of the reference page. */
export type FieldShape = { readonly path: string } & (
  | { readonly kind: 'text'; readonly fallback: string | undefined; readonly form: TextForm | undefined }
  | { readonly kind: 'one_of'; readonly fallback: string | undefined; readonly values: readonly string[] }
  | { readonly kind: 'flag'; readonly fallback: boolean }
  | { readonly kind: 'integer'; readonly fallback: number; readonly min: number; readonly max: number }
  | { readonly kind: 'duration'; readonly fallback: number; readonly minMs: number; readonly maxMs: number }
  | { readonly kind: 'list'; readonly fallback: readonly string[]; readonly form: TextForm | undefined }
  | { readonly kind: 'section' | 'free' }
);

export interface ReaderOptions {
  /**
   * True where every value is a text (env): numbers, flags and comma lists are read from it. A file has types of its own, and what is
   * refused there an editor can refuse as well.
   */
  readonly isText?: boolean;
  /** Told of every key that is asked for. */
  readonly record?: (shape: FieldShape) => void;
}

/** Any value as short JSON for a message. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/**
 * The candidate nearest to `word` by edit distance, if it is near enough to be meant (a third of its length, at least 2); else the only
 * one that begins with it.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== undefined || word.length < BEGINNING_CHARS_LEAST) return best;
  const longer = candidates.filter((candidate) => candidate.startsWith(word));
  return longer.length === 1 ? longer[0] : undefined;
}

/** Shorter beginnings are near to anything. */
const BEGINNING_CHARS_LEAST = 4;

/** Levenshtein distance, or anything at or above `limit` once it cannot come below it. Words are cut to 64 characters. */
function editDistance(a: string, b: string, limit: number): number {
  const left = a.slice(0, 64);
  const right = b.slice(0, 64);
  if (Math.abs(left.length - right.length) >= limit) return limit;
  let row = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? limit;
}

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `200ms`, `1.5s`, `10m`, `2h`, `30d` as milliseconds; undefined for anything else. */
export function durationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (DURATION_MS[match[2] ?? ''] ?? Number.NaN);
}

/** The shortest text that `durationMs` reads as this: `1m`, `90s`, `36h`. */
export function durationText(ms: number): string {
  const units = Object.entries(DURATION_MS).toReversed();
  const [unit, size] = units.find(([, size]) => ms > 0 && ms % size === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

function commaList(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** Reads the keys of one object, each at most once, and reports the keys that nobody asked for. */
export class Reader {
  readonly problems: Problem[];
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #options: ReaderOptions;
  readonly #asked = new Set<string>();

  /** @param raw anything; a value that is no object is a problem and reads as empty */
  constructor(raw: unknown, path = '', problems: Problem[] = [], options: ReaderOptions = {}) {
    this.problems = problems;
    this.#path = path;
    this.#options = options;
    const isObject = typeof raw === 'object' && raw !== null && !Array.isArray(raw);
    this.#raw = isObject ? (raw as Record<string, unknown>) : {};
    if (!isObject && raw !== undefined && raw !== null) this.#problem('', 'an object', raw);
  }

  #at(key: string): string {
    if (key === '') return this.#path;
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }

  #problem(key: string, expected: string, found: unknown, hint?: string): void {
    const problem = { path: this.#at(key), expected, found: shown(found) };
    this.problems.push(hint === undefined ? problem : { ...problem, hint });
  }

  #take(key: string): unknown {
    this.#asked.add(key);
    return Object.hasOwn(this.#raw, key) ? (this.#raw[key] ?? undefined) : undefined;
  }

  #record(shape: FieldShape): void {
    this.#options.record?.(shape);
  }

  /** Whether the object says anything under the key. */
  has(key: string): boolean {
    return Object.hasOwn(this.#raw, key) && this.#raw[key] !== undefined && this.#raw[key] !== null;
  }

  /** Adds a problem that only the caller can see (a value that is well-formed but wrong). */
  report(key: string, expected: string, hint?: string): void {
    this.#problem(key, expected, Object.hasOwn(this.#raw, key) ? this.#raw[key] : undefined, hint);
  }

  text<D extends string | undefined>(key: string, fallback: D, accept?: TextForm): string | D {
    this.#record({ path: this.#at(key), kind: 'text', fallback, form: accept });
    const value = this.#take(key);
    if (value === undefined) return fallback;
    if (typeof value === 'string' && (accept === undefined || accept.test(value))) return value;
    const isScalar = typeof value === 'number' || typeof value === 'boolean';
    this.#problem(key, accept?.expected ?? 'a text', value, isScalar ? `write it in quotes: '${value}'` : undefined);
    return fallback;
  }

  oneOf<T extends string, D extends T | undefined>(key: string, values: readonly T[], fallback: D): T | D {
    this.#record({ path: this.#at(key), kind: 'one_of', fallback, values });
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const known = values.find((v) => v === value);
    if (known !== undefined) return known;
    const near = typeof value === 'string' ? nearest(value, values) : undefined;
    const problem = { path: this.#at(key), expected: `one of ${values.join(', ')}`, found: shown(value) };
    this.problems.push(near === undefined ? problem : { ...problem, near });
    return fallback;
  }

  flag(key: string, fallback: boolean): boolean {
    this.#record({ path: this.#at(key), kind: 'flag', fallback });
    const value = this.#take(key);
    if (value === undefined) return fallback;
    if (typeof value === 'boolean') return value;
    const isWord = value === 'true' || value === 'false';
    if (isWord && this.#options.isText === true) return value === 'true';
    this.#problem(key, 'true or false', value, isWord ? 'write it without quotes' : undefined);
    return fallback;
  }

  integer(key: string, bounds: { min: number; max: number }, fallback: number): number {
    this.#record({ path: this.#at(key), kind: 'integer', fallback, ...bounds });
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const isDigits = typeof value === 'string' && /^-?\d+$/.test(value);
    const number = isDigits && this.#options.isText === true ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number) && number >= bounds.min && number <= bounds.max)
      return number;
    const hint = isDigits && this.#options.isText !== true ? 'write it without quotes' : undefined;
    this.#problem(key, `an integer from ${bounds.min} to ${bounds.max}`, value, hint);
    return fallback;
  }

  /** A duration such as `200ms`, `10s`, `5m`, `2h`, `30d`, in milliseconds. */
  duration(key: string, bounds: { minMs: number; maxMs: number }, fallback: number): number {
    this.#record({ path: this.#at(key), kind: 'duration', fallback, ...bounds });
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const ms = typeof value === 'string' ? durationMs(value) : undefined;
    if (ms !== undefined && ms >= bounds.minMs && ms <= bounds.maxMs) return ms;
    const expected = `a duration from ${durationText(bounds.minMs)} to ${durationText(bounds.maxMs)} with a unit (ms, s, m, h, d)`;
    const bare =
      typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value)) ? String(value) : undefined;
    this.#problem(key, expected, value, bare === undefined ? undefined : `write ${bare}s or ${bare}ms`);
    return fallback;
  }

  /** A list of texts; in env a comma-separated text. */
  list(key: string, fallback: readonly string[], accept?: TextForm): readonly string[] {
    this.#record({ path: this.#at(key), kind: 'list', fallback, form: accept });
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const items = typeof value === 'string' && this.#options.isText === true ? commaList(value) : value;
    const isTexts = Array.isArray(items) && items.every((item) => typeof item === 'string');
    if (isTexts && (accept === undefined || items.every(accept.test))) return items;
    const wrong = isTexts ? items.find((item) => accept?.test(item) === false) : value;
    const hint = typeof value === 'string' ? `write [${commaList(value).join(', ')}]` : undefined;
    this.#problem(key, `a list of ${accept?.expected ?? 'texts'}`, wrong, hint);
    return fallback;
  }

  /** A reader for the object under `key`; it shares the list of problems. */
  section(key: string): Reader {
    this.#record({ path: this.#at(key), kind: 'section' });
    return new Reader(this.#take(key), this.#at(key), this.problems, this.#options);
  }

  /** Raw value under `key`, for shapes that the caller checks itself. */
  raw(key: string): unknown {
    this.#record({ path: this.#at(key), kind: 'free' });
    return this.#take(key);
  }

  /** Reports every key that nobody asked for, with the nearest known one. */
  rejectUnknown(): void {
    const known = [...this.#asked].toSorted();
    for (const key of Object.keys(this.#raw)) {
      if (this.#asked.has(key)) continue;
      const near = nearest(key, known) ?? sharedKey(key, known);
      this.problems.push({
        path: this.#at(key),
        expected: `a known key (${siblings(key, known).join(', ')})`,
        found: shown(key),
        ...(near === undefined ? {} : { near }),
      });
    }
  }
}

/** Of a dotted key whose group is known the keys of that group, else all: sixty names hide the ten that may be meant. */
function siblings(key: string, known: readonly string[]): readonly string[] {
  const group = key.slice(0, key.lastIndexOf('.') + 1);
  const own = known.filter((one) => group !== '' && one.startsWith(group));
  return own.length === 0 ? known : own;
}

/** What is asked for in a group and stands for all of them: `s3.region` means `awsRegion`. */
function sharedKey(key: string, known: readonly string[]): string | undefined {
  const word = key.slice(key.lastIndexOf('.') + 1).toLowerCase();
  if (word.length < BEGINNING_CHARS_LEAST) return undefined;
  const shared = known.filter((one) => !one.includes('.') && one.toLowerCase().endsWith(word));
  return shared.length === 1 ? shared[0] : undefined;
}
