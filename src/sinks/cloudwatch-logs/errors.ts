/**
 * Every error that a call of this sink can end with: what it means, what is done, and what a person reads. Pure data; docs/errors.md is
 * written from it, and classify.ts decides by it.
 *
 * Sources: CloudWatch Logs API reference, "Errors" of PutLogEvents, CreateLogGroup, CreateLogStream, PutRetentionPolicy and GetLogEvents, and
 * "Common Errors"; Security Token Service API reference, "Errors" of AssumeRoleWithWebIdentity; Node.js documentation, "Common system
 * errors", ERR_PROXY_TUNNEL and X509 certificate error codes. May import: sinks/sink.ts (types), sinks/aws.
 */
import { LATE_CREDENTIALS, LATE_REMEDY } from '../aws/late-credentials.ts';
import type { RetryReason } from '../sink.ts';

export type ErrorMeaning =
  /** Group or stream do not exist: they are made. */
  | 'missing'
  /** What was to be made exists: success. */
  | 'exists'
  /** The very same batch was accepted before. */
  | 'stored'
  /** The request is wrong: the guilty record is looked for by halves. */
  | 'refused'
  /** Too many bytes: sent in halves. */
  | 'too_large'
  | RetryReason;

export interface ErrorRule {
  /** Names as the SDK gives them (`__type` of the answer), or codes of Node.js. */
  readonly names: readonly string[];
  /** Where it is documented, in short: the calls, or who says it. */
  readonly from: string;
  readonly meaning: ErrorMeaning;
  /** What to do, after the service's own words. `{action}`, `{resource}` and `{region}` are filled in. */
  readonly advice: string;
  /** The request did not reach the service, or it says that it did nothing: a resend cannot make a duplicate. */
  readonly isUndone: boolean;
}

const PUT = 'PutLogEvents';
const COMMON = 'all calls';
const STS = 'AssumeRoleWithWebIdentity';

/** A rule whose answer says that nothing happened. */
function undone(meaning: ErrorMeaning, from: string, names: readonly string[], advice = ''): ErrorRule {
  return { names, from, meaning, advice, isUndone: true };
}

/** A rule that leaves open whether the request was done. */
function open(meaning: ErrorMeaning, from: string, names: readonly string[], advice = ''): ErrorRule {
  return { names, from, meaning, advice, isUndone: false };
}

const ADVICE_ROLE =
  'name a service account with a role (logging.io/service-account, logging.io/role-arn), or put aws-access-key-id and ' +
  'aws-secret-access-key into the sink Secret';
const ADVICE_KEY =
  'the access key is not known here or the secret does not match it: check the keys, the region and the clock of the node';
const ADVICE_EXPIRED =
  'the credentials have expired: whoever issues them (role, token file, Secret) must renew them; they are asked for again all the time';
const ADVICE_DENIED = 'allow {action} on {resource} to this identity (deploy/iam)';
const ADVICE_CLOCK = 'the clock of the node is more than 15 minutes off: set it by NTP';
const ADVICE_TRUST =
  'the trust policy of the role must name the OIDC provider of the cluster and this service account (deploy/iam/trust-irsa.json)';
const ADVICE_CA = 'set NODE_EXTRA_CA_CERTS to the CA of the endpoint, or correct cloudwatchEndpoint';

