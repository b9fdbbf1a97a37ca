/**
 * The placeholders of `log-group`, `log-stream`, `data-stream` and how a result is made legal for its destination.
 *
 * One documented rule per destination. May import: core, config.
 */

/** What a template may name. `{label:KEY}` is resolved at admission and `{file}` by the forwarder alone. */
const PLACEHOLDERS = ['cluster', 'namespace', 'pod', 'container', 'app', 'workload', 'node', 'file'] as const;

const PART = /\{([^{}]*)\}/g;

/** Placeholders in `template` that nobody knows (date patterns of Elasticsearch and labels are known). */
export function unknownPlaceholders(template: string): readonly string[] {
  return [...template.matchAll(PART)]
    .map((match) => match[1] ?? '')
    .filter(
      (name) => !PLACEHOLDERS.some((known) => known === name) && !/^label:[^{}]+$/.test(name) && !isDatePattern(name),
    );
}

/** `{yyyy.MM.dd}` and its like: only letters y, M, d, H and separators. */
export function isDatePattern(name: string): boolean {
  return /^[yMdH](?:[yMdH._-]*[yMdH])?$/.test(name);
}

/**
 * Puts values in; a placeholder that `values` lacks stays as it is, so that admission can leave some to the forwarder.
 *
 * @param legal makes one value legal for its place before it goes in (separators inside a value must not look like ours)
 */
export function fillTemplate(
  template: string,
  values: Readonly<Partial<Record<string, string>>>,
  legal: (value: string) => string = (value) => value,
): string {
  return template.replaceAll(PART, (whole, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return value === undefined ? whole : legal(value);
  });
}

/** Date patterns filled in from a time in UTC, milliseconds since the epoch. */
export function fillDate(template: string, timeMs: number): string {
  return template.replaceAll(PART, (whole, name: string) =>
    isDatePattern(name) ? formatDate(name, new Date(timeMs)) : whole,
  );
}

function formatDate(pattern: string, date: Date): string {
  return pattern
    .replaceAll('yyyy', String(date.getUTCFullYear()))
    .replaceAll('MM', twoDigits(date.getUTCMonth() + 1))
    .replaceAll('dd', twoDigits(date.getUTCDate()))
    .replaceAll('HH', twoDigits(date.getUTCHours()));
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** CloudWatch log group: `[.\-_/#A-Za-z0-9]`, 1 to 512, not beginning with `aws/` (API reference, CreateLogGroup). Others become `_`. */
export function legalLogGroup(name: string): string {
  const legal = name.replaceAll(/[^.\-_/#A-Za-z0-9]/g, '_').slice(0, 512);
  if (legal === '') return '_';
  return legal.startsWith('aws/') ? `_${legal.slice(0, 511)}` : legal;
}

/** CloudWatch log stream: 1 to 512, no `:` and no `*` (API reference, CreateLogStream). Others become `_`; the end of a long name is kept. */
export function legalLogStream(name: string): string {
  const legal = name.replaceAll(/[:*\p{Cc}]/gu, '_');
  return legal === '' ? '_' : legal.slice(-512);
}

/** One value inside a data stream name: lower case, `-` becomes `_` because `-` separates type, dataset and namespace. */
export function legalDataStreamPart(value: string): string {
  return legalIndex(value).replaceAll('-', '_');
}

/**
 * Elasticsearch index or data stream: lower case, no `\ / * ? " < > | , # :` nor space, not beginning with `-`, `_`, `+`, at most
 * 255 bytes (Elasticsearch reference, create index, path parameters). Others become `_`.
 */
export function legalIndex(name: string): string {
  const legal = name
    .toLowerCase()
    .replaceAll(/[\\/*?"<>|,#:\s\p{Cc}]/gu, '_')
    .replace(/^[-_+.]+/, '');
  const bytes = Buffer.from(legal);
  return bytes.length <= 255 ? legal || 'logs' : bytes.subarray(0, 255).toString('utf8').replaceAll('�', '');
}
