/**
 * The one decision of the certificate manager: from what is seen and remembered to at most one step. Pure.
 *
 * An operator's orders (orders.ts) only say that something is due sooner: they take the same steps. One exception, by order alone: a
 * compromised CA leaves the bundle when a leaf of another was there to be loaded for the settle time, and not when its last leaf ends.
 *
 * Every replica runs it; each step is one compare-and-swap, safe to crash before, in or after. Invariants:
 *   I1 every leaf that is served verifies against the bundle that any API server may hold;
 *   I2 a CA is trusted, and was so for the settle time, before a served leaf is replaced by one of it;
 *   I3 a CA leaves the bundle only when no unexpired leaf needs it;
 *   I4 at most two generations are in flight: a rotation begins when the last one has been forgotten;
 *   I5 a step that fails changes nothing that is being served.
 * Order of care: own clock and state, trust, leaf, orders, rotation. What leaves the bundle follows from the state and not from the
 * clock: replicas whose clocks differ do not undo each other's writes. May import: src/core, certs.
 */
import type { CertificateFacts, ServingPair } from './bundle.ts';
import { isInSync } from './ca-bundle.ts';
import type { TrustTarget } from './ca-bundle.ts';
import { FORGOTTEN_MAX } from './ca-state.ts';
import type { CaState, PreviousCa } from './ca-state.ts';
import type { Memory, Observation } from './observation.ts';
import {
  caOrder,
  distrusted,
  endsOldConnections,
  isCompromised,
  isOlder,
  leafOrder,
  takenUp,
  withRemembered,
} from './orders.ts';
import type { Orders } from './orders.ts';
import { caRenewalReason, leafRenewalReason, renewAtMs } from './validity.ts';
import type { RenewalReason, ValidityRules } from './validity.ts';

export interface Settings {
  readonly ca: ValidityRules;
  readonly leaf: ValidityRules;
  /** A CA is trusted this long before a leaf depends on it: API servers have caches of their own. */
  readonly settleMs: number;
  /** Added to the expiry of the last leaf before its CA leaves the bundle. */
  readonly pruneMarginMs: number;
  /** A replica without memory leaves a lost CA this long to those that remember it. */
  readonly restoreGraceMs: number;
  /** Whether the leaf covers every host that it is to serve. */
  readonly covers: (pair: ServingPair) => boolean;
  /** Whether the leaf's key is of the type that is asked for; without it any type is. A CA changes its type when it is renewed. */
  readonly hasKeyType?: (pair: ServingPair) => boolean;
}

/** Why nothing is done now. */
export type WaitReason =
  | 'in_order'
  | 'settling'
  | 'restore_grace'
  | 'flapping_bundle'
  /** Our clock is not the API server's, whose verdict on certificates counts: what we find expired or too young may be neither. */
  | 'clock_off';

export type Step =
  | { readonly kind: 'wait'; readonly reason: WaitReason; readonly waitMs: number }
  /** A Secret of that name is not ours: an operator is needed. */
  | { readonly kind: 'blocked'; readonly problem: string }
  /** A first CA, or a new one because the old one is lost or expired. */
  | {
      readonly kind: 'bootstrap';
      readonly generation: number;
      readonly replaces: string | undefined;
      /** As in CaState. */
      readonly leafLifeMs: number;
      /** What goes on to hold under the new CA. */
      readonly orders?: Orders;
    }
  | { readonly kind: 'restore_ca'; readonly state: CaState; readonly replaces: string | undefined }
  | { readonly kind: 'publish'; readonly target: TrustTarget; readonly resourceVersion: string }
  | {
      readonly kind: 'issue_leaf';
      readonly reason: RenewalReason;
      readonly state: CaState;
      readonly replaces: string | undefined;
      /** As in ServingPair. */
      readonly endsOldConnections: boolean;
    }
  | { readonly kind: 'restore_leaf'; readonly pair: ServingPair; readonly replaces: string | undefined }
  /** Make the next CA and its cross certificate; nothing serves it yet. */
  | {
      readonly kind: 'generate';
      readonly reason: RenewalReason;
      readonly state: CaState;
      readonly resourceVersion: string;
    }
  /**
   * take_up: note an operator's request, or what is remembered of one. distrust: from now on a compromised CA is needed no more.
   * note_life: from now on leaves may live longer than before.
   */
  | {
      readonly kind: 'promote' | 'forget' | 'abandon' | 'take_up' | 'distrust' | 'note_life';
      readonly state: CaState;
      readonly resourceVersion: string;
    };

