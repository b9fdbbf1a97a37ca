/**
 * When the other containers of a pod have ended for good, and how long a plain sidecar waits for that.
 */
import assert from 'node:assert/strict';

import { silentLog } from '../../../../src/core/log.ts';
import { earlyEndWords, haveEnded, untilOthersEnded } from '../../../../src/source/pod-log/pod-end.ts';
import type { PodLook } from '../../../../src/source/pod-log/pod-end.ts';
import { whileTimePasses } from '../../../fakes/passing-time.ts';
import { VirtualClock } from '../../../fakes/virtual-clock.ts';

const RUNNING = { running: { startedAt: '2026-11-28T00:00:00Z' } };
const ended = (exitCode: number): object => ({ terminated: { exitCode } });

function pod(restartPolicy: string | undefined, states: Readonly<Record<string, object>>): object {
  const containerStatuses = Object.entries(states).map(([name, state]) => ({ name, state }));
  return { spec: restartPolicy === undefined ? {} : { restartPolicy }, status: { containerStatuses } };
}

const within = (value: unknown, least: number, most: number): boolean =>
  Number(value) >= least && Number(value) <= most;

const CASES: readonly (readonly [name: string, pod: unknown, ended: boolean])[] = [
  ['all ended', pod('Never', { app: ended(0), other: ended(0), logtender: RUNNING }), true],
  ['one is at work', pod('Never', { app: ended(0), other: RUNNING }), false],
  ['one waits to start', pod('Never', { app: ended(0), other: { waiting: {} } }), false],
  ['one is not there yet', pod('Never', { app: ended(0) }), false],
  ['one failed and stays so', pod('Never', { app: ended(1), other: ended(0) }), true],
  ['one failed and is started again', pod('OnFailure', { app: ended(1), other: ended(0) }), false],
  ['all succeeded', pod('OnFailure', { app: ended(0), other: ended(0) }), true],
  ['all are started again', pod('Always', { app: ended(0), other: ended(0) }), false],
  ['Always is the default', pod(undefined, { app: ended(0), other: ended(0) }), false],
  ['no statuses', { spec: { restartPolicy: 'Never' } }, false],
  ['no pod', 'pod', false],
];

describe('end of the other containers', () => {
  for (const [name, what, expected] of CASES) it(name, () => assert.equal(haveEnded(what, ['app', 'other']), expected));

  const DONE: PodLook = { status: 'read', pod: pod('Never', { app: ended(0) }) };
  const BUSY: PodLook = { status: 'read', pod: pod('Never', { app: RUNNING }) };
  const FORBIDDEN: PodLook = { status: 'forbidden', text: '403' };
  const UNREACHABLE: PodLook = { status: 'unreachable', text: 'refused' };

  /** Looks that give `answer(ms since the beginning)`: how it ended, after how long, and the number of looks. */
  const wait = async (
    answer: (ms: number) => PodLook,
    abortMs = Number.POSITIVE_INFINITY,
  ): Promise<readonly unknown[]> => {
    const clock = new VirtualClock();
    const began = clock.monotonic();
    const over = new AbortController();
    let looks = 0;
    const look = async (): Promise<PodLook> => {
      looks += 1;
      const ms = clock.monotonic() - began;
      if (ms >= abortMs) over.abort();
      return answer(ms);
    };
    const options = { containers: ['app'], look, clock, random: () => 0.5, log: silentLog, signal: over.signal };
    const outcome = await whileTimePasses(clock, untilOthersEnded(options), 3_600_000);
    assert(outcome.settled);
    return [outcome.value, Math.round((clock.monotonic() - began) / 1_000), looks];
  };

  it('is seen within a second at first, and within a tenth of the pod’s life', async () => {
    assert.equal((await wait(() => DONE))[0], 'ended');
    const [short, shortSeconds] = await wait((ms) => (ms < 4_500 ? BUSY : DONE));
    assert(short === 'ended' && Number(shortSeconds) <= 6, String(shortSeconds));
    const [long, longSeconds, looks] = await wait((ms) => (ms < 1_800_000 ? BUSY : DONE));
    assert(long === 'ended' && Number(longSeconds) <= 1_816, String(longSeconds));
    assert(Number(looks) < 160, `${String(looks)} looks in half an hour`);
  });

  it('waits through an API server that is away, for ten minutes after a good look and two where there was none', async () => {
    const away = (fromMs: number, toMs: number) => (ms: number) =>
      ms < fromMs ? BUSY : ms < toMs ? UNREACHABLE : DONE;
    assert.equal((await wait(away(0, 100_000)))[0], 'ended');
    assert.equal((await wait(away(300_000, 850_000)))[0], 'ended');
    const [never, neverSeconds] = await wait(() => UNREACHABLE);
    assert(never === 'unreachable' && within(neverSeconds, 120, 160), String(neverSeconds));
    const [gone, goneSeconds] = await wait(away(300_000, Number.POSITIVE_INFINITY));
    assert(gone === 'unreachable' && within(goneSeconds, 900, 955), String(goneSeconds));
    // A good look begins it anew.
    const often = (ms: number): PodLook => (ms > 3_000_000 ? DONE : ms % 600_000 < 450_000 ? UNREACHABLE : BUSY);
    assert.equal((await wait((ms) => (ms < 1_000 ? BUSY : often(ms))))[0], 'ended');
  });

  it('gives up where it may not ask, but not before a new right is known everywhere', async () => {
    const [end, seconds] = await wait(() => FORBIDDEN);
    assert(end === 'forbidden' && Number(seconds) >= 60 && Number(seconds) <= 91, String(seconds));
    assert.equal((await wait((ms) => (ms < 50_000 ? FORBIDDEN : DONE)))[0], 'ended');
    assert.equal((await wait((ms) => (ms < 50_000 ? FORBIDDEN : ms < 200_000 ? BUSY : DONE)))[0], 'ended');
    // A server that is away has not said no.
    assert.equal((await wait((ms) => (ms < 50_000 ? FORBIDDEN : ms < 100_000 ? UNREACHABLE : DONE)))[0], 'ended');
  });

  it('takes a right that is lost as a server that is away: it may come back', async () => {
    assert.equal((await wait((ms) => (ms < 10_000 ? BUSY : ms < 500_000 ? FORBIDDEN : DONE)))[0], 'ended');
    const [end, seconds] = await wait((ms) => (ms < 10_000 ? BUSY : FORBIDDEN));
    assert(end === 'forbidden' && within(seconds, 610, 660), String(seconds));
  });

  it('says why it ends early, and which right is missing', () => {
    assert.match(earlyEndWords('forbidden'), /get on pods/);
    assert.match(earlyEndWords('unreachable'), /API server/);
  });

  it('ends with the signal', async () => {
    assert.equal((await wait(() => BUSY, 5_000))[0], 'aborted');
  });
});
