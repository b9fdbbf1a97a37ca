/**
 * What express over TLS costs by itself: the body parsed, a patch of a given size sent, and nothing decided. The measure of what the real
 * work adds.
 *
 * Forked with the bytes of the patch as its argument; it reports where it listens and what clients trust.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import express from 'express';

import { startLocalCertificates } from '../../certs/local.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { listen } from '../../src/core/listen.ts';
import { endWithParent } from './process-under-test.ts';

/** The name in its certificate. */
export const BARE_NAME = 'localhost';

export interface BareListening {
  readonly port: number;
  readonly ca: string;
}

/** An application that answers every review with the same patch. */
function createApp(patchBytes: number): express.Express {
  const patch = JSON.stringify([{ op: 'add', path: '/metadata/annotations/x', value: 'y'.repeat(patchBytes) }]);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.post('/mutate', (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { request: { uid: string } };
      const verdict = { uid: review.request.uid, allowed: true, patchType: 'JSONPatch' };
      const answer = JSON.stringify({
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { ...verdict, patch: Buffer.from(patch).toString('base64') },
      });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
      response.end(answer);
    });
  });
  return app;
}

if (import.meta.main) {
  endWithParent();
  const shared = { clock: systemClock, random: systemRandom, log: silentLog, metrics: createMetrics() };
  const certificates = await startLocalCertificates({ ...shared, hosts: [BARE_NAME] });
  const current = certificates.source.current();
  assert(current !== undefined);
  const tls = {
    cert: current.certPem,
    key: current.keyPem,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
  } as const;
  const server = createServer({ ...tls, keepAliveTimeout: 120_000 }, createApp(Number(process.argv[2])));
  await listen(server, 0, '127.0.0.1');
  const listening: BareListening = {
    port: (server.address() as AddressInfo).port,
    ca: await certificates.caBundlePem(),
  };
  process.send?.(listening);
}
