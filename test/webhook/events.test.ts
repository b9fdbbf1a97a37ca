/**
 * Events on owners: once, bounded, without values.
 */
import assert from 'node:assert/strict';

import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { corePath } from '../../src/kube/paths.ts';
import { reasonText } from '../../webhook/reasons.ts';
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

async function messages(kube: ReturnType<typeof createFakeKube>): Promise<readonly string[]> {
  const list = await kube.others.list(corePath('shop', 'events'));
  assert(list.ok);
  return list.value.items.map((event) => String(event['message']));
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

  it('say of each finding what it means and what to do, in the words of docs/reasons.md, once', async () => {
    const { kube, events } = setUp();
    const findings = [
      { code: 'invalid_value', key: 'sink', level: 'pod' },
      { code: 'invalid_value', key: 'sink', level: 'namespace' },
      { code: 'glob_refused', key: 'files', detail: 'got CANARY' },
      { code: 'grace_short' },
      { code: 'injected' },
    ] as const;
    events.announce(announcement('web', { findings }));
    // The decision's own code has been said already.
    events.announce(announcement('other', { reason: 'inject_invalid', findings: [{ code: 'inject_invalid' }] }));
    await events.close();
    assert.deepEqual(await messages(kube), [
      `${reasonText('injected_degraded')}; invalid_value:sink: ${reasonText('invalid_value')}; glob_refused:files: ${reasonText('glob_refused')}; grace_short: ${reasonText('grace_short')}`,
      reasonText('inject_invalid'),
    ]);
  });

  it('of many findings say as many as an Event has room for, and how many more there are', async () => {
    const { kube, events } = setUp();
    const keys = Array.from({ length: 40 }, (_, i) => `key-${i}`);
    events.announce(announcement('web', { findings: keys.map((key) => ({ code: 'invalid_value', key })) }));
    await events.close();
    const [message = ''] = await messages(kube);
    assert(message.length <= 1_000, `${message.length} characters`);
    const shown = message.match(/invalid_value:key-\d+: /g)?.length ?? 0;
    assert(shown > 5 && message.endsWith(`; and ${40 - shown} more`), message);
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
