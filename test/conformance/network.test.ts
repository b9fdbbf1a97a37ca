/**
 * Every sink that has a network against everything that a network does: one table of sinks and cases, over TLS, with strict fakes.
 *
 *                    | elasticsearch  s3  cloudwatch | console, file
 *   cut at: connect, handshake, in the request, before and in the answer | each | they have no connection
 *   slow answer, certificate renewed, name that does not resolve         | each | -
 *   wrong credentials, then right ones, without a restart                | each | they have none
 *   copytruncate between send and resend, by the whole forwarder         | each | test/src/pipeline/forwarder.test.ts
 *
 * Nothing is lost in any cell; nothing is stored twice where the destination recognises a resend, and in CloudWatch Logs only what was
 * stored without an answer. Throttling, refusals, sizes and silence: sink.ts, run by each sink's own file; a server that is killed in
 * mid-batch: test/cluster/delivery.test.ts and s3.test.ts, on the real ones.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { writeCertificate } from '../../certs/authority.ts';
import type { CertificateSpec } from '../../certs/authority.ts';
import { PLAIN_RULES } from '../../src/config/record-rules.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Batch } from '../../src/core/record.ts';
import { Forwarder } from '../../src/pipeline/forwarder.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import { S3Sink } from '../../src/sinks/s3/sink.ts';
import type { Delivery, Sink } from '../../src/sinks/sink.ts';
import { FakeCloudWatchLogs } from '../fakes/cloudwatch-logs-server.ts';
import { FakeElasticsearch } from '../fakes/elasticsearch-server.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { MemoryDisk } from '../fakes/memory-state-files.ts';
import { FAKE_KEYS, FakeS3 } from '../fakes/s3-server.ts';
import type { ScriptedServer } from '../fakes/scripted-server.ts';
import { TlsFront } from '../fakes/tls-front.ts';
import type { FrontFault, Pair } from '../fakes/tls-front.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

const RECHECK_MS = 10_000;
const HOUR_MS = 60 * 60 * 1000;
const LINES = ['one', 'two', 'three'];

type Values = Readonly<Record<string, string>>;

/** A fake, and how a sink reaches it. */
interface Destination {
  readonly server: ScriptedServer;
  readonly env: (url: string) => Values;
  readonly sink: (env: Values, clock: Clock, lookup: LookupFunction | undefined) => Sink;
  readonly caKey: string | undefined;
  readonly right: Values;
  readonly wrong: Values;
  readonly stored: () => readonly string[];
}

const AWS_RIGHT = { 'aws-access-key-id': FAKE_KEYS.accessKeyId, 'aws-secret-access-key': FAKE_KEYS.secretAccessKey };
const AWS_WRONG = { 'aws-access-key-id': 'AKIDOTHER', 'aws-secret-access-key': 'other' };

function elasticsearch(): Destination {
  const fake = new FakeElasticsearch();
  fake.authorization = `Basic ${Buffer.from('u:right').toString('base64')}`;
  return {
    server: fake.server,
    env: (url) => ({ ELASTICSEARCH_URL: url }),
    sink: (env, clock, lookup) =>
      new ElasticsearchSink({
        config: forwarderConfig(env),
        clock,
        metrics: createMetrics(),
        ...(lookup === undefined ? {} : { lookup }),
      }),
    caKey: 'elasticsearch-ca.crt',
    right: { 'elasticsearch-username': 'u', 'elasticsearch-password': 'right' },
    wrong: { 'elasticsearch-username': 'u', 'elasticsearch-password': 'wrong' },
    stored: () => fake.stored.map(({ document }) => String(document['message'])),
  };
}

function s3(): Destination {
  const fake = new FakeS3();
  return {
    server: fake.server,
    env: (url) => ({ S3_ENDPOINT: url, S3_BUCKET: fake.bucket, AWS_REGION: fake.region, S3_ADDRESSING: 'path' }),
    sink: (env, clock, lookup) => new S3Sink({ config: forwarderConfig(env), clock, metrics: createMetrics(), lookup }),
    caKey: 's3-ca.crt',
    right: AWS_RIGHT,
    wrong: AWS_WRONG,
    stored: () =>
      fake.objects.flatMap(({ body }) =>
        gunzipSync(body)
          .toString()
          .trimEnd()
          .split('\n')
          .map((line) => (JSON.parse(line) as { readonly message: string }).message),
      ),
  };
}

function cloudwatch(): Destination {
  const fake = new FakeCloudWatchLogs();
  fake.accessKeyId = FAKE_KEYS.accessKeyId;
  // There already, so that the first request is the one that counts.
  fake.groups.set('/k8s/test/shop/web', {});
  fake.streams.set('/k8s/test/shop/web:web-7d9f-x2x/app/var/log/app/a.log', []);
  return {
    server: fake.server,
    env: (url) => ({ CLOUDWATCH_ENDPOINT: url, AWS_REGION: 'eu-central-1' }),
    sink: (env, clock, lookup) => {
      const config = forwarderConfig(env);
      return new CloudWatchLogsSink({ config, clock, log: silentLog, metrics: createMetrics(), lookup });
    },
    // Trusted by the process (NODE_EXTRA_CA_CERTS), not by a key of the Secret.
    caKey: undefined,
    right: AWS_RIGHT,
    wrong: AWS_WRONG,
    stored: () => fake.messages,
  };
}

