/**
 * decide(), case by case: what is seen and remembered, and the one step that follows. Certificates are facts here, nothing is signed.
 */
import assert from 'node:assert/strict';

import type { CertificateFacts, ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { decide, targetKey, trustTarget } from '../../certs/decide.ts';
import type { Settings, Step } from '../../certs/decide.ts';
import { EMPTY_MEMORY, remember } from '../../certs/observation.ts';
import type { Memory, Observation, SecretView } from '../../certs/observation.ts';
import { NO_ORDERS } from '../../certs/orders.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const T0_MS = Date.UTC(2026, 0, 1);

const SETTINGS: Settings = {
  ca: { lifeMs: 365 * DAY_MS, backdateMs: HOUR_MS },
  leaf: { lifeMs: 30 * DAY_MS, backdateMs: HOUR_MS },
  settleMs: 60_000,
  pruneMarginMs: HOUR_MS,
  restoreGraceMs: 45_000,
  covers: () => true,
};

function facts(id: string, madeMs: number, lifeMs: number): CertificateFacts {
  const fingerprint = id.padStart(64, '0');
  return { fingerprint, pem: '', commonName: id, notBeforeMs: madeMs - HOUR_MS, notAfterMs: madeMs + lifeMs };
}
const ca = (id: string, madeMs = T0_MS): CertificateFacts => facts(id, madeMs, 365 * DAY_MS);
const pairOf = (issuer: CertificateFacts, madeMs = T0_MS): ServingPair => {
  const leaf = facts(`f${issuer.commonName}`, madeMs, 30 * DAY_MS);
  return { leaf, chain: [leaf], keyPem: '', issuer };
};

const A = ca('a');
const B = ca('b');
const OTHER = ca('e');
const STATE: CaState = {
  generation: 1,
  current: { certificate: A, keyPem: '' },
  next: undefined,
  cross: undefined,
  previous: [],
  leafLifeMs: SETTINGS.leaf.lifeMs,
};
const ROTATING: CaState = { ...STATE, next: { certificate: B, keyPem: '' }, cross: facts('c', T0_MS, DAY_MS) };
const PROMOTED: CaState = {
  ...STATE,
  generation: 2,
  current: { certificate: B, keyPem: '' },
  cross: facts('c', T0_MS, 365 * DAY_MS),
  previous: [{ certificate: A, neededUntilMs: T0_MS + 31 * DAY_MS }],
};
const PAIR = pairOf(A);
const COMPROMISED = [{ fingerprint: A.fingerprint, notAfterMs: A.notAfterMs }];
const KNOWING: CaState = {
  ...STATE,
  generation: 2,
  current: { certificate: B, keyPem: '' },
  orders: { ...NO_ORDERS, compromised: COMPROMISED },
};

const valid = <T>(value: T): SecretView<T> => ({ status: 'valid', resourceVersion: '7', value });
const MISSING = { status: 'missing' } as const;
const CORRUPT = { status: 'corrupt', resourceVersion: '8', problem: '' } as const;
const FOREIGN = { status: 'foreign', problem: 'theirs' } as const;

interface Case {
  readonly name: string;
  readonly ca: SecretView<CaState>;
  readonly tls: SecretView<ServingPair>;
  /** One bundle for each entry; undefined: no webhook configuration. */
  readonly entries: ReadonlyArray<readonly CertificateFacts[]> | undefined;
  readonly atMs?: number;
  readonly clockOffMs?: number;
  readonly memory?: Partial<Memory>;
  readonly settings?: Partial<Settings>;
  readonly want: Partial<Step>;
}

const trustedFor = (...pairs: ReadonlyArray<readonly [CertificateFacts, number]>): ReadonlyMap<string, number> =>
  // The monotonic clock of the cases stands at 1,000,000.
  new Map(pairs.map(([certificate, ms]) => [certificate.fingerprint, 1_000_000 - ms]));

const CASES: readonly Case[] = [
  {
    name: 'in order',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A], [A]],
    want: { kind: 'wait', reason: 'in_order' },
  },
  {
    name: 'a foreign CA Secret',
    ca: FOREIGN,
    tls: MISSING,
    entries: [[]],
    want: { kind: 'blocked', problem: 'theirs' },
  },
  { name: 'a foreign leaf Secret', ca: valid(STATE), tls: FOREIGN, entries: [[]], want: { kind: 'blocked' } },

  {
    name: 'an empty cluster',
    ca: MISSING,
    tls: MISSING,
    entries: [[], []],
    want: { kind: 'bootstrap', generation: 1, replaces: undefined },
  },
  {
    name: 'an empty cluster without configuration',
    ca: MISSING,
    tls: MISSING,
    entries: undefined,
    want: { kind: 'bootstrap' },
  },
  {
    name: 'the CA lost, remembered',
    ca: MISSING,
    tls: valid(PAIR),
    entries: [[A]],
    memory: { ca: STATE },
    want: { kind: 'restore_ca', state: STATE, replaces: undefined },
  },
  {
    name: 'the CA corrupt, remembered',
    ca: CORRUPT,
    tls: valid(PAIR),
    entries: [[A]],
    memory: { ca: STATE },
    want: { kind: 'restore_ca', replaces: '8' },
  },
  {
    name: 'the CA lost, remembered from before a promotion that went by unseen',
    ca: MISSING,
    tls: valid(pairOf(B)),
    entries: [[A, B]],
    memory: { ca: ROTATING },
    want: {
      kind: 'restore_ca',
      state: {
        ...ROTATING,
        generation: 2,
        current: { certificate: B, keyPem: '' },
        next: undefined,
        previous: [{ certificate: A, neededUntilMs: T0_MS + 30 * DAY_MS + HOUR_MS }],
      },
    },
  },
  {
    name: 'the CA lost, nobody asked long enough',
    ca: MISSING,
    tls: valid(PAIR),
    entries: [[A]],
    memory: { caLostSinceMs: 990_000 },
    want: { kind: 'wait', reason: 'restore_grace', waitMs: 35_000 },
  },
  {
    name: 'the CA lost, nobody remembers',
    ca: MISSING,
    tls: valid(PAIR),
    entries: [[A]],
    memory: { caLostSinceMs: 950_000 },
    want: { kind: 'bootstrap', generation: 1 },
  },
  {
    name: 'only an old bundle is left',
    ca: MISSING,
    tls: MISSING,
    entries: [[OTHER]],
    want: { kind: 'wait', reason: 'restore_grace' },
  },
  {
    name: 'memory older than the served leaf',
    ca: MISSING,
    tls: valid(pairOf(OTHER)),
    entries: [[OTHER]],
    memory: { ca: STATE, caLostSinceMs: 0 },
    want: { kind: 'bootstrap', generation: 2 },
  },
  {
    name: 'what is remembered has expired',
    ca: MISSING,
    tls: MISSING,
    entries: [[]],
    memory: { ca: STATE, caLostSinceMs: 0 },
    atMs: T0_MS + 366 * DAY_MS,
    want: { kind: 'bootstrap', generation: 2 },
  },
  {
    name: 'the CA expired (a year asleep)',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A]],
    atMs: T0_MS + 366 * DAY_MS,
    want: { kind: 'bootstrap', generation: 2, replaces: '7' },
  },

  {
    name: 'an empty entry',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A], []],
    want: { kind: 'publish', resourceVersion: '9' },
  },
  {
    name: 'an expired certificate in an entry',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A, facts('d', T0_MS - 9 * DAY_MS, DAY_MS)]],
    want: { kind: 'publish' },
  },
  {
    name: 'an unknown CA in an entry',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A, OTHER]],
    want: { kind: 'wait', reason: 'in_order' },
  },
  { name: 'trust comes before the leaf', ca: valid(STATE), tls: MISSING, entries: [[]], want: { kind: 'publish' } },
  {
    name: 'somebody undoes every write',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[]],
    memory: {
      published: [1, 2, 3, 4, 5].map((i) => ({
        atMs: 990_000 + i,
        target: targetKey({ required: [A], removable: new Set() }),
      })),
    },
    want: { kind: 'wait', reason: 'flapping_bundle', waitMs: 50_001 },
  },
  {
    name: 'and the leaf is renewed all the same',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[]],
    atMs: T0_MS + 21 * DAY_MS,
    memory: {
      published: [1, 2, 3, 4, 5].map((i) => ({
        atMs: 990_000 + i,
        target: targetKey({ required: [A], removable: new Set() }),
      })),
    },
    want: { kind: 'issue_leaf', reason: 'near_expiry' },
  },

  {
    name: 'no leaf',
    ca: valid(STATE),
    tls: MISSING,
    entries: [[A]],
    want: { kind: 'issue_leaf', reason: 'missing', replaces: undefined },
  },
  {
    name: 'no leaf, one remembered',
    ca: valid(STATE),
    tls: MISSING,
    entries: [[A]],
    memory: { pair: PAIR },
    want: { kind: 'restore_leaf', pair: PAIR },
  },
  {
    name: 'a corrupt leaf, one remembered',
    ca: valid(STATE),
    tls: CORRUPT,
    entries: [[A]],
    memory: { pair: PAIR },
    want: { kind: 'restore_leaf', replaces: '8' },
  },
  {
    name: 'the remembered leaf is due itself',
    ca: valid(STATE),
    tls: MISSING,
    entries: [[A]],
    memory: { pair: PAIR },
    atMs: T0_MS + 21 * DAY_MS,
    want: { kind: 'issue_leaf', reason: 'missing' },
  },
  {
    name: 'the remembered leaf is of an unknown CA',
    ca: valid(STATE),
    tls: MISSING,
    entries: [[A]],
    memory: { pair: pairOf(OTHER) },
    want: { kind: 'issue_leaf' },
  },
  {
    name: 'no leaf, but servers may hold one of another CA',
    ca: valid(STATE),
    tls: MISSING,
    entries: [[A, OTHER]],
    memory: { trustedSinceMs: trustedFor([A, 10_000]) },
    want: { kind: 'wait', reason: 'settling', waitMs: 50_000 },
  },
  {
    name: 'the leaf at two thirds',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A]],
    atMs: T0_MS + 20 * DAY_MS,
    want: { kind: 'issue_leaf', reason: 'near_expiry', replaces: '7' },
  },
  {
    name: 'other hosts configured',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A]],
    settings: { covers: () => false },
    want: { kind: 'issue_leaf', reason: 'wrong_host' },
  },
  {
    name: 'a leaf of another CA, ours not settled',
    ca: valid(STATE),
    tls: valid(pairOf(OTHER)),
    entries: [[A, OTHER]],
    memory: { trustedSinceMs: trustedFor([A, 1_000]) },
    want: { kind: 'wait', reason: 'settling', waitMs: 59_000 },
  },
  {
    name: 'a leaf of another CA, ours settled',
    ca: valid(STATE),
    tls: valid(pairOf(OTHER)),
    entries: [[A, OTHER]],
    memory: { trustedSinceMs: trustedFor([A, 60_000]) },
    want: { kind: 'issue_leaf', reason: 'wrong_issuer' },
  },

  {
    name: 'the CA at two thirds',
    ca: valid(STATE),
    tls: valid(pairOf(A, T0_MS + 243 * DAY_MS)),
    entries: [[A]],
    atMs: T0_MS + 244 * DAY_MS,
    want: { kind: 'generate', resourceVersion: '7' },
  },
  {
    name: 'the next CA is not trusted yet',
    ca: valid(ROTATING),
    tls: valid(PAIR),
    entries: [[A, B], [A]],
    want: { kind: 'publish' },
  },
  {
    name: 'the next CA settles',
    ca: valid(ROTATING),
    tls: valid(PAIR),
    entries: [[A, B]],
    memory: { trustedSinceMs: trustedFor([B, 59_999]) },
    want: { kind: 'wait', reason: 'settling', waitMs: 1 },
  },
  {
    name: 'the next CA has settled',
    ca: valid(ROTATING),
    tls: valid(PAIR),
    entries: [[A, B]],
    memory: { trustedSinceMs: trustedFor([B, 60_000]) },
    want: { kind: 'promote', resourceVersion: '7' },
  },
  {
    name: 'a replica that just came starts the settle time anew',
    ca: valid(ROTATING),
    tls: valid(PAIR),
    entries: [[A, B]],
    want: { kind: 'wait', reason: 'settling', waitMs: 60_000 },
  },
  {
    name: 'without a configuration nobody can be surprised',
    ca: valid(ROTATING),
    tls: valid(PAIR),
    entries: undefined,
    memory: { trustedSinceMs: trustedFor([B, 60_000]) },
    want: { kind: 'promote' },
  },
  {
    name: 'promoted, the leaf follows',
    ca: valid(PROMOTED),
    tls: valid(PAIR),
    entries: [[A, B]],
    memory: { trustedSinceMs: trustedFor([B, 70_000]) },
    want: { kind: 'issue_leaf', reason: 'wrong_issuer' },
  },
  {
    name: 'the old CA is needed',
    ca: valid(PROMOTED),
    tls: valid(pairOf(B)),
    entries: [[A, B]],
    want: { kind: 'wait', reason: 'in_order' },
  },
  {
    name: 'the old CA was taken out too soon',
    ca: valid(PROMOTED),
    tls: valid(pairOf(B)),
    entries: [[B]],
    want: { kind: 'publish' },
  },
  {
    name: 'the old CA is needed no more, and so every replica is told',
    ca: valid(PROMOTED),
    tls: valid(pairOf(B, T0_MS + 30 * DAY_MS)),
    entries: [[A, B]],
    atMs: T0_MS + 31 * DAY_MS,
    want: {
      kind: 'forget',
      state: {
        ...PROMOTED,
        cross: undefined,
        previous: [],
        forgotten: [{ fingerprint: A.fingerprint, notAfterMs: A.notAfterMs }],
      },
    },
  },
  {
    name: 'the old CA is needed no more, and out of the bundle: it is not put back',
    ca: valid(PROMOTED),
    tls: valid(pairOf(B, T0_MS + 30 * DAY_MS)),
    entries: [[B]],
    atMs: T0_MS + 31 * DAY_MS,
    want: { kind: 'forget' },
  },
  {
    name: 'but a leaf of it is still served',
    ca: valid(PROMOTED),
    tls: valid(pairOf(A, T0_MS + 30 * DAY_MS)),
    entries: [[A, B]],
    atMs: T0_MS + 31 * DAY_MS,
    memory: { trustedSinceMs: trustedFor([B, 70_000]) },
    want: { kind: 'issue_leaf' },
  },
  {
    name: 'forgotten, it leaves every bundle, whatever the clock says',
    ca: valid({ ...STATE, forgotten: [{ fingerprint: B.fingerprint, notAfterMs: B.notAfterMs }] }),
    tls: valid(PAIR),
    entries: [[A, B], [A]],
    want: { kind: 'publish' },
  },
  {
    name: 'a longer leaf life than the CA is known for is noted before it signs',
    ca: valid({ ...STATE, leafLifeMs: DAY_MS }),
    tls: MISSING,
    entries: [[A]],
    want: { kind: 'note_life', state: STATE, resourceVersion: '7' },
  },
  {
    name: 'a clock that is not the API server’s: nothing is done, whatever is due',
    ca: valid(STATE),
    tls: MISSING,
    entries: [[]],
    atMs: T0_MS + 400 * DAY_MS,
    clockOffMs: 400 * DAY_MS,
    want: { kind: 'wait', reason: 'clock_off' },
  },
  {
    name: 'a clock behind the validity of the CA',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A]],
    atMs: T0_MS - 2 * HOUR_MS,
    clockOffMs: -2 * HOUR_MS,
    want: { kind: 'wait', reason: 'clock_off' },
  },
  {
    name: 'a clock that is off by half of what certificates are backdated by',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A]],
    clockOffMs: HOUR_MS / 2,
    want: { kind: 'wait', reason: 'in_order' },
  },
  {
    name: 'a CA of the future is replaced by whoever has the API server’s time',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A]],
    atMs: T0_MS - 2 * HOUR_MS,
    clockOffMs: 0,
    want: { kind: 'bootstrap', generation: 2, leafLifeMs: SETTINGS.leaf.lifeMs },
  },
  {
    name: 'what is remembered is overtaken: the entries trust another CA in its place',
    ca: MISSING,
    tls: MISSING,
    entries: [[OTHER]],
    memory: { ca: STATE, caLostSinceMs: 0 },
    want: { kind: 'bootstrap', generation: 2 },
  },
  {
    name: 'a state from before its CA was compromised gives way to the one that is remembered',
    ca: valid(STATE),
    tls: valid(pairOf(B)),
    entries: [[B]],
    memory: { ca: KNOWING, compromised: COMPROMISED },
    want: { kind: 'restore_ca', state: KNOWING, replaces: '7' },
  },
  {
    name: 'or learns of it where nothing better is remembered',
    ca: valid(STATE),
    tls: valid(PAIR),
    entries: [[A]],
    memory: { compromised: COMPROMISED },
    want: { kind: 'take_up', state: { ...STATE, orders: { ...NO_ORDERS, compromised: COMPROMISED } } },
  },
  {
    name: 'a remembered leaf waits for its CA to settle',
    ca: valid(STATE),
    tls: MISSING,
    entries: [[A, OTHER]],
    memory: { pair: PAIR, trustedSinceMs: trustedFor([A, 1_000]) },
    want: { kind: 'wait', reason: 'settling', waitMs: 59_000 },
  },
  {
    name: 'no new rotation before the last one is forgotten',
    ca: valid({
      ...PROMOTED,
      previous: [{ certificate: ca('a', T0_MS + 200 * DAY_MS), neededUntilMs: T0_MS + 300 * DAY_MS }],
    }),
    tls: valid(pairOf(B, T0_MS + 249 * DAY_MS)),
    entries: [[ca('a', T0_MS + 200 * DAY_MS), B]],
    atMs: T0_MS + 250 * DAY_MS,
    want: { kind: 'wait', reason: 'in_order' },
  },
];

