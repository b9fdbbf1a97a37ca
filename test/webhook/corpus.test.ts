/**
 * Every pod template of the corpus (CORPUS_DIR, default ../shared/corpus beside the checkout), in every shape that we inject.
 *
 * Without the folder the suite is pending with the reason in its name; the rules have golden cases of our own as well.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { parseAllDocuments } from 'yaml';

import { applyJsonPatch } from '../../src/kube/json-patch.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { isList, isObject, listAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';
import { CORPUS_PREFIX, skip } from '../skip.ts';
import { withoutOurs } from './survival.ts';

const FOLDER = resolve(process.env['CORPUS_DIR'] ?? join(import.meta.dirname, '../../../shared/corpus'), 'pods');
const isThere = existsSync(FOLDER);
/** DESIGN names this one skip that CI allows. */
const REASON = `${CORPUS_PREFIX}there is no folder with third-party pods; CORPUS_DIR names it`;

interface Template {
  readonly name: string;
  readonly pod: JsonObject;
}

/** Pod templates at any depth of the documents of a file; what is no YAML has none. */
function templatesOf(file: string): readonly Template[] {
  const found: Template[] = [];
  const walk = (value: Json, path: string): void => {
    if (isList(value)) value.forEach((item, i) => walk(item, `${path}[${i}]`));
    if (!isObject(value)) return;
    if (listAt(value, 'spec', 'containers').length > 0) {
      const metadata = isObject(value['metadata']) ? value['metadata'] : {};
      found.push({ name: path, pod: { ...value, apiVersion: 'v1', kind: 'Pod', metadata } });
    }
    for (const [key, member] of Object.entries(value)) walk(member, `${path}.${key}`);
  };
  parseAllDocuments(readFileSync(file, 'utf8')).forEach((document, i) => {
    if ('toJS' in document && document.errors.length === 0)
      walk(document.toJS() as Json, `${file.slice(FOLDER.length + 1)}#${i}`);
  });
  return found;
}

function annotated(pod: JsonObject): JsonObject {
  const metadata = isObject(pod['metadata']) ? pod['metadata'] : {};
  const annotations = isObject(metadata['annotations']) ? metadata['annotations'] : {};
  return {
    ...pod,
    metadata: {
      ...metadata,
      annotations: {
        ...annotations,
        'logging.io/inject': 'true',
        'logging.io/files': '/var/log/app/*.log,/data/**/*.log',
        'logging.io/sink': 'elasticsearch,cloudwatch',
        'logging.io/service-account': 'logtender-forwarder',
      },
    },
  };
}

const SHAPES: readonly (readonly [string, ClusterCase])[] = [
  ['native', { accounts: ['logtender-forwarder'] }],
  ['native, account required', { accounts: ['logtender-forwarder'], config: { serviceAccountMode: 'require' } }],
  ['plain', { kubelets: 'old' }],
];

describe(isThere ? 'admission, corpus' : `admission, corpus (skipped)`, () => {
  const files = isThere
    ? readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'))
    : [];
  const templates = files.toSorted().flatMap((name) => templatesOf(join(FOLDER, name)));

  it('holds at least 80 templates', function () {
    if (!isThere) skip(this, REASON);
    assert(templates.length >= 80, `${templates.length} templates in ${files.length} files`);
  });

  for (const [shape, cluster] of SHAPES) {
    it(`${shape}: injected without loss, twice is once`, async function () {
      if (!isThere) skip(this, REASON);
      const { handler } = testWebhook(cluster);
      let injected = 0;
      for (const { name, pod: original } of templates) {
        const pod = annotated(original);
        const answer = await ask(handler, reviewOf(pod));
        assert.equal(answer.status, 200, name);
        assert.equal(answer.allowed, true, name);
        const patched = applyPatch(pod, answer.operations);
        const second = applyJsonPatch(pod, answer.operations);
        assert(second.ok, `${name}: ${second.ok ? '' : second.text}`);
        assert.deepEqual(second.value, patched, name);
        assert.deepEqual(withoutOurs(patched), withoutOurs(pod), name);
        assert.deepEqual((await ask(handler, reviewOf(patched))).operations, [], name);
        if (answer.reason.startsWith('injected')) injected += 1;
      }
      assert(injected > templates.length / 2, `${injected} of ${templates.length} injected`);
    });
  }
});
