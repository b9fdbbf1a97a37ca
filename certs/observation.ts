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

export type SecretView<T> =
  | { readonly status: 'missing' }
  /** Somebody else's: never written. */
  | { readonly status: 'foreign'; readonly problem: string }
  /** Ours, but not whole. */
  | { readonly status: 'corrupt'; readonly resourceVersion: string; readonly problem: string }
  | { readonly status: 'valid'; readonly resourceVersion: string; readonly value: T };

export type ConfigurationView =
  | { readonly status: 'missing' }
  | { readonly status: 'present'; readonly resourceVersion: string; readonly entries: readonly WebhookEntry[] };

export interface Observation {
  readonly nowMs: number;
  readonly monotonicMs: number;
  readonly ca: SecretView<CaState>;
  readonly tls: SecretView<ServingPair>;
  readonly configuration: ConfigurationView;
}

export interface Memory {
  readonly ca: CaState | undefined;
  readonly pair: ServingPair | undefined;
  /** Since when the CA state cannot be read; monotonic. */
  readonly caLostSinceMs: number | undefined;
  /** Since when every observation found this CA (by fingerprint) in every entry; monotonic. */
  readonly trustedSinceMs: ReadonlyMap<string, number>;
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
  published: [],
};

/** Memory after an observation. */
export function remember(memory: Memory, seen: Observation): Memory {
  const state = seen.ca.status === 'valid' ? seen.ca.value : undefined;
  return {
    ca: state ?? memory.ca,
    pair: seen.tls.status === 'valid' ? seen.tls.value : memory.pair,
    caLostSinceMs: state === undefined ? (memory.caLostSinceMs ?? seen.monotonicMs) : undefined,
    trustedSinceMs: trustedSince(memory, seen, state),
    published: memory.published.filter((publication) => seen.monotonicMs - publication.atMs < 60_000),
  };
}

/** Without a configuration nobody is called, so that everything counts as trusted. */
function trustedSince(memory: Memory, seen: Observation, state: CaState | undefined): ReadonlyMap<string, number> {
  const entries = seen.configuration.status === 'present' ? seen.configuration.entries : [];
  const candidates: readonly (CertificateFacts | undefined)[] = [state?.current.certificate, state?.next?.certificate];
  const since = new Map<string, number>();
  for (const candidate of candidates) {
    if (candidate === undefined || !isTrustedEverywhere(entries, candidate)) continue;
    since.set(candidate.fingerprint, memory.trustedSinceMs.get(candidate.fingerprint) ?? seen.monotonicMs);
  }
  return since;
}