describe('decide', () => {
  for (const { name, want, ...given } of CASES) {
    it(`${name}: ${want.kind ?? ''}`, () => {
      const seen: Observation = {
        nowMs: given.atMs ?? T0_MS,
        monotonicMs: 1_000_000,
        clockOffMs: given.clockOffMs,
        ca: given.ca,
        tls: given.tls,
        configuration:
          given.entries === undefined
            ? { status: 'missing' }
            : {
                status: 'present',
                resourceVersion: '9',
                entries: given.entries.map((certificates, i) => ({
                  name: `entry-${i}`,
                  bundle: { certificates, isClean: true },
                })),
              },
      };
      const step = decide(seen, { ...EMPTY_MEMORY, ...given.memory }, { ...SETTINGS, ...given.settings });
      assert.deepEqual({ ...step, ...want }, step);
    });
  }

  it('promotion: the old CA loses its key, stays trusted for the last leaf’s life and a margin, the cross certificate is kept', () => {
    const seen: Observation = {
      nowMs: T0_MS,
      monotonicMs: 0,
      ca: valid(ROTATING),
      tls: valid(PAIR),
      configuration: { status: 'missing' },
    };
    const step = decide(seen, { ...EMPTY_MEMORY, trustedSinceMs: new Map([[B.fingerprint, -60_000]]) }, SETTINGS);
    assert.ok(step.kind === 'promote');
    assert.deepEqual(step.state, {
      generation: 2,
      current: ROTATING.next,
      next: undefined,
      cross: ROTATING.cross,
      leafLifeMs: 30 * DAY_MS,
      previous: [{ certificate: A, neededUntilMs: T0_MS + 30 * DAY_MS + HOUR_MS }],
    });
  });

  it('promotion: leaves that lived longer before the configuration changed keep their CA, served or not', () => {
    const seen: Observation = {
      nowMs: T0_MS,
      monotonicMs: 0,
      ca: valid(ROTATING),
      tls: valid({ ...PAIR, leaf: facts('9', T0_MS, DAY_MS) }),
      configuration: { status: 'missing' },
    };
    const memory = { ...EMPTY_MEMORY, trustedSinceMs: new Map([[B.fingerprint, -60_000]]) };
    const settings = { ...SETTINGS, leaf: { lifeMs: DAY_MS, backdateMs: HOUR_MS } };
    const step = decide(seen, memory, settings);
    assert.ok(step.kind === 'promote');
    assert.equal(step.state.previous[0]?.neededUntilMs, T0_MS + 30 * DAY_MS + HOUR_MS);
    assert.equal(step.state.leafLifeMs, DAY_MS, 'the next CA has signed nothing yet');
  });

  it('the settle time begins anew when the entries were changed between two looks, though they look the same', () => {
    const look = (generation: number | undefined, monotonicMs: number): Observation => ({
      nowMs: T0_MS,
      monotonicMs,
      ca: valid(ROTATING),
      tls: valid(PAIR),
      configuration: {
        status: 'present',
        resourceVersion: '9',
        generation,
        entries: [{ name: 'a', bundle: { certificates: [A, B], isClean: true } }],
      },
    });
    for (const [second, want] of [
      [4, 'promote'],
      [5, 'wait'],
    ] as const) {
      const memory = remember(remember(EMPTY_MEMORY, look(4, 0)), look(second, 60_000));
      assert.equal(decide(look(second, 60_000), memory, SETTINGS).kind, want, `generation 4, then ${second}`);
    }
    const uncounted = remember(remember(EMPTY_MEMORY, look(undefined, 0)), look(undefined, 60_000));
    assert.equal(decide(look(undefined, 60_000), uncounted, SETTINGS).kind, 'promote', 'a server that does not count');
  });

  it('what was compromised is remembered when the state that said so is gone', () => {
    const times = { nowMs: T0_MS, monotonicMs: 0 };
    const rest = { tls: valid(pairOf(B)), configuration: { status: 'missing' } } as const;
    const knowing = remember(EMPTY_MEMORY, { ...times, ...rest, ca: valid(KNOWING) });
    const put = remember(knowing, { ...times, ...rest, ca: valid(STATE) });
    assert.deepEqual([put.compromised, put.ca], [COMPROMISED, KNOWING], 'the older state takes no place in memory');
    const later = remember(put, { ...times, ...rest, ca: MISSING, nowMs: A.notAfterMs });
    assert.deepEqual(later.compromised, [], 'until it expires');
  });

  it('a leaf that lives longer than configured now keeps its CA for its own life', () => {
    const seen: Observation = {
      nowMs: T0_MS,
      monotonicMs: 0,
      ca: valid(ROTATING),
      tls: valid(PAIR),
      configuration: { status: 'missing' },
    };
    const settings = { ...SETTINGS, leaf: { lifeMs: DAY_MS, backdateMs: HOUR_MS } };
    const memory = { ...EMPTY_MEMORY, trustedSinceMs: new Map([[B.fingerprint, -60_000]]) };
    const step = decide(seen, memory, settings);
    assert.ok(step.kind === 'promote');
    assert.equal(step.state.previous[0]?.neededUntilMs, PAIR.leaf.notAfterMs + HOUR_MS);
  });

  it('the CA of the served leaf is required even when the state does not know it', () => {
    const target = trustTarget(STATE, valid(pairOf(OTHER)), T0_MS);
    assert.deepEqual(
      target.required.map((certificate) => certificate.commonName),
      ['a', 'e'],
    );
  });
});
