/**
 * Whether the API server can really use us: a valid certificate whose CA it trusts, a handshake that shows it, caches that are filled,
 * no drain.
 *
 * Invariant: readiness is the truth and nothing else decides about it. May import: core, config, kube, admin, certs.
 */
import { chainVerifies } from '../certs/bundle.ts';
import type { CertificateSource } from '../certs/certificate-source.ts';
import type { LiveTrust } from '../certs/live-trust.ts';
import type { CheckResult, ReadyCheck } from '../src/admin/server.ts';
import { CHECK_OK } from '../src/admin/server.ts';
import type { Clock } from '../src/core/clock.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { SelfDial } from './self-dial.ts';

export interface ReadinessOptions {
  readonly certificates: Pick<CertificateSource, 'current' | 'problem' | 'held'>;
  /** The caBundle of each entry as the watch last saw it. */
  readonly trust: Pick<LiveTrust, 'entries'>;
  readonly facts: Pick<ClusterFacts, 'isReady'>;
  readonly selfDial: Pick<SelfDial, 'check'>;
  readonly isDraining: () => boolean;
  /** What is wrong with the configuration file; the last good one serves, so that it is a line and no reason. */
  readonly configNote: () => string | undefined;
  readonly clock: Clock;
}

/** The checks of /readyz. */
export function readinessChecks(options: ReadinessOptions): readonly ReadyCheck[] {
  return [
    { name: 'certificate', check: () => checkCertificate(options) },
    { name: 'ca-bundle', check: () => checkTrust(options) },
    { name: 'self-dial', check: () => options.selfDial.check() },
    {
      name: 'caches',
      check: () => (options.facts.isReady() ? CHECK_OK : no('namespaces, accounts or kubelets are not known yet')),
    },
    { name: 'config', check: () => ({ ok: true, ...noteOf(options.configNote()) }) },
    { name: 'serving', check: () => (options.isDraining() ? no('the server is about to end') : CHECK_OK) },
  ];
}

function checkCertificate({ certificates, clock }: ReadinessOptions): CheckResult {
  const current = certificates.current();
  if (current === undefined) return no(certificates.problem() ?? 'there is no certificate yet');
  if (clock.now() >= current.notAfterMs) return no('the certificate has expired');
  return { ok: true, ...noteOf(certificates.held()) };
}

/**
 * As an API server verifies: a path of signatures from the leaf to any certificate of the entry's bundle. It need not be the very
 * certificate that came beside the leaf: that may be an intermediate CA, or the root from before it was renewed under the same key.
 */
function checkTrust({ certificates, trust, clock }: ReadinessOptions): CheckResult {
  const current = certificates.current();
  const entries = trust.entries();
  if (current === undefined) return no('there is no certificate yet');
  if (entries === undefined) return no('the webhook configuration does not exist');
  const nowMs = clock.now();
  const out = entries.filter(({ bundle }) => !chainVerifies(current.chain, bundle.certificates, nowMs));
  if (out.length === 0) return CHECK_OK;
  return no(`the caBundle of ${out.map(({ name }) => name).join(', ')} does not trust the certificate`);
}

function noteOf(note: string | undefined): { readonly note?: string } {
  return note === undefined ? {} : { note };
}

function no(reason: string): CheckResult {
  return { ok: false, reason };
}
