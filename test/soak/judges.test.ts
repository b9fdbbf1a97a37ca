/**
 * The judges of the soak see what they are there for: refused, bare and unanswered creations, failed calls, rotations that were none.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import type { CaState } from '../../certs/ca-state.ts';
import { newGeneration } from '../../certs/issuer.ts';
import { failureOf, noAnswer } from '../../src/kube/client.ts';
import type { KubeClient, KubeResult } from '../../src/kube/client.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { LOAD_NAMESPACES, startLoad } from './admission-load.ts';
import { seriesSum } from './admission-meter.ts';
import { countsAfter } from './rotation-watch.ts';
import type { RotationCounts } from './rotation-watch.ts';
import { figuresOf } from './session.ts';

const PER_SECOND = 50;
const NONE: RotationCounts = { rotations: 0, beginnings: 0, generation: 0, phase: 'none' };

const pod = (containers: readonly string[]): KubeResult => ({
  ok: true,
  value: { metadata: {}, spec: { containers: containers.map((name) => ({ name })) } },
});
const GOOD = pod(['app', 'logtender']);

/** An API server that answers every creation in one way. */
function answering(result: KubeResult | Promise<KubeResult>): KubeClient {
  return { ...createFakeKube(), create: async () => result };
}

describe('soak: the load', () => {
  async function countsOf(results: ReadonlyArray<KubeResult | Promise<KubeResult>>, seconds = 1): Promise<object> {
    const clock = new VirtualClock();
    const load = startLoad({ clients: results.map(answering), clock, perSecond: PER_SECOND });
    await clock.advance(seconds * 1_000 - 1);
    const { failures, ...counts } = await load.stop();
    assert.ok(failures.length <= 10, 'bounded');
    return counts;
  }
  const zero = { refused: 0, bare: 0, unanswered: 0, excused: 0 };
  const table: ReadonlyArray<readonly [what: string, results: readonly KubeResult[], want: object]> = [
    ['pods with sidecar are well', [GOOD, GOOD], { ...zero, creations: 50 }],
    ['pods without it are bare', [pod(['app'])], { ...zero, creations: 50, bare: 50 }],
    ['errors are refusals, whatever they say', [failureOf(500, 'no')], { ...zero, creations: 50, refused: 50 }],
    ['so is a denial', [GOOD, failureOf(403, 'no')], { ...zero, creations: 50, refused: 25 }],
    ['no answer is a failure of its own', [noAnswer('reset'), GOOD], { ...zero, creations: 50, unanswered: 25 }],
  ];
  for (const [what, results, want] of table) it(what, async () => assert.deepEqual(await countsOf(results), want));

  it('keeps its pace over the minutes', async () => {
    assert.deepEqual(await countsOf([GOOD], 120), { ...zero, creations: 6_000 });
  });

  it('excuses what a server that was taken away did not answer, and sends nothing there', async () => {
    const clock = new VirtualClock();
    const late = Promise.withResolvers<KubeResult>();
    const load = startLoad({ clients: [answering(late.promise), answering(GOOD)], clock, perSecond: PER_SECOND });
    await clock.advance(99);
    const back = load.spare(0);
    late.resolve(noAnswer('reset'));
    await clock.advance(100);
    assert.deepEqual(load.counts(), { ...zero, excused: 3, creations: 5, failures: [] });
    back();
    await clock.advance(100);
    const { excused, unanswered } = await load.stop();
    assert.deepEqual({ excused, unanswered }, { excused: 3, unanswered: 3 });
  });

  it('has both kinds of opt-in, all under the policy Fail', () => {
    for (const { labels } of LOAD_NAMESPACES) assert.equal(labels['logging.io/failure-policy'], 'fail');
    assert.deepEqual(
      LOAD_NAMESPACES.map(({ labels }) => labels['logging.io/inject']),
      ['true', undefined],
    );
  });
});

describe('soak: the API servers\u2019 own counters', () => {
  it('sums the series of one counter that have the label', () => {
    const lines = [
      '# HELP apiserver_rejections_count none',
      'apiserver_rejections_count{error_type="calling_webhook_error",name="a"} 3',
      'apiserver_rejections_count{error_type="calling_webhook_error",name="b"} 4',
      'apiserver_rejections_count{error_type="no_error",name="a"} 50',
      'apiserver_rejections_count_other{error_type="calling_webhook_error"} 600',
    ];
    assert.equal(seriesSum(lines, 'apiserver_rejections_count', 'error_type="calling_webhook_error"'), 7);
    assert.equal(seriesSum(lines, 'apiserver_fail_open_count', ''), 0);
  });

  it('count where the load saw nothing', () => {
    const counts = { creations: 9, refused: 1, bare: 1, unanswered: 1, excused: 5, failures: [] };
    const figures = (callErrors: number): object => figuresOf(NONE, counts, { failOpen: 2, callErrors });
    assert.deepEqual(figures(0), { rotations: 0, creations: 9, failed: 3, fail_open: 2 });
    assert.deepEqual(figures(7), { rotations: 0, creations: 9, failed: 7, fail_open: 2 });
  });
});

describe('soak: rotations', () => {
  let idle: (generation: number) => CaState;
  let generated: (generation: number) => CaState;
  let promoted: (generation: number) => CaState;

  before(async () => {
    const rules = { lifeMs: 60_000, backdateMs: 0 };
    const issuer = { ca: rules, leaf: rules, hosts: [], randomBytes };
    const made = await Promise.all([0, 1, 2, 3].map((n) => newGeneration(issuer, n, Date.UTC(2026, 0, 1))));
    const ca = (n: number): CaState['current'] => {
      const generation = made[n];
      assert.ok(generation !== undefined);
      return generation;
    };
    idle = (n) => ({ generation: n, current: ca(n), next: undefined, cross: undefined, previous: [] });
    generated = (n) => ({ ...idle(n), next: ca(n + 1) });
    promoted = (n) => ({ ...idle(n), previous: [{ certificate: ca(n - 1).certificate, neededUntilMs: 1 }] });
  });

  const after = (states: readonly CaState[]): RotationCounts => {
    let last: CaState | undefined;
    let counts = NONE;
    for (const state of states) {
      counts = countsAfter(counts, last, state);
      last = state;
    }
    return counts;
  };

  it('is whole when the old CA was forgotten', () => {
    const states = [idle(1), generated(1), promoted(2)];
    assert.deepEqual(after(states), { rotations: 0, beginnings: 0, generation: 2, phase: 'promoted' });
    assert.deepEqual(after([...states, idle(2), idle(2)]), {
      rotations: 1,
      beginnings: 0,
      generation: 2,
      phase: 'idle',
    });
  });

  it('one that is given up is none', () => {
    assert.deepEqual(after([idle(1), generated(1), idle(1)]), { ...NONE, generation: 1, phase: 'idle' });
  });

  it('a CA that comes from nowhere is a new beginning', () => {
    assert.deepEqual(after([idle(1), idle(2)]), { ...NONE, beginnings: 1, generation: 2, phase: 'idle' });
    assert.deepEqual(after([idle(1), generated(1), idle(3)]), { ...NONE, beginnings: 1, generation: 3, phase: 'idle' });
  });

  it('a state that was not seen between two others costs no rotation', () => {
    assert.equal(after([idle(1), generated(1), idle(2)]).rotations, 1);
    assert.equal(after([idle(1), promoted(2), idle(2)]).rotations, 1);
  });
});
