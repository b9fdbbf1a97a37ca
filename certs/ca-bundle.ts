/**
 * The caBundle of each entry of the webhook configuration: what is trusted there, what should be, and the patch between them.
 *
 * Invariants: every entry is looked at and patched, by its name and never by its place alone; a certificate that we do not know is kept
 * until it expires (it may be another's); content that cannot be read is dropped, because the API server does not check what it stores
 * and every call would fail. Source: kubernetes/api admissionregistration/v1 WebhookClientConfig. May import: src/core, src/kube, certs.
 */
import { isRecord } from '../src/kube/client.ts';
import type { KubeObject } from '../src/kube/client.ts';
import { parseTrustBundle, toPem } from './bundle.ts';
import type { CertificateFacts, TrustBundle } from './bundle.ts';

export interface WebhookEntry {
  readonly name: string;
  readonly bundle: TrustBundle;
}

/** What every entry must hold, and what none may hold any more. */
export interface TrustTarget {
  readonly required: readonly CertificateFacts[];
  /** Fingerprints of our own CAs that nobody needs any more. */
  readonly removable: ReadonlySet<string>;
}

export interface JsonPatchOperation {
  readonly op: 'test' | 'add' | 'replace';
  readonly path: string;
  readonly value: string;
}

/** Certificates of others that are kept in one entry; more than that is an accident, the ones that live longest stay. */
const FOREIGN_MAX = 16;

/** The entries of a MutatingWebhookConfiguration in their order. */
export function entriesOf(configuration: KubeObject): readonly WebhookEntry[] {
  const webhooks: unknown = configuration['webhooks'];
  if (!Array.isArray(webhooks)) return [];
  return webhooks.map((webhook: unknown) => {
    const entry = isRecord(webhook) ? webhook : {};
    const clientConfig = isRecord(entry['clientConfig']) ? entry['clientConfig'] : {};
    const caBundle = typeof clientConfig['caBundle'] === 'string' ? clientConfig['caBundle'] : '';
    const name = typeof entry['name'] === 'string' ? entry['name'] : '';
    return { name, bundle: parseTrustBundle(Buffer.from(caBundle, 'base64').toString('latin1')) };
  });
}

/** What the entry should hold: ours first, then what others put there, without what is expired or no longer needed. */
export function mergeTrust(live: TrustBundle, target: TrustTarget, nowMs: number): readonly CertificateFacts[] {
  const required = new Set(target.required.map((certificate) => certificate.fingerprint));
  const foreign = live.certificates
    .filter((certificate) => !required.has(certificate.fingerprint) && !target.removable.has(certificate.fingerprint))
    .filter((certificate) => certificate.notAfterMs > nowMs)
    .toSorted((a, b) => b.notAfterMs - a.notAfterMs)
    .slice(0, FOREIGN_MAX);
  return [...target.required, ...foreign];
}

/** Whether the entry holds what it should, in whatever order. */
export function isInSync(live: TrustBundle, target: TrustTarget, nowMs: number): boolean {
  if (!live.isClean) return false;
  const wanted = new Set(mergeTrust(live, target, nowMs).map((certificate) => certificate.fingerprint));
  const held = live.certificates.map((certificate) => certificate.fingerprint);
  return held.length === wanted.size && held.every((fingerprint) => wanted.has(fingerprint));
}

/** Whether every entry trusts the certificate (so does a configuration without entries: nobody is called). */
export function isTrustedEverywhere(entries: readonly WebhookEntry[], certificate: CertificateFacts): boolean {
  return entries.every((entry) =>
    entry.bundle.certificates.some((held) => held.fingerprint === certificate.fingerprint),
  );
}

/**
 * JSON Patch (RFC 6902) that puts the merged bundle into every entry that is out of sync.
 *
 * The resourceVersion makes it a compare-and-swap: a stale patch is a 409. The names are tested all the same, so that an operation can
 * never reach another entry.
 */
export function trustPatch(
  entries: readonly WebhookEntry[],
  resourceVersion: string,
  target: TrustTarget,
  nowMs: number,
): readonly JsonPatchOperation[] {
  const operations = entries.flatMap((entry, index): JsonPatchOperation[] => {
    if (isInSync(entry.bundle, target, nowMs)) return [];
    const pem = toPem(mergeTrust(entry.bundle, target, nowMs));
    return [
      { op: 'test', path: `/webhooks/${index}/name`, value: entry.name },
      { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: Buffer.from(pem).toString('base64') },
    ];
  });
  if (operations.length === 0) return [];
  return [...operations, { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion }];
}
