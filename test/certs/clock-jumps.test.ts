/**
 * Time that jumps or stands still: at any state of a rotation nothing is served that is not trusted, and what fell due is done within one
 * tick of a resumed machine. No timer is longer than a tick, whatever lies ahead.
 */
import assert from 'node:assert/strict';

import { chainVerifies } from '../../certs/bundle.ts';
import type { Settings } from '../../certs/decide.ts';
import { openOrders } from '../../certs/orders.ts';
import { CA_PATH, DAY_MS, MINUTE_MS, SETTINGS, smallWorld, TICK_MS } from './small-world.ts';
import type { SmallWorld } from './small-world.ts';

/** Steps of the first start: CA, caBundle, leaf. */
const FIRST_STEPS = 3;
/** Steps of a rotation by order, the longest there is. */
const ROTATION_STEPS = 9;

describe('clock jumps', () => {
  let world: SmallWorld;
  afterEach(() => world.close());

  async function assertTrusted(when: string): Promise<void> {
    const { chain, leaf } = await world.pair();
    const nowMs = world.clock.now();
    assert.ok(nowMs >= leaf.notBeforeMs && nowMs < leaf.notAfterMs, `${when}: the leaf is valid`);
    for (const { name, bundle } of await world.entries())
      assert.ok(chainVerifies(chain, bundle.certificates, nowMs), `${when}: ${name} trusts the leaf`);
  }

  for (const minutes of [10, -10]) {
    for (let state = 0; state <= ROTATION_STEPS; state += 1) {
      it(`${minutes} minutes after step ${state} of a rotation: trusted all the time, and it ends`, async () => {
        world = await smallWorld();
        world.start();
        await world.pass(1_000);
        const patch = { metadata: { annotations: { 'logging.io/rotate': `compromised@${state}` } } };
        await world.kube.others.patch(CA_PATH, patch, 'application/merge-patch+json');
        while (world.steps().length < FIRST_STEPS + state) await world.pass(1_000);
        world.clock.jump(minutes * MINUTE_MS);
        for (let second = 0; second < 260; second += 20) {
          await world.pass(20_000);
          await assertTrusted(`${second} s after the jump`);
        }
        assert.deepEqual(openOrders(await world.ca(), await world.pair()), []);
        assert.equal(world.steps().length, FIRST_STEPS + ROTATION_STEPS, 'no step twice');
      });
    }
  }

  it('a machine that slept past a renewal renews within one tick of waking (B8 17)', async () => {
    for (const days of [21, 29, 31, 250, 400]) {
      world = await smallWorld();
      world.start();
      await world.pass(1_000);
      const before = (await world.pair()).leaf.fingerprint;
      // Asleep: the wall clock went on, monotonic time and timers did not.
      world.clock.jump(days * DAY_MS);
      await world.pass(TICK_MS);
      assert.notEqual((await world.pair()).leaf.fingerprint, before, `${days} days`);
      await assertTrusted(`${days} days`);
      await world.close();
    }
  });

  describe('lives of a minute (CA 60 s, leaf 20 s)', () => {
    const MINUTE_LIVES: Settings = {
      ...SETTINGS,
      ca: { lifeMs: 60_000, backdateMs: 5_000 },
      leaf: { lifeMs: 20_000, backdateMs: 5_000 },
      settleMs: 2_000,
      pruneMarginMs: 2_000,
      restoreGraceMs: 2_000,
    };
    const TICK_SCALED_MS = 1_000;

    it('ten rotations by themselves, trusted at every second', async () => {
      world = await smallWorld({ tickMs: TICK_SCALED_MS });
      world.start(world.kube, MINUTE_LIVES);
      await world.pass(5_000);
      for (let second = 0; (await world.ca()).generation <= 10; second += 1) {
        assert.ok(second < 700, 'a rotation at least each 70 s');
        await world.pass(1_000);
        await assertTrusted(`second ${second}`);
      }
    });

    for (const minutes of [10, -10]) {
      it(`${minutes} minutes make everything of the past useless: in order again after grace, settle time and two ticks`, async () => {
        world = await smallWorld({ tickMs: TICK_SCALED_MS });
        world.start(world.kube, MINUTE_LIVES);
        for (let second = 5; second < 60; second += 11) {
          await world.pass(11_000);
          world.clock.jump(minutes * MINUTE_MS);
          await world.pass(MINUTE_LIVES.restoreGraceMs + MINUTE_LIVES.settleMs + 2 * TICK_SCALED_MS);
          await assertTrusted(`jump at second ${second}`);
        }
      });
    }
  });

  it('no sleep is longer than a tick, with renewals months away (B8 17)', async () => {
    world = await smallWorld();
    const asked: number[] = [];
    const { sleep } = world.clock;
    world.clock.sleep = (ms, signal) => {
      asked.push(ms);
      return sleep.call(world.clock, ms, signal);
    };
    world.start();
    await world.pass(20 * MINUTE_MS);
    assert.ok(asked.length >= 40, 'it did look');
    assert.ok(Math.max(...asked) <= TICK_MS, `${Math.max(...asked)} ms`);
  });
});
