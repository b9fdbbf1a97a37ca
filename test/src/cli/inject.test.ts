/**
 * inject and uninject over texts: what stays of the text, formats, facts, exit codes, and the way back.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseAllDocuments } from 'yaml';

import { runInject } from '../../../src/cli/inject.ts';
import { EXCLUDED_NAMESPACES } from '../../../src/cli/offline-injection.ts';
import { runUninject } from '../../../src/cli/uninject.ts';
import { applyPatch } from '../../../webhook/patch.ts';
import type { Operation } from '../../../webhook/patch.ts';
import { at, listAt, textAt } from '../../../webhook/json.ts';
import type { Json, JsonObject } from '../../../webhook/json.ts';
import { ask, reviewOf, testWebhook } from '../../fakes/webhook.ts';
import { DEPLOYMENT, POD, runCommand } from './manifests.ts';

const inject = (files: Readonly<Record<string, string>>, ...args: readonly string[]): ReturnType<typeof runCommand> =>
  runCommand(runInject, args.length === 0 ? ['-f', '-'] : args, files);
const uninject = (text: string): ReturnType<typeof runCommand> => runCommand(runUninject, ['-f', '-'], { '-': text });

function documents(text: string): readonly Json[] {
  return parseAllDocuments(text).map((document) => ('toJS' in document ? (document.toJS() as Json) : null));
}

function sidecarOf(template: Json | undefined): Json | undefined {
  const all = [...listAt(template, 'spec', 'initContainers'), ...listAt(template, 'spec', 'containers')];
  return all.find((container) => textAt(container, 'name') === 'logtender');
}

function envOf(template: Json | undefined, name: string): string | undefined {
  const entry = listAt(sidecarOf(template), 'env').find((item) => textAt(item, 'name') === name);
  return textAt(entry, 'value');
}

/** One word per way to write a workload; each template asks and has one container. */
const SHARED_TEMPLATE =
  '{metadata: {annotations: {logging.io/inject: "true"}}, spec: {containers: [{name: app, image: x}]}}';
const WORKLOADS: readonly (readonly [kind: string, text: string, path: readonly string[]])[] = [
  ['Deployment', `spec: {template: ${SHARED_TEMPLATE}}`, ['spec', 'template']],
  ['StatefulSet', `spec: {template: ${SHARED_TEMPLATE}}`, ['spec', 'template']],
  ['DaemonSet', `spec: {template: ${SHARED_TEMPLATE}}`, ['spec', 'template']],
  ['ReplicaSet', `spec: {template: ${SHARED_TEMPLATE}}`, ['spec', 'template']],
  ['ReplicationController', `spec: {template: ${SHARED_TEMPLATE}}`, ['spec', 'template']],
  ['Job', `spec: {template: ${SHARED_TEMPLATE}}`, ['spec', 'template']],
  [
    'CronJob',
    `spec: {jobTemplate: {spec: {template: ${SHARED_TEMPLATE}}}}`,
    ['spec', 'jobTemplate', 'spec', 'template'],
  ],
  ['PodTemplate', `template: ${SHARED_TEMPLATE}`, ['template']],
  ['Rollout', `spec: {template: ${SHARED_TEMPLATE}}`, ['spec', 'template']],
  [
    'MPIJob',
    `spec: {mpiReplicaSpecs: {Worker: {template: ${SHARED_TEMPLATE}}}}`,
    ['spec', 'mpiReplicaSpecs', 'Worker', 'template'],
  ],
];

