/**
 * The Elasticsearch sink against a strict `_bulk` server in memory.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Batch } from '../../src/core/record.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import type { PastSends } from '../../src/sinks/sink.ts';
import { FakeElasticsearch } from '../fakes/elasticsearch-server.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import type { Fault } from '../fakes/scripted-server.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';
import { describeSink } from './sink.ts';
import type { Scripted } from './sink.ts';

const error = (type: string): string => JSON.stringify({ error: { type, reason: 'words' } });

const FAULTS: Readonly<Partial<Record<Scripted, Fault>>> = {
  throttled: { status: 429, body: error('es_rejected_execution_exception') },
  server_error: { status: 503 },
  refused: { status: 400, body: error('illegal_argument_exception') },
  too_large: { status: 413 },
  connection_cut: 'cut_before',
  answer_lost: 'cut_after',
  answer_cut: 'cut_in_answer',
  silence: 'silence',
  credentials: { status: 401, body: error('security_exception') },
};

describeSink('elasticsearch', {
  isIdempotent: true,
  cannot: {},
  start: async () => {
    const fake = new FakeElasticsearch();
    await fake.server.start();
    const clock = new VirtualClock(Date.now());
    const config = forwarderConfig({ ELASTICSEARCH_URL: fake.server.url });
    return {
      sink: new ElasticsearchSink({ config, clock, metrics: createMetrics() }),
      clock,
      script: (next) => {
        const fault = FAULTS[next];
        if (fault !== undefined) fake.server.faults.push(fault);
        else fake.itemStatuses.push(...(next === 'first_rejected' ? [400] : [201, 429]));
      },
      unseen: () => fake.server.faults.length,
      stored: () => fake.stored.map(({ document }) => String(document['message'])),
      down: () => fake.server.stop(),
      up: () => fake.server.start(),
      stop: () => fake.server.stop(),
    };
  },
});

describe('ElasticsearchSink', () => {
  let dir = '';
  const fake = new FakeElasticsearch();
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
    await fake.server.start();
  });
  after(async () => {
    await fake.server.stop();
    await rm(dir, { recursive: true });
  });

  it('uses new credentials and a new URL of the Secret without a restart', async () => {
    const clock = new VirtualClock(Date.now());
    fake.authorization = `Basic ${Buffer.from('u:right').toString('base64')}`;
    const sink = new ElasticsearchSink({
      config: forwarderConfig({ SINK_SECRET_DIR: dir }),
      clock,
      metrics: createMetrics(),
    });
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, 0);
    const batch = encoder.finish();
    const deliver = async (): Promise<string> => {
      const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
      const delivery = await sink.deliver(batch, options);
      return 'text' in delivery ? delivery.text : delivery.status;
    };
    assert.match(await deliver(), /no URL: set ELASTICSEARCH_URL/);
    await writeFile(join(dir, 'elasticsearch-url'), fake.server.url);
    await writeFile(join(dir, 'elasticsearch-username'), 'u');
    await writeFile(join(dir, 'elasticsearch-password'), 'wrong');
    await clock.advance(10_000, 0);
    assert.match(await deliver(), /401: security_exception.*elasticsearch-api-key/);
    await writeFile(join(dir, 'elasticsearch-password'), 'right');
    await clock.advance(10_000, 0);
    assert.equal(await deliver(), 'delivered');
    await sink.close();
  });

  it('verifies the server by the CA of the Secret, and says so when it cannot', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cert = selfSigned(keys, Date.now());
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const server = createServer({ key, cert }, (request, response) => {
      request.resume().on('end', () => response.end('{"errors":false,"items":[]}'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const caDir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
    const clock = new VirtualClock(Date.now());
    const env = { ELASTICSEARCH_URL: `https://127.0.0.1:${port}`, SINK_SECRET_DIR: caDir };
    const sink = new ElasticsearchSink({ config: forwarderConfig(env), clock, metrics: createMetrics() });
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, 0);
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
    const distrusted = await sink.deliver(encoder.finish(), options);
    assert(distrusted.status === 'retryable' && distrusted.reason === 'unreachable');
    assert.match(distrusted.text, /elasticsearch-ca\.crt/);
    await writeFile(join(caDir, 'elasticsearch-ca.crt'), 'no certificate');
    await clock.advance(10_000, 0);
    assert.equal((await sink.deliver(encoder.finish(), options)).status, 'retryable', 'a CA that is none is survived');
    await writeFile(join(caDir, 'elasticsearch-ca.crt'), cert);
    await clock.advance(10_000, 0);
    assert.equal((await sink.deliver(encoder.finish(), options)).status, 'delivered');
    await sink.close();
    await new Promise((resolve) => server.close(resolve));
    await rm(caDir, { recursive: true });
  });

  it('takes what went to the failure store for rejected, also behind items that are stored', async () => {
    const strict = new FakeElasticsearch();
    strict.hasFailureStore = true;
    strict.generation = 1;
    strict.itemStatuses.push(...Array.from({ length: 1_999 }, () => 201), 400);
    await strict.server.start();
    const config = forwarderConfig({ ELASTICSEARCH_URL: strict.server.url });
    const sink = new ElasticsearchSink({ config, clock: new VirtualClock(), metrics: createMetrics() });
    const encoder = sink.createEncoder();
    const input = Buffer.from('x\n'.repeat(2_000));
    assert.equal(encoder.append(sourceInfo(), input, 0, input.length, 0, 0), input.length);
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
    const delivery = await sink.deliver(encoder.finish(), options);
    assert(delivery.status === 'partial');
    assert.deepEqual([delivery.retry, delivery.rejected.map(({ index }) => index)], [[], [1_999]]);
    assert.match(delivery.rejected[0]?.text ?? '', /failure store/);
    await sink.close();
    await strict.server.stop();
  });

  it('counts what a rollover may have stored twice, and nothing that was only promised', async () => {
    const stream = new FakeElasticsearch();
    stream.generation = 4;
    await stream.server.start();
    const config = forwarderConfig({ ELASTICSEARCH_URL: stream.server.url });
    const clock = new VirtualClock();
    const sink = new ElasticsearchSink({ config, clock, metrics: createMetrics() });
    let offset = 0;
    const next = (): Batch => {
      const encoder = sink.createEncoder();
      encoder.append(sourceInfo(), Buffer.from('a\nb\n'), 0, 4, (offset += 4), 0);
      return encoder.finish();
    };
    let possible = 0;
    const send = async (batch: Batch, past: PastSends, fault?: 'cut_after'): Promise<number> => {
      if (fault !== undefined) stream.server.faults.push(fault);
      const before = possible;
      const delivery = await sink.deliver(batch, {
        selection: undefined,
        // Promised ahead, whatever was sent.
        sentBefore: () => true,
        pastSends: () => past,
        onResend: async (records) => void (possible += records),
        signal: new AbortController().signal,
      });
      assert.equal(delivery.status, fault === undefined ? 'delivered' : 'retryable');
      return possible - before;
    };
    assert.equal(await send(next(), 'none'), 0, 'promised, and never sent');
    const [twice, thrice, still, left] = [next(), next(), next(), next()];
    await send(left, 'none', 'cut_after');
    await send(still, 'none', 'cut_after');
    await send(still, 'once', 'cut_after');
    assert.equal(await send(still, 'several'), 0, 'nothing rolled over');
    await send(twice, 'none', 'cut_after');
    await send(thrice, 'none', 'cut_after');
    stream.generation = 5;
    assert.equal(await send(twice, 'once'), 2);
    await send(thrice, 'once', 'cut_after');
    assert.equal(await send(thrice, 'several'), 2, 'the answer that would have told was lost as well');
    await clock.advance(10_000, 0);
    await send(next(), 'none');
    assert.equal(await send(left, 'earlier'), 2, 'learned after the rollover: no proof for what was sent before');
    const copies = new Set(stream.stored.map(({ id }) => id)).size;
    assert.equal(possible, stream.stored.length - copies, 'as many as there are too many');
    await sink.close();
    await stream.server.stop();
  });

  it('does not follow a redirect, and explains it', async () => {
    fake.server.faults.push({ status: 307, headers: { location: 'https://elsewhere/' } });
    const config = forwarderConfig({ ELASTICSEARCH_URL: fake.server.url });
    const sink = new ElasticsearchSink({ config, clock: new VirtualClock(), metrics: createMetrics() });
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, 0);
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: new AbortController().signal };
    const delivery = await sink.deliver(encoder.finish(), options);
    assert(delivery.status === 'retryable' && delivery.text.includes('https://elsewhere/'));
    await sink.close();
  });
});
