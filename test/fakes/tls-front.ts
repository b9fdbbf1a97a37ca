/**
 * TLS before a fake that speaks HTTP, with a cut at every phase of a connection. A fault is for the next connection.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Server as TlsServer, TLSSocket } from 'node:tls';

export type FrontFault =
  /** The connection is taken and closed. */
  | 'connect'
  /** Cut after the client's first words of the handshake. */
  | 'handshake'
  /** The server sees the first bytes of the request. */
  | 'in_request'
  /** The request is done, its answer is lost. */
  | 'before_answer'
  | 'in_answer'
  /** The answer comes byte by byte. */
  | 'slow_answer';

export interface Pair {
  readonly key: string;
  readonly cert: string;
}

/** Of a request, or of an answer, that is cut in it. */
const BYTES_BEFORE_CUT = 40;

export class TlsFront {
  readonly faults: FrontFault[] = [];
  readonly #upstreamPort: number;
  readonly #tcp: Server;
  readonly #tls: TlsServer;
  readonly #sockets = new Set<Socket>();
  readonly #faultOf = new WeakMap<object, FrontFault>();

  constructor(upstreamUrl: string, pair: Pair) {
    this.#upstreamPort = Number(new URL(upstreamUrl).port);
    this.#tls = createTlsServer({ ...pair }, (client) => this.#relay(client));
    // A client that leaves in the handshake.
    this.#tls.on('tlsClientError', (_, client) => client.destroy());
    this.#tcp = createServer((socket) => this.#accept(socket));
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#tcp.address() as AddressInfo).port}`;
  }

  start(): Promise<void> {
    return new Promise((listening) => this.#tcp.listen(0, '127.0.0.1', listening));
  }

  /** Another certificate, and no connection of before. */
  renew(pair: Pair): void {
    this.#tls.setSecureContext({ ...pair });
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): Promise<void> {
    return new Promise((closed) => {
      this.#tcp.close(() => closed());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #accept(socket: Socket): void {
    this.#keep(socket);
    const fault = this.faults.shift();
    if (fault === 'connect') {
      socket.destroy();
      return;
    }
    if (fault === 'handshake') {
      socket.once('data', () => socket.destroy());
      return;
    }
    if (fault !== undefined) this.#faultOf.set(this.#tls, fault);
    this.#tls.emit('connection', socket);
  }

  #relay(client: TLSSocket): void {
    const fault = this.#faultOf.get(this.#tls);
    this.#faultOf.delete(this.#tls);
    const upstream = connect(this.#upstreamPort, '127.0.0.1');
    this.#keep(client);
    this.#keep(upstream);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.on('data', (bytes: Buffer) => {
      if (fault !== 'in_request') upstream.write(bytes);
      else upstream.write(bytes.subarray(0, BYTES_BEFORE_CUT), () => client.destroy());
    });
    upstream.on('data', (bytes: Buffer) => {
      if (fault === 'before_answer') client.destroy();
      else if (fault === 'in_answer') client.write(bytes.subarray(0, BYTES_BEFORE_CUT), () => client.destroy());
      else if (fault === 'slow_answer') for (const byte of bytes) client.write(Buffer.of(byte));
      else client.write(bytes);
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
