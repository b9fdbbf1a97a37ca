/**
 * Answers of AWS JSON 1.1, those of the protocol's own test suite and those of what stands in between.
 */
import assert from 'node:assert/strict';
import { readAnswer } from '../../../../src/sinks/cloudwatch-logs/aws-json.ts';
import { callPath, logsEndpoint } from '../../../../src/sinks/cloudwatch-logs/endpoint.ts';
import { ServiceClock } from '../../../../src/sinks/cloudwatch-logs/service-clock.ts';

type Headers = Readonly<Record<string, string>>;

function read(status: number, body: string, headers: Headers = {}, action = 'CreateLogStream'): string {
  const answer = readAnswer({ status, headers, body: Buffer.from(body) }, action);
  if (answer.kind === 'done') return `done ${JSON.stringify(answer.output)}`;
  const { name, text, code } = answer.error;
  assert.deepEqual([answer.error.status, code], [status, '']);
  return `${name} | ${text}`;
}

const ANSWERS: ReadonlyArray<readonly [status: number, body: string, want: string, headers?: Headers]> = [
  [200, '', 'done {}'],
  [200, '{}', 'done {}'],
  [200, '{"nextSequenceToken":"1"}', 'done {"nextSequenceToken":"1"}'],
  // Smithy, protocol tests of awsJson1_1: AwsJson11FooErrorUsingXAmznErrorType and its neighbours.
  [500, '', 'FooError | FooError', { 'x-amzn-errortype': 'FooError' }],
  [
    500,
    '',
    'FooError | FooError',
    { 'x-amzn-errortype': 'FooError:http://internal.amazon.com/coral/com.amazon.coral.validate/' },
  ],
  [
    500,
    '',
    'FooError | FooError',
    {
      'x-amzn-errortype': 'aws.protocoltests.json#FooError:http://internal.amazon.com/coral/com.amazon.coral.validate/',
    },
  ],
  [500, '{"code":"FooError"}', 'FooError | FooError'],
  [500, '{"code":"aws.protocoltests.json#FooError"}', 'FooError | FooError'],
  [500, '{"__type":"FooError"}', 'FooError | FooError'],
  [500, '{"__type":"aws.protocoltests.json#FooError"}', 'FooError | FooError'],
  [500, '{"__type":"FooError:http://internal.amazon.com/coral/"}', 'FooError | FooError'],
  [500, '{"__type":"a.b#FooError:http://internal.amazon.com/coral/"}', 'FooError | FooError'],
  [400, '{"__type":"FooError,a.b#BarError"}', 'FooError | FooError'],
  // The SDK's order where several say something.
  [400, '{"__type":"A","code":"B","message":"words"}', 'A | A: words', { 'x-amzn-errortype': 'C' }],
  [400, '{"code":"B","message":"words"}', 'B | B: words', { 'x-amzn-errortype': 'C' }],
  [400, '{"__type":"A","Message":"Words"}', 'A | A: Words'],
  [400, '{"__type":null,"Code":7,"message":{}}', '7 | 7'],
  [400, '{"message":"words"}', ' | HTTP 400: words'],
  [403, '', ' | HTTP 403'],
  [302, '{}', ' | HTTP 302'],
  // Proxies and other servers.
  [502, '<html><h1>Bad  gateway</h1>\n</html>', ' | HTTP 502: no JSON object: Bad gateway'],
  [200, '<html>sign in</html>', ' | HTTP 200: no JSON object: sign in'],
  [200, '{"__type":"a.b#FooError"}', 'FooError | FooError'],
  [200, '', 'FooError | FooError', { 'x-amzn-errortype': 'FooError' }],
  [200, '{"code":200,"message":"ok"}', '200 | 200: ok'],
  [200, 'null', ' | HTTP 200: no JSON object: null'],
  [413, '["x"]', ' | HTTP 413: no JSON object: ["x"]'],
];

describe('answers of AWS JSON 1.1', () => {
  for (const [status, body, want, headers] of ANSWERS) {
    it(`${status} ${body} ${JSON.stringify(headers ?? {})} is ${want}`, () =>
      assert.equal(read(status, body, headers), want));
  }

  it('lines count as stored by an output of PutLogEvents alone', () => {
    const put = (body: string): string => read(200, body, {}, 'PutLogEvents');
    for (const body of ['{}', '{"nextSequenceToken":"1","more":1}', '{"rejectedLogEventsInfo":{}}'])
      assert.equal(put(body), `done ${body}`);
    assert.equal(put(''), ' | HTTP 200: no output of PutLogEvents');
    assert.equal(put('{"status":"ok"}'), ' | HTTP 200: no output of PutLogEvents: {"status":"ok"}');
  });

  it('words have an end', () => {
    const long = read(400, JSON.stringify({ __type: 'A', message: 'x'.repeat(5000) }));
    assert.equal(long.length, 1024 + 'A | '.length);
    assert(long.endsWith('...'));
  });
});

describe('the service’s clock', () => {
  it('takes no time but that of an HTTP date', () => {
    const clock = new ServiceClock();
    for (const date of ['1', 'garbage', 'Sat, 13 Sep 275760 00:00:00 GMT', '+275760-09-13T00:00:00Z']) {
      clock.observe({ date }, Date.UTC(2026, 0, 1));
      assert.equal(clock.offsetMs, 0, date);
    }
  });

  it('is that of the Date of an answer, in front of ours or behind', () => {
    const clock = new ServiceClock();
    const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
    clock.observe({ date }, Date.parse(date) - 1_200_000);
    assert.equal(clock.offsetMs, 1_200_000);
    clock.observe({ date }, Date.parse(date) + 5_000);
    assert.equal(clock.offsetMs, -5_000);
  });

  it('is not that of a cache, of nothing, or of what is no date', () => {
    const clock = new ServiceClock();
    for (const headers of [{ date: 'Sun, 06 Nov 1994 08:49:37 GMT', age: '0' }, {}, { date: 'yesterday' }])
      clock.observe(headers, 0);
    assert.equal(clock.offsetMs, 0);
  });
});

describe('endpoints of CloudWatch Logs', () => {
  it('one of one’s own keeps port and path', () => {
    const own = (endpoint: string): string => {
      const url = logsEndpoint({ endpoint, region: 'eu-central-1', fips: false });
      assert(url !== undefined);
      return `${url.host} ${callPath(url)}`;
    };
    assert.equal(own('https://vpce.example:8443'), 'vpce.example:8443 /');
    assert.equal(own('http://proxy.example/logs'), 'proxy.example /logs/');
    assert.equal(own('http://proxy.example/logs/'), 'proxy.example /logs/');
  });

  for (const region of ['', 'eu central 1', 'eu-central-1/', 'evil.example', '-x', 'x'.repeat(64)]) {
    it(`"${region}" is no region`, () => {
      assert.equal(logsEndpoint({ endpoint: undefined, region, fips: false }), undefined);
    });
  }
});
