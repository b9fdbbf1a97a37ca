/**
 * What people and alerts see of the certificate manager: metrics (round-metrics.ts), readiness with reasons, a status page.
 *
 * Invariant: everything here is read from the last round; nothing decides anything, and no key is ever shown.
 * May import: src/core, src/admin, certs.
 */
import { CHECK_OK } from '../src/admin/server.ts';
import type { CheckResult, NamedCheck } from '../src/admin/server.ts';
import type { Clock } from '../src/core/clock.ts';
import { isInSync } from './ca-bundle.ts';
import { trustTarget } from './decide.ts';
import type { Observation } from './observation.ts';
import { publicStatus, stepName } from './public-status.ts';
import type { PublicStatus } from './public-status.ts';
import type { Round } from './rotator.ts';
import { createRoundMetrics } from './round-metrics.ts';
import type { RoundMetricsOptions } from './round-metrics.ts';

export interface Telemetry {
  record(round: Round): void;
  readonly checks: readonly NamedCheck[];
  /** Where the rotation stands, as JSON for people and tools. */
  status(): PublicStatus;
}

export interface TelemetryOptions extends RoundMetricsOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  readonly configurationName: string;
}

/** Rounds that may be missed before readiness says so. */
const MISSED_TICKS_MAX = 3;

export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { clock, tickMs, configurationName } = options;
  const count = createRoundMetrics(options);
  let step = { name: '', sinceMs: clock.now(), monotonicMs: clock.monotonic() };
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
      const name = stepName(round);
      if (name !== step.name) step = { name, sinceMs: clock.now(), monotonicMs: clock.monotonic() };
      if (round.seen !== undefined) lastSeen = round.seen;
      const isInSync = lastSeen !== undefined && bundleCheck(lastSeen, configurationName).ok;
      count(round, { step: name, stepAgeMs: clock.monotonic() - step.monotonicMs, isInSync });
    },
    status: () => {
      const isInSync = lastSeen !== undefined && bundleCheck(lastSeen, configurationName).ok;
      return publicStatus(last, { seen: lastSeen, stepSinceMs: step.sinceMs, isInSync });
    },
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

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
