/**
 * HTTPS in front of the handler: routes, limits, certificate change, drain. The only file that loads express.
 *
 * Invariants: TLS 1.3 and HTTP/1.1 alone; a bad certificate never replaces a good one; nothing of a request is read before its headers
 * were judged; after `drain` began every answer closes its connection. Limits and their reasons: DESIGN section 3; Node.js
 * documentation of http.Server and tls.createServer; API server client: idle connections live 90 s. May import: core, config, certs.
 */
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';

import express from 'express';
import type { NextFunction, Request, Response } from 'express';

import type { CertificateSource, ServingCertificate } from '../certs/certificate-source.ts';
import type { WebhookServerConfig } from '../src/config/webhook-config.ts';
import type { Clock } from '../src/core/clock.ts';
import { errorText } from '../src/core/errors.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import { readBody, refuseByHeaders } from './body.ts';
import type { Handler } from './handler.ts';
import { createBudget } from './in-flight.ts';
import type { Share } from './in-flight.ts';
import type { ReasonCode } from './reasons.ts';
import type { RequestRecord } from './requests.ts';
import { errored } from './response.ts';
import type { Answer } from './response.ts';

export interface WebhookServerOptions {
  readonly config: WebhookServerConfig;
  readonly handler: Handler;
  readonly certificates: Pick<CertificateSource, 'current' | 'onChange'>;
  readonly record: (record: RequestRecord) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface WebhookServer {
  readonly port: number;
  isDraining(): boolean;
  /** Serves on for `drainMs` with closing connections, then stops listening, lets requests in flight finish, and resolves. */
  drain(): Promise<void>;
}

const HANDSHAKE_MS_MAX = 3_000;
const HEADERS_MS_MAX = 5_000;
const CHECK_MS = 1_000;
/** Above the 90 s for which API servers keep idle connections: the server must not close first, a POST is never sent twice. */
const KEEP_ALIVE_MS = 120_000;
/** Idle connections of the API servers of a large cluster, and room for people who scan ports. */
const CONNECTIONS_MAX = 5_000;
const PATH = '/mutate';

/** Listens, and resolves when it does; rejects when the port is taken. */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { config, certificates, log, metrics } = options;
  const state: ServerState = { isDraining: false, isStopping: false, active: 0, onIdle: () => {}, sockets: new Set() };
  const refused = metrics.counter('logtender_tls_reloads_total', 'changes of the serving certificate by result');
  const server = https.createServer(
    {
      ...secureContext(certificates.current()),
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: HANDSHAKE_MS_MAX,
      headersTimeout: Math.min(HEADERS_MS_MAX, config.requestMsMax),
      requestTimeout: config.requestMsMax,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    createApp(options, state),
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.on('connection', (socket: Socket) => {
    state.sockets.add(socket);
    socket.once('close', () => state.sockets.delete(socket));
  });
  const stopWatching = certificates.onChange((certificate) => {
    try {
      // The complete set of options: what is left out here falls back to Node's defaults, TLS 1.2 among them.
      server.setSecureContext(secureContext(certificate));
      refused.add(1, { result: 'served' });
    } catch (error) {
      refused.add(1, { result: 'refused' });
      log.error('serving certificate refused, the old one stays', { error: errorText(error) });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    isDraining: () => state.isDraining,
    drain: async () => {
      state.isDraining = true;
      await options.clock.sleep(config.drainMs);
      state.isStopping = true;
      await close(server, state, config.requestMsMax, options.clock);
      stopWatching();
    },
  };
}

function secureContext(certificate: ServingCertificate | undefined): SecureContextOptions {
  const pair = certificate === undefined ? {} : { cert: certificate.certPem, key: certificate.keyPem };
  return { ...pair, minVersion: 'TLSv1.3' };
}

interface ServerState {
  isDraining: boolean;
  isStopping: boolean;
  /** Requests whose answer is not sent yet. */
  active: number;
  /** Called when `active` comes to 0. */
  onIdle: () => void;
  /** Every open connection; node:http knows only those whose TLS handshake is done. */
  readonly sockets: Set<Socket>;
}

/**
 * Stops listening, waits for the requests in flight, and ends every connection.
 *
 * API servers hold connections on which they never asked anything: for Node they are not idle, so counting requests is up to us.
 */
async function close(server: https.Server, state: ServerState, msMax: number, clock: Clock): Promise<void> {
  const idle = Promise.withResolvers<void>();
  state.onIdle = idle.resolve;
  if (state.active === 0) idle.resolve();
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const ended = new AbortController();
  await Promise.race([idle.promise, clock.sleep(msMax, ended.signal)]);
  ended.abort();
  server.closeAllConnections();
  for (const socket of state.sockets) socket.destroy();
  await closed;
}

function createApp(options: WebhookServerOptions, state: ServerState): express.Express {
  const { config, handler, record, clock, metrics } = options;
  const gauge = metrics.gauge('logtender_admission_in_flight_bytes', 'bytes of the bodies that are read or decided on');
  const budget = createBudget({ bytesMax: config.inFlightBytesMax, gauge });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  const send = (request: Request, response: Response, answer: Answer): void => {
    // A body that was not read is thrown away by node:http as it comes, so that the client gets to read the answer.
    if (!request.complete) request.resume();
    if (state.isDraining) response.setHeader('connection', 'close');
    if (answer.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(answer.retryAfterSeconds));
    response.writeHead(answer.status, {
      'content-type': answer.contentType,
      'content-length': Buffer.byteLength(answer.body),
      'cache-control': 'no-store',
    });
    response.end(answer.body);
  };
  const refuse = (request: Request, response: Response, reason: ReasonCode, startedMs: number): void => {
    const answer = errored(reason);
    record({ reason, status: answer.status, durationMs: clock.monotonic() - startedMs, bytes: 0 });
    send(request, response, answer);
  };
  const mutate = async (request: Request, response: Response, share: Share): Promise<void> => {
    const startedMs = clock.monotonic();
    const refusal = state.isStopping ? 'draining' : refuseByHeaders(request, config.bodyBytesMax);
    if (refusal !== undefined) return refuse(request, response, refusal, startedMs);
    const body = await readBody(request, share, config.bodyBytesMax);
    if (!body.ok) return refuse(request, response, body.reason, startedMs);
    const deadline = new AbortController();
    const timeoutMs = deadlineMs(request.query['timeout'], config.requestMsMax);
    const ended = new AbortController();
    void clock.sleep(timeoutMs, ended.signal).then(() => deadline.abort());
    const answer = await handler.handle(body.bytes, { startedMs, signal: deadline.signal });
    ended.abort();
    send(request, response, answer);
  };
  app.use((_request, response, next) => {
    state.active += 1;
    response.once('close', () => {
      state.active -= 1;
      if (state.active === 0) state.onIdle();
    });
    next();
  });
  app.post(PATH, (request, response) => {
    const share = budget.open();
    response.once('close', () => share.release());
    return mutate(request, response, share);
  });
  app.all(PATH, (request, response) => refuse(request, response, 'wrong_method', clock.monotonic()));
  app.use((request, response) => refuse(request, response, 'unknown_path', clock.monotonic()));
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    options.log.error('request failed', { error: error instanceof Error ? error.name : 'unknown' });
    if (response.headersSent) response.destroy();
    else refuse(request, response, 'internal_error', clock.monotonic());
  });
  return app;
}

/** `?timeout=5s` as API servers send it; a tenth is left for the way back, so that our words arrive and not a broken connection. */
function deadlineMs(query: unknown, msMax: number): number {
  const seconds = typeof query === 'string' ? /^(\d{1,4})s$/.exec(query)?.[1] : undefined;
  const asked = seconds === undefined ? msMax : Number(seconds) * 1000;
  return Math.max(1, Math.min(asked, msMax) * 0.9);
}