/** Texts whose way there and back has to give the same bytes. */
const TEXTS: readonly (readonly [name: string, text: string])[] = [
  ['comments, quotes and flow parts', DEPLOYMENT],
  ['a line break of two characters', DEPLOYMENT.replaceAll('\n', '\r\n')],
  ['no line break at the end', DEPLOYMENT.trimEnd()],
  ['lists deeper than their key', POD],
  ['empty lists and maps', POD.replace('  containers:', '  volumes: []\n  initContainers: []\n  containers:')],
  ['nulls in words', POD.replace('  containers:', '  volumes: null\n  containers:')],
  [
    'a document between others',
    `kind: Service\nmetadata: {name: a}\n---\n${POD}...\n# end\n---\nkind: ConfigMap\ndata: {a: "x"}\n`,
  ],
  ['a directive', `%YAML 1.2\n---\n${POD}`],
  [
    'a List',
    `apiVersion: v1\nkind: List\nitems:\n- kind: Service\n  metadata: {name: a}\n${POD.replace(/^/gm, '  ').replace(/^ {2}/, '- ').trimEnd()}\n`,
  ],
  ['JSON', `${JSON.stringify(documents(POD)[0], null, 2)}\n`],
  ['JSON on one line', JSON.stringify(documents(POD)[0])],
  ['JSON with tabs', JSON.stringify(documents(POD)[0], null, '\t')],
  [
    'JSON, one after the other',
    `${JSON.stringify(documents(POD)[0], null, 4)}\n${JSON.stringify(documents(POD)[0])}\n`,
  ],
];

