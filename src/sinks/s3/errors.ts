/**
 * Every error that a PutObject of ours can end with: what it means, what is done, and what a person reads. Pure data; docs/errors.md is
 * written from it, and classify.ts decides by it.
 *
 * Sources: S3 API reference, "Error responses", "List of error codes" and "List of Tagging-related error codes"; PutObject; S3 user guide,
 * "Conditional writes" (412 PreconditionFailed; 409 ConditionalRequestConflict when another write of the key is under way). Codes of other calls
 * (lists, copies, uploads in parts, locks, restores) are left out: none of them is made, and test/docs/s3-error-codes.ts says so of each.
 * May import: sinks/sink.ts (types).
 */
import type { RetryReason } from '../sink.ts';

export type S3ErrorMeaning =
  /** An object of this name is there: our own, or the records need another name. */
  | 'exists'
  /** Too many bytes: sent in halves. */
  | 'too_large'
  /** Asked in another region or at another endpoint than the bucket's. */
  | 'elsewhere'
  | RetryReason;

export interface S3ErrorRule {
  /** `Code` of the error document. */
  readonly codes: readonly string[];
  readonly meaning: S3ErrorMeaning;
  /** What to do, after the service's own words. `{resource}` is filled in. */
  readonly advice: string;
}

function rule(meaning: S3ErrorMeaning, codes: readonly string[], advice = ''): S3ErrorRule {
  return { codes, meaning, advice };
}

const ADVICE_CONFIGURATION = 'correct the configuration of s3, or the policy of the bucket';

export const S3_DENIED_ADVICE =
  'allow s3:PutObject on {resource} to this identity (deploy/iam), and look for a policy of the bucket that denies it';

export const S3_ERROR_RULES: readonly S3ErrorRule[] = [
  rule('exists', ['PreconditionFailed']),
  rule('too_large', ['EntityTooLarge', 'InlineDataTooLarge', 'MaxMessageLengthExceeded']),
  rule('throttled', ['SlowDown', 'ServiceUnavailable', 'Busy']),
  rule('throttled', ['Throttling', 'ThrottlingException', 'RequestLimitExceeded', 'TooManyRequests']),
  rule(
    'throttled',
    ['KMS.ThrottlingException'],
    'ask Service Quotas for more requests of KMS, or switch on S3 Bucket Keys',
  ),
  rule('server_error', ['InternalError', 'OperationAborted', 'ConditionalRequestConflict', 'RequestTimeout']),
  // The body was changed or cut on its way: the same goes again.
  rule('server_error', ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'IncompleteBody']),
  rule(
    'credentials',
    ['AccessDenied', 'UnauthorizedAccess', 'UnauthorizedAccessError', 'UnexpectedIPError'],
    S3_DENIED_ADVICE,
  ),
  rule(
    'credentials',
    ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'InvalidSecurity', 'InvalidSignature', 'NotSignedUp'],
    'the access key is not known here or the secret does not match it: check the keys, the region and the endpoint',
  ),
  rule(
    'credentials',
    [
      'MissingAuthenticationToken',
      'MissingSecurityHeader',
      'UnsupportedSignature',
      'CredentialsNotSupported',
      'InvalidAddressingHeader',
    ],
    'something in between changes or drops headers, or the server takes no Signature Version 4',
  ),
  rule(
    'credentials',
    ['RequestTimeTooSkewed', 'RequestExpired', 'AccessDeniedClockSkew'],
    'the clock of the node is more than 15 minutes off',
  ),
  rule(
    'credentials',
    ['ExpiredToken', 'ExpiredTokenException', 'InvalidSessionException', 'InvalidToken', 'TokenRefreshRequired'],
    'the credentials have expired: whoever issues them (role, token file, Secret) must renew them',
  ),
  rule(
    'credentials',
    [
      'KMS.DisabledException',
      'KMS.NotFoundException',
      'KMS.InvalidKeyUsageException',
      'KMS.InvalidStateException',
      'KMS.KMSInvalidStateException',
    ],
    'the KMS key cannot be used: the identity needs kms:GenerateDataKey on it, and the key must be enabled and of the bucket’s region',
  ),
  rule('credentials', ['AccountProblem', 'AllAccessDisabled', 'InvalidPayer'], 'the account cannot be used'),
  rule('elsewhere', [
    'PermanentRedirect',
    'Redirect',
    'TemporaryRedirect',
    'AuthorizationHeaderMalformed',
    'EndpointNotFound',
    'IllegalLocationConstraintException',
    'IncorrectEndpoint',
    'InvalidRegion',
  ]),
  rule(
    'not_found',
    ['NoSuchBucket', 'InvalidBucketName', 'InvalidAccessPoint', 'InvalidAccessPointAliasError', 'NoSuchAccessPoint'],
    'create the bucket, or correct logging.io/bucket',
  ),
  rule(
    'not_found',
    ['NotImplemented'],
    'this server knows no conditional write or another header of ours: objects could be overwritten, so nothing is sent',
  ),
  rule('not_found', ['KeyTooLongError', 'InvalidURI'], 'shorten or correct logging.io/prefix'),
  rule(
    'not_found',
    ['InvalidTag', 'TagPolicyException', 'InvalidStorageClass', 'InvalidEncryptionAlgorithmError'],
    ADVICE_CONFIGURATION,
  ),
  rule(
    'not_found',
    ['InvalidArgument', 'InvalidRequest', 'InvalidBucketState', 'InvalidObjectState', 'MetadataTooLarge'],
    ADVICE_CONFIGURATION,
  ),
  // Directory buckets (PutObject, "Errors"): we append to nothing, and encrypt as s3.kmsKey or the bucket says.
  rule('not_found', ['EncryptionTypeMismatch', 'InvalidWriteOffset', 'TooManyParts'], ADVICE_CONFIGURATION),
  rule(
    'not_found',
    [
      'MethodNotAllowed',
      'InvalidHostHeader',
      'InvalidHttpMethod',
      'MissingContentLength',
      'MissingRequestBodyError',
      'RequestHeaderSectionTooLarge',
      'UnexpectedContent',
      'UnsupportedArgument',
    ],
    'the endpoint, or something in between, is no S3 for objects: correct s3.endpoint',
  ),
];

/** The rule of a code. */
export const S3_RULE_OF: ReadonlyMap<string, S3ErrorRule> = new Map(
  S3_ERROR_RULES.flatMap((one) => one.codes.map((code) => [code, one] as const)),
);

/** For an answer without a code that is known: by its status alone. */
export const S3_OTHER_ADVICE = ADVICE_CONFIGURATION;
