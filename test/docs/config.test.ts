/**
 * deploy/schema/*.json and docs/config.md say what the parsers say: they are written from them (UPDATE_GOLDEN=1) and compared here, and
 * a validator of its own (ajv) and the parsers judge a table and thousands of generated files alike.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { format, resolveConfig } from 'prettier';
import { parse as parseYaml } from 'yaml';

import { parseCertsConfig } from '../../src/config/certs-config.ts';
import { CERTS_KEYS, WEBHOOK_KEYS } from '../../src/config/config-keys.ts';
import { durationMs } from '../../src/config/fields.ts';
import { readForwardFile } from '../../src/config/forward-file.ts';
import { FORWARD_KEYS, hostDefaults } from '../../src/config/forward-keys.ts';
import { SINK_NAMES } from '../../src/config/forwarder-config.ts';
import type { FieldShape, Parsed, Problem } from '../../src/config/fields.ts';
import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import { KEYS } from '../../webhook/annotations.ts';
import type { KeyDocumentation } from '../../webhook/annotations.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { IMAGE } from '../../webhook/version.ts';
import { aboutOf, defaultOf, formatOf, schemaOf } from './config-schema.ts';
import type { ConfigFile, Schema } from './config-schema.ts';

const ROOT = join(import.meta.dirname, '../..');
const SEED = Number(process.env['PROPERTY_SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 2_000);

type Read = (raw: unknown, record?: (shape: FieldShape) => void) => Parsed<unknown>;

const readWebhook: Read = (raw, record) =>
  readWebhookConfig(raw, { image: IMAGE, checkDefault, ...(record === undefined ? {} : { record }) });
const readCerts: Read = (raw, record) => parseCertsConfig(raw, {}, record === undefined ? {} : { record });

const readForward: Read = (raw, record) =>
  readForwardFile(raw, { env: {}, defaults: hostDefaults('HOST'), ...(record === undefined ? {} : { record }) });

function shapesOf(read: Read): readonly FieldShape[] {
  const shapes: FieldShape[] = [];
  assert(read({}, (shape) => shapes.push(shape)).ok);
  return shapes;
}

/** Defaults are texts, and numbers and flags that look like one; their formats are those of the annotations. */
function defaultsSchema(): Schema {
  const scalar = ['string', 'number', 'boolean'];
  const known = Object.entries<KeyDocumentation>(KEYS).filter(
    ([, about]) => about.places.includes('config') && about.parse !== undefined,
  );
  const properties = known.map(([key, about]) => {
    const description = `${about.meaning}: ${about.format}; default: ${about.builtIn}.`;
    return [key, { description, anyOf: [{ type: scalar }, { type: 'array', items: { type: scalar } }] }];
  });
  return { type: ['object', 'null'], properties: Object.fromEntries(properties), additionalProperties: false };
}

