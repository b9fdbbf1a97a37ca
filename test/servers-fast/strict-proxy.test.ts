/**
 * The strict proxy before an upstream of our own: protocol, counts, faults, and being away for a while.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { StrictProxy } from '../servers/cloudwatch/strict-proxy.ts';
import { ask, type Answer } from '../servers/http-json.ts';

const HEADERS = { 'content-type': 'application/x-amz-json-1.1', authorization: 'AWS4-HMAC-SHA256 Credential=x' };

const typeOf = (answer: Answer): unknown => (answer.body as { readonly __type?: unknown }).__type;

describe('StrictProxy', () => {
  let upstream: http.Server;
  let proxy: StrictProxy;
  let seen: string[] = [];

  before(async () => {
    upstream = http.createServer((request, response) => {
      seen.push(String(request.headers['x-amz-target']));
      request.resume().once('end', () => response.end('{"from":"upstream"}'));
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const address = upstream.address();
    assert.ok(address !== null && typeof address === 'object');
    proxy = new StrictProxy({ upstreamPort: address.port });
    await proxy.listen();
  });
  after(async () => {
    await proxy.close();
    upstream.close();
    upstream.closeAllConnections();
  });
  beforeEach(() => {
    proxy.reset();
    seen = [];
  });

  const call = (
    action: string,
    body: unknown = {},
    headers: Readonly<Record<string, string>> = HEADERS,
  ): Promise<Answer> =>
    ask(`${proxy.url}/`, { method: 'POST', body, headers: { ...headers, 'x-amz-target': `Logs_20140328.${action}` } });

  it('forwards what keeps the rules and answers with the type of AWS JSON', async () => {
    const answer = await call('DescribeLogGroups');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, { from: 'upstream' });
    assert.equal(answer.headers['content-type'], 'application/x-amz-json-1.1');
    assert.deepEqual(seen, ['Logs_20140328.DescribeLogGroups']);
    assert.deepEqual(proxy.counts('DescribeLogGroups'), { received: 1, refused: 0, faulted: 0, forwarded: 1 });
  });

  it('keeps what breaks a rule from the upstream, and remembers it', async () => {
    const answer = await call('CreateLogGroup', { logGroupName: 'a b' });
    assert.equal(answer.status, 400);
    assert.equal(typeOf(answer), 'InvalidParameterException');
    assert.deepEqual(seen, []);
    assert.deepEqual(proxy.refusals(), [{ action: 'CreateLogGroup', rule: 'log_group_name' }]);
    assert.deepEqual(proxy.counts('CreateLogGroup'), { received: 1, refused: 1, faulted: 0, forwarded: 0 });
  });

  const wrong: ReadonlyArray<
    readonly [name: string, type: string, body: unknown, headers: Readonly<Record<string, string>>]
  > = [
    ['no signature', 'MissingAuthenticationTokenException', {}, { 'content-type': HEADERS['content-type'] }],
    ['another content type', 'SerializationException', {}, { ...HEADERS, 'content-type': 'application/json' }],
    ['a compressed body', 'SerializationException', {}, { ...HEADERS, 'content-encoding': 'gzip' }],
    ['no JSON', 'SerializationException', '{', HEADERS],
    ['no object', 'SerializationException', '[]', HEADERS],
    ['bytes that are not UTF-8', 'SerializationException', Buffer.from('{"a":"\xff"}', 'latin1'), HEADERS],
  ];
  for (const [name, type, body, headers] of wrong) {
    it(`refuses ${name}`, async () => {
      const answer = await call('DescribeLogGroups', body, headers);
      assert.deepEqual([answer.status, typeOf(answer), seen], [400, type, []]);
    });
  }

  it('refuses a body beyond its bound and lives on', async () => {
    assert.equal((await call('PutLogEvents', Buffer.alloc(13 * 1024 * 1024, 0x20))).status, 413);
    assert.equal((await call('DescribeLogGroups')).status, 200);
  });

  it('refuses what is no call of CloudWatch Logs', async () => {
    assert.equal(
      typeOf(await ask(`${proxy.url}/`, { method: 'POST', body: {}, headers: HEADERS })),
      'UnknownOperationException',
    );
  });

  it('throttles and is unavailable for as many calls as ordered, of that action alone', async () => {
    proxy.order({ fault: 'throttle', count: 1, action: 'DescribeLogStreams' });
    proxy.order({ fault: 'unavailable', count: 1, action: 'DescribeLogStreams' });
    const input = { logGroupName: 'g' };
    assert.equal((await call('DescribeLogGroups')).status, 200);
    const first = await call('DescribeLogStreams', input);
    assert.deepEqual([first.status, typeOf(first)], [400, 'ThrottlingException']);
    const second = await call('DescribeLogStreams', input);
    assert.deepEqual([second.status, typeOf(second)], [503, 'ServiceUnavailableException']);
    assert.equal((await call('DescribeLogStreams', input)).status, 200);
    assert.deepEqual(proxy.counts('DescribeLogStreams'), { received: 3, refused: 0, faulted: 2, forwarded: 1 });
  });

  it('drops a connection before the upstream saw the call', async () => {
    proxy.order({ fault: 'drop-before', count: 1 });
    await assert.rejects(call('DescribeLogGroups'), { code: 'ECONNRESET' });
    assert.deepEqual(seen, []);
  });

  it('loses an answer after the upstream did the call', async () => {
    proxy.order({ fault: 'drop-after', count: 1 });
    await assert.rejects(call('DescribeLogGroups'), { code: 'ECONNRESET' });
    assert.deepEqual(seen, ['Logs_20140328.DescribeLogGroups']);
  });

  it('refuses connections while it is closed, and is back on the same port', async () => {
    const { url } = proxy;
    await proxy.close();
    await assert.rejects(call('DescribeLogGroups'), { code: 'ECONNREFUSED' });
    await proxy.listen();
    assert.equal(proxy.url, url);
    assert.equal((await call('DescribeLogGroups')).status, 200);
  });
});