/** More writes of one and the same bundle than this in a minute mean that somebody fights us. */
const REPUBLISHES_PER_MINUTE_MAX = 5;

/** The step that is due now. `memory` already knows the observation. */
export function decide(seen: Observation, memory: Memory, settings: Settings): Step {
  if (seen.ca.status === 'foreign') return { kind: 'blocked', problem: seen.ca.problem };
  if (seen.tls.status === 'foreign') return { kind: 'blocked', problem: seen.tls.problem };
  if (isClockOff(seen, settings)) return { kind: 'wait', reason: 'clock_off', waitMs: CLOCK_LOOK_MS };
  if (seen.ca.status !== 'valid') return recoverCa(seen, memory, settings);
  const { value: state, resourceVersion } = seen.ca;
  const older = mendOlderState(seen, memory, settings, state, resourceVersion);
  if (older !== undefined) return older;
  const expired = replaceExpiredCa(state, resourceVersion, settings, seen.nowMs);
  if (expired !== undefined) return expired;
  const trust = repairTrust(seen, memory, state);
  if (trust?.kind === 'publish') return trust;
  const leaf = renewLeaf(seen, memory, settings, state);
  // Who fights over the bundle must not keep a leaf from being renewed under the CA that it has.
  if (leaf?.kind === 'issue_leaf') return noteLife(seen, state, settings, resourceVersion) ?? leaf;
  if (leaf !== undefined && leaf.kind !== 'wait') return leaf;
  const ordered = takenUp(seen.request, state, servedLeaf(seen.tls, seen.nowMs), seen.nowMs);
  if (ordered !== undefined) return { kind: 'take_up', state: ordered, resourceVersion };
  return (
    trust ??
    leaf ??
    rotate(seen, memory, settings, state, resourceVersion) ?? {
      kind: 'wait',
      reason: 'in_order',
      waitMs: nextDueMs(seen, state, settings),
    }
  );
}

/** A clock that is off is put right by others: the next look is soon enough. */
const CLOCK_LOOK_MS = 60_000;

/**
 * How far from the API server's clock we may be. Two replicas differ by twice that, which is what certificates are backdated by: what one
 * makes is valid for the other.
 */
export function clockOffMsMax(settings: Pick<Settings, 'leaf'>): number {
  return settings.leaf.backdateMs / 2;
}

function isClockOff(seen: Observation, settings: Settings): boolean {
  return seen.clockOffMs !== undefined && Math.abs(seen.clockOffMs) > clockOffMsMax(settings);
}

/**
 * What every entry has to hold: our CAs that are needed, and the CA of the leaf that is being served, whoever made it. A previous CA is
 * put back while it is needed and taken out when it is forgotten; in between, when clocks may differ about it, it is left alone.
 */
export function trustTarget(state: CaState, tls: Observation['tls'], nowMs: number): TrustTarget {
  const served = servedLeaf(tls, nowMs);
  const stillNeeded = state.previous.filter((previous) => isNeeded(previous, served, nowMs));
  const required = new Map<string, CertificateFacts>();
  const wanted = [
    state.current.certificate,
    state.next?.certificate,
    ...stillNeeded.map((previous) => previous.certificate),
    // A compromised CA that is forgotten is never trusted again, not even for a leaf that somebody put back.
    served === undefined || isForgotten(state, served.issuer) ? undefined : served.issuer,
  ];
  for (const certificate of wanted) {
    if (certificate !== undefined) required.set(certificate.fingerprint, certificate);
  }
  const kept = new Set(state.previous.filter((ca) => ca.neededUntilMs > 0).map((ca) => ca.certificate.fingerprint));
  const removable = [...(state.orders?.compromised ?? []), ...(state.forgotten ?? [])].map((ca) => ca.fingerprint);
  return {
    required: [...required.values()],
    removable: new Set(removable.filter((fingerprint) => !required.has(fingerprint) && !kept.has(fingerprint))),
  };
}