const WEBHOOK: ConfigFile & { readonly read: Read } = {
  title: 'webhook.yaml of logtender',
  shapes: shapesOf(readWebhook),
  keys: WEBHOOK_KEYS,
  free: { defaults: defaultsSchema() },
  read: readWebhook,
};
const CERTS: ConfigFile & { readonly read: Read } = {
  title: 'certs.yaml of logtender',
  shapes: shapesOf(readCerts),
  keys: CERTS_KEYS,
  free: {},
  read: readCerts,
};
/** A text, or a list of texts. */
const RULES: Schema = { anyOf: [{ type: ['string', 'null'] }, { type: 'array', items: { type: 'string' } }] };
/** What a section of the forwarder's file is about. */
const FORWARD_SECTIONS = {
  identity: 'who ships: what templates and records say about it',
  elasticsearch: 'the sink elasticsearch (docs/elasticsearch.md)',
  cloudwatch: 'the sink cloudwatch (docs/cloudwatch.md)',
  s3: 'the sink s3 (docs/s3.md)',
  file: 'the sink file: NDJSON in a bounded set of files',
  admin: 'the pages of the process',
} as const;
const forwardKeys = new Map<string, { readonly meaning: string; readonly needsRestart: boolean }>([
  ...Object.entries(FORWARD_KEYS),
  ...Object.entries(FORWARD_SECTIONS).map(
    ([path, meaning]) => [path, { meaning, needsRestart: path === 'admin' }] as const,
  ),
]);
const FORWARD: ConfigFile & { readonly read: Read } = {
  title: 'Configuration file of logtender forward',
  shapes: shapesOf(readForward).map((shape): FieldShape =>
    shape.path === 'sinks' ? { path: shape.path, kind: 'free' } : shape,
  ),
  keys: Object.fromEntries(forwardKeys),
  free: {
    files: {
      type: ['array', 'null'],
      items: {
        anyOf: [
          { type: 'string' },
          {
            type: 'object',
            required: ['path'],
            properties: Object.fromEntries(
              ['path', 'container', 'directory', 'mount'].map((key) => [key, { type: ['string', 'null'] }]),
            ),
            additionalProperties: false,
          },
        ],
      },
    },
    sinks: { type: ['array', 'null'], items: { enum: SINK_NAMES } },
    ...Object.fromEntries(
      ['multiline', 'include', 'exclude', 'redact', 'sample', 'detect'].map((path) => [path, RULES]),
    ),
  },
  read: readForward,
};
const FILES = { webhook: WEBHOOK, certs: CERTS, forward: FORWARD } as const;
const ABOUT_FORWARD: Readonly<Record<string, readonly [format: string, byDefault: string]>> = {
  files: ['list of globs or objects', 'none'],
  sinks: [`list of ${SINK_NAMES.join(', ')}`, 'console'],
  multiline: ['text or list', 'none'],
  include: ['text or list of patterns', 'none'],
  exclude: ['text or list of patterns', 'none'],
  redact: ['text or list of patterns', 'none'],
  sample: ['text or list', 'none'],
  detect: ['text or list of time, level', 'none'],
};
/** Of keys whose default is the host's. */
const HOST_DEFAULTS = hostDefaults('name of the host');

const cell = (text: string): string => text.replaceAll('|', '\\|');

function table(file: ConfigFile): readonly string[] {
  return file.shapes.map((shape) => {
    const about = aboutOf(file, shape.path);
    const [format, byDefault] = file === FORWARD ? forwardCells(shape) : [formatOf(shape), defaultOf(shape)];
    const cells = [format, byDefault, about.needsRestart ? 'restart' : 'at once', `${about.meaning}.`];
    return `| \`${shape.path}\` | ${cells.map(cell).join(' | ')} |`;
  });
}

function forwardCells(shape: FieldShape): readonly [string, string] {
  const variable = Object.hasOwn(FORWARD_KEYS, shape.path) ? FORWARD_KEYS[shape.path]?.env : undefined;
  const own = variable === undefined ? undefined : HOST_DEFAULTS[variable];
  return ABOUT_FORWARD[shape.path] ?? [formatOf(shape), own ?? defaultOf(shape)];
}

const HEAD = ['| key | format | default | a change holds | meaning |', '|---|---|---|---|---|'];

function page(): string {
  return [
    '# Configuration',
    '',
    'One ConfigMap, `logtender-config`, with two files: `webhook.yaml` for the webhook and `certs.yaml` for the certificate manager. Every',
    'key has a default. All that is wrong with a file is said at once, each problem with line, path, what was expected, what was found and',
    'the nearest valid word. Editors that read `# yaml-language-server: $schema=` check the files with the schemas in `deploy/schema`.',
    '',
    '## How a change takes effect',
    '',
    'The webhook reads `webhook.yaml` again when the kubelet swaps it (within about a minute of the change of the ConfigMap), and looks at',
    'it every ten seconds besides. A new file holds as a whole or not at all: one that is wrong is said in the log with all its problems, in',
    'an Event on the ConfigMap, in `/readyz` and in `logtender_config_reloads_total`, and the last good one stays in use. Keys marked',
    '*restart* keep the value that the process started with, and log and Event say so: `kubectl -n logtender rollout restart deployment',
    'logtender-webhook`. At its first start there is nothing good to keep, so a wrong file ends the process with exit code 2.',
    '',
    'The certificate manager reads `certs.yaml` at start alone: `kubectl -n logtender rollout restart deployment logtender-certs`.',
    '',
    'Metrics: `logtender_config_*` and `logtender_paused` in [metrics.md](metrics.md).',
    '',
    '## Pause',
    '',
    '`paused: true` stops injection without a restart: every pod is admitted as it is. A pod that asked says so in its status annotation',
    '(code `paused`), and so do the warning of `kubectl` and an Event on its owner; it gets its sidecar when it is created again after the',
    'pause. Refusals (`on-invalid: deny`) are paused too. Pods that have a sidecar keep it.',
    '',
    '## Bounds',
    '',
    '`imagesAllowed` and `resourcesMax` bound what annotations may ask for. A value beyond them is answered with the code `not_allowed`, and',
    'the next lower level applies (or the pod is refused, see `on-invalid`). What is built in always fits.',
    '',
    '## webhook.yaml',
    '',
    ...HEAD,
    ...table(WEBHOOK),
    '',
    'The keys of `defaults` are those of [annotations.md](annotations.md).',
    '',
    '## certs.yaml',
    '',
    ...HEAD,
    ...table(CERTS),
    '',
  ].join('\n');
}

