/**
 * One HTTP request and its answer over node:http or node:https, every outcome as a value.
 *
 * Invariants: it never rejects, never follows a redirect, never reads more than `answerBytesMax`, always ends within `timeoutMs`.
 * node:https is loaded only when a URL asks for it. A proxy is the agent's own work (Node.js documentation, http.Agent, `proxyEnv`,
 * since 24.5): CONNECT for https, the absolute form for http. May import: core, config.
 */
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { LookupFunction } from 'node:net';
import type { ProxySettings } from '../config/forwarder-config.ts';
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';

export type Exchange =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: IncomingMessage['headers'];
      readonly body: Buffer;
    }
  | {
      readonly kind: 'failed';
      readonly reason: 'unreachable' | 'timeout' | 'aborted' | 'answer_too_large';
      readonly text: string;
      /** Code of Node.js for what became of the connection, where it gives one. */
      readonly code?: string | undefined;
      /** There was no connection in all that time: nothing went out. */
      readonly isUnsent?: boolean;
    };

export interface ExchangeRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: readonly Buffer[];
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  readonly signal: AbortSignal;
}

export interface HttpConnection {
  exchange(request: ExchangeRequest): Promise<Exchange>;
  close(): void;
}

/** Connections that wait for the next request; a lane has one request in flight, a second one covers a server that is closing. */
const IDLE_SOCKETS_MAX = 2;

/** Why the wait for an answer ends early. The default reason is an exception with a stack, made for each request. */
const SETTLED = Symbol('settled');

export interface ConnectionOptions {
  readonly url: URL;
  /** PEM of the CA that signed the server's certificate; undefined trusts the system's. */
  readonly ca: string | undefined;
  /** PEM of certificate and key that the client proves itself with. */
  readonly client?: { readonly cert: string; readonly key: string } | undefined;
  readonly proxy?: ProxySettings;
  /** How a host name becomes an address; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined;
  readonly clock: Clock;
}

/** A keep-alive connection to the server of `url`. */
export async function openConnection(options: ConnectionOptions): Promise<HttpConnection> {
  const { url, ca, client, proxy = {}, lookup, clock } = options;
  const isTls = url.protocol === 'https:';
  const http = isTls ? await import('node:https') : await import('node:http');
  const agent: Agent = new http.Agent({
    keepAlive: true,
    maxFreeSockets: IDLE_SOCKETS_MAX,
    ...(ca === undefined ? {} : { ca }),
    ...(client === undefined ? {} : client),
    ...(Object.keys(proxy).length === 0 ? {} : { proxyEnv: { ...proxy } }),
  });
  const target: RequestOptions = {
    protocol: url.protocol,
    // A literal IPv6 address stands in brackets in a URL, but not in a socket's options.
    hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isTls ? 443 : 80) : url.port,
    agent,
    ...(lookup === undefined ? {} : { lookup }),
  };
  return {
    exchange: (request) => send((onAnswer) => http.request(requestOptions(target, request), onAnswer), request, clock),
    close: () => agent.destroy(),
  };
}

function requestOptions(target: RequestOptions, request: ExchangeRequest): RequestOptions {
  const length = request.body.reduce((sum, slice) => sum + slice.length, 0);
  return {
    ...target,
    method: request.method,
    path: request.path,
    headers: { ...request.headers, 'content-length': String(length) },
  };
}

function send(
  open: (onAnswer: (answer: IncomingMessage) => void) => ClientRequest,
  request: ExchangeRequest,
  clock: Clock,
): Promise<Exchange> {
  return new Promise((resolve) => {
    const timer = new AbortController();
    let outgoing: ClientRequest | undefined;
    let isSettled = false;
    const settle = (exchange: Exchange): void => {
      if (isSettled) return;
      isSettled = true;
      timer.abort(SETTLED);
      request.signal.removeEventListener('abort', onAbort);
      resolve(exchange);
      // A whole answer leaves the socket to the agent; after anything else nobody knows what still comes.
      if (exchange.kind === 'failed') outgoing?.destroy();
    };
    const onAbort = (): void => settle({ kind: 'failed', reason: 'aborted', text: 'the request was given up' });
    const onError = (error: unknown): void => settle(unreachable(error));
    if (request.signal.aborted) return onAbort();
    request.signal.addEventListener('abort', onAbort);
    const text = `no answer within ${request.timeoutMs} ms`;
    void clock.sleep(request.timeoutMs, timer.signal).then(() => {
      const isUnsent = outgoing?.socket?.connecting !== false;
      settle({ kind: 'failed', reason: 'timeout', text, isUnsent });
    });
    try {
      // It throws for what a Secret may hold: a header with a control character, a CA that is no PEM.
      outgoing = open((answer) => readAnswer(answer, request, settle));
      outgoing.on('error', onError);
      for (const slice of request.body) outgoing.write(slice);
      outgoing.end();
    } catch (error) {
      onError(error);
    }
    return undefined;
  });
}

function readAnswer(answer: IncomingMessage, request: ExchangeRequest, settle: (exchange: Exchange) => void): void {
  const status = answer.statusCode ?? 0;
  const chunks: Buffer[] = [];
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > request.answerBytesMax) {
      const text = `the answer (${status}) is longer than ${request.answerBytesMax} bytes`;
      settle({ kind: 'failed', reason: 'answer_too_large', text });
    }
  });
  // An answer that was cut is an error: the connection did not work.
  answer.on('error', (error) => settle(unreachable(error)));
  answer.on('end', () => settle({ kind: 'answer', status, headers: answer.headers, body: Buffer.concat(chunks) }));
}

function unreachable(error: unknown): Exchange & { kind: 'failed' } {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { kind: 'failed', reason: 'unreachable', text: errorText(error), code };
}
