/**
 * One log line and one counter for every request, whatever became of it.
 *
 * Invariants: labels are reason codes and nothing of a user; names of objects appear in the log, values of annotations nowhere.
 * May import: core, config.
 */
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import { findingLabel } from './finding.ts';
import type { Finding } from './finding.ts';
import { reasonOf } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';

export interface RequestRecord {
  readonly reason: ReasonCode;
  readonly status: number;
  readonly durationMs: number;
  readonly bytes: number;
  readonly uid?: string;
  readonly namespace?: string;
  /** Name or generateName. */
  readonly pod?: string;
  readonly operations?: number;
  readonly dryRun?: boolean;
  readonly findings?: readonly Finding[];
}

/** From half a millisecond, where a healthy injection lies, to the time-out. */
const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A function that takes note of each finished request. */
export function createRequestRecorder(options: {
  readonly log: Log;
  readonly metrics: Metrics;
}): (record: RequestRecord) => void {
  const { log, metrics } = options;
  const calls = metrics.counter('logtender_admission_requests_total', 'requests by reason code and HTTP status');
  const seconds = metrics.histogram(
    'logtender_admission_seconds',
    'time from the first byte to the answer',
    SECONDS_BUCKETS,
  );
  const found = metrics.counter('logtender_admission_findings_total', 'findings by code');
  return (record) => {
    calls.add(1, { reason: record.reason, status: String(record.status) });
    seconds.observe(record.durationMs / 1000);
    for (const finding of record.findings ?? []) found.add(1, { code: finding.code });
    const { findings, durationMs, ...fields } = record;
    const isOurs = record.status >= 500 && record.status !== 503;
    log[isOurs ? 'error' : reasonOf(record.reason).severity === 'info' ? 'info' : 'warn']('request answered', {
      ...fields,
      durationMs: Math.round(durationMs * 1000) / 1000,
      findings: (findings ?? []).map(findingLabel),
    });
  };
}
