/**
 * Keeps the last good serving pair, whoever brings pairs: judges each, tells about changes, counts and logs.
 *
 * Invariants: a pair that is handed out was proven (key, signature, hosts, time, TLS takes it); a bad one changes nothing: the last good
 * pair stays, and the problem is told, counted and logged, never with a key. A good pair that the live caBundle does not trust yet waits
 * while the one before it is trusted. May import: src/core, src/config, certs.
 */
import type { CertificateMode } from '../src/config/certs-config.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Gauge, Metrics } from '../src/core/metrics.ts';
import { toPem, verifyServing } from './bundle.ts';
import type { CertificateFacts, ServingPair } from './bundle.ts';
import type { SecretEntries } from './ca-state.ts';
import { mustWait } from './live-trust.ts';
import type { LiveTrust } from './live-trust.ts';
import { parseServingPair } from './serving-state.ts';

/** What a TLS server needs, and what readiness and metrics want to know of it. */
export interface ServingCertificate {
  /** Leaf and, while a rotation is young, the cross certificate: the `cert` of a TLS context. */
  readonly certPem: string;
  readonly keyPem: string;
  /** The CA that the leaf hangs from. */
  readonly issuerFingerprint: string;
  /** SHA-256 of the leaf, lower-case hexadecimal. */
  readonly fingerprint: string;
  readonly notAfterMs: number;
  /** Leaf and chain as `certPem` has them, for whoever asks by whom they are trusted. */
  readonly chain: readonly CertificateFacts[];
  /**
   * True for a pair that was issued because a CA was compromised: a server asks each connection that it opened before to end, with
   * `Connection: close` on its next answer.
   */
  readonly endsOldConnections: boolean;
}

export interface PairKeeperOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where pairs come from, for people: `Secret logtender/logtender-tls`. */
  readonly origin: string;
  /** DNS names and IP addresses that the leaf has to cover. */
  readonly hosts: readonly string[];
  /** Who makes the certificate: alert rules about logtender-certs ask for it. */
  readonly mode: CertificateMode;
  /** What API servers trust; without it no pair is held back. */
  readonly trust?: LiveTrust | undefined;
}

/** What became of a pair that was offered. */
export type Offered =
  | { readonly outcome: 'taken' }
  /** Good, but it is not trusted yet: offer it again when trust changes, and from time to time. */
  | { readonly outcome: 'held' }
  | { readonly outcome: 'refused'; readonly problem: string };

export interface PairKeeper {
  current(): ServingCertificate | undefined;
  problem(): string | undefined;
  /** Why the newest pair is not served yet although nothing is wrong with it. */
  held(): string | undefined;
  onChange(listener: (certificate: ServingCertificate) => void): () => void;
  /** Takes the pair, or says why not and keeps what it has. */
  offer(entries: SecretEntries): Offered;
  /** Notes, counts and logs that the newest pair cannot be served. */
  refuse(problem: string): void;
}

/** A keeper that has no pair yet. */
export function createPairKeeper(options: PairKeeperOptions): PairKeeper {
  const { clock, log, origin, hosts, trust } = options;
  const own = createOwn(options);
  const listeners = new Set<(certificate: ServingCertificate) => void>();
  let served: ServingPair | undefined;
  let current: ServingCertificate | undefined;
  let problem: string | undefined = `${origin} was not seen yet`;
  let held: string | undefined;
  const hold = (pair: ServingPair | undefined): void => {
    own.held.set(pair === undefined ? 0 : 1);
    if (pair !== undefined && held !== pair.leaf.fingerprint)
      log.warn('serving pair held back: the live caBundle does not trust it', {
        origin,
        fingerprint: pair.leaf.fingerprint,
      });
    held = pair?.leaf.fingerprint;
  };
  const take = (pair: ServingPair): void => {
    served = pair;
    current = toServing(pair);
    own.taken(pair);
    logTaken(log, current);
    for (const listener of listeners) listener(current);
  };
  return {
    current: () => current,
    problem: () => problem,
    held: () =>
      held === undefined ? undefined : `a newer certificate waits until the live caBundle trusts it (${origin})`,
    onChange: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    offer: (entries) => {
      const proven = prove(entries, hosts, clock.now());
      if (!proven.ok) {
        hold(undefined);
        return { outcome: 'refused', problem: proven.problem };
      }
      const pair = proven.value;
      problem = undefined;
      if (served !== undefined && isOther(pair, current) && mustWait(served, pair, trust?.entries(), clock.now())) {
        hold(pair);
        return { outcome: 'held' };
      }
      hold(undefined);
      if (isOther(pair, current)) take(pair);
      return { outcome: 'taken' };
    },
    refuse: (text) => {
      problem = text;
      own.refused();
      log.error('serving pair refused', { origin, error: text, keptOld: current !== undefined });
    },
  };
}

