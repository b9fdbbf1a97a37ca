/**
 * What becomes of a PutObject: status and code alone decide, and what a person reads names what to do.
 */
import assert from 'node:assert/strict';
import { classifyPut } from '../../../../src/sinks/s3/classify.ts';
import type { PutAnswer, SentObject } from '../../../../src/sinks/s3/classify.ts';
import type { Delivery } from '../../../../src/sinks/sink.ts';

const SENT: SentObject = {
  bucket: 'logs',
  region: 'eu-central-1',
  records: 3,
  indexAt: (position) => position + 10,
  isResend: false,
};

function put(
  status: number,
  code = '',
  more: Partial<PutAnswer> & { readonly inside?: string; readonly message?: string } = {},
): PutAnswer {
  const { inside = '', message = 'words', ...rest } = more;
  const xml = code === '' ? '' : `<Error><Code>${code}</Code><Message>${message}</Message>${inside}</Error>`;
  return { status, body: Buffer.from(xml), retryAfter: undefined, bucketRegion: undefined, ...rest };
}

const outcome = (delivery: Delivery): string =>
  delivery.status === 'retryable' ? `${delivery.status} ${delivery.reason}` : delivery.status;

describe('s3 classifyPut', () => {
  const CASES: ReadonlyArray<readonly [answer: PutAnswer, want: string, words?: RegExp]> = [
    [put(200), 'delivered'],
    [put(413), 'too_large'],
    [put(400, 'EntityTooLarge'), 'too_large'],
    [put(503, 'SlowDown'), 'retryable throttled'],
    [put(429), 'retryable throttled'],
    [put(503), 'retryable throttled'],
    [put(409, 'ConditionalRequestConflict'), 'retryable server_error'],
    [put(409), 'retryable server_error'],
    [put(408), 'retryable server_error'],
    [put(500, 'InternalError'), 'retryable server_error'],
    [put(502), 'retryable server_error'],
    [put(400, 'RequestTimeout'), 'retryable server_error'],
    [put(403, 'AccessDenied'), 'retryable credentials', /allow s3:PutObject on arn:aws:s3:::logs\/\*/],
    [put(403), 'retryable credentials', /allow s3:PutObject/],
    [put(403, 'Unheard'), 'retryable credentials', /allow s3:PutObject/],
    [put(403, 'SignatureDoesNotMatch'), 'retryable credentials', /check the keys/],
    [put(403, 'RequestTimeTooSkewed'), 'retryable credentials', /clock of the node/],
    [put(400, 'ExpiredToken'), 'retryable credentials', /have expired/],
    [put(400, 'KMS.DisabledException'), 'retryable credentials', /kms:GenerateDataKey/],
    [put(404, 'NoSuchBucket'), 'retryable not_found', /create the bucket/],
    [put(400, 'KeyTooLongError'), 'retryable not_found', /logging\.io\/prefix/],
    [put(400, 'InvalidTag'), 'retryable not_found', /configuration of s3/],
    [put(501, 'NotImplemented'), 'retryable not_found', /nothing is sent/],
    [put(418), 'retryable not_found'],
    [
      put(400, 'AuthorizationHeaderMalformed', { inside: '<Region>us-west-2</Region>' }),
      'retryable not_found',
      /in us-west-2, we asked in eu-central-1/,
    ],
    [
      put(400, 'InvalidArgument', {
        message: 'the region &#34;a&#x22; &amp; &apos;b&#39; &#x110000; &#xD800; &#0; &constructor;',
      }),
      'retryable not_found',
      /the region "a" & 'b' &#x110000; &#xD800; &#0; &constructor;/,
    ],
    [put(301, 'PermanentRedirect', { bucketRegion: 'us-west-2' }), 'retryable not_found', /set AWS_REGION/],
    [put(307), 'retryable not_found', /the bucket is elsewhere/],
    [
      put(502, '', { body: Buffer.from('<html><h1>Bad  gateway</h1></html>') }),
      'retryable server_error',
      /502: Bad gateway/,
    ],
  ];
  for (const [answer, want, words] of CASES) {
    it(`${answer.status} ${answer.body.toString().slice(0, 60)}: ${want}`, () => {
      const delivery = classifyPut(answer, SENT);
      assert.equal(outcome(delivery), want);
      if (words !== undefined) assert.match('text' in delivery ? delivery.text : '', words);
    });
  }

  it('412 is our own object after a promise, and another one without', () => {
    assert.deepEqual(classifyPut(put(412), { ...SENT, isResend: true }), { status: 'delivered', duplicates: 3 });
    const other = classifyPut(put(412, 'PreconditionFailed'), SENT);
    assert(other.status === 'partial');
    assert.deepEqual([other.conflicts, other.rejected, other.retry], [[10, 11, 12], [], []]);
  });

  it('waits as long as it is told, within bounds', () => {
    for (const [retryAfter, want] of [
      ['7', 7_000],
      ['86400', 600_000],
      ['soon', 0],
      [undefined, 0],
    ] as const) {
      const delivery = classifyPut(put(503, 'SlowDown', { retryAfter }), SENT);
      assert.equal(delivery.status === 'retryable' && delivery.retryAfterMs, want);
    }
  });

  it('names the partition of the region', () => {
    const delivery = classifyPut(put(403, 'AccessDenied'), { ...SENT, region: 'us-gov-west-1' });
    assert.match('text' in delivery ? delivery.text : '', /arn:aws-us-gov:s3:::logs/);
  });
});
