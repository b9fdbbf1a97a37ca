/**
 * An HTTP server on loopback that does to each request what its script says: answer, cut the connection, keep silent.
 *
 * Its port stays the same over stop and start, so that a sink can lose it and find it again.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to a request around its handling. */
export type Fault =
  /** The request is read, then the connection is cut; nothing happens. */
  | 'cut_before'
  /** It happens, but the answer is lost. */
  | 'cut_after'
  /** The head and the first bytes of the answer are sent, then the connection is cut. */
  | 'cut_in_answer'
  /** Nothing happens and no answer comes. */
  | 'silence'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Handler = (request: IncomingMessage, body: Buffer) => Answer | Promise<Answer>;

export class ScriptedServer {
  /** Faults of the next requests that the filter lets through, first come first served. */
  readonly faults: Fault[] = [];
  requests = 0;
  readonly #handler: Handler;
  readonly #isScripted: (request: IncomingMessage) => boolean;
  #server: Server | undefined;
  #port = 0;

  /** @param isScripted which requests a fault is for; the others are handled */
  constructor(handler: Handler, isScripted: (request: IncomingMessage) => boolean = () => true) {
    this.#handler = handler;
    this.#isScripted = isScripted;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => this.#read(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  #read(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('error', () => response.destroy());
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => void this.#answer(request, Buffer.concat(chunks), response));
  }

  async #answer(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const fault = this.#isScripted(request) ? this.faults.shift() : undefined;
    if (fault !== undefined) this.requests += 1;
    if (fault === 'silence') return;
    if (fault === 'cut_before') {
      response.destroy();
      return;
    }
    if (typeof fault === 'object') {
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
      response.end(fault.body ?? '');
      return;
    }
    if (fault === undefined) this.requests += 1;
    const answer = await this.#handler(request, body);
    if (fault === 'cut_after') {
      response.destroy();
      return;
    }
    response.writeHead(answer.status, {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(answer.body)),
      ...answer.headers,
    });
    if (fault === 'cut_in_answer') response.write(answer.body.slice(0, 20), () => response.destroy());
    else response.end(answer.body);
  }
}
