/**
 * The protocol promises of the webhook over HTTPS, at the process that runs in a pod: limits, refusals, texts, deadlines, logs, metrics.
 */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';

import { systemClock } from '../../src/core/clock.ts';
import { KiB, MiB } from '../../src/core/limits.ts';
import { dial, requestText } from '../fakes/wire.ts';
import type { Wire, WireReply } from '../fakes/wire.ts';
import { reviewOf } from '../fakes/webhook.ts';
import { SERVER_NAME, startWebhookProcess } from '../fakes/webhook-process.ts';
import type { WebhookProcess } from '../fakes/webhook-process.ts';

const POD = {
  metadata: { name: 'p', annotations: { 'logging.io/inject': 'true', 'logging.io/files': '/var/log/app/*.log' } },
  spec: { containers: [{ name: 'app' }] },
};
const BODY = JSON.stringify(reviewOf(POD));

/** A figure, for whoever reads the run. */
const note = (text: string): void => void process.stdout.write(`      ${text}\n`);

describe('webhook process', function () {
  this.timeout(30_000);
  let webhook: WebhookProcess;
  const wires: Wire[] = [];

  before(async () => {
    webhook = await startWebhookProcess();
  });
  afterEach(() => {
    for (const wire of wires.splice(0)) wire.destroy();
  });
  after(() => webhook.close());

  async function open(): Promise<Wire> {
    const wire = await dial(webhook.port, { ca: webhook.ca, servername: SERVER_NAME });
    wires.push(wire);
    return wire;
  }

  async function ask(body: string | Buffer, options: Parameters<typeof requestText>[1] = {}): Promise<WireReply> {
    const wire = await open();
    wire.send(requestText(body, options));
    return wire.reply();
  }

  /** A review that is exactly so long. */
  function bodyOf(bytes: number): Buffer {
    const body = Buffer.alloc(bytes, 0x20);
    body.write(BODY);
    return body;
  }

  const isWell = async (): Promise<void> => assert.equal((await ask(BODY)).status, 200);

  it('takes 10 MiB and refuses one byte more with 413, the memory staying flat (B8 24)', async () => {
    assert.equal((await ask(bodyOf(10 * MiB))).status, 200);
    const reply = await ask(bodyOf(10 * MiB + 1));
    assert.deepEqual([reply.status, /larger than the limit/.test(reply.body)], [413, true]);
    for (let i = 0; i < 8; i += 1) await ask(bodyOf(10 * MiB));
    const beforeMib = webhook.rssMib();
    for (let i = 0; i < 16; i += 1) await ask(bodyOf(10 * MiB + (i % 2)));
    const grownMib = webhook.rssMib() - beforeMib;
    // Eight bodies that were kept would be 80 MiB, and as many parsed ones several times that.
    assert(grownMib < 60, `${grownMib} MiB more`);
  });

  it('refuses 100,000 levels of JSON with 400, and quickly (B8 26)', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    await ask(deep);
    const startMs = systemClock.monotonic();
    const reply = await ask(deep);
    const elapsedMs = systemClock.monotonic() - startMs;
    assert.deepEqual([reply.status, /at most 64 levels/.test(reply.body)], [400, true]);
    const logged = (await webhook.log()).split('\n').filter((line) => line.includes('body_too_deep'));
    const { durationMs } = JSON.parse(logged.at(-1) ?? '{}') as { durationMs: number };
    note(`${durationMs} ms in the server, ${elapsedMs.toFixed(1)} ms with handshake`);
    await isWell();
  });

  it('refuses a compressed body with 415 (B8 27)', async () => {
    const reply = await ask(gzipSync(BODY), { headers: { 'content-encoding': 'gzip' } });
    assert.deepEqual([reply.status, /uncompressed/.test(reply.body)], [415, true]);
  });

  const BEFORE_THE_BODY: readonly (readonly [string, number, Parameters<typeof requestText>[1]])[] = [
    ['another content type (B8 28)', 415, { headers: { 'content-type': 'text/plain', 'content-length': '1000' } }],
    ['another path (B8 29)', 404, { path: '/other', headers: { 'content-length': '1000' } }],
    ['a body that says it is too large', 413, { headers: { 'content-length': String(10 * MiB + 1) } }],
    ['GET (B8 30)', 405, { method: 'GET', headers: { 'content-length': '1000' } }],
    ['PUT (B8 30)', 405, { method: 'PUT', headers: { 'content-length': '1000' } }],
    ['an unknown path (B8 30)', 404, { method: 'GET', path: '/', headers: { 'content-length': '1000' } }],
  ];
  for (const [name, status, options] of BEFORE_THE_BODY) {
    it(`refuses ${name} with ${status} before a byte of the body has come`, async () => {
      const wire = await open();
      wire.send(requestText('', options));
      const reply = await wire.reply();
      assert.equal(reply.status, status);
      assert.match(reply.body, /^logtender: [a-z_]+: .+: .+\n$/);
    });
  }

  it('two thousand idle connections do not keep a request waiting (B8 32)', async () => {
    const idle: Wire[] = [];
    for (let i = 0; i < 40; i += 1) idle.push(...(await Promise.all(Array.from({ length: 50 }, open))));
    assert.equal(idle.length, 2_000);
    await isWell();
    assert(idle.every((wire) => wire.isOpen()));
    const [first] = idle;
    first?.send(requestText(BODY));
    assert.equal((await first?.reply())?.status, 200);
  });

  it('bytes that are no HTTP get a plain 400, headers beyond all measure 431, and the line is cut', async () => {
    const nonsense = await open();
    nonsense.send('\u0016\u0003 hello\r\n\r\n');
    assert.equal((await nonsense.reply()).status, 400);
    await nonsense.closed;
    const long = await open();
    long.send(requestText('', { headers: { 'x-long': 'x'.repeat(64 * KiB) } }));
    assert.equal((await long.reply()).status, 431);
    await long.closed;
    await isWell();
  });

  it('?timeout=1s is honoured when the API server is slow: our words within the second (B8 37)', async () => {
    webhook.kube.slow(/^\/api\/v1\/namespaces\/slow$/, 3_000);
    const startMs = systemClock.monotonic();
    const reply = await ask(JSON.stringify(reviewOf(POD, 'slow')), { path: '/mutate?timeout=1s' });
    const elapsedMs = systemClock.monotonic() - startMs;
    assert.equal(reply.status, 500);
    assert.match(reply.body, /^logtender: deadline_exceeded: /);
    assert.equal(reply.headers.get('retry-after'), undefined, 'failurePolicy decides');
    assert(elapsedMs < 1_000, `${elapsedMs} ms`);
    const logged = (await webhook.log()).split('\n').filter((line) => line.includes('deadline_exceeded'));
    assert.equal(logged.length, 1);
  });

  it('says neither what it is made of nor where it failed (B8 38)', async () => {
    for (const body of [BODY, '{', '[]', '{"kind":"AdmissionReview"}', '\u0000']) {
      const reply = await ask(body);
      assert.equal(reply.headers.get('x-powered-by'), undefined);
      assert.equal(reply.headers.get('server'), undefined);
      assert(!/\bat .*:\d+:\d+|node_modules|\.ts\b/.test(reply.body), reply.body);
    }
  });

  it('keys such as __proto__, constructor, ~ and / are data: no effect, and pointers are escaped (B8 40)', async () => {
    const keys = { __proto__x: 'a', constructor: 'b', 'a/b~c': 'd', toString: 'e', '~1': 'f' };
    const text = JSON.stringify(
      reviewOf({
        ...POD,
        metadata: { name: 'p', labels: keys, annotations: { ...POD.metadata.annotations, ...keys } },
        spec: { containers: [{ name: 'app', env: [{ name: '__proto__', value: 'x' }] }], nodeSelector: keys },
      }),
    ).replaceAll('__proto__x', '__proto__');
    assert(text.includes('"__proto__":"a"'));
    const reply = await ask(text);
    assert.equal(reply.status, 200);
    const { response } = JSON.parse(reply.body) as { response: { allowed: boolean; patch: string } };
    assert.equal(response.allowed, true);
    const operations = JSON.parse(Buffer.from(response.patch, 'base64').toString()) as { path: string }[];
    assert(operations.length > 0);
    for (const { path } of operations) assert.match(path, /^(?:\/(?:[^~/]|~[01])+)+$/);
    assert(operations.some(({ path }) => path === '/metadata/annotations/logging.io~1status'));
    const evil = '{"__proto__":{"allowed":false},"constructor":{"prototype":{"x":1}},"kind":"AdmissionReview"}';
    assert.equal((await ask(evil)).status, 400);
    await isWell();
  });

  it('a namespace that is no name never becomes a path of the API server', async () => {
    for (const namespace of ['..', '.', 'a/b', '../nodes/x', 'UPPER', 'a'.repeat(64), 'a%2fb']) {
      const reply = await ask(JSON.stringify(reviewOf(POD, namespace)));
      assert.equal(reply.status, 400);
      assert.match(reply.body, /request\.namespace: expected a namespace name/);
    }
  });

  it('echoes the uid, and refuses v1beta1 in words (B8 49)', async () => {
    const uid = 'a-uid-of-63-characters-'.padEnd(63, 'x');
    const review = reviewOf(POD);
    const reply = await ask(JSON.stringify({ ...review, request: { ...(review['request'] as object), uid } }));
    assert.equal((JSON.parse(reply.body) as { response: { uid: string } }).response.uid, uid);
    const old = await ask(JSON.stringify({ ...review, apiVersion: 'admission.k8s.io/v1beta1' }));
    assert.equal(old.status, 400);
    assert.match(
      old.body,
      /apiVersion: expected "admission\.k8s\.io\/v1", got "admission\.k8s\.io\/v1beta1"; .*: send/,
    );
  });

  it('no value of env, annotation or Secret reaches log or metrics, nor one of env the answer (B8 58)', async () => {
    const pod = {
      metadata: {
        name: 'canary',
        annotations: {
          'logging.io/inject': 'true',
          'logging.io/files': '/CANARY-files/*.log',
          'logging.io/flush-interval': 'CANARY-interval',
          'logging.io/CANARY-unknown': 'CANARY-value',
          other: 'CANARY-other',
        },
      },
      spec: { containers: [{ name: 'app', env: [{ name: 'PASSWORD', value: 'CANARY-env' }], args: ['CANARY-arg'] }] },
    };
    const reply = await ask(JSON.stringify(reviewOf(pod)));
    assert.equal(reply.status, 200);
    const patch = Buffer.from((JSON.parse(reply.body) as { response: { patch: string } }).response.patch, 'base64');
    assert(!/CANARY-(env|arg|other)/.test(`${reply.body}${patch.toString()}`));
    await ask(JSON.stringify(reviewOf({ ...pod, metadata: { annotations: { 'logging.io/inject': 'CANARY-yes' } } })));
    await ask('{"CANARY-broken":');
    const { body: metrics } = await webhook.admin('/metrics');
    const log = await webhook.log();
    assert(!`${log}${metrics}`.includes('CANARY'));
    const key = log.includes('PRIVATE KEY') || metrics.includes('PRIVATE KEY');
    assert(!key);
  });

  it('newline, escape sequences, % and megabytes in names stay in one line of JSON (B8 59)', async () => {
    const name = 'a\n{"level":"error"}\u001b[31m%s%d\u009b31m\u2028\u202e\u0000';
    const before = (await webhook.log()).split('\n').length;
    const review = reviewOf({ ...POD, metadata: { ...POD.metadata, name } });
    const request = { ...(review['request'] as object), uid: `${name}${'u'.repeat(MiB)}` };
    await ask(JSON.stringify({ ...review, request }), { path: '/mutate?timeout=1s' });
    const lines = (await webhook.log()).split('\n').slice(before - 1, -1);
    assert.equal(lines.length, 1);
    const [line = ''] = lines;
    const logged = JSON.parse(line) as { pod: string; uid: string };
    assert.equal(logged.pod, name);
    assert(line.length < 4 * KiB, `${line.length} characters`);
    assert(!/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/.test(line), 'nothing that a terminal obeys');
  });

  it('a log line tells what was asked and answered, and for whom', async () => {
    await ask(JSON.stringify(reviewOf({ ...POD, metadata: { ...POD.metadata, name: 'told' } }, 'shop', true)));
    const line = (await webhook.log()).split('\n').find((text) => text.includes('"told"'));
    const logged = JSON.parse(line ?? '{}') as Record<string, unknown>;
    const told = ['status', 'namespace', 'pod', 'dryRun', 'uid'].map((key) => logged[key]);
    assert.deepEqual(told, [200, 'shop', 'told', true, 'c0ffee00-0000-4000-8000-000000000001']);
    assert.match(String(logged['reason']), /^injected/);
    assert(Number(logged['durationMs']) > 0 && Number(logged['bytes']) > 100);
  });
});
