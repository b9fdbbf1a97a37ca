/**
 * A configuration that changes under a running forwarder: taken as a whole or not at all, and only when nothing stands in the way.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigFollower, loadForwardFile } from '../../../src/config/config-follower.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { createLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';

let waits = 0;
/** The waits between looks are as good as over, and counted. */
const clock: Clock = {
  ...systemClock,
  sleep: (_, signal) => {
    waits += 1;
    return systemClock.sleep(1, signal);
  },
};

describe('config follower', () => {
  let folder: string;
  let path: string;
  let follower: ConfigFollower | undefined;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-config-'));
    path = join(folder, 'forward.yaml');
  });
  after(() => rmSync(folder, { recursive: true }));
  afterEach(() => follower?.close());

  /** In one step: a look sees the old text or the new one, never a part. */
  const save = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  const begin = async (
    text: string,
  ): Promise<{
    readonly follower: ConfigFollower;
    readonly lines: string[];
    readonly stops: () => number;
    readonly count: (result: string) => number;
    readonly block: (reason: string | undefined) => void;
  }> => {
    save(text);
    const first = await loadForwardFile(path, { env: {}, host: 'box' });
    assert(first.ok);
    const lines: string[] = [];
    const metrics = createMetrics();
    let stops = 0;
    let obstacle: string | undefined;
    follower = new ConfigFollower({
      path,
      env: {},
      host: 'box',
      first: first.value,
      clock,
      log: createLog({ clock: systemClock, level: 'debug', write: (line) => lines.push(line) }),
      metrics,
      obstacle: () => obstacle,
      onReady: () => (stops += 1),
    });
    await follower.start();
    return {
      follower,
      lines,
      stops: () => stops,
      count: (result) => metrics.counter('logtender_config_reloads_total', '').value({ result }),
      block: (reason) => (obstacle = reason),
    };
  };
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (let i = 0; !holds(); i += 1) {
      assert(i < 2_000, what);
      await systemClock.sleep(1);
    }
  };
  /** A look that began after this call is over; the one that is on its way now may have read what was there before. */
  const looked = async (): Promise<void> => {
    const before = waits;
    await until('looked', () => waits > before + 1);
  };

  it('a good file is offered once, and told when it is in use', async () => {
    const { follower: one, stops, count } = await begin('flushInterval: 1s');
    assert.equal(one.take(), undefined);
    save('flushInterval: 2s');
    await until('offered', () => stops() === 1);
    assert(one.isReady);
    assert.equal(one.take()?.flushIntervalMs, 2_000);
    assert(!one.isReady);
    assert.equal(one.take(), undefined);
    one.applied();
    assert.equal(count('applied'), 1);
  });

  it('a bad file changes nothing, is said once without its values, and the next good one heals it', async () => {
    const { follower: one, stops, count, lines } = await begin('flushInterval: 1s');
    save('flushInterval: hunter2\nsinks: [file]');
    await until('refused', () => count('refused') === 1);
    const check = one.check();
    assert(!check.ok);
    assert.match(check.reason, /the last good file is in use: .*line 1: flushInterval: expected a duration/);
    assert.equal(one.take(), undefined);
    assert.doesNotMatch(check.reason + lines.join(''), /hunter2/);
    await looked();
    assert.equal(count('refused'), 1);
    save('flushInterval: 3s');
    await until('offered', () => stops() === 1);
    assert.equal(one.take()?.flushIntervalMs, 3_000);
    assert.deepEqual(one.check(), { ok: true });
  });

  it('waits while there is an obstacle, and says so', async () => {
    const { follower: one, stops, block } = await begin('flushInterval: 1s');
    block('7 bytes of deleted files are not delivered yet');
    save('flushInterval: 2s');
    const expected = { ok: true, note: 'a newer file waits: 7 bytes of deleted files are not delivered yet' };
    await until('waits', () => JSON.stringify(one.check()) === JSON.stringify(expected));
    assert.equal(one.take(), undefined);
    assert.equal(stops(), 0);
    block(undefined);
    await until('offered', () => stops() === 1);
    assert.equal(one.take()?.flushIntervalMs, 2_000);
  });

  it('names what a restart brings, and does not stop the forwarder for it', async () => {
    const { follower: one, stops } = await begin('stateDir: /a');
    save('stateDir: /b');
    await until('noticed', () => JSON.stringify(one.check()).includes('stateDir'));
    assert.deepEqual(one.check(), { ok: true, note: 'a restart will bring stateDir' });
    assert.equal(stops(), 0);
  });

  it('a change that is taken back in the last moment leaves the forwarder as it is, and running', async () => {
    const { follower: one, stops } = await begin('flushInterval: 1s');
    save('flushInterval: 2s');
    await until('offered', () => stops() === 1);
    save('flushInterval: 1s');
    await looked();
    assert.equal(one.take()?.flushIntervalMs, 1_000);
  });
});
