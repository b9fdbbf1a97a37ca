/**
 * The metrics of the certificate manager, from one round each. docs/metrics.md tells what they are for, deploy/alerts watches them.
 *
 * Invariants: label values come from closed sets (outcomes, steps, roles), but for one fingerprint at a time. May import: src/core, certs.
 */
import type { Metrics } from '../src/core/metrics.ts';
import type { CertificateFacts } from './bundle.ts';
import type { Observation } from './observation.ts';
import type { Round } from './rotator.ts';
import type { ValidityRules } from './validity.ts';

export interface RoundMetricsOptions {
  readonly metrics: Metrics;
  readonly ca: ValidityRules;
  readonly leaf: ValidityRules;
}

/** What telemetry knows beside the round itself. */
export interface RoundContext {
  /** Name of the step that is due. */
  readonly step: string;
  readonly stepAgeMs: number;
  readonly isInSync: boolean;
}

/** A function that is told of every round. */
export function createRoundMetrics(options: RoundMetricsOptions): (round: Round, context: RoundContext) => void {
  const own = createOwn(options.metrics);
  // Series that are there from the beginning: a manager that never succeeds, and the first publish, are seen too.
  own.lastSuccess.set(0);
  own.steps.add(0, { step: 'publish' });
  return (round, { step, stepAgeMs, isInSync }) => {
    own.stepAge.only(stepAgeMs / 1000, { step });
    own.rounds.add(1, { outcome: round.outcome });
    if (round.outcome === 'written' && round.step !== undefined) own.steps.add(1, { step: round.step.kind });
    const { seen } = round;
    if (seen === undefined) return;
    for (const [role, ms] of Object.entries(ends(seen))) own.notAfter.set(ms / 1000, { role });
    for (const [role, ms] of Object.entries(lives(seen, options))) own.life.set(ms / 1000, { role });
    if (seen.tls.status === 'valid') {
      own.leafInfo.only(1, { fingerprint: seen.tls.value.leaf.fingerprint.slice(0, FINGERPRINT_DIGITS) });
    }
    own.refused.set(seen.request?.ok === false ? 1 : 0);
    own.inSync.set(isInSync ? 1 : 0);
    if (isSuccess(round)) own.lastSuccess.set(seen.nowMs / 1000);
  };
}

/** To wait because somebody fights over the caBundle, or for a clock to be put right, is no success: nothing is done about anything. */
function isSuccess({ outcome, step }: Round): boolean {
  const isHindered = step?.kind === 'wait' && (step.reason === 'flapping_bundle' || step.reason === 'clock_off');
  return (outcome === 'waited' && !isHindered) || outcome === 'written';
}

/** As many as the webhook shows of the leaf that it serves. */
const FINGERPRINT_DIGITS = 16;

type Counter = ReturnType<Metrics['counter']>;
type Gauge = ReturnType<Metrics['gauge']>;

function createOwn(
  metrics: Metrics,
): Readonly<Record<'rounds' | 'steps', Counter>> &
  Readonly<Record<'notAfter' | 'life' | 'leafInfo' | 'inSync' | 'lastSuccess' | 'stepAge' | 'refused', Gauge>> {
  return {
    rounds: metrics.counter('logtender_certs_rounds_total', 'Rounds of the control loop, by outcome.'),
    steps: metrics.counter('logtender_certs_steps_total', 'Steps written, by kind.'),
    notAfter: metrics.gauge(
      'logtender_certs_not_after_seconds',
      'End of a certificate, Unix time, by role (ca, next, leaf; bundle: the first to end in the caBundle); 0 where there is none.',
    ),
    life: metrics.gauge(
      'logtender_certs_life_seconds',
      'Life of a certificate from its making, by role (ca, next, leaf); 0 where there is none.',
    ),
    leafInfo: metrics.gauge(
      'logtender_certs_leaf_info',
      'Always 1; the label names the leaf in the Secret, by the first 16 digits of its SHA-256.',
    ),
    inSync: metrics.gauge(
      'logtender_certs_bundle_in_sync',
      '1 when every entry of the webhook configuration holds what it should.',
    ),
    lastSuccess: metrics.gauge(
      'logtender_certs_last_success_timestamp_seconds',
      'Last round that found or put all in order, Unix time; 0 before the first.',
    ),
    stepAge: metrics.gauge(
      'logtender_certs_step_age_seconds',
      'For how long the step that is due, or the reason for waiting (in_order is the good one), has been the same.',
    ),
    refused: metrics.gauge(
      'logtender_certs_request_refused',
      '1 while the annotation logging.io/rotate is no request that can be understood.',
    ),
  };
}

/** Lives from the making to the end, without the time before the making for which a certificate is valid as well; milliseconds. */
function lives(seen: Observation, rules: Pick<RoundMetricsOptions, 'ca' | 'leaf'>): Readonly<Record<string, number>> {
  const lifeOf = (certificate: CertificateFacts, { backdateMs }: ValidityRules): number =>
    certificate.notAfterMs - certificate.notBeforeMs - backdateMs;
  const state = seen.ca.status === 'valid' ? seen.ca.value : undefined;
  return {
    ...(state === undefined ? {} : { ca: lifeOf(state.current.certificate, rules.ca) }),
    ...(state?.next === undefined ? { next: 0 } : { next: lifeOf(state.next.certificate, rules.ca) }),
    ...(seen.tls.status === 'valid' ? { leaf: lifeOf(seen.tls.value.leaf, rules.leaf) } : {}),
  };
}

/** Ends of everything that ends, milliseconds since the epoch. */
function ends(seen: Observation): Readonly<Record<string, number>> {
  const state = seen.ca.status === 'valid' ? seen.ca.value : undefined;
  const entries = seen.configuration.status === 'present' ? seen.configuration.entries : [];
  const trusted = entries.flatMap((entry) => entry.bundle.certificates.map((certificate) => certificate.notAfterMs));
  return {
    ...(state === undefined ? {} : { ca: state.current.certificate.notAfterMs }),
    ...(state?.next === undefined ? { next: 0 } : { next: state.next.certificate.notAfterMs }),
    ...(seen.tls.status === 'valid' ? { leaf: seen.tls.value.leaf.notAfterMs } : {}),
    bundle: trusted.length === 0 ? 0 : Math.min(...trusted),
  };
}
