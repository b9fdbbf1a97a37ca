/**
 * A destination that counts and forgets, in a process of its own: answers as Elasticsearch, CloudWatch Logs or S3 do.
 *
 * Started by forwarder.ts with a fork: gets its orders as the first message, reports over the same channel.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { bulkAnswer, infoAnswer } from './bulk-answer.ts';
import { LineCounter } from './numbered-lines.ts';
import { endWithParent } from './process-under-test.ts';

export interface DiscardOrders {
  readonly kind: 'elasticsearch' | 'cloudwatch' | 's3';
  readonly lines: number;
  /** PEM of key and certificate: TLS. */
  readonly tls: { readonly key: string; readonly cert: string } | undefined;
  /** So long nobody listens on the port after it was reported. */
  readonly absentMs: number;
}

/** Asks for the counts, or for an absence of the server. */
export type DiscardRequest = 'count' | { readonly absentMs: number };

export type DiscardReport =
  | { readonly report: 'listening'; readonly port: number }
  /** Every number has been seen. */
  | { readonly report: 'complete' }
  | { readonly report: 'left' }
  | ({ readonly report: 'counted' } & Counts);

export interface Counts {
  readonly lost: number;
  readonly duplicates: number;
  /** From the first lines' arrival to the answer to the last ones that were new, on the monotonic clock. */
  readonly elapsedMs: number;
  /** User and system time of this process between the two. */
  readonly cpuMs: number;
}

process.once('message', (orders: DiscardOrders) => void serve(orders));

async function serve(orders: DiscardOrders): Promise<void> {
  const counter = new LineCounter(orders.lines);
  const stopwatch = new Stopwatch();
  const listener: RequestListener = (request, response) => {
    const isBulk = request.method === 'POST' || request.method === 'PUT';
    if (!isBulk && orders.kind === 'elasticsearch')
      return send(response, 'application/json', infoAnswer(request.url ?? '/'));
    stopwatch.start();
    read(request, (raw) => {
      const before = counter.distinct;
      const body = plain(raw);
      const found = counter.count(body);
      answer(orders.kind, { url: request.url ?? '/', body, documents: found }, response);
      if (counter.distinct === before) return;
      stopwatch.lap();
      if (counter.lost === 0) tell({ report: 'complete' });
    });
  };
  const server: Server = orders.tls === undefined ? createServer(listener) : createTlsServer(orders.tls, listener);
  endWithParent();
  const port = await listen(server, 0);
  process.on('message', (request: DiscardRequest) => {
    if (request === 'count')
      tell({ report: 'counted', lost: counter.lost, duplicates: counter.duplicates, ...stopwatch.reading });
    else void leave(server, port, request.absentMs).then(() => tell({ report: 'left' }));
  });
  if (orders.absentMs > 0) await leave(server, port, orders.absentMs);
  tell({ report: 'listening', port });
}

/** Nobody listens on the port from now on, until the time is over. */
async function leave(server: Server, port: number, absentMs: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
  setTimeout(() => void listen(server, port), absentMs);
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

function tell(report: DiscardReport): void {
  process.send?.(report);
}

function read(request: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  const isZipped = request.headers['content-encoding'] === 'gzip';
  request.on('end', () => done(isZipped ? gunzipSync(Buffer.concat(chunks)) : Buffer.concat(chunks)));
}

/** Objects of S3 come compressed: gzip by its two magic bytes (RFC 1952). */
function plain(body: Buffer): Buffer {
  return body[0] === 0x1f && body[1] === 0x8b ? gunzipSync(body) : body;
}

/** S3: nothing but the status. Elasticsearch: one item per document, with what was asked for; CloudWatch Logs: PutLogEvents. */
function answer(
  kind: DiscardOrders['kind'],
  { url, body, documents }: { readonly url: string; readonly body: Buffer; readonly documents: number },
  response: ServerResponse,
): void {
  if (kind === 'elasticsearch') send(response, 'application/json', bulkAnswer(url, body, documents));
  else if (kind === 'cloudwatch') send(response, 'application/x-amz-json-1.1', '{"nextSequenceToken":"1"}');
  else send(response, 'application/xml', '');
}

function send(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, { 'content-type': type, 'content-length': String(body.length) });
  response.end(body);
}

/** Time and CPU of this process from the first request to the last that brought something new. */
class Stopwatch {
  reading: Pick<Counts, 'elapsedMs' | 'cpuMs'> = { elapsedMs: 0, cpuMs: 0 };
  #begin: { readonly ms: number; readonly cpu: NodeJS.CpuUsage } | undefined;

  start(): void {
    this.#begin ??= { ms: performance.now(), cpu: process.cpuUsage() };
  }

  lap(): void {
    if (this.#begin === undefined) return;
    const { user, system } = process.cpuUsage(this.#begin.cpu);
    this.reading = { elapsedMs: performance.now() - this.#begin.ms, cpuMs: (user + system) / 1000 };
  }
}