/** A CA, and the certificates that it signs for a server on loopback. */
class TestAuthority {
  readonly cert: string;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
    this.cert = writeCertificate({ ...this.#spec(name), publicKey: this.#keys.publicKey, role: { kind: 'ca' } });
  }

  issue(): Pair {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const role = { kind: 'leaf', hosts: ['127.0.0.1'] } as const;
    return { key, cert: writeCertificate({ ...this.#spec('sink.test'), publicKey, role }) };
  }

  #spec(subject: string): Omit<CertificateSpec, 'publicKey' | 'role'> {
    const now = Date.now();
    return {
      serial: randomBytes(16),
      subject,
      issuer: this.#name,
      notBeforeMs: now - HOUR_MS,
      notAfterMs: now + HOUR_MS,
      issuerKeys: this.#keys,
    };
  }
}

/** Whether the request was done before the connection was cut. */
const CUTS: ReadonlyArray<readonly [fault: FrontFault, isDone: boolean]> = [
  ['connect', false],
  ['handshake', false],
  ['in_request', false],
  ['before_answer', true],
  ['in_answer', true],
];

for (const [name, isIdempotent, open] of [
  ['elasticsearch', true, elasticsearch],
  ['s3', true, s3],
  ['cloudwatch', false, cloudwatch],
] as const) {
  describe(`network: ${name}`, () => {
    const authority = new TestAuthority('trusted');
    const systemCas = getCACertificates('default');
    let destination: Destination;
    let front: TlsFront;
    let dir = '';
    let clock: VirtualClock;
    let sink: Sink;

    before(() => setDefaultCACertificates([...systemCas, authority.cert]));
    after(() => setDefaultCACertificates(systemCas));
    beforeEach(async () => {
      destination = open();
      await destination.server.start();
      front = new TlsFront(destination.server.url, authority.issue());
      await front.start();
      dir = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
      clock = new VirtualClock(Date.now());
      const { caKey, right } = destination;
      secret({ ...right, ...(caKey === undefined ? {} : { [caKey]: authority.cert }) });
      sink = destination.sink({ SINK_SECRET_DIR: dir, ...destination.env(front.url) }, clock, undefined);
    });
    afterEach(async () => {
      await sink.close();
      await front.stop();
      await destination.server.stop();
      rmSync(dir, { recursive: true });
    });

    const secret = (values: Values): void => {
      for (const [key, value] of Object.entries(values)) writeFileSync(join(dir, key), value);
    };
    let sources = 0;
    const batchOf = (lines: readonly string[]): Batch => {
      sources += 1;
      const source = sourceInfo('/var/log/app/a.log', String(sources).padStart(16, '0'));
      const input = Buffer.from(`${lines.join('\n')}\n`);
      const encoder = sink.createEncoder();
      encoder.append(source, input, 0, input.length, 0, clock.now());
      return encoder.finish();
    };
    const deliver = (batch: Batch, isResend = false): Promise<Delivery> =>
      sink.deliver(batch, {
        selection: undefined,
        sentBefore: () => isResend,
        signal: new AbortController().signal,
      });

    for (const [fault, isDone] of CUTS) {
      it(`cut, ${fault}: sent again, ${isDone && !isIdempotent ? 'stored twice' : 'stored once'}`, async () => {
        const batch = batchOf(LINES);
        front.faults.push(fault);
        const delivery = await deliver(batch);
        assert(delivery.status === 'retryable', JSON.stringify(delivery));
        assert(['unreachable', 'timeout', 'server_error'].includes(delivery.reason), delivery.reason);
        assert.notEqual(delivery.text, '');
        const duplicates = isDone && isIdempotent ? LINES.length : 0;
        assert.deepEqual(await deliver(batch, true), { status: 'delivered', duplicates });
        assert.deepEqual(destination.stored(), isDone && !isIdempotent ? [...LINES, ...LINES] : LINES);
      });
    }

    it('an answer that comes byte by byte is an answer', async () => {
      front.faults.push('slow_answer');
      assert.deepEqual(await deliver(batchOf(LINES)), { status: 'delivered', duplicates: 0 });
      assert.deepEqual(destination.stored(), LINES);
    });

    it('a certificate that is renewed is taken without a restart', async () => {
      assert.equal((await deliver(batchOf(['before']))).status, 'delivered');
      front.renew(authority.issue());
      const batch = batchOf(LINES);
      let delivery = await deliver(batch);
      // The first may still find the old connection.
      if (delivery.status === 'retryable') delivery = await deliver(batch, true);
      assert.equal(delivery.status, 'delivered');
      assert.deepEqual(destination.stored(), ['before', ...LINES]);
    });

    it('a certificate that nobody vouches for gets no line, and the words say where the CA goes', async () => {
      front.renew(new TestAuthority('strange').issue());
      const delivery = await deliver(batchOf(LINES));
      assert(delivery.status === 'retryable' && delivery.reason === 'unreachable', JSON.stringify(delivery));
      assert.match(delivery.text, new RegExp(destination.caKey?.replace('.', '\\.') ?? 'NODE_EXTRA_CA_CERTS'));
      assert.deepEqual(destination.stored(), []);
    });

    it('a name that does not resolve for a while', async () => {
      let failures = 2;
      const lookup: LookupFunction = (host, options, done) => {
        assert.equal(host, 'sink.test');
        failures -= 1;
        if (failures >= 0) done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), '');
        else if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
        else done(null, '127.0.0.1', 4);
      };
      const url = destination.server.url.replace('127.0.0.1', 'sink.test');
      await sink.close();
      sink = destination.sink({ SINK_SECRET_DIR: dir, ...destination.env(url) }, clock, lookup);
      const batch = batchOf(LINES);
      for (let i = 0; i < 2; i += 1) {
        const delivery = await deliver(batch, i > 0);
        assert(delivery.status === 'retryable' && delivery.reason === 'unreachable', JSON.stringify(delivery));
        assert.match(delivery.text, /ENOTFOUND/);
        await clock.advance(RECHECK_MS, 0);
      }
      assert.deepEqual(await deliver(batch, true), { status: 'delivered', duplicates: 0 });
      assert.deepEqual(destination.stored(), LINES);
    });

    it('wrong credentials hold the lines back, the right ones are taken without a restart', async () => {
      secret(destination.wrong);
      const batch = batchOf(LINES);
      const delivery = await deliver(batch);
      assert(delivery.status === 'retryable' && delivery.reason === 'credentials', JSON.stringify(delivery));
      assert.deepEqual(destination.stored(), []);
      secret(destination.right);
      await clock.advance(RECHECK_MS, 0);
      assert.deepEqual(await deliver(batch, true), { status: 'delivered', duplicates: 0 });
      assert.deepEqual(destination.stored(), LINES);
    });

    for (const [who, isRestarted] of [
      ['this process', false],
      ['the next process', true],
    ] as const) {
      it(`copytruncate between send and resend by ${who}: other bytes at the same offsets hide behind no old ones`, async () => {
        const logs = join(dir, 'logs');
        mkdirSync(logs);
        const file = join(logs, 'a.log');
        const disk = new MemoryDisk();
        let starts = 0;
        const begin = async (): Promise<{ forwarder: Forwarder; running: Promise<void> }> => {
          starts += 1;
          const made = await Forwarder.open({
            files: [{ container: 'app', path: '/var/log/app/a.log', directory: '/var/log/app', mount: logs }],
            sinks: [name],
            uid: 'uid',
            epoch: `epoch-${starts}`,
            flushIntervalMs: 20,
            rules: PLAIN_RULES,
            stateFiles: disk.mount(),
            clock: systemClock,
            random: () => 0.5,
            log: silentLog,
            metrics: createMetrics(),
            watch: false,
          });
          const env = { SINK_SECRET_DIR: dir, S3_OBJECT_AGE: '1s', ...destination.env(front.url) };
          made.attach(destination.sink(env, systemClock, undefined));
          return { forwarder: made, running: made.run() };
        };
        const end = async (): Promise<void> => {
          forwarder.stop();
          await running;
          await forwarder.close();
        };
        const until = async (what: string, isSo: () => boolean): Promise<void> => {
          for (let i = 0; !isSo(); i += 1) {
            assert(i < 2_000, `${what}: ${destination.stored().join()}`);
            await systemClock.sleep(10);
          }
        };
        // The same lengths, so that each new line has the offset of an old one.
        const young = ['uno', 'dos', 'tres!'];
        writeFileSync(file, `${LINES.join('\n')}\n`);
        // No resend gets through before the file is another one.
        front.faults.push('before_answer', ...Array.from({ length: 100 }, () => 'connect' as const));
        let { forwarder, running } = await begin();
        await until(
          'the first request is done, its answer is lost',
          () => destination.stored().length === LINES.length,
        );
        if (isRestarted) await end();
        copyFileSync(file, `${file}.1`);
        truncateSync(file);
        appendFileSync(file, `${young.join('\n')}\n`);
        front.faults.length = 0;
        if (isRestarted) ({ forwarder, running } = await begin());
        // What was never acknowledged is read again from the copy beside the file.
        const resent = isIdempotent ? [] : LINES;
        const want = [...LINES, ...resent, ...young];
        const account = (): ReturnType<Forwarder['summaries']>[number]['account'] => {
          const [summary] = forwarder.summaries();
          assert(summary !== undefined);
          return summary.account;
        };
        await until(
          'all is settled',
          () => destination.stored().length >= want.length && account().pending.lines === 0,
        );
        assert.deepEqual(destination.stored(), want);
        account().assertBalanced();
        assert.equal(account().delivered.lines, LINES.length + young.length);
        assert.equal(account().duplicates, isIdempotent ? LINES.length : 0);
        assert.equal(account().duplicatesMax, resent.length);
        await end();
      });
    }
  });
}
