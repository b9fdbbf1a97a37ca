/**
 * `logtender check injection`: what it says of each outcome, and that it asks for nothing but a dry run.
 */
import assert from 'node:assert/strict';

import { checkInjection } from '../../../src/cli/check-injection.ts';
import { failureOf } from '../../../src/kube/client.ts';
import type { KubeClient, KubeObject, KubeResult, WriteOptions } from '../../../src/kube/client.ts';
import { createFakeKube } from '../../fakes/kube.ts';

interface Asked {
  readonly path: string;
  readonly options: WriteOptions | undefined;
}

async function outcome(
  answer: (pod: KubeObject) => KubeResult,
): Promise<{ text: string; ok: boolean; asked: Asked[] }> {
  const asked: Asked[] = [];
  const client: KubeClient = {
    ...createFakeKube(),
    create: async (path, body, options) => {
      asked.push({ path, options });
      return answer(body as KubeObject);
    },
  };
  return { ...(await checkInjection(client, 'shop')), asked };
}

const given = (value: KubeObject): KubeResult => ({ ok: true, value });

describe('logtender check injection', () => {
  for (const [list, shape] of [
    ['initContainers', 'native'],
    ['containers', 'plain'],
  ] as const) {
    it(`finds a ${shape} sidecar, by a dry run alone`, async () => {
      const { ok, text, asked } = await outcome((pod) => given({ ...pod, spec: { [list]: [{ name: 'logtender' }] } }));
      assert.deepEqual([ok, text], [true, `a pod in shop gets its sidecar (${shape})`]);
      assert.deepEqual(
        asked.map(({ path, options }) => [path, options?.query]),
        [['/api/v1/namespaces/shop/pods', { dryRun: 'All' }]],
      );
    });
  }

  it('a pod that comes back as it was did not meet the webhook', async () => {
    const { ok, text } = await outcome(given);
    assert.equal(ok, false);
    assert.match(text, /^a pod in shop gets no sidecar: it was not sent to the webhook/);
  });

  it('a pod that was left alone says why', async () => {
    const status = '{"decision":"skipped","reason":"paused"}';
    const { ok, text } = await outcome((pod) =>
      given({ ...pod, metadata: { ...pod.metadata, annotations: { 'logging.io/status': status } } }),
    );
    assert.equal(ok, false);
    assert.ok(text.endsWith(status));
  });

  it('a refusal is told in the words of the API server', async () => {
    const { ok, text } = await outcome(() => failureOf(403, { message: 'pods is forbidden' }));
    assert.deepEqual([ok, text], [false, 'a pod in shop was refused: pods is forbidden']);
  });
});
