/**
 * The world of the exhaustive model: three objects of the API server, the caches that lag behind them, the servers that load from them,
 * and the replicas that run decide(). Plain values; nothing here changes one.
 *
 * Time is a count of beats (see the clock in certs-exhaustive-moves.ts), a CA a number (certs-exhaustive-certificates.ts).
 */
import type { CertificateFacts, ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import type { Settings, Step } from '../../certs/decide.ts';
import { EMPTY_MEMORY } from '../../certs/observation.ts';
import type { Memory, Observation } from '../../certs/observation.ts';
import type { RotationKind, RotationRequest } from '../../certs/orders.ts';
import { BEAT_MS, CA_LIFE_MS } from './certs-exhaustive-certificates.ts';

/** What is explored: sizes, bounds of the world, and the mutation, if any. All times in beats. */
export interface Design {
  readonly replicas: number;
  readonly servers: number;
  readonly caches: number;
  /** What an API server may lag behind: decide() relies on less than the settle time. */
  readonly cacheLag: number;
  /** What may pass between the reading of a round and its write: decide() relies on no more than the prune margin. */
  readonly holdMax: number;
  /** How long an overtaken version may still be read. */
  readonly staleMax: number;
  /** Which objects may be read stale; the rotator reads the CA state last. */
  readonly staleReads: ReadonlySet<keyof Objects>;
  /** Whether time stands still until everybody has done what is due: then no leaf may expire. */
  readonly isAttentive: boolean;
  /** What a webhook server may lag behind, where that counts: a compromised CA is gone soon after. Otherwise until its leaf ends. */
  readonly reloadLag: number | undefined;
  /** How often operators may ask for a rotation, and for which. */
  readonly requests: number;
  readonly requestKinds: readonly RotationKind[];
  /** How often somebody else may spoil the bundle, and how often a Secret may be lost or corrupted. */
  readonly drifts: number;
  readonly losses: number;
  readonly settings: Settings;
  /** The real one, or one that a mutation is wrapped around. */
  readonly decide: (seen: Observation, memory: Memory, settings: Settings) => Step;
  /** False: the leaf is served without the cross certificate. */
  readonly usesCross: boolean;
  /** False: writes land whatever they replace. */
  readonly usesCompareAndSwap: boolean;
}

/** One version of an object. `value` is undefined when it is missing or, with `isCorrupt`, not whole. */
export interface Version<T> {
  /** Undefined when it is missing. */
  readonly version: number | undefined;
  readonly value: T | undefined;
  readonly isCorrupt: boolean;
}

export interface Bundle {
  readonly certificates: readonly CertificateFacts[];
  /** Written by somebody else: what is refused under it is not our doing. */
  readonly isForeign: boolean;
}

export interface Objects {
  readonly ca: Version<CaState>;
  readonly tls: Version<ServingPair>;
  readonly bundle: Version<Bundle>;
}

/** A version that was overtaken, and when: it may still be read for a while. */
export interface Past {
  readonly object: keyof Objects;
  readonly was: Version<CaState> | Version<ServingPair> | Version<Bundle>;
  readonly overtakenAt: number;
}

/** Somebody who holds a copy: an API server of the bundle, a webhook server of the serving pair. */
export interface Follower<T> {
  /** For traces; who is alike is alike under any name. */
  readonly name: string;
  readonly value: T;
  /** The beat in which what it holds was overtaken. */
  readonly staleSince: number | undefined;
}

/** A write under way: all of it but the number of a new CA is known when it is sent. */
export interface Write {
  readonly kind: Step['kind'];
  readonly object: keyof Objects;
  /** The version that it replaces; undefined creates. */
  readonly replaces: number | undefined;
  /** The beat of its observation. */
  readonly seenAt: number;
  /** The state around a new CA, where it makes one. */
  readonly around: CaState | undefined;
  readonly value: CaState | ServingPair | Bundle | undefined;
}

export interface Replica {
  readonly name: string;
  readonly memory: Memory;
  readonly write: Write | undefined;
}

/** What is true of a CA, whoever saw it. */
export interface Truth {
  /** Since when the live bundle trusts it without a break. */
  readonly trustedSince: number;
  /** End of the last leaf of it that was ever written; 0 without one. */
  readonly leafUntil: number;
}

export interface World extends Objects {
  readonly beat: number;
  /** Number of the next CA. */
  readonly nextCa: number;
  readonly nextVersion: number;
  /** The CA that is due for renewal, if it is still the current one. */
  readonly dueCa: number;
  readonly past: readonly Past[];
  readonly caches: ReadonlyArray<Follower<Bundle>>;
  readonly servers: ReadonlyArray<Follower<ServingPair | undefined>>;
  readonly replicas: readonly Replica[];
  /** By CA in the live bundle. */
  readonly truth: ReadonlyMap<number, Truth>;
  readonly drifts: number;
  readonly losses: number;
  readonly requests: number;
  /** The annotation of the CA Secret. */
  readonly request: RotationRequest | undefined;
}

/** Settings in beats; a CA is due when the world says so. */
export function settingsOf(beats: {
  readonly leafLife: number;
  readonly settle: number;
  readonly pruneMargin: number;
  readonly restoreGrace: number;
}): Settings {
  return {
    ca: { lifeMs: CA_LIFE_MS, backdateMs: BEAT_MS },
    leaf: { lifeMs: beats.leafLife * BEAT_MS, backdateMs: BEAT_MS },
    settleMs: beats.settle * BEAT_MS,
    pruneMarginMs: beats.pruneMargin * BEAT_MS,
    restoreGraceMs: beats.restoreGrace * BEAT_MS,
    covers: () => true,
  };
}

/** An installed webhook configuration with empty bundles, and replicas that have just started. */
export function emptyWorld(design: Design): World {
  const bundle: Bundle = { certificates: [], isForeign: false };
  return {
    beat: 0,
    nextCa: 1,
    nextVersion: 2,
    dueCa: 0,
    ca: { version: undefined, value: undefined, isCorrupt: false },
    tls: { version: undefined, value: undefined, isCorrupt: false },
    bundle: { version: 1, value: bundle, isCorrupt: false },
    past: [],
    caches: Array.from({ length: design.caches }, (_, i) => ({
      name: `API server ${i + 1}`,
      value: bundle,
      staleSince: undefined,
    })),
    servers: Array.from({ length: design.servers }, (_, i) => ({
      name: `webhook ${i + 1}`,
      value: undefined,
      staleSince: undefined,
    })),
    replicas: Array.from({ length: design.replicas }, (_, i) => ({
      name: `replica ${i + 1}`,
      memory: EMPTY_MEMORY,
      write: undefined,
    })),
    truth: new Map(),
    drifts: 0,
    losses: 0,
    requests: 0,
    request: undefined,
  };
}
