/**
 * What an operator asked for: a new leaf, a new CA, or the end of a CA whose key others may have. Pure.
 *
 * A request stands as an annotation on the Secret of the CA state (`logging.io/rotate: <leaf|ca|compromised>@<id>`). It is taken up by one
 * write of that state, which notes both that it was taken up and what is to be replaced, by fingerprint. Hence: each request is
 * executed once, whoever crashes where; once the named thing is replaced, the note says nothing any more. Taken up does not mean done:
 * `ca` waits while the rotation before it is not forgotten yet (one rotation at a time), and one that is under way counts.
 * What was compromised is never trusted again for as long as its certificate lives. May import: src/core, certs.
 */
import type { CertificateFacts, ServingPair } from './bundle.ts';
import type { CaState } from './ca-state.ts';

/** Key of the annotation. */
export const ROTATE_ANNOTATION = 'logging.io/rotate';

export const ROTATION_KINDS = ['leaf', 'ca', 'compromised'] as const;
export type RotationKind = (typeof ROTATION_KINDS)[number];

/** A request as it was found. */
export type RotationRequest =
  | { readonly ok: true; readonly text: string; readonly kind: RotationKind }
  | { readonly ok: false; readonly problem: string };

/** What was taken up; part of the CA state. */
export interface Orders {
  /** The request that was taken up last, word for word. */
  readonly handled: string | undefined;
  /** Fingerprints of the leaf and the CA that are to be replaced, if they are still there. */
  readonly retiredLeaf: string | undefined;
  readonly retiredCa: string | undefined;
  /** Our own CAs that must not be trusted any more than an orderly end needs; newest first. */
  readonly compromised: readonly CompromisedCa[];
}

/** A CA that is not trusted any more, by fingerprint, and when it need not be remembered any longer. */
export interface CompromisedCa {
  readonly fingerprint: string;
  readonly notAfterMs: number;
}

export const NO_ORDERS: Orders = { handled: undefined, retiredLeaf: undefined, retiredCa: undefined, compromised: [] };

/** Compromised CAs that are remembered until they expire; each order adds at most a handful, and ten a year would be a bad year. */
export const COMPROMISED_MAX = 64;

/** The id is any word, so that two requests for the same thing differ: the command line tool writes the time. */
const REQUEST = /^(leaf|ca|compromised)@[A-Za-z0-9:.+_-]{1,64}$/;

/** Reads the annotation; undefined when there is none. */
export function parseRequest(text: string | undefined): RotationRequest | undefined {
  if (text === undefined || text === '') return undefined;
  const kind = ROTATION_KINDS.find((known) => known === REQUEST.exec(text)?.[1]);
  if (kind !== undefined) return { ok: true, text, kind };
  // What stands there may be anything: only its length is told.
  const expected = `${ROTATION_KINDS.join(', ')} with @ and an id (letters, digits, : . + _ -, at most 64)`;
  return {
    ok: false,
    problem: `annotation ${ROTATE_ANNOTATION}: expected ${expected}, got a text of ${text.length} characters`,
  };
}

/**
 * The state after a request was taken up; undefined when there is nothing to take up now.
 *
 * A leaf is only retired when it is there to be named, and a CA only distrusted when no leaf of an unknown CA is served: both are
 * put in order first.
 */
export function takenUp(
  request: RotationRequest | undefined,
  state: CaState,
  pair: ServingPair | undefined,
  nowMs: number,
): CaState | undefined {
  if (request === undefined || !request.ok) return undefined;
  const orders = state.orders ?? NO_ORDERS;
  if (request.text === orders.handled || pair === undefined) return undefined;
  const noted = { ...orders, handled: request.text };
  switch (request.kind) {
    case 'leaf':
      return { ...state, orders: { ...noted, retiredLeaf: pair.leaf.fingerprint } };
    case 'ca':
      return { ...state, orders: { ...noted, retiredCa: state.current.certificate.fingerprint } };
    case 'compromised': {
      const all = [state.current.certificate, state.next?.certificate, ...state.previous.map((ca) => ca.certificate)];
      const known = all.filter((ca) => ca !== undefined);
      if (!known.some((ca) => ca.fingerprint === pair.issuer.fingerprint)) return undefined;
      // The key of the next CA lay beside that of the current one, and nothing depends on it yet.
      const cross = state.next === undefined ? state.cross : undefined;
      const compromised = withCompromised(orders.compromised, known, nowMs);
      return { ...state, next: undefined, cross, orders: { ...noted, compromised } };
    }
  }
}

function withCompromised(
  before: readonly CompromisedCa[],
  added: readonly CertificateFacts[],
  nowMs: number,
): readonly CompromisedCa[] {
  const names = new Set(added.map((ca) => ca.fingerprint));
  return [
    ...added.map(({ fingerprint, notAfterMs }) => ({ fingerprint, notAfterMs })),
    ...before.filter((ca) => ca.notAfterMs > nowMs && !names.has(ca.fingerprint)),
  ].slice(0, COMPROMISED_MAX);
}

