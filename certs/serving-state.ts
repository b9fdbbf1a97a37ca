/**
 * The serving pair as the Secret `logtender-tls` holds it: leaf with its chain, key, and the CA that the leaf hangs from.
 *
 * Invariant: what `parseServingPair` accepts belongs together by key and signature; whether it is fit to be served at a given time
 * for given hosts is `verifyServing`'s answer. No key of a CA ever stands here. May import: src/core, certs.
 */
import { isIssuedBy, isKeyOf, parseTrustBundle, toPem } from './bundle.ts';
import type { ServingPair } from './bundle.ts';
import type { SecretEntries } from './ca-state.ts';

export type ParsedServingPair =
  { readonly ok: true; readonly value: ServingPair } | { readonly ok: false; readonly problem: string };

/** The names of a `kubernetes.io/tls` Secret, so that cert-manager's Secrets read the same. */
export function writeServingPair(pair: ServingPair): SecretEntries {
  const entries = { 'tls.crt': toPem(pair.chain), 'tls.key': pair.keyPem, 'ca.crt': pair.issuer.pem };
  return pair.endsOldConnections === true ? { ...entries, [ENDS_OLD_CONNECTIONS]: 'true' } : entries;
}

/** Carried beside the pair, so that every server knows it whenever it comes to load the pair. */
const ENDS_OLD_CONNECTIONS = 'ends-old-connections';

/** Reads the entries; whatever is wrong is a problem, never an exception. */
export function parseServingPair(entries: SecretEntries): ParsedServingPair {
  const keyPem = entries['tls.key'] ?? '';
  const chain = parseTrustBundle(entries['tls.crt'] ?? '');
  const issuers = parseTrustBundle(entries['ca.crt'] ?? '').certificates;
  const [leaf] = chain.certificates;
  if (leaf === undefined) return { ok: false, problem: 'tls.crt holds no certificate' };
  if (!chain.isClean) return { ok: false, problem: 'tls.crt holds something that is no certificate' };
  if (!isKeyOf(leaf, keyPem)) return { ok: false, problem: 'tls.key is not the key of tls.crt' };
  // Ours signs the leaf itself; with an intermediate CA, as others have them, it signs the last link.
  const links = [leaf, ...chain.certificates.slice(1)];
  const issuer = links
    .map((link) => issuers.find((candidate) => isIssuedBy(link, candidate)))
    .find((candidate) => candidate !== undefined);
  if (issuer === undefined) return { ok: false, problem: 'tls.crt is signed by no certificate of ca.crt' };
  const pair = { leaf, chain: chain.certificates, keyPem, issuer };
  const isMarked = entries[ENDS_OLD_CONNECTIONS] === 'true';
  return { ok: true, value: isMarked ? { ...pair, endsOldConnections: true } : pair };
}
