/**
 * The whole certificate manager in one process, as `npm start` runs it: a TLS server that swaps its context as pairs come.
 */
import assert from 'node:assert/strict';
import https from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { startLocalCertificates } from '../../certs/local.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';

describe('local certificates', () => {
  it('are ready at once, serve loopback names, and expose their ends', async () => {
    const metrics = createMetrics();
    const hosts = ['localhost', '127.0.0.1', '::1'];
    const local = await startLocalCertificates({
      clock: systemClock,
      random: () => 0.5,
      log: silentLog,
      metrics,
      hosts,
    });
    const pair = local.source.current();
    assert.ok(pair !== undefined);
    const server = https.createServer(
      { cert: pair.certPem, key: pair.keyPem, minVersion: 'TLSv1.3' },
      (_request, response) => response.end('ok'),
    );
    try {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const ca = await local.caBundlePem();
      for (const host of ['127.0.0.1', 'localhost']) {
        const request = https.get({
          host: '127.0.0.1',
          port,
          ca,
          agent: false,
          ...(host === 'localhost' ? { servername: host } : {}),
        });
        const [response] = await once(request, 'response');
        assert.equal(response.statusCode, 200);
        response.resume();
      }
      assert.match(metrics.expose(), /logtender_certs_bundle_in_sync 1/);
      assert.match(metrics.expose(), /logtender_certs_not_after_seconds\{role="leaf"\} \d+/);
      assert.ok(!metrics.expose().includes('PRIVATE'), 'no key in metrics');
      assert.ok(!JSON.stringify(local.status()).includes('PRIVATE'), 'no key in the status');
    } finally {
      server.close();
      server.closeAllConnections();
      await local.close();
    }
  });

  it('a bad document is refused with every problem', async () => {
    const options = { clock: systemClock, random: () => 0.5, log: silentLog, metrics: createMetrics(), hosts: [] };
    await assert.rejects(startLocalCertificates({ ...options, document: { leafLive: '20s', tick: 5 } }), {
      code: 'CONFIG_INVALID',
      message:
        /tick: expected a duration.*got 5; write 5s or 5ms\nleafLive: expected a known key.*did you mean leafLife\?/,
    });
  });
});
