/**
 * What a replica sees of the cluster at one moment, and what it remembers from earlier ones.
 *
 * Invariants: an observation is read fresh from the API server before each decision; memory holds only what was seen whole and valid.
 * Times that measure a wait are monotonic, times that certificates know are wall-clock. Pure. May import: src/core, certs.
 */
import type { CertificateFacts, ServingPair } from './bundle.ts';
import { isTrustedEverywhere } from './ca-bundle.ts';
import type { WebhookEntry } from './ca-bundle.ts';
import type { CaState } from './ca-state.ts';
import { COMPROMISED_MAX, isOlder } from './orders.ts';
import type { CompromisedCa, RotationRequest } from './orders.ts';

export type SecretView<T> =
  | { readonly status: 'missing' }
  /** Somebody else's, or a later version's: never written. */
  | { readonly status: 'foreign'; readonly problem: string }
  /** Ours, but not whole. */
  | { readonly status: 'corrupt'; readonly resourceVersion: string; readonly problem: string }
  | { readonly status: 'valid'; readonly resourceVersion: string; readonly value: T };

export type ConfigurationView =
  | { readonly status: 'missing' }
  | {
      readonly status: 'present';
      readonly resourceVersion: string;
      readonly entries: readonly WebhookEntry[];
      /** Counts changes of the entries (ObjectMeta of the API conventions); undefined where the server does not count. */
      readonly generation?: number | undefined;
    };

export interface Observation {
  readonly nowMs: number;
  readonly monotonicMs: number;
  readonly ca: SecretView<CaState>;
  readonly tls: SecretView<ServingPair>;
  readonly configuration: ConfigurationView;
  /** What an operator asks for, taken up already or not; undefined for nothing. */
  readonly request?: RotationRequest | undefined;
  /** How far our wall clock is ahead of the API server's for certain, negative when behind; undefined where nobody told. */
  readonly clockOffMs?: number | undefined;
}

export interface Memory {
  /** The last whole state that was not older than what is remembered as compromised. */
  readonly ca: CaState | undefined;
  readonly pair: ServingPair | undefined;
  /** Since when the CA state cannot be read; monotonic. */
  readonly caLostSinceMs: number | undefined;
  /** Since when every observation found this CA (by fingerprint) in every entry, and no entry changed; monotonic. */
  readonly trustedSinceMs: ReadonlyMap<string, number>;
  /** That of the webhook configuration that was seen last. */
  readonly configurationGeneration?: number | undefined;
  /** Every CA that any state named as compromised, until it expires: a state that comes back from a backup does not know. */
  readonly compromised: readonly CompromisedCa[];
  /** Since when every observation found a valid leaf of this CA in the Secret, after one and the same promotion; monotonic. */
  readonly servedIssuer?:
    { readonly fingerprint: string; readonly promotion: string; readonly sinceMs: number } | undefined;
  /** This replica's writes of the bundle in the last minute, oldest first. */
  readonly published: readonly Publication[];
}

export interface Publication {
  /** Monotonic. */
  readonly atMs: number;
  /** What was written, as `targetKey` names it: the same again and again means that somebody undoes it. */
  readonly target: string;
}

export const EMPTY_MEMORY: Memory = {
  ca: undefined,
  pair: undefined,
  caLostSinceMs: undefined,
  trustedSinceMs: new Map(),
  compromised: [],
  published: [],
};

/** Memory after an observation. */
export function remember(memory: Memory, seen: Observation): Memory {
  const state = seen.ca.status === 'valid' ? seen.ca.value : undefined;
  const isStateOlder = state !== undefined && isOlder(state, memory.compromised);
  return {
    ca: isStateOlder ? memory.ca : (state ?? memory.ca),
    pair: seen.tls.status === 'valid' ? seen.tls.value : memory.pair,
    caLostSinceMs: state === undefined ? (memory.caLostSinceMs ?? seen.monotonicMs) : undefined,
    trustedSinceMs: trustedSince(memory, seen, state),
    configurationGeneration: seen.configuration.status === 'present' ? seen.configuration.generation : undefined,
    compromised: compromisedOf(memory, state, seen.nowMs),
    servedIssuer: servedIssuer(memory, seen, state),
    published: memory.published.filter((publication) => seen.monotonicMs - publication.atMs < 60_000),
  };
}

/**
 * A promotion is named by the times that it gave the CAs before it. Without that, a replica that looks away while a lost state is restored
 * and promoted anew would count the time before.
 */
function servedIssuer(memory: Memory, seen: Observation, state: CaState | undefined): Memory['servedIssuer'] {
  if (seen.tls.status !== 'valid' || state === undefined) return undefined;
  const { fingerprint } = seen.tls.value.issuer;
  const promotion = state.previous.map((ca) => ca.neededUntilMs).join(' ');
  const { servedIssuer: before } = memory;
  const isSame = before?.fingerprint === fingerprint && before.promotion === promotion;
  return isSame ? before : { fingerprint, promotion, sinceMs: seen.monotonicMs };
}

function compromisedOf(memory: Memory, state: CaState | undefined, nowMs: number): readonly CompromisedCa[] {
  const named = state?.orders?.compromised ?? [];
  const known = new Set(named.map((ca) => ca.fingerprint));
  const all = [...named, ...memory.compromised.filter((ca) => !known.has(ca.fingerprint))];
  return all.filter((ca) => ca.notAfterMs > nowMs).slice(0, COMPROMISED_MAX);
}

/**
 * Without a configuration nobody is called, so that everything counts as trusted. A generation that went on says that the entries were
 * changed since the last look, by us or by others who may have undone it since: API servers may hold what nobody here saw.
 */
function trustedSince(memory: Memory, seen: Observation, state: CaState | undefined): ReadonlyMap<string, number> {
  const entries = seen.configuration.status === 'present' ? seen.configuration.entries : [];
  const generation = seen.configuration.status === 'present' ? seen.configuration.generation : undefined;
  const isUntouched = generation === undefined || generation === memory.configurationGeneration;
  const candidates: readonly (CertificateFacts | undefined)[] = [state?.current.certificate, state?.next?.certificate];
  const since = new Map<string, number>();
  for (const candidate of candidates) {
    if (candidate === undefined || !isTrustedEverywhere(entries, candidate)) continue;
    const beforeMs = isUntouched ? memory.trustedSinceMs.get(candidate.fingerprint) : undefined;
    since.set(candidate.fingerprint, beforeMs ?? seen.monotonicMs);
  }
  return since;
}
