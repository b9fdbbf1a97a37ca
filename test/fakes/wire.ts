/**
 * HTTP/1.1 over one TLS connection, byte by byte: what a library's client would not let a test send, and what came back.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';

export interface WireReply {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface Wire {
  readonly socket: TLSSocket;
  send(bytes: string | Buffer): void;
  /** The next whole answer. Rejects when the connection ends before it. */
  reply(): Promise<WireReply>;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  isOpen(): boolean;
  destroy(): void;
}

/** Resolves when the handshake is done; rejects when it fails. */
export async function dial(port: number, options: ConnectionOptions): Promise<Wire> {
  const socket = connect({ host: '127.0.0.1', port, ...options });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('secureConnect', resolve);
  });
  return new RawWire(socket);
}

/** A request as text; Content-Length is that of the body unless the headers say otherwise. */
export function requestText(
  body: string | Buffer,
  options: {
    readonly method?: string;
    readonly path?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Buffer {
  const { method = 'POST', path = '/mutate?timeout=5s', headers = {} } = options;
  const all = {
    host: 'logtender-webhook.logtender.svc',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), Buffer.from(body)]);
}

class RawWire implements Wire {
  readonly socket: TLSSocket;
  readonly closed: Promise<void>;
  readonly #waiting: { resolve: (reply: WireReply) => void; reject: (error: Error) => void }[] = [];
  readonly #replies: WireReply[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #isOpen = true;
  #problem = 'the connection ended';

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      this.#parse();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (this.#problem = error.code ?? error.message));
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isOpen = false;
        for (const { reject } of this.#waiting.splice(0)) reject(new Error(this.#problem));
        resolve();
      });
    });
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  reply(): Promise<WireReply> {
    const ready = this.#replies.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    if (!this.#isOpen) return Promise.reject(new Error(this.#problem));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  isOpen(): boolean {
    return this.#isOpen;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #parse(): void {
    for (;;) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      if (end === -1) return;
      const [first = '', ...lines] = this.#bytes.toString('latin1', 0, end).split('\r\n');
      const headers = new Map(
        lines.map((line): [string, string] => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
      );
      const start = end + 4;
      const length = Number(headers.get('content-length') ?? 0);
      assert(headers.get('transfer-encoding') === undefined, 'our answers have a length');
      if (this.#bytes.length < start + length) return;
      const body = this.#bytes.toString('utf8', start, start + length);
      this.#bytes = this.#bytes.subarray(start + length);
      const reply = { status: Number(first.split(' ')[1]), headers, body };
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#replies.push(reply);
      else waiting.resolve(reply);
    }
  }
}
