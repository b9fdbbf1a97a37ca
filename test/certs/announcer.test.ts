/**
 * Events of the certificate manager: each step and each trouble in words, once, on the Secret of the CA state.
 */
import assert from 'node:assert/strict';

import { createAnnouncer } from '../../certs/announcer.ts';
import { toPem } from '../../certs/bundle.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createEventWriter } from '../../src/kube/events.ts';
import { corePath } from '../../src/kube/paths.ts';
import { createFakeKube } from '../fakes/kube.ts';
import {
  CA_PATH,
  CONFIGURATION_PATH,
  MINUTE_MS,
  NAMESPACE,
  setBundle,
  SETTINGS,
  smallWorld,
  TICK_MS,
  TLS_PATH,
} from './small-world.ts';
import type { SmallWorld } from './small-world.ts';

describe('announcer', () => {
  let world: SmallWorld;
  afterEach(() => world.close());

  /** A world whose rounds are announced, and the reasons told so far. */
  async function announced(isSpeaker = true): Promise<() => Promise<readonly string[]>> {
    world = await smallWorld();
    const kube = createFakeKube();
    const { clock } = world;
    const metrics = createMetrics();
    const events = createEventWriter({ client: kube, clock, log: silentLog, metrics, component: 'logtender-certs' });
    const announce = createAnnouncer({
      events,
      namespace: NAMESPACE,
      secret: 'logtender-ca',
      isSpeaker: () => isSpeaker,
    });
    let done = 0;
    return async () => {
      for (; done < world.rounds.length; done += 1) {
        const round = world.rounds[done];
        if (round !== undefined) announce(round);
        await events.close();
      }
      const list = await kube.others.list(corePath(NAMESPACE, 'events'));
      assert.ok(list.ok);
      return list.value.items.map((event) => {
        assert.deepEqual(event['involvedObject'], {
          apiVersion: 'v1',
          kind: 'Secret',
          name: 'logtender-ca',
          namespace: NAMESPACE,
        });
        assert.ok(!JSON.stringify(event).includes('BEGIN'));
        return `${String(event['type'])} ${String(event['reason'])}`;
      });
    };
  }

  const FIRST = ['Normal CaCreated', 'Normal CaBundlePublished', 'Normal LeafIssued'];

  it('first start and a rotation by order, step by step', async () => {
    const told = await announced();
    world.start();
    await world.pass(1_000);
    assert.deepEqual(await told(), FIRST);
    const patch = { metadata: { annotations: { 'logging.io/rotate': 'compromised@1' } } };
    await world.kube.others.patch(CA_PATH, patch, 'application/merge-patch+json');
    await world.pass(3 * SETTINGS.settleMs + 3 * TICK_MS);
    assert.deepEqual((await told()).slice(3), [
      'Normal RotationRequested',
      'Normal CaGenerated',
      'Normal CaBundlePublished',
      'Normal CaPromoted',
      'Normal LeafIssued',
      'Warning CaDistrusted',
      'Normal CaBundlePublished',
      'Normal CaPruned',
      'Normal LeafIssued',
    ]);
  });

  const troubles: ReadonlyArray<readonly [name: string, does: () => Promise<unknown>, told: string]> = [
    [
      'a caBundle that somebody emptied',
      () => world.kube.others.patch(CONFIGURATION_PATH, setBundle(1, ''), 'application/json-patch+json'),
      'Warning CaBundleRepaired',
    ],
    ['a CA Secret that was deleted', () => world.kube.others.delete(CA_PATH), 'Warning SecretRestored'],
    ['a serving Secret that was deleted', () => world.kube.others.delete(TLS_PATH), 'Warning SecretRestored'],
    [
      'a Secret that belongs to somebody else',
      () =>
        world.kube.others.patch(
          CA_PATH,
          { metadata: { labels: { 'logging.io/owned-by': 'me' } } },
          'application/merge-patch+json',
        ),
      'Warning SecretForeign',
    ],
    [
      'an annotation that is no request',
      () =>
        world.kube.others.patch(
          CA_PATH,
          { metadata: { annotations: { 'logging.io/rotate': 'now!' } } },
          'application/merge-patch+json',
        ),
      'Warning RotationRequestRefused',
    ],
  ];
  for (const [name, does, expected] of troubles) {
    it(`${name}: told once in ten minutes`, async () => {
      const told = await announced();
      world.start();
      await world.pass(1_000);
      await told();
      await does();
      await world.pass(9 * MINUTE_MS);
      assert.deepEqual((await told()).slice(3), [expected]);
    });
  }

  it('somebody who fights over the caBundle is told of, once', async () => {
    const told = await announced();
    const rotator = world.start();
    await world.pass(1_000);
    for (let second = 0; second < 60; second += 1) {
      await world.kube.others.patch(CONFIGURATION_PATH, setBundle(0, toPem([])), 'application/json-patch+json');
      rotator.wake();
      await world.pass(1_000);
    }
    assert.deepEqual((await told()).slice(3), ['Warning CaBundleRepaired', 'Warning CaBundleFlapping']);
  });

  it('a replica without the Lease tells what it did, and leaves states to the holder', async () => {
    const told = await announced(false);
    world.start();
    await world.pass(1_000);
    await world.kube.others.patch(
      TLS_PATH,
      { metadata: { labels: { 'logging.io/owned-by': 'me' } } },
      'application/merge-patch+json',
    );
    await world.pass(2 * TICK_MS);
    assert.deepEqual(await told(), FIRST);
  });
});