/** A name for what a target requires. */
export function targetKey(target: TrustTarget): string {
  return target.required
    .map((certificate) => certificate.fingerprint)
    .toSorted()
    .join(' ');
}

/** Nobody can read the CA state: those who remember it put it back, else a new CA is made. */
function recoverCa(seen: Observation, memory: Memory, settings: Settings): Step {
  const replaces = seen.ca.status === 'corrupt' ? seen.ca.resourceVersion : undefined;
  const served = servedLeaf(seen.tls, seen.nowMs);
  const remembered = rememberedCa(seen, memory, settings);
  if (remembered !== undefined && !isOvertaken(remembered, seen)) {
    return { kind: 'restore_ca', state: remembered, replaces };
  }
  // Signs that there was a CA before: another replica may remember it, and its state is worth more than a new one.
  const isBereft = replaces !== undefined || served !== undefined || isAnotherTrusted(seen);
  const lostMs = seen.monotonicMs - (memory.caLostSinceMs ?? seen.monotonicMs);
  if (isBereft && lostMs < settings.restoreGraceMs) {
    return { kind: 'wait', reason: 'restore_grace', waitMs: settings.restoreGraceMs - lostMs };
  }
  return {
    kind: 'bootstrap',
    generation: (memory.ca?.generation ?? 0) + 1,
    replaces,
    leafLifeMs: settings.leaf.lifeMs,
    ...ordersOf(memory.ca),
  };
}

/** The state to put back, with all that is remembered as compromised. */
function rememberedCa(seen: Observation, memory: Memory, settings: Settings): CaState | undefined {
  const { ca } = memory;
  if (ca === undefined || !isUsableCa(ca, settings, seen.nowMs)) return undefined;
  const served = servedLeaf(seen.tls, seen.nowMs);
  if (!knowsIssuer(ca, served)) return undefined;
  // A leaf of the next CA is served: the promotion went by unseen, and to go back behind it would sign under a CA that is leaving.
  const isPromoted = ca.next !== undefined && served?.issuer.fingerprint === ca.next.certificate.fingerprint;
  const state = isPromoted ? promoted(ca, ca.next, served, settings, seen.nowMs) : ca;
  return withRemembered(state, memory.compromised, seen.nowMs) ?? state;
}

/**
 * Whether the entries trust a CA that the state does not know, and its own nowhere: rotations went by that the one who remembers did not
 * see, and its CA may have been taken out for being compromised.
 */
function isOvertaken(state: CaState, seen: Observation): boolean {
  if (seen.configuration.status !== 'present') return false;
  const trusted = seen.configuration.entries.flatMap((entry) => entry.bundle.certificates);
  if (trusted.some((ca) => ca.fingerprint === state.current.certificate.fingerprint)) return false;
  return trusted.some((ca) => ca.notAfterMs > seen.nowMs && !isKnown(state, ca));
}

/** A state put back from before a CA was compromised: what is remembered takes its place before anything of it is trusted again. */
function mendOlderState(
  seen: Observation,
  memory: Memory,
  settings: Settings,
  state: CaState,
  resourceVersion: string,
): Step | undefined {
  if (isOlder(state, memory.compromised)) {
    const remembered = rememberedCa(seen, memory, settings);
    if (remembered !== undefined) return { kind: 'restore_ca', state: remembered, replaces: resourceVersion };
  }
  const known = withRemembered(state, memory.compromised, seen.nowMs);
  return known === undefined ? undefined : { kind: 'take_up', state: known, resourceVersion };
}

