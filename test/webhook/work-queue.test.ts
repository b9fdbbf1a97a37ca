/** The queue that is bounded by time: order, bound, recovery, and what it learns. */
import assert from 'node:assert/strict';

import { createWorkQueue } from '../../webhook/work-queue.ts';
import type { Place, WorkQueue } from '../../webhook/work-queue.ts';

const SMALL = 1_000;
const MIDDLE = 30 * 1024;
const BIG = 100 * 1024;
const LARGE = 10 * 1024 * 1024;
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('work queue', () => {
  let nowMs = 0;
  let queue: WorkQueue;
  let ran: number[] = [];

  beforeEach(() => {
    nowMs = 0;
    ran = [];
    queue = createWorkQueue({ clock: { monotonic: () => nowMs } });
  });

  /** Work that takes so long. */
  const work = (id: number, costMs: number) => async (): Promise<number> => {
    ran.push(id);
    nowMs += costMs;
    return id;
  };

  function enter(bytes = SMALL): Place {
    const place = queue.enter(bytes);
    assert(place !== undefined, 'let in');
    return place;
  }

  async function learn(bytes: number, costMs: number): Promise<void> {
    for (let i = 0; i < 200; i += 1) {
      await enter(bytes).run(bytes, work(-1, costMs));
      await turn();
    }
    ran = [];
  }

  /** How many are let in at this moment. */
  function places(most: number, bytes = SMALL): Place[] {
    return Array.from({ length: most }, () => queue.enter(bytes)).filter((place) => place !== undefined);
  }

  it('runs at once what comes alone', async () => {
    const running = enter().run(SMALL, work(1, 0.3));
    assert.deepEqual(ran, [1], 'in the same turn');
    assert.equal(await running, 1);
  });

  it('keeps the order of those that wait, one a turn', async () => {
    await learn(SMALL, 6);
    const results = places(4).map((place, i) => place.run(SMALL, work(i, 6)));
    assert.deepEqual(ran, [0], 'one is a whole turn');
    await turn();
    assert.deepEqual(ran, [0, 1]);
    assert.deepEqual(await Promise.all(results), [0, 1, 2, 3].slice(0, results.length));
  });

  for (const { name, bytes, least, most } of [
    { name: '20 ms of middle bodies', bytes: MIDDLE, least: 9, most: 11 },
    { name: '10 ms of large bodies', bytes: BIG, least: 4, most: 6 },
  ]) {
    it(`lets in ${name}, refuses more, and lets in again when less is left`, async () => {
      await learn(bytes, 2);
      const inside = places(64, bytes);
      // The estimate swings around what was measured.
      assert(inside.length >= least && inside.length <= most, String(inside.length));
      assert.equal(queue.enter(bytes), undefined);
      const results = inside.map((place, i) => place.run(bytes, work(i, 2)));
      assert.notEqual(queue.enter(bytes), undefined, 'what has run is not waited for');
      await Promise.all(results);
    });
  }

  it('takes a body of unknown length for a large one', async () => {
    await learn(BIG, 2);
    places(64, BIG);
    assert.equal(queue.enter(0), undefined);
  });

  it('lets in 400 ms of ordinary pods, whatever else there is, and large bodies beside them', async () => {
    await learn(BIG, 2);
    await learn(SMALL, 2);
    places(64, BIG);
    const inside = places(1_000);
    assert(inside.length >= 185 && inside.length <= 215, String(inside.length));
    for (const place of inside) place.leave();
    assert.equal(queue.enter(BIG), undefined, 'they are counted apart');
  });

  it('takes anything when nobody is before it, however long it will take', async () => {
    await learn(LARGE, 400);
    const first = enter(LARGE);
    assert.equal(queue.enter(LARGE), undefined);
    assert.equal(await first.run(LARGE, work(1, 400)), 1);
    await turn();
    assert.notEqual(queue.enter(LARGE), undefined);
  });

  it('a place that is left, or whose body takes long to arrive, is free again', async () => {
    await learn(BIG, 2);
    const inside = places(64, BIG);
    assert.equal(queue.enter(BIG), undefined);
    inside[0]?.leave();
    inside[0]?.leave();
    const again = enter(BIG);
    assert.equal(queue.enter(BIG), undefined);
    nowMs += 250;
    assert(places(64, BIG).length >= 4, 'slow clients keep nobody out');
    assert.equal(await again.run(BIG, work(7, 2)), 7, 'and are answered when they have come');
  });

  it('large bodies teach it nothing about small ones, nor does one stall', async () => {
    await learn(1024 * 1024, 50);
    await learn(SMALL, 0.2);
    await enter().run(SMALL, work(1, 5_000));
    await turn();
    assert.equal(places(64).length, 64);
  });

  it('work that waits for somebody else neither counts nor is in the way', async () => {
    await learn(SMALL, 0.2);
    const gate = Promise.withResolvers<void>();
    const waiting = Array.from({ length: 100 }, () =>
      enter().run(SMALL, async () => {
        await gate.promise;
        nowMs += 1_000;
      }),
    );
    for (let i = 0; i < 110; i += 1) await turn();
    assert.equal(await enter().run(SMALL, work(1, 0.2)), 1);
    gate.resolve();
    await Promise.all(waiting);
    assert.equal(places(64).length, 64, 'what it took while others were waited for is not believed');
  });

  it('a failure reaches who asked, and the queue goes on', async () => {
    await learn(SMALL, 6);
    const failing = async (): Promise<never> => {
      throw new Error('on order');
    };
    const [a, b, c] = [enter(), enter(), enter()];
    const settled = await Promise.allSettled([
      a.run(SMALL, work(1, 6)),
      b.run(SMALL, failing),
      c.run(SMALL, work(2, 6)),
    ]);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });
});
