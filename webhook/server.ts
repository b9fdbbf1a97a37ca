/**
 * HTTPS in front of the handler: routes, limits, certificate change, drain. The only file that loads express.
 *
 * Invariants: HTTP/1.1 over TLS of the configured version alone; a bad certificate never replaces a good one; nothing of a request is
 * read before its path and headers were judged; after `drain` began every answer closes its connection. Limits and their reasons: Node.js
 * documentation of http.Server and tls.createServer; API server client: idle connections live 90 s.
 * May import: core, config, certs.
 */
import type { ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

import express from 'express';
import type { NextFunction, Request, Response } from 'express';

import type { ServingCertificate } from '../certs/certificate-source.ts';
import type { WebhookServerConfig } from '../src/config/webhook-config.ts';
import type { Clock } from '../src/core/clock.ts';
import { MiB } from '../src/core/limits.ts';
import { listen } from '../src/core/listen.ts';
import { readBody, refuseByHeaders } from './body.ts';
import { endFaulty } from './client-errors.ts';
import { trackConnections } from './connections.ts';
import type { Connections } from './connections.ts';
import { Deadline, deadlineMs } from './deadline.ts';
import type { Handler } from './handler.ts';
import { followCertificates, watchHandshakes } from './handshakes.ts';
import type { HandshakeOptions } from './handshakes.ts';
import { createBudget } from './in-flight.ts';
import type { Share } from './in-flight.ts';
import { createPathGate } from './path-gate.ts';
import type { PathGate } from './path-gate.ts';
import type { ReasonCode } from './reasons.ts';
import type { RequestRecord } from './requests.ts';
import { errored } from './response.ts';
import type { Answer } from './response.ts';
import { secureContext } from './tls-options.ts';
import { createWorkQueue } from './work-queue.ts';

export interface WebhookServerOptions extends HandshakeOptions {
  readonly config: WebhookServerConfig;
  readonly handler: Handler;
  /** Which path is answered; `/mutate` by default. */
  readonly isOurPath?: PathGate | undefined;
  /** How long a connection may be idle, before its first request as between two; 120 s by default. */
  readonly idleMsMax?: number;
  readonly record: (record: RequestRecord) => void;
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
/** Of a body that was refused so much is still thrown away for the sake of a client that reads its answer last; then the line is cut. */
const DISCARD_BYTES_MAX = 16 * MiB;

interface ServerState {
  isDraining: boolean;
  isStopping: boolean;
  readonly connections: Connections;
}

/** Listens, and resolves when it does; rejects when the port is taken. */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { config, certificates, clientAuth, idleMsMax = KEEP_ALIVE_MS, clock } = options;
  const connections = trackConnections({ monotonic: clock.monotonic, handshakeMsMax: HANDSHAKE_MS_MAX });
  const state: ServerState = { isDraining: false, isStopping: false, connections };
  const context = (certificate: ServingCertificate | undefined): ReturnType<typeof secureContext> =>
    secureContext({ certificate, minVersion: config.tlsMinVersion, clientCaPem: clientAuth?.caPem() });
  const server = https.createServer(
    {
      ...context(certificates.current()),
      ALPNProtocols: ['http/1.1'],
      requestCert: clientAuth !== undefined,
      rejectUnauthorized: clientAuth !== undefined,
      handshakeTimeout: HANDSHAKE_MS_MAX,
      headersTimeout: Math.min(HEADERS_MS_MAX, config.requestMsMax),
      requestTimeout: config.requestMsMax,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: idleMsMax,
    },
    createApp(options, state),
  );
  server.maxConnections = CONNECTIONS_MAX;
  // keepAliveTimeout counts from an answer on; this is the same for connections that never had one.
  server.timeout = idleMsMax;
  server.on('clientError', endFaulty);
  watchHandshakes(server, options, connections);
  const stopWatching = followCertificates(server, options, { context, connections });
  await listen(server, config.port, config.host);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    isDraining: () => state.isDraining,
    drain: async () => {
      state.isDraining = true;
      await clock.sleep(config.drainMs);
      state.isStopping = true;
      await close(server, connections, config.requestMsMax, clock);
      stopWatching();
    },
  };
}

