/**
 * The one decision of the certificate manager: from what is seen and remembered to at most one step. Pure.
 *
 * Every replica runs it; each step is one compare-and-swap, safe to crash before, in or after. Invariants:
 *   I1 every leaf that is served verifies against the bundle that any API server may hold;
 *   I2 a CA is trusted, and was so for the settle time, before a served leaf is replaced by one of it;
 *   I3 a CA leaves the bundle only when no unexpired leaf needs it;
 *   I4 at most two generations are in flight: a rotation begins when the last one has been forgotten;
 *   I5 a step that fails changes nothing that is being served.
 * Order of care: own state, trust, leaf, rotation. May import: src/core, certs.
 */
import type { CertificateFacts, ServingPair } from './bundle.ts';
import { isInSync } from './ca-bundle.ts';
import type { TrustTarget } from './ca-bundle.ts';
import type { CaState, PreviousCa } from './ca-state.ts';
import type { Memory, Observation } from './observation.ts';
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
}

/** Why nothing is done now. */
export type WaitReason = 'in_order' | 'settling' | 'restore_grace' | 'flapping_bundle';

export type Step =
  | { readonly kind: 'wait'; readonly reason: WaitReason; readonly waitMs: number }
  /** A Secret of that name is not ours: an operator is needed. */
  | { readonly kind: 'blocked'; readonly problem: string }
  /** A first CA, or a new one because the old one is lost or expired. */
  | { readonly kind: 'bootstrap'; readonly generation: number; readonly replaces: string | undefined }
  | { readonly kind: 'restore_ca'; readonly state: CaState; readonly replaces: string | undefined }
  | { readonly kind: 'publish'; readonly target: TrustTarget; readonly resourceVersion: string }
  | {
      readonly kind: 'issue_leaf';
      readonly reason: RenewalReason;
      readonly state: CaState;
      readonly replaces: string | undefined;
    }
  | { readonly kind: 'restore_leaf'; readonly pair: ServingPair; readonly replaces: string | undefined }
  /** Make the next CA and its cross certificate; nothing serves it yet. */
  | { readonly kind: 'generate'; readonly state: CaState; readonly resourceVersion: string }
  | {
      readonly kind: 'promote' | 'forget' | 'abandon';
      readonly state: CaState;
      readonly resourceVersion: string;
    };

/** More writes of one and the same bundle than this in a minute mean that somebody fights us. */
const REPUBLISHES_PER_MINUTE_MAX = 5;

