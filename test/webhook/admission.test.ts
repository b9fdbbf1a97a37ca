/**
 * Golden cases: one folder each under test/fixtures/admission. `UPDATE_GOLDEN=1` writes what is there now.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { applyJsonPatch } from '../../src/kube/json-patch.ts';
import { isObject, textAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { ask, podOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';
import { withoutOurs } from './survival.ts';

const ROOT = join(import.meta.dirname, '../fixtures/admission');
const isUpdating = process.env['UPDATE_GOLDEN'] === '1';

function read(name: string, file: string): Json {
  return JSON.parse(readFileSync(join(ROOT, name, file), 'utf8')) as Json;
}

/** Compares with the golden file, or writes it. */
function golden(name: string, file: string, found: unknown): void {
  const text = `${JSON.stringify(found, null, 2)}\n`;
  if (isUpdating) writeFileSync(join(ROOT, name, file), text);
  assert.deepEqual(JSON.parse(text), read(name, file), `${name}/${file}`);
}

function withPod(review: JsonObject, pod: JsonObject): JsonObject {
  const request = review['request'];
  assert(isObject(request));
  return { ...review, request: { ...request, object: pod } };
}

describe('admission, golden cases', () => {
  const names = readdirSync(ROOT).toSorted();
  it('there are cases', () => assert(names.length >= 30));
  for (const name of names) {
    it(name, async () => {
      const review = read(name, 'review.json');
      assert(isObject(review));
      const cluster = existsSync(join(ROOT, name, 'cluster.json')) ? (read(name, 'cluster.json') as ClusterCase) : {};
      const { handler, events } = testWebhook(cluster);
      const answer = await ask(handler, review);
      const { status, allowed, uid, reason, message, warnings, operations } = answer;
      assert.equal(uid, textAt(review, 'request', 'uid'));
      golden(name, 'expected-answer.json', { status, allowed, reason, message, warnings, events });
      golden(name, 'expected-patch.json', operations);

      const pod = podOf(review);
      const patched = applyPatch(pod, operations);
      const second = applyJsonPatch(pod, operations);
      assert(second.ok, second.ok ? '' : second.text);
      assert.deepEqual(second.value, patched, 'two implementations of RFC 6902 agree');
      assert.deepEqual(withoutOurs(patched), withoutOurs(pod), 'nothing of the pod is lost');

      const again = await ask(handler, withPod(review, patched));
      assert.deepEqual(again.operations, [], 'injecting twice is injecting once');
      assert.deepEqual(again.warnings, warnings, 'the second pass says the same');
    });
  }
});
