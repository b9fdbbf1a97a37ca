/**
 * The forwarder's soak as people run it, at its short size: rotations, an outage, kills at fault points of the checkpoint and at random
 * moments. The long size is the same command with larger numbers.
 */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { run } from '../servers/programs.ts';
import type { Outcome } from '../servers/programs.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SOAK_MS_MAX = 180_000;

const soak = (...args: readonly string[]): Promise<Outcome> =>
  run(process.execPath, ['test/soak/main.ts', ...args], { cwd: ROOT, timeoutMs: SOAK_MS_MAX });

describe('soak forwarder', function () {
  this.timeout(SOAK_MS_MAX + 10_000);

  it('loses nothing, stores nothing twice, keeps the order, and its books are exact', async () => {
    const args = ['--lines', '100000', '--kills', '20', '--outages', '1', '--outage', '2s'];
    const { code, stdout, stderr } = await soak('forwarder', ...args);
    assert.equal(code, 0, stderr);
    const figures = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Readonly<Record<string, unknown>>;
    const { rss_mib_first: first, rss_mib_last: last, ...counts } = figures;
    assert.deepEqual(counts, {
      soak: 'forwarder',
      written: 100_000,
      delivered: 100_000,
      dropped: 0,
      pending: 0,
      lost: 0,
      duplicates: 0,
    });
    assert.ok(Number(first) > 0 && Number(last) > 0);
  });

  it('answers a mistake in the command with what was expected', async () => {
    for (const [args, expected] of [
      [['forwarder', '--lines', 'many'], /--lines: expected an integer from 1000 to/],
      [
        ['forwarder', '--sink', 'kafka'],
        /--sink: expected one of memory, elasticsearch, opensearch, cloudwatch, s3, got "kafka"/,
      ],
      [['forwarder', '--outage', 'long'], /--outage: expected a duration such as 30s/],
      [['forwarder', '--rotations', '1'], /--rotations/],
      [['forwarders'], /expected one of certs, forwarder, got "forwarders"/],
    ] as const) {
      const { code, stdout, stderr } = await soak(...args);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, expected);
    }
  });
});
