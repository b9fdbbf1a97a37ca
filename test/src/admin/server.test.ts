/**
 * Probes, metrics and pages as people and kubelets ask for them.
 */
import assert from 'node:assert/strict';

import { CHECK_OK, startAdminServer } from '../../../src/admin/server.ts';
import type { AdminServer, CheckResult } from '../../../src/admin/server.ts';
import { createMetrics } from '../../../src/core/metrics.ts';

describe('admin server', () => {
  let server: AdminServer;
  let disk: CheckResult = CHECK_OK;
  const metrics = createMetrics();

  before(async () => {
    metrics.counter('x_total', 'X.').add(3);
    server = await startAdminServer({
      host: '127.0.0.1',
      port: 0,
      metrics,
      ready: [
        { name: 'config', check: () => CHECK_OK },
        { name: 'disk', check: () => disk },
      ],
      pages: {
        '/status': () => ({ a: 1 }),
        '/broken': () => {
          throw new Error('on order');
        },
      },
    });
  });
  after(() => server.close());

  async function ask(path: string, method = 'GET'): Promise<readonly [status: number, type: string, body: string]> {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [response.status, response.headers.get('content-type') ?? '', await response.text()];
  }

  it('is ready when every check is, and lists each reason when not', async () => {
    assert.deepEqual(await ask('/readyz'), [200, 'text/plain; charset=utf-8', '[+]config ok\n[+]disk ok\nok\n']);
    disk = { ok: true, note: 'nearly full' };
    assert.equal((await ask('/readyz'))[2], '[+]config ok\n[+]disk ok: nearly full\nok\n');
    disk = { ok: false, reason: 'full' };
    assert.deepEqual(await ask('/readyz?verbose'), [
      503,
      'text/plain; charset=utf-8',
      '[+]config ok\n[-]disk: full\nnot ok\n',
    ]);
    assert.equal((await ask('/livez'))[0], 200, 'what is not ready is alive');
  });

  it('exposes metrics and pages', async () => {
    const [status, type, body] = await ask('/metrics');
    assert.equal(status, 200);
    assert.match(type, /^text\/plain; version=0\.0\.4/);
    assert.match(body, /^x_total 3$/m);
    assert.deepEqual(await ask('/status'), [200, 'application/json', '{\n  "a": 1\n}\n']);
  });

  it('a page that fails is a 500, unknown paths and methods are told what is there', async () => {
    assert.deepEqual((await ask('/broken')).slice(0, 1), [500]);
    assert.deepEqual(await ask('/nope'), [
      404,
      'text/plain; charset=utf-8',
      'expected one of /livez, /readyz, /metrics, /status, /broken\n',
    ]);
    assert.equal((await ask('/constructor'))[0], 404);
    assert.equal((await ask('/metrics', 'POST'))[0], 405);
    assert.deepEqual((await ask('/livez', 'HEAD')).slice(0, 1), [200]);
  });

  it('a port that is taken is an error', async () => {
    await assert.rejects(startAdminServer({ host: '127.0.0.1', port: server.port, metrics, ready: [] }), {
      code: 'EADDRINUSE',
    });
  });
});