/** Between these two lines of docs/forward.md stands the table. */
const FORWARD_TABLE = ['<!-- keys: written by test/docs/config.test.ts -->', '<!-- end of keys -->'] as const;

function forwardPage(text: string): string {
  const [before = '', rest = ''] = text.split(FORWARD_TABLE[0]);
  const after = rest.split(FORWARD_TABLE[1])[1] ?? '';
  return [before + FORWARD_TABLE[0], '', ...HEAD, ...table(FORWARD), '', FORWARD_TABLE[1] + after].join('\n');
}

function golden(path: string, want: string): void {
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, want);
  assert.equal(readFileSync(path, 'utf8'), want, 'run UPDATE_GOLDEN=1 npx mocha test/docs/config.test.ts');
}

describe('configuration reference', () => {
  it('docs/config.md is what the parsers say', () => golden(join(ROOT, 'docs/config.md'), page()));

  it('docs/forward.md has the keys of the forwarder as its parser has them', () => {
    const path = join(ROOT, 'docs/forward.md');
    golden(path, forwardPage(readFileSync(path, 'utf8')));
  });

  it('the example of docs/forward.md is valid', () => {
    const [, example = ''] =
      /```yaml\n(# yaml-language-server[^`]*)```/.exec(readFileSync(join(ROOT, 'docs/forward.md'), 'utf8')) ?? [];
    assert.notEqual(example, '');
    const raw: unknown = parseYaml(example);
    const parsed = readForward(raw);
    assert(parsed.ok, parsed.ok ? '' : JSON.stringify(parsed.problems));
    const validate = new Ajv({ allowUnionTypes: true }).compile(schemaOf(FORWARD));
    assert(validate(raw), JSON.stringify(validate.errors));
  });

  for (const [name, file] of Object.entries(FILES)) {
    it(`deploy/schema/${name}.schema.json is what the parser says`, async () => {
      mkdirSync(join(ROOT, 'deploy/schema'), { recursive: true });
      const path = join(ROOT, `deploy/schema/${name}.schema.json`);
      const options = { ...(await resolveConfig(path)), filepath: path };
      golden(path, await format(JSON.stringify(schemaOf(file)), options));
    });

    it(`${name}.yaml: the catalogue of keys knows every key, and no other`, () => {
      assert.deepEqual(Object.keys(file.keys).toSorted(), file.shapes.map(({ path }) => path).toSorted());
      for (const { meaning } of Object.values(file.keys)) assert.match(meaning, /^[^.].{15,}[^.]$/);
    });
  }

  it('the ConfigMap names the schemas, and its files pass them', () => {
    const text = readFileSync(join(ROOT, 'deploy/config.yaml'), 'utf8');
    const { data } = parseYaml(text) as { data: Readonly<Record<string, string>> };
    for (const [name, file] of Object.entries({ webhook: WEBHOOK, certs: CERTS })) {
      const content = data[`${name}.yaml`] ?? '';
      assert.match(content, new RegExp(`^# yaml-language-server: \\$schema=\\./schema/${name}\\.schema\\.json\\n`));
      const validate = new Ajv({ allowUnionTypes: true }).compile(schemaOf(file));
      assert(validate(parseYaml(content)), JSON.stringify(validate.errors));
    }
  });
});

