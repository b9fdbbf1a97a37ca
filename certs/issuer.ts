/**
 * Makes CA generations and serving pairs from settings, and proves each before it is handed out.
 *
 * Invariants: a certificate is valid from a while before now (clocks differ) and never longer than its issuer; each CA has a name and a
 * key id of its own, so that a client with two of them in its bundle finds the right one. May import: src/core, src/config, certs.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import type { KeyType } from '../src/config/certs-config.ts';
import { OperationalError } from '../src/core/errors.ts';
import { generateKeys, writeCertificate } from './authority.ts';
import type { KeyPair } from './authority.ts';
import { isIssuedBy, parseCertificate, verifyServing } from './bundle.ts';
import type { CertificateFacts, ServingPair } from './bundle.ts';
import type { CaGeneration, CaState } from './ca-state.ts';
import { notAfterMs } from './validity.ts';
import type { ValidityRules } from './validity.ts';

export interface IssuerOptions {
  readonly ca: ValidityRules;
  readonly leaf: ValidityRules;
  /** DNS names and IP addresses of the leaf. */
  readonly hosts: readonly string[];
  /** Cryptographically strong random bytes. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Type of new keys, ECDSA P-256 by default; a CA signs with the key that it has. */
  readonly keyType?: KeyType;
}

const SERIAL_BYTES = 16;

/** A new CA of its own, valid from `nowMs`. */
export async function newGeneration(options: IssuerOptions, generation: number, nowMs: number): Promise<CaGeneration> {
  const keys = await generateKeys(options.keyType);
  // Number for people, random part so that two CAs of one number (a lost state) differ.
  const name = `logtender CA ${generation} ${Buffer.from(options.randomBytes(4)).toString('hex')}`;
  const certificate = parsed(
    writeCertificate({
      serial: options.randomBytes(SERIAL_BYTES),
      subject: name,
      issuer: name,
      notBeforeMs: nowMs - options.ca.backdateMs,
      notAfterMs: nowMs + options.ca.lifeMs,
      publicKey: keys.publicKey,
      issuerKeys: keys,
      role: { kind: 'ca' },
    }),
  );
  return { certificate, keyPem: pemOf(keys.privateKey) };
}

/** The next CA's name and key, signed by the current CA: whoever trusts only the current one can verify the next one's leaves. */
export function crossCertificate(
  options: IssuerOptions,
  current: CaGeneration,
  next: CaGeneration,
  nowMs: number,
): CertificateFacts {
  const cross = parsed(
    writeCertificate({
      serial: options.randomBytes(SERIAL_BYTES),
      subject: next.certificate.commonName,
      issuer: current.certificate.commonName,
      notBeforeMs: nowMs - options.ca.backdateMs,
      notAfterMs: notAfterMs(nowMs, options.ca, current.certificate),
      publicKey: keysOf(next).publicKey,
      issuerKeys: keysOf(current),
      role: { kind: 'ca' },
    }),
  );
  assert(isIssuedBy(cross, current.certificate), 'a cross certificate verifies under the CA that signed it');
  return cross;
}

/**
 * A new key and leaf under the current CA, with the cross certificate in its chain while there is one.
 *
 * @throws OperationalError CERTIFICATE_INVALID when the pair does not verify (a host that no certificate can carry)
 */
export async function newServingPair(options: IssuerOptions, state: CaState, nowMs: number): Promise<ServingPair> {
  const issuer = state.current.certificate;
  const keys = await generateKeys(options.keyType);
  const leaf = parsed(
    writeCertificate({
      serial: options.randomBytes(SERIAL_BYTES),
      subject: 'logtender webhook',
      issuer: issuer.commonName,
      notBeforeMs: nowMs - options.leaf.backdateMs,
      notAfterMs: notAfterMs(nowMs, options.leaf, issuer),
      publicKey: keys.publicKey,
      issuerKeys: keysOf(state.current),
      role: { kind: 'leaf', hosts: options.hosts },
    }),
  );
  const { cross } = state;
  const chain = cross !== undefined && isIssuedBy(leaf, cross) && cross.notAfterMs > nowMs ? [leaf, cross] : [leaf];
  const pair = { leaf, chain, keyPem: pemOf(keys.privateKey), issuer };
  const verified = verifyServing(pair, options.hosts, nowMs);
  if (!verified.ok) {
    throw new OperationalError(
      'CERTIFICATE_INVALID',
      `issue leaf: expected a pair that verifies, got: ${verified.problem}`,
    );
  }
  return pair;
}

function keysOf(generation: CaGeneration): KeyPair {
  const privateKey = createPrivateKey(generation.keyPem);
  return { privateKey, publicKey: createPublicKey(generation.keyPem) };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function parsed(pem: string): CertificateFacts {
  const facts = parseCertificate(pem);
  assert(facts !== undefined, 'a certificate that we wrote can be read');
  return facts;
}
