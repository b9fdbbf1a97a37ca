/**
 * One log line and one counter for every request, whatever became of it.
 *
 * Invariants: labels are reason codes and nothing of a user; names of objects appear in the log, values of annotations nowhere.
 * May import: core, config.
 */
import type { Log, LogFields } from '../src/core/log.ts';
import type { Labels, Metrics } from '../src/core/metrics.ts';
import { findingLabel } from './finding.ts';
import type { Finding } from './finding.ts';
import { reasonOf, reasonText } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';

export interface RequestRecord {
  readonly reason: ReasonCode;
  readonly status: number;
  readonly durationMs: number;
  readonly bytes: number;
  readonly uid?: string | undefined;
  readonly namespace?: string | undefined;
  /** Name or generateName. */
  readonly pod?: string | undefined;
  readonly operations?: number | undefined;
  /** Size of the JSON Patch. */
  readonly patchBytes?: number | undefined;
  readonly dryRun?: boolean | undefined;
  readonly findings?: readonly Finding[] | undefined;
}

/** From half a millisecond, where a healthy injection lies, to the time-out. */
const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** From a few operations to the largest object that etcd stores. */
const PATCH_BUCKETS = [0, 1_024, 2_048, 4_096, 8_192, 16_384, 65_536, 262_144, 1_572_864];
/** Longest name that the API server lets through; a forged request may bring megabytes. */
const NAME_CHARS_MAX = 253;
/** Findings in one line; a pod may have hundreds of misspelt keys, and its status and the counter have them all. */
const FINDINGS_MAX = 32;

/** A function that takes note of each finished request. */
export function createRequestRecorder(options: {
  readonly log: Log;
  readonly metrics: Metrics;
}): (record: RequestRecord) => void {
  const { log, metrics } = options;
  const calls = metrics.counter('logtender_admission_requests_total', 'Requests, by reason code and HTTP status.');
  const rejections = metrics.counter(
    'logtender_admission_rejections_total',
    'Requests that never became a decision, by reason code.',
  );
  const seconds = metrics.histogram(
    'logtender_admission_seconds',
    'Time from the headers of a request to its answer.',
    SECONDS_BUCKETS,
  );
  const patches = metrics.histogram(
    'logtender_admission_patch_bytes',
    'Size of the JSON Patch of each answer about a pod, 0 where nothing was to be changed.',
    PATCH_BUCKETS,
  );
  const found = metrics.counter('logtender_admission_findings_total', 'Findings about annotations and pods, by code.');
  const labels = keptLabels();
  return (record) => {
    const { reason, status, findings = [] } = record;
    calls.add(1, labels.ofCall(reason, status));
    if (status !== 200) rejections.add(1, labels.ofReason(reason));
    seconds.observe(record.durationMs / 1000);
    if (record.patchBytes !== undefined) patches.observe(record.patchBytes);
    for (const finding of findings) found.add(1, labels.ofFinding(finding.code));
    const isOurs = status >= 500 && status !== 503;
    const level = isOurs ? 'error' : reasonOf(reason).severity === 'info' ? 'info' : 'warn';
    log[level]('request answered', fieldsOf(record));
  };
}

/** One object for each set of labels: a series is found by it without a look at what stands in it. */
function keptLabels(): {
  ofCall(reason: ReasonCode, status: number): Labels;
  ofReason(reason: ReasonCode): Labels;
  ofFinding(code: ReasonCode): Labels;
} {
  const kept = new Map<string, Labels>();
  const keep = (key: string, make: () => Labels): Labels => {
    const known = kept.get(key) ?? make();
    kept.set(key, known);
    return known;
  };
  return {
    ofCall: (reason, status) => keep(`${reason} ${status}`, () => ({ reason, status: String(status) })),
    ofReason: (reason) => keep(reason, () => ({ reason })),
    ofFinding: (code) => keep(`finding ${code}`, () => ({ code })),
  };
}

/** Names of objects are cut, values are not there. */
function fieldsOf(record: RequestRecord): LogFields {
  const { findings = [] } = record;
  return {
    bytes: record.bytes,
    uid: record.uid?.slice(0, NAME_CHARS_MAX),
    namespace: record.namespace?.slice(0, NAME_CHARS_MAX),
    dryRun: record.dryRun,
    pod: record.pod?.slice(0, NAME_CHARS_MAX),
    operations: record.operations,
    patchBytes: record.patchBytes,
    reason: record.reason,
    status: record.status,
    explanation: reasonText(record.reason),
    durationMs: Math.round(record.durationMs * 1000) / 1000,
    findings: findings.slice(0, FINDINGS_MAX).map(findingLabel),
  };
}
