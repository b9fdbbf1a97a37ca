/**
 * Reads the body of one request within its limits.
 *
 * Invariants: never more than the limit in memory, whatever Content-Length says; the budget is asked before bytes are kept.
 * May import: core.
 */
import type { IncomingMessage } from 'node:http';

import type { Share } from './in-flight.ts';
import type { ReasonCode } from './reasons.ts';

export type Body = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly reason: ReasonCode };

/** What the headers alone say against a request, before any of its body is read. */
export function refuseByHeaders(request: IncomingMessage, bodyBytesMax: number): ReasonCode | undefined {
  // Anything may follow the media type: `application/json; charset=utf-8`.
  if (!/^application\/json\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')) return 'media_type';
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') return 'body_encoding';
  return Number(request.headers['content-length'] ?? 0) > bodyBytesMax ? 'body_too_large' : undefined;
}

/** The whole body, or why not. */
export function readBody(request: IncomingMessage, share: Share, bodyBytesMax: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let isDone = false;
    const refuse = (reason: ReasonCode): void => {
      if (isDone) return;
      isDone = true;
      request.removeAllListeners('data');
      chunks.length = 0;
      resolve({ ok: false, reason });
    };
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > bodyBytesMax) return refuse('body_too_large');
      if (!share.take(chunk.length)) return refuse('overloaded');
      chunks.push(chunk);
    });
    request.once('end', () => {
      // Every request closes after its end: there is nothing to be refused any more.
      isDone = true;
      const [only] = chunks;
      resolve({ ok: true, bytes: chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, length) });
    });
    request.once('error', () => refuse('body_aborted'));
    request.once('close', () => refuse('body_aborted'));
  });
}
