/** The webhook's view of its own configuration: told of changes, and never old for longer than it may be, even when a watch is dead. */
import assert from 'node:assert/strict';

import { silentLog } from '../../src/core/log.ts';
import { webhookConfigurationPath } from '../../src/kube/paths.ts';
import { watchTrust } from '../../webhook/live-trust.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

const NAME = 'logtender-injector';
/** In which readiness has to tell the truth. */
const TRUTH_MS = 60_000;

describe('live trust of the webhook', () => {
  const configuration = (...names: readonly string[]): { metadata: { name: string }; webhooks: readonly object[] } => ({
    metadata: { name: NAME },
    webhooks: names.map((name) => ({ name, clientConfig: {} })),
  });

  it('a watch that died in silence hides nothing for a minute', async () => {
    const clock = new VirtualClock();
    const kube = createFakeKube();
    const silent = {
      ...kube,
      watch: (_path: string, _query: unknown, _onEvent: unknown, signal: AbortSignal) =>
        new Promise<{ ok: true; value: 'ended' }>((resolve) => {
          signal.addEventListener('abort', () => resolve({ ok: true, value: 'ended' }), { once: true });
        }),
    };
    const trust = watchTrust({ client: silent, clock, random: () => 0.5, log: silentLog, name: NAME });
    await clock.quiet(1);
    assert.equal(trust.entries(), undefined, 'not there yet');
    let told = 0;
    trust.onChange(() => (told += 1));
    await kube.others.create(webhookConfigurationPath(), configuration('a', 'b'));
    await clock.advance(TRUTH_MS, 1);
    assert.deepEqual(
      trust.entries()?.map(({ name }) => name),
      ['a', 'b'],
    );
    assert.equal(told, 1);
    await kube.others.delete(webhookConfigurationPath(NAME));
    await clock.advance(TRUTH_MS, 1);
    assert.equal(trust.entries(), undefined);
    await trust.close();
  });
});
