/**
 * What the sink of the benchmark reports reaches whoever waits for it, and a sink that is gone keeps nobody waiting.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { Reports } from './discard-process.ts';

describe('reports of the discard sink', () => {
  const counts = { lost: 0, duplicates: 0, elapsedMs: 1, cpuMs: 1 };

  // Node emits all messages of one read of the channel before any promise goes on: neither may be missed, whatever their order.
  it('reach both who wait when two come at once', async () => {
    for (const order of [
      [{ report: 'complete' }, { report: 'counted', ...counts }],
      [{ report: 'counted', ...counts }, { report: 'complete' }],
    ]) {
      const child = new EventEmitter();
      const reports = new Reports(child);
      const waiting = Promise.all([reports.next('complete', 1000), reports.next('counted', 1000)]);
      for (const message of order) child.emit('message', message);
      assert.deepEqual(await waiting, [{ report: 'complete' }, { report: 'counted', ...counts }]);
    }
  });

  it('answer each question once, in order', async () => {
    const child = new EventEmitter();
    const reports = new Reports(child);
    const answers = Promise.all([reports.next('counted', 1000), reports.next('counted', 1000)]);
    child.emit('message', { report: 'counted', ...counts, lost: 2 });
    child.emit('message', { report: 'counted', ...counts, lost: 1 });
    assert.deepEqual(
      (await answers).map(({ lost }) => lost),
      [2, 1],
    );
  });

  it('are given up when the sink has ended', async () => {
    const child = new EventEmitter();
    const waiting = new Reports(child).next('counted', 1000);
    child.emit('exit', null, 'SIGKILL');
    await assert.rejects(waiting, { message: "the discard sink ended with SIGKILL before it reported 'counted'" });
  });

  it('are given up when the time is over', async () => {
    const waiting = new Reports(new EventEmitter()).next('complete', 1);
    await assert.rejects(waiting, { message: "the discard sink did not report 'complete' within 1 ms" });
  });
});
