/**
 * The small HTTP server for probes and people: /livez, /readyz, /metrics and a few JSON pages.
 *
 * Invariants: it answers GET and HEAD alone, reads no body, and a page that fails is a 500 and never an end of the process.
 * The bodies of /livez and /readyz follow the habit of the Kubernetes components: a line `[+]name ok` or `[-]name: reason` each.
 * May import: core.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

import { errorText } from '../core/errors.ts';
import { listen } from '../core/listen.ts';
import type { Metrics } from '../core/metrics.ts';

/** What a check found: all well (and what is worth a line all the same), or why not. */
export type CheckResult =
  { readonly ok: true; readonly note?: string } | { readonly ok: false; readonly reason: string };

export interface NamedCheck {
  readonly name: string;
  readonly check: () => CheckResult;
}

/** A check that may have to look first; it has to bound its own time, below the time-out of a probe. */
export interface ReadyCheck {
  readonly name: string;
  readonly check: () => CheckResult | Promise<CheckResult>;
}

export interface AdminServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly metrics: Metrics;
  /** Alive unless one of these fails; none by default: a process that answers is alive. */
  readonly live?: readonly NamedCheck[];
  readonly ready: readonly ReadyCheck[];
  /** Further pages by path; each gives what is sent as JSON. */
  readonly pages?: Readonly<Record<string, () => unknown>>;
}

export interface AdminServer {
  readonly port: number;
  close(): Promise<void>;
}

export const CHECK_OK: CheckResult = { ok: true };

/** Probes come with at most a few hundred bytes of headers; a slow client must not hold a connection. */
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 64;

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Listens, and resolves when it does; rejects when the port is taken. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = http.createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1_000 },
    (request, response) => {
      void answer(options, request.method ?? 'GET', request.url ?? '/').then((page) => {
        response.writeHead(page.status, {
          'content-type': page.type,
          'content-length': Buffer.byteLength(page.body),
          'cache-control': 'no-store',
        });
        response.end(request.method === 'HEAD' ? undefined : page.body);
      });
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Never rejects. */
async function answer(options: AdminServerOptions, method: string, url: string): Promise<Page> {
  if (method !== 'GET' && method !== 'HEAD') return text(405, `expected GET or HEAD, got ${method.slice(0, 16)}\n`);
  const path = url.split('?', 1)[0] ?? '/';
  const page = options.pages !== undefined && Object.hasOwn(options.pages, path) ? options.pages[path] : undefined;
  try {
    if (path === '/livez') return await report(options.live ?? []);
    if (path === '/readyz') return await report(options.ready);
    if (path === '/metrics') {
      return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await options.metrics.expose() };
    }
    if (page !== undefined)
      return { status: 200, type: 'application/json', body: `${JSON.stringify(page(), null, 2)}\n` };
  } catch (error) {
    return text(500, `${errorText(error)}\n`);
  }
  const known = ['/livez', '/readyz', '/metrics', ...Object.keys(options.pages ?? {})];
  return text(404, `expected one of ${known.join(', ')}\n`);
}

/** 200 when every check is well, else 503; each check with its reason. */
async function report(checks: readonly ReadyCheck[]): Promise<Page> {
  const results = await Promise.all(checks.map(async ({ name, check }) => ({ name, result: await check() })));
  const isWell = results.every(({ result }) => result.ok);
  const lines = results.map(({ name, result }) =>
    result.ok ? `[+]${name} ok${result.note === undefined ? '' : `: ${result.note}`}` : `[-]${name}: ${result.reason}`,
  );
  return text(isWell ? 200 : 503, `${[...lines, isWell ? 'ok' : 'not ok'].join('\n')}\n`);
}

function text(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body };
}
