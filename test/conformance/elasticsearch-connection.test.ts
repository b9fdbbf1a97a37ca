/**
 * How the Elasticsearch sink reaches its nodes: several of them, certificates, proxies, names that do not resolve, compression, signatures,
 * all with servers on loopback.
 */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo, LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { createMetrics } from '../../src/core/metrics.ts';
import { createSigner } from '../../src/sinks/aws/signature.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { ConnectProxy } from '../fakes/connect-proxy.ts';
import { FakeElasticsearch } from '../fakes/elasticsearch-server.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';

interface Pair {
  readonly cert: string;
  readonly key: string;
}

function pair(): Pair {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { cert: selfSigned(keys, Date.now()), key };
}

describe('Elasticsearch connections', () => {
  let dir = '';
  let sinks: ElasticsearchSink[] = [];
  let closing: (() => Promise<unknown>)[] = [];
  let clock: VirtualClock;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
    clock = new VirtualClock(Date.now());
  });
  afterEach(async () => {
    for (const sink of sinks) await sink.close();
    for (const close of closing) await close();
    sinks = [];
    closing = [];
    await rm(dir, { recursive: true });
  });

  const secret = async (values: Readonly<Record<string, string>>): Promise<void> => {
    for (const [key, value] of Object.entries(values)) await writeFile(join(dir, key), value);
    await clock.advance(10_000, 0);
  };
  const createSink = (env: Readonly<Record<string, string>>, lookup?: LookupFunction): ElasticsearchSink => {
    const config = forwarderConfig({ SINK_SECRET_DIR: dir, ...env });
    const more = lookup === undefined ? {} : { lookup };
    const sink = new ElasticsearchSink({ config, clock, metrics: createMetrics(), ...more });
    sinks.push(sink);
    return sink;
  };
  let lines = 0;
  const deliver = async (sink: ElasticsearchSink): Promise<Delivery> => {
    const encoder = sink.createEncoder();
    lines += 1;
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, lines * 2, 0);
    const signal = new AbortController().signal;
    return sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
  };
  const textOf = (delivery: Delivery): string => ('text' in delivery ? delivery.text : delivery.status);
  const fakeNode = async (): Promise<FakeElasticsearch> => {
    const fake = new FakeElasticsearch();
    await fake.server.start();
    closing.push(() => fake.server.stop());
    return fake;
  };
  const tlsServer = async (options: object, seen: (request: IncomingMessage) => void = () => {}): Promise<Server> => {
    const server = createServer(options, (request, response) => {
      seen(request);
      request.resume().on('end', () => response.end('{"errors":false,"items":[]}'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(
      () =>
        new Promise((resolve) => {
          server.close(resolve);
          server.closeAllConnections();
        }),
    );
    return server;
  };
  const portOf = (server: Pick<Server, 'address'>): number => (server.address() as AddressInfo).port;

  it('goes to another node when one fails or cannot serve, and stays there while it works', async () => {
    const nodes = [await fakeNode(), await fakeNode(), await fakeNode()];
    const sink = createSink({ ELASTICSEARCH_URL: nodes.map(({ server }) => server.url).join(',') });
    const served = (): number[] => nodes.map(({ stored }) => stored.length);
    for (let i = 0; i < 3; i += 1) assert.equal((await deliver(sink)).status, 'delivered');
    const first = served().indexOf(3);
    assert(first >= 0, 'one node is kept');
    await nodes[first]?.server.stop();
    assert.equal((await deliver(sink)).status, 'retryable');
    assert.equal((await deliver(sink)).status, 'delivered');
    const second = served().indexOf(1);
    assert(second >= 0 && second !== first);
    nodes[second]?.server.faults.push({ status: 503 });
    assert.equal((await deliver(sink)).status, 'retryable');
    assert.equal((await deliver(sink)).status, 'delivered');
    const third = 3 - first - second;
    assert.equal(served()[third], 1);
    // What a node says of the records is no fault of the node.
    nodes[third]?.server.faults.push({ status: 429 }, { status: 413 });
    assert.equal((await deliver(sink)).status, 'retryable');
    assert.equal((await deliver(sink)).status, 'too_large');
    assert.equal((await deliver(sink)).status, 'delivered');
    assert.equal(served()[third], 2);
  });

  it('proves itself by a client certificate, and takes a new one without a restart', async () => {
    const server = pair();
    const [old, renewed] = [pair(), pair()];
    const names: string[] = [];
    const ca = [renewed.cert];
    const node = await tlsServer({ ...server, ca, requestCert: true, rejectUnauthorized: true }, ({ socket }) => {
      assert(socket instanceof TLSSocket);
      names.push(socket.getPeerCertificate().fingerprint256);
    });
    await secret({ 'elasticsearch-url': `https://127.0.0.1:${portOf(node)}`, 'elasticsearch-ca.crt': server.cert });
    const sink = createSink({});
    assert.equal((await deliver(sink)).status, 'retryable', 'no certificate');
    await secret({ 'elasticsearch-client.crt': old.cert });
    assert.match(textOf(await deliver(sink)), /elasticsearch-client\.crt but no elasticsearch-client\.key/);
    await secret({ 'elasticsearch-client.key': old.key });
    assert.equal((await deliver(sink)).status, 'retryable', 'one that the server does not trust');
    await secret({ 'elasticsearch-client.crt': renewed.cert, 'elasticsearch-client.key': renewed.key });
    assert.equal((await deliver(sink)).status, 'delivered');
    assert.equal(names.length, 1);
  });

  it('goes on when the certificate of the server is renewed under another CA', async () => {
    const [old, renewed] = [pair(), pair()];
    const node = await tlsServer(old);
    await secret({ 'elasticsearch-url': `https://127.0.0.1:${portOf(node)}`, 'elasticsearch-ca.crt': old.cert });
    const sink = createSink({});
    assert.equal((await deliver(sink)).status, 'delivered');
    node.setSecureContext(renewed);
    node.closeAllConnections();
    let delivery = await deliver(sink);
    // The first request may still find the old connection.
    if (!textOf(delivery).includes('elasticsearch-ca.crt')) delivery = await deliver(sink);
    assert.match(textOf(delivery), /elasticsearch-ca\.crt/);
    await secret({ 'elasticsearch-ca.crt': renewed.cert });
    assert.equal((await deliver(sink)).status, 'delivered');
  });

  it('waits for a name that does not resolve for a while', async () => {
    const node = await fakeNode();
    let isKnown = false;
    const lookup: LookupFunction = (hostname, _options, done) => {
      if (isKnown) done(null, [{ address: '127.0.0.1', family: 4 }]);
      else done(Object.assign(new Error(`getaddrinfo EAI_AGAIN ${hostname}`), { code: 'EAI_AGAIN' }), '', 4);
    };
    const sink = createSink({ ELASTICSEARCH_URL: node.server.url.replace('127.0.0.1', 'search.example') }, lookup);
    for (let i = 0; i < 3; i += 1) {
      const delivery = await deliver(sink);
      assert(delivery.status === 'retryable' && delivery.reason === 'unreachable');
      assert.match(delivery.text, /EAI_AGAIN search\.example/);
    }
    isKnown = true;
    assert.equal((await deliver(sink)).status, 'delivered');
  });

  it('compresses by choice, and a retry is compressed anew', async () => {
    const node = await fakeNode();
    const sink = createSink({ ELASTICSEARCH_URL: node.server.url, ELASTICSEARCH_GZIP: 'true' });
    assert.equal((await deliver(sink)).status, 'delivered');
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('a\nb\nc\n'), 0, 6, 100, 0);
    const { signal } = new AbortController();
    const options = { selection: [0, 2], sentBefore: (): boolean => false, signal };
    assert.equal((await sink.deliver(encoder.finish(), options)).status, 'delivered');
    assert.deepEqual(
      node.stored.slice(1).map(({ document }) => document['message']),
      ['a', 'c'],
    );
    assert.equal(node.gzipped, 2);
  });

  it('goes through a proxy for http and https, and past it for the hosts of NO_PROXY', async () => {
    const proxy = new ConnectProxy();
    await proxy.start();
    closing.push(() => proxy.stop());
    const node = await fakeNode();
    const tls = pair();
    const secure = await tlsServer(tls);
    const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
    assert.equal((await deliver(createSink({ ELASTICSEARCH_URL: node.server.url, ...env }))).status, 'delivered');
    assert.deepEqual(proxy.seen.splice(0), [`POST ${new URL(node.server.url).host}`]);
    await secret({ 'elasticsearch-ca.crt': tls.cert });
    const url = `https://127.0.0.1:${portOf(secure)}`;
    const through = createSink({ ELASTICSEARCH_URL: url, ...env });
    assert.equal((await deliver(through)).status, 'delivered');
    assert.equal((await deliver(through)).status, 'delivered');
    assert.deepEqual(proxy.seen.splice(0), [`CONNECT 127.0.0.1:${portOf(secure)}`], 'one tunnel is kept');
    const past = createSink({ ELASTICSEARCH_URL: url, ...env, NO_PROXY: 'localhost,127.0.0.1' });
    assert.equal((await deliver(past)).status, 'delivered');
    assert.deepEqual(proxy.seen, []);
    await proxy.stop();
    const gone = await deliver(createSink({ ELASTICSEARCH_URL: url, ...env }));
    assert(gone.status === 'retryable' && gone.reason === 'unreachable', textOf(gone));
  });

  it('signs for AWS with the keys of the Secret, and says what is missing', async () => {
    const requests: IncomingMessage[] = [];
    const server = createHttpServer((request, response) => {
      requests.push(request);
      request.resume().on('end', () => response.end('{"errors":false,"items":[]}'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(
      () =>
        new Promise((resolve) => {
          server.close(resolve);
          server.closeAllConnections();
        }),
    );
    const url = `http://127.0.0.1:${portOf(server)}`;
    const env = { ELASTICSEARCH_URL: url, ELASTICSEARCH_SIGNING: 'aws' };
    assert.match(textOf(await deliver(createSink(env))), /AWS_REGION/);
    await secret({
      'aws-access-key-id': 'AKIDEXAMPLE',
      'aws-secret-access-key': 'secret',
      'elasticsearch-api-key': 'x',
    });
    assert.equal((await deliver(createSink({ ...env, AWS_REGION: 'eu-west-1' }))).status, 'delivered');
    const headers: IncomingMessage['headers'] = requests[0]?.headers ?? {};
    const scope =
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/es\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$/;
    assert.match(headers.authorization ?? '', scope);
    assert.match(String(headers['x-amz-content-sha256']), /^[0-9a-f]{64}$/);
    // The very signature again, from what arrived: path, host and headers are those that were signed.
    const again = createSigner({
      service: 'es',
      region: 'eu-west-1',
      credentials: async () => ({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }),
      isPathLiteral: false,
      hasBodyHash: true,
    });
    const date = String(headers['x-amz-date']).replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5');
    const kept = ['content-type', 'accept'].map((name) => [name, String(headers[name as 'accept'])] as const);
    const encoder = createSink({ ELASTICSEARCH_URL: url }).createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, lines * 2, 0);
    const { body } = encoder.finish();
    const { pathname: path, searchParams } = new URL(requests[0]?.url ?? '', url);
    const request = { method: 'POST', host: new URL(url).host, path, query: Object.fromEntries(searchParams) };
    const own = {
      ...Object.fromEntries(kept),
      'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
    };
    const signed = await again({ ...request, headers: own }, Date.parse(date));
    assert.equal(signed['authorization'], headers.authorization);
  });
});