describe('logtender inject', () => {
  for (const [name, text] of TEXTS) {
    it(`${name}: nothing that stood there is lost, and uninject gives the same bytes`, async () => {
      const there = await inject({ '-': text });
      assert.equal(there.code, 0, there.err);
      assert(there.out.includes('logtender-state'), there.err);
      const lines = new Set(there.out.split(/\r?\n/).map((line) => line.trim().replace(/,$/, '')));
      if (!text.startsWith('{'))
        for (const line of text.split(/\r?\n/)) assert(lines.has(line.trim()) || /: (?:\[\]|null)/.test(line), line);
      assert.equal((await uninject(there.out)).out, text);
      assert.equal((await inject({ '-': there.out })).out, there.out, 'a second injection changes no byte');
    });
  }

  for (const [kind, text, path] of WORKLOADS) {
    it(`finds the pods of a ${kind}, and they have its name`, async () => {
      const { out, err, code } = await inject({ '-': `kind: ${kind}\nmetadata: {name: web}\n${text}\n` });
      assert.equal(code, 0, err);
      const template = at(documents(out)[0], ...path);
      assert.equal(envOf(template, 'WORKLOAD_NAME'), 'web');
      assert.equal(envOf(template, 'APP_NAME'), 'web');
      assert.match(err, new RegExp(`^${kind.toLowerCase()}/web`));
    });
  }

  it('gives a Pod the bytes of the webhook', async () => {
    const pod = documents(POD)[0] as JsonObject;
    const config = 'cluster: dev\nimage: logtender:test\nelasticsearchUrl: https://elasticsearch.example:9200\n';
    const { out } = await inject(
      { '-': POD, 'w.yaml': config },
      '-f',
      '-',
      '-n',
      'shop',
      '--config',
      'w.yaml',
      '-o',
      'patch',
    );
    const { patch } = JSON.parse(out) as { patch: Operation[] };
    const { operations } = await ask(testWebhook({}, {}).handler, reviewOf(pod, 'shop'));
    const sameVersion = JSON.stringify(operations).replaceAll('0.0.0-test', '0.1.0');
    assert.equal(JSON.stringify(patch), sameVersion);
    assert.deepEqual(applyPatch(pod, patch), applyPatch(pod, JSON.parse(sameVersion) as Operation[]));
  });

  it('writes what an alias stands for where its anchor changes', async () => {
    const text = `kind: Pod\nmetadata: {name: a, annotations: {logging.io/inject: "true", logging.io/files: "a:/var/log/a/*.log"}}
spec:
  containers:
  - &one
    name: a
    image: x # kept
  - <<: *one
    name: b
`;
    const { out, code, err } = await inject({ '-': text });
    assert.equal(code, 0, err);
    const [a, b] = listAt(documents(out)[0] ?? null, 'spec', 'containers');
    assert.equal(listAt(a, 'volumeMounts').length, 1);
    assert.deepEqual(b, { name: 'b', image: 'x' });
    assert(out.includes('image: x # kept'));
  });

  it('reads words of YAML 1.1 as kubectl does and leaves their bytes', async () => {
    const text = POD.replace(
      '  containers:',
      '  hostNetwork: yes\n  volumes: [{name: c, configMap: {name: c, defaultMode: 0644}}]\n  containers:',
    );
    const { out } = await inject({ '-': text });
    assert(out.includes('defaultMode: 0644'));
    assert(out.includes('hostNetwork: yes'));
    assert.equal(envOf(documents(out)[0], 'ADMIN_PORT'), '0', 'off under hostNetwork');
    const json = await inject({ '-': text }, '-f', '-', '-o', 'json');
    assert.equal(at(JSON.parse(json.out) as Json, 'spec', 'hostNetwork'), true);
    assert(json.out.includes('"defaultMode": 420'));
  });

  it('converts on demand', async () => {
    const json = await inject({ '-': `${POD}---\n${POD}` }, '-f', '-', '-o', 'json');
    assert.equal(json.out.split('\n}\n{\n').length, 2);
    const yaml = await inject({ '-': json.out }, '-f', '-', '-o', 'yaml');
    assert.deepEqual(documents(yaml.out).length, 2);
    assert.deepEqual(documents(yaml.out)[0], JSON.parse(json.out.split('\n}\n{\n')[0]?.concat('\n}') ?? ''));
  });

  it('keeps the bytes of a number that JavaScript has not got, and converts none', async () => {
    for (const number of ['9007199254740993', '123456789012345678901234567890', '-9007199254740993']) {
      const text = POD.replace('spec:', `spec:\n  unknown: ${number}`);
      const run = await inject({ '-': text });
      assert(run.out.includes(`  unknown: ${number}\n`), run.out);
      assert(sidecarOf(documents(run.out)[0]) !== undefined);
      await assert.rejects(inject({ '-': text }, '-f', '-', '-o', 'json'), {
        code: 'MANIFEST_UNREADABLE',
        message: /^convert \(stdin\): expected whole numbers up to 9007199254740991, got one that would be changed/,
      });
    }
    const { out } = await inject(
      { '-': POD.replace('spec:', 'spec:\n  unknown: 9007199254740991') },
      '-f',
      '-',
      '-o',
      'json',
    );
    assert.match(out, /"unknown": 9007199254740991,/);
  });

  it('joins several inputs to one stream', async () => {
    const { out } = await inject({ a: POD.trimEnd(), b: DEPLOYMENT }, '-f', 'a', '-f', 'b');
    assert.deepEqual(
      documents(out).map((document) => textAt(document, 'kind')),
      ['Pod', 'Deployment'],
    );
  });

  it('finds the items of a list as an API server answers it, which do not repeat their kind', async () => {
    // k8s.io/apimachinery, unstructured/helpers.go, decodeToList: what an item lacks comes from the kind of the list.
    const pod = {
      metadata: { name: 'a', annotations: { 'logging.io/inject': 'true' } },
      spec: { containers: [{ name: 'app' }] },
    };
    const text = JSON.stringify({ kind: 'PodList', apiVersion: 'v1', items: [pod, { kind: 'ConfigMap' }, {}] });
    const { out, err, code } = await inject({ '-': text });
    assert.match(err, /^pod\/a: injected/m);
    assert.equal(code, 1, 'the last is a pod that is none');
    assert.match(err, /^pod\/\(no name\): manifest_invalid/m);
    const items = listAt(JSON.parse(out) as Json, 'items');
    assert.deepEqual(
      items.map((item) => [sidecarOf(item) !== undefined, textAt(item, 'kind')]),
      [
        [true, undefined],
        [false, 'ConfigMap'],
        [false, undefined],
      ],
    );
  });

  it('takes namespaces from the stream, and options for the others', async () => {
    const bare = POD.replace(/ {4}logging.io.*\n/g, '').replace('  annotations:\n', '');
    const inNamespace = (name: string): string => bare.replace('name: web-1', `name: web-1\n  namespace: ${name}`);
    const namespace =
      'kind: Namespace\nmetadata: {name: shop, labels: {logging.io/inject: "true"}, annotations: {logging.io/sink: console}}\n';
    const stream = [namespace, inNamespace('shop'), inNamespace('other'), bare].join('---\n');
    const run = await inject({ '-': stream });
    assert.deepEqual(
      documents(run.out).map((document) => sidecarOf(document) !== undefined),
      [false, true, false, false],
    );
    const labelled = await inject({ '-': stream }, '-f', '-', '--namespace-label', 'logging.io/inject=true');
    assert.deepEqual(
      documents(labelled.out).map((document) => sidecarOf(document) !== undefined),
      [false, true, true, true],
    );
  });

  it('a pod of an excluded namespace stays as it is: exit 1 where it asks, and not a word where it does not', async () => {
    const asked = await inject({ '-': POD }, '-f', '-', '-n', 'kube-system');
    assert.deepEqual([asked.code, asked.out], [1, POD]);
    assert.match(asked.err, /^pod\/web-1: namespace_excluded: .*: run pods that ask in /);
    const bare = POD.replace(/ {4}logging.io.*\n/g, '').replace('  annotations:\n', '');
    const silent = await inject({ '-': bare }, '-f', '-', '-n', 'kube-system');
    assert.deepEqual([silent.code, silent.err.split(': ')[1]], [0, 'not_asked']);
    // A label for all namespaces that are not among the manifests says nothing of this one.
    const label = ['--namespace-label', 'logging.io/inject=true'];
    const labelled = await inject({ '-': bare }, '-f', '-', '-n', 'kube-system', ...label);
    assert.deepEqual([labelled.code, labelled.out, labelled.err.split(': ')[1]], [0, bare, 'namespace_excluded']);
  });

  it('leaves out the namespaces that every entry of the webhook configuration leaves out', () => {
    const deployed = readFileSync(join(import.meta.dirname, '../../../deploy/webhook-configuration.yaml'), 'utf8');
    const entries = documents(deployed).flatMap((document) => listAt(document, 'webhooks'));
    assert(entries.length >= 4);
    for (const entry of entries) {
      const rule = listAt(entry, 'namespaceSelector', 'matchExpressions').find(
        (expression) => textAt(expression, 'key') === 'kubernetes.io/metadata.name',
      );
      assert.deepEqual(listAt(rule, 'values'), ['logtender', ...EXCLUDED_NAMESPACES]);
    }
  });

  it('says what it assumes, and takes facts instead', async () => {
    const named = POD.replace('    logging.io/sink', '    logging.io/service-account: writer\n    logging.io/sink');
    const assumed = await inject({ '-': named });
    assert.match(
      assumed.err,
      /every kubelet is assumed to be 1\.29 or newer.*service account writer \(assumed to exist\)/,
    );
    const known = await inject({ '-': named }, '-f', '-', '--kubelet-version', '1.28', '--service-account', 'other');
    assert.equal(known.code, 1);
    assert.match(known.err, /plain container.*service account default/);
    assert.match(known.err, /degraded account_not_found/);
    const streamed = await inject({ '-': `kind: ServiceAccount\nmetadata: {name: writer}\n---\n${named}` });
    assert.match(streamed.err, /service account writer,/);
  });

  const FAILURES: readonly (readonly [name: string, text: string, code: number, message: RegExp])[] = [
    ['a value that is not valid', POD.replace('console', 'kafka'), 1, /degraded invalid_value: logging.io\/sink/],
    ['a refusal', POD.replace('console', 'kafka\n    logging.io/on-invalid: deny'), 1, /pod\/web-1: invalid_values/],
    ['a name that is taken', POD.replace('name: app', 'name: logtender'), 1, /conflict_container/],
    [
      'a workload without pods',
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {}\n',
      1,
      /deployment\/x: manifest_invalid: expected spec\.template\.spec\.containers/,
    ],
    [
      'an annotation that is no text',
      POD.replace('"true"', 'true'),
      1,
      /value_no_text: logging.io\/inject: expected a text in quotes, got true/,
    ],
    ['a pod for Windows', `${POD}  os: {name: windows}\n`, 1, /windows_pod/],
    [
      'a namespace that is no name',
      POD.replace('name: web-1', 'name: web-1\n  namespace: My_Shop'),
      1,
      /pod\/web-1: manifest_invalid: expected metadata\.namespace to be a name of .* got "My_Shop"/,
    ],
    ['nobody asked', POD.replace('"true"', '"false"'), 0, /disabled_by_pod/],
  ];
  for (const [name, text, code, message] of FAILURES) {
    it(`${name}: exit ${code}, and the stream is written`, async () => {
      const run = await inject({ '-': text });
      assert.equal(run.code, code);
      assert.match(run.err, message);
      assert.equal(documents(run.out).length, 1);
    });
  }

  const UNREADABLE: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    [
      'no YAML',
      'kind: Pod\nmetadata: {name: a\nspec: b\n',
      /read \(stdin\): line \d+, column \d+: expected YAML or JSON, got: /,
    ],
    ['a key twice', 'kind: Pod\nkind: Job\n', /line 2, column 1: .*keys must be unique/],
    ['an alias of nobody', 'kind: *nobody\n', /line 1, column 1: .*nobody/],
    [
      'an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
        .join('\n')}\n`,
      /line 1/,
    ],
    [
      'JSON that is nested deeper than anything',
      `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
      /line 1, column 1: expected YAML or JSON, got: more than 500 levels/,
    ],
    ['YAML that is', `a: ${'{a: '.repeat(5_000)}1${'}'.repeat(5_000)}\n`, /line 1, column \d+: .*more than 500 levels/],
    ['YAML that nearly is', `a: ${'{a: '.repeat(600)}1${'}'.repeat(600)}\n`, /more than 500 levels/],
    [
      'a number that JSON has not got',
      'kind: Pod\nspec: {a: [-.inf]}\n',
      /line 1, column 1: .*got: a number without end/,
    ],
    ['the same in JSON', '{"kind":"Pod","spec":1e999}', /a number without end/],
    ['a chart', 'metadata:\n  name: {{ .Release.Name }}-web\n', /line 2/],
  ];
  for (const [name, text, message] of UNREADABLE) {
    it(`${name} is refused with its place, and nothing is written`, async () => {
      await assert.rejects(inject({ '-': text }), (error) => {
        assert(error instanceof Error && 'code' in error && error.code === 'MANIFEST_UNREADABLE');
        assert.match(error.message, message);
        return true;
      });
    });
  }

  for (const args of [
    [],
    ['-f', '-', '-o', 'xml'],
    ['-f', '-', '--namespace-label', 'a'],
    ['-f', '-', '--kubelet-version', 'new'],
    ['-f', '-', '-n', 'My_Shop'],
    ['-f', '-', '-n', ''],
    ['-f', '-', '--service-account', 'a b'],
  ]) {
    it(`refuses ${JSON.stringify(args)}`, async () => {
      await assert.rejects(runCommand(runInject, args, { '-': POD }), { code: 'USAGE' });
    });
  }

  it('lets no control character reach the terminal', async () => {
    const { err } = await inject({ '-': POD.replace('name: web-1', 'name: "a\\e[31m\\u202Eb"') });
    assert.match(err, /^pod\/a\?\[31m\?b: injected/);
  });
});