export const ERROR_RULES: readonly ErrorRule[] = [
  undone('missing', `${PUT}, CreateLogStream, PutRetentionPolicy, GetLogEvents`, ['ResourceNotFoundException']),
  undone('exists', 'CreateLogGroup, CreateLogStream', ['ResourceAlreadyExistsException']),
  undone('stored', `${PUT} (before 2023 and old emulators)`, ['DataAlreadyAcceptedException']),
  undone(
    'server_error',
    `${PUT} (before 2023 and old emulators)`,
    ['InvalidSequenceTokenException'],
    'CloudWatch Logs asks for no sequence token since 2023: use a newer emulator',
  ),
  undone('refused', COMMON, ['InvalidParameterException', 'ValidationException', 'ValidationError']),
  undone('refused', COMMON, ['SerializationException', 'MalformedHttpRequestException']),
  undone('too_large', COMMON, ['RequestEntityTooLargeException']),
  undone('throttled', COMMON, [
    'ThrottlingException',
    'Throttling',
    'TooManyRequestsException',
    'RequestLimitExceeded',
  ]),
  undone(
    'throttled',
    'CreateLogGroup',
    ['LimitExceededException', 'ServiceQuotaExceededException'],
    'a quota of the account is used up: delete log groups, or ask Service Quotas for more',
  ),
  undone('throttled', 'CreateLogGroup, PutRetentionPolicy', ['OperationAbortedException']),
  undone(
    'refused',
    'CreateLogGroup with tags (TagResource)',
    ['TooManyTagsException'],
    'a log group has 50 tags at most: correct cloudwatch.tags',
  ),
  open('server_error', COMMON, [
    'ServiceUnavailableException',
    'ServiceUnavailable',
    'InternalFailure',
    'InternalServerException',
  ]),
  undone('timeout', COMMON, ['RequestTimeoutException']),
  open('server_error', COMMON, ['RequestAbortedException']),
  undone(
    'not_found',
    COMMON,
    ['UnknownOperationException', 'InvalidAction'],
    'the endpoint is no CloudWatch Logs: correct cloudwatchEndpoint',
  ),
  // The query protocol's words, which STS speaks: our own request has none of these faults.
  undone(
    'not_found',
    COMMON,
    [
      'InvalidParameterCombination',
      'InvalidParameterValue',
      'InvalidQueryParameter',
      'MalformedQueryString',
      'MissingAction',
      'MissingParameter',
    ],
    'the endpoint is not the one of this call, or something in between changes requests: correct cloudwatchEndpoint',
  ),
  undone('credentials', COMMON, ['AccessDeniedException', 'NotAuthorized'], ADVICE_DENIED),
  undone('credentials', COMMON, ['OptInRequired'], 'the account is not signed up for CloudWatch Logs in {region}'),
  undone('credentials', COMMON, ['UnrecognizedClientException', 'InvalidClientTokenId'], ADVICE_KEY),
  undone(
    'credentials',
    COMMON,
    ['InvalidSignatureException', 'SignatureDoesNotMatch', 'IncompleteSignature'],
    ADVICE_KEY,
  ),
  undone('credentials', COMMON, ['MissingAuthenticationToken', 'MissingAuthenticationTokenException'], ADVICE_KEY),
  undone('credentials', COMMON, ['ExpiredTokenException', 'ExpiredToken'], ADVICE_EXPIRED),
  undone('credentials', COMMON, ['RequestExpired', 'RequestTimeTooSkewed'], ADVICE_CLOCK),
  undone(
    'credentials',
    'AWS SDK: no provider has any',
    ['CredentialsProviderError', 'TokenProviderError'],
    ADVICE_ROLE,
  ),
  undone('credentials', 'no answer of whoever gives them', [LATE_CREDENTIALS], LATE_REMEDY),
  undone('credentials', STS, ['AccessDenied'], ADVICE_TRUST),
  undone('credentials', STS, ['InvalidIdentityToken', 'InvalidIdentityTokenException'], ADVICE_TRUST),
  undone('credentials', STS, ['IDPRejectedClaim', 'IDPRejectedClaimException'], ADVICE_TRUST),
  undone(
    'credentials',
    STS,
    ['IDPCommunicationError', 'IDPCommunicationErrorException'],
    "AWS cannot reach the cluster's OIDC provider: its address must be public",
  ),
  undone(
    'credentials',
    STS,
    ['RegionDisabledException'],
    'STS is switched off in {region}: switch it on in the account settings of IAM',
  ),
  undone(
    'credentials',
    STS,
    ['MalformedPolicyDocumentException', 'PackedPolicyTooLargeException'],
    'the session policies or tags of the role are too large or no good',
  ),
  undone(
    'unreachable',
    'name lookup',
    ['ENOTFOUND', 'EAI_AGAIN'],
    'check awsRegion, cloudwatchEndpoint and the DNS of the cluster',
  ),
  undone(
    'unreachable',
    'connection',
    ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'],
    'check network policies, the route to {region}, VPC endpoints and HTTPS to port 443',
  ),
  // The request waits until the tunnel stands.
  undone('unreachable', 'proxy (CONNECT)', ['ERR_PROXY_TUNNEL'], LATE_REMEDY),
  open('unreachable', 'connection', ['ECONNRESET', 'EPIPE']),
  open('timeout', 'connection', ['ETIMEDOUT']),
  undone(
    'unreachable',
    'TLS',
    [
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_GET_ISSUER_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    ],
    ADVICE_CA,
  ),
  undone(
    'unreachable',
    'TLS',
    ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'],
    'the certificate of the endpoint or the clock of the node is out of date',
  ),
  undone(
    'unreachable',
    'TLS',
    ['ERR_TLS_CERT_ALTNAME_INVALID'],
    'the endpoint shows a certificate for another name: correct cloudwatchEndpoint',
  ),
];

/** The rule of an error's name or code. */
export const RULE_OF: ReadonlyMap<string, ErrorRule> = new Map(
  ERROR_RULES.flatMap((rule) => rule.names.map((name) => [name, rule] as const)),
);

/** For an answer without a name that is known: by its status alone. */
export const DENIED_ADVICE = ADVICE_DENIED;
