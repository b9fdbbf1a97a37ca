/**
 * Bytes between a client and a real server, with the faults of a network: for servers that cannot be told to fail.
 *
 * A fault is for the next request: it begins with the next bytes of the client.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** `cut_before`: the request does not arrive. `cut_after`: it does, its answer is lost. `silence`: nothing arrives or comes. */
export type RelayFault = 'cut_before' | 'cut_after' | 'silence';

export class TcpRelay {
  readonly faults: RelayFault[] = [];
  readonly #upstreamPort: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  /** @param upstreamUrl where the real server listens on loopback */
  constructor(upstreamUrl: string) {
    this.#upstreamPort = Number(new URL(upstreamUrl).port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens, at the same port each time. */
  async start(): Promise<void> {
    const server = createServer((client) => this.#accept(client));
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
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #accept(client: Socket): void {
    const upstream = connect(this.#upstreamPort, '127.0.0.1');
    let fault: RelayFault | undefined;
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      // An end of one side is the end of both; errors end in "close" as well.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (bytes) => {
      fault ??= this.faults.shift();
      if (fault === 'cut_before') client.destroy();
      else if (fault !== 'silence') upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (fault === 'cut_after') client.destroy();
      else client.write(bytes);
    });
  }
}
