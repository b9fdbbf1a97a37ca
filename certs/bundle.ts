/**
 * Certificates as facts, PEM in and out, and the proof that a serving pair is fit to be served.
 *
 * Invariants: all parsing is crypto.X509Certificate's; a pair that `verifyServing` accepts completes a handshake with whoever trusts
 * its issuer. Private keys stand in `keyPem` alone. May import: src/core.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';

import { errorText } from '../src/core/errors.ts';

/** What decisions need to know of one certificate. */
export interface CertificateFacts {
  /** SHA-256 of the DER, 64 lower-case hexadecimal characters. */
  readonly fingerprint: string;
  readonly pem: string;
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** What the webhook serves, and the CA that it hangs from. */
export interface ServingPair {
  readonly leaf: CertificateFacts;
  /** Leaf first, then the cross certificate while a rotation is young. */
  readonly chain: readonly CertificateFacts[];
  readonly keyPem: string;
  /** The CA that the leaf hangs from: it signed the leaf, or a link of the chain. */
  readonly issuer: CertificateFacts;
  /** True for a pair that was issued because a CA was compromised: servers end the connections that they opened before it. */
  readonly endsOldConnections?: boolean;
}

/** A list of trusted certificates as somebody wrote it. */
export interface TrustBundle {
  readonly certificates: readonly CertificateFacts[];
  /** False when there was anything that is no certificate, or one twice: the next write leaves it out. */
  readonly isClean: boolean;
}

export type Verified = { readonly ok: true } | { readonly ok: false; readonly problem: string };

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;

/** Most certificates that are read from one bundle: ours are at most four; a megabyte of them is an attack or an accident. */
const BUNDLE_CERTIFICATES_MAX = 64;

/** Facts of one PEM block; undefined for what is no certificate. */
export function parseCertificate(pem: string): CertificateFacts | undefined {
  try {
    return factsOf(new X509Certificate(pem));
  } catch {
    return undefined;
  }
}

/** Reads every certificate it can; what cannot be read only makes the bundle unclean. The empty text is an empty, clean bundle. */
export function parseTrustBundle(pem: string): TrustBundle {
  const blocks = pem.match(PEM_BLOCK) ?? [];
  const byFingerprint = new Map<string, CertificateFacts>();
  for (const block of blocks.slice(0, BUNDLE_CERTIFICATES_MAX)) {
    const facts = parseCertificate(block);
    if (facts !== undefined) byFingerprint.set(facts.fingerprint, facts);
  }
  const isClean = byFingerprint.size === blocks.length && pem.replaceAll(PEM_BLOCK, '').trim() === '';
  return { certificates: [...byFingerprint.values()], isClean };
}

/** PEM of several certificates, in this order. */
export function toPem(certificates: readonly CertificateFacts[]): string {
  return certificates.map((certificate) => certificate.pem).join('');
}

/**
 * Proves a pair before it is written or served: it parses, the key is the leaf's, the leaf is signed by the issuer, it is valid
 * now and covers every host, the chain hangs together, and TLS takes it.
 *
 * @param hosts DNS names and IP addresses, each must be in the SAN
 */
export function verifyServing(pair: ServingPair, hosts: readonly string[], nowMs: number): Verified {
  try {
    const leaf = new X509Certificate(pair.leaf.pem);
    const issuer = new X509Certificate(pair.issuer.pem);
    if (!leaf.checkPrivateKey(createPrivateKey(pair.keyPem)))
      return wrong('the private key is not the one of the leaf');
    if (!issuer.ca) return wrong('the issuer is no CA');
    // A cross certificate ends with the old CA, which may be before the leaf does: nobody needs it then, and it does no harm.
    for (const certificate of [pair.leaf, pair.issuer]) {
      const problem = validAt(certificate, nowMs);
      if (problem !== undefined) return wrong(problem);
    }
    const missing = hosts.find((host) => !covers(leaf, host));
    if (missing !== undefined) return wrong(`the leaf does not cover ${missing}`);
    const links = pair.chain.map((certificate) => new X509Certificate(certificate.pem));
    if (links[0]?.fingerprint256 !== leaf.fingerprint256) return wrong('the chain does not begin with the leaf');
    if (links.some((link, i) => i > 0 && !isSignedBy(links[i - 1] ?? leaf, link)))
      return wrong('the chain does not hang together');
    if (!links.some((link) => isSignedBy(link, issuer))) return wrong('the leaf is not signed by its issuer');
    createSecureContext({ cert: toPem(pair.chain), key: pair.keyPem });
    return { ok: true };
  } catch (error) {
    return wrong(errorText(error));
  }
}

/**
 * Whether a client that trusts exactly `anchors` accepts the chain, as a path of signatures from the leaf to an anchor.
 *
 * The serving chain may be tried at each link: a client of the new CA stops at the leaf, one of the old goes on over the cross certificate.
 */
export function chainVerifies(
  chain: readonly CertificateFacts[],
  anchors: readonly CertificateFacts[],
  nowMs: number,
): boolean {
  const roots = anchors
    .filter((anchor) => validAt(anchor, nowMs) === undefined)
    .map((anchor) => new X509Certificate(anchor.pem));
  let below: X509Certificate | undefined;
  for (const link of chain) {
    const certificate = new X509Certificate(link.pem);
    if (validAt(link, nowMs) !== undefined) return false;
    if (below !== undefined && !isSignedBy(below, certificate)) return false;
    if (roots.some((root) => isSignedBy(certificate, root))) return true;
    below = certificate;
  }
  return false;
}

/** Whether the certificate covers the host by its SAN; the CN does not count, as for every client of today. */
export function coversHost(certificate: CertificateFacts, host: string): boolean {
  return covers(new X509Certificate(certificate.pem), host);
}

/** The key that the certificate is for. */
export function publicKeyOf(certificate: CertificateFacts): KeyObject {
  return new X509Certificate(certificate.pem).publicKey;
}

/** Whether the private key belongs to the certificate. */
export function isKeyOf(certificate: CertificateFacts, keyPem: string): boolean {
  try {
    return new X509Certificate(certificate.pem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

/** Whether `issuer` signed `certificate`: names, key ids and the signature itself. */
export function isIssuedBy(certificate: CertificateFacts, issuer: CertificateFacts): boolean {
  return isSignedBy(new X509Certificate(certificate.pem), new X509Certificate(issuer.pem));
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function covers(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined;
  return certificate.checkHost(host, { subject: 'never' }) !== undefined;
}

function validAt(certificate: CertificateFacts, nowMs: number): string | undefined {
  if (nowMs < certificate.notBeforeMs)
    return `${certificate.commonName} is not valid before ${iso(certificate.notBeforeMs)}`;
  if (nowMs >= certificate.notAfterMs) return `${certificate.commonName} expired at ${iso(certificate.notAfterMs)}`;
  return undefined;
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    pem: certificate.toString(),
    commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '',
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
  };
}

function wrong(problem: string): Verified {
  return { ok: false, problem };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