/** Problems that no JSON Schema can say: bounds of durations and quantities, numbers in URLs, relations of keys, formats of defaults. */
const RELATIONS = ['server.inFlightBytesMax', 'leafLife', 'caLife', 'restoreGrace', 'cloudwatch.fips'] as const;

function isBeyondSchema(problem: Problem, shapes: readonly FieldShape[], raw: unknown): boolean {
  const shape = shapes.find(({ path }) => path === problem.path);
  if (RELATIONS.some((path) => path === problem.path) || problem.path.startsWith('defaults.')) return true;
  const value = valueAt(raw, problem.path);
  // A key that has to be there because another is.
  if (value === undefined) return true;
  // Lists of the forwarder whose items no schema can judge.
  if (/^files\[|\.tags$|^(?:include|exclude|redact|sample|detect|multiline)$/.test(problem.path)) return true;
  if (shape?.path === 'cloudwatch.retentionDays') return true;
  if (typeof value !== 'string') return false;
  if (shape?.kind === 'text' && shape.form !== undefined && shape.form.pattern === undefined) return true;
  if (shape?.kind === 'duration') return durationMs(value) !== undefined;
  return shape?.kind === 'text' && shape.form?.pattern !== undefined && new RegExp(shape.form.pattern, 'u').test(value);
}

function valueAt(raw: unknown, path: string): unknown {
  const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === 'object' && value !== null;
  return path.split('.').reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), raw);
}

/** Right and wrong values for a key, by its kind. */
function valuesFor(shape: FieldShape): fc.Arbitrary<unknown> {
  const anything = fc.constantFrom<unknown>(
    null,
    true,
    false,
    'true',
    '',
    0,
    -1,
    1.5,
    '8443',
    [],
    {},
    [1],
    'a b',
    'x\u0000',
  );
  switch (shape.kind) {
    case 'integer':
      return fc.oneof(anything, fc.constantFrom(shape.min, shape.max, shape.min - 1, shape.max + 1, shape.fallback));
    case 'duration':
      return fc.oneof(anything, fc.constantFrom('5', '5x', '1.5s', '30d', '10s', '60s', '99999d', '200ms', '45s'));
    case 'one_of':
      return fc.oneof(anything, fc.constantFrom(...shape.values, 'loud'));
    case 'list':
      return fc.oneof(
        anything,
        fc.array(fc.constantFrom('a', 'a.example', '::1', 'a b', '-', 'registry/x:*', '\u0007')),
      );
    case 'text':
      return fc.oneof(
        anything,
        fc.constantFrom('blue', 'Blue_', 'eu-central-1', '100m', '64Mi', '1Gi', '5Mi', '128', '9'.repeat(64)),
        fc.constantFrom(
          'https://es.example:9200',
          'http://[::1]/x',
          'https://u:p@h',
          'es:9200',
          'http://h:99999',
          'ftp://h',
        ),
      );
    case 'free':
      return fc.oneof(
        anything,
        fc.dictionary(
          fc.constantFrom('sink', 'image', 'cpu-limit', 'snk', 'redact', 'inject', 'flush-interval'),
          fc.constantFrom<unknown>('console', 5, true, null, ['console'], [[]], {}, '2s', '1'),
        ),
      );
    case 'flag':
    case 'section':
      return anything;
  }
}

/** A document with some of the keys, some of them wrong, and now and then one that nobody knows. */
function documents(shapes: readonly FieldShape[]): fc.Arbitrary<Record<string, unknown>> {
  const one = fc
    .constantFrom(...shapes)
    .chain((shape) => valuesFor(shape).map((value) => [shape.path, value] as const));
  const unknown = fc.constantFrom(
    ['clustr', 'x'] as const,
    ['server.prt', 1] as const,
    ['resourcesMax.disk', '1'] as const,
  );
  const entries = fc.array(fc.oneof({ weight: 12, arbitrary: one }, { weight: 1, arbitrary: unknown }), {
    maxLength: 5,
  });
  return entries.map((list) => {
    const raw: Record<string, unknown> = {};
    for (const [path, value] of list) put(raw, path.split('.'), value);
    return raw;
  });
}