/**
 * Stops listening, waits for the requests in flight, and ends every connection.
 *
 * API servers hold connections on which they never asked anything: for Node they are not idle, so counting requests is up to us.
 */
async function close(server: https.Server, connections: Connections, msMax: number, clock: Clock): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const ended = new AbortController();
  await Promise.race([connections.idle(), clock.sleep(msMax, ended.signal)]);
  ended.abort();
  server.closeAllConnections();
  connections.destroy();
  await closed;
}

function createApp(options: WebhookServerOptions, state: ServerState): express.Express {
  const { config, isOurPath = createPathGate(undefined), record, clock } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  const send = (request: Request, response: Response, answer: Answer): void => {
    if (!request.complete) discard(request);
    if (state.isDraining || state.connections.isOld(request.socket)) response.setHeader('connection', 'close');
    writeAnswer(response, answer);
  };
  const refuse = (request: Request, response: Response, reason: ReasonCode, startedMs = clock.monotonic()): void => {
    const answer = errored(reason);
    record({ reason, status: answer.status, durationMs: clock.monotonic() - startedMs, bytes: 0 });
    send(request, response, answer);
  };
  const mutate = createMutate(options, { state, send, refuse });
  app.use((request, response) => {
    response.once('close', state.connections.asked());
    if (!isOurPath(request.path)) return refuse(request, response, 'unknown_path');
    if (request.method !== 'POST') return refuse(request, response, 'wrong_method');
    const refusal = state.isStopping ? 'draining' : refuseByHeaders(request, config.bodyBytesMax);
    return refusal === undefined ? mutate(request, response) : refuse(request, response, refusal);
  });
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    options.log.error('request failed', { error: error instanceof Error ? error.name : 'unknown' });
    if (response.headersSent) response.destroy();
    else refuse(request, response, 'internal_error');
  });
  return app;
}

interface Replies {
  readonly state: ServerState;
  readonly send: (request: Request, response: Response, answer: Answer) => void;
  readonly refuse: (request: Request, response: Response, reason: ReasonCode, startedMs?: number) => void;
}

/** Reads a body within its limits, waits for its turn, and has it decided on. */
function createMutate(
  { config, handler, clock, metrics }: WebhookServerOptions,
  { send, refuse }: Replies,
): (request: Request, response: Response) => Promise<void> {
  const gauge = metrics.gauge(
    'logtender_admission_in_flight_bytes',
    'Bytes of the bodies that are read or decided on.',
  );
  const budget = createBudget({ bytesMax: config.inFlightBytesMax, gauge });
  const queue = createWorkQueue({ clock });
  const decide = async (body: Buffer, startedMs: number, request: Request): Promise<Answer> => {
    const lengthMs = (): number => deadlineMs(request.query['timeout'], config.requestMsMax);
    const deadline = new Deadline({ clock, startedMs, lengthMs });
    try {
      return await handler.handle(body, deadline);
    } finally {
      deadline.end();
    }
  };
  return async (request, response) => {
    const startedMs = clock.monotonic();
    const place = queue.enter(Number(request.headers['content-length'] ?? 0));
    if (place === undefined) return refuse(request, response, 'overloaded', startedMs);
    const share: Share = budget.open();
    response.once('close', () => {
      share.release();
      place.leave();
    });
    const body = await readBody(request, share, config.bodyBytesMax);
    if (!body.ok) return refuse(request, response, body.reason, startedMs);
    const { bytes } = body;
    const answer = place.run(bytes.length, () => decide(bytes, startedMs, request));
    send(request, response, await answer);
  };
}

/** Throws away what still comes of a body, so that the client gets to read the answer; too much of it ends the connection. */
function discard(request: Request): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > DISCARD_BYTES_MAX) request.destroy();
  });
}

function writeAnswer(response: ServerResponse, answer: Answer): void {
  if (answer.retryAfterSeconds !== undefined) response.setHeader('retry-after', String(answer.retryAfterSeconds));
  response.writeHead(answer.status, {
    'content-type': answer.contentType,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
  });
  response.end(answer.body);
}
