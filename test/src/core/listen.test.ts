/** Listening where the kernel has no IPv6: the error that it gives, and what is tried then. */
import assert from 'node:assert/strict';
import { Server } from 'node:net';

import { startAdminServer } from '../../../src/admin/server.ts';
import { listen } from '../../../src/core/listen.ts';
import { createMetrics } from '../../../src/core/metrics.ts';

type Listen = (port: number, host: string, listening: () => void) => Server;

/** A server whose kernel refuses `::`, with a record of what it was asked for. */
function withoutIpv6(code: string): { readonly server: Server; readonly asked: string[] } {
  const server = new Server();
  const asked: string[] = [];
  const real: Listen = server.listen.bind(server);
  const refusing: Listen = (port, host, listening) => {
    asked.push(host);
    if (host !== '::') return real(port, '127.0.0.1', listening);
    process.nextTick(() => server.emit('error', Object.assign(new Error('refused'), { code })));
    return server;
  };
  Object.assign(server, { listen: refusing });
  return { server, asked };
}

describe('listen', () => {
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL']) {
    it(`${code} of :: means IPv4 alone`, async () => {
      const { server, asked } = withoutIpv6(code);
      await listen(server, 0, '::');
      assert.deepEqual(asked, ['::', '0.0.0.0']);
      assert.ok(server.listening);
      await new Promise((resolve) => server.close(resolve));
    });
  }

  it('any other error is an error, and so is any other address', async () => {
    await assert.rejects(listen(withoutIpv6('EACCES').server, 0, '::'), { code: 'EACCES' });
    await assert.rejects(listen(new Server(), 0, '192.0.2.1'), { code: 'EADDRNOTAVAIL' });
  });

  it('the admin server listens in this way', async () => {
    const original = Server.prototype.listen;
    const asked: unknown[] = [];
    Object.assign(Server.prototype, {
      listen(this: Server, port: number, host: string, listening: () => void): Server {
        asked.push(host);
        if (host !== '::') return Reflect.apply(original, this, [port, host, listening]);
        process.nextTick(() => this.emit('error', Object.assign(new Error('refused'), { code: 'EAFNOSUPPORT' })));
        return this;
      },
    });
    try {
      const admin = await startAdminServer({ host: '::', port: 0, metrics: createMetrics(), ready: [] });
      const response = await fetch(`http://127.0.0.1:${admin.port}/livez`);
      assert.equal(response.status, 200);
      await admin.close();
    } finally {
      Object.assign(Server.prototype, { listen: original });
    }
    assert.deepEqual(asked, ['::', '0.0.0.0']);
  });
});
