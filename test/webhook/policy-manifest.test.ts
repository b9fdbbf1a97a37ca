/**
 * The policy of deploy/policy says the same as what it stands beside: the webhook configuration and the code.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse, parseAllDocuments } from 'yaml';

import type { Json } from '../../webhook/json.ts';
import { at, listAt, textAt } from '../../webhook/json.ts';
import { MESH_CONTAINERS, PATHS, VOLUME } from '../../webhook/names.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const read = (file: string): Json => parse(readFileSync(join(DEPLOY, file), 'utf8')) as Json;

const policy = read('policy/report/policy.yaml');
const entries = listAt(read('webhook-configuration.yaml'), 'webhooks');

/** Expressions without the line breaks of their YAML. */
const plain = (text: string | undefined): string => (text ?? '').replaceAll(/\s+/g, ' ');

function variable(name: string): string {
  const found = listAt(policy, 'spec', 'variables').find((one) => textAt(one, 'name') === name);
  return plain(textAt(found, 'expression'));
}

describe('policy manifests', () => {
  it('leave out the pods that the webhook configuration leaves out, by the same conditions', () => {
    const conditions = new Map(
      entries.flatMap((entry) =>
        listAt(entry, 'matchConditions').map((one) => [textAt(one, 'name'), plain(textAt(one, 'expression'))] as const),
      ),
    );
    for (const condition of listAt(policy, 'spec', 'matchConditions'))
      assert.equal(plain(textAt(condition, 'expression')), conditions.get(textAt(condition, 'name')));
    const excluded = (selector: Json | undefined): Json | undefined => listAt(selector, 'matchExpressions')[0];
    const ours = excluded(at(policy, 'spec', 'matchConstraints', 'namespaceSelector'));
    for (const entry of entries) assert.deepEqual(ours, excluded(at(entry, 'namespaceSelector')));
    assert.equal(entries.length, 4);
  });

  it('know the meshes that the code knows', () => {
    const named = [...variable('meshes').matchAll(/'([^']+)'/g)].map(([, name]) => name);
    assert.deepEqual(named.toSorted(), [...MESH_CONTAINERS].toSorted());
  });

  it('know the names of our volumes', () => {
    const text = plain(JSON.stringify(policy));
    for (const name of [VOLUME.logs, VOLUME.state, VOLUME.secret]) assert.ok(text.includes(`'${name}'`), name);
    assert.ok(variable('toldPaths').includes('"mount":"'), `where the sidecar sees files below ${PATHS.logs}`);
  });

  it('report by default, and refuse only where a namespace asked for it', () => {
    const bindings = ['policy/report/binding-report.yaml', 'policy/deny/binding-deny.yaml'].map(read);
    assert.deepEqual(
      bindings.map((binding) => [textAt(binding, 'spec', 'policyName'), at(binding, 'spec', 'validationActions')]),
      [
        ['logtender-sidecar', ['Warn', 'Audit']],
        ['logtender-sidecar', ['Deny', 'Audit']],
      ],
    );
    assert.equal(textAt(policy, 'metadata', 'name'), 'logtender-sidecar');
    const [wanted] = listAt(bindings[1], 'spec', 'matchResources', 'namespaceSelector', 'matchExpressions');
    assert.deepEqual(wanted, { key: 'logging.io/failure-policy', operator: 'In', values: ['fail'] });
  });

  it('are one document a file, all of them applied by their kustomizations', () => {
    for (const folder of ['report', 'deny']) {
      for (const file of listAt(read(`policy/${folder}/kustomization.yaml`), 'resources')) {
        if (typeof file !== 'string' || !file.endsWith('.yaml')) continue;
        const text = readFileSync(join(DEPLOY, 'policy', folder, file), 'utf8');
        assert.equal(parseAllDocuments(text).length, 1, file);
      }
    }
    assert.deepEqual(listAt(read('policy/deny/kustomization.yaml'), 'resources'), ['../report', 'binding-deny.yaml']);
  });
});