/**
 * The state with what a replica remembers to be compromised; undefined when it lacks none of it. A state that was put back from a backup,
 * or made by a replica without memory, does not know.
 */
export function withRemembered(
  state: CaState,
  remembered: readonly CompromisedCa[],
  nowMs: number,
): CaState | undefined {
  const orders = state.orders ?? NO_ORDERS;
  const missing = remembered.filter((ca) => ca.notAfterMs > nowMs && !names(orders.compromised, ca.fingerprint));
  const compromised = [...orders.compromised, ...missing].slice(0, COMPROMISED_MAX);
  if (compromised.length <= orders.compromised.length) return undefined;
  const known = { ...state, orders: { ...orders, compromised } };
  const isNextLost = state.next !== undefined && isCompromised(known, state.next.certificate);
  return isNextLost ? { ...known, next: undefined, cross: undefined } : known;
}

/** Whether the state holds a CA that is remembered as compromised and does not know it: it is older than what was remembered. */
export function isOlder(state: CaState, remembered: readonly CompromisedCa[]): boolean {
  const all = [state.current, state.next, ...state.previous];
  return all.some(
    (ca) => ca !== undefined && names(remembered, ca.certificate.fingerprint) && !isCompromised(state, ca.certificate),
  );
}

function names(list: readonly CompromisedCa[], fingerprint: string): boolean {
  return list.some((ca) => ca.fingerprint === fingerprint);
}

/** Whether the CA is one that others may have the key of. */
export function isCompromised(state: CaState, ca: CertificateFacts): boolean {
  return state.orders?.compromised.some((known) => known.fingerprint === ca.fingerprint) ?? false;
}

/** Why the current CA has to be replaced by order, or undefined. */
export function caOrder(state: CaState): 'requested' | 'compromised' | undefined {
  const { certificate } = state.current;
  if (isCompromised(state, certificate)) return 'compromised';
  return state.orders?.retiredCa === certificate.fingerprint ? 'requested' : undefined;
}

/** Why the leaf has to be replaced by order, or undefined. */
export function leafOrder(state: CaState, pair: ServingPair): 'requested' | 'compromised' | undefined {
  if (isMarked(pair) && pair.chain.length > 1 && state.cross === undefined) return 'compromised';
  return state.orders?.retiredLeaf === pair.leaf.fingerprint ? 'requested' : undefined;
}

/**
 * Whether servers have to end the connections that they opened under the pair before: true for every pair that takes the place of one
 * of a compromised CA, up to the one that shows no cross certificate of it any more. Where the pair before is unknown, so is its CA.
 */
export function endsOldConnections(state: CaState, replaced: ServingPair | undefined): boolean {
  if (replaced === undefined) return (state.orders?.compromised.length ?? 0) > 0;
  return isCompromised(state, replaced.issuer) || leafOrder(state, replaced) === 'compromised';
}

/** The state in which no compromised CA is needed any more; undefined when none is. */
export function distrusted(state: CaState): CaState | undefined {
  const isOpen = state.previous.some((ca) => isCompromised(state, ca.certificate) && ca.neededUntilMs > 0);
  if (!isOpen) return undefined;
  const previous = state.previous.map((ca) =>
    isCompromised(state, ca.certificate) ? { ...ca, neededUntilMs: 0 } : ca,
  );
  return { ...state, previous };
}

function isMarked(pair: ServingPair): boolean {
  return pair.endsOldConnections === true;
}

/** What of the orders that were taken up is not done yet: a leaf or CA not replaced, a compromised CA not forgotten. */
export function openOrders(state: CaState, pair: ServingPair | undefined): readonly RotationKind[] {
  const current = state.current.certificate;
  const retiredCa = state.orders?.retiredCa;
  const isLeafOpen = pair === undefined || leafOrder(state, pair) === 'requested';
  const isCaOpen = pair === undefined || retiredCa === current.fingerprint || retiredCa === pair.issuer.fingerprint;
  const needed = [current, ...state.previous.map((ca) => ca.certificate)];
  const isDistrustOpen =
    needed.some((ca) => isCompromised(state, ca)) || pair === undefined || leafOrder(state, pair) === 'compromised';
  const open: readonly (readonly [RotationKind, boolean])[] = [
    ['leaf', state.orders?.retiredLeaf !== undefined && isLeafOpen],
    ['ca', retiredCa !== undefined && isCaOpen],
    ['compromised', (state.orders?.compromised.length ?? 0) > 0 && isDistrustOpen],
  ];
  return open.filter(([, isOpen]) => isOpen).map(([kind]) => kind);
}