/** An expired CA has no valid leaf left, so that nothing is gained by an orderly rotation. */
function replaceExpiredCa(
  state: CaState,
  resourceVersion: string,
  settings: Settings,
  nowMs: number,
): Step | undefined {
  if (isUsableCa(state, settings, nowMs)) return undefined;
  return {
    kind: 'bootstrap',
    generation: state.generation + 1,
    replaces: resourceVersion,
    leafLifeMs: settings.leaf.lifeMs,
    ...ordersOf(state),
  };
}

/** Orders outlive the CA that they were given under. */
function ordersOf(state: CaState | undefined): { readonly orders?: Orders } {
  return state?.orders === undefined ? {} : { orders: state.orders };
}

function repairTrust(seen: Observation, memory: Memory, state: CaState): Step | undefined {
  if (seen.configuration.status !== 'present') return undefined;
  const { entries, resourceVersion } = seen.configuration;
  const target = trustTarget(state, seen.tls, seen.nowMs);
  if (entries.every((entry) => isInSync(entry.bundle, target, seen.nowMs))) return undefined;
  const same = memory.published.filter((publication) => publication.target === targetKey(target));
  const oldest = same.at(-REPUBLISHES_PER_MINUTE_MAX);
  if (oldest !== undefined && seen.monotonicMs - oldest.atMs < 60_000) {
    return { kind: 'wait', reason: 'flapping_bundle', waitMs: 60_000 - (seen.monotonicMs - oldest.atMs) };
  }
  return { kind: 'publish', target, resourceVersion };
}

function renewLeaf(seen: Observation, memory: Memory, settings: Settings, state: CaState): Step | undefined {
  const { nowMs, tls } = seen;
  const found = tls.status === 'valid' ? tls.value : tls.status === 'missing' ? 'missing' : 'unreadable';
  const issuer = state.current.certificate;
  const reason =
    leafRenewalReason(found, issuer, settings.covers, settings.leaf, nowMs) ??
    (typeof found === 'string' ? undefined : otherLeafReason(found, state, settings));
  if (reason === undefined) return undefined;
  const issue: Step = {
    kind: 'issue_leaf',
    reason,
    state,
    replaces: tls.status === 'valid' || tls.status === 'corrupt' ? tls.resourceVersion : undefined,
    endsOldConnections: endsOldConnections(state, typeof found === 'string' ? undefined : found),
  };
  const served = servedLeaf(tls, nowMs);
  if (served === undefined) {
    // The Secret holds no valid leaf, but servers may still hold one of a CA that was trusted before ours: they must not swap too soon.
    const lostMs =
      typeof found === 'string' && isAnotherTrusted(seen, state) ? settlingMs(seen, memory, settings, issuer) : 0;
    if (lostMs > 0) return { kind: 'wait', reason: 'settling', waitMs: lostMs };
    const remembered = memory.pair;
    if (remembered !== undefined && typeof found === 'string' && isWorthRestoring(remembered, state, settings, nowMs)) {
      return { kind: 'restore_leaf', pair: remembered, replaces: issue.replaces };
    }
    return issue;
  }
  const waitMs = served.issuer.fingerprint === issuer.fingerprint ? 0 : settlingMs(seen, memory, settings, issuer);
  return waitMs > 0 ? { kind: 'wait', reason: 'settling', waitMs } : issue;
}

/**
 * Before the current CA signs a leaf that ends later than any that it may have signed, the state says so: the CA stays trusted for that
 * long, whoever configures what after it. A leaf that is found to live longer than clocks that differ explain (a state was put back) counts
 * as well.
 */
function noteLife(seen: Observation, state: CaState, settings: Settings, resourceVersion: string): Step | undefined {
  const served = servedLeaf(seen.tls, seen.nowMs);
  const isOurs = served?.issuer.fingerprint === state.current.certificate.fingerprint;
  const foundMs = isOurs ? served.leaf.notAfterMs - seen.nowMs : 0;
  const notedMs = state.leafLifeMs ?? 0;
  if (settings.leaf.lifeMs <= notedMs && foundMs <= notedMs + settings.leaf.backdateMs) return undefined;
  const leafLifeMs = Math.max(settings.leaf.lifeMs, foundMs);
  return { kind: 'note_life', state: { ...state, leafLifeMs }, resourceVersion };
}

