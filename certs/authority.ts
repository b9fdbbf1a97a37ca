/**
 * Writes our X.509 certificates: CA, cross certificate, leaf. ECDSA P-256 or RSA-2048, with SHA-256.
 *
 * The only file that loads node-forge, as a writer of DER alone: keys and signatures are node:crypto's, and nothing is parsed here.
 * Invariants: serials are positive with 126 random bits; the authority key id is the issuer's (never our own); no path length
 * on a CA, because a cross certificate stands between it and the leaf; names are in the SAN, the CN is short and fixed. Keys are made
 * off the event loop; what is done on it is one signature (RSA-2048: some 1 ms).
 * Profile: RFC 5280 section 4.2, key ids by RFC 7093 section 2 method 1. May import: src/core, src/config.
 */
import assert from 'node:assert/strict';
import { createHash, generateKeyPair, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { promisify } from 'node:util';

import forge from 'node-forge';

import type { KeyType } from '../src/config/certs-config.ts';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** What one certificate says. */
export interface CertificateSpec {
  /** 16 random bytes; the two top bits are set to 01 here. */
  readonly serial: Uint8Array;
  readonly subject: string;
  readonly issuer: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: KeyObject;
  /** The key that signs, and its public half for the authority key id. */
  readonly issuerKeys: KeyPair;
  readonly role: { readonly kind: 'ca' } | { readonly kind: 'leaf'; readonly hosts: readonly string[] };
}

const { asn1 } = forge;
type Asn1 = forge.asn1.Asn1;
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
const { Type } = asn1;
/** The library's type names universal tags alone; a context-specific tag is any small number. */
const createTagged: (tagClass: number, tag: number, isConstructed: boolean, value: Asn1[] | string) => Asn1 =
  asn1.create;

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  rsaWithSha256: '1.2.840.113549.1.1.11',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

const generate = promisify(generateKeyPair);

/** A new key pair, made off the event loop. RSA takes a fifth of a second of another thread, with a long tail. */
export async function generateKeys(type: KeyType = 'ecdsa-p256'): Promise<KeyPair> {
  return type === 'rsa-2048' ? generate('rsa', { modulusLength: 2048 }) : generate('ec', { namedCurve: 'P-256' });
}

/** The type of a key; undefined for one that we never make. */
export function keyTypeOf(key: KeyObject): KeyType | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = key;
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ecdsa-p256';
  return asymmetricKeyType === 'rsa' && asymmetricKeyDetails?.modulusLength === 2048 ? 'rsa-2048' : undefined;
}

