/** The retry schedule: bounded, jittered, and never earlier than the server asked. */
import assert from 'node:assert/strict';
import { backoffMs } from '../../../src/core/backoff.ts';

const backoff = { baseMs: 200, maxMs: 30_000 };

describe('backoffMs', () => {
  const table: ReadonlyArray<
    readonly [name: string, attempt: number, random: number, retryAfterMs: number, want: number]
  > = [
    ['first retry, lowest chance', 1, 0, 0, 0],
    ['first retry, highest chance', 1, 0.999_999, 0, 200],
    ['doubles', 4, 0.999_999, 0, 1600],
    ['is cut at the maximum', 20, 0.999_999, 0, 30_000],
    ['does not overflow', 5000, 0.5, 0, 15_000],
    ['waits at least as long as the server asked', 1, 0, 5000, 5000],
    ['the jitter may wait longer than the server asked', 20, 0.5, 5000, 15_000],
  ];
  for (const [name, attempt, random, retryAfterMs, want] of table) {
    it(name, () =>
      assert.equal(
        backoffMs(backoff, attempt, () => random, retryAfterMs),
        want,
      ),
    );
  }
});
