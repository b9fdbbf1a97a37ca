/**
 * Requests and answers of AWS JSON 1.1, the protocol of CloudWatch Logs (smithy.io, AWS JSON 1.1 protocol).
 *
 * POST /, the action in X-Amz-Target, errors as `__type` and `message`. May import: node:, test/servers/cloudwatch/rules.ts.
 */
import type http from 'node:http';
import type { Input } from './rules.ts';

const TARGET_PREFIX = 'Logs_20140328.';
const CONTENT_TYPE = 'application/x-amz-json-1.1';
/** 1 MiB of control characters is 6 MiB of JSON; twice that leaves room for the names around it. */
const BODY_BYTES_MAX = 12 * 1024 * 1024;
export interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

/** An error as AWS JSON 1.1 has it: `__type` and `message`. */
export function awsError(status: number, type: string, message: string): Reply {
  return { status, body: Buffer.from(JSON.stringify({ __type: type, message })) };
}

/** Writes a whole answer. */
export function answer(response: http.ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { 'content-type': CONTENT_TYPE, 'content-length': reply.body.length });
  response.end(reply.body);
}

/** The action of X-Amz-Target, undefined when the request is no call of CloudWatch Logs. */
export function actionOf(request: http.IncomingMessage): string | undefined {
  const target = request.headers['x-amz-target'];
  if (request.method !== 'POST' || request.url !== '/' || typeof target !== 'string') return undefined;
  return target.startsWith(TARGET_PREFIX) ? target.slice(TARGET_PREFIX.length) : undefined;
}

/** The JSON object of the body, undefined when it is none, or when it is compressed or of another type. */
export function parseInput(request: http.IncomingMessage, body: Buffer): Input | undefined {
  if (request.headers['content-type'] !== CONTENT_TYPE || request.headers['content-encoding'] !== undefined)
    return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Input) : undefined;
  } catch {
    return undefined;
  }
}

/** The whole body, undefined when it is larger than its bound. Rejects when the connection breaks. */
export async function readBody(request: http.IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Read to its end even when it is too large: an answer during the upload would reach the client as a reset.
    if (size <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return size <= BODY_BYTES_MAX ? Buffer.concat(chunks) : undefined;
}
