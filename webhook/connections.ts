/**
 * The open connections of the server and the requests on them: who has to be told to go, and when all is answered.
 *
 * Invariants: every connection is known, the ones in their handshake too (node:http knows only those that are through); a connection
 * that is asked to end is told so in an answer and never cut, so that no request is lost. May import: core.
 */
import type { Socket } from 'node:net';

export interface Connections {
  /** A TCP connection was accepted. */
  opened(socket: Socket): void;
  /** Its handshake is done; `socket` is the one that requests come on. */
  secured(socket: Socket): void;
  /** A request came; gives the function to call when its answer was sent or its connection ended. */
  asked(): () => void;
  /** From now on every connection that there is (or that shakes hands just now) gets `Connection: close` with its next answer. */
  endOld(): void;
  /** Whether the answer on this connection has to close it. */
  isOld(socket: Socket): boolean;
  /** Resolves when no request is without its answer. */
  idle(): Promise<void>;
  /** Cuts every connection. */
  destroy(): void;
}

/**
 * @param handshakeMsMax a handshake that ends so long after `endOld` may have begun before it, under the old certificate
 */
export function trackConnections(options: {
  readonly monotonic: () => number;
  readonly handshakeMsMax: number;
}): Connections {
  const { monotonic, handshakeMsMax } = options;
  const sockets = new Set<Socket>();
  const securedMs = new WeakMap<Socket, number>();
  let active = 0;
  let oldUntilMs = Number.NEGATIVE_INFINITY;
  let onIdle = (): void => {};
  return {
    opened: (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    },
    secured: (socket) => securedMs.set(socket, monotonic()),
    asked: () => {
      active += 1;
      return () => {
        active -= 1;
        if (active === 0) onIdle();
      };
    },
    endOld: () => {
      oldUntilMs = monotonic() + handshakeMsMax;
    },
    isOld: (socket) => (securedMs.get(socket) ?? Number.POSITIVE_INFINITY) <= oldUntilMs,
    idle: () =>
      new Promise((resolve) => {
        onIdle = resolve;
        if (active === 0) resolve();
      }),
    destroy: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}
