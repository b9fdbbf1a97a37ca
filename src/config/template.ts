/**
 * The placeholders of `log-group`, `log-stream`, `data-stream`, `index`, `bucket` and `prefix`, and what is put in their place.
 *
 * Pure. Invariant: a value never brings a placeholder along, not even for a second pass over the result. How the result is made legal
 * for its destination: legal-names.ts. May import: core, config.
 */

/** What a template may name. `{label:KEY}` is resolved at admission and `{file}` by the forwarder alone. */
export const PLACEHOLDERS = ['cluster', 'namespace', 'pod', 'container', 'app', 'workload', 'node', 'file'] as const;

const PART = /\{([^{}]*)\}/g;

/**
 * Placeholders in `template` that nobody fills in there (labels are known).
 *
 * @param options isDated true for names of Elasticsearch, in which the forwarder fills in dates
 */
export function unknownPlaceholders(template: string, options: { readonly isDated: boolean }): readonly string[] {
  return [...template.matchAll(PART)]
    .map((match) => match[1] ?? '')
    .filter((name) => {
      if (PLACEHOLDERS.some((known) => known === name) || /^label:[^{}]+$/.test(name)) return false;
      return !(options.isDated && isDatePattern(name));
    });
}

/** True where a brace belongs to no placeholder: `{{pod}}`, `{pod`. It would stand in the name as it is, or be made `_`. */
export function hasStrayBrace(template: string): boolean {
  return /[{}]/.test(template.replaceAll(PART, ''));
}

/** `{yyyy.MM.dd}` and its like: what `formatDate` fills in, and separators between. */
export function isDatePattern(name: string): boolean {
  return /^(?:yyyy|MM|dd|HH)(?:[._-]*(?:yyyy|MM|dd|HH))*$/.test(name);
}

/**
 * Puts values in; a placeholder that `values` lacks stays as it is, so that admission can leave some to the forwarder.
 * Braces of a value become `_`: the forwarder fills what admission has filled, and would take them for a placeholder.
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
    return value === undefined ? whole : legal(value.replaceAll(/[{}]/g, '_'));
  });
}

/** Whether the template has a date pattern. */
export function isDated(template: string): boolean {
  return [...template.matchAll(PART)].some((match) => isDatePattern(match[1] ?? ''));
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
