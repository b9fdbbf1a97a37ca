/**
 * The sinks against the real servers: the conformance suite, and what only a real server can judge.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTemplates } from '../../src/cli/templates.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import { callApi, memberOf } from '../../src/sinks/elasticsearch/api.ts';
import { checkElasticsearch } from '../../src/sinks/elasticsearch/check.ts';
import { ClusterConnection } from '../../src/sinks/elasticsearch/connection.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import { indexTemplate, TEMPLATE_PATTERN } from '../../src/sinks/elasticsearch/templates.ts';
import type { Delivery, PastSends, Sink } from '../../src/sinks/sink.ts';
import { BY_CABLE_ALONE, describeSink } from '../conformance/sink.ts';
import type { Scripted, SinkHarness } from '../conformance/sink.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { TcpRelay } from '../fakes/tcp-relay.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { requireOwn, requireServer } from '../servers/require-server.ts';
import { startElasticsearch7, startOpenSearch3 } from '../servers/servers.ts';
import type { CloudWatchServer, SearchServer } from '../servers/servers.ts';
import { SMALL_BODIES, testRequestLimits } from './search-limits.ts';

/** On two cores that also compile, a first index takes seconds. */
const TEST_MS_MAX = 60_000;

const RELAYED = { connection_cut: 'cut_before', answer_lost: 'cut_after', silence: 'silence' } as const;

/** What the proxy before moto has no order for; each of them happens on the strict fake (test/conformance), and rejections in cloudwatch.test.ts. */
const NOT_BY_MOTO = Object.fromEntries(
  (['refused', 'too_large', 'first_rejected', 'answer_cut', 'silence', 'credentials'] as const).map((next) => [
    next,
    'the strict proxy has no order for it; test/conformance has it on the fake',
  ]),
);

function relayFault(next: Scripted): 'cut_before' | 'cut_after' | 'silence' {
  assert(next === 'connection_cut' || next === 'answer_lost' || next === 'silence');
  return RELAYED[next];
}

interface Hit {
  readonly _id: string;
  readonly _source: Readonly<Record<string, unknown>>;
}

/** Every document of an index, by id: the ids of one source are in the order of its offsets after this. */
async function readIndex(server: SearchServer, index: string): Promise<readonly Hit[]> {
  await server.request('POST', `/${index}/_refresh`);
  const { status, body } = await server.request('POST', `/${index}/_search?size=10000`, { query: { match_all: {} } });
  if (status === 404) return [];
  const { hits } = (body as { readonly hits: { readonly hits: readonly Hit[] } }).hits;
  const order = ({ _id }: Hit): string => {
    const [source = '', offset = ''] = _id.split(/-(?=\d+$)/);
    return source + offset.padStart(20, '0');
  };
  return hits.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
}

let indexes = 0;

/** The newest of each line, and the last before it. */
const SEARCH = [
  { name: 'elasticsearch', flavour: 'elasticsearch', start: undefined },
  // Its minimal distribution has no data streams. By choice: every run has no time for it.
  ...(process.env['ELASTICSEARCH_7'] === 'true'
    ? [{ name: 'elasticsearch-7', flavour: 'elasticsearch', start: startElasticsearch7 } as const]
    : []),
  { name: 'opensearch', flavour: 'opensearch', start: undefined },
  { name: 'opensearch-3', flavour: 'opensearch', start: startOpenSearch3 },
] as const;

