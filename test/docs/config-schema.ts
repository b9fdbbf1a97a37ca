/**
 * JSON Schema (draft-07, which editors know best) and reference table of a configuration file, from what its parser asks for and from
 * what the catalogue of keys says.
 */
import assert from 'node:assert/strict';

import type { KeyAbout } from '../../src/config/config-keys.ts';
import { durationText } from '../../src/config/fields.ts';
import type { FieldShape } from '../../src/config/fields.ts';

export type Schema = Readonly<Record<string, unknown>>;

/** The form of durations; their bounds are no matter of a pattern and stand in the description. */
export const DURATION_PATTERN = '^[0-9]+(?:\\.[0-9]+)?(?:ms|s|m|h|d)$';

export interface ConfigFile {
  readonly title: string;
  readonly shapes: readonly FieldShape[];
  readonly keys: Readonly<Record<string, KeyAbout>>;
  /** Schemas of what the parser leaves to its caller, by path. */
  readonly free: Readonly<Record<string, Schema>>;
}

/** The schema of the whole file. */
export function schemaOf(file: ConfigFile): Schema {
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: file.title, ...objectSchema(file, '') };
}

/** The keys that stand directly under a path. */
function objectSchema(file: ConfigFile, path: string): Schema {
  const prefix = path === '' ? '' : `${path}.`;
  const direct = file.shapes.filter(
    (one) => one.path.startsWith(prefix) && !one.path.slice(prefix.length).includes('.'),
  );
  const properties = direct.map((shape) => {
    const description = `${aboutOf(file, shape.path).meaning}: ${formatOf(shape)}; default: ${defaultOf(shape)}.`;
    return [shape.path.slice(prefix.length), { description, ...valueSchema(file, shape) }];
  });
  // An empty file and an empty section are the absence of their keys.
  return { type: ['object', 'null'], properties: Object.fromEntries(properties), additionalProperties: false };
}

function valueSchema(file: ConfigFile, shape: FieldShape): Schema {
  switch (shape.kind) {
    case 'section':
      return objectSchema(file, shape.path);
    case 'free': {
      const schema = file.free[shape.path];
      assert(schema !== undefined, `${shape.path} has a schema`);
      return schema;
    }
    case 'text':
      return { type: ['string', 'null'], ...formSchema(shape.form), ...defaultValue(shape.fallback) };
    case 'one_of':
      return { enum: [...shape.values, null], ...defaultValue(shape.fallback) };
    case 'flag':
      return { type: ['boolean', 'null'], default: shape.fallback };
    case 'integer':
      return { type: ['integer', 'null'], minimum: shape.min, maximum: shape.max, default: shape.fallback };
    case 'duration':
      return { type: ['string', 'null'], pattern: DURATION_PATTERN, default: durationText(shape.fallback) };
    case 'list':
      return { type: ['array', 'null'], items: { type: 'string', ...formSchema(shape.form) }, default: shape.fallback };
  }
}

function formSchema(form: { readonly expected: string; readonly pattern?: string } | undefined): Schema {
  // Without a pattern an editor knows the type alone; the forms of the operator's files have one each.
  return form?.pattern === undefined ? {} : { pattern: form.pattern };
}

function defaultValue(fallback: string | undefined): Schema {
  return fallback === undefined ? {} : { default: fallback };
}

export function aboutOf(file: ConfigFile, path: string): KeyAbout {
  const about = Object.hasOwn(file.keys, path) ? file.keys[path] : undefined;
  assert(about !== undefined, `${path} of ${file.title} is documented in src/config/config-keys.ts`);
  return about;
}

/** What may be written, in words. */
export function formatOf(shape: FieldShape): string {
  switch (shape.kind) {
    case 'section':
      return 'object';
    case 'free':
      return 'object of values by key';
    case 'text':
      return shape.form?.expected ?? 'text';
    case 'one_of':
      return `one of ${shape.values.join(', ')}`;
    case 'flag':
      return 'true or false';
    case 'integer':
      return `integer from ${shape.min} to ${shape.max}`;
    case 'duration':
      return `duration from ${durationText(shape.minMs)} to ${durationText(shape.maxMs)} (units ms, s, m, h, d)`;
    case 'list':
      return shape.form === undefined ? 'list of texts' : `list; each: ${shape.form.expected}`;
  }
}

export function defaultOf(shape: FieldShape): string {
  switch (shape.kind) {
    case 'section':
    case 'free':
      return 'none';
    case 'duration':
      return durationText(shape.fallback);
    case 'list':
      return shape.fallback.length === 0 ? 'none' : shape.fallback.join(', ');
    default:
      return shape.fallback === undefined || shape.fallback === '' ? 'none' : String(shape.fallback);
  }
}
