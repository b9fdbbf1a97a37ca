/**
 * An HTTP proxy on loopback as RFC 9110 describes it: CONNECT makes a tunnel (section 9.3.6), a request in absolute form is passed on
 * (section 7.1).
 */
import { createServer, request as httpRequest } from 'node:http';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export class ConnectProxy {
  /** Method and target of what went through. */
  readonly seen: string[] = [];
  readonly #onSeen: (line: string) => void;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(onSeen: (line: string) => void = () => {}) {
    this.#onSeen = onSeen;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server?.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const target = new URL(request.url ?? '');
      this.#see(`${request.method ?? ''} ${target.host}`);
      const { method, headers } = request;
      const onward = httpRequest(target, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    });
    server.on('connect', (request, client: Socket) => {
      this.#see(`CONNECT ${request.url ?? ''}`);
      const { hostname, port } = new URL(`http://${request.url ?? ''}`);
      const upstream = connect(Number(port), hostname, () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        client.pipe(upstream).pipe(client);
      });
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => this.#sockets.delete(socket));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#server = server;
  }

  #see(line: string): void {
    this.seen.push(line);
    this.#onSeen(line);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}
