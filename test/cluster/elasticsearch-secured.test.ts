/**
 * Elasticsearch with security on: the role of deploy/elasticsearch is enough to write and for nothing else, and what is refused says why.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTemplates } from '../../src/cli/templates.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { checkElasticsearch } from '../../src/sinks/elasticsearch/check.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { FakeElasticsearch } from '../fakes/elasticsearch-server.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { ask } from '../servers/http-json.ts';
import { requireOwn } from '../servers/require-server.ts';
import { startSecuredElasticsearch, type SecuredElasticsearch } from '../servers/servers.ts';

const TEST_MS_MAX = 60_000;
const ROLE: unknown = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../deploy/elasticsearch/elasticsearch-role.json'), 'utf8'),
);
const STREAM = 'logs-logtender-shop';

/** The type of an error body. */
function typeOf(body: unknown): unknown {
  return (body as { readonly error?: { readonly type?: unknown } }).error?.type;
}

describe('real elasticsearch with security', function () {
  this.timeout(TEST_MS_MAX);
  let server: SecuredElasticsearch | undefined;
  let dir = '';
  let clock: VirtualClock;
  let sink: ElasticsearchSink;
  let offset = 0;

  before(async function () {
    const users = { admin: ['superuser'], writer: ['logtender'], nobody: [] };
    server = await requireOwn(this, 'elasticsearch-secured', () =>
      startSecuredElasticsearch({ users, roles: { logtender: ROLE } }),
    );
    const template = { index_patterns: ['logs-logtender-*'], data_stream: {}, priority: 200 };
    assert.equal((await server.request('admin', 'PUT', '/_index_template/logtender', template)).status, 200);
    dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
    clock = new VirtualClock(Date.now());
    const config = forwarderConfig({ ELASTICSEARCH_URL: server.url, SINK_SECRET_DIR: dir });
    sink = new ElasticsearchSink({ config, clock, metrics: createMetrics() });
  });
  after(async () => {
    await sink?.close();
    await server?.stop();
    if (dir !== '') await rm(dir, { recursive: true });
  });

  const secret = async (values: Readonly<Record<string, string>>): Promise<void> => {
    for (const [key, value] of Object.entries(values)) await writeFile(join(dir, key), value);
    await clock.advance(10_000, 0);
  };
  const deliver = async (sentBefore = false): Promise<Delivery> => {
    const encoder = sink.createEncoder();
    const input = Buffer.from('one\ntwo\n');
    encoder.append(sourceInfo(), input, 0, input.length, offset, Date.now());
    const { signal } = new AbortController();
    return sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => sentBefore, signal });
  };
  const checked = async (): Promise<Readonly<Record<string, string>>> => {
    const config = forwarderConfig({ ELASTICSEARCH_URL: server?.url ?? '', SINK_SECRET_DIR: dir });
    const steps: Record<string, string> = {};
    for await (const { name, outcome, text } of checkElasticsearch({ config, clock: systemClock, writes: false })) {
      steps[name] = `${outcome}: ${text}`;
    }
    return steps;
  };

  it('is not trusted without its CA', async () => {
    const delivery = await deliver();
    assert(delivery.status === 'retryable' && delivery.reason === 'unreachable', JSON.stringify(delivery));
    assert.match(delivery.text, /elasticsearch-ca\.crt/);
    assert.match((await checked())['tls'] ?? '', /^failed: .*not trusted by the system's CAs/);
  });

  it('says 401 for a wrong password, and takes the right one without a restart', async () => {
    await secret({
      'elasticsearch-ca.crt': server?.ca ?? '',
      'elasticsearch-username': 'writer',
      'elasticsearch-password': 'wrong',
    });
    const delivery = await deliver();
    assert(delivery.status === 'retryable' && delivery.reason === 'credentials', JSON.stringify(delivery));
    assert.match(delivery.text, /401: security_exception/);
    assert.match((await checked())['auth'] ?? '', /^failed: 401/);
    await secret({ 'elasticsearch-password': 'writer-password' });
    assert.deepEqual(await deliver(), { status: 'delivered', duplicates: 0 });
    assert.deepEqual(await deliver(true), { status: 'delivered', duplicates: 2 });
    assert.match((await checked())['privilege'] ?? '', /^ok: create_doc and auto_configure on logs-logtender-shop/);
  });

  it('refuses as its fake does: no credentials, and wrong ones', async () => {
    assert(server !== undefined);
    const { url, ca } = server;
    const fake = new FakeElasticsearch();
    fake.authorization = `Basic ${Buffer.from('writer:writer-password').toString('base64')}`;
    await fake.server.start();
    const path = `/${STREAM}/_bulk?filter_path=errors,items.*.status,items.*.error`;
    const body = '{"create":{"_id":"fake"}}\n{"@timestamp":"2026-01-01T00:00:00Z"}\n';
    for (const authorization of [undefined, `Basic ${Buffer.from('writer:wrong').toString('base64')}`]) {
      const headers = {
        'content-type': 'application/x-ndjson',
        ...(authorization === undefined ? {} : { authorization }),
      };
      const [real, own] = await Promise.all([
        ask(`${url}${path}`, { headers, body, ca }),
        ask(`${fake.server.url}${path}`, { headers, body }),
      ]);
      assert.equal(real.status, 401);
      assert.deepEqual([own.status, typeOf(own.body)], [real.status, typeOf(real.body)]);
    }
    await fake.server.stop();
  });

  it('gives the role no more than that', async () => {
    assert(server !== undefined);
    const asked = [
      ['GET', `/${STREAM}/_search`],
      ['DELETE', `/${STREAM}`],
      ['DELETE', `/${STREAM}/_doc/x`],
      ['PUT', '/_index_template/mine'],
      ['GET', '/_cluster/settings'],
      ['PUT', '/other/_create/1'],
    ] as const;
    for (const [method, path] of asked) {
      // A body that both take: what cannot be read is refused before anybody asks who sends it.
      const body = method === 'PUT' ? { index_patterns: ['mine-*'] } : undefined;
      const { status } = await server.request('writer', method, path, body);
      assert.equal(status, 403, `${method} ${path}`);
    }
    const { status, body } = await server.request('admin', 'POST', `/${STREAM}/_refresh`);
    assert.equal(status, 200, JSON.stringify(body));
    const found = await server.request('admin', 'GET', `/${STREAM}/_count`);
    assert.equal((found.body as { readonly count: number }).count, 2);
  });

  it('takes the templates of a user that may, and refuses those of the writer with words', async () => {
    const apply = async (user: string): Promise<readonly [code: number, text: string]> => {
      await secret({ 'elasticsearch-username': user, 'elasticsearch-password': `${user}-password` });
      const output: string[] = [];
      const write = (text: string): void => void output.push(text);
      const io = { read: async () => '', out: write, err: write, hasColour: false };
      const args = ['apply', '--flavour', 'elasticsearch', '--url', server?.url ?? '', '--secret-dir', dir];
      const code = await runTemplates(args, io, {});
      return [code, output.join('')];
    };
    const [refused, why] = await apply('writer');
    assert.equal(refused, 1, why);
    assert.match(why, /403 security_exception/);
    const [taken, what] = await apply('admin');
    assert.equal(taken, 0, what);
    assert.match(what, /_index_template\/logtender: applied/);
  });

  it('keeps the records of a user without the role, and says what is missing', async () => {
    offset = 1_000;
    await secret({ 'elasticsearch-username': 'nobody', 'elasticsearch-password': 'nobody-password' });
    const delivery = await deliver();
    assert(
      (delivery.status === 'retryable' && delivery.reason === 'credentials') ||
        (delivery.status === 'partial' && delivery.retryReason === 'credentials' && delivery.retry.length === 2),
      JSON.stringify(delivery),
    );
    assert.match((await checked())['privilege'] ?? '', /^failed: nobody lacks create_doc and auto_configure/);
  });
});