/** Why a leaf that is good as such has to be replaced all the same. */
function otherLeafReason(pair: ServingPair, state: CaState, settings: Settings): RenewalReason | undefined {
  const ordered = leafOrder(state, pair);
  if (ordered !== undefined) return ordered;
  return settings.hasKeyType?.(pair) === false ? 'wrong_key_type' : undefined;
}

function rotate(
  seen: Observation,
  memory: Memory,
  settings: Settings,
  state: CaState,
  resourceVersion: string,
): Step | undefined {
  const { nowMs } = seen;
  const served = servedLeaf(seen.tls, nowMs);
  const distrust = endTrust(seen, memory, settings, state, resourceVersion);
  if (distrust !== undefined) return distrust;
  const needed = state.previous.filter((previous) => isNeeded(previous, served, nowMs));
  if (needed.length < state.previous.length) {
    // From here on they are named as forgotten, and every replica takes them out of the bundle. The cross certificate was for their sake.
    const cross = needed.length === 0 && state.next === undefined ? undefined : state.cross;
    const forgotten = forgottenOf(state, needed, nowMs);
    return { kind: 'forget', state: { ...state, cross, previous: needed, forgotten }, resourceVersion };
  }
  if (state.next !== undefined) {
    if (caRenewalReason(state.next.certificate, settings.ca, nowMs) === 'expired') {
      return { kind: 'abandon', state: { ...state, next: undefined, cross: undefined }, resourceVersion };
    }
    const waitMs = settlingMs(seen, memory, settings, state.next.certificate);
    if (waitMs > 0) return { kind: 'wait', reason: 'settling', waitMs };
    return { kind: 'promote', state: promoted(state, state.next, served, settings, nowMs), resourceVersion };
  }
  if (state.previous.length > 0) return undefined;
  const reason = caRenewalReason(state.current.certificate, settings.ca, nowMs) ?? caOrder(state);
  return reason === undefined ? undefined : { kind: 'generate', reason, state, resourceVersion };
}

function forgottenOf(state: CaState, needed: readonly PreviousCa[], nowMs: number): NonNullable<CaState['forgotten']> {
  const added = state.previous
    .filter((previous) => !needed.includes(previous))
    .map(({ certificate: { fingerprint, notAfterMs } }) => ({ fingerprint, notAfterMs }));
  return [...added, ...(state.forgotten ?? []).filter((ca) => ca.notAfterMs > nowMs)].slice(0, FORGOTTEN_MAX);
}

/**
 * Ends the need for compromised CAs, once every server had the settle time to load a leaf of the current one. Servers watch the Secret:
 * a change is there in a moment, and after RELOAD_MS_MAX of certificate-source.ts where a watch died in silence.
 */
function endTrust(
  seen: Observation,
  memory: Memory,
  settings: Settings,
  state: CaState,
  resourceVersion: string,
): Step | undefined {
  const ended = distrusted(state);
  const served = servedLeaf(seen.tls, seen.nowMs);
  if (ended === undefined || served?.issuer.fingerprint !== state.current.certificate.fingerprint) return undefined;
  const { servedIssuer } = memory;
  const sinceMs = servedIssuer?.fingerprint === served.issuer.fingerprint ? servedIssuer.sinceMs : seen.monotonicMs;
  const waitMs = settings.settleMs - (seen.monotonicMs - sinceMs);
  if (waitMs > 0) return { kind: 'wait', reason: 'settling', waitMs };
  return { kind: 'distrust', state: ended, resourceVersion };
}

