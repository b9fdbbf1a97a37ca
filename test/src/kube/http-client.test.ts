/**
 * The client against a server of our own on loopback: what is sent, how answers become values, and what breaks on the way.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import type { KubeClient, WatchEvent } from '../../../src/kube/client.ts';
import { METADATA_ONLY } from '../../../src/kube/client.ts';
import { createKubeClient } from '../../../src/kube/http-client.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function json(
  response: http.ServerResponse,
  status: number,
  body: unknown,
  headers: http.OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

const eventLine = (type: string, name: string): string =>
  `${JSON.stringify({ type, object: { metadata: { name } } })}\n`;

describe('kube http client', () => {
  let server: http.Server;
  let client: KubeClient;
  let seen: Seen[] = [];
  let answer: ((request: Seen, response: http.ServerResponse) => void) | undefined;

  before(async () => {
    server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const one = {
          method: request.method ?? '',
          url: request.url ?? '',
          headers: request.headers,
          body: Buffer.concat(chunks).toString(),
        };
        seen.push(one);
        answer?.(one, response);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  beforeEach(() => {
    seen = [];
    const { port } = server.address() as AddressInfo;
    client = createKubeClient({
      server: new URL(`http://127.0.0.1:${port}/base`),
      namespace: undefined,
      credentials: async () => ({ headers: { Authorization: 'Bearer token' } }),
    });
  });
  afterEach(() => client.close());

  it('sends credentials, base path, query and Accept', async () => {
    answer = (_request, response) => json(response, 200, { metadata: { name: 'x' } });
    const result = await client.get('/api/v1/namespaces/x', { accept: METADATA_ONLY });
    assert.deepEqual(result, { ok: true, value: { metadata: { name: 'x' } } });
    await client.create('/api/v1/x', { a: 1 }, { query: { dryRun: 'All' } });
    await client.patch('/api/v1/x/y', [], 'application/json-patch+json');
    await client.update('/api/v1/x/y', { b: 'ü' });
    await client.delete('/api/v1/x/y');
    assert.deepEqual(
      seen.map(({ method, url, body }) => [method, url, body]),
      [
        ['GET', '/base/api/v1/namespaces/x', ''],
        ['POST', '/base/api/v1/x?dryRun=All', '{"a":1}'],
        ['PATCH', '/base/api/v1/x/y', '[]'],
        ['PUT', '/base/api/v1/x/y', '{"b":"ü"}'],
        ['DELETE', '/base/api/v1/x/y', ''],
      ],
    );
    assert.ok(seen.every(({ headers }) => headers.authorization === 'Bearer token'));
    assert.equal(seen[0]?.headers.accept, METADATA_ONLY);
    assert.equal(seen[2]?.headers['content-type'], 'application/json-patch+json');
  });

  const table: ReadonlyArray<readonly [status: number, reason: string, kind: string]> = [
    [404, 'NotFound', 'not_found'],
    [409, 'Conflict', 'conflict'],
    [409, 'AlreadyExists', 'already_exists'],
    [401, 'Unauthorized', 'forbidden'],
    [403, 'Forbidden', 'forbidden'],
    [410, 'Expired', 'gone'],
    [422, 'Invalid', 'invalid'],
    [415, 'UnsupportedMediaType', 'invalid'],
    [429, 'TooManyRequests', 'unavailable'],
    [500, 'InternalError', 'unavailable'],
    [504, 'Timeout', 'unavailable'],
  ];
  for (const [status, reason, kind] of table) {
    it(`${status} ${reason}: ${kind}`, async () => {
      answer = (_request, response) =>
        json(response, status, { kind: 'Status', reason, message: 'why' }, { 'retry-after': '3' });
      assert.deepEqual(await client.get('/x'), { ok: false, kind, status, text: 'why', retryAfterMs: 3_000 });
    });
  }

  it('an error that is no JSON keeps its text, cut to a bound', async () => {
    answer = (_request, response) => {
      response.writeHead(502);
      response.end('x'.repeat(5_000));
    };
    const result = await client.get('/x');
    assert.ok(!result.ok);
    assert.equal(result.text.length, 1_024);
  });

  it('a broken or empty answer is a value', async () => {
    for (const body of ['', '{"metadata":', '[]']) {
      answer = (_request, response) => response.end(body);
      const result = await client.get('/x');
      assert.ok(!result.ok && result.kind === 'unavailable', body);
    }
  });

  it('no answer in time is a value', async () => {
    answer = undefined;
    const result = await client.get('/x', { timeoutMs: 30 });
    assert.deepEqual(result, {
      ok: false,
      kind: 'unavailable',
      status: 0,
      text: 'no answer within 30 ms',
      retryAfterMs: 0,
    });
  });

  it('a server that cannot be reached is a value', async () => {
    const closed = createKubeClient({
      server: new URL('http://127.0.0.1:9'),
      namespace: undefined,
      credentials: async () => ({}),
    });
    const result = await closed.get('/x');
    assert.ok(!result.ok && result.kind === 'unavailable' && result.status === 0);
    closed.close();
  });

  it('a read on a kept connection that the server closed is sent again, a write is not', async () => {
    for (const [verb, want] of [
      ['get', true],
      ['create', false],
    ] as const) {
      answer = (_request, response) => json(response, 200, {});
      await client.get('/warm');
      let isFirst = true;
      answer = (_request, response) => {
        if (!isFirst) return json(response, 200, {});
        isFirst = false;
        response.socket?.resetAndDestroy();
      };
      const result = verb === 'get' ? await client.get('/x') : await client.create('/x', {});
      assert.equal(result.ok, want, verb);
    }
  });

  it('lists give items, version and the next page', async () => {
    answer = (_request, response) =>
      json(response, 200, {
        metadata: { resourceVersion: '5', continue: 'n' },
        items: [{ metadata: { name: 'a' } }, 7],
      });
    const value = { items: [{ metadata: { name: 'a' } }], resourceVersion: '5', next: 'n' };
    assert.deepEqual(await client.list('/x', { limit: '1' }), { ok: true, value });
    answer = (_request, response) => json(response, 200, { metadata: { resourceVersion: '5' }, items: null });
    assert.deepEqual(await client.list('/x'), { ok: true, value: { items: [], resourceVersion: '5', next: '' } });
  });

  async function watch(
    write: (response: http.ServerResponse) => void,
    signal = new AbortController().signal,
  ): Promise<{ events: string[]; result: unknown }> {
    const events: string[] = [];
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      write(response);
    };
    const onEvent = (event: WatchEvent): void => {
      events.push(`${event.type} ${event.object.metadata.name ?? ''}`);
    };
    return { events, result: await client.watch('/x', { resourceVersion: '1' }, onEvent, signal) };
  }

  describe('watch', () => {
    it('gives events however the bytes are cut', async () => {
      const bytes = Buffer.from(
        eventLine('ADDED', 'ä') + eventLine('MODIFIED', 'b') + eventLine('DELETED', 'c') + eventLine('BOOKMARK', ''),
      );
      const { events, result } = await watch((response) => {
        for (const byte of bytes) response.write(Buffer.from([byte]));
        response.end();
      });
      assert.deepEqual(events, ['ADDED ä', 'MODIFIED b', 'DELETED c', 'BOOKMARK ']);
      assert.deepEqual(result, { ok: true, value: 'ended' });
      assert.equal(seen[0]?.url, '/base/x?resourceVersion=1&watch=true');
    });

    it('an ERROR event ends it with its status', async () => {
      const { result } = await watch((response) => {
        response.end(
          `${eventLine('ADDED', 'a')}${JSON.stringify({ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'old' } })}\n`,
        );
      });
      assert.deepEqual(result, { ok: false, kind: 'gone', status: 410, text: 'old', retryAfterMs: 0 });
    });

    it('a connection that breaks is a failure, events before it count', async () => {
      const { events, result } = await watch((response) => {
        response.write(eventLine('ADDED', 'a') + '{"type":"ADD', () => response.socket?.resetAndDestroy());
      });
      assert.deepEqual(events, ['ADDED a']);
      assert.ok(typeof result === 'object' && result !== null && 'kind' in result && result.kind === 'unavailable');
    });

    it('garbage is a failure', async () => {
      const { result } = await watch((response) => response.end('<html>\n'));
      assert.ok(typeof result === 'object' && result !== null && 'kind' in result && result.kind === 'unavailable');
    });

    it('ends well when we abort', async () => {
      const stop = new AbortController();
      const { events, result } = await watch(
        (response) => response.write(eventLine('ADDED', 'a'), () => setImmediate(() => stop.abort())),
        stop.signal,
      );
      assert.ok(events.length <= 1);
      assert.deepEqual(result, { ok: true, value: 'ended' });
    });
  });
});
