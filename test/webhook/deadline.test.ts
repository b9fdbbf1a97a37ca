/** `?timeout=` as API servers send it, and what else may stand there. */
import assert from 'node:assert/strict';
import type { Clock } from '../../src/core/clock.ts';
import { Deadline, deadlineMs } from '../../webhook/deadline.ts';

const TABLE: readonly (readonly [timeout: unknown, ms: number])[] = [
  ['5s', 4_500],
  ['1s', 900],
  ['500ms', 450],
  ['1.5s', 1_350],
  ['1s500ms', 1_350],
  ['1m0s', 9_000],
  ['1m', 9_000],
  ['30s', 9_000],
  ['1h', 9_000],
  ['1000us', 1],
  ['1ns', 1],
  [undefined, 9_000],
  ['', 9_000],
  ['0s', 9_000],
  ['5', 9_000],
  ['-5s', 9_000],
  ['5s5', 9_000],
  ['s', 9_000],
  ['5s ', 9_000],
  [['1s', '2s'], 9_000],
];

describe('deadlineMs', () => {
  for (const [timeout, ms] of TABLE) {
    it(`${JSON.stringify(timeout)} leaves ${ms} ms of 10 s`, () => assert.equal(deadlineMs(timeout, 10_000), ms));
  }
});

describe('Deadline', () => {
  const LENGTH_MS = 900;
  /** The request began at 1,000 and it is 1,100 now; `wake` ends the wait that was asked for. */
  function begun(): { deadline: Deadline; asked: number[]; wake: () => void; ended: () => AbortSignal | undefined } {
    const asked: number[] = [];
    const sleeping = Promise.withResolvers<void>();
    let ended: AbortSignal | undefined;
    const clock: Clock = {
      now: () => 0,
      monotonic: () => 1_100.7,
      sleep: (ms, signal) => {
        asked.push(ms);
        ended = signal;
        return sleeping.promise;
      },
    };
    const deadline = new Deadline({ clock, startedMs: 1_000, lengthMs: () => LENGTH_MS });
    return { deadline, asked, wake: sleeping.resolve, ended: () => ended };
  }

  it('waits for what is left, once however often it is asked, and not at all when nobody asks', () => {
    const { deadline, asked } = begun();
    deadline.end();
    assert.deepEqual(asked, []);
    const { signal } = deadline;
    assert.equal(deadline.signal, signal);
    assert.deepEqual(asked, [LENGTH_MS - 100]);
    assert(!signal.aborted);
  });

  it('aborts its signal when it is reached', async () => {
    const { deadline, wake } = begun();
    const { signal } = deadline;
    wake();
    await Promise.resolve();
    assert(signal.aborted);
  });

  it('ends the wait with the answer', () => {
    const { deadline, ended } = begun();
    assert(!deadline.signal.aborted);
    deadline.end();
    assert.equal(ended()?.aborted, true);
  });
});
