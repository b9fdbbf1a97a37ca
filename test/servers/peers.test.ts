/**
 * The forwarders that the bench measures beside ours, for real: each ships its workloads whole, and its records have what ours have.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FORWARDER_CASES, runForwarderCase } from '../bench/forwarder.ts';
import { line, writeWorkload } from '../bench/numbered-lines.ts';
import { havePeer, PEERS, startPeer, type PreparedPeer } from '../bench/peers/peer-process.ts';
import type { PeerCase } from '../bench/peers/peer.ts';
import { skip } from '../skip.ts';
import { defaultPreparation } from './cache.ts';

const LINES = 20_000;
const CASES = (['plain', 'json', 'cri'] as const).flatMap((workload) =>
  FORWARDER_CASES.filter(
    (which) => which.sink === 'elasticsearch' && which.variant === 'items' && which.workload === workload,
  ).map((which) => ({ ...which, workload })),
);

for (const peer of Object.values(PEERS)) {
  describe(`${peer.name} in the bench`, function () {
    // The first run downloads it.
    this.timeout(300_000);
    let prepared: PreparedPeer;

    before(async function () {
      const had = await havePeer(peer, defaultPreparation());
      if (typeof had !== 'string') {
        prepared = had;
        return;
      }
      if (process.env['CI'] === 'true') throw new Error(`with CI=true nothing is skipped: ${peer.name}: ${had}`);
      skip(this, `${peer.name} in the bench: ${had}`);
    });

    for (const which of CASES) {
      it(`${LINES} lines of ${which.workload}: none lost, none twice`, async () => {
        const start = startPeer.bind(undefined, prepared, which);
        const figures = await runForwarderCase(which, { who: peer.name, start }, () => {}, LINES);
        assert.deepEqual({ lost: figures.lost, duplicates: figures.duplicates }, { lost: 0, duplicates: 0 });
        assert.ok(figures.cpu_s_per_gib > 0 && figures.rss_mib > 0 && figures.elapsed_s > 0);
      });
    }

    it('a JSON line keeps its members and their types, its time is that of the record, and metadata stands beside', async () => {
      const record = await firstRecord(prepared, { workload: 'json', metadata: 'full' });
      assert.equal(record['@timestamp'], '2026-01-31T12:00:00.000Z');
      assert.equal(record['status'], 200);
      assert.equal(record['duration_ms'], 12.5);
      assert.match(String(record['msg']), /^GET \/api\/v1\/items\/0 seq=0000000000$/);
      assert.deepEqual(record['kubernetes'], {
        namespace: 'bench',
        pod: { name: 'bench-5d4f8c7b9-x2x4z', uid: '11111111-2222-3333-4444-555555555555' },
        container: { name: 'app' },
        node: { name: 'node-1' },
      });
    });

    it('a line of a container runtime becomes time, stream and text', async () => {
      const record = await firstRecord(prepared, { workload: 'cri', metadata: 'none' });
      assert.equal(record['@timestamp'], line('cri', 0).split(' ')[0]);
      assert.equal(record['stream'], 'stderr');
      assert.match(String(record['message']), /^2026-01-31T12:00:00.000Z INFO worker-0 seq=0000000000 handl/);
    });
  });
}

/** The first document that it sends of a file of twenty lines. */
async function firstRecord(prepared: PreparedPeer, which: PeerCase): Promise<Record<string, unknown>> {
  const root = mkdtempSync(join(tmpdir(), 'logtender-peer-'));
  const log = join(root, 'app.log');
  writeWorkload(log, which.workload, 0, 20);
  const server = createServer();
  const text = new Promise<string>((resolve) => {
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.end('{"errors":false,"items":[]}');
        if (request.method === 'POST') resolve(Buffer.concat(chunks).toString('utf8'));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const running = startPeer(prepared, which, { root, log, port: (server.address() as AddressInfo).port });
  try {
    const body = await Promise.race([text, running.endedEarly]);
    return JSON.parse(body.split('\n')[1] ?? '') as Record<string, unknown>;
  } finally {
    await running.stop();
    server.close();
    server.closeAllConnections();
    rmSync(root, { recursive: true });
  }
}
