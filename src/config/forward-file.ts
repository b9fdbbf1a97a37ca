/**
 * The forwarder's own YAML file, read into the very configuration that the sidecar's env is read into.
 *
 * Precedence: env > file > defaults of the host > built-in. Invariants: all problems at once, each with its path and line, those of env
 * with the variable; unknown keys are refused with a suggestion; a value has the type that it looks like (no quoted numbers, no comma
 * lists); nothing but what `parseForwarderEnv` accepts comes out. Pure. May import: core, config.
 */
import { Reader, shown } from './fields.ts';
import type { FieldShape, Parsed, Problem } from './fields.ts';
import { ENV, parseForwarderEnv } from './forwarder-config.ts';
import type { FileGlob, ForwarderConfig } from './forwarder-config.ts';
import { FORWARD_KEYS } from './forward-keys.ts';
import { readYaml, withLines } from './yaml-text.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface ForwardFileOptions {
  /** Env of the process: what it sets wins over the file. */
  readonly env: Env;
  /** What holds where neither says anything. */
  readonly defaults: Env;
  /** Told of every key, by its path in the file. */
  readonly record?: (shape: FieldShape) => void;
}

/** A configuration, and the variables that it was read from: env, file and defaults together. */
export interface ForwardFile {
  readonly config: ForwarderConfig;
  readonly env: Env;
}

/** What a container is called where a glob does not say. */
const NAME_DEFAULT = 'app';
const SECTIONS: ReadonlySet<string> = new Set(
  Object.keys(FORWARD_KEYS).flatMap((path) => (path.includes('.') ? [path.split('.', 1)[0] ?? ''] : [])),
);

/** Parses the text of the file; an empty one gives what env and defaults say. */
export function parseForwardFile(text: string, options: ForwardFileOptions): Parsed<ForwardFile> {
  const yaml = readYaml(text);
  if (!yaml.ok) return yaml;
  return withLines(readForwardFile(yaml.value.raw, options), yaml.value);
}

/** The same for a value that is parsed already. */
export function readForwardFile(raw: unknown, options: ForwardFileOptions): Parsed<ForwardFile> {
  const problems: Problem[] = [];
  const fromFile = fileEnv(raw, problems, options.record);
  const given = Object.fromEntries(
    Object.entries(options.env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const env: Env = { ...options.defaults, ...Object.fromEntries(fromFile), ...given };
  const parsed = parseForwarderEnv(env);
  if (!parsed.ok) problems.push(...parsed.problems.map((problem) => placed(problem, given)));
  if (problems.length > 0 || !parsed.ok) return { ok: false, problems };
  const names = Object.values(ENV).filter((name) => env[name] !== undefined);
  return { ok: true, value: { config: parsed.value, env: Object.fromEntries(names.map((name) => [name, env[name]])) } };
}

/** What a newer file means for a process that runs on an older one. */
export interface Reload {
  /** What holds from now on: the newer file, but for the keys that the process keeps. */
  readonly file: ForwardFile;
  /** Keys that change at once. */
  readonly changed: readonly string[];
  /** Keys whose new value a restart brings. */
  readonly needsRestart: readonly string[];
}

/** Pure. The result of a merge is read again, because keys stand in relations; undefined when only a restart can bring the file. */
export function reloadOf(running: ForwardFile, newer: ForwardFile): Reload | undefined {
  const differing = Object.entries(FORWARD_KEYS).filter(([, { env }]) => running.env[env] !== newer.env[env]);
  const kept = differing.filter(([, { needsRestart }]) => needsRestart);
  const env = { ...newer.env, ...Object.fromEntries(kept.map(([, { env: name }]) => [name, running.env[name]])) };
  const parsed = parseForwarderEnv(env);
  if (!parsed.ok) return undefined;
  return {
    file: { config: parsed.value, env },
    changed: differing.filter(([, { needsRestart }]) => !needsRestart).map(([path]) => path),
    needsRestart: kept.map(([path]) => path),
  };
}

/** Which variables of env hold in place of what the file could say, for people. */
export function overridingVariables(env: Env): readonly string[] {
  const known = new Set(Object.values(FORWARD_KEYS).map((key) => key.env));
  return Object.keys(env).filter((name) => known.has(name) && (env[name] ?? '') !== '');
}

/** A problem of a variable as one of the key that it came from. */
function placed(problem: Problem, given: Env): Problem {
  const variable = Object.values(ENV).find((name) => problem.path === name || problem.path.startsWith(`${name}[`));
  const key = Object.entries(FORWARD_KEYS).find(([, about]) => about.env === variable);
  if (variable === undefined || key === undefined || given[variable] !== undefined) return problem;
  return { ...problem, path: key[0] + problem.path.slice(variable.length) };
}

/** Variables that the file stands for. */
function fileEnv(raw: unknown, problems: Problem[], record: ForwardFileOptions['record']): ReadonlyMap<string, string> {
  const reader = new Reader(flattened(raw, problems), '', problems, record === undefined ? {} : { record });
  const shapes = shapesByVariable();
  const sections = new Set<string>();
  const env = new Map<string, string>();
  for (const [path, { env: variable, form }] of Object.entries(FORWARD_KEYS)) {
    const [section = '', inner] = path.split('.');
    if (inner !== undefined && !sections.has(section)) {
      sections.add(section);
      record?.({ path: section, kind: 'section' });
    }
    const before = problems.length;
    const shape = shapes.get(variable);
    const text =
      form === 'files'
        ? filesText(reader, path, problems)
        : form === 'rules'
          ? rulesText(reader, path, problems)
          : shape === undefined
            ? undefined
            : valueText(reader, path, shape);
    if (text !== undefined && problems.length === before) env.set(variable, text);
  }
  reader.rejectUnknown();
  return env;
}

function shapesByVariable(): ReadonlyMap<string, FieldShape> {
  const shapes = new Map<string, FieldShape>();
  // The first reading of a name is that of its own key.
  parseForwarderEnv({}, (shape) => {
    if (!shapes.has(shape.path)) shapes.set(shape.path, shape);
  });
  return shapes;
}

/** The sections of a file as keys with dots. */
function flattened(raw: unknown, problems: Problem[]): Readonly<Record<string, unknown>> {
  if (raw === undefined || raw === null) return {};
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    problems.push({ path: '', expected: 'an object', found: shown(raw) });
    return {};
  }
  const flat: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (!SECTIONS.has(key)) flat[key] = value;
    else if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const [inner, one] of Object.entries(value as Readonly<Record<string, unknown>>))
        flat[`${key}.${inner}`] = one;
    else if (value !== null) problems.push({ path: key, expected: 'an object', found: shown(value) });
  }
  return flat;
}

