/**
 * Every file of the corpus through the command line: byte for byte unchanged where nobody asks, the webhook's own operations where
 * somebody does, twice is once, and uninject gives the text back.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { isDeepStrictEqual } from 'node:util';

import { runInject } from '../../../src/cli/inject.ts';
import { readManifest } from '../../../src/cli/manifest.ts';
import { runLint } from '../../../src/cli/lint.ts';
import { objectsOf, templatesOf } from '../../../src/cli/pod-templates.ts';
import type { PodTemplate } from '../../../src/cli/pod-templates.ts';
import { runUninject } from '../../../src/cli/uninject.ts';
import { OperationalError } from '../../../src/core/errors.ts';
import { at, isObject } from '../../../webhook/json.ts';
import type { Json, JsonObject } from '../../../webhook/json.ts';
import type { Operation } from '../../../webhook/patch.ts';
import { VERSION } from '../../../webhook/version.ts';
import { CORPUS_MISSING, corpusFiles, hasCorpus } from '../../corpus-pods.ts';
import { ask, reviewOf, testWebhook } from '../../fakes/webhook.ts';
import { skip } from '../../skip.ts';
import { runCommand } from './manifests.ts';

const CONFIG = 'cluster: dev\nimage: logtender:test\nelasticsearchUrl: https://elasticsearch.example:9200\n';
const ANNOTATIONS: Readonly<Record<string, string>> = {
  'logging.io/files': '/var/log/app/*.log,/data/**/*.log',
  'logging.io/sink': 'elasticsearch,cloudwatch',
  'logging.io/stdout': 'off',
  'logging.io/service-account': 'logtender-forwarder',
};
const ASKING = [
  ...['-f', '-', '-n', 'shop', '--config', 'webhook.yaml', '--namespace-label', 'logging.io/inject=true'],
  ...Object.entries(ANNOTATIONS).flatMap(([key, value]) => ['--namespace-annotation', `${key}=${value}`]),
];
const WEBHOOK = {
  labels: { 'logging.io/inject': 'true' },
  annotations: ANNOTATIONS,
  accounts: ['logtender-forwarder'],
};
const HASH = '5d4f8c9b7';

/** The pod as a controller makes it of the template: a ReplicaSet's name has a hash, a scheduled Job's a number. */
function podOf({ object, value, owner }: PodTemplate): JsonObject {
  if (owner === undefined) return value;
  const kind = owner.kind === 'Deployment' ? 'ReplicaSet' : owner.kind === 'CronJob' ? 'Job' : owner.kind;
  const suffix = owner.kind === 'Deployment' ? `-${HASH}` : owner.kind === 'CronJob' ? '-29345678' : '';
  const metadata = isObject(value['metadata']) ? value['metadata'] : {};
  const labels = isObject(metadata['labels']) ? metadata['labels'] : {};
  return {
    ...value,
    metadata: {
      ...metadata,
      generateName: `${object.name}-`,
      labels: { ...labels, ...(kind === 'ReplicaSet' && suffix !== '' ? { 'pod-template-hash': HASH } : {}) },
      ownerReferences: [{ apiVersion: 'v1', kind, name: `${owner.name}${suffix}`, uid: 'u', controller: true }],
    },
  };
}

/** What the command line and the webhook may differ in: the maps that a controller has made already, and what was in them before. */
function comparable(operations: readonly Operation[]): readonly Operation[] {
  return JSON.parse(
    JSON.stringify(operations.filter(({ path }) => path !== '/metadata')).replaceAll('0.0.0-test', VERSION),
  ) as readonly Operation[];
}

describe('the command line over the corpus', function () {
  this.timeout(120_000);
  const texts = corpusFiles().map((file) => [file.split('/').slice(-2).join('/'), readFileSync(file, 'utf8')] as const);

  it('leaves a file in which nobody asks as it is, byte for byte, or says what is wrong with it and where', async function () {
    if (!hasCorpus()) skip(this, CORPUS_MISSING);
    let refused = 0;
    for (const [name, text] of texts) {
      try {
        const { out } = await runCommand(runInject, ['-f', '-'], { '-': text });
        assert.equal(out, text, name);
        await runCommand(runLint, ['-f', '-'], { '-': text });
      } catch (error) {
        assert(error instanceof OperationalError, `${name}: ${String(error)}`);
        assert.match(error.message, /^read \(stdin\): line \d+, column \d+: expected YAML or JSON/, name);
        refused += 1;
      }
    }
    assert(refused <= 2, `${refused} of ${texts.length} refused`);
  });

  it('gives every pod template the operations of the webhook', async function () {
    if (!hasCorpus()) skip(this, CORPUS_MISSING);
    const { handler } = testWebhook(WEBHOOK);
    let compared = 0;
    for (const [name, text] of texts.filter(([, candidate]) => isReadable(candidate))) {
      const { out } = await runCommand(runInject, [...ASKING, '-o', 'patch'], { '-': text, 'webhook.yaml': CONFIG });
      const lines = out.split('\n').filter((line) => line !== '');
      const templates = readManifest(name, text).documents.flatMap(({ value }) =>
        objectsOf(value).flatMap(templatesOf),
      );
      assert.equal(lines.length, templates.length, name);
      for (const [i, template] of templates.entries()) {
        const { patch, namespace } = JSON.parse(lines[i] ?? '') as { patch: Operation[]; namespace: string };
        if (namespace === 'kube-system') {
          assert.deepEqual(patch, [], name);
          continue;
        }
        const prefix = template.path.map((key) => `/${String(key)}`).join('');
        const own = patch.map((operation) => ({ ...operation, path: operation.path.slice(prefix.length) }));
        const { operations } = await ask(handler, reviewOf(podOf(template), namespace));
        assert.deepEqual(comparable(own), comparable(operations), `${name} ${template.object.name}`);
        compared += 1;
      }
    }
    assert(compared >= 80, `${compared} templates`);
  });

  it('injects twice as once, and uninject gives the text back', async function () {
    if (!hasCorpus()) skip(this, CORPUS_MISSING);
    const files = { 'webhook.yaml': CONFIG };
    let injected = 0;
    for (const [name, text] of texts.filter(([, candidate]) => isReadable(candidate))) {
      const there = await runCommand(runInject, ASKING, { ...files, '-': text });
      assert.equal((await runCommand(runInject, ASKING, { ...files, '-': there.out })).out, there.out, name);
      const { out } = await runCommand(runUninject, ['-f', '-'], { '-': there.out });
      assert.equal(out, text, name);
      if (there.out !== text) injected += 1;
    }
    assert(injected > texts.length / 2, `${injected} of ${texts.length} files changed`);
  });

  it('finds nothing but pods in them', function () {
    if (!hasCorpus()) skip(this, CORPUS_MISSING);
    for (const [name, text] of texts.filter(([, candidate]) => isReadable(candidate))) {
      for (const { value } of readManifest(name, text).documents) {
        for (const { path, value: template } of objectsOf(value).flatMap(templatesOf)) {
          assert(isDeepStrictEqual(valueAt(value, path), template), name);
          assert(Array.isArray(at(template, 'spec', 'containers')), name);
        }
      }
    }
  });
});

function isReadable(text: string): boolean {
  try {
    readManifest('m', text);
    return true;
  } catch {
    return false;
  }
}

function valueAt(document: Json, path: readonly (string | number)[]): Json | undefined {
  return path.reduce<Json | undefined>(
    (value, key) =>
      typeof key === 'number' ? (Array.isArray(value) ? (value[key] as Json) : undefined) : at(value, key),
    document,
  );
}
