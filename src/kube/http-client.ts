/**
 * The KubeClient of a real API server: node:https with kept connections, JSON, bounded answers, bounded waits.
 *
 * Invariants: nothing the server or network does is thrown; a read on a kept connection that the server had just closed is
 * repeated once, a write never (it may have happened). May import: core, config.
 */
import http from 'node:http';
import https from 'node:https';

import { errorText } from '../core/errors.ts';
import { MiB } from '../core/limits.ts';
import { failureOf, isRecord, noAnswer, toKubeObject } from './client.ts';
import type { KubeClient, KubeFailure, KubeList, KubeObject, KubeResult, Query } from './client.ts';
import type { KubeConnection } from './kubeconfig.ts';
import { readWatch } from './watch-stream.ts';

/** The API server's own bound is 60 s (`--request-timeout`); a control loop that ticks each 30 s should know sooner. */
const TIMEOUT_MS = 10_000;

/** Largest answer: a page of 500 objects of 100 KiB. etcd's bound for one object is 1.5 MiB. */
const ANSWER_BYTES_MAX = 64 * MiB;

/** A watch whose connection is dead without a FIN is noticed by TCP keep-alive well before the informer's idle bound. */
const KEEP_ALIVE_MS = 15_000;

/** Answers as the API server gives them, before they become typed. */
interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly stream: http.IncomingMessage;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Query | undefined;
  readonly accept?: string | undefined;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A client for one API server. */
export function createKubeClient(connection: KubeConnection): KubeClient {
  const isPlain = connection.server.protocol === 'http:';
  const agentOptions = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS };
  const agent = isPlain ? new http.Agent(agentOptions) : new https.Agent(agentOptions);

  let dateMs: number | undefined;
  const open = async (call: Call, signal: AbortSignal): Promise<Answer> => {
    const credentials = await connection.credentials();
    const options: https.RequestOptions = {
      agent,
      ...credentials,
      method: call.method,
      headers: headersOf(call, credentials.headers),
      signal,
    };
    const url = urlOf(connection.server, call.path, call.query);
    const answer = await send(isPlain ? http.request : https.request, url, options, call.body);
    const sentMs = Date.parse(answer.headers.date ?? '');
    dateMs = Number.isNaN(sentMs) ? undefined : sentMs;
    return answer;
  };

  const json = async (call: Call): Promise<KubeResult<unknown>> => {
    const timeout = AbortSignal.timeout(call.timeoutMs ?? TIMEOUT_MS);
    const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]);
    try {
      return await readJson(await open(call, signal));
    } catch (error) {
      return noAnswer(timeout.aborted ? `no answer within ${call.timeoutMs ?? TIMEOUT_MS} ms` : errorText(error));
    }
  };

  const object = async (call: Call): Promise<KubeResult> => {
    const result = await json(call);
    if (!result.ok) return result;
    const value = toKubeObject(result.value);
    return value === undefined ? noAnswer('expected a JSON object, got another JSON value') : { ok: true, value };
  };

  return {
    get: (path, options = {}) => object({ method: 'GET', path, ...options }),
    list: async (path, query, options = {}) => toList(await json({ method: 'GET', path, query, ...options })),
    create: (path, body, options = {}) => object({ method: 'POST', path, body, ...options }),
    update: (path, body, options = {}) => object({ method: 'PUT', path, body, ...options }),
    patch: (path, body, contentType, options = {}) => object({ method: 'PATCH', path, body, contentType, ...options }),
    delete: (path, options = {}) => object({ method: 'DELETE', path, ...options }),
    watch: async (path, query, onEvent, signal, options = {}) => {
      // The first byte must come in time; after that the informer's idle bound decides.
      const opening = new AbortController();
      const timer = setTimeout(() => opening.abort(), TIMEOUT_MS);
      const either = AbortSignal.any([signal, opening.signal]);
      try {
        const answer = await open(
          { method: 'GET', path, query: { ...query, watch: 'true' }, accept: options.accept },
          either,
        );
        clearTimeout(timer);
        if (answer.status !== 200) return asFailure(await readJson(answer));
        return await readWatch(answer.stream, onEvent);
      } catch (error) {
        if (signal.aborted) return { ok: true, value: 'ended' };
        return noAnswer(opening.signal.aborted ? `no answer within ${TIMEOUT_MS} ms` : errorText(error));
      } finally {
        clearTimeout(timer);
      }
    },
    serverDateMs: () => dateMs,
    close: () => agent.destroy(),
  };
}

