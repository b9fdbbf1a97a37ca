/**
 * Requests to an API server over a few connections that stay open, the way a controller sends them.
 *
 * Invariant: never more requests at a time than there are connections. May import: test/servers.
 */
import https from 'node:https';
import type { Answer } from '../servers/http-json.ts';
import type { ControlPlane } from '../servers/servers.ts';

const REQUEST_MS_MAX = 60_000;

export interface ApiConnection {
  /** `path` begins with `/api`. `headers` are added. Rejects when no answer comes. */
  request(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  close(): void;
}

/** Connects as admin; at most `connectionsMax` requests are under way at a time, the others wait. */
export function connectApi(plane: ControlPlane, connectionsMax: number): ApiConnection {
  const agent = new https.Agent({ keepAlive: true, maxSockets: connectionsMax, ca: plane.ca });
  return {
    request: (method, path, body, headers = {}) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const options: https.RequestOptions = {
        agent,
        method,
        signal: AbortSignal.timeout(REQUEST_MS_MAX),
        headers: {
          authorization: `Bearer ${plane.adminToken}`,
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...headers,
        },
      };
      return new Promise((done, fail) => {
        const request = https.request(`${plane.url}${path}`, options, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', fail);
          response.once('end', () => {
            const answer = Buffer.concat(chunks).toString('utf8');
            const isJson = response.headers['content-type']?.startsWith('application/json') === true;
            done({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: isJson ? (JSON.parse(answer) as unknown) : answer,
            });
          });
        });
        request.once('error', fail);
        request.end(text);
      });
    },
    close: () => agent.destroy(),
  };
}

/** Runs the work on every item, `width` at a time, and gives the results in the order of the items. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<readonly R[]> {
  const results = new Map<number, R>();
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) results.set(index, await work(item, index));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return [...results].toSorted(([a], [b]) => a - b).map(([, result]) => result);
}
