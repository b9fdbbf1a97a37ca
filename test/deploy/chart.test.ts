/**
 * The Helm chart as files: what the build makes of the manifests is what is committed, values and schema agree, nothing of ours is in it that
 * would take the caBundle away. (That both ways to install give the same objects: test/servers/chart.test.ts.)
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Ajv } from 'ajv';
import { parse } from 'yaml';

import { chartFiles } from '../../deploy/chart.ts';
import { valuesSchema } from '../../deploy/chart-schema.ts';
import { VERSION } from '../../webhook/version.ts';

const CHART = join(import.meta.dirname, '../../deploy/chart');
const read = (path: string): string => readFileSync(join(CHART, path), 'utf8');
const values = (): Record<string, unknown> => parse(read('values.yaml')) as Record<string, unknown>;
const BY_HAND = ['NOTES.txt', '_helpers.tpl', 'tests/injection.yaml'];

/** Every path of a tree of objects that ends in something else than an object with keys. */
function leaves(value: unknown, path = ''): readonly string[] {
  const isTree = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  if (!isTree) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
}

describe('chart', () => {
  it('is what `npm run build:chart` makes of the manifests', () => {
    for (const [path, text] of chartFiles()) assert.equal(read(path), text, `${path}: npm run build:chart`);
    const templates = readdirSync(join(CHART, 'templates'), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(CHART, 'templates/').length));
    const made = [...chartFiles().keys()].flatMap((path) => (path.startsWith('templates/') ? [path.slice(10)] : []));
    assert.deepEqual(templates.toSorted(), [...made, ...BY_HAND].toSorted());
  });

  it('has the version of the package', () => {
    const { version, appVersion } = parse(read('Chart.yaml')) as { version: string; appVersion: string };
    assert.deepEqual([version, appVersion], [VERSION, VERSION]);
  });

  it('has no caBundle: an upgrade leaves alone what the chart does not name', () => {
    for (const [path, text] of chartFiles()) {
      const said = text.split('\n').filter((line) => line.includes('caBundle') && !line.trim().startsWith('#'));
      if (path.endsWith('.yaml')) assert.deepEqual(said, [], path);
    }
  });

  it('values.yaml passes its schema, and has every value that the schema knows', () => {
    // The configurations of the processes have tests of their own (test/docs/config.test.ts).
    const ajv = new Ajv({ strict: false, allErrors: true });
    const validate = ajv.compile(valuesSchema());
    assert.ok(validate(values()), ajv.errorsText(validate.errors));
    const { properties } = valuesSchema() as { properties: Record<string, { properties?: Record<string, unknown> }> };
    const known = Object.entries(properties).flatMap(([key, { properties: inner }]) =>
      inner === undefined || key === 'config' ? [key] : Object.keys(inner).map((name) => `${key}.${name}`),
    );
    const given = new Set(
      leaves(values()).flatMap((path) => [path, path.split('.').slice(0, 2).join('.'), path.split('.')[0] ?? '']),
    );
    assert.deepEqual(
      known.filter((path) => path !== 'global' && !given.has(path)),
      [],
    );
  });

  for (const [what, change, path] of [
    ['a value that is not there', { webhok: {} }, ''],
    ['one replica of the webhook', { webhook: { replicas: 1 } }, '/webhook/replicas'],
    ['a mode that does not exist', { certificates: { mode: 'certmanager' } }, '/certificates/mode'],
    ['a key of webhook.yaml that is not there', { config: { clustr: 'x' } }, '/config'],
    ['a second name for the namespace', { config: { namespace: 'x' } }, '/config'],
    ['an address that is no range', { networkPolicy: { apiServer: { cidrs: ['10.0.0.1'] } } }, '/networkPolicy'],
    ['a tag in the repository', { image: { repository: 'registry.example/logtender:1' } }, '/image/repository'],
  ] as const) {
    it(`the schema refuses ${what}`, () => {
      const ajv = new Ajv({ strict: false });
      const validate = ajv.compile(valuesSchema());
      assert.equal(validate(change), false);
      assert.ok((validate.errors?.[0]?.instancePath ?? '').startsWith(path), JSON.stringify(validate.errors));
    });
  }
});
