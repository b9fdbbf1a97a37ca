/**
 * Every pod template of the corpus (CORPUS_DIR, default ../shared/corpus beside the checkout), in every shape that we inject.
 *
 * Without the folder the suite is pending with the reason in its name; the rules have golden cases of our own as well.
 */
import assert from 'node:assert/strict';

import { applyJsonPatch } from '../../src/kube/json-patch.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { CORPUS_MISSING, corpusTemplates, hasCorpus, withAnnotations } from '../corpus-pods.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';
import { skip } from '../skip.ts';
import { withoutOurs } from './survival.ts';

function annotated(pod: JsonObject): JsonObject {
  return withAnnotations(pod, {
    'logging.io/inject': 'true',
    'logging.io/files': '/var/log/app/*.log,/data/**/*.log',
    'logging.io/sink': 'elasticsearch,cloudwatch',
    'logging.io/service-account': 'logtender-forwarder',
  });
}

const SHAPES: readonly (readonly [string, ClusterCase])[] = [
  ['native', { accounts: ['logtender-forwarder'] }],
  ['native, account required', { accounts: ['logtender-forwarder'], config: { serviceAccountMode: 'require' } }],
  ['plain', { kubelets: 'old' }],
];

describe(hasCorpus() ? 'admission, corpus' : `admission, corpus (skipped)`, () => {
  const templates = corpusTemplates();

  it('holds at least 80 templates', function () {
    if (!hasCorpus()) skip(this, CORPUS_MISSING);
    assert(templates.length >= 80, `${templates.length} templates`);
  });

  for (const [shape, cluster] of SHAPES) {
    it(`${shape}: injected without loss, twice is once`, async function () {
      if (!hasCorpus()) skip(this, CORPUS_MISSING);
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
