/**
 * Connections from pods to a server on this machine's loopback: bytes, as they are, with back pressure.
 *
 * May import: node:.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Relay {
  /** Port at the address that it was given. */
  readonly port: number;
  stop(): Promise<void>;
}

/** Listens at `address` for a server at 127.0.0.1:`port`, which may come and go. */
export async function startRelay(address: string, port: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // An end of one side is the end of both; errors end in "close" as well.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, address);
  await once(server, 'listening');
  // It must not keep a finished run alive.
  server.unref();
  const bound = server.address();
  return {
    port: bound !== null && typeof bound === 'object' ? bound.port : 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
