/**
 * Connections that node:http gives up on: bytes that are no HTTP, and headers or bodies that take too long.
 *
 * Invariant: a connection on which nothing was ever sent is not cut here. Node starts the clocks for headers and body anew with the first
 * byte of each request, but the first time already with the connection. Go's transport dials connections in advance, keeps them for 90 s,
 * and does not repeat a request that a fresh one lost. After it was reported once, such a connection has no such clock until its first
 * byte; how long it may be idle is up to the timeout of the socket, which any byte restarts. Sources: Node.js documentation, http.Server
 * (event `clientError`, `headersTimeout`, `timeout`); Node.js, node_http_parser.cc (Initialize, on_message_begin, Expired); Go, net/http,
 * Transport (shouldRetryRequest).
 * May import: nothing.
 */
import type { Socket } from 'node:net';

/** Status line of what is said before the line is cut. */
const ANSWERS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};
const MALFORMED = '400 Bad Request';

/** The listener for `clientError`: says in a status line what is wrong, where that can still be read, and cuts the line. */
export function endFaulty(error: NodeJS.ErrnoException, socket: Socket): void {
  const code = error.code ?? '';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) return;
  if (socket.writable && code !== 'ECONNRESET') {
    socket.write(`HTTP/1.1 ${ANSWERS[code] ?? MALFORMED}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  }
  socket.destroy();
}
