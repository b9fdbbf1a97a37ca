/**
 * Where the rotation stands, as JSON for people and tools: the page /status of each replica and an annotation of the Lease, which the
 * holder renews with it. No right to read a Secret is needed to see it.
 *
 * Invariant: names, fingerprints and times, never a key. May import: src/core, certs.
 */
import type { CertificateFacts } from './bundle.ts';
import type { Observation } from './observation.ts';
import { openOrders } from './orders.ts';
import type { RotationKind } from './orders.ts';
import type { Round } from './rotator.ts';

/** Key of the annotation on the Lease. */
export const STATUS_ANNOTATION = 'logging.io/certs-status';

export interface PublicStatus {
  /** When the replica looked last, ISO 8601. */
  readonly at: string | undefined;
  readonly generation: number | undefined;
  readonly ca: PublicCertificate | undefined;
  readonly next: PublicCertificate | undefined;
  readonly previous: ReadonlyArray<PublicCertificate & { readonly neededUntil: string }>;
  readonly leaf: (PublicCertificate & { readonly issuer: string }) | undefined;
  /** Kind of the step that is due, or the reason for waiting: `in_order`, `settling`, `publish`, ... */
  readonly step: string;
  /** Since when that has been so, ISO 8601. */
  readonly stepSince: string;
  readonly outcome: Round['outcome'] | undefined;
  readonly problem: string | undefined;
  /** Whether every entry of the webhook configuration trusts what it should. */
  readonly isInSync: boolean;
  readonly orders: {
    /** The request that was taken up last, word for word. */
    readonly handled: string | undefined;
    /** What of all requests is not done yet. */
    readonly open: readonly RotationKind[];
    /** Why the annotation is not a request, if it is not. */
    readonly refused: string | undefined;
  };
}

export interface PublicCertificate {
  readonly name: string;
  readonly fingerprint: string;
  readonly notAfter: string;
}

/** What telemetry knows beside the last round. */
export interface StatusContext {
  /** The last round that saw the cluster. */
  readonly seen: Observation | undefined;
  readonly stepSinceMs: number;
  readonly isInSync: boolean;
}

/** The status after a round; before the first one `last` is undefined. */
export function publicStatus(last: Round | undefined, context: StatusContext): PublicStatus {
  const { seen, stepSinceMs, isInSync } = context;
  return {
    at: seen === undefined ? undefined : iso(seen.nowMs),
    ...caStatus(seen),
    step: stepName(last),
    stepSince: iso(stepSinceMs),
    outcome: last?.outcome,
    problem: last === undefined || last.problem === '' ? undefined : last.problem,
    isInSync,
  };
}

function caStatus(
  seen: Observation | undefined,
): Pick<PublicStatus, 'generation' | 'ca' | 'next' | 'previous' | 'leaf' | 'orders'> {
  const state = seen?.ca.status === 'valid' ? seen.ca.value : undefined;
  const pair = seen?.tls.status === 'valid' ? seen.tls.value : undefined;
  const leaf = pair === undefined ? undefined : { ...shown(pair.leaf), issuer: pair.issuer.fingerprint };
  const refused = seen?.request?.ok === false ? seen.request.problem : undefined;
  if (state === undefined) {
    const orders = { handled: undefined, open: [], refused };
    return { generation: undefined, ca: undefined, next: undefined, previous: [], leaf, orders };
  }
  return {
    generation: state.generation,
    ca: shown(state.current.certificate),
    next: state.next === undefined ? undefined : shown(state.next.certificate),
    previous: state.previous.map((ca) => ({ ...shown(ca.certificate), neededUntil: iso(ca.neededUntilMs) })),
    leaf,
    orders: { handled: state.orders?.handled, open: openOrders(state, pair), refused },
  };
}

/** Kind of the step that is due, or why nothing is: a closed set, also a label of metrics. */
export function stepName(last: Round | undefined): string {
  if (last?.step === undefined) return 'unobserved';
  return last.step.kind === 'wait' ? last.step.reason : last.step.kind;
}

function shown(certificate: CertificateFacts): PublicCertificate {
  const { commonName: name, fingerprint, notAfterMs } = certificate;
  return { name, fingerprint, notAfter: iso(notAfterMs) };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
