/**
 * One address in front of several servers on loopback, as a Service with its endpoints is: each new connection goes to the next
 * backend in turn.
 *
 * Invariant: connections that are open stay where they are when a backend is taken out, as they do under kube-proxy.
 * May import: node:.
 */
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export class LoadBalancer {
  readonly #server: Server;
  readonly #backends: number[] = [];
  readonly #sockets = new Set<Socket>();
  #turn = 0;
  #accepted = 0;

  constructor() {
    this.#server = createServer((client) => this.#accept(client));
  }

  /** Listens on 127.0.0.1 and gives the port. Without a backend connections are refused as soon as they are made. */
  async start(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** From now on the server at that port gets its share of the new connections. */
  add(port: number): void {
    assert(!this.#backends.includes(port), 'a backend is added once');
    this.#backends.push(port);
  }

  /** From now on it gets none. */
  remove(port: number): void {
    const index = this.#backends.indexOf(port);
    if (index >= 0) this.#backends.splice(index, 1);
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    const port = this.#backends[this.#turn % this.#backends.length];
    this.#turn += 1;
    if (port === undefined) {
      client.destroy();
      return;
    }
    const backend = connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      // An end of one side reaches the other after the bytes before it; an error ends both.
      socket.on('error', () => other.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
      socket.pipe(other);
    }
  }
}
