/**
 * Takes connections and never answers: a proxy, an STS or a metadata endpoint that hangs. May import: node: only.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export class SilentServer {
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    // Without a reader the end of the other side would never be seen.
    socket.resume();
    this.#asked();
  });
  #asked: () => void = () => {};
  /** Resolves with the first connection. */
  readonly asked = new Promise<void>((resolve) => {
    this.#asked = resolve;
  });

  /** Listens on loopback and gives its URL. */
  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
