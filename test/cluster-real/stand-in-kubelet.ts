/**
 * The logs of a node that is not there: what an API server asks of a kubelet for `pods/log`, answered with a line a second.
 *
 * For measurements of the API server alone, beyond the followers that one real kubelet takes (each needs an inotify instance of the
 * machine). May import: node:, test.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../src/core/clock.ts';
import type { ControlPlane } from '../servers/servers.ts';

const LINE_MS = 1_000;

export interface StandIn {
  /** Of the node, for `nodeName`. */
  readonly name: string;
  stop(): Promise<void>;
}

/** Starts it, and adds its node. */
export async function startStandIn(plane: ControlPlane): Promise<StandIn> {
  const { files } = plane.credentials;
  const open = new Set<ServerResponse>();
  const first = lineNow();
  const server = createServer(
    { cert: readFileSync(files.certificate), key: readFileSync(files.key) },
    (request, answer) => {
      // kubernetes/kubernetes, pkg/kubelet/server: /containerLogs/{namespace}/{pod}/{container}.
      const { pathname, searchParams } = new URL(request.url ?? '/', 'https://node');
      if (!pathname.startsWith('/containerLogs/')) return void answer.writeHead(404).end();
      if (searchParams.get('previous') === 'true') return void answer.writeHead(400).end('no previous start');
      answer.writeHead(200, { 'content-type': 'text/plain' });
      answer.write(first);
      if (searchParams.get('follow') !== 'true') return void answer.end();
      open.add(answer);
      answer.once('close', () => open.delete(answer));
    },
  );
  const timer = setInterval(() => {
    const line = lineNow();
    for (const answer of open) answer.write(line);
  }, LINE_MS);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const name = 'stand-in';
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
  await plane.request('POST', '/api/v1/nodes', node);
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: (server.address() as AddressInfo).port } },
  };
  await plane.request('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/merge-patch+json');
  return {
    name,
    stop: async () => {
      clearInterval(timer);
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

/** As a kubelet gives them with `timestamps=true`; as long as those of the real containers. */
function lineNow(): string {
  const time = new Date(systemClock.now()).toISOString().replace('Z', '000000Z');
  return `${time} ${'stand-in line '.padEnd(99, 'x')}\n`;
}