/** Sets a value at a path; whatever stands in its way is replaced by an object. */
function put(raw: Record<string, unknown>, [key = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    raw[key] = value;
    return;
  }
  const found = raw[key];
  const isSection = typeof found === 'object' && found !== null && !Array.isArray(found);
  const section: Record<string, unknown> = isSection ? { ...found } : {};
  raw[key] = section;
  put(section, rest, value);
}

describe('JSON Schema and parser', () => {
  const TABLE: readonly (readonly [keyof typeof FILES, unknown])[] = [
    ['forward', null],
    ['forward', { files: ['/var/log/a/*.log', { path: '/x/y', container: 'c' }], sinks: ['elasticsearch', 's3'] }],
    ['forward', { files: '/var/log/a/*.log' }],
    ['forward', { files: [5] }],
    ['forward', { files: [{ path: '/x/y', pth: 1 }] }],
    ['forward', { sinks: 'console' }],
    ['forward', { sinks: ['kafka'] }],
    ['forward', { elasticsearch: { gzip: 'true' } }],
    ['forward', { elasticsearch: 5, s3: null }],
    ['forward', { elasticsearch: { url: 'es:9200' } }],
    ['forward', { cloudwatch: { retentionDays: 31 }, flushInterval: 5 }],
    ['forward', { include: ['a(', 'b'], multiline: ['java', 'python'], detect: ['time'] }],
    ['forward', { redact: [1] }],
    ['webhook', null],
    ['webhook', {}],
    ['webhook', { server: null, hosts: null, defaults: null, paused: null, cluster: null }],
    ['webhook', { paused: 'true' }],
    ['webhook', { hosts: 'a,b' }],
    ['webhook', { server: { port: '8443' } }],
    ['webhook', { server: { port: 65_536 } }],
    ['webhook', { defaults: { sink: null } }],
    ['webhook', { defaults: { 'retention-days': 30, sink: ['elasticsearch', 'cloudwatch'] } }],
    ['webhook', { defaults: { bucket: 'x' } }],
    ['webhook', { elasticsearchUrl: 'https://me:secret@host' }],
    ['webhook', { resourcesMax: { cpu: '1', memory: '1Gi' } }],
    ['webhook', []],
    ['certs', null],
    [
      'certs',
      { caLife: '60s', leafLife: '20s', settle: '2s', pruneMargin: '2s', restoreGrace: '2s', tick: '1s', lease: '2s' },
    ],
    ['certs', { hosts: ['a b'] }],
    ['certs', { tick: 30 }],
    ['certs', { caLive: '1d' }],
  ];

  for (const [name, file] of Object.entries(FILES)) {
    let validate: ValidateFunction;
    before(() => {
      validate = new Ajv({ allowUnionTypes: true }).compile(schemaOf(file));
    });

    /** What the parser accepts the schema accepts; what the schema accepts is refused only for what no schema can say. */
    const judge = (raw: unknown): boolean => {
      const parsed = file.read(raw);
      const isValid = validate(raw);
      const shown = JSON.stringify(raw);
      if (parsed.ok) assert(isValid, `${shown}: the parser accepts, ${JSON.stringify(validate.errors)}`);
      else if (isValid) {
        const inReach = parsed.problems.filter((problem) => !isBeyondSchema(problem, file.shapes, raw));
        assert.deepEqual(inReach, [], `${shown}: the schema accepts`);
      }
      return parsed.ok;
    };

    it(`${name}.yaml: agree on a table`, () => {
      for (const [which, raw] of TABLE) if (which === name) judge(raw);
    });

    it(`${name}.yaml: agree on ${RUNS} generated files (seed ${SEED})`, () => {
      const seen = { accepted: 0, refused: 0 };
      const property = fc.property(documents(file.shapes), (raw) => {
        seen[judge(raw) ? 'accepted' : 'refused'] += 1;
      });
      fc.assert(property, { seed: SEED, numRuns: RUNS });
      assert(Math.min(seen.accepted, seen.refused) > RUNS / 20, `both verdicts came up: ${JSON.stringify(seen)}`);
    });
  }
});