/** One value with the type of its key, as env would say it; undefined where the file says nothing. */
function valueText(reader: Reader, path: string, shape: FieldShape): string | undefined {
  const isGiven = reader.has(path);
  const text = readText(reader, path, shape);
  return isGiven ? text : undefined;
}

function readText(reader: Reader, path: string, shape: FieldShape): string | undefined {
  switch (shape.kind) {
    case 'text':
      return reader.text(path, shape.fallback, shape.form);
    case 'one_of':
      return reader.oneOf(path, shape.values, shape.fallback);
    case 'flag':
      return String(reader.flag(path, shape.fallback));
    case 'integer':
      return String(reader.integer(path, { min: shape.min, max: shape.max }, shape.fallback));
    case 'duration':
      return `${reader.duration(path, { minMs: shape.minMs, maxMs: shape.maxMs }, shape.fallback)}ms`;
    case 'list':
      return reader.list(path, shape.fallback, shape.form).join(',');
    case 'section':
    case 'free':
      return undefined;
  }
}

/** Rules as in env, or as a list of them. */
function rulesText(reader: Reader, path: string, problems: Problem[]): string | undefined {
  const value = reader.raw(path);
  if (value === undefined || typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
    // Words stand with commas between, patterns (which may hold commas) as JSON.
    return path === 'detect' || path === 'multiline'
      ? value.join(',')
      : value.length === 0
        ? undefined
        : JSON.stringify(value);
  }
  problems.push({ path, expected: 'a text or a list of texts', found: shown(value) });
  return undefined;
}

function filesText(reader: Reader, path: string, problems: Problem[]): string | undefined {
  const value = reader.raw(path);
  if (value === undefined) return undefined;
  const expected = 'a list of globs such as /var/log/app/*.log or NAME:/var/log/app/*.log, or of objects with path';
  if (!Array.isArray(value)) {
    problems.push({ path, expected, found: shown(value) });
    return undefined;
  }
  const globs = value.map((item: unknown, i): FileGlob | undefined => {
    const glob = typeof item === 'string' ? globOfText(item) : globOfObject(item, `${path}[${i}]`, problems);
    if (glob === undefined && typeof item === 'string')
      problems.push({ path: `${path}[${i}]`, expected: GLOB, found: shown(item) });
    return glob;
  });
  return globs.includes(undefined) ? undefined : JSON.stringify(globs);
}

const GLOB = 'a glob with an absolute path below a folder, such as /var/log/app/*.log';
const NAMED = /^(?:([A-Za-z0-9][A-Za-z0-9._-]{0,252}):)?(\/.*)$/s;

function globOfText(text: string): FileGlob | undefined {
  const [, container = NAME_DEFAULT, path = ''] = NAMED.exec(text) ?? [];
  const directory = fixedFolder(path);
  return directory === undefined ? undefined : { container, path, directory, mount: directory };
}

function globOfObject(item: unknown, at: string, problems: Problem[]): FileGlob | undefined {
  const before = problems.length;
  const reader = new Reader(item, at, problems);
  const path = reader.text('path', '');
  const directory = fixedFolder(path);
  if (directory === undefined && problems.length === before) reader.report('path', GLOB);
  const container = reader.text('container', NAME_DEFAULT);
  const own = reader.text('directory', directory ?? '');
  const mount = reader.text('mount', own);
  reader.rejectUnknown();
  return problems.length === before ? { container, path, directory: own, mount } : undefined;
}

/** The folders of a glob before its first wildcard; undefined where it names no file below a folder. */
function fixedFolder(path: string): string | undefined {
  const parts = path.split('/');
  if (
    parts[0] !== '' ||
    path.includes('\0') ||
    parts.slice(1).some((part) => part === '' || part === '.' || part === '..')
  )
    return undefined;
  const wild = parts.findIndex((part) => /[*?[\\]/.test(part));
  const fixed = parts.slice(0, wild === -1 ? -1 : Math.min(wild, parts.length - 1)).join('/');
  return fixed === '' ? undefined : fixed;
}
