/**
 * Worse designs, made by wrapping the real decide() or by other settings: each has to break an invariant, or the model sees nothing.
 */
import { decide } from '../../certs/decide.ts';
import type { Step } from '../../certs/decide.ts';
import type { Invariant } from './certs-exhaustive-invariants.ts';
import { settingsOf } from './certs-exhaustive-world.ts';
import type { Design } from './certs-exhaustive-world.ts';

type Decide = Design['decide'];

/** Beats of every design here: settle 1, leaf 3. */
export const BEATS = { leafLife: 3, settle: 1, pruneMargin: 1, restoreGrace: 1 };

export interface Mutant {
  readonly name: string;
  readonly change: Partial<Design>;
  /** What is looked for: without the settle time I2 breaks by definition, and the question is whether a request does. */
  readonly invariants: ReadonlySet<Invariant>;
  readonly expected: Invariant | undefined;
}

const served = (invariant: Invariant | undefined): Pick<Mutant, 'invariants' | 'expected'> => ({
  invariants: new Set<Invariant>(['I1']),
  expected: invariant,
});
const unsettled = settingsOf({ ...BEATS, settle: 0 });
/** A CA counts as not needed from the moment of its successor's promotion. */
const unguarded = settingsOf({ ...BEATS, pruneMargin: -2 * BEATS.leafLife });

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'Secrets first, bundle replaced, no cross',
    change: { decide: secretsFirst(replacing(decide)), usesCross: false },
    ...served('I1'),
  },
  {
    name: 'Secrets first, bundle merged, no cross',
    change: { decide: secretsFirst(decide), usesCross: false },
    ...served('I1'),
  },
  {
    name: 'Secrets first, with cross, one rotation right after another',
    change: { decide: secretsFirst(decide) },
    ...served('I1'),
  },
  { name: 'bundle first, no settle, no cross', change: { settings: unsettled, usesCross: false }, ...served('I1') },
  { name: 'bundle first, no settle, with cross', change: { settings: unsettled }, ...served(undefined) },
  { name: 'bundle first, settle, no cross', change: { usesCross: false }, ...served(undefined) },
  {
    name: 'rotations overlap, no settle, with cross',
    change: { settings: unsettled, decide: overlapping(decide) },
    ...served('I1'),
  },
  {
    name: 'no settle, no cross, no prune guard',
    change: { settings: { ...unguarded, settleMs: 0 }, usesCross: false },
    ...served('I1'),
  },
  { name: 'prune unguarded', change: { settings: unguarded }, ...served('I1') },
  {
    name: 'prune margin shorter than a held write',
    change: { settings: settingsOf({ ...BEATS, pruneMargin: 0 }) },
    invariants: new Set<Invariant>(['I3']),
    expected: 'I3',
  },
  {
    name: 'rotations overlap',
    change: { decide: overlapping(decide) },
    invariants: new Set<Invariant>(['I4']),
    expected: 'I4',
  },
  { name: 'no settle', change: { settings: unsettled }, invariants: new Set<Invariant>(['I2']), expected: 'I2' },
  {
    name: 'a CA is compromised, and servers reload later than settled',
    change: { requests: 1, requestKinds: ['compromised'] },
    ...served('I1'),
  },
  {
    name: 'writes without compare-and-swap',
    change: { usesCompareAndSwap: false },
    invariants: new Set<Invariant>(['I7']),
    expected: 'I7',
  },
];

/** The next CA takes over, and signs, before anybody trusts it: the bundle is not looked at while it is not what it should be. */
function secretsFirst(inner: Decide): Decide {
  return (seen, memory, settings) => {
    const step = inner(seen, memory, settings);
    const isRotating = seen.ca.status === 'valid' && seen.tls.status === 'valid';
    if (!isRotating || (step.kind !== 'publish' && step.kind !== 'wait')) return step;
    // Nobody is called without a configuration, so that all that remains to be done is with the Secrets.
    const blind = { ...seen, configuration: { status: 'missing' } as const };
    const all = new Map(
      [seen.ca.value.current, seen.ca.value.next].flatMap((ca) =>
        ca === undefined ? [] : [[ca.certificate.fingerprint, Number.NEGATIVE_INFINITY]],
      ),
    );
    const other = inner(blind, { ...memory, trustedSinceMs: all }, settings);
    return other.kind === 'promote' || other.kind === 'issue_leaf' ? other : step;
  };
}

/** The bundle holds the current CA and nothing else. */
function replacing(inner: Decide): Decide {
  return (seen, memory, settings) => {
    const step = inner(seen, memory, settings);
    if (step.kind !== 'publish' || seen.ca.status !== 'valid') return step;
    const current = seen.ca.value.current.certificate;
    const removable = new Set(step.target.required.map(({ fingerprint }) => fingerprint));
    removable.delete(current.fingerprint);
    return { ...step, target: { required: [current], removable } };
  };
}

/** A rotation begins although the last one is not forgotten. */
function overlapping(inner: Decide): Decide {
  return (seen, memory, settings): Step => {
    const step = inner(seen, memory, settings);
    if (step.kind !== 'wait' || seen.ca.status !== 'valid') return step;
    const { value, resourceVersion } = seen.ca;
    const alone = inner({ ...seen, ca: { ...seen.ca, value: { ...value, previous: [] } } }, memory, settings);
    return alone.kind === 'generate' ? { ...alone, state: value, resourceVersion } : step;
  };
}
