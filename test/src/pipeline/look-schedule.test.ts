/**
 * When files are looked at: the decisions, and random days of a forwarder.
 */
import assert from 'node:assert/strict';

import {
  ALONG_MS,
  GATHER_MS,
  LookSchedule,
  POLL_INTERVAL_MS,
  SCAN_INTERVAL_MS,
  SCAN_INTERVAL_MS_MIN,
} from '../../../src/pipeline/look-schedule.ts';
import type { LookNeed, Looks } from '../../../src/pipeline/look-schedule.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';

const QUIET: LookNeed = { isHinted: false, isBusy: false, isSendDue: false, scanWanted: false, isAtRest: true };
const DAYS = 300;
const TURNS = 200;

describe('look schedule', () => {
  let schedule: LookSchedule;
  const turn = (now: number, need: Partial<LookNeed> = {}): Looks => {
    const looks = schedule.turn(now, { ...QUIET, ...need });
    if (looks.scan) schedule.scanned(now);
    return looks;
  };
  const nextMs = (now: number, need: Partial<LookNeed> = {}): number => schedule.nextMs(now, { ...QUIET, ...need });

  beforeEach(() => {
    schedule = new LookSchedule();
    assert.equal(turn(0, { isAtRest: false }).scan, true);
  });

  it('at rest wakes for the scan alone', () => {
    assert.equal(nextMs(1), SCAN_INTERVAL_MS - 1);
    assert.equal(nextMs(1, { isAtRest: false }), POLL_INTERVAL_MS - 1);
  });

  it('looks at once after some quiet, then gathers', () => {
    assert.equal(nextMs(500, { isHinted: true }) <= 0, true);
    assert.equal(turn(500, { isHinted: true }).hints, true);
    assert.equal(turn(510, { isHinted: true }).hints, false);
    assert.equal(nextMs(510, { isHinted: true }), GATHER_MS - 10);
    assert.deepEqual(turn(500 + GATHER_MS, { isHinted: true }), {
      hints: true,
      lastHintsAt: 500,
      poll: false,
      scan: false,
    });
  });

  it('a batch that is due takes what was told, however short ago the last look was', () => {
    turn(500, { isHinted: true });
    assert.equal(turn(501, { isSendDue: true }).hints, false, 'nothing was told');
    assert.equal(turn(501, { isSendDue: true, isHinted: true }).hints, true);
    assert.equal(turn(502, { isSendDue: true, isBusy: true }).hints, true);
  });

  it('for a watch that stands aside it looks by itself', () => {
    turn(500, { isBusy: true });
    assert.equal(nextMs(500, { isBusy: true }), GATHER_MS);
    assert.equal(turn(500 + GATHER_MS, { isBusy: true }).hints, true);
  });

  it('does along what is due soon', () => {
    const awake = { isBusy: true, isAtRest: false };
    turn(SCAN_INTERVAL_MS - ALONG_MS - 1, awake);
    const { poll, scan } = turn(SCAN_INTERVAL_MS - ALONG_MS - 1 + GATHER_MS, awake);
    assert.deepEqual([poll, scan], [false, true]);
    schedule = new LookSchedule();
    turn(0, awake);
    assert.equal(turn(POLL_INTERVAL_MS - ALONG_MS - 1, awake).poll, false);
    schedule = new LookSchedule();
    turn(0, awake);
    assert.equal(turn(POLL_INTERVAL_MS - ALONG_MS, awake).poll, true);
    assert.equal(turn(POLL_INTERVAL_MS - ALONG_MS + 1, { isAtRest: false }).scan, false);
  });

  it('a burst of new names is one scan', () => {
    schedule.hintScan();
    assert.equal(turn(SCAN_INTERVAL_MS_MIN - 1).scan, false);
    assert.equal(nextMs(SCAN_INTERVAL_MS_MIN - 1), 1);
    assert.equal(turn(SCAN_INTERVAL_MS_MIN).scan, true);
    assert.equal(nextMs(SCAN_INTERVAL_MS_MIN), SCAN_INTERVAL_MS);
    assert.equal(nextMs(60, { scanWanted: true }), 0);
    assert.equal(turn(60, { scanWanted: true }).scan, true);
  });

  it(`keeps its promises through ${DAYS} random days`, () => {
    const seed = testSeed();
    for (let day = 0; day < DAYS; day += 1) {
      try {
        liveOneDay(seededRandom(seed + day));
      } catch (error) {
        throw new Error(`TEST_SEED=${seed} day ${day}`, { cause: error });
      }
    }
  });
});

/** A loop that wakes when it is told or when its wait is over, and never sooner for anything else. */
function liveOneDay(random: ReturnType<typeof seededRandom>): void {
  const schedule = new LookSchedule();
  const busyness = random.below(3);
  let now = random.below(1_000);
  let scannedAt = Number.NEGATIVE_INFINITY;
  let polledAt = Number.NEGATIVE_INFINITY;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let hintedAt: number | undefined;
  let isBusy = false;
  let looks = 0;
  let sends = 0;
  const beganAt = now;
  for (let i = 0; i < TURNS; i += 1) {
    const isSendDue = random.below(5) === 0;
    const isAtRest = random.below(2) === 0;
    const need: LookNeed = { isHinted: hintedAt !== undefined, isBusy, isSendDue, scanWanted: false, isAtRest };
    const done = schedule.turn(now, need);
    if (isSendDue) sends += 1;
    if (done.hints) {
      looks += 1;
      assert.equal(done.lastHintsAt, lookedAt, 'says when it looked before');
      lookedAt = now;
      hintedAt = undefined;
      isBusy = random.below(4) < busyness;
      if (random.below(10) === 0) schedule.hintScan();
    }
    if (done.scan) {
      scannedAt = now;
      schedule.scanned(now);
    }
    if (done.poll) polledAt = now;
    if (isSendDue) assert.equal(hintedAt, undefined, 'a batch that is due takes what is there');
    const after: LookNeed = { ...need, isHinted: hintedAt !== undefined, isBusy, isSendDue: false };
    const waitMs = Math.max(0, schedule.nextMs(now, after));
    assert(now + waitMs <= scannedAt + SCAN_INTERVAL_MS, 'a scan at least that often');
    if (!isAtRest) assert(now + waitMs <= polledAt + POLL_INTERVAL_MS, 'a poll at least that often');
    if (hintedAt !== undefined) assert(now + waitMs <= hintedAt + GATHER_MS, 'what was told is not left lying');
    if (isBusy) assert(now + waitMs <= lookedAt + GATHER_MS, 'somebody looks for the watch');
    // A watch, or a request that comes back, ends the wait early.
    const isEarly = random.below(3) < busyness;
    now += isEarly ? Math.min(waitMs, random.below(30)) : waitMs;
    if (isEarly && !isBusy && random.below(2) === 0) hintedAt ??= now;
  }
  assert(looks <= sends + 1 + (now - beganAt) / GATHER_MS, 'lines are gathered');
}
