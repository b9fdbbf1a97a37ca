/**
 * What became of a call to CloudWatch Logs: pure. Decisions go by the error's name and the HTTP status, never by its text.
 *
 * Sources: CloudWatch Logs API reference, PutLogEvents (Errors, RejectedLogEventsInfo) and Common Errors. May import: core.
 */
import type { RejectedLogEventsInfo } from '@aws-sdk/client-cloudwatch-logs';
import { errorText } from '../../core/errors.ts';
import type { Delivery, Rejection, RetryReason } from '../sink.ts';

const TEXT_CHARS_MAX = 1024;

export type CallFailure =
  /** Group or stream do not exist. */
  | { readonly kind: 'missing'; readonly text: string }
  /** What was to be made exists. */
  | { readonly kind: 'exists' }
  /** The very same batch was accepted before (old emulators; the service stopped saying so in 2023). */
  | { readonly kind: 'stored' }
  | {
      readonly kind: 'failed';
      readonly delivery: Extract<Delivery, { status: 'retryable' | 'too_large' | 'refused' }>;
    };

const HINT_NONE =
  'name a service account with a role (logging.io/service-account, logging.io/role-arn), or put aws-access-key-id and ' +
  'aws-secret-access-key into the sink Secret';
const HINT_UNKNOWN =
  'the access key is not known here or the secret does not match it: check the keys, the region and the clock of the node';
const HINT_EXPIRED = 'the credentials have expired: whoever issues them (role, token file, Secret) must renew them';
const HINT_DENIED =
  'the identity needs logs:PutLogEvents, logs:CreateLogStream and logs:CreateLogGroup on this log group';

/** Errors that say nothing against the records, by reason and hint. */
const RETRYABLE_NAMES: ReadonlyArray<readonly [reason: RetryReason, hint: string, names: readonly string[]]> = [
  ['throttled', '', ['ThrottlingException', 'Throttling', 'TooManyRequestsException', 'RequestLimitExceeded']],
  ['throttled', '', ['LimitExceededException', 'ServiceQuotaExceededException', 'OperationAbortedException']],
  ['credentials', HINT_NONE, ['CredentialsProviderError', 'TokenProviderError']],
  ['credentials', HINT_UNKNOWN, ['UnrecognizedClientException', 'InvalidClientTokenId', 'InvalidSignatureException']],
  ['credentials', HINT_UNKNOWN, ['SignatureDoesNotMatch', 'IncompleteSignature', 'RequestTimeTooSkewed']],
  ['credentials', HINT_UNKNOWN, ['MissingAuthenticationToken', 'MissingAuthenticationTokenException']],
  ['credentials', HINT_EXPIRED, ['ExpiredTokenException', 'ExpiredToken', 'RequestExpired', 'InvalidIdentityToken']],
  ['credentials', HINT_DENIED, ['AccessDeniedException', 'AccessDenied', 'NotAuthorized', 'OptInRequired']],
  ['timeout', '', ['TimeoutError']],
];

const RETRYABLE: ReadonlyMap<string, { readonly reason: RetryReason; readonly hint: string }> = new Map(
  RETRYABLE_NAMES.flatMap(([reason, hint, names]) => names.map((name) => [name, { reason, hint }] as const)),
);

/** The request itself is wrong: the guilty record is looked for by halves. */
const REFUSED: ReadonlySet<string> = new Set([
  'InvalidParameterException',
  'ValidationException',
  'SerializationException',
]);

/** What a thrown error of the SDK means. */
export function classifyError(error: unknown): CallFailure {
  const { name, status, text } = partsOf(error);
  if (name === 'ResourceNotFoundException') return { kind: 'missing', text };
  if (name === 'ResourceAlreadyExistsException') return { kind: 'exists' };
  if (name === 'DataAlreadyAcceptedException') return { kind: 'stored' };
  // About the name of the group or the stream: every record would be refused, and none is to blame.
  if (REFUSED.has(name) && /'?log(?:Group|Stream)Name'?/.test(text)) {
    return { kind: 'failed', delivery: retryable('not_found', `${text}; correct log-group or log-stream`) };
  }
  if (REFUSED.has(name)) return { kind: 'failed', delivery: { status: 'refused', reason: 'rejected_by_sink', text } };
  if (status === 413) return { kind: 'failed', delivery: { status: 'too_large', text } };
  const known = RETRYABLE.get(name);
  const reason = known?.reason ?? reasonOfStatus(status);
  const hint = known?.hint ?? (reason === 'credentials' ? HINT_DENIED : '');
  return { kind: 'failed', delivery: retryable(reason, hint === '' ? text : `${text}; ${hint}`) };
}

/** A whole request that is sent again. */
export function retryable(
  reason: RetryReason,
  text: string,
  retryAfterMs = 0,
): Extract<Delivery, { status: 'retryable' }> {
  return { status: 'retryable', reason, retryAfterMs, text };
}

function reasonOfStatus(status: number | undefined): RetryReason {
  if (status === undefined) return 'unreachable';
  if (status === 401 || status === 403) return 'credentials';
  return status === 429 ? 'throttled' : 'server_error';
}

function partsOf(error: unknown): { name: string; status: number | undefined; text: string } {
  if (!(error instanceof Error)) return { name: '', status: undefined, text: errorText(error) };
  const metadata: unknown = '$metadata' in error ? error.$metadata : undefined;
  const status =
    typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
      ? metadata.httpStatusCode
      : undefined;
  const words =
    error.name === 'Error' || error.name === 'AggregateError' ? errorText(error) : `${error.name}: ${errorText(error)}`;
  const text = words.length <= TEXT_CHARS_MAX ? words : `${words.slice(0, TEXT_CHARS_MAX - 3)}...`;
  return { name: error.name, status: typeof status === 'number' ? status : undefined, text };
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
