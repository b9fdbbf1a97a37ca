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
  readonly hint?: string;
}

export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

/** One sentence for people. */
export function problemText(problem: Problem): string {
  const hint = problem.hint === undefined ? '' : `; ${problem.hint}`;
  return `${problem.path}: expected ${problem.expected}, got ${problem.found}${hint}`;
}

/** Any value as short JSON for a message. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The candidate nearest to `word` by edit distance, if it is near enough to be meant (a third of its length, at least 2). */
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
  return best;
}

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

/** Reads the keys of one object, each at most once, and reports the keys that nobody asked for. */
export class Reader {
  readonly problems: Problem[];
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #asked = new Set<string>();

  /** @param raw anything; a value that is no object is a problem and reads as empty */
  constructor(raw: unknown, path = '', problems: Problem[] = []) {
    this.problems = problems;
    this.#path = path;
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

  /** Adds a problem that only the caller can see (a value that is well-formed but wrong). */
  report(key: string, expected: string, hint?: string): void {
    this.#problem(key, expected, Object.hasOwn(this.#raw, key) ? this.#raw[key] : undefined, hint);
  }

  text<D extends string | undefined>(
    key: string,
    fallback: D,
    accept?: { expected: string; test: (text: string) => boolean },
  ): string | D {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    if (typeof value === 'string' && (accept === undefined || accept.test(value))) return value;
    this.#problem(key, accept?.expected ?? 'a text', value);
    return fallback;
  }

  oneOf<T extends string, D extends T | undefined>(key: string, values: readonly T[], fallback: D): T | D {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const known = values.find((v) => v === value);
    if (known !== undefined) return known;
    const near = typeof value === 'string' ? nearest(value, values) : undefined;
    this.#problem(key, `one of ${values.join(', ')}`, value, near === undefined ? undefined : `did you mean ${near}?`);
    return fallback;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    if (typeof value === 'boolean') return value;
    if (value === 'true') return true;
    if (value === 'false') return false;
    this.#problem(key, 'true or false', value);
    return fallback;
  }

  integer(key: string, bounds: { min: number; max: number }, fallback: number): number {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number) && number >= bounds.min && number <= bounds.max)
      return number;
    this.#problem(key, `an integer from ${bounds.min} to ${bounds.max}`, value);
    return fallback;
  }

  /** A duration such as `200ms`, `10s`, `5m`, `2h`, `30d`, in milliseconds. */
  duration(key: string, bounds: { minMs: number; maxMs: number }, fallback: number): number {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const ms = typeof value === 'string' ? durationMs(value) : undefined;
    if (ms !== undefined && ms >= bounds.minMs && ms <= bounds.maxMs) return ms;
    const expected = `a duration from ${bounds.minMs}ms to ${bounds.maxMs}ms with a unit (ms, s, m, h, d)`;
    const bare =
      typeof value === 'number' || (typeof value === 'string' && /^\d+$/.test(value)) ? String(value) : undefined;
    this.#problem(key, expected, value, bare === undefined ? undefined : `write ${bare}s or ${bare}ms`);
    return fallback;
  }

  /** A list of texts; a comma-separated text is one too. */
  list(key: string, fallback: readonly string[]): readonly string[] {
    const value = this.#take(key);
    if (value === undefined) return fallback;
    const items =
      typeof value === 'string'
        ? value
            .split(',')
            .map((item) => item.trim())
            .filter((item) => item !== '')
        : value;
    if (Array.isArray(items) && items.every((item) => typeof item === 'string')) return items;
    this.#problem(key, 'a list of texts', value);
    return fallback;
  }

  /** A reader for the object under `key`; it shares the list of problems. */
  section(key: string): Reader {
    return new Reader(this.#take(key), this.#at(key), this.problems);
  }

  /** Raw value under `key`, for shapes that the caller checks itself. */
  raw(key: string): unknown {
    return this.#take(key);
  }

  /** Reports every key that nobody asked for, with the nearest known one. */
  rejectUnknown(): void {
    for (const key of Object.keys(this.#raw)) {
      if (this.#asked.has(key)) continue;
      const near = nearest(key, [...this.#asked]);
      const known = `a known key (${[...this.#asked].toSorted().join(', ')})`;
      this.problems.push({
        path: this.#at(key),
        expected: known,
        found: shown(key),
        ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
      });
    }
  }
}
