/**
 * Every world that certificate replicas can come to with the real decide(): breadth first, each once, any number of rotations.
 *
 * What the world may do stands in certs-exhaustive-moves.ts, what must hold in certs-exhaustive-invariants.ts. Beyond the invariants, from
 * every world there must be a way to rest that takes only what is due. The sizes: three replicas that crash, hold and lose writes and read
 * Secret and bundle in versions overtaken a moment ago, three webhook servers that load late, two API servers whose caches lag. The other
 * worlds, in which more can befall it, are smaller. MODEL_FULL=1 makes each a size larger, one parameter at a time.
 */
import assert from 'node:assert/strict';

import { decide } from '../../certs/decide.ts';
import { ROTATION_KINDS } from '../../certs/orders.ts';
import type { Invariant } from './certs-exhaustive-invariants.ts';
import { BEATS, MUTANTS } from './certs-exhaustive-mutants.ts';
import { search } from './certs-exhaustive-search.ts';
import type { Found } from './certs-exhaustive-search.ts';
import { settingsOf } from './certs-exhaustive-world.ts';
import type { Design } from './certs-exhaustive-world.ts';

const WHOLE: Design = {
  replicas: 3,
  servers: 3,
  caches: 2,
  cacheLag: 1,
  holdMax: 1,
  staleMax: 0,
  staleReads: new Set(['tls', 'bundle']),
  isAttentive: false,
  reloadLag: undefined,
  requests: 0,
  requestKinds: [],
  drifts: 0,
  losses: 0,
  settings: settingsOf(BEATS),
  decide,
  usesCross: true,
  usesCompareAndSwap: true,
};
const SMALL: Design = { ...WHOLE, replicas: 2, servers: 2, staleReads: new Set() };

interface Scenario {
  readonly name: string;
  readonly design: Design;
  readonly invariants?: ReadonlySet<Invariant>;
}

/** While somebody spoils the bundle no CA is trusted without a break: what is asked for then is I1. */
const DRIFTING: ReadonlySet<Invariant> = new Set(['I1', 'I3', 'I4', 'I5', 'I7']);

const SCENARIOS: readonly Scenario[] = [
  { name: 'crashes, lost and stale writes, stale reads', design: WHOLE },
  { name: 'attentive replicas, so that no leaf may expire', design: { ...WHOLE, isAttentive: true } },
  { name: 'the CA state read stale as well', design: { ...SMALL, staleReads: new Set(['ca', 'tls', 'bundle']) } },
  { name: 'somebody spoils the bundle', design: { ...SMALL, drifts: 1 }, invariants: DRIFTING },
  // Attentive, so that a memory is never older than the last write: what an older one restores is not covered here.
  { name: 'a Secret is deleted or corrupted', design: { ...SMALL, isAttentive: true, losses: 1 } },
  { name: 'an operator asks for a leaf or a CA', design: { ...SMALL, requests: 1, requestKinds: ['leaf', 'ca'] } },
  {
    name: 'a CA is compromised',
    design: { ...SMALL, reloadLag: BEATS.settle, requests: 1, requestKinds: ['compromised'] },
  },
];

const FULL: readonly Scenario[] = [
  { name: 'four replicas', design: { ...WHOLE, replicas: 4 } },
  { name: 'longer held writes', design: { ...WHOLE, holdMax: 2, settings: settingsOf({ ...BEATS, pruneMargin: 2 }) } },
  {
    name: 'a longer settle time',
    design: { ...WHOLE, cacheLag: 2, settings: settingsOf({ ...BEATS, leafLife: 6, settle: 2 }) },
  },
  { name: 'all three objects read stale', design: { ...WHOLE, staleReads: new Set(['ca', 'tls', 'bundle']) } },
  {
    name: 'the bundle is spoilt among three replicas',
    design: { ...SMALL, replicas: 3, drifts: 1 },
    invariants: DRIFTING,
  },
  {
    name: 'two requests of any kind',
    design: { ...SMALL, reloadLag: BEATS.settle, requests: 2, requestKinds: ROTATION_KINDS },
  },
  { name: 'a Secret is lost among three replicas', design: { ...SMALL, replicas: 3, isAttentive: true, losses: 1 } },
];

const STATES_MAX = 10_000_000;

function sizes({ states, transitions, seconds }: Found): string {
  return `states ${states}, transitions ${transitions}, seconds ${seconds.toFixed(1)}`;
}

describe('decide, in every world', function () {
  this.timeout(20 * 60_000);
  const isFull = process.env['MODEL_FULL'] === '1';

  for (const { name, design, invariants } of isFull ? [...SCENARIOS, ...FULL] : SCENARIOS) {
    it(`holds: ${name} (B8 2)`, function () {
      const found = search(design, { statesMax: STATES_MAX, ...(invariants === undefined ? {} : { invariants }) });
      if (this.test !== undefined) this.test.title += `: ${sizes(found)}`;
      assert.equal(found.violation, undefined, found.violation?.text);
    });
  }

  it('comes to rest with the same objects, however many replicas do it', () => {
    const one = search({ ...WHOLE, replicas: 1, staleReads: new Set() }, { statesMax: STATES_MAX });
    const three = search({ ...WHOLE, staleReads: new Set() }, { statesMax: STATES_MAX });
    assert.deepEqual([...three.rests].toSorted(), [...one.rests].toSorted());
    assert.ok(one.rests.size > 0);
  });

  for (const { name, change, invariants, expected } of MUTANTS) {
    it(`without its guards: ${name} ${expected === undefined ? 'still serves' : `breaks ${expected}`}`, function () {
      const found = search({ ...SMALL, ...change }, { statesMax: STATES_MAX, invariants });
      if (this.test !== undefined) this.test.title += `: ${sizes(found)}`;
      // What still serves need not come to rest.
      const broken = found.violation?.invariant === 'rest' ? undefined : found.violation;
      assert.equal(broken?.invariant, expected, found.violation?.text);
    });
  }
});
