/**
 * A serving certificate for loopback that is its own authority, written as DER (ITU-T X.690) by hand.
 *
 * Only for test servers. The product's certificates are the room certs'. May import: node:, src/core.
 */
import { createHash, createSign, type KeyObject } from 'node:crypto';
import { randomHex } from '../../../src/core/clock.ts';

const HOUR_MS = 60 * 60_000;
const VALID_MS = 10 * 24 * HOUR_MS;

/** Object identifiers, encoded: RFC 5758 (ecdsa-with-SHA256), RFC 5280 appendix A (the others). */
const OID = {
  ecdsaWithSha256: '06082a8648ce3d040302',
  commonName: '0603550403',
  subjectKeyIdentifier: '0603551d0e',
  subjectAltName: '0603551d11',
  basicConstraints: '0603551d13',
} as const;

/** Tags of X.690; the bracketed numbers are context-specific. */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
};

/**
 * PEM of a P-256 certificate for 127.0.0.1 and localhost (RFC 5280 section 4.1).
 *
 * @param nowMs wall clock; valid from an hour before for ten days
 * @param addresses IPv4 addresses beside 127.0.0.1
 */
export function selfSigned(
  keys: { publicKey: KeyObject; privateKey: KeyObject },
  nowMs: number,
  addresses: readonly string[] = [],
): string {
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = der(TAG.sequence, oid('ecdsaWithSha256'));
  const name = der(
    TAG.sequence,
    der(TAG.set, der(TAG.sequence, oid('commonName'), der(TAG.utf8, Buffer.from('kube-apiserver')))),
  );
  const names = der(
    TAG.sequence,
    der(0x82, Buffer.from('localhost')),
    der(0x82, Buffer.from('kubernetes.default.svc')),
    ...['127.0.0.1', ...addresses].map((address) => der(0x87, Buffer.from(address.split('.').map(Number)))),
  );
  const extensions = der(
    TAG.sequence,
    extension('basicConstraints', der(TAG.sequence, YES), YES),
    extension('subjectKeyIdentifier', der(TAG.octets, createHash('sha1').update(publicKey).digest())),
    extension('subjectAltName', names),
  );
  const body = der(
    TAG.sequence,
    der(0xa0, der(TAG.integer, Buffer.from([2]))),
    // The first byte keeps the serial number positive and its encoding minimal.
    der(TAG.integer, Buffer.from(`01${randomHex(8)}`, 'hex')),
    algorithm,
    name,
    der(TAG.sequence, utcTime(nowMs - HOUR_MS), utcTime(nowMs + VALID_MS)),
    name,
    publicKey,
    der(0xa3, extensions),
  );
  const signature = createSign('sha256').update(body).sign(keys.privateKey);
  const whole = der(TAG.sequence, body, algorithm, der(TAG.bits, Buffer.from([0]), signature));
  const lines = whole.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** One element: tag, length in its shortest form, contents. */
function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const size = contents.reduce((sum, content) => sum + content.length, 0);
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), ...contents]);
}

const YES = der(TAG.boolean, Buffer.from([0xff]));

function oid(name: keyof typeof OID): Buffer {
  return Buffer.from(OID[name], 'hex');
}

function extension(name: keyof typeof OID, value: Buffer, ...critical: readonly Buffer[]): Buffer {
  return der(TAG.sequence, oid(name), ...critical, der(TAG.octets, value));
}

/** `YYMMDDHHMMSSZ`, right until 2049. */
function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return der(TAG.utcTime, Buffer.from(`${digits}Z`));
}
