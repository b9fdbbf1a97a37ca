/**
 * Events on owners: once, bounded, without values.
 */
import assert from 'node:assert/strict';

import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { corePath } from '../../src/kube/paths.ts';
import { createEvents } from '../../webhook/events.ts';
import type { Announcement } from '../../webhook/events.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

function announcement(owner: string, more: Partial<Announcement> = {}): Announcement {
  return {
    namespace: 'shop',
    owner: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: `uid-${owner}` },
    reason: 'injected_degraded',
    findings: [{ code: 'invalid_value', key: 'sink', detail: 'got CANARY' }],
    ...more,
  };
}

function setUp(): {
  kube: ReturnType<typeof createFakeKube>;
  clock: VirtualClock;
  events: ReturnType<typeof createEvents>;
  metrics: ReturnType<typeof createMetrics>;
} {
  const kube = createFakeKube();
  const clock = new VirtualClock();
  const metrics = createMetrics();
  return { kube, clock, metrics, events: createEvents({ client: kube, clock, log: silentLog, metrics }) };
}

describe('events', () => {
  it('stand on the owner, with code and keys and no value', async () => {
    const { kube, events } = setUp();
    events.announce(announcement('web'));
    await events.close();
    const list = await kube.others.list(corePath('shop', 'events'));
    assert(list.ok);
    const [event] = list.value.items;
    assert(event !== undefined);
    assert.deepEqual([event['reason'], event['type']], ['InjectedDegraded', 'Warning']);
    assert.deepEqual(event['involvedObject'], {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'web',
      uid: 'uid-web',
      namespace: 'shop',
    });
    assert.match(String(event['message']), /invalid_value:sink/);
    assert(!JSON.stringify(event).includes('CANARY'));
  });

  it('are said once in ten minutes for each owner and word', async () => {
    const { kube, clock, events } = setUp();
    for (let i = 0; i < 5; i += 1) events.announce(announcement('web'));
    events.announce(announcement('other'));
    events.announce(announcement('web', { findings: [] }));
    await events.close();
    assert.equal(kube.calls.length, 3);
    await clock.advance(10 * 60_000, 0);
    events.announce(announcement('web'));
    await events.close();
    assert.equal(kube.calls.length, 4);
  });

  it('are bounded in rate, and what is left out is counted', async () => {
    const { kube, clock, events, metrics } = setUp();
    for (let i = 0; i < 100; i += 1) {
      events.announce(announcement(`web-${i}`));
      await events.close();
    }
    assert.equal(kube.calls.length, 25);
    assert.match(metrics.expose(), /logtender_events_total\{result="limited"\} 75/);
    await clock.advance(2_000, 0);
    for (let i = 0; i < 5; i += 1) events.announce(announcement(`late-${i}`));
    await events.close();
    assert.equal(kube.calls.length, 27, 'one a second');
  });

  it('a failure is counted and never thrown', async () => {
    const { kube, events, metrics } = setUp();
    kube.fail = () => ({ ok: false, kind: 'forbidden', status: 403, text: '', retryAfterMs: 0 });
    events.announce(announcement('web'));
    await events.close();
    assert.match(metrics.expose(), /logtender_events_total\{result="failed"\} 1/);
  });
});
