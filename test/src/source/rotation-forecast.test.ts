/**
 * How long until unread bytes are rotated away: the arithmetic, and the same seen in a real folder.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { FileSet } from '../../../src/source/file-set.ts';
import { RotationForecast } from '../../../src/source/rotation-forecast.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

describe('forecast of rotations', () => {
  it('guesses nothing before it saw two rotations and a deletion', () => {
    const forecast = new RotationForecast();
    forecast.rotated(0);
    forecast.dropped(2);
    assert.equal(forecast.leftMs(0, 0), Number.POSITIVE_INFINITY);
    forecast.rotated(60_000);
    assert.equal(forecast.leftMs(0, 60_000), 120_000);
  });

  it('counts the rotations that are left, and the time since the last', () => {
    const forecast = new RotationForecast();
    for (const at of [0, 60_000, 120_000]) forecast.rotated(at);
    forecast.dropped(3);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((younger) => forecast.leftMs(younger, 130_000)),
      [170_000, 110_000, 50_000, 0, 0],
    );
  });

  it('follows a rate that changes', () => {
    const forecast = new RotationForecast();
    forecast.dropped(1);
    for (const at of [0, 60_000, 70_000, 80_000, 90_000, 100_000]) forecast.rotated(at);
    const left = forecast.leftMs(0, 100_000);
    assert(left > 10_000 && left < 15_000, `${left} ms`);
  });

  it('is what a folder with two kept rotations comes to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-forecast-'));
    const at = (name: string): string => join(folder, name);
    const clock = new VirtualClock();
    const files = new FileSet({
      files: [{ container: 'app', path: '/log/*.log', directory: '/log', mount: folder }],
      uid: 'uid',
      epoch: 'epoch',
      known: [],
      clock,
      log: silentLog,
      metrics: createMetrics(),
      isSettled: () => true,
      unsettledBytes: () => 0,
      onRestored: () => {},
      onChanged: () => {},
      onReleased: () => {},
      onEnded: () => {},
      onRested: () => {},
      onOlder: () => {},
      onVanished: () => {},
    });
    const left = (paths: readonly string[]): number =>
      files.unreadLeftMs(({ name }) => name !== undefined && paths.some((path) => name === at(path)));
    writeFileSync(at('a.log'), '0\n');
    for (let minute = 1; minute <= 5; minute += 1) {
      for (let second = 0; second < 60; second += 1) {
        await clock.advance(1_000, 0);
        files.scan();
      }
      if (minute === 5) break;
      if (existsSync(at('a.log.1'))) renameSync(at('a.log.1'), at('a.log.2'));
      renameSync(at('a.log'), at('a.log.1'));
      writeFileSync(at('a.log'), `${minute}\n`);
    }
    assert.equal(left([]), Number.POSITIVE_INFINITY, 'nothing is unread');
    const seconds = left(['a.log']) / 1_000;
    assert(seconds > 110 && seconds <= 130, `two rotations are left behind the one that is due: ${seconds} s`);
    files.close();
    rmSync(folder, { recursive: true });
  });
});