for (const { name, flavour, start } of SEARCH) {
  const hasDataStreams = name !== 'elasticsearch-7';
  const describeWithDataStreams = (title: string, run: () => void): void => {
    if (hasDataStreams) describe(title, run);
  };
  const itWithDataStreams = (title: string, run: () => Promise<void>): void => {
    if (hasDataStreams) it(title, run);
  };
  describe(`real ${name}`, function () {
    this.timeout(TEST_MS_MAX);
    let server: SearchServer;
    let own: SearchServer | undefined;
    before(async function () {
      if (start !== undefined) own = await requireOwn(this, name, () => start(SMALL_BODIES));
      server = own ?? (await requireServer(this, name));
    });
    after(async () => own?.stop());

    describeSink(name, {
      isIdempotent: true,
      cannot: BY_CABLE_ALONE,
      start: async (): Promise<SinkHarness> => {
        indexes += 1;
        const index = `conformance-${process.pid}-${indexes}`;
        const relay = new TcpRelay(server.url);
        await relay.start();
        const clock = new VirtualClock(Date.now());
        const config = forwarderConfig({ ELASTICSEARCH_URL: relay.url, DATA_STREAM: index });
        return {
          sink: new ElasticsearchSink({ config, clock, metrics: createMetrics() }),
          clock,
          script: (next) => relay.faults.push(relayFault(next)),
          unseen: () => relay.faults.length,
          stored: async () => (await readIndex(server, index)).map(({ _source }) => String(_source['message'])),
          down: () => relay.stop(),
          up: () => relay.start(),
          stop: () => relay.stop(),
        };
      },
    });

    it('refuses a bulk without a record, which check sink asks a domain of AWS with', async () => {
      const cluster = new ClusterConnection({
        config: forwarderConfig({ ELASTICSEARCH_URL: server.url }),
        clock: systemClock,
      });
      const index = `empty-bulk${process.pid}`;
      const answer = await callApi(cluster, 'POST', `/${index}/_bulk`, '\n');
      const made = await callApi(cluster, 'GET', `/${index}`);
      cluster.close();
      assert('status' in answer && 'status' in made);
      assert.equal(answer.status, 400, JSON.stringify(answer.body));
      assert.equal(typeof memberOf(answer.body, 'error', 'type'), 'string');
      assert.equal(made.status, 404, 'no index is made');
    });

    it('takes every line that is spliced, and every line that is not', async () => {
      const lines = [
        '{}',
        '{"a":1,"b":{"c":[1,2,3],"d":[{"e":null}]}}',
        '{"@timestamp":"2026-01-01T00:00:00.123456789+02:00","message":"own time"}',
        '{"@timestamp":1767225600123}',
        '{"@timestamp":"yesterday"}',
        '{"time":"2026-01-01T00:00:00-18:00"}',
        '{"ts":1767225600.5}',
        '{"log":{"level":"info","logger":"x"}}',
        '{"log.level":"info"}',
        '{"log":"text"}',
        '{"log":{"file":{"line":3}}}',
        '{"log.offset":"x"}',
        '{"kubernetes":"forged"}',
        '{"_id":"forged"}',
        '{"_source":{}}',
        '{"_time":1}',
        '{"dup":1,"dup":2}',
        '{"deep":{"dup":1,"dup":2}}',
        '{"":1}',
        '{" ":1}',
        '{".a":1}',
        '{"a.":1}',
        '{"x..y":1}',
        '{"surrogate":"\\ud800"}',
        '{"nul":"\\u0000"}',
        `${'{"n":'.repeat(18)}1${'}'.repeat(18)}`,
        `${'{"n":'.repeat(40)}1${'}'.repeat(40)}`,
        'text with \u0000 and \u001b[31m colour',
        '',
      ];
      const index = `splice-${process.pid}`;
      const { delivery, sink } = await send(server.url, index, Buffer.from(`${lines.join('\n')}\n`));
      assert.deepEqual(delivery, { status: 'delivered', duplicates: 0 });
      await sink.close();
      const hits = await readIndex(server, index);
      assert.equal(hits.length, lines.length);
      hits.forEach(({ _source: document }, i) => {
        const line = lines[i] ?? '';
        if (document['message'] === line) return;
        const ours = new Set(['@timestamp', 'log', 'log.file.path', 'log.offset', 'kubernetes', 'orchestrator']);
        const theirs = (members: object): unknown => Object.entries(members).filter(([key]) => !ours.has(key));
        assert.deepEqual(theirs(document), theirs(JSON.parse(line) as object), line);
      });
    });

    it('tells the record that does not fit the mapping, stores the others, knows a resend', async () => {
      const index = `mapping-${process.pid}`;
      await server.request('PUT', `/${index}`, { mappings: { properties: { n: { type: 'integer' } } } });
      const input = Buffer.from('{"n":1}\n{"n":"one"}\n{"n":3}\n');
      const { delivery, sink, again } = await send(server.url, index, input);
      assert(delivery.status === 'partial', JSON.stringify(delivery));
      assert.deepEqual(
        delivery.rejected.map(({ index: at }) => at),
        [1],
      );
      assert.match(delivery.rejected[0]?.text ?? '', /^400 .*pars/);
      assert.deepEqual(await again([0, 2], () => true), { status: 'delivered', duplicates: 2 });
      const conflict = await again([0], () => false);
      assert(conflict.status === 'partial');
      assert.deepEqual(conflict.conflicts, [0]);
      await sink.close();
    });

    if (start !== undefined) testRequestLimits(() => server, name !== 'elasticsearch-7');

    itWithDataStreams('writes into a data stream', async () => {
      const stream = `logs-other-shop${process.pid}`;
      const template = { index_patterns: ['logs-other-*'], data_stream: {}, priority: 200 };
      assert.equal((await server.request('PUT', '/_index_template/logtender-test', template)).status, 200);
      const { delivery, sink } = await send(server.url, stream, Buffer.from('one\n{"time":"2026-01-01T00:00:00Z"}\n'));
      assert.deepEqual(delivery, { status: 'delivered', duplicates: 0 });
      await sink.close();
      const hits = await readIndex(server, stream);
      assert.equal(hits.length, 2);
    });

    describeWithDataStreams('with the templates of logtender', () => {
      before(async () => {
        const output: string[] = [];
        const write = (text: string): void => void output.push(text);
        const io = { read: async () => '', out: write, err: write, hasColour: false };
        const args = ['apply', '--flavour', flavour, '--url', server.url];
        // The second time changes nothing, and succeeds as well.
        for (let i = 0; i < 2; i += 1) assert.equal(await runTemplates(args, io, {}), 0, output.join(''));
        // The embedded Elasticsearch lacks the native library that its best_compression needs, which every distribution has.
        const has = { hasPolicy: false, hasMatchOnlyText: false, hasFailureStore: true };
        if (name === 'elasticsearch') {
          const { body } = await server.request('GET', '/_index_template/logtender');
          assert.match(JSON.stringify(body), /"failure_store":{"enabled":false}/, output.join(''));
        }
        const template = indexTemplate({ flavour, pattern: TEMPLATE_PATTERN, retentionDays: 1, ...has });
        const text = JSON.stringify(template).replace('"index.codec":"best_compression",', '');
        assert.notEqual(text, JSON.stringify(template));
        if (name !== 'elasticsearch') return;
        const { status } = await server.request('PUT', '/_index_template/logtender', JSON.parse(text));
        assert.equal(status, 200);
      });

      it('types the fields, and a value of another type costs its field alone', async () => {
        const stream = `logs-logtender-types${process.pid}`;
        const lines = [
          'text',
          '{"log":{"level":"info"},"n":1,"error":"boom"}',
          '{"n":"one","day":"2026-01-01"}',
          '{"day":"x","error":"y"}',
        ];
        const { delivery, sink } = await send(server.url, stream, Buffer.from(`${lines.join('\n')}\n`));
        assert.deepEqual(delivery, { status: 'delivered', duplicates: 0 });
        await sink.close();
        const { body } = await server.request('GET', `/${stream}/_mapping`);
        const [mapping] = Object.values(body as Readonly<Record<string, { mappings: { properties: Fields } }>>);
        const fields = mapping?.mappings.properties ?? {};
        // The embedded Elasticsearch lacks the module of match_only_text, which every distribution has.
        assert.equal(fields['message']?.type, 'text');
        assert.equal(fields['kubernetes']?.properties?.['namespace']?.type, 'keyword');
        assert.equal(fields['log']?.properties?.['offset']?.type, 'long');
        assert.equal(fields['day']?.type, 'keyword');
        assert.equal(fields['n']?.type, 'long');
      });

      it('counts what a rollover between send and resend stored twice, and nothing where there was none', async () => {
        const stream = `logs-logtender-roll${process.pid}`;
        const relay = new TcpRelay(server.url);
        await relay.start();
        const metrics = createMetrics();
        const config = forwarderConfig({ ELASTICSEARCH_URL: relay.url, DATA_STREAM: stream });
        const sink = new ElasticsearchSink({ config, clock: new VirtualClock(Date.now()), metrics });
        const { signal } = new AbortController();
        let offset = 0;
        const sendAndLose = async (between: () => Promise<void>): Promise<Delivery> => {
          const encoder = sink.createEncoder();
          encoder.append(sourceInfo(), Buffer.from('a\nb\nc\n'), 0, 6, offset, Date.now());
          offset += 6;
          const batch = encoder.finish();
          relay.faults.push('cut_after');
          const lost = await sink.deliver(batch, { selection: undefined, sentBefore: () => false, signal });
          assert.equal(lost.status, 'retryable');
          await between();
          const onResend = async (records: number): Promise<void> => void (possible += records);
          return sink.deliver(batch, { selection: undefined, sentBefore: () => true, onResend, signal });
        };
        let possible = 0;
        assert.deepEqual(await sendAndLose(async () => {}), { status: 'delivered', duplicates: 3 });
        const fresh = sink.createEncoder();
        fresh.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 1_000, Date.now());
        const first = await sink.deliver(fresh.finish(), { selection: undefined, sentBefore: () => false, signal });
        assert.equal(first.status, 'delivered');
        assert.deepEqual(await sendAndLose(async () => {}), { status: 'delivered', duplicates: 3 });
        assert.equal(possible, 0);
        const rolled = await sendAndLose(async () => {
          assert.equal((await server.request('POST', `/${stream}/_rollover`)).status, 200);
        });
        assert.deepEqual(rolled, { status: 'delivered', duplicates: 0 });
        assert.equal(possible, 3);
        // The answer of the resend is lost as well: the next one is a conflict in the new index, with the second copy.
        const encoder = sink.createEncoder();
        encoder.append(sourceInfo(), Buffer.from('a\nb\nc\n'), 0, 6, 2_000, Date.now());
        const batch = encoder.finish();
        const deliver = (past: PastSends): Promise<Delivery> =>
          sink.deliver(batch, {
            selection: undefined,
            sentBefore: () => past !== 'none',
            pastSends: () => past,
            onResend: async (records) => void (possible += records),
            signal,
          });
        relay.faults.push('cut_after', 'cut_after');
        assert.equal((await deliver('none')).status, 'retryable');
        assert.equal((await server.request('POST', `/${stream}/_rollover`)).status, 200);
        assert.equal((await deliver('once')).status, 'retryable');
        assert.deepEqual(await deliver('several'), { status: 'delivered', duplicates: 3 });
        assert.equal(possible, 6);
        const hits = await readIndex(server, stream);
        assert.equal(hits.length, 3 + 1 + 3 + 2 * 3 + 2 * 3, 'the last six stand in two backing indices each');
        await sink.close();
        await relay.stop();
      });
    });

    if (name === 'elasticsearch-7') {
      it('takes the template of logtender for indices, where there are no data streams', async () => {
        const has = { hasPolicy: false, hasMatchOnlyText: false, hasFailureStore: false };
        const template = indexTemplate({ flavour, pattern: 'seven-*', retentionDays: 1, ...has });
        const { data_stream: _, ...plain } = template;
        const put = await server.request('PUT', '/_index_template/logtender', plain);
        assert.equal(put.status, 200, JSON.stringify(put.body));
        const lines = '{"log":{"level":"info"},"n":1}\n{"n":"one"}\n';
        const { delivery, sink } = await send(server.url, 'seven-2026.01.01', Buffer.from(lines));
        assert.deepEqual(delivery, { status: 'delivered', duplicates: 0 });
        await sink.close();
        const { body } = await server.request('GET', '/seven-2026.01.01/_mapping');
        const [mapping] = Object.values(body as Readonly<Record<string, { mappings: { properties: Fields } }>>);
        assert.equal(mapping?.mappings.properties['kubernetes']?.properties?.['namespace']?.type, 'keyword');
      });
    }

    if (name === 'opensearch-3') {
      it('gives up the record that an ingest pipeline refuses, alone', async () => {
        const processors = [{ fail: { if: "ctx.message == 'bad'", message: 'no such thing' } }];
        assert.equal((await server.request('PUT', '/_ingest/pipeline/strict', { processors })).status, 200);
        const index = `ingest-${process.pid}`;
        const settings = { 'index.default_pipeline': 'strict' };
        assert.equal((await server.request('PUT', `/${index}`, { settings })).status, 200);
        const { delivery, sink } = await send(server.url, index, Buffer.from('good\nbad\nbetter\n'));
        assert(delivery.status === 'partial', JSON.stringify(delivery));
        assert.deepEqual([delivery.rejected.map(({ index: at }) => at), delivery.retry], [[1], []]);
        assert.match(delivery.rejected[0]?.text ?? '', /no such thing/);
        await sink.close();
        assert.equal((await readIndex(server, index)).length, 2);
      });
    }

    it('puts a record into the index of its own day, and knows it there', async () => {
      const config = forwarderConfig({
        ELASTICSEARCH_URL: server.url,
        DATA_STREAM: `dated${process.pid}-{yyyy.MM.dd}`,
      });
      const sink = new ElasticsearchSink({ config, clock: new VirtualClock(Date.now()), metrics: createMetrics() });
      const encoder = sink.createEncoder();
      const lines = '{"time":"2026-01-30T23:59:59Z"}\ntext\n{"time":"2026-02-01T00:00:00Z"}\n';
      encoder.append(sourceInfo(), Buffer.from(lines), 0, lines.length, 0, Date.UTC(2026, 0, 31, 12));
      const batch = encoder.finish();
      const { signal } = new AbortController();
      const deliver = (isResend: boolean): Promise<Delivery> =>
        sink.deliver(batch, { selection: undefined, sentBefore: () => isResend, signal });
      assert.deepEqual(await deliver(false), { status: 'delivered', duplicates: 0 });
      assert.deepEqual(await deliver(true), { status: 'delivered', duplicates: 3 });
      for (const day of ['2026.01.30', '2026.01.31', '2026.02.01']) {
        assert.equal((await readIndex(server, `dated${process.pid}-${day}`)).length, 1, day);
      }
      await sink.close();
    });

    it('is checked from the network to a written record', async () => {
      const config = forwarderConfig({ ELASTICSEARCH_URL: server.url, DATA_STREAM: `checked-${process.pid}` });
      const steps: string[] = [];
      for await (const step of checkElasticsearch({ config, clock: systemClock, writes: true })) {
        steps.push(`${step.name} ${step.outcome}`);
      }
      assert.deepEqual(steps.slice(0, 3), ['dns ok', 'tcp ok', 'tls warning']);
      assert(steps.includes('write ok'), steps.join());
      assert(!steps.some((step) => step.endsWith('failed')), steps.join());
    });

    it('refuses a name that no index can have without blaming a record', async () => {
      const { delivery, sink } = await send(server.url, '..', Buffer.from('x\n'));
      assert.notEqual(delivery.status, 'refused', JSON.stringify(delivery));
      await sink.close();
    });
  });
}