/** Writes and signs one certificate, as PEM. */
export function writeCertificate(spec: CertificateSpec): string {
  const toBeSigned = Buffer.from(asn1.toDer(tbsCertificate(spec)).getBytes(), 'latin1');
  const signature = sign('sha256', toBeSigned, { key: spec.issuerKeys.privateKey, dsaEncoding: 'der' });
  // The signed bytes go in as they are: written twice they would have to be equal, embedded they are.
  const certificate = derSequence([
    toBeSigned,
    Buffer.from(asn1.toDer(signatureAlgorithm(spec)).getBytes(), 'latin1'),
    Buffer.from(asn1.toDer(bitString(signature)).getBytes(), 'latin1'),
  ]);
  const base64 = certificate.toString('base64').replaceAll(/(.{64})(?=.)/g, '$1\n');
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

/** 16 bytes as a positive DER integer of constant length: top bit 0 (positive), next bit 1 (no leading zero byte). */
export function serialBytes(random: Uint8Array): Buffer {
  const bytes = Buffer.from(random);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function tbsCertificate(spec: CertificateSpec): Asn1 {
  const subjectKey = asn1.fromDer(binary(spec.publicKey.export({ type: 'spki', format: 'der' })));
  return sequence([
    context(0, true, [integer(Buffer.from([2]))]),
    integer(serialBytes(spec.serial)),
    signatureAlgorithm(spec),
    commonName(spec.issuer),
    sequence([time(spec.notBeforeMs), time(spec.notAfterMs)]),
    commonName(spec.subject),
    subjectKey,
    context(3, true, [sequence(extensions(spec))]),
  ]);
}

function extensions(spec: CertificateSpec): Asn1[] {
  const isCa = spec.role.kind === 'ca';
  // Key usage bits by RFC 5280 section 4.2.1.3, most significant first: digitalSignature is bit 0, keyCertSign 5, cRLSign 6.
  const usage = isCa ? Buffer.from([1, 0b0000_0110]) : Buffer.from([7, 0b1000_0000]);
  const written = [
    extension(OID.basicConstraints, true, sequence(isCa ? [primitive(Type.BOOLEAN, '\xff')] : [])),
    extension(OID.keyUsage, true, primitive(Type.BITSTRING, binary(usage))),
    extension(OID.subjectKeyIdentifier, false, primitive(Type.OCTETSTRING, binary(keyId(spec.publicKey)))),
    extension(
      OID.authorityKeyIdentifier,
      false,
      sequence([context(0, false, binary(keyId(spec.issuerKeys.publicKey)))]),
    ),
  ];
  if (spec.role.kind === 'leaf') {
    written.push(extension(OID.extKeyUsage, false, sequence([oid(OID.serverAuth)])));
    written.push(extension(OID.subjectAltName, false, sequence(spec.role.hosts.map(generalName))));
  }
  return written;
}

/** RFC 7093 section 2 method 1: the leftmost 160 bits of SHA-256 over the bits of the public key. */
function keyId(publicKey: KeyObject): Buffer {
  // The bits are an RSAPublicKey (RFC 3279 section 2.3.1), or the uncompressed point of P-256: the last 65 bytes (RFC 5480 section 2.2).
  const bits =
    keyTypeOf(publicKey) === 'rsa-2048'
      ? publicKey.export({ type: 'pkcs1', format: 'der' })
      : publicKey.export({ type: 'spki', format: 'der' }).subarray(-65);
  return createHash('sha256').update(bits).digest().subarray(0, 20);
}

/** RFC 5280 section 4.2.1.6: dNSName is [2] IA5String, iPAddress is [7] with 4 or 16 octets. */
function generalName(host: string): Asn1 {
  if (isIPv4(host)) return context(7, false, binary(Buffer.from(host.split('.').map(Number))));
  if (isIPv6(host)) return context(7, false, binary(ipv6Bytes(host)));
  return context(2, false, host);
}

/** The 16 octets of an IPv6 address in any of its texts, without a zone. */
export function ipv6Bytes(text: string): Buffer {
  // The URL parser writes the canonical form (RFC 5952): hexadecimal groups alone, one `::` at most.
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const left = addressGroups(head);
  const right = addressGroups(tail ?? '');
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  const bytes = Buffer.alloc(16);
  all.forEach((group, i) => bytes.writeUInt16BE(group, i * 2));
  return bytes;
}

function addressGroups(part: string): number[] {
  return part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime after; whole seconds. */
function time(ms: number): Asn1 {
  const date = new Date(Math.floor(ms / 1000) * 1000);
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

function commonName(name: string): Asn1 {
  const attribute = sequence([oid(OID.commonName), primitive(Type.UTF8, binary(Buffer.from(name, 'utf8')))]);
  return sequence([asn1.create(UNIVERSAL, Type.SET, true, [attribute])]);
}

function extension(id: string, isCritical: boolean, value: Asn1): Asn1 {
  const critical = isCritical ? [primitive(Type.BOOLEAN, '\xff')] : [];
  return sequence([oid(id), ...critical, primitive(Type.OCTETSTRING, asn1.toDer(value).getBytes())]);
}

/** By the key that signs. With RSA the parameters are NULL (RFC 4055 section 5), with ECDSA there are none (RFC 5758 section 3.2). */
function signatureAlgorithm(spec: CertificateSpec): Asn1 {
  const type = keyTypeOf(spec.issuerKeys.privateKey);
  assert(type !== undefined, 'a CA of ours has a key of a type that we make');
  return sequence(
    type === 'rsa-2048' ? [oid(OID.rsaWithSha256), primitive(Type.NULL, '')] : [oid(OID.ecdsaWithSha256)],
  );
}

function sequence(items: Asn1[]): Asn1 {
  return asn1.create(UNIVERSAL, Type.SEQUENCE, true, items);
}

function context(tag: number, isConstructed: boolean, value: Asn1[] | string): Asn1 {
  return createTagged(CONTEXT_SPECIFIC, tag, isConstructed, value);
}

function primitive(type: forge.asn1.Type, value: string): Asn1 {
  return asn1.create(UNIVERSAL, type, false, value);
}

function integer(bytes: Buffer): Asn1 {
  return primitive(Type.INTEGER, binary(bytes));
}

function oid(text: string): Asn1 {
  return primitive(Type.OID, asn1.oidToDer(text).getBytes());
}

function bitString(bytes: Buffer): Asn1 {
  return primitive(Type.BITSTRING, `\0${binary(bytes)}`);
}

/** forge's bytes are texts with one character a byte. */
function binary(bytes: Buffer): string {
  return bytes.toString('latin1');
}

/** A DER SEQUENCE around elements that are encoded already. */
function derSequence(elements: readonly Buffer[]): Buffer {
  const body = Buffer.concat(elements);
  const lengthBytes: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) lengthBytes.unshift(rest % 256);
  const length = body.length < 128 ? [body.length] : [0x80 | lengthBytes.length, ...lengthBytes];
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}
