/**
 * Errors of CloudWatch Logs by name, and the events that an accepted request left out; names of groups and streams.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { callContext } from '../../../../src/sinks/cloudwatch-logs/arns.ts';
import { classifyError, rejectedEvents } from '../../../../src/sinks/cloudwatch-logs/classify.ts';
import { ERROR_RULES, RULE_OF } from '../../../../src/sinks/cloudwatch-logs/errors.ts';
import { destinationText, logDestination, parseDestination } from '../../../../src/sinks/cloudwatch-logs/request.ts';
import { forwarderConfig, sourceInfo } from '../../../fakes/forwarder-config.ts';

function sdkError(name: string, status: number | undefined, extra: object = {}): Error {
  const error = new Error('words of the service');
  error.name = name;
  return Object.assign(error, { $metadata: status === undefined ? {} : { httpStatusCode: status } }, extra);
}

const CONTEXT = callContext('PutLogEvents', { group: '/k8s/g', stream: 'p/c' }, 'eu-central-1');
const STREAM_ARN = /arn:aws:logs:eu-central-1:\*:log-group:\/k8s\/g:log-stream:p\/c/;

const ERRORS: ReadonlyArray<readonly [error: Error, want: string, words?: RegExp]> = [
  [sdkError('ResourceNotFoundException', 400), 'missing'],
  [sdkError('ResourceAlreadyExistsException', 400), 'exists'],
  [sdkError('DataAlreadyAcceptedException', 400), 'stored'],
  [sdkError('InvalidParameterException', 400), 'refused rejected_by_sink'],
  [
    Object.assign(sdkError('InvalidParameterException', 400), {
      message: "1 validation error detected: Value 'aws/x' at 'logGroupName' failed to satisfy constraint",
    }),
    'retryable not_found',
    /correct log-group or log-stream/,
  ],
  [sdkError('SerializationException', 400), 'refused rejected_by_sink'],
  [sdkError('ThrottlingException', 400), 'retryable throttled'],
  [sdkError('OperationAbortedException', 400), 'retryable throttled'],
  [sdkError('LimitExceededException', 400), 'retryable throttled'],
  [sdkError('Unheard', 429), 'retryable throttled'],
  [sdkError('ServiceUnavailableException', 500), 'retryable server_error'],
  [sdkError('InvalidSequenceTokenException', 400), 'retryable server_error'],
  [sdkError('Unheard', 400), 'retryable server_error'],
  [sdkError('Unheard', 413), 'too_large'],
  [sdkError('UnrecognizedClientException', 400), 'retryable credentials', /the access key is not known here/],
  [sdkError('ExpiredTokenException', 400), 'retryable credentials', /have expired/],
  [sdkError('AccessDeniedException', 400), 'retryable credentials', STREAM_ARN],
  [sdkError('Unheard', 403), 'retryable credentials', /logs:PutLogEvents/],
  [sdkError('CredentialsProviderError', undefined), 'retryable credentials', /logging\.io\/service-account/],
  [sdkError('TimeoutError', undefined), 'retryable timeout'],
  [sdkError('Error', undefined, { code: 'ECONNREFUSED' }), 'retryable unreachable', /words of the service/],
];

describe('CloudWatch Logs errors', () => {
  for (const [error, want, words] of ERRORS) {
    it(`${error.name} is ${want}`, () => {
      const failure = classifyError(error, CONTEXT);
      const { kind } = failure;
      if (kind !== 'failed') {
        assert.equal(kind, want);
        return;
      }
      const { delivery } = failure;
      assert.equal('reason' in delivery ? `${delivery.status} ${delivery.reason}` : delivery.status, want);
      if (words !== undefined) assert.match(delivery.text, words);
    });
  }

  it('reads anything that is thrown', () => {
    assert.equal(classifyError('text', CONTEXT).kind, 'failed');
    assert.equal(classifyError(undefined, CONTEXT).kind, 'failed');
  });
});

describe('CloudWatch Logs errors: is it done?', () => {
  /** Errors after which the events may be stored, and errors after which they are not. */
  const DONE: ReadonlyArray<readonly [error: Error, mayBeDone: boolean]> = [
    [sdkError('ThrottlingException', 400), false],
    [sdkError('AccessDeniedException', 400), false],
    [sdkError('Unheard', 400), false],
    [sdkError('ServiceUnavailableException', 500), true],
    [sdkError('InternalFailure', 500), true],
    [sdkError('RequestAbortedException', 400), true],
    [sdkError('Unheard', 502), true],
    [sdkError('SyntaxError', 200), true],
    [sdkError('CredentialsProviderError', undefined), false],
    [sdkError('TimeoutError', undefined), false],
    [sdkError('TimeoutError', undefined, { code: 'ECONNRESET' }), true],
    [sdkError('TimeoutError', undefined, { code: 'ETIMEDOUT' }), true],
    [sdkError('Error', undefined, { code: 'ECONNREFUSED' }), false],
    [sdkError('Error', undefined, { code: 'ENOTFOUND' }), false],
    [sdkError('Error', undefined, { code: 'CERT_HAS_EXPIRED' }), false],
    [sdkError('Error', undefined, { code: 'EUNHEARD' }), true],
    [sdkError('Error', undefined), true],
  ];
  for (const [error, mayBeDone] of DONE) {
    it(`${error.name} ${JSON.stringify(error)}: ${mayBeDone ? 'perhaps' : 'no'}`, () => {
      const failure = classifyError(error, CONTEXT);
      assert.equal(failure.kind === 'failed' && failure.mayBeDone === true, mayBeDone);
    });
  }
});

