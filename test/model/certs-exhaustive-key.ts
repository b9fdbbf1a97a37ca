/**
 * The canonical key of a world: two worlds with one key have the same futures, but for names.
 *
 * What is left out, and why: absolute time (decide() compares differences only), numbers of CAs (they are counted back from the newest),
 * generations and version numbers (only compared for equality: a write whose version is gone is dropped at once), which replica is which,
 * which cache, which server (they are sorted). Ages stop where nobody looks any further: a trust at the settle time, a need at 0.
 * One character stands for one number.
 */
import type { CertificateFacts, ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import type { Memory } from '../../certs/observation.ts';
import { openOrders } from '../../certs/orders.ts';
import { BEAT_MS, caNumber, crossOf, numberOf } from './certs-exhaustive-certificates.ts';
import type { Bundle, Design, Follower, Objects, Past, Replica, World, Write } from './certs-exhaustive-world.ts';

/** Where numbers begin; what stands below is a mark. */
const ZERO = 0x61;

/** The key, and the world with its replicas, caches and servers in the order of the key. */
export function canonical(world: World, design: Design): { readonly key: string; readonly world: World } {
  const caches = sorted(
    world.caches.map((cache) => caughtUp(world, cache, world.bundle.value)),
    (cache) => cacheKey(world, cache),
  );
  const servers = sorted(
    world.servers.map((server) => caughtUp(world, server, world.tls.value)),
    (server) => serverKey(world, server, design),
  );
  const replicas = sorted(world.replicas, (replica) => replicaKey(world, replica, design));
  const past = distinctPast(world);
  const key = [
    char(world.drifts) + char(world.losses) + requestKey(world) + (isDue(world) ? 'D' : ''),
    versionKey(world, world.ca),
    versionKey(world, world.tls),
    versionKey(world, world.bundle),
    past.keys.join(','),
    truthKey(world, design),
    caches.keys.join(','),
    servers.keys.join(','),
    replicas.keys.join(','),
  ].join('|');
  return {
    key,
    world: { ...world, past: past.list, caches: caches.list, servers: servers.list, replicas: replicas.list },
  };
}

/** What was overtaken is read for what it holds; as a version it can no longer be replaced. */
function distinctPast(world: World): { readonly list: readonly Past[]; readonly keys: readonly string[] } {
  const { list, keys } = sorted(world.past, (past) => pastKey(world, past));
  const isNew = (i: number): boolean => {
    const past = list[i];
    if (past === undefined || keys[i] === keys[i - 1]) return false;
    return versionKey(world, past.was) !== versionKey(world, world[past.object]);
  };
  return { list: list.filter((_, i) => isNew(i)), keys: keys.filter((_, i) => isNew(i)) };
}

/** Who is behind but holds the same is as good as one that is not. */
function caughtUp<T extends Bundle | ServingPair | undefined>(
  world: World,
  follower: Follower<T>,
  live: T | undefined,
): Follower<T> {
  const { value, staleSince } = follower;
  if (staleSince === undefined || live === undefined || value === undefined) return follower;
  return valueKey(world, live) === valueKey(world, value)
    ? { ...follower, value: live, staleSince: undefined }
    : follower;
}

export function cacheKey(world: World, { value, staleSince }: Follower<Bundle>): string {
  return bundleKey(world, value) + (staleSince === undefined ? '' : `*${char(world.beat - staleSince)}`);
}

export function serverKey(
  world: World,
  { value, staleSince }: Follower<ServingPair | undefined>,
  design: Design,
): string {
  // Whoever serves a leaf that has expired is about to load another: nothing hangs from it any more.
  const isOver = value !== undefined && value.leaf.notAfterMs <= world.beat * BEAT_MS;
  return (
    (isOver ? '.' : pairKey(world, value)) +
    (staleSince === undefined ? '' : `*${design.reloadLag === undefined ? '' : char(world.beat - staleSince)}`)
  );
}

export function replicaKey(world: World, { memory, write }: Replica, design: Design): string {
  return memoryKey(world, memory, design) + (write === undefined ? '' : writeKey(world, write));
}

/** What the three objects hold, whoever else knows what. */
export function objectsKey(world: World): string {
  return [versionKey(world, world.ca), versionKey(world, world.tls), versionKey(world, world.bundle)].join('|');
}

/** Whether nothing is under way and nothing is due: one CA, trusted, a leaf of it, everybody up to date. */
export function isAtRest(world: World): boolean {
  const state = world.ca.value;
  const pair = world.tls.value;
  if (state === undefined || pair === undefined || isDue(world)) return false;
  const current = caNumber(state.current.certificate);
  const isAnswered = world.request?.ok !== true || world.request.text === state.orders?.handled;
  if (!isAnswered || openOrders(state, pair).length > 0) return false;
  if (state.next !== undefined || state.previous.length > 0 || caNumber(pair.issuer) !== current) return false;
  const trusted = world.bundle.value?.certificates.map(caNumber) ?? [];
  // CAs whose state got lost, one and its next, are unknown ones: they stay until they expire.
  if (!trusted.includes(current) || trusted.length > 1 + 2 * world.losses) return false;
  const isBehind = [...world.caches, ...world.servers].some(({ staleSince }) => staleSince !== undefined);
  return !isBehind && world.replicas.every(({ write }) => write === undefined);
}

/** Whether the current CA has to be renewed. */
export function isDue(world: World): boolean {
  return world.ca.value !== undefined && caNumber(world.ca.value.current.certificate) === world.dueCa;
}

function memoryKey(world: World, memory: Memory, design: Design): string {
  const nowMs = world.beat * BEAT_MS;
  let key = '';
  for (const [fingerprint, sinceMs] of memory.trustedSinceMs) {
    if (!isCandidate(world, numberOf(fingerprint))) continue;
    key += caChar(world, numberOf(fingerprint));
    key += char(Math.min(design.settings.settleMs, nowMs - sinceMs) / BEAT_MS);
  }
  if (memory.caLostSinceMs !== undefined) {
    key += `L${char(Math.min(design.settings.restoreGraceMs, nowMs - memory.caLostSinceMs) / BEAT_MS)}`;
  }
  if (design.requests > 0) key += servedIssuerKey(world, memory, design);
  if (memory.ca !== undefined) key += `C${stateKey(world, memory.ca)}`;
  if (memory.pair !== undefined) key += `P${pairKey(world, memory.pair)}`;
  return key;
}

function requestKey({ requests, request }: World): string {
  return char(requests) + (request?.ok === true ? request.kind : '');
}

/** Since when the leaf's CA is known to serve; of a CA whose leaf is not the one in the Secret nobody asks. */
function servedIssuerKey(world: World, { servedIssuer }: Memory, design: Design): string {
  const pairs = [
    world.tls.value,
    ...world.past.map(({ was }) => was.value),
    ...world.replicas.map(({ write }) => write?.value),
  ];
  const isAsked = pairs.some(
    (pair) => pair !== undefined && 'leaf' in pair && pair.issuer.fingerprint === servedIssuer?.fingerprint,
  );
  if (servedIssuer === undefined || !isAsked) return '';
  const servedMs = world.beat * BEAT_MS - servedIssuer.sinceMs;
  return `S${caChar(world, numberOf(servedIssuer.fingerprint))}${char(Math.min(design.settings.settleMs, servedMs) / BEAT_MS)}`;
}

/** What was ordered: taken up or not, and which of the things that are still there it concerns. */
function ordersKey(world: World, { orders, current, next, previous }: CaState): string {
  if (orders === undefined) return '';
  const isHandled = world.request?.ok === true && world.request.text === orders.handled;
  const isLeaf = orders.retiredLeaf !== undefined && orders.retiredLeaf === world.tls.value?.leaf.fingerprint;
  const isCa = orders.retiredCa === current.certificate.fingerprint;
  const pairs = [world.tls.value, ...world.servers.map(({ value }) => value)];
  const there = new Set(
    [current, next, ...previous].flatMap((ca) => (ca === undefined ? [] : [ca.certificate.fingerprint])),
  );
  for (const ca of world.bundle.value?.certificates ?? []) there.add(ca.fingerprint);
  for (const pair of pairs) if (pair !== undefined) there.add(pair.issuer.fingerprint);
  const compromised = orders.compromised
    .filter((ca) => there.has(ca.fingerprint))
    .map((ca) => caChar(world, numberOf(ca.fingerprint)));
  return `O${isHandled ? 'h' : ''}${isLeaf ? 'l' : ''}${isCa ? 'c' : ''}[${compromised.toSorted().join('')}]`;
}

/** Whether a state that can still be read or written names the CA: nobody looks at what is remembered of another. */
function isCandidate(world: World, number: number): boolean {
  const names = (value: unknown): boolean =>
    isState(value) && [value.current, value.next].some((ca) => ca !== undefined && caNumber(ca.certificate) === number);
  return (
    names(world.ca.value) ||
    world.past.some(({ was }) => names(was.value)) ||
    world.replicas.some(({ memory, write }) => names(memory.ca) || names(write?.value))
  );
}

function isState(value: unknown): value is CaState {
  return typeof value === 'object' && value !== null && 'generation' in value;
}

function writeKey(world: World, { kind, value, around, seenAt }: Write): string {
  const whole = value ?? around;
  return `!${kind}${char(world.beat - seenAt)}${whole === undefined ? '' : valueKey(world, whole)}`;
}

function versionKey(world: World, { value, isCorrupt }: Objects[keyof Objects]): string {
  if (isCorrupt) return 'X';
  return value === undefined ? '' : valueKey(world, value);
}

function valueKey(world: World, value: CaState | ServingPair | Bundle): string {
  if ('leaf' in value) return pairKey(world, value);
  return 'certificates' in value ? bundleKey(world, value) : stateKey(world, value);
}

function stateKey(world: World, state: CaState): string {
  const { current, next, cross, previous } = state;
  let key = caKey(world, current.certificate) + (next === undefined ? '' : `>${caKey(world, next.certificate)}`);
  if (cross !== undefined) key += crossKey(world, cross);
  for (const { certificate, neededUntilMs } of previous) {
    // A need that was ended by order is told apart from one that has passed: orders look at it.
    const needed = neededUntilMs === 0 ? '0' : char(Math.max(0, neededUntilMs / BEAT_MS - world.beat));
    key += `<${caKey(world, certificate)}${needed}`;
  }
  return key + ordersKey(world, state) + forgottenKey(world, state);
}

/** Of what was forgotten only what somebody may still publish, or has published, makes a difference. */
function forgottenKey(world: World, { forgotten }: CaState): string {
  if (forgotten === undefined || forgotten.length === 0) return '';
  const values = [
    world.ca.value,
    world.bundle.value,
    ...world.past.map(({ was }) => was.value),
    ...world.replicas.flatMap(({ memory, write }) => [memory.ca, write?.value, write?.around]),
  ];
  const there = new Set(values.flatMap((value) => (value === undefined ? [] : trustedBy(value))));
  const left = forgotten.filter((ca) => there.has(ca.fingerprint)).map((ca) => caChar(world, numberOf(ca.fingerprint)));
  return left.length === 0 ? '' : `V${left.toSorted().join('')}`;
}

function trustedBy(value: CaState | ServingPair | Bundle): readonly string[] {
  if ('certificates' in value) return value.certificates.map((ca) => ca.fingerprint);
  if ('leaf' in value) return [value.issuer.fingerprint];
  return [value.current, value.next, ...value.previous].flatMap((ca) =>
    ca === undefined ? [] : [ca.certificate.fingerprint],
  );
}

function pairKey(world: World, pair: ServingPair | undefined): string {
  if (pair === undefined) return '-';
  const beatsLeft = Math.max(0, pair.leaf.notAfterMs / BEAT_MS - world.beat);
  const cross = pair.chain[1];
  const isRetired = world.ca.value?.orders?.retiredLeaf === pair.leaf.fingerprint;
  const marks = (pair.endsOldConnections === true ? 'E' : '') + (isRetired ? 'R' : '');
  return marks + caKey(world, pair.issuer) + char(beatsLeft) + (cross === undefined ? '' : crossKey(world, cross));
}

function bundleKey(world: World, { certificates, isForeign }: Bundle): string {
  const names = certificates.map((certificate) => caKey(world, certificate));
  return (isForeign ? 'F' : '') + names.toSorted().join('');
}

/** Trust counts until it is as old as a cache may be, the end of the last leaf until it has passed. */
function truthKey(world: World, design: Design): string {
  let key = '';
  for (const [number, { trustedSince, leafUntil }] of world.truth) {
    const trusted = Math.min(design.cacheLag, world.beat - trustedSince);
    key += caChar(world, number) + char(trusted) + char(Math.max(0, leafUntil - world.beat));
  }
  return key;
}

/** One of so many generations ago is nobody's any more: it stays in the bundle as an unknown one does, and any other would do as well. */
const GENERATIONS_MAX = 8;

function caChar(world: World, number: number): string {
  return char(Math.min(GENERATIONS_MAX, world.nextCa - number));
}

function caKey(world: World, certificate: CertificateFacts): string {
  return caChar(world, caNumber(certificate));
}

function crossKey(world: World, certificate: CertificateFacts): string {
  const { subject, signer } = crossOf(certificate);
  return `x${caChar(world, subject)}${caChar(world, signer)}`;
}

function pastKey(world: World, { object, was, overtakenAt }: Past): string {
  return object + char(world.beat - overtakenAt) + versionKey(world, was);
}

function char(count: number): string {
  return String.fromCharCode(ZERO + count);
}

function sorted<T>(
  list: readonly T[],
  keyOf: (item: T) => string,
): { readonly list: readonly T[]; readonly keys: readonly string[] } {
  const keyed = list
    .map((item) => ({ item, key: keyOf(item) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return { list: keyed.map(({ item }) => item), keys: keyed.map(({ key }) => key) };
}