/** The pair that the entries hold, fit to be served now. */
function prove(entries: SecretEntries, hosts: readonly string[], nowMs: number): ReturnType<typeof parseServingPair> {
  const parsed = parseServingPair(entries);
  if (!parsed.ok) return parsed;
  const verified = verifyServing(parsed.value, hosts, nowMs);
  return verified.ok ? parsed : { ok: false, problem: verified.problem };
}

function createOwn({ metrics, mode }: Pick<PairKeeperOptions, 'metrics' | 'mode'>): {
  readonly taken: (pair: ServingPair) => void;
  readonly refused: () => void;
  readonly held: Gauge;
} {
  const reloads = metrics.counter('logtender_certificate_reloads_total', 'Serving pairs seen, by result.');
  // Series that are there from the beginning: an alert on their growth sees the first one too.
  for (const result of ['taken', 'refused']) reloads.add(0, { result });
  const notAfter = metrics.gauge(
    'logtender_serving_certificate_not_after_seconds',
    'End of the leaf that is served, Unix time.',
  );
  const life = metrics.gauge(
    'logtender_serving_certificate_life_seconds',
    'How long the leaf that is served is valid from its first moment to its last.',
  );
  const held = metrics.gauge(
    'logtender_serving_certificate_held',
    '1 while a newer pair waits because the live caBundle does not trust it.',
  );
  held.set(0);
  const modes = metrics.gauge(
    'logtender_serving_certificate_mode',
    'Always 1; the label says who makes the certificate.',
  );
  modes.only(1, { mode });
  return {
    taken: ({ leaf }) => {
      reloads.add(1, { result: 'taken' });
      notAfter.set(leaf.notAfterMs / 1000);
      life.set((leaf.notAfterMs - leaf.notBeforeMs) / 1000);
    },
    refused: () => reloads.add(1, { result: 'refused' }),
    held,
  };
}

function logTaken(log: Log, { fingerprint, endsOldConnections, notAfterMs }: ServingCertificate): void {
  log.info('serving pair taken', {
    fingerprint,
    notAfter: new Date(notAfterMs).toISOString(),
    ...(endsOldConnections ? { endsOldConnections } : {}),
  });
}

/** The same leaf may come with another chain, or hang from another CA of the same key. */
function isOther(pair: ServingPair, current: ServingCertificate | undefined): boolean {
  return (
    pair.leaf.fingerprint !== current?.fingerprint ||
    pair.issuer.fingerprint !== current.issuerFingerprint ||
    toPem(pair.chain) !== current.certPem
  );
}

function toServing(pair: ServingPair): ServingCertificate {
  return {
    certPem: toPem(pair.chain),
    keyPem: pair.keyPem,
    issuerFingerprint: pair.issuer.fingerprint,
    fingerprint: pair.leaf.fingerprint,
    notAfterMs: pair.leaf.notAfterMs,
    chain: pair.chain,
    endsOldConnections: pair.endsOldConnections === true,
  };
}