/** The step that is due now. `memory` already knows the observation. */
export function decide(seen: Observation, memory: Memory, settings: Settings): Step {
  if (seen.ca.status === 'foreign') return { kind: 'blocked', problem: seen.ca.problem };
  if (seen.tls.status === 'foreign') return { kind: 'blocked', problem: seen.tls.problem };
  if (seen.ca.status !== 'valid') return recoverCa(seen, memory, settings);
  const { value: state, resourceVersion } = seen.ca;
  const expired = replaceExpiredCa(state, resourceVersion, settings, seen.nowMs);
  if (expired !== undefined) return expired;
  const trust = repairTrust(seen, memory, state);
  if (trust?.kind === 'publish') return trust;
  const leaf = renewLeaf(seen, memory, settings, state);
  // Who fights over the bundle must not keep a leaf from being renewed under the CA that it has.
  if (leaf !== undefined && leaf.kind !== 'wait') return leaf;
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

/** What every entry has to hold: our CAs that are needed, and the CA of the leaf that is being served, whoever made it. */
export function trustTarget(state: CaState, tls: Observation['tls'], nowMs: number): TrustTarget {
  const served = servedLeaf(tls, nowMs);
  const stillNeeded = state.previous.filter((previous) => isNeeded(previous, served, nowMs));
  const required = new Map<string, CertificateFacts>();
  const wanted = [
    state.current.certificate,
    state.next?.certificate,
    ...stillNeeded.map((previous) => previous.certificate),
    served?.issuer,
  ];
  for (const certificate of wanted) {
    if (certificate !== undefined && certificate.notAfterMs > nowMs) required.set(certificate.fingerprint, certificate);
  }
  const removable = state.previous.map((previous) => previous.certificate.fingerprint);
  return {
    required: [...required.values()],
    removable: new Set(removable.filter((fingerprint) => !required.has(fingerprint))),
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
  if (memory.ca !== undefined && isUsableCa(memory.ca, settings, seen.nowMs) && knowsIssuer(memory.ca, served)) {
    return { kind: 'restore_ca', state: memory.ca, replaces };
  }
  // Signs that there was a CA before: another replica may remember it, and its state is worth more than a new one.
  const isBereft = replaces !== undefined || served !== undefined || isAnotherTrusted(seen);
  const lostMs = seen.monotonicMs - (memory.caLostSinceMs ?? seen.monotonicMs);
  if (isBereft && lostMs < settings.restoreGraceMs) {
    return { kind: 'wait', reason: 'restore_grace', waitMs: settings.restoreGraceMs - lostMs };
  }
  return { kind: 'bootstrap', generation: (memory.ca?.generation ?? 0) + 1, replaces };
}

/** An expired CA has no valid leaf left, so that nothing is gained by an orderly rotation. */
function replaceExpiredCa(
  state: CaState,
  resourceVersion: string,
  settings: Settings,
  nowMs: number,
): Step | undefined {
  if (isUsableCa(state, settings, nowMs)) return undefined;
  return { kind: 'bootstrap', generation: state.generation + 1, replaces: resourceVersion };
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
  const reason = leafRenewalReason(found, issuer, settings.covers, settings.leaf, nowMs);
  if (reason === undefined) return undefined;
  const replaces = tls.status === 'valid' || tls.status === 'corrupt' ? tls.resourceVersion : undefined;
  const served = servedLeaf(tls, nowMs);
  if (served === undefined) {
    const remembered = memory.pair;
    if (remembered !== undefined && typeof found === 'string' && isWorthRestoring(remembered, state, settings, nowMs)) {
      return { kind: 'restore_leaf', pair: remembered, replaces };
    }
    // The Secret holds no valid leaf, but servers may still hold one of a CA that was trusted before ours: they must not swap too soon.
    const lostMs =
      typeof found === 'string' && isAnotherTrusted(seen, state) ? settlingMs(seen, memory, settings, issuer) : 0;
    if (lostMs > 0) return { kind: 'wait', reason: 'settling', waitMs: lostMs };
    return { kind: 'issue_leaf', reason, state, replaces };
  }
  const waitMs = served.issuer.fingerprint === issuer.fingerprint ? 0 : settlingMs(seen, memory, settings, issuer);
  if (waitMs > 0) return { kind: 'wait', reason: 'settling', waitMs };
  return { kind: 'issue_leaf', reason, state, replaces };
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
  const needed = state.previous.filter((previous) => isNeeded(previous, served, nowMs));
  if (needed.length < state.previous.length) {
    // The live bundle is in sync here, so that it holds none of them any more. The cross certificate was for their sake.
    const cross = needed.length === 0 && state.next === undefined ? undefined : state.cross;
    return { kind: 'forget', state: { ...state, cross, previous: needed }, resourceVersion };
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
  if (caRenewalReason(state.current.certificate, settings.ca, nowMs) === undefined) return undefined;
  return { kind: 'generate', state, resourceVersion };
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
  const neededUntilMs = Math.max(nowMs + settings.leaf.lifeMs, servedUntilMs) + settings.pruneMarginMs;
  return {
    generation: state.generation + 1,
    current: next,
    next: undefined,
    cross: state.cross,
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
  if (served === undefined) return true;
  const known = [state.current, state.next, ...state.previous];
  return known.some((ca) => ca?.certificate.fingerprint === served.issuer.fingerprint);
}

function isWorthRestoring(pair: ServingPair, state: CaState, settings: Settings, nowMs: number): boolean {
  if (!knowsIssuer(state, pair) || !settings.covers(pair)) return false;
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
