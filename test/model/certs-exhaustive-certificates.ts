/**
 * Certificates of the exhaustive model: facts without bytes or keys. A CA is a number, counted up as they are written; the world says
 * whether it is due, and its certificate is made to say the same. It ends far beyond every beat; a leaf lives some beats.
 */
import assert from 'node:assert/strict';

import type { CertificateFacts, ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';

/** Milliseconds of a beat: more than a minute, so that what decide() remembers of the last minute is of this beat. */
export const BEAT_MS = 100_000;
/** Life of a CA: its end and its renewal are far beyond the beats that any run counts. */
export const CA_LIFE_MS = 3_000_000 * BEAT_MS;

const numbers = new Map<string, number>();
const fresh: CertificateFacts[] = [];
const due: CertificateFacts[] = [];
const crosses = new Map<string, { readonly subject: number; readonly signer: number }>();

/** The certificate of a CA; decide() finds it due or not by its times. The fingerprint's zeros take the jitter out of renewals. */
export function caFacts(number: number, isDue: boolean): CertificateFacts {
  const made = isDue ? due : fresh;
  const known = made[number];
  if (known !== undefined) return known;
  const fingerprint = `00000000c${number}`;
  numbers.set(fingerprint, number);
  // Fresh: as if made now. Due: a quarter of its life is left, and renewal falls due at a third.
  const [notBeforeMs, notAfterMs] = isDue ? [-CA_LIFE_MS, CA_LIFE_MS / 4] : [-BEAT_MS, CA_LIFE_MS];
  const facts = { fingerprint, pem: '', commonName: `CA ${number}`, notBeforeMs, notAfterMs };
  made[number] = facts;
  return facts;
}

/** `subject`'s name and key signed by `signer`; ends with its signer, which is far beyond every beat. */
export function crossFacts(subject: number, signer: number): CertificateFacts {
  const fingerprint = `00000000x${subject}.${signer}`;
  crosses.set(fingerprint, { subject, signer });
  const commonName = `CA ${subject}`;
  return { fingerprint, pem: '', commonName, notBeforeMs: -BEAT_MS, notAfterMs: CA_LIFE_MS / 4 };
}

export function caNumber(certificate: CertificateFacts): number {
  return numberOf(certificate.fingerprint);
}

export function numberOf(fingerprint: string): number {
  const number = numbers.get(fingerprint);
  assert(number !== undefined, 'the certificate of a CA of this world');
  return number;
}

export function crossOf(certificate: CertificateFacts): { readonly subject: number; readonly signer: number } {
  const cross = crosses.get(certificate.fingerprint);
  assert(cross !== undefined, 'a cross certificate of this world');
  return cross;
}

interface NewPair {
  readonly state: CaState;
  /** Tells leaves apart. */
  readonly serial: number;
  readonly beat: number;
  readonly endsOldConnections: boolean;
  readonly leafLifeMs: number;
  readonly usesCross: boolean;
}

/** The pair that certs/issuer.ts would make: the cross certificate joins when it names the CA that signs. */
export function newPair(made: NewPair): ServingPair {
  const { state, serial, beat, endsOldConnections } = made;
  const issuer = state.current.certificate;
  const nowMs = beat * BEAT_MS;
  const leaf: CertificateFacts = {
    fingerprint: `00000000l${serial}`,
    pem: '',
    commonName: 'leaf',
    notBeforeMs: nowMs - BEAT_MS,
    notAfterMs: nowMs + made.leafLifeMs,
  };
  const { cross } = state;
  const isCrossed = made.usesCross && cross !== undefined && crossOf(cross).subject === caNumber(issuer);
  return { leaf, chain: isCrossed ? [leaf, cross] : [leaf], keyPem: '', issuer, endsOldConnections };
}
