/**
 * One request for the log of a container of our own pod, and what the API server says to it, as values.
 *
 * GET /api/v1/namespaces/{ns}/pods/{pod}/log (API reference, "Pod v1 core", read log of the specified Pod). The token is read anew for
 * each request: the kubelet replaces it before it ends. May import: core, config, node:.
 */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';

import { errorText } from '../../core/errors.ts';
import { KiB } from '../../core/limits.ts';

/** A peer that is gone without a word is noticed so: probes begin after this time of silence (tcp(7), TCP_KEEPIDLE). */
const KEEP_ALIVE_MS = 15_000;
/** What a refusal says is read this far. */
const REFUSAL_BYTES_MAX = 4 * KiB;

export interface LogQuery {
  readonly container: string;
  readonly follow?: boolean;
  /** The start of the container before this one. */
  readonly previous?: boolean;
  /** Seconds since the epoch; undefined: from the beginning. */
  readonly sinceSecond?: number | undefined;
  readonly bytesMax?: number;
}

export type LogAnswer =
  | { readonly status: 'open'; readonly stream: AsyncIterable<unknown> }
  /** There is no such log (yet): the container waits to start, or has not been started before. */
  | { readonly status: 'absent'; readonly text: string }
  | { readonly status: 'forbidden'; readonly text: string }
  | { readonly status: 'unreachable'; readonly text: string };

/** Asks; resolves with the head of the answer. Never rejects. */
export type OpenLog = (query: LogQuery, signal: AbortSignal) => Promise<LogAnswer>;

export interface LogServer {
  /** `https://host:port`. */
  readonly url: URL;
  /** Folder with `token` and `ca.crt`. */
  readonly tokenDir: string;
  readonly namespace: string;
  readonly pod: string;
}

/** The API server as the kubelet names it to every container (Kubernetes, "Accessing the API from within a Pod"). */
export function apiServerUrl(env: Readonly<Record<string, string | undefined>>): URL | undefined {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') return undefined;
  return URL.parse(`https://${host.includes(':') ? `[${host}]` : host}:${port}`) ?? undefined;
}

/** A way to ask this server. `close` ends its idle connections. */
export function createOpenLog({ url, tokenDir, namespace, pod }: LogServer): { open: OpenLog; close: () => void } {
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS });
  const base = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`;
  const open: OpenLog = async (query, signal) => {
    try {
      const [token, ca] = await Promise.all([
        readFile(join(tokenDir, 'token'), 'utf8'),
        readFile(join(tokenDir, 'ca.crt'), 'utf8').catch(() => undefined),
      ]);
      const target = new URL(`${base}?${parameters(query)}`, url);
      const headers = { authorization: `Bearer ${token.trim()}`, 'user-agent': 'logtender', accept: '*/*' };
      const answer = await send(target, { agent, headers, signal, ...(ca === undefined ? {} : { ca }) });
      return await judge(answer);
    } catch (error) {
      return { status: 'unreachable', text: errorText(error) };
    }
  };
  return { open, close: () => agent.destroy() };
}

function parameters({ container, follow, previous, sinceSecond, bytesMax }: LogQuery): string {
  const query = new URLSearchParams({ container, timestamps: 'true' });
  if (follow === true) query.set('follow', 'true');
  if (previous === true) query.set('previous', 'true');
  if (sinceSecond !== undefined) query.set('sinceTime', `${new Date(sinceSecond * 1000).toISOString().slice(0, 19)}Z`);
  if (bytesMax !== undefined) query.set('limitBytes', String(bytesMax));
  return query.toString();
}

function send(url: URL, options: Parameters<typeof request>[1]): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, options);
    outgoing.once('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.end();
  });
}

async function judge(answer: IncomingMessage): Promise<LogAnswer> {
  const status = answer.statusCode ?? 0;
  if (status === 200) return { status: 'open', stream: answer };
  const text = `${status}: ${await refusalOf(answer)}`;
  if (status === 401 || status === 403) return { status: 'forbidden', text };
  // 400: waits to start, or no previous one; 404: the pod is not known (any more).
  if (status === 400 || status === 404) return { status: 'absent', text };
  return { status: 'unreachable', text };
}

async function refusalOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= REFUSAL_BYTES_MAX) break;
  }
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'message' in body) return String(body.message);
  } catch {
    // No Status object: its text then.
  }
  return text.slice(0, 256);
}
