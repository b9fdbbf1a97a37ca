/**
 * A sink that stays behind is looked at, rarely, and what was found is kept as long as it is behind.
 */
import assert from 'node:assert/strict';
import { silentLog } from '../../../src/core/log.ts';
import type { CheckStep } from '../../../src/sinks/check.ts';
import { SinkDoctor } from '../../../src/sinks/sink-doctor.ts';
import { forwarderConfig } from '../../fakes/forwarder-config.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

describe('sink doctor', () => {
  it('asks nothing of a sink that is well, and little of one that is not', async () => {
    const clock = new VirtualClock();
    let trouble: string | undefined;
    let looks = 0;
    const steps: CheckStep[] = [
      { name: 'dns', outcome: 'ok', text: 'fine' },
      { name: 'auth', outcome: 'failed', text: '401', remedy: 'put a password there' },
    ];
    const doctor = new SinkDoctor({
      config: forwarderConfig({ SINKS: 'elasticsearch' }),
      log: silentLog,
      clock,
      isIll: () => trouble,
      checkOf: async () =>
        async function* () {
          looks += 1;
          yield* steps;
        },
    });
    const pass = async (ms: number): Promise<void> => {
      await clock.advance(ms, 0);
      await doctor.round();
    };
    await pass(60_000);
    trouble = 'unreachable';
    await pass(0);
    await pass(9_000);
    assert.equal(looks, 0);
    await pass(1_000);
    assert.equal(looks, 1);
    assert.equal(doctor.finding('elasticsearch'), 'check: auth: 401 (put a password there)');
    assert.equal(doctor.finding('s3'), undefined);
    await pass(299_000);
    assert.equal(looks, 1);
    steps.pop();
    await pass(1_000);
    assert.equal(looks, 2);
    assert.equal(doctor.finding('elasticsearch'), 'check: dns are well');
    trouble = undefined;
    await pass(1_000);
    assert.equal(doctor.finding('elasticsearch'), undefined);
  });

  it('a check that fails by itself stops nothing', async () => {
    const clock = new VirtualClock();
    const doctor = new SinkDoctor({
      config: forwarderConfig({ SINKS: 'elasticsearch' }),
      log: silentLog,
      clock,
      isIll: () => 'unreachable',
      checkOf: () => Promise.reject(new Error('boom')),
    });
    await doctor.round();
    await clock.advance(10_000, 0);
    await doctor.round();
    assert.equal(doctor.finding('elasticsearch'), undefined);
  });
});