describe('CloudWatch Logs errors: all of them', () => {
  const CALLS = ['PutLogEvents', 'CreateLogGroup', 'CreateLogStream', 'PutRetentionPolicy', 'GetLogEvents'];
  const TYPES = join(
    import.meta.dirname,
    '../../../../node_modules/@aws-sdk/client-cloudwatch-logs/dist-types/commands',
  );

  for (const call of CALLS) {
    it(`every error that the SDK documents for ${call} has a rule`, () => {
      const text = readFileSync(join(TYPES, `${call}Command.d.ts`), 'utf8');
      const names = [...text.matchAll(/@throws \{@link (\w+)\}/g)].map((match) => match[1] ?? '');
      assert(names.length >= 4, text);
      // The base class of all of them, not one that the service sends.
      const unknown = names.filter((name) => name !== 'CloudWatchLogsServiceException' && !RULE_OF.has(name));
      assert.deepEqual(unknown, []);
    });
  }

  /** API reference, "Common Errors"; STS API reference, AssumeRoleWithWebIdentity, "Errors". */
  const OTHERS = [
    ...['AccessDeniedException', 'ExpiredTokenException', 'IncompleteSignature', 'InternalFailure', 'NotAuthorized'],
    ...['MalformedHttpRequestException', 'OptInRequired', 'RequestAbortedException', 'RequestEntityTooLargeException'],
    ...['RequestExpired', 'RequestTimeoutException', 'ServiceUnavailable', 'ThrottlingException', 'ValidationError'],
    ...['UnknownOperationException', 'UnrecognizedClientException', 'IDPCommunicationError', 'IDPRejectedClaim'],
    ...['InvalidIdentityToken', 'MalformedPolicyDocumentException', 'PackedPolicyTooLargeException'],
    ...['RegionDisabledException'],
    // Of the page's earlier and later forms, which other services of AWS still show.
    ...['InvalidAction', 'InvalidClientTokenId', 'InvalidParameterCombination', 'InvalidParameterValue'],
    ...[
      'InvalidQueryParameter',
      'MalformedQueryString',
      'MissingAction',
      'MissingAuthenticationToken',
      'MissingParameter',
    ],
  ];
  it('so has every common error, and every one of STS', () => {
    assert.deepEqual(
      OTHERS.filter((name) => !RULE_OF.has(name)),
      [],
    );
  });

  it('no name has two rules, and no advice keeps a placeholder', () => {
    const names = ERROR_RULES.flatMap((rule) => rule.names);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) {
      const failure = classifyError(sdkError(name, undefined), CONTEXT);
      if (failure.kind === 'failed') assert.doesNotMatch(failure.delivery.text, /[{}]/);
    }
  });

  it('ARNs are those of the partition and of what the action is about', () => {
    const destination = { group: 'g', stream: 's' };
    const arn = (action: Parameters<typeof callContext>[0], region: string): string =>
      callContext(action, destination, region).resource;
    assert.equal(arn('CreateLogGroup', 'us-east-1'), 'arn:aws:logs:us-east-1:*:log-group:g');
    assert.equal(arn('CreateLogStream', 'cn-north-1'), 'arn:aws-cn:logs:cn-north-1:*:log-group:g');
    assert.equal(arn('GetLogEvents', 'us-gov-west-1'), 'arn:aws-us-gov:logs:us-gov-west-1:*:log-group:g:log-stream:s');
  });
});

describe('rejectedEvents', () => {
  const INFO: ReadonlyArray<readonly [info: Parameters<typeof rejectedEvents>[0], want: readonly string[]]> = [
    [undefined, []],
    [{}, []],
    [{ tooOldLogEventEndIndex: 2 }, ['0 too_old', '10 too_old']],
    [{ expiredLogEventEndIndex: 1 }, ['0 expired']],
    [{ tooOldLogEventEndIndex: 1, expiredLogEventEndIndex: 2 }, ['0 too_old', '10 expired']],
    [{ tooNewLogEventStartIndex: 3 }, ['30 too_new']],
    [{ tooNewLogEventStartIndex: 0 }, ['0 too_new', '10 too_new', '20 too_new', '30 too_new']],
    [{ tooOldLogEventEndIndex: 1, tooNewLogEventStartIndex: 3 }, ['0 too_old', '30 too_new']],
    [{ tooOldLogEventEndIndex: 99 }, ['0 too_old', '10 too_old', '20 too_old', '30 too_old']],
  ];
  for (const [info, want] of INFO) {
    it(JSON.stringify(info ?? 'nothing'), () => {
      const rejected = rejectedEvents(info, 4, (position) => position * 10);
      assert.deepEqual(
        rejected.map(({ index, reason }) => `${index} ${reason}`),
        want,
      );
    });
  }
});

describe('log groups and log streams', () => {
  const NAMES: ReadonlyArray<readonly [env: Readonly<Record<string, string>>, group: string, stream: string]> = [
    [{}, '/k8s/test/shop/web', 'web-7d9f-x2x/app/var/log/app/a.log'],
    [{ LOG_STREAM: '{pod}_{container}_{file}' }, '/k8s/test/shop/web', 'web-7d9f-x2x_app_var/log/app/a.log'],
    [{ LOG_GROUP: 'aws/{cluster}:x', CLUSTER_NAME: 'ü' }, '_aws/__x', 'web-7d9f-x2x/app/var/log/app/a.log'],
    [{ LOG_STREAM: 'a:b*{node}' }, '/k8s/test/shop/web', 'a_b_node-1/var/log/app/a.log'],
  ];
  for (const [env, group, stream] of NAMES) {
    it(`${JSON.stringify(env)} gives ${group} and ${stream}`, () => {
      const destination = logDestination(forwarderConfig(env), sourceInfo());
      assert.deepEqual(destination, { group, stream });
      assert.deepEqual(parseDestination(destinationText(destination)), destination);
    });
  }
});
