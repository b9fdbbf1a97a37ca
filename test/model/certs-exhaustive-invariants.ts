/**
 * What must hold in every world of the exhaustive model, and after every move. The names are those of the design (certs/decide.ts).
 *
 * I1 every leaf that is served verifies against the bundle that any API server holds, directly or over the cross certificate in its chain.
 * I2 a served leaf is replaced by one of another CA only when that CA is trusted, and was so for as long as a cache may lag.
 * I3 a CA leaves the bundle only when every leaf of it that was ever written has expired, but for one that is compromised.
 * I4 at most two generations are in flight.
 * I5 a step that fails changes nothing: objects, caches and servers are what they were.
 * I7 the generation that a world comes to rest with is settled by what fell due or was ordered, not by who does what when (whether a
 *    rotation under way counts for an order is settled when the order is taken up).
 */
import type { ServingPair } from '../../certs/bundle.ts';
import { caOrder, isCompromised } from '../../certs/orders.ts';
import { isDue } from './certs-exhaustive-key.ts';
import type { Move } from './certs-exhaustive-moves.ts';
import { BEAT_MS, caFacts, caNumber, crossOf } from './certs-exhaustive-certificates.ts';
import type { Bundle, Design, World } from './certs-exhaustive-world.ts';

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I7';

export interface Violation {
  readonly invariant: Invariant;
  readonly text: string;
}

/** The first invariant that the move breaks, or the world that it leads to. */
export function violationOf(before: World, move: Move, design: Design): Violation | undefined {
  const { after } = move;
  return (
    servedWithoutTrust(after) ??
    (move.landed === undefined ? undefined : (trustedTooLate(before, move, design) ?? prunedTooSoon(before, after))) ??
    tooManyGenerations(after) ??
    (move.kind === 'failure' ? changedByFailure(before, after) : undefined) ??
    (move.kind === 'outside' || move.landed?.kind === 'take_up' || design.losses > 0
      ? undefined
      : anotherResult(before, after))
  );
}

function servedWithoutTrust(world: World): Violation | undefined {
  for (const { name: server, value: pair } of world.servers) {
    if (pair === undefined || pair.leaf.notAfterMs <= world.beat * BEAT_MS) continue;
    for (const { name: apiServer, value: bundle } of world.caches) {
      // Before the first bundle arrives nothing is verified and nothing was promised; a bundle of somebody else's is not our doing.
      if (bundle.certificates.length === 0 || bundle.isForeign || verifies(pair, bundle)) continue;
      const held = bundle.certificates.map(caNumber).join(', ');
      const text = `${server} serves a leaf of CA ${caNumber(pair.issuer)}, ${apiServer} trusts CA ${held}`;
      return { invariant: 'I1', text };
    }
  }
  return undefined;
}

/** As a client verifies: up from the leaf, over the cross certificate if that is served, to an anchor. CAs outlive the run. */
function verifies(pair: ServingPair, bundle: Bundle): boolean {
  const issuer = caNumber(pair.issuer);
  const cross = pair.chain[1] === undefined ? undefined : crossOf(pair.chain[1]);
  const anchors = bundle.certificates.map(caNumber);
  return anchors.includes(issuer) || (cross?.subject === issuer && anchors.includes(cross.signer));
}

function trustedTooLate(before: World, { after, landed }: Move, design: Design): Violation | undefined {
  const [was, is] = [before.tls.value, after.tls.value];
  if (landed?.object !== 'tls' || was === undefined || is === undefined) return undefined;
  // Where nothing valid was served nothing gets worse; under a bundle that somebody else wrote a moment ago nothing is promised.
  if (was.leaf.notAfterMs <= after.beat * BEAT_MS || after.bundle.value?.isForeign === true) return undefined;
  const issuer = caNumber(is.issuer);
  if (issuer === caNumber(was.issuer)) return undefined;
  const since = after.truth.get(issuer)?.trustedSince;
  if (since !== undefined && after.beat - since >= design.cacheLag) return undefined;
  const trusted = since === undefined ? 'not trusted' : `trusted for ${after.beat - since} beats`;
  return { invariant: 'I2', text: `the new leaf is of CA ${issuer}, which is ${trusted}` };
}

function prunedTooSoon(before: World, after: World): Violation | undefined {
  for (const [number, { leafUntil }] of before.truth) {
    if (after.truth.has(number) || leafUntil <= after.beat) continue;
    // By order: what is served then is I1's question.
    if (after.ca.value !== undefined && isCompromised(after.ca.value, caFacts(number, false))) continue;
    const text = `CA ${number} leaves the bundle while a leaf of it is valid for ${leafUntil - after.beat} more beats`;
    return { invariant: 'I3', text };
  }
  return undefined;
}

function tooManyGenerations({ ca }: World): Violation | undefined {
  if (ca.value === undefined) return undefined;
  const { next, previous } = ca.value;
  const others = previous.length + (next === undefined ? 0 : 1);
  return others <= 1 ? undefined : { invariant: 'I4', text: `${others} CAs beside the current one` };
}

function changedByFailure(before: World, after: World): Violation | undefined {
  const names = ['ca', 'tls', 'bundle', 'caches', 'servers'] as const;
  const changed = names.find((name) => before[name] !== after[name]);
  return changed === undefined ? undefined : { invariant: 'I5', text: `a failed step changed ${changed}` };
}

function anotherResult(before: World, after: World): Violation | undefined {
  const [was, is] = [goal(before), goal(after)];
  if (was === undefined || was === is) return undefined;
  return { invariant: 'I7', text: `the world would come to rest at generation ${is ?? 0}, before it was ${was}` };
}

/** The generation that it comes to rest with when nothing more falls due. */
function goal(world: World): number | undefined {
  const state = world.ca.value;
  return state === undefined
    ? undefined
    : state.generation + (state.next !== undefined || isDue(world) || caOrder(state) !== undefined ? 1 : 0);
}