/** The state after the next CA took over; the old one stays trusted until the last leaf that it may have signed is gone. */
function promoted(
  state: CaState,
  next: NonNullable<CaState['next']>,
  served: ServingPair | undefined,
  settings: Settings,
  nowMs: number,
): CaState {
  const old = state.current.certificate;
  const servedUntilMs = served?.issuer.fingerprint === old.fingerprint ? served.leaf.notAfterMs : 0;
  const leafLifeMs = Math.max(settings.leaf.lifeMs, state.leafLifeMs ?? 0);
  const neededUntilMs = Math.max(nowMs + leafLifeMs, servedUntilMs) + settings.pruneMarginMs;
  return {
    ...state,
    generation: state.generation + 1,
    current: next,
    next: undefined,
    leafLifeMs: settings.leaf.lifeMs,
    previous: [{ certificate: old, neededUntilMs }, ...state.previous],
  };
}

/** How much longer a CA has to be trusted before leaves may depend on it, milliseconds; never 0 for one that is not trusted. */
function settlingMs(seen: Observation, memory: Memory, settings: Settings, ca: CertificateFacts): number {
  const sinceMs = memory.trustedSinceMs.get(ca.fingerprint);
  return sinceMs === undefined
    ? Math.max(1, settings.settleMs)
    : Math.max(0, settings.settleMs - (seen.monotonicMs - sinceMs));
}

/** The leaf in the Secret, if a server could serve it now. */
function servedLeaf(tls: Observation['tls'], nowMs: number): ServingPair | undefined {
  if (tls.status !== 'valid') return undefined;
  const { leaf, issuer } = tls.value;
  return nowMs < leaf.notAfterMs && nowMs < issuer.notAfterMs ? tls.value : undefined;
}

function isNeeded(previous: PreviousCa, served: ServingPair | undefined, nowMs: number): boolean {
  if (previous.certificate.notAfterMs <= nowMs) return false;
  return nowMs < previous.neededUntilMs || served?.issuer.fingerprint === previous.certificate.fingerprint;
}

function isUsableCa(state: CaState, settings: Settings, nowMs: number): boolean {
  return caRenewalReason(state.current.certificate, settings.ca, nowMs) !== 'expired';
}

/** Whether the state knows the CA of the served leaf: a memory that does not is older than the leaf. */
function knowsIssuer(state: CaState, served: ServingPair | undefined): boolean {
  return served === undefined || isKnown(state, served.issuer);
}

function isKnown(state: CaState, ca: CertificateFacts): boolean {
  const known = [state.current, state.next, ...state.previous];
  return known.some((one) => one?.certificate.fingerprint === ca.fingerprint);
}

/** Whether it is a compromised CA whose end is done. */
function isForgotten(state: CaState, ca: CertificateFacts): boolean {
  return isCompromised(state, ca) && !isKnown(state, ca);
}

function isWorthRestoring(pair: ServingPair, state: CaState, settings: Settings, nowMs: number): boolean {
  // That the current CA has settled is known here; of those before it a state that was put back may know little.
  if (pair.issuer.fingerprint !== state.current.certificate.fingerprint) return false;
  if (!settings.covers(pair) || leafOrder(state, pair) !== undefined) return false;
  return (
    nowMs >= pair.leaf.notBeforeMs && nowMs < Math.min(renewAtMs(pair.leaf, settings.leaf), pair.issuer.notAfterMs)
  );
}

/** Whether any entry trusts an unexpired CA that is not our current one. */
function isAnotherTrusted(seen: Observation, state?: CaState): boolean {
  if (seen.configuration.status !== 'present') return false;
  const ours = state?.current.certificate.fingerprint;
  return seen.configuration.entries.some((entry) =>
    entry.bundle.certificates.some((ca) => ca.notAfterMs > seen.nowMs && ca.fingerprint !== ours),
  );
}

/** Milliseconds until something falls due by itself. */
function nextDueMs(seen: Observation, state: CaState, settings: Settings): number {
  const times = [
    renewAtMs(state.current.certificate, settings.ca),
    ...state.previous.map((previous) => previous.neededUntilMs),
  ];
  if (seen.tls.status === 'valid') times.push(renewAtMs(seen.tls.value.leaf, settings.leaf));
  return Math.max(0, Math.min(...times.filter((ms) => ms > seen.nowMs)) - seen.nowMs);
}
