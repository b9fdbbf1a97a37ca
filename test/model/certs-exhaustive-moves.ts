/**
 * What can happen next in the world of the exhaustive model: every move of everybody, each with the world that it leads to.
 *
 * A round of a replica is two moves: it reads, remembers and decides (each object live or in a version overtaken a moment ago), and its
 * write lands, loses the race or gets lost. An answer that gets lost leaves the same world as one that arrives: the rotator observes anew
 * after both. A write that was sent by a replica that crashed since is the write of another replica that never acts again.
 *
 * The clock. decide() compares times in four ways, and each is a phase that lasts a whole number of beats: settled, leaf due or expired,
 * old CA no longer needed, and CA due. All but the last are counted, so that the real arithmetic of decide() is run; whatever happens
 * between two beats happens in every order. A beat passes only when what the design promises to take less time has been done: caches
 * caught up, held writes ended, servers loaded a leaf before theirs expires. A CA may fall due at any moment, in the middle of a rotation
 * too: more than lives of months allow, so that nothing is missed, and the state space closes over any number of rotations.
 */
import type { CertificateFacts } from '../../certs/bundle.ts';
import { EMPTY_MEMORY } from '../../certs/observation.ts';
import { cacheKey, replicaKey, serverKey } from './certs-exhaustive-key.ts';
import { afterRound, viewsOf } from './certs-exhaustive-rounds.ts';
import { BEAT_MS, caNumber } from './certs-exhaustive-certificates.ts';
import type { Design, Objects, World, Write } from './certs-exhaustive-world.ts';
import { afterLanding, afterWrite, replaced, withReplica } from './certs-exhaustive-writes.ts';

export interface Move {
  readonly kind: 'land' | 'follow' | 'round' | 'beat' | 'failure' | 'outside';
  readonly text: () => string;
  readonly after: World;
  /** Nothing came of it. */
  readonly isIdle?: boolean;
  /** What was written, if anything. */
  readonly landed?: Write;
}

/** Every move; replicas and followers that are alike move once. */
export function movesOf(world: World, design: Design): readonly Move[] {
  const moves: Move[] = [];
  for (const i of distinct(world.replicas.map((replica) => replicaKey(world, replica, design))))
    replicaMoves(world, design, i, moves);
  followMoves(world, design, moves);
  // Everybody has done what is due, as far as it can be done now.
  const isDone = moves.every(({ kind, isIdle }) => isIdle === true || kind === 'failure');
  const beat = isDone || !design.isAttentive ? afterBeat(world, design, isDone) : undefined;
  if (beat !== undefined) moves.push({ kind: 'beat', text: () => `beat ${beat.beat}`, after: beat });
  outsideMoves(world, design, moves);
  return moves;
}

function replicaMoves(world: World, design: Design, i: number, moves: Move[]): void {
  const replica = world.replicas[i];
  if (replica === undefined) return;
  const { name, write } = replica;
  if (write === undefined) {
    for (const view of viewsOf(world, design)) {
      const after = afterRound(world, design, i, view);
      const isLive = view.ca === world.ca && view.tls === world.tls && view.bundle === world.bundle;
      const text = (): string => `${name} reads${staleWords(view, world)}, decides ${after.decided}`;
      const isIdle =
        replicaKey(after.world, after.world.replicas[i] ?? replica, design) === replicaKey(world, replica, design);
      moves.push({ kind: isLive ? 'round' : 'failure', text, after: after.world, isIdle });
    }
  } else {
    const landed = afterLanding(world, design, i, write);
    moves.push({ kind: 'land', text: () => `${name}: ${write.kind} lands`, after: landed, landed: write });
    const idle = withReplica(world, i, { ...replica, write: undefined });
    moves.push({ kind: 'failure', text: () => `${name}: ${write.kind} gets lost`, after: idle });
  }
  if (write === undefined && replica.memory === EMPTY_MEMORY) return;
  const crashed = withReplica(world, i, { name, memory: EMPTY_MEMORY, write: undefined });
  moves.push({ kind: 'failure', text: () => `${name} crashes`, after: crashed });
}

