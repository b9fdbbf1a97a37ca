/**
 * What became of a PutObject: pure. Decisions go by HTTP status and error code, never by the message.
 *
 * S3 does not look into an object, so no answer is about a record: what is refused waits until somebody corrects bucket, rights or
 * configuration, and nothing is dropped. Sources: S3 API reference, "Error responses" (list of codes) and PutObject; user guide, "Conditional
 * writes" (412, and 409 when another write of the key is under way). May import: core.
 */
import type { Delivery, RetryReason } from '../sink.ts';

const TEXT_CHARS_MAX = 1024;
/** An S3 that asks for more waits as long as our own longest pause. */
const RETRY_AFTER_MS_MAX = 600_000;

export interface PutAnswer {
  readonly status: number;
  readonly body: Buffer;
  readonly retryAfter: string | undefined;
  /** Header `x-amz-bucket-region`. */
  readonly bucketRegion: string | undefined;
}

export interface SentObject {
  readonly bucket: string;
  readonly region: string;
  readonly records: number;
  /** Index in the batch of record `position` of the object. */
  readonly indexAt: (position: number) => number;
  /** This very range may have been put under this very key before. */
  readonly isResend: boolean;
}

type Rule = readonly [reason: RetryReason, hint: string, codes: readonly string[]];

const RULES: readonly Rule[] = [
  ['throttled', '', ['SlowDown', 'Throttling', 'ThrottlingException', 'RequestLimitExceeded', 'TooManyRequests']],
  ['throttled', '', ['ServiceUnavailable', 'Busy', 'KMS.ThrottlingException']],
  ['server_error', '', ['InternalError', 'OperationAborted', 'ConditionalRequestConflict', 'RequestTimeout']],
  // The body was changed or cut on its way: the same goes again.
  ['server_error', '', ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'IncompleteBody']],
  [
    'credentials',
    'the access key is not known here or the secret does not match it: check the keys, the region and the endpoint',
    ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'InvalidSecurity', 'NotSignedUp'],
  ],
  [
    'credentials',
    'the clock of the node is more than 15 minutes off',
    ['RequestTimeTooSkewed', 'RequestExpired', 'AccessDeniedClockSkew'],
  ],
  [
    'credentials',
    'the credentials have expired: whoever issues them (role, token file, Secret) must renew them',
    ['ExpiredToken', 'ExpiredTokenException', 'InvalidToken', 'TokenRefreshRequired'],
  ],
  [
    'credentials',
    'the KMS key cannot be used: the identity needs kms:GenerateDataKey on it, and the key must be enabled and of the bucket’s region',
    ['KMS.DisabledException', 'KMS.NotFoundException', 'KMS.InvalidStateException', 'KMS.KMSInvalidStateException'],
  ],
  ['credentials', 'the account cannot be used', ['AccountProblem', 'AllAccessDisabled', 'InvalidPayer']],
  ['not_found', 'create the bucket, or correct logging.io/bucket', ['NoSuchBucket', 'InvalidBucketName']],
  [
    'not_found',
    'this server knows no conditional write or another header of ours: objects could be overwritten, so nothing is sent',
    ['NotImplemented'],
  ],
];

const KNOWN = new Map(RULES.flatMap(([reason, hint, codes]) => codes.map((code) => [code, { reason, hint }] as const)));

const HINT_DENIED = 'the identity needs s3:PutObject on arn:aws:s3:::';
const HINT_OTHER = 'correct the configuration of s3, or the policy of the bucket';

/** The outcome of one PutObject. */
export function classifyPut(answer: PutAnswer, sent: SentObject): Delivery {
  const { status } = answer;
  if (status >= 200 && status < 300) return { status: 'delivered', duplicates: 0 };
  if (status === 412) return alreadyThere(sent);
  const error = errorOf(answer.body);
  const text = shortened(
    [String(status), error.code, error.message].filter((part) => part !== '').join(': ') || String(status),
  );
  if (status === 413 || error.code === 'EntityTooLarge') return { status: 'too_large', text };
  const { reason, hint } = verdict(answer, error, sent);
  const words = hint === '' ? text : `${text}; ${hint}`;
  return { status: 'retryable', reason, retryAfterMs: retryAfterMs(answer.retryAfter), text: words };
}

/** Our own object, or one that somebody else wrote under this key: then the records need another. */
function alreadyThere(sent: SentObject): Delivery {
  if (sent.isResend) return { status: 'delivered', duplicates: sent.records };
  const conflicts = Array.from({ length: sent.records }, (_, position) => sent.indexAt(position));
  return { status: 'partial', duplicates: 0, retry: [], retryReason: 'server_error', rejected: [], conflicts };
}

function verdict(
  { status, bucketRegion }: PutAnswer,
  error: { readonly code: string; readonly region: string },
  sent: SentObject,
): { readonly reason: RetryReason; readonly hint: string } {
  const region = error.region === '' ? (bucketRegion ?? '') : error.region;
  const isElsewhere =
    status === 301 || status === 307 || ['AuthorizationHeaderMalformed', 'PermanentRedirect'].includes(error.code);
  if (isElsewhere && region !== '' && region !== sent.region) {
    return { reason: 'not_found', hint: `the bucket is in ${region}, we asked in ${sent.region}: set AWS_REGION` };
  }
  if (isElsewhere) return { reason: 'not_found', hint: 'the bucket is elsewhere: set its region or endpoint' };
  const known = KNOWN.get(error.code);
  if (known !== undefined) return known;
  if (status === 401 || status === 403) return { reason: 'credentials', hint: `${HINT_DENIED}${sent.bucket}/*` };
  if (status === 429 || status === 503) return { reason: 'throttled', hint: '' };
  if (status >= 500 || status === 409 || status < 200) return { reason: 'server_error', hint: '' };
  return { reason: 'not_found', hint: HINT_OTHER };
}

/** `<Error><Code>…</Code><Message>…</Message><Region>…</Region></Error>`. */
function errorOf(body: Buffer): { readonly code: string; readonly message: string; readonly region: string } {
  const text = body.toString('utf8', 0, 8 * TEXT_CHARS_MAX);
  const element = (name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]?.trim() ?? '';
  const code = element('Code');
  // A proxy's page is no XML of S3: its first words still help.
  const message = code === '' ? text.replaceAll(/<[^>]*>|\s+/g, ' ').trim() : element('Message');
  return { code, message, region: element('Region') };
}

function shortened(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 3)}...`;
}

function retryAfterMs(value: string | undefined): number {
  const seconds = Number(value);
  return value !== undefined && seconds > 0 ? Math.min(seconds * 1000, RETRY_AFTER_MS_MAX) : 0;
}
