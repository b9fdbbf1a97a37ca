/**
 * Every chain that a server serves in a rotation against every bundle that a client may hold then, and whether it has to verify.
 *
 * May import: certs.
 */
import { randomBytes } from 'node:crypto';

import { generateKeys, writeCertificate } from '../../certs/authority.ts';
import type { CertificateSpec, KeyPair } from '../../certs/authority.ts';
import type { KeyType } from '../../src/config/certs-config.ts';

const HOUR_MS = 3_600_000;
export const NOW_MS = Date.now();
export const NOT_BEFORE_MS = NOW_MS - HOUR_MS;
export const NOT_AFTER_MS = NOW_MS + 24 * HOUR_MS;
/** The longest label of a DNS name (RFC 1035 section 2.3.4). */
const LONG = 'a'.repeat(63);
export const SERVICE = `${LONG}.${LONG}.svc`;
export const HOSTS: readonly string[] = [SERVICE, 'localhost', '127.0.0.1', '::1', '2001:db8::1:0:ab'];

/** PEM of two generations of a CA, the link between them, and a leaf of each. */
export type RotationCertificates = Readonly<Record<'ca1' | 'ca2' | 'cross' | 'leaf1' | 'leaf2', string>>;

export const CHAINS_AND_BUNDLES: ReadonlyArray<
  readonly [
    name: string,
    bundle: ReadonlyArray<'ca1' | 'ca2'>,
    chain: ReadonlyArray<'leaf1' | 'leaf2' | 'cross'>,
    ok: boolean,
  ]
> = [
  ['old leaf, old bundle', ['ca1'], ['leaf1'], true],
  ['old leaf, both', ['ca1', 'ca2'], ['leaf1'], true],
  ['old leaf, both, new first', ['ca2', 'ca1'], ['leaf1'], true],
  ['old leaf, new bundle', ['ca2'], ['leaf1'], false],
  ['new leaf, new bundle', ['ca2'], ['leaf2'], true],
  ['new leaf, both', ['ca1', 'ca2'], ['leaf2'], true],
  ['new leaf, old bundle', ['ca1'], ['leaf2'], false],
  ['new leaf with cross, old bundle', ['ca1'], ['leaf2', 'cross'], true],
  ['new leaf with cross, new bundle', ['ca2'], ['leaf2', 'cross'], true],
  ['new leaf with cross, both', ['ca1', 'ca2'], ['leaf2', 'cross'], true],
];

/** A whole rotation, freshly made. */
export async function rotationCertificates(keyType?: KeyType): Promise<RotationCertificates> {
  const [ca1, ca2, leaf] = await Promise.all([generateKeys(keyType), generateKeys(keyType), generateKeys(keyType)]);
  const ca = { kind: 'ca' } as const;
  const hosts = { kind: 'leaf', hosts: HOSTS } as const;
  return {
    ca1: write('logtender CA 1 a', 'logtender CA 1 a', ca1, ca1, ca),
    ca2: write('logtender CA 2 b', 'logtender CA 2 b', ca2, ca2, ca),
    cross: write('logtender CA 2 b', 'logtender CA 1 a', ca2, ca1, ca),
    leaf1: write('logtender webhook', 'logtender CA 1 a', leaf, ca1, hosts),
    leaf2: write('logtender webhook', 'logtender CA 2 b', leaf, ca2, hosts),
  };
}

function write(
  subject: string,
  issuer: string,
  keys: KeyPair,
  issuerKeys: KeyPair,
  role: CertificateSpec['role'],
): string {
  return writeCertificate({
    serial: randomBytes(16),
    subject,
    issuer,
    notBeforeMs: NOT_BEFORE_MS,
    notAfterMs: NOT_AFTER_MS,
    publicKey: keys.publicKey,
    issuerKeys,
    role,
  });
}
