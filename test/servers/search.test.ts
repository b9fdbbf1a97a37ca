/**
 * Elasticsearch and OpenSearch as the tests have them: they start, answer as the forwarder needs it, and are back after a halt.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { SMALL_BODIES, testRequestLimits } from '../cluster/search-limits.ts';
import { requireOwn } from './require-server.ts';
import { testFakeElasticsearch } from './same-answers.ts';
import { startElasticsearch, startOpenSearch, type SearchServer } from './servers.ts';

/** A restart takes 3 s when the machine is idle. */
const TEST_MS_MAX = 300_000;

interface BulkAnswer {
  readonly items: ReadonlyArray<{ readonly create: { readonly status: number } }>;
}

const STARTS = { elasticsearch: startElasticsearch, opensearch: startOpenSearch } as const;

for (const name of ['elasticsearch', 'opensearch'] as const) {
  describe(`server ${name}`, function () {
    this.timeout(TEST_MS_MAX);
    let server: SearchServer | undefined;
    const request = async (method: string, path: string, body?: unknown): ReturnType<SearchServer['request']> => {
      assert.ok(server !== undefined);
      return server.request(method, path, body);
    };
    const create = async (...ids: readonly string[]): Promise<readonly number[]> => {
      const lines = ids.map(
        (id) => `{"create":{"_id":"${id}"}}\n{"@timestamp":"2026-01-01T00:00:00Z","message":"x"}\n`,
      );
      const { status, body } = await request('POST', '/logs-server-test/_bulk?refresh=true', lines.join(''));
      assert.equal(status, 200, JSON.stringify(body));
      return (body as BulkAnswer).items.map((item) => item.create.status);
    };
    const count = async (): Promise<unknown> => {
      const { body } = await request('GET', '/logs-server-test/_count');
      return (body as { readonly count: number }).count;
    };

    before(async function () {
      server = await requireOwn(this, name, () => STARTS[name](SMALL_BODIES));
      const template = { index_patterns: ['logs-server-*'], data_stream: {}, priority: 200 };
      assert.equal((await request('PUT', '/_index_template/server-test', template)).status, 200);
    });
    after(async () => server?.stop());

    it('creates once: 201, then 409 beside new ones', async () => {
      assert.deepEqual(await create('a', 'b'), [201, 201]);
      assert.deepEqual(await create('b', 'c'), [409, 201]);
      assert.equal(await count(), 3);
    });

    it('takes settings: a body that is too large gets 413', async () => {
      const { status } = await request('POST', '/logs-server-test/_bulk', 'x'.repeat(1024 * 1024 + 1));
      assert.equal(status, 413);
    });

    testRequestLimits(() => {
      assert.ok(server !== undefined);
      return server;
    });

    testFakeElasticsearch(name, () => {
      assert.ok(server !== undefined);
      return server;
    });

    describe('at its end', () => {
      it('is away after a halt and back with the same address and data', async () => {
        assert.ok(server !== undefined);
        const { url, pids } = server;
        await server.halt('SIGKILL');
        await assert.rejects(request('GET', '/_cluster/health'), { code: 'ECONNREFUSED' });
        await server.resume();
        assert.equal(server.url, url);
        assert.notDeepEqual(server.pids, pids);
        assert.deepEqual(await create('c', 'd'), [409, 201]);
        assert.equal(await count(), 4);
      });

      it('leaves nothing behind when it is stopped', async () => {
        assert.ok(server !== undefined);
        await server.stop();
        assert.deepEqual(server.pids, {});
        assert.ok(!existsSync(server.folder));
        await assert.rejects(request('GET', '/_cluster/health'), { code: 'ECONNREFUSED' });
      });
    });
  });
}
