/**
 * What became of a call to CloudWatch Logs: pure. Decisions go by the error's name, the code of Node.js and the HTTP status; by the text only to
 * tell a wrong name of a group from a wrong record. The names stand in errors.ts.
 *
 * Source: CloudWatch Logs API reference, PutLogEvents (RejectedLogEventsInfo). May import: core.
 */
import { LATE_CREDENTIALS } from '../aws/late-credentials.ts';
import type { Delivery, Rejection, RetryReason } from '../sink.ts';
import { thrownError } from './call-error.ts';
import type { CallError } from './call-error.ts';
import { DENIED_ADVICE, RULE_OF } from './errors.ts';
import type { ErrorRule } from './errors.ts';

export type FailedDelivery = Extract<Delivery, { status: 'retryable' | 'too_large' | 'refused' }>;

export type CallFailure =
  /** Group or stream do not exist. */
  | { readonly kind: 'missing'; readonly text: string }
  /** What was to be made exists. */
  | { readonly kind: 'exists' }
  /** The very same batch was accepted before (old emulators; the service stopped saying so in 2023). */
  | { readonly kind: 'stored' }
  | {
      readonly kind: 'failed';
      readonly delivery: FailedDelivery;
      /** The service may have done what was asked all the same. */
      readonly mayBeDone?: true;
      /** The identity itself is no good: other credentials may be there by now. A missing permission is not meant. */
      readonly isIdentity?: true;
    };

/** What became of a call. */
export type Called<T> = { readonly kind: 'done'; readonly value: T } | CallFailure;

/** Which call it was, for the words: the IAM action, what it acts on, and where. */
export interface CallContext {
  /** `logs:PutLogEvents`. */
  readonly action: string;
  /** ARN, with `*` for the account, which nobody tells us. */
  readonly resource: string;
  readonly region: string;
}

/** What a thrown error of the SDK means. */
export function classifyError(error: unknown, context: CallContext): CallFailure {
  return classifyFailure(thrownError(error), context);
}

/** What the error of a call means. */
export function classifyFailure(error: CallError, context: CallContext): CallFailure {
  const { name, code, status, text } = error;
  const rule = RULE_OF.get(code) ?? RULE_OF.get(name);
  if (rule?.meaning === 'missing') return { kind: 'missing', text };
  if (rule?.meaning === 'exists' || rule?.meaning === 'stored') return { kind: rule.meaning };
  // About the name of the group or the stream: every record would be refused, and none is to blame.
  if (rule?.meaning === 'refused' && /'?log(?:Group|Stream)Name'?/.test(text))
    return { kind: 'failed', delivery: retryable('not_found', `${text}; correct log-group or log-stream`) };
  if (rule?.meaning === 'refused')
    return { kind: 'failed', delivery: { status: 'refused', reason: 'rejected_by_sink', text } };
  if (rule?.meaning === 'too_large' || status === 413)
    return { kind: 'failed', delivery: { status: 'too_large', text } };
  return failedWith(rule, error, context);
}

function failedWith(rule: ErrorRule | undefined, error: CallError, context: CallContext): CallFailure {
  const reason = retryReasonOf(rule) ?? reasonOfStatus(error);
  const advice = rule?.advice ?? (reason === 'credentials' ? DENIED_ADVICE : '');
  const words = advice === '' ? error.text : `${error.text}; ${adviceText(advice, context)}`;
  // Late ones need no new client: its chain has them as soon as they come.
  const isIdentity = reason === 'credentials' && advice !== DENIED_ADVICE && error.name !== LATE_CREDENTIALS;
  return {
    kind: 'failed',
    delivery: retryable(reason, words),
    ...(mayBeDone(rule, error) ? { mayBeDone: true } : {}),
    ...(isIdentity ? { isIdentity } : {}),
  };
}

/** A whole request that is sent again. */
export function retryable(
  reason: RetryReason,
  text: string,
  retryAfterMs = 0,
): Extract<Delivery, { status: 'retryable' }> {
  return { status: 'retryable', reason, retryAfterMs, text };
}

function retryReasonOf(rule: ErrorRule | undefined): RetryReason | undefined {
  const meaning = rule?.meaning;
  if (meaning === undefined) return undefined;
  const isOther =
    meaning === 'missing' ||
    meaning === 'exists' ||
    meaning === 'stored' ||
    meaning === 'refused' ||
    meaning === 'too_large';
  return isOther ? undefined : meaning;
}

function reasonOfStatus({ name, status }: CallError): RetryReason {
  if (status === undefined) return name === 'TimeoutError' ? 'timeout' : 'unreachable';
  if (status === 401 || status === 403) return 'credentials';
  return status === 429 ? 'throttled' : 'server_error';
}

/** Whether the service may have done it although the call failed: yes, unless something says no. */
function mayBeDone(rule: ErrorRule | undefined, { name, code, status }: CallError): boolean {
  if (rule !== undefined) return !rule.isUndone;
  // 2xx whose body did not arrive whole; 5xx.
  if (status !== undefined) return status < 300 || status >= 500;
  // The SDK gives no code where the connection was not even made in time (client.ts switches off its other time-outs).
  return !(name === 'TimeoutError' && code === '');
}

function adviceText(advice: string, { action, resource, region }: CallContext): string {
  return advice.replace('{action}', action).replace('{resource}', resource).replace('{region}', region);
}

/** Part of the answer of PutLogEvents (API reference, RejectedLogEventsInfo). */
export interface RejectedLogEventsInfo {
  readonly tooOldLogEventEndIndex?: number | undefined;
  readonly expiredLogEventEndIndex?: number | undefined;
  readonly tooNewLogEventStartIndex?: number | undefined;
}

/**
 * The events of an accepted request that the service left out. `tooOldLogEventEndIndex` and `expiredLogEventEndIndex` are
 * exclusive ends, `tooNewLogEventStartIndex` is the first of the rest.
 *
 * @param indexAt index in the batch of event `position` of the request
 */
export function rejectedEvents(
  info: RejectedLogEventsInfo | undefined,
  count: number,
  indexAt: (position: number) => number,
): readonly Rejection[] {
  if (info === undefined) return [];
  const tooOldEnd = Math.min(info.tooOldLogEventEndIndex ?? 0, count);
  const expiredEnd = Math.min(info.expiredLogEventEndIndex ?? 0, count);
  const tooNewStart = info.tooNewLogEventStartIndex ?? count;
  const rejected: Rejection[] = [];
  for (let i = 0; i < count; i += 1) {
    const index = indexAt(i);
    if (i < tooOldEnd) rejected.push({ index, reason: 'too_old', text: 'older than 14 days' });
    else if (i < expiredEnd)
      rejected.push({ index, reason: 'expired', text: 'older than the retention of the log group' });
    else if (i >= tooNewStart) rejected.push({ index, reason: 'too_new', text: 'more than 2 hours in the future' });
  }
  return rejected;
}