function urlOf(server: URL, path: string, query: Query | undefined): URL {
  // A server behind a gateway has a base path (Rancher: /k8s/clusters/ID): URL resolution would drop it.
  const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
  for (const [key, value] of Object.entries(query ?? {})) url.searchParams.set(key, value);
  return url;
}

function headersOf(call: Call, credentials: https.RequestOptions['headers']): http.OutgoingHttpHeaders {
  const own: http.OutgoingHttpHeaders = { accept: call.accept ?? 'application/json', 'user-agent': 'logtender' };
  if (call.body !== undefined) own['content-type'] = call.contentType ?? 'application/json';
  return { ...(isRecord(credentials) ? credentials : {}), ...own };
}

type RequestFunction = (url: URL, options: https.RequestOptions) => http.ClientRequest;

/** Sends one request and gives the head of its answer. */
async function send(request: RequestFunction, url: URL, options: https.RequestOptions, body: unknown): Promise<Answer> {
  const once = (): Promise<Answer | 'stale'> =>
    new Promise((resolve, reject) => {
      const outgoing = request(url, options);
      outgoing.once('response', (stream) =>
        resolve({ status: stream.statusCode ?? 0, headers: stream.headers, stream }),
      );
      outgoing.once('error', (error: NodeJS.ErrnoException) => {
        const isStale = outgoing.reusedSocket && error.code === 'ECONNRESET' && options.method === 'GET';
        if (isStale) resolve('stale');
        else reject(error);
      });
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const first = await once();
  if (first !== 'stale') return first;
  const second = await once();
  if (second === 'stale') throw new Error('connection reset twice');
  return second;
}

async function readJson(answer: Answer): Promise<KubeResult<unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.stream) {
    const buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += buffer.length;
    if (bytes > ANSWER_BYTES_MAX) {
      answer.stream.destroy();
      return noAnswer(`expected an answer of at most ${ANSWER_BYTES_MAX} bytes, got more`);
    }
    chunks.push(buffer);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const isSuccess = answer.status >= 200 && answer.status < 300;
  try {
    const value: unknown = JSON.parse(text);
    return isSuccess ? { ok: true, value } : failureOf(answer.status, value, retryAfterMs(answer.headers));
  } catch {
    return isSuccess
      ? noAnswer('expected JSON, got something else')
      : failureOf(answer.status, text, retryAfterMs(answer.headers));
  }
}

/** Retry-After in seconds (RFC 9110 section 10.2.3; the API server sends no dates). */
function retryAfterMs(headers: http.IncomingHttpHeaders): number {
  const seconds = Number(headers['retry-after'] ?? '0');
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

function asFailure(result: KubeResult<unknown>): KubeFailure {
  return result.ok ? noAnswer('expected a watch stream, got another answer') : result;
}

function toList(result: KubeResult<unknown>): KubeResult<KubeList> {
  if (!result.ok) return result;
  const list = isRecord(result.value) ? result.value : {};
  const items: unknown = list['items'];
  const metadata = toKubeObject(result.value)?.metadata ?? {};
  // `items` is null for an empty list of some types.
  if (!Array.isArray(items) && items !== null) return noAnswer('expected a list with items, got another object');
  const next = metadata['continue'];
  const objects = (items ?? [])
    .map((item: unknown) => toKubeObject(item))
    .filter((item): item is KubeObject => item !== undefined);
  return {
    ok: true,
    value: {
      items: objects,
      resourceVersion: metadata.resourceVersion ?? '',
      next: typeof next === 'string' ? next : '',
    },
  };
}
