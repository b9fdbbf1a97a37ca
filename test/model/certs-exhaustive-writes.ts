/**
 * What the API server of the exhaustive model does with a write: compare-and-swap, a new version, and followers that are behind by it.
 */
import type { ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { BEAT_MS, caFacts, caNumber, crossFacts } from './certs-exhaustive-certificates.ts';
import type { Bundle, Design, Follower, Objects, Replica, Truth, World, Write } from './certs-exhaustive-world.ts';

/** What a write leaves behind; a new CA gets its number here, so that a write that is lost leaves no gap. */
export function afterLanding(world: World, design: Design, i: number, write: Write): World {
  const replica = world.replicas[i];
  const idle = replica === undefined ? world : withReplica(world, i, { ...replica, write: undefined });
  const { around } = write;
  if (around === undefined) return afterWrite(idle, design, write.object, write.value);
  const made = { certificate: caFacts(world.nextCa, false), keyPem: '' };
  const counted = { ...idle, nextCa: world.nextCa + 1 };
  if (write.kind === 'bootstrap') return afterWrite(counted, design, 'ca', { ...around, current: made });
  const cross = crossFacts(world.nextCa, caNumber(around.current.certificate));
  return afterWrite(counted, design, 'ca', { ...around, next: made, cross });
}

/** A new version of an object; undefined deletes it. */
export function afterWrite(
  world: World,
  design: Design,
  object: keyof Objects,
  value: CaState | ServingPair | Bundle | undefined,
  isCorrupt = false,
): World {
  const version = value === undefined && !isCorrupt ? undefined : world.nextVersion;
  const overtaken = { object, was: world[object], overtakenAt: world.beat };
  const next: World = {
    ...world,
    [object]: { version, value, isCorrupt },
    nextVersion: world.nextVersion + 1,
    past: design.staleReads.has(object) ? [...world.past, overtaken] : world.past,
    // Whoever wanted to replace the old version gets a conflict, and looks again.
    replicas: design.usesCompareAndSwap
      ? world.replicas.map((replica) => (replica.write?.object === object ? { ...replica, write: undefined } : replica))
      : world.replicas,
  };
  const overtake = <T>(follower: Follower<T>): Follower<T> =>
    follower.staleSince === undefined ? { ...follower, staleSince: world.beat } : follower;
  if (object === 'bundle') return { ...next, caches: world.caches.map(overtake), truth: truthAfter(next) };
  // A server keeps what it has when the Secret is gone or broken.
  if (object !== 'tls' || next.tls.value === undefined) return next;
  return { ...next, servers: world.servers.map(overtake), truth: truthAfter(next) };
}

/** What is true of the CAs in the live bundle. */
function truthAfter(world: World): ReadonlyMap<number, Truth> {
  const truth = new Map<number, Truth>();
  const pair = world.tls.value;
  const issuer = pair === undefined ? undefined : caNumber(pair.issuer);
  for (const certificate of world.bundle.value?.certificates ?? []) {
    const number = caNumber(certificate);
    const known = world.truth.get(number);
    const leafEnd = pair !== undefined && issuer === number ? pair.leaf.notAfterMs / BEAT_MS : 0;
    truth.set(number, {
      trustedSince: known?.trustedSince ?? world.beat,
      leafUntil: Math.max(known?.leafUntil ?? 0, leafEnd),
    });
  }
  return truth;
}

export function withReplica(world: World, i: number, replica: Replica): World {
  return { ...world, replicas: replaced(world.replicas, i, replica) };
}

export function replaced<T>(list: readonly T[], i: number, item: T): readonly T[] {
  const copy = [...list];
  copy[i] = item;
  return copy;
}
