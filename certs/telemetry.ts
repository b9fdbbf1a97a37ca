/**
 * What people and alerts see of the certificate manager: metrics, readiness with reasons, a status page.
 *
 * Invariant: everything here is read from the last round; nothing decides anything, and no key is ever shown.
 * May import: src/core, src/admin, certs.
 */
import { CHECK_OK } from '../src/admin/server.ts';
import type { CheckResult, NamedCheck } from '../src/admin/server.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Metrics } from '../src/core/metrics.ts';
import { isInSync } from './ca-bundle.ts';
import { trustTarget } from './decide.ts';
import type { Observation } from './observation.ts';
import type { Round } from './rotator.ts';

export interface Telemetry {
  record(round: Round): void;
  readonly checks: readonly NamedCheck[];
  /** Where the rotation stands, as JSON for people and tools. */
  status(): unknown;
}

export interface TelemetryOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly tickMs: number;
  readonly configurationName: string;
}

/** Rounds that may be missed before readiness says so. */
const MISSED_TICKS_MAX = 3;

export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { clock, metrics, tickMs, configurationName } = options;
  const rounds = metrics.counter('logtender_certs_rounds_total', 'Rounds of the control loop, by outcome.');
  const steps = metrics.counter('logtender_certs_steps_total', 'Steps written, by kind.');
  const notAfter = metrics.gauge(
    'logtender_certs_not_after_seconds',
    'End of a certificate, Unix time, by role (ca, next, leaf, bundle).',
  );
  const inSync = metrics.gauge(
    'logtender_certs_bundle_in_sync',
    '1 when every entry of the webhook configuration holds what it should.',
  );
  const lastSuccess = metrics.gauge(
    'logtender_certs_last_success_timestamp_seconds',
    'Last round that found or put all in order, Unix time.',
  );
  let last: Round | undefined;
  let lastSeen: Observation | undefined;

  const freshness = (): CheckResult => {
    if (lastSeen === undefined) return notYet(last?.problem ?? '');
    const ageMs = clock.monotonic() - lastSeen.monotonicMs;
    if (ageMs <= MISSED_TICKS_MAX * tickMs) return CHECK_OK;
    return { ok: false, reason: `last look at the cluster ${Math.round(ageMs)} ms ago: ${last?.problem ?? ''}` };
  };
  const checks: readonly NamedCheck[] = [
    { name: 'cluster', check: freshness },
    { name: 'ca', check: () => (lastSeen === undefined ? notYet('') : viewCheck(lastSeen.ca)) },
    { name: 'leaf', check: () => (lastSeen === undefined ? notYet('') : leafCheck(lastSeen, clock.now())) },
    {
      name: 'ca-bundle',
      check: () => (lastSeen === undefined ? notYet('') : bundleCheck(lastSeen, configurationName)),
    },
  ];
  return {
    checks,
    record: (round) => {
      last = round;
      rounds.add(1, { outcome: round.outcome });
      if (round.outcome === 'written' && round.step !== undefined) steps.add(1, { step: round.step.kind });
      if (round.seen === undefined) return;
      lastSeen = round.seen;
      for (const [role, ms] of Object.entries(ends(round.seen))) notAfter.set(ms / 1000, { role });
      inSync.set(bundleCheck(round.seen, configurationName).ok ? 1 : 0);
      if (round.outcome === 'waited' || round.outcome === 'written') lastSuccess.set(round.seen.nowMs / 1000);
    },
    status: () => statusOf(last, lastSeen, checks),
  };
}

/** Whether every entry of the webhook configuration trusts what it should, or why not. */
function bundleCheck(seen: Observation, configurationName: string): CheckResult {
  if (seen.ca.status !== 'valid') return { ok: false, reason: `the CA state is ${seen.ca.status}` };
  if (seen.configuration.status !== 'present')
    return { ok: false, reason: `webhook configuration ${configurationName} not found` };
  const target = trustTarget(seen.ca.value, seen.tls, seen.nowMs);
  const out = seen.configuration.entries.filter((entry) => !isInSync(entry.bundle, target, seen.nowMs));
  if (out.length === 0) return CHECK_OK;
  return { ok: false, reason: `caBundle out of sync in ${out.map((entry) => entry.name).join(', ')}` };
}

function leafCheck(seen: Observation, nowMs: number): CheckResult {
  if (seen.tls.status !== 'valid') return viewCheck(seen.tls);
  const { leaf } = seen.tls.value;
  return nowMs < leaf.notAfterMs ? CHECK_OK : { ok: false, reason: `expired at ${iso(leaf.notAfterMs)}` };
}

function viewCheck(view: Observation['ca'] | Observation['tls']): CheckResult {
  if (view.status === 'valid') return CHECK_OK;
  return { ok: false, reason: view.status === 'missing' ? 'the Secret is missing' : `${view.status}: ${view.problem}` };
}

function notYet(problem: string): CheckResult {
  return { ok: false, reason: problem === '' ? 'not looked at the cluster yet' : problem };
}

/** Ends of everything that ends, milliseconds since the epoch. */
function ends(seen: Observation): Readonly<Record<string, number>> {
  const state = seen.ca.status === 'valid' ? seen.ca.value : undefined;
  const entries = seen.configuration.status === 'present' ? seen.configuration.entries : [];
  const trusted = entries.flatMap((entry) => entry.bundle.certificates.map((certificate) => certificate.notAfterMs));
  return {
    ...(state === undefined ? {} : { ca: state.current.certificate.notAfterMs }),
    ...(state?.next === undefined ? {} : { next: state.next.certificate.notAfterMs }),
    ...(seen.tls.status === 'valid' ? { leaf: seen.tls.value.leaf.notAfterMs } : {}),
    ...(trusted.length === 0 ? {} : { bundle: Math.min(...trusted) }),
  };
}

function statusOf(last: Round | undefined, seen: Observation | undefined, checks: readonly NamedCheck[]): unknown {
  const state = seen?.ca.status === 'valid' ? seen.ca.value : undefined;
  return {
    generation: state?.generation,
    ends: Object.fromEntries(Object.entries(seen === undefined ? {} : ends(seen)).map(([role, ms]) => [role, iso(ms)])),
    previous: state?.previous.map((ca) => ({ name: ca.certificate.commonName, neededUntil: iso(ca.neededUntilMs) })),
    step: last?.step === undefined ? undefined : last.step.kind,
    reason: last?.step?.kind === 'wait' ? last.step.reason : undefined,
    outcome: last?.outcome,
    problem: last?.problem === '' ? undefined : last?.problem,
    checks: checks.map(({ name, check }) => ({ name, ...check() })),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
