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
import { LineCounter } from './numbered-lines.ts';

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
  /** Every number has been seen. Times are those of the first request's arrival and the last answer, on the monotonic clock. */
  | { readonly report: 'complete'; readonly elapsedMs: number; readonly cpuMs: number }
  | { readonly report: 'left' }
  | { readonly report: 'counted'; readonly lost: number; readonly duplicates: number };

process.once('message', (orders: DiscardOrders) => void serve(orders));

async function serve(orders: DiscardOrders): Promise<void> {
  const counter = new LineCounter(orders.lines);
  let firstMs: number | undefined;
  let isComplete = false;
  let cpuBefore = process.cpuUsage();
  const listener: RequestListener = (request, response) => {
    if (firstMs === undefined) {
      firstMs = performance.now();
      cpuBefore = process.cpuUsage();
    }
    read(request, (body) => {
      const found = counter.count(plain(body));
      answer(orders.kind, found, response);
      if (counter.lost > 0 || isComplete) return;
      isComplete = true;
      const cpu = process.cpuUsage(cpuBefore);
      tell({
        report: 'complete',
        elapsedMs: performance.now() - (firstMs ?? 0),
        cpuMs: (cpu.user + cpu.system) / 1000,
      });
    });
  };
  const server: Server = orders.tls === undefined ? createServer(listener) : createTlsServer(orders.tls, listener);
  process.once('disconnect', () => process.exit(0));
  const port = await listen(server, 0);
  process.on('message', (request: DiscardRequest) => {
    if (request === 'count') tell({ report: 'counted', lost: counter.lost, duplicates: counter.duplicates });
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

/** S3: nothing but the status. Elasticsearch: one item per document, as with `filter_path=errors,items.*.status,items.*.error`; CloudWatch Logs: PutLogEvents. */
function answer(kind: DiscardOrders['kind'], documents: number, response: ServerResponse): void {
  const items = Array.from({ length: documents }, () => '{"create":{"status":201}}').join(',');
  const [type, body] = {
    elasticsearch: ['application/json', `{"errors":false,"items":[${items}]}`],
    cloudwatch: ['application/x-amz-json-1.1', '{"nextSequenceToken":"1"}'],
    s3: ['application/xml', ''],
  }[kind] as [string, string];
  response.writeHead(200, { 'content-type': type, 'content-length': String(body.length) });
  response.end(body);
}
