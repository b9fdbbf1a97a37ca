/**
 * The system's clock: what a caller may rely on, however coarse its timers are. Only lower bounds: upper ones belong to the machine.
 */
import assert from 'node:assert/strict';

import { systemClock } from '../../../src/core/clock.ts';

describe('system clock', () => {
  it('never ends a sleep too soon', async () => {
    for (const ms of [0.2, 0.9, 1, 1.5, 2.01, 2.99, 3.5, 4.7]) {
      const beganAt = systemClock.monotonic();
      await systemClock.sleep(ms);
      const passed = systemClock.monotonic() - beganAt;
      assert(passed >= ms, `${passed} of ${ms} ms`);
    }
  });

  it('sleeps as long as a timer can count, until it is told to end', async () => {
    const ending = new AbortController();
    let isOver = false;
    const sleeping = systemClock.sleep(2 ** 31 - 1, ending.signal).then(() => (isOver = true));
    await systemClock.sleep(2);
    assert.equal(isOver, false);
    ending.abort();
    await sleeping;
    await systemClock.sleep(1, ending.signal);
  });
});
