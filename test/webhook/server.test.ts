/**
 * The real server on loopback, with certificates of our own certificate manager (in memory).
 */
import assert from 'node:assert/strict';
import https from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { gzipSync } from 'node:zlib';

import { startLocalCertificates } from '../../certs/local.ts';
import type { LocalCertificates } from '../../certs/local.ts';
import type { ServingCertificate } from '../../certs/certificate-source.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Handler } from '../../webhook/handler.ts';
import type { RequestRecord } from '../../webhook/requests.ts';
import { errored } from '../../webhook/response.ts';
import { startWebhookServer } from '../../webhook/server.ts';
import type { WebhookServer } from '../../webhook/server.ts';
import { reviewOf, testWebhook, webhookConfig } from '../fakes/webhook.ts';

const MiB = 1024 * 1024;
const BODY = JSON.stringify(
  reviewOf({
    metadata: { name: 'p', annotations: { 'logging.io/inject': 'true' } },
    spec: { containers: [{ name: 'app' }] },
  }),
);

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Running {
  readonly server: WebhookServer;
  readonly records: RequestRecord[];
  /** Puts another certificate into the running server. */
  readonly serve: (certificate: ServingCertificate) => void;
}

describe('webhook server', () => {
  let certificates: LocalCertificates;
  let ca: string;
  const agents: https.Agent[] = [];
  const running: WebhookServer[] = [];

  before(async () => {
    certificates = await startLocalCertificates({
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: createMetrics(),
      hosts: ['localhost', '127.0.0.1'],
    });
    ca = await certificates.caBundlePem();
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.destroy();
    await Promise.all(running.splice(0).map((server) => server.drain()));
  });
  after(() => certificates.close());

  async function start(
    options: {
      readonly handler?: Handler;
      readonly clock?: Clock;
      readonly config?: Readonly<Record<string, unknown>>;
    } = {},
  ): Promise<Running> {
    const webhook = testWebhook();
    const records: RequestRecord[] = webhook.records;
    const listeners = new Set<(certificate: ServingCertificate) => void>();
    const config = webhookConfig({
      server: { host: '127.0.0.1', port: 0, adminPort: 0, drain: '0ms', ...options.config },
    });
    const server = await startWebhookServer({
      config: config.server,
      handler: options.handler ?? webhook.handler,
      certificates: {
        current: () => certificates.source.current(),
        onChange: (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
      record: (record) => {
        records.push(record);
      },
      clock: options.clock ?? systemClock,
      log: silentLog,
      metrics: createMetrics(),
    });
    running.push(server);
    return {
      server,
      records,
      serve: (certificate) => {
        for (const listener of listeners) listener(certificate);
      },
    };
  }

  function agent(options: https.AgentOptions = {}): https.Agent {
    const made = new https.Agent({ ca, keepAlive: true, ...options });
    agents.push(made);
    return made;
  }

  function post(
    server: WebhookServer,
    body: string | Buffer,
    options: {
      path?: string;
      method?: string;
      headers?: Record<string, string>;
      agent?: https.Agent;
      isChunked?: boolean;
    } = {},
  ): Promise<Reply> {
    const { path = '/mutate?timeout=5s', method = 'POST', headers = {}, isChunked = false } = options;
    const length = isChunked ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          host: '127.0.0.1',
          port: server.port,
          path,
          method,
          agent: options.agent ?? agent(),
          headers: { 'content-type': 'application/json', ...length, ...headers },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(chunks).toString(),
            }),
          );
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  it('answers a review over TLS', async () => {
    const { server, records } = await start();
    const reply = await post(server, BODY);
    assert.equal(reply.status, 200);
    const review = JSON.parse(reply.body) as { response: { uid: string; allowed: boolean; patchType: string } };
    assert.deepEqual([review.response.allowed, review.response.patchType], [true, 'JSONPatch']);
    assert.equal(reply.headers['x-powered-by'], undefined);
    assert.deepEqual(
      records.map((record) => record.reason),
      ['injected'],
    );
  });

  const REFUSED: readonly (readonly [string, number, RegExp, Parameters<typeof post>[2], string | Buffer])[] = [
    ['a wrong path', 404, /post to \/mutate/, { path: '/mutat' }, BODY],
    ['a path that escapes', 404, /nothing under this path/, { path: '/mutate/../admin' }, BODY],
    ['another method', 405, /use POST/, { method: 'PUT' }, BODY],
    ['GET', 405, /use POST/, { method: 'GET' }, ''],
    ['another content type', 415, /application\/json/, { headers: { 'content-type': 'text/plain' } }, BODY],
    ['a compressed body', 415, /uncompressed/, { headers: { 'content-encoding': 'gzip' } }, gzipSync(BODY)],
    ['11 MiB of body', 413, /larger than the limit/, {}, Buffer.alloc(11 * MiB, 0x20)],
    ['11 MiB in pieces', 413, /larger than the limit/, { isChunked: true }, Buffer.alloc(11 * MiB, 0x20)],
    ['no AdmissionReview', 400, /read AdmissionReview kind: expected "AdmissionReview", got nothing/, {}, '{}'],
  ];
  for (const [name, status, text, options, body] of REFUSED) {
    it(`refuses ${name} with ${status} and goes on`, async () => {
      const { server, records } = await start();
      const shared = agent({ maxSockets: 1 });
      const reply = await post(server, body, { ...options, agent: shared });
      assert.equal(reply.status, status);
      assert.match(reply.body, text);
      assert.match(reply.body, /^logtender: /);
      assert(!/\n\s+at /.test(reply.body));
      assert.equal((await post(server, BODY, { agent: shared })).status, 200, 'the same connection is still good');
      assert.equal(records.length, 2);
    });
  }

  it('takes the largest body that an API server may send', async () => {
    const { server } = await start();
    const value = String.raw`\u003c`.repeat(1.4 * MiB);
    const body = BODY.replace('"name":"app"', `"name":"app","env":[{"name":"X","value":"${value}"}]`);
    assert(body.length > 8 * MiB);
    assert.equal((await post(server, body)).status, 200);
  });

  it('serves many clients at once', async () => {
    const { server } = await start();
    const shared = agent({ maxSockets: 32 });
    const replies = await Promise.all(Array.from({ length: 200 }, () => post(server, BODY, { agent: shared })));
    assert(replies.every((reply) => reply.status === 200));
  });

  it('answers 503 and Retry-After when too many bytes are in flight, and recovers', async () => {
    const { entered, release, handler } = gate();
    const { server, records } = await start({ handler, config: { bodyBytesMax: MiB, inFlightBytesMax: MiB } });
    const big = Buffer.alloc(0.75 * MiB, 0x20);
    const first = post(server, big);
    await entered;
    const second = await post(server, big);
    assert.deepEqual([second.status, second.headers['retry-after']], [503, '1']);
    assert.equal(records.at(-1)?.reason, 'overloaded');
    release();
    await first;
    assert.equal((await post(server, big)).status, 400, 'the budget was given back');
  });

  it('hands the deadline of ?timeout= to the handler, less what the way back takes', async () => {
    const asked: number[] = [];
    const clock: Clock = {
      ...systemClock,
      // On a busy machine reading the request would take its part of the deadline.
      monotonic: () => 0,
      sleep: async (ms, signal) => {
        asked.push(ms);
        // The deadline is reached at once.
        if (signal !== undefined) await Promise.resolve();
      },
    };
    const handler: Handler = {
      handle: async (_body, { signal }) => {
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return errored('deadline_exceeded');
      },
    };
    const { server } = await start({ handler, clock });
    for (const [path, ms] of [
      ['/mutate?timeout=1s', 900],
      ['/mutate', 9000],
      ['/mutate?timeout=60s', 9000],
      ['/mutate?timeout=x', 9000],
    ] as const) {
      asked.length = 0;
      assert.equal((await post(server, BODY, { path })).status, 500);
      assert.deepEqual(asked, [ms], path);
    }
  });

  it('drains: says so first, closes connections, and finishes what is in flight', async () => {
    const { entered, release, handler } = gate();
    const drainTime = Promise.withResolvers<void>();
    const clock: Clock = {
      ...systemClock,
      sleep: (ms, signal) => (ms === 7_000 ? drainTime.promise : systemClock.sleep(ms, signal)),
    };
    const { server } = await start({ handler, clock, config: { drain: '7s' } });
    const inFlight = post(server, BODY);
    await entered;
    const drained = server.drain();
    assert(server.isDraining(), 'readiness fails first');
    const served = post(server, BODY);
    release();
    const late = await served;
    assert.deepEqual([late.status, late.headers.connection], [400, 'close'], 'served while endpoints take notice');
    drainTime.resolve();
    await drained;
    assert.equal((await inFlight).status, 400);
    await assert.rejects(post(server, BODY), /ECONNREFUSED/);
    running.length = 0;
  });

  it('ends connections on which nothing was ever asked', async () => {
    const { server } = await start();
    const socket = tls.connect({ host: '127.0.0.1', port: server.port, ca });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.resume();
    await server.drain();
    await ended;
    running.length = 0;
  });

  it('ends connections in the middle of their handshake', async () => {
    const { server } = await start();
    const socket = net.connect({ host: '127.0.0.1', port: server.port });
    await new Promise((resolve) => socket.once('connect', resolve));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.resume();
    // The server has seen it: a second connection was answered after it.
    await handshake(server.port, { ca });
    await server.drain();
    await ended;
    running.length = 0;
  });

  it('refuses TLS 1.2 and HTTP/2, before and after a change of the certificate', async () => {
    const { server, serve } = await start();
    const current = certificates.source.current();
    assert(current !== undefined);
    for (const round of ['before', 'after']) {
      await assert.rejects(handshake(server.port, { ca, maxVersion: 'TLSv1.2' }), /protocol|alert/i, round);
      assert.deepEqual(
        await handshake(server.port, { ca, ALPNProtocols: ['h2', 'http/1.1'] }),
        ['TLSv1.3', 'http/1.1'],
        round,
      );
      serve(current);
    }
  });

  it('serves a new certificate at once, and keeps the old one when the new one is bad', async () => {
    const { server, serve } = await start();
    const other = await startLocalCertificates({
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: createMetrics(),
      hosts: ['127.0.0.1'],
    });
    const next = other.source.current();
    const current = certificates.source.current();
    assert(next !== undefined && current !== undefined);
    const kept = agent({ maxSockets: 1 });
    assert.equal((await post(server, BODY, { agent: kept })).status, 200);
    serve({ ...next, keyPem: current.keyPem });
    assert.equal((await post(server, BODY)).status, 200, 'a key of another certificate is refused');
    serve(next);
    assert.equal((await post(server, BODY, { agent: kept })).status, 200, 'open connections stay');
    await assert.rejects(post(server, BODY), /certificate|signature/i, 'the old CA is not enough any more');
    assert.equal((await post(server, BODY, { agent: agent({ ca: await other.caBundlePem() }) })).status, 200);
    await other.close();
  });
});

/** A handler that waits to be released; it answers 400. */
function gate(): { entered: Promise<void>; release: () => void; handler: Handler } {
  const entered = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const handler: Handler = {
    handle: async () => {
      entered.resolve();
      await released.promise;
      return errored('review_invalid');
    },
  };
  return { entered: entered.promise, release: () => released.resolve(), handler };
}

/** Protocol and ALPN of one handshake. */
function handshake(
  port: number,
  options: tls.ConnectionOptions,
): Promise<readonly [string | null, string | false | null]> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, ...options }, () => {
      resolve([socket.getProtocol(), socket.alpnProtocol]);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