/** Caches and servers catch up with the live version; one that lags behind that is one that has not moved yet. */
function followMoves(world: World, design: Design, moves: Move[]): void {
  for (const j of distinct(world.caches.map((cache) => cacheKey(world, cache)))) {
    const [cache, { value }] = [world.caches[j], world.bundle];
    if (cache?.staleSince === undefined || value === undefined) continue;
    const after = { ...world, caches: replaced(world.caches, j, { ...cache, value, staleSince: undefined }) };
    moves.push({ kind: 'follow', text: () => `${cache.name} catches up`, after });
  }
  for (const k of distinct(world.servers.map((server) => serverKey(world, server, design)))) {
    const [server, { value }] = [world.servers[k], world.tls];
    if (server?.staleSince === undefined || value === undefined) continue;
    const after = { ...world, servers: replaced(world.servers, k, { ...server, value, staleSince: undefined }) };
    moves.push({ kind: 'follow', text: () => `${server.name} reloads`, after });
  }
}

/**
 * The world one beat later; undefined while something is not done that takes less. A leaf that is served expires only when nobody can do
 * anything about it: its replicas lost their memory too late to learn again in time what is trusted.
 * Where Secrets get lost such an outage is cut off: no order of writes heals it.
 */
function afterBeat(world: World, design: Design, isDone: boolean): World | undefined {
  const beat = world.beat + 1;
  if (world.caches.some(({ staleSince }) => staleSince !== undefined && beat - staleSince >= design.cacheLag))
    return undefined;
  if (world.replicas.some(({ write }) => write !== undefined && beat - write.seenAt > design.holdMax)) return undefined;
  const { reloadLag = Number.POSITIVE_INFINITY } = design;
  if (world.servers.some(({ staleSince }) => staleSince !== undefined && beat - staleSince >= reloadLag))
    return undefined;
  const pairs = [world.tls.value, ...world.servers.map(({ value }) => value)];
  const isOver = pairs.some((pair) => pair !== undefined && pair.leaf.notAfterMs <= beat * BEAT_MS);
  if (isOver && !(isDone && design.losses === 0)) return undefined;
  return { ...world, beat, past: world.past.filter(({ overtakenAt }) => beat - overtakenAt <= design.staleMax) };
}

function outsideMoves(world: World, design: Design, moves: Move[]): void {
  const state = world.ca.value;
  const current = state === undefined ? 0 : caNumber(state.current.certificate);
  if (state !== undefined && current !== world.dueCa) {
    moves.push({ kind: 'outside', text: () => `CA ${current} falls due`, after: { ...world, dueCa: current } });
  }
  if (world.requests < design.requests && state !== undefined) {
    for (const kind of design.requestKinds) {
      const requests = world.requests + 1;
      const request = { ok: true, text: `${kind}@${requests}`, kind } as const;
      // An annotation is a new version of the Secret.
      const after = afterWrite({ ...world, requests, request }, design, 'ca', state);
      moves.push({ kind: 'outside', text: () => `an operator asks for ${request.text}`, after });
    }
  }
  if (world.drifts < design.drifts) {
    for (const [words, certificates] of spoiled(world.bundle.value?.certificates ?? [])) {
      const counted = { ...world, drifts: world.drifts + 1 };
      const after = afterWrite(counted, design, 'bundle', { certificates, isForeign: true });
      moves.push({ kind: 'outside', text: () => `somebody ${words} the bundle`, after });
    }
  }
  if (world.losses < design.losses) {
    for (const object of ['ca', 'tls'] as const) {
      if (world[object].value === undefined) continue;
      const counted = { ...world, losses: world.losses + 1 };
      const lost = (words: string, isCorrupt: boolean): void => {
        const after = afterWrite(counted, design, object, undefined, isCorrupt);
        moves.push({ kind: 'outside', text: () => `somebody ${words} the ${object} Secret`, after });
      };
      lost('deletes', false);
      lost('corrupts', true);
    }
  }
}

/** What others make of the bundle: nothing, or an older one. */
function spoiled(
  certificates: readonly CertificateFacts[],
): ReadonlyArray<readonly [string, readonly CertificateFacts[]]> {
  if (certificates.length === 0) return [];
  const numbers = certificates.map(caNumber);
  const older = certificates.filter((_, i) => numbers[i] !== Math.max(...numbers));
  return older.length === 0
    ? [['empties', []]]
    : [
        ['empties', []],
        ['sets back', older],
      ];
}

/** Which reads are behind, in words. */
function staleWords(view: Objects, world: World): string {
  const stale = (['ca', 'tls', 'bundle'] as const).filter((object) => view[object] !== world[object]);
  return stale.length === 0 ? '' : ` an old ${stale.join(' and ')}`;
}

/** Indexes of the first of each kind; a canonical world is sorted, so that what is alike stands together. */
function distinct(keys: readonly string[]): readonly number[] {
  return [...keys.keys()].filter((i) => i === 0 || keys[i] !== keys[i - 1]);
}
