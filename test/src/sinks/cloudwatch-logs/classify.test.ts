/**
 * Errors of CloudWatch Logs by name, and the events that an accepted request left out; names of groups and streams.
 */
import assert from 'node:assert/strict';
import { classifyError, rejectedEvents } from '../../../../src/sinks/cloudwatch-logs/classify.ts';
import { destinationText, logDestination, parseDestination } from '../../../../src/sinks/cloudwatch-logs/request.ts';
import { forwarderConfig, sourceInfo } from '../../../fakes/forwarder-config.ts';

function sdkError(name: string, status: number | undefined, extra: object = {}): Error {
  const error = new Error('words of the service');
  error.name = name;
  return Object.assign(error, { $metadata: status === undefined ? {} : { httpStatusCode: status } }, extra);
}

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
  [sdkError('AccessDeniedException', 400), 'retryable credentials', /logs:CreateLogGroup/],
  [sdkError('Unheard', 403), 'retryable credentials', /logs:PutLogEvents/],
  [sdkError('CredentialsProviderError', undefined), 'retryable credentials', /logging\.io\/service-account/],
  [sdkError('TimeoutError', undefined), 'retryable timeout'],
  [sdkError('Error', undefined, { code: 'ECONNREFUSED' }), 'retryable unreachable', /words of the service/],
];

describe('CloudWatch Logs errors', () => {
  for (const [error, want, words] of ERRORS) {
    it(`${error.name} is ${want}`, () => {
      const failure = classifyError(error);
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
    assert.equal(classifyError('text').kind, 'failed');
    assert.equal(classifyError(undefined).kind, 'failed');
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
