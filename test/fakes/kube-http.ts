/**
 * The API in memory behind HTTP, for processes of ours that talk to an API server: get, list, watch, create, update, patch.
 *
 * No authentication, no admission, no validation; what has to be proven against the real one is proven in test/cluster.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import { createMemoryKube } from '../../src/kube/memory.ts';
import type { KubeClient, KubeResult, Query, WatchEvent } from '../../src/kube/client.ts';

export interface KubeHttp {
  readonly client: KubeClient;
  readonly url: string;
  /** Method and path with query of every request, oldest first. */
  readonly requests: readonly string[];
  /** Delays every answer about this path by `ms`. */
  slow(path: RegExp, ms: number): void;
  close(): Promise<void>;
}

/** A collection has an even number of parts after its group and version, but for the ones of namespaces. */
function isCollection(path: string): boolean {
  const parts = path.replace(/^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\//, '').split('/');
  const inNamespace = parts[0] === 'namespaces' && parts.length > 2 ? parts.slice(2) : parts;
  return inNamespace.length % 2 === 1;
}

/** Listens on loopback. */
export async function startKubeHttp(): Promise<KubeHttp> {
  const client = createMemoryKube();
  const requests: string[] = [];
  let slowed: { readonly path: RegExp; readonly ms: number } | undefined;
  const server = http.createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const url = new URL(request.url ?? '/', 'http://api');
    const query = Object.fromEntries(url.searchParams);
    const run = (): void => void serve(client, request, response, url.pathname, query);
    if (slowed?.path.test(url.pathname) === true) setTimeout(run, slowed.ms);
    else run();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    client,
    requests,
    url: `http://127.0.0.1:${port}`,
    slow: (path, ms) => {
      slowed = { path, ms };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(
  client: KubeClient,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  path: string,
  query: Query,
): Promise<void> {
  if (request.method === 'GET' && query['watch'] === 'true') return watch(client, response, path, query);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const body: unknown = text === '' ? {} : JSON.parse(text);
  if (request.method === 'GET' && isCollection(path)) {
    const listed = await client.list(path, query);
    if (!listed.ok) return answer(response, listed);
    const { items, resourceVersion } = listed.value;
    return json(response, 200, { metadata: { resourceVersion }, items });
  }
  const type = request.headers['content-type'] ?? '';
  switch (request.method) {
    case 'GET':
      return answer(response, await client.get(path));
    case 'POST':
      return answer(response, await client.create(path, body as object));
    case 'PUT':
      return answer(response, await client.update(path, body as object));
    case 'PATCH':
      return answer(response, await client.patch(path, body, type as Parameters<KubeClient['patch']>[2]));
    default:
      return answer(response, await client.delete(path));
  }
}

async function watch(client: KubeClient, response: http.ServerResponse, path: string, query: Query): Promise<void> {
  const ended = new AbortController();
  response.once('close', () => ended.abort());
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  const write = (event: WatchEvent): void => void response.write(`${JSON.stringify(event)}\n`);
  const result = await client.watch(path, query, write, ended.signal);
  if (!result.ok) response.write(`${JSON.stringify({ type: 'ERROR', object: { code: result.status } })}\n`);
  response.end();
}

function answer(response: http.ServerResponse, result: KubeResult<object>): void {
  if (result.ok) return json(response, 200, result.value);
  json(response, result.status ?? 500, { kind: 'Status', code: result.status, message: result.text });
}

function json(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
