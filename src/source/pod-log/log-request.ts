/**
 * One request for the log of a container of our own pod, and what the API server says to it, as values.
 *
 * GET /api/v1/namespaces/{ns}/pods/{pod}/log (API reference, "Pod v1 core", read log of the specified Pod). May import: core, config, source,
 * node:.
 */
import { Agent } from 'node:https';
import type { IncomingMessage } from 'node:http';

import { errorText } from '../../core/errors.ts';
import { KiB } from '../../core/limits.ts';
import { apiGet, KEEP_ALIVE_MS } from './api-request.ts';

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
  /** The pod is not known, any more or not yet. */
  | { readonly status: 'unknown'; readonly text: string }
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
      const target = new URL(`${base}?${parameters(query)}`, url);
      const answer = await apiGet(target, { tokenDir, agent, signal });
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

async function judge(answer: IncomingMessage): Promise<LogAnswer> {
  const status = answer.statusCode ?? 0;
  if (status === 200) return { status: 'open', stream: answer };
  const text = `${status}: ${await refusalOf(answer)}`;
  if (status === 401 || status === 403) return { status: 'forbidden', text };
  // Waits to start, or no previous one.
  if (status === 400) return { status: 'absent', text };
  if (status === 404) return { status: 'unknown', text };
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
