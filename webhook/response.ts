/**
 * The four kinds of answer: allowed, patched, denied, errored.
 *
 * Invariants: a refusal (`allowed: false`) is policy and nothing else; a failure of our own is an HTTP status, so that failurePolicy
 * decides; only what may pass by itself (overload, drain) carries Retry-After, because API servers repeat such a request.
 * May import: core, config.
 */
import { findingText } from './finding.ts';
import type { Finding } from './finding.ts';
import type { Outcome } from './injection.ts';
import { reasonOf, reasonText } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';
import { encodeReview } from './review.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Size of the JSON Patch in it; 0 where there is none. */
  readonly patchBytes: number;
  /** Seconds; undefined where trying again cannot help. */
  readonly retryAfterSeconds: number | undefined;
  readonly reason: ReasonCode;
}

/** HTTP status of each reason that never became a decision. */
const STATUS: Partial<Readonly<Record<ReasonCode, number>>> = {
  review_invalid: 400,
  body_too_deep: 400,
  body_aborted: 400,
  unknown_path: 404,
  wrong_method: 405,
  body_too_large: 413,
  media_type: 415,
  body_encoding: 415,
  overloaded: 503,
  draining: 503,
};
/** client-go repeats a 503 with Retry-After inside the webhook's time-out, which is 5 s. */
const RETRY_AFTER_SECONDS = 1;

/** The answer to a pod that was decided on. */
export function decidedAnswer(uid: string, outcome: Outcome): Answer {
  if (outcome.decision.action === 'deny') return denied(uid, outcome);
  return outcome.operations.length === 0 ? allowed(uid, outcome) : patched(uid, outcome);
}

/** Admitted as it is. */
export function allowed(uid: string, outcome: Pick<Outcome, 'decision' | 'reason' | 'findings'>): Answer {
  return review(uid, outcome.reason, { ...audited(outcome), allowed: true, operations: [], message: undefined });
}

function patched(uid: string, outcome: Outcome): Answer {
  return review(uid, outcome.reason, {
    ...audited(outcome),
    allowed: true,
    operations: outcome.operations,
    message: undefined,
  });
}

/** Refused by policy; the message names everything that is wrong. */
function denied(uid: string, outcome: Outcome): Answer {
  const details = outcome.findings.filter(isWorthWarning).map((finding) => `${finding.code}: ${findingText(finding)}`);
  const isTold = outcome.findings.some(({ code }) => code === outcome.reason);
  const message = [
    'logtender refuses this pod',
    ...(isTold ? [] : [`${outcome.reason}: ${reasonText(outcome.reason)}`]),
    ...details,
  ].join('; ');
  return review(uid, outcome.reason, { ...audited(outcome), allowed: false, operations: [], message });
}

/** A failure, in plain words that name logtender: code, what was found where that is known, sentence and remedy. */
export function errored(reason: ReasonCode, detail?: string): Answer {
  const status = STATUS[reason] ?? 500;
  const text = `${reason}: ${detail === undefined ? '' : `${detail}; `}${reasonText(reason)}`;
  return {
    status,
    contentType: 'text/plain; charset=utf-8',
    body: `logtender: ${text}\n`,
    patchBytes: 0,
    retryAfterSeconds: status === 503 ? RETRY_AFTER_SECONDS : undefined,
    reason,
  };
}

function review(uid: string, reason: ReasonCode, verdict: Parameters<typeof encodeReview>[1]): Answer {
  const { body, patchBytes } = encodeReview(uid, verdict);
  return { status: 200, contentType: 'application/json', body, patchBytes, retryAfterSeconds: undefined, reason };
}

function audited(outcome: Pick<Outcome, 'decision' | 'reason' | 'findings'>): {
  warnings: readonly string[];
  auditAnnotations: Readonly<Record<string, string>>;
} {
  const { decision, findings } = outcome;
  const warnings = findings
    .filter(isWorthWarning)
    .map((finding) => `logtender: ${finding.code}: ${findingText(finding)}`.slice(0, 256));
  // What stands in the way of an injection is no finding of its own: say it first.
  const isSilent =
    decision.action !== 'skip' || !decision.isExplained || findings.some(({ code }) => code === decision.reason);
  return {
    warnings: isSilent
      ? warnings
      : [`logtender: ${decision.reason}: not injected: ${reasonText(decision.reason)}`.slice(0, 256), ...warnings],
    auditAnnotations: { decision: decision.action, reason: outcome.reason, message: reasonText(outcome.reason) },
  };
}

function isWorthWarning(finding: Finding): boolean {
  return reasonOf(finding.code).severity !== 'info';
}
