/**
 * When a certificate has to be renewed. Pure: every answer is about a time that is given.
 *
 * Invariants: renewal falls due at two thirds of the life that a certificate really got (a lookahead longer than the life would renew
 * without end); all replicas find the same time, because the jitter comes from the certificate itself.
 * May import: src/core, certs.
 */
import type { CertificateFacts, ServingPair } from './bundle.ts';

/** Reason codes: log line, metric label and event read the same. */
export type RenewalReason =
  | 'missing'
  | 'unreadable'
  | 'expired'
  | 'near_expiry'
  | 'wrong_host'
  | 'wrong_issuer'
  /** The configuration asks for another type of key. */
  | 'wrong_key_type'
  /** By an operator's order. */
  | 'requested'
  | 'compromised';

export interface ValidityRules {
  /** Life of a new certificate, milliseconds. */
  readonly lifeMs: number;
  /** How far before its making a certificate is valid, for clocks that are behind. */
  readonly backdateMs: number;
}

/** Renewals of many installs made in one second are spread over this part of the life. */
const JITTER_SHARE = 0.02;

/** A renewal that is cut short by the end of the CA is only worth it for a gain of this part of the life. */
const GAIN_SHARE = 0.1;

/**
 * The time from which a certificate is due, in milliseconds since the epoch: its end minus a third of its real life, a little earlier by
 * a jitter that is the certificate's own.
 */
export function renewAtMs(certificate: CertificateFacts, rules: ValidityRules): number {
  const realLifeMs = Math.max(0, certificate.notAfterMs - certificate.notBeforeMs - rules.backdateMs);
  const lifeMs = Math.min(rules.lifeMs, realLifeMs);
  const jitter = Number.parseInt(certificate.fingerprint.slice(0, 8), 16) / 0xffff_ffff;
  return certificate.notAfterMs - lifeMs / 3 - lifeMs * JITTER_SHARE * jitter;
}

/** End of a certificate made at `nowMs` under a CA (or under none). */
export function notAfterMs(nowMs: number, rules: ValidityRules, issuer: CertificateFacts | undefined): number {
  return Math.min(nowMs + rules.lifeMs, issuer?.notAfterMs ?? Number.POSITIVE_INFINITY);
}

/** Why the leaf has to be renewed at `atMs`, or undefined. `issuer` is the CA that would sign the new one. */
export function leafRenewalReason(
  pair: ServingPair | 'missing' | 'unreadable',
  issuer: CertificateFacts,
  hasHosts: (pair: ServingPair) => boolean,
  rules: ValidityRules,
  atMs: number,
): RenewalReason | undefined {
  if (pair === 'missing' || pair === 'unreadable') return pair;
  if (atMs >= pair.leaf.notAfterMs || atMs < pair.leaf.notBeforeMs || atMs >= pair.issuer.notAfterMs) return 'expired';
  if (!hasHosts(pair)) return 'wrong_host';
  if (pair.issuer.fingerprint !== issuer.fingerprint) return 'wrong_issuer';
  if (atMs < renewAtMs(pair.leaf, rules)) return undefined;
  const gainMs = notAfterMs(atMs, rules, issuer) - pair.leaf.notAfterMs;
  return gainMs > rules.lifeMs * GAIN_SHARE ? 'near_expiry' : undefined;
}

/** Why the CA has to be renewed at `atMs`, or undefined. */
export function caRenewalReason(ca: CertificateFacts, rules: ValidityRules, atMs: number): RenewalReason | undefined {
  if (atMs >= ca.notAfterMs || atMs < ca.notBeforeMs) return 'expired';
  return atMs >= renewAtMs(ca, rules) ? 'near_expiry' : undefined;
}
