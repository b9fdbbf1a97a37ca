/**
 * Annotations near the size that the API server lets an object have: our own never push a pod over it.
 */
import assert from 'node:assert/strict';

import { isObject, textMapAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';

/** apimachinery, TotalAnnotationSizeLimitB. */
const LIMIT = 262_144;
const { handler } = testWebhook({ accounts: ['logtender-forwarder'] });

function bytesOf(pod: JsonObject): number {
  return [...textMapAt(pod, 'metadata', 'annotations')].reduce((sum, [k, v]) => sum + Buffer.byteLength(k + v), 0);
}

/** A pod whose annotations leave `room` bytes. */
function podWith(room: number, inject = 'true', filler = 'x'): JsonObject {
  const annotations = {
    'logging.io/inject': inject,
    'logging.io/files': '/var/log/app/*.log',
    'logging.io/service-account': 'logtender-forwarder',
    filling: '',
  };
  const pod = {
    metadata: { name: 'web', annotations },
    spec: { containers: [{ name: 'app' }], serviceAccountName: 'default' },
  };
  const size = Math.floor((LIMIT - room - bytesOf(pod)) / Buffer.byteLength(filler));
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...annotations, filling: filler.repeat(size) } } };
}

function statusOf(pod: JsonObject): Readonly<Record<string, Json>> | undefined {
  const text = textMapAt(pod, 'metadata', 'annotations').get('logging.io/status');
  if (text === undefined) return undefined;
  const status = JSON.parse(text) as Json;
  assert(isObject(status));
  return status;
}

describe('room for annotations', () => {
  it('with plenty the status is long', async () => {
    const pod = podWith(10_000);
    const status = statusOf(applyPatch(pod, (await ask(handler, reviewOf(pod))).operations));
    assert(status !== undefined && 'destinations' in status && 'findings' in status);
  });

  for (const filler of ['x', 'ü']) {
    it(`with little it is short, and a second pass changes nothing (${filler})`, async () => {
      const pod = podWith(900, 'true', filler);
      const answer = await ask(handler, reviewOf(pod));
      const patched = applyPatch(pod, answer.operations);
      assert.deepEqual(Object.keys(statusOf(patched) ?? {}), ['decision', 'reason', 'version', 'config', 'originals']);
      assert.equal(answer.reason, 'injected');
      assert(bytesOf(patched) <= LIMIT);
      assert.deepEqual((await ask(handler, reviewOf(patched))).operations, []);
    });
  }

  it('with none the pod stays as it is, and a warning and an Event say why', async () => {
    const webhook = testWebhook({ accounts: ['logtender-forwarder'] });
    const pod = podWith(50);
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u', controller: true };
    const metadata = pod['metadata'];
    assert(isObject(metadata));
    const owned = { ...pod, metadata: { ...metadata, ownerReferences: [owner] } };
    const answer = await ask(webhook.handler, reviewOf(owned));
    assert.deepEqual([answer.allowed, answer.reason, answer.operations], [true, 'annotations_full', []]);
    assert.match(answer.warnings.join('\n'), /not injected: the annotations of the pod/);
    assert.deepEqual(
      webhook.events.map((event) => event.reason),
      ['annotations_full'],
    );
  });

  it('at every size nothing of ours goes over the limit', async () => {
    const seen = new Set<string>();
    for (const inject of ['true', 'yes']) {
      for (let room = 0; room <= 2_400; room += 40) {
        const pod = podWith(room, inject);
        const answer = await ask(handler, reviewOf(pod));
        const patched = applyPatch(pod, answer.operations);
        const bytes = bytesOf(patched);
        assert(bytes <= LIMIT, `${inject}, ${room}: ${bytes}`);
        seen.add(`${answer.reason} ${Object.keys(statusOf(patched) ?? {}).length > 5}`);
      }
    }
    assert.deepEqual(
      [...seen].toSorted(),
      [
        'annotations_full false',
        'inject_invalid false',
        'injected false',
        'injected true',
        'inject_invalid true',
      ].toSorted(),
    );
  });

  it('a pod that is over the limit by itself is the API server’s to refuse', async () => {
    const answer = await ask(handler, reviewOf(podWith(-100)));
    assert.deepEqual([answer.allowed, answer.reason, answer.operations], [true, 'annotations_full', []]);
  });
});
