/**
 * Whether the API server can really use us: a valid certificate whose CA it trusts, caches that are filled, no drain.
 *
 * Invariant: readiness is the truth and nothing else decides about it. May import: core, config, kube, admin, certs.
 */
import { parseCertificate } from '../certs/bundle.ts';
import { entriesOf, isTrustedEverywhere } from '../certs/ca-bundle.ts';
import type { CertificateSource } from '../certs/certificate-source.ts';
import type { CheckResult, NamedCheck } from '../src/admin/server.ts';
import { CHECK_OK } from '../src/admin/server.ts';
import type { Clock } from '../src/core/clock.ts';
import type { KubeObject } from '../src/kube/client.ts';
import type { ClusterFacts } from './cluster-facts.ts';

export interface ReadinessOptions {
  readonly certificates: Pick<CertificateSource, 'current' | 'problem'>;
  /** The webhook configuration as the watch last saw it. */
  readonly configuration: () => KubeObject | undefined;
  readonly facts: Pick<ClusterFacts, 'isReady'>;
  readonly isDraining: () => boolean;
  readonly clock: Clock;
}

/** The checks of /readyz. */
export function readinessChecks(options: ReadinessOptions): readonly NamedCheck[] {
  return [
    { name: 'certificate', check: () => checkCertificate(options) },
    { name: 'ca-bundle', check: () => checkTrust(options) },
    {
      name: 'caches',
      check: () => (options.facts.isReady() ? CHECK_OK : no('namespaces, accounts or kubelets are not known yet')),
    },
    { name: 'serving', check: () => (options.isDraining() ? no('the server is about to end') : CHECK_OK) },
  ];
}

function checkCertificate({ certificates, clock }: ReadinessOptions): CheckResult {
  const current = certificates.current();
  if (current === undefined) return no(certificates.problem() ?? 'there is no certificate yet');
  return clock.now() < current.notAfterMs ? CHECK_OK : no('the certificate has expired');
}

function checkTrust({ certificates, configuration }: ReadinessOptions): CheckResult {
  const current = certificates.current();
  const live = configuration();
  if (current === undefined) return no('there is no certificate yet');
  if (live === undefined) return no('the webhook configuration does not exist');
  const issuer = parseCertificate(current.issuerPem);
  const isTrusted = issuer !== undefined && isTrustedEverywhere(entriesOf(live), issuer);
  return isTrusted ? CHECK_OK : no('the CA of the certificate is not in the caBundle of every entry');
}

function no(reason: string): CheckResult {
  return { ok: false, reason };
}
