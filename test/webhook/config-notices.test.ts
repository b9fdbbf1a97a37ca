/**
 * Events about the configuration: on the ConfigMap, by its uid, and never a failure.
 */
import assert from 'node:assert/strict';

import { silentLog } from '../../src/core/log.ts';
import { failureOf } from '../../src/kube/client.ts';
import type { KubeEvent } from '../../src/kube/events.ts';
import { corePath } from '../../src/kube/paths.ts';
import { createConfigNotices } from '../../webhook/config-notices.ts';
import { createFakeKube } from '../fakes/kube.ts';
import type { FakeKube } from '../fakes/kube.ts';

async function told(kube: FakeKube): Promise<readonly KubeEvent[]> {
  const said: KubeEvent[] = [];
  const tell = createConfigNotices({
    client: kube,
    events: { say: (event) => said.push(event) },
    log: silentLog,
    namespace: 'logtender',
    name: 'logtender-config',
  });
  tell({ kind: 'refused', text: 'line 2: imagge: expected a known key' });
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return said;
}

describe('Events about the configuration', () => {
  it('stand on the ConfigMap, found by its uid', async () => {
    const kube = createFakeKube();
    await kube.others.create(corePath('logtender', 'configmaps'), {
      kind: 'ConfigMap',
      metadata: { name: 'logtender-config' },
    });
    const { metadata } = await kube.object(corePath('logtender', 'configmaps', 'logtender-config'));
    assert.deepEqual(await told(kube), [
      {
        namespace: 'logtender',
        regarding: { apiVersion: 'v1', kind: 'ConfigMap', name: 'logtender-config', uid: metadata.uid },
        type: 'Warning',
        reason: 'ConfigRefused',
        message: 'line 2: imagge: expected a known key',
      },
    ]);
  });

  it('stand on its name alone without the right to read it', async () => {
    const kube = createFakeKube();
    kube.fail = () => failureOf(403, 'forbidden');
    assert.deepEqual(
      (await told(kube)).map(({ regarding }) => regarding.uid),
      [undefined],
    );
  });

  it('are left out where there is no ConfigMap', async () => {
    assert.deepEqual(await told(createFakeKube()), []);
  });
});