interface Fields {
  readonly [name: string]: { readonly type?: string; readonly properties?: Fields } | undefined;
}

type Again = (selection: readonly number[], sentBefore: () => boolean) => Promise<Delivery>;

/** One batch of `input` into `index`. */
async function send(
  url: string,
  index: string,
  input: Buffer,
): Promise<{ delivery: Delivery; sink: Sink; again: Again }> {
  const config = forwarderConfig({ ELASTICSEARCH_URL: url, DATA_STREAM: index });
  const sink = new ElasticsearchSink({ config, clock: new VirtualClock(Date.now()), metrics: createMetrics() });
  const encoder = sink.createEncoder();
  encoder.append(sourceInfo(), input, 0, input.length, 0, Date.now());
  const batch = encoder.finish();
  const { signal } = new AbortController();
  const again: Again = (selection, sentBefore) => sink.deliver(batch, { selection, sentBefore, signal });
  const delivery = await sink.deliver(batch, { selection: undefined, sentBefore: () => false, signal });
  return { delivery, sink, again };
}

describe('real cloudwatch (moto behind the strict proxy)', function () {
  this.timeout(TEST_MS_MAX);
  let server: CloudWatchServer;
  let dir = '';
  const GROUP = '/k8s/test/shop/web';
  const STREAM = 'web-7d9f-x2x/app/var/log/app/a.log';

  before(async function () {
    server = await requireServer(this, 'cloudwatch');
    dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
    await writeFile(join(dir, 'aws-access-key-id'), server.credentials.accessKeyId);
    await writeFile(join(dir, 'aws-secret-access-key'), server.credentials.secretAccessKey);
  });
  after(async () => {
    if (dir !== '') await rm(dir, { recursive: true });
  });

  const createSink = (env: Readonly<Record<string, string>> = {}): CloudWatchLogsSink => {
    const config = forwarderConfig({
      CLOUDWATCH_ENDPOINT: server.url,
      AWS_REGION: server.region,
      SINK_SECRET_DIR: dir,
      ...env,
    });
    const clock = new VirtualClock(Date.now());
    return new CloudWatchLogsSink({ config, clock, log: silentLog, metrics: createMetrics() });
  };

  describeSink('cloudwatch', {
    isIdempotent: false,
    cannot: {
      ...NOT_BY_MOTO,
      second_throttled: 'PutLogEvents throttles a request as a whole (API reference, rejectedLogEventsInfo)',
    },
    start: async (): Promise<SinkHarness> => {
      await server.reset();
      await server.call('CreateLogGroup', { logGroupName: GROUP });
      await server.call('CreateLogStream', { logGroupName: GROUP, logStreamName: STREAM });
      const faults = {
        throttled: 'throttle',
        server_error: 'unavailable',
        connection_cut: 'drop-before',
        answer_lost: 'drop-after',
      } as const;
      return {
        sink: createSink(),
        clock: new VirtualClock(),
        script: (next) => {
          assert(next in faults);
          server.order({ fault: faults[next as keyof typeof faults], count: 1, action: 'PutLogEvents' });
        },
        unseen: () => 0,
        stored: async () => (await server.readEvents(GROUP, STREAM)).map(({ message }) => message),
        down: () => server.halt(),
        up: () => server.resume(),
        stop: async () => {},
      };
    },
  });

  it('makes group with retention and stream, and every batch at its limits passes the strict proxy', async () => {
    await server.reset();
    const sink = createSink({ RETENTION_DAYS: '7' });
    const encoder = sink.createEncoder();
    const lines = Array.from({ length: 30_000 }, (_, i) => (i % 3 === 0 ? '' : `${i} ${'"é\u0001'.repeat(i % 40)}`));
    const input = Buffer.from(`${lines.join('\n')}\n`);
    const { signal } = new AbortController();
    let batches = 0;
    for (let at = 0; at < input.length; batches += 1) {
      at = encoder.append(sourceInfo(), input, at, input.length, at, Date.now());
      const delivery = await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
      assert.deepEqual(delivery, { status: 'delivered', duplicates: 0 });
      encoder.reset();
    }
    await sink.close();
    assert(batches >= 3);
    assert.deepEqual(server.proxy.refusals(), []);
    const events = await server.readEvents(GROUP, STREAM);
    assert.deepEqual(
      events.map(({ message }) => message),
      lines.map((line) => line || ' '),
    );
    const { body } = await server.call('DescribeLogGroups', { logGroupNamePrefix: GROUP });
    const { logGroups } = body as { readonly logGroups: ReadonlyArray<{ readonly retentionInDays?: number }> };
    assert.equal(logGroups[0]?.retentionInDays, 7);
  });

  it('reports the events that are too old, by index', async () => {
    await server.reset();
    const sink = createSink();
    const encoder = sink.createEncoder();
    const old = Date.now() - 15 * 24 * 60 * 60 * 1000;
    encoder.append(sourceInfo(), Buffer.from('a\nb\nc\n'), 0, 6, 0, old);
    const { signal } = new AbortController();
    const delivery = await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
    assert(delivery.status === 'partial', JSON.stringify(delivery));
    assert(delivery.rejected.length >= 2 && delivery.rejected.every(({ reason }) => reason === 'too_old'));
    await sink.close();
  });
});
