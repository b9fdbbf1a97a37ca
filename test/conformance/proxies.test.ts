/**
 * HTTPS_PROXY, HTTP_PROXY and NO_PROXY for the destinations of AWS, through a proxy in a process of its own: CONNECT for https, the absolute
 * form for http; credentials of a role (STS) go the same way, those of the machine never do. Elasticsearch: elasticsearch-connection.test.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { checkOf } from '../../src/sinks/check.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import { checkIdentity } from '../../src/sinks/aws/check.ts';
import { CREDENTIALS_MS_MAX, LATE_REMEDY } from '../../src/sinks/aws/late-credentials.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import { S3Sink } from '../../src/sinks/s3/sink.ts';
import type { Delivery, Sink } from '../../src/sinks/sink.ts';
import { podIdentityAgent, securityTokenService } from '../fakes/aws-credential-servers.ts';
import { FakeCloudWatchLogs } from '../fakes/cloudwatch-logs-server.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { FAKE_KEYS, FakeS3 } from '../fakes/s3-server.ts';
import type { ScriptedServer } from '../fakes/scripted-server.ts';
import { SilentServer } from '../fakes/silent-server.ts';
import { TlsFront } from '../fakes/tls-front.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';

type Env = Readonly<Record<string, string>>;
const MAIN = join(import.meta.dirname, '../fakes/connect-proxy-main.ts');

describe('proxies', () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pair = {
    cert: selfSigned(keys, Date.now()),
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  const trusted = getCACertificates('default');
  const savedEnv = { ...process.env };
  let dir = '';
  let proxy: ChildProcess;
  let url = '';
  let seen: string[] = [];
  const sinks: Sink[] = [];
  const stops: (() => Promise<void>)[] = [];

  before(async () => {
    // The SDK takes no CA of ours: the process trusts it.
    setDefaultCACertificates([...trusted, pair.cert]);
    dir = mkdtempSync(join(tmpdir(), 'logtender-proxies-'));
    writeFileSync(join(dir, 'aws-access-key-id'), FAKE_KEYS.accessKeyId);
    writeFileSync(join(dir, 'aws-secret-access-key'), FAKE_KEYS.secretAccessKey);
    writeFileSync(join(dir, 's3-ca.crt'), pair.cert);
    proxy = spawn(process.execPath, [MAIN], { stdio: ['pipe', 'pipe', 'inherit'] });
    assert(proxy.stdout !== null);
    const lines = createInterface(proxy.stdout);
    url = await new Promise<string>((first) => lines.once('line', first));
    lines.on('line', (line) => seen.push(line));
  });
  after(async () => {
    setDefaultCACertificates(trusted);
    const ended = new Promise((done) => proxy.once('exit', done));
    proxy.stdin?.end();
    await ended;
    rmSync(dir, { recursive: true });
  });
  beforeEach(() => {
    seen = [];
    for (const name of Object.keys(process.env).filter((key) => key.startsWith('AWS_'))) delete process.env[name];
    Object.assign(process.env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    });
  });
  afterEach(async () => {
    for (const sink of sinks.splice(0)) await sink.close();
    for (const stop of stops.splice(0).toReversed()) await stop();
    for (const name of Object.keys(process.env)) if (!(name in savedEnv)) delete process.env[name];
    Object.assign(process.env, savedEnv);
  });

  const started = async (server: ScriptedServer): Promise<string> => {
    await server.start();
    stops.push(() => server.stop());
    return server.url;
  };
  const behindTls = async (server: ScriptedServer): Promise<string> => {
    const front = new TlsFront(await started(server), pair);
    await front.start();
    stops.push(() => front.stop());
    return front.url;
  };
  const cloudWatch = (): FakeCloudWatchLogs => {
    const fake = new FakeCloudWatchLogs();
    fake.accessKeyId = FAKE_KEYS.accessKeyId;
    fake.groups.set('/k8s/test/shop/web', {});
    fake.streams.set('/k8s/test/shop/web:web-7d9f-x2x/app/var/log/app/a.log', []);
    return fake;
  };
  const configOf = (env: Env): ReturnType<typeof forwarderConfig> =>
    forwarderConfig({ AWS_REGION: 'eu-central-1', SINK_SECRET_DIR: dir, S3_BUCKET: 'logs', ...env });
  const deliver = async (name: 's3' | 'cloudwatch', env: Env): Promise<Delivery> => {
    const options = { config: configOf(env), clock: systemClock, log: silentLog, metrics: createMetrics() };
    const sink = name === 's3' ? new S3Sink(options) : new CloudWatchLogsSink(options);
    sinks.push(sink);
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, Date.now());
    const { signal } = new AbortController();
    return sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
  };
  const through = (): Env => ({ HTTP_PROXY: url, HTTPS_PROXY: url });
  const hostOf = (text: string): string => new URL(text).host;

  for (const [name, variable] of [
    ['s3', 'S3_ENDPOINT'],
    ['cloudwatch', 'CLOUDWATCH_ENDPOINT'],
  ] as const) {
    const fakeServer = (): ScriptedServer => (name === 's3' ? new FakeS3().server : cloudWatch().server);

    it(`${name}: https by CONNECT, http in the absolute form`, async () => {
      const [secure, plain] = [await behindTls(fakeServer()), await started(fakeServer())];
      const first = await deliver(name, { [variable]: secure, ...through() });
      assert.equal(first.status, 'delivered', JSON.stringify(first));
      const second = await deliver(name, { [variable]: plain, ...through() });
      assert.equal(second.status, 'delivered', JSON.stringify(second));
      assert.deepEqual(seen, [`CONNECT ${hostOf(secure)}`, `${name === 's3' ? 'PUT' : 'POST'} ${hostOf(plain)}`]);
    });

    it(`${name}: past it for the hosts of NO_PROXY, and not past it when it is gone`, async () => {
      const secure = await behindTls(fakeServer());
      const past = await deliver(name, { [variable]: secure, ...through(), NO_PROXY: 'other.example,127.0.0.1' });
      assert.equal(past.status, 'delivered', JSON.stringify(past));
      assert.deepEqual(seen, []);
      // Port 9 (discard): nobody listens there.
      const gone = await deliver(name, { [variable]: secure, HTTPS_PROXY: 'http://127.0.0.1:9' });
      assert(gone.status === 'retryable' && gone.reason === 'unreachable', JSON.stringify(gone));
    });

    it(`${name}: check sink goes the same way, and does not look for a name that the pod need not know`, async () => {
      const secure = await behindTls(fakeServer());
      const check = await checkOf(name);
      assert(check !== undefined);
      const steps: Record<string, string> = {};
      const options = { config: configOf({ [variable]: secure, ...through() }), clock: systemClock, writes: false };
      for await (const step of check(options)) steps[step.name] = `${step.outcome}: ${step.text}`;
      assert.match(steps['network'] ?? '', new RegExp(`^skipped: the proxy ${hostOf(url)} is configured`));
      assert.match(steps['permission'] ?? '', /^ok: /, JSON.stringify(steps));
      assert.equal(steps['dns'], undefined);
      assert.deepEqual([...new Set(seen)], [`CONNECT ${hostOf(secure)}`]);
    });

    it(`${name}: the credentials of a role come through it as well, those of an agent beside the pod do not`, async () => {
      const token = join(dir, 'token');
      writeFileSync(token, 'jwt');
      const issued = { keys: [FAKE_KEYS.accessKeyId], asked: 0 };
      const sts = await behindTls(securityTokenService(issued, () => 'jwt'));
      const webIdentity = {
        AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/logs',
        AWS_WEB_IDENTITY_TOKEN_FILE: token,
        AWS_REGION: 'eu-central-1',
        AWS_ENDPOINT_URL_STS: sts,
      };
      const keyless = { SINK_SECRET_DIR: join(dir, 'nothing'), ...through() };
      const plain = await started(fakeServer());
      Object.assign(process.env, webIdentity);
      // Whether the fake takes the keys is not the question here.
      await deliver(name, { [variable]: plain, ...keyless });
      assert.equal(issued.asked, 1);
      assert.equal(seen[0], `CONNECT ${hostOf(sts)}`);
      for (const key of Object.keys(webIdentity)) delete process.env[key];
      seen = [];
      const agent = await started(podIdentityAgent(issued, () => 'jwt'));
      Object.assign(process.env, {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: token,
      });
      await deliver(name, { [variable]: plain, ...keyless });
      assert.equal(issued.asked, 2);
      assert(!seen.some((line) => line.includes(hostOf(agent))), seen.join());
    });
  }

  describe('one that takes the connection and never answers', () => {
    let silent: SilentServer;
    let clock: VirtualClock;
    let keyless: Env;

    beforeEach(async () => {
      silent = new SilentServer();
      keyless = { SINK_SECRET_DIR: join(dir, 'nothing'), HTTPS_PROXY: await silent.start() };
      stops.push(() => silent.stop());
      clock = new VirtualClock(Date.now());
      writeFileSync(join(dir, 'token'), 'jwt');
      Object.assign(process.env, {
        AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/logs',
        AWS_WEB_IDENTITY_TOKEN_FILE: join(dir, 'token'),
        AWS_REGION: 'eu-central-1',
      });
    });

    /** The delivery of one line; nobody answers, so no server is needed. */
    const deliverTo = (name: 's3' | 'cloudwatch' | 'elasticsearch', signal: AbortSignal): Promise<Delivery> => {
      const signed = {
        ELASTICSEARCH_URL: 'https://search-x.eu-central-1.es.amazonaws.com',
        ELASTICSEARCH_SIGNING: 'aws',
      };
      const config = configOf({ ...keyless, ...(name === 'elasticsearch' ? signed : {}) });
      const options = { config, clock, log: silentLog, metrics: createMetrics() };
      const made = { s3: S3Sink, cloudwatch: CloudWatchLogsSink, elasticsearch: ElasticsearchSink }[name];
      const sink = new made(options);
      sinks.push(sink);
      const encoder = sink.createEncoder();
      encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, Date.now());
      return sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
    };

    for (const name of ['s3', 'cloudwatch', 'elasticsearch'] as const) {
      it(`${name}: credentials that do not come are a failed request with what to look at`, async () => {
        const delivering = deliverTo(name, new AbortController().signal);
        await silent.asked;
        await clock.quiet(1);
        await clock.advance(CREDENTIALS_MS_MAX, 0);
        const delivery = await delivering;
        assert(delivery.status === 'retryable' && delivery.reason === 'credentials', JSON.stringify(delivery));
        assert.match(
          delivery.text,
          /credentials were not there within 10 s: .*; look at proxy, NO_PROXY and network policy$/,
        );
      });

      it(`${name}: a request that is given up does not wait for credentials`, async () => {
        const control = new AbortController();
        const delivering = deliverTo(name, control.signal);
        await silent.asked;
        // The clock stands still: only the signal can end it.
        control.abort();
        const delivery = await delivering;
        assert(delivery.status === 'retryable' && delivery.reason === 'unreachable', JSON.stringify(delivery));
      });
    }

    it('check sink says so, and that the identity is not at fault', async () => {
      const secret = { version: 0, value: () => undefined };
      const checking = checkIdentity(secret, { HTTPS_PROXY: keyless['HTTPS_PROXY'] ?? '' }, clock);
      await silent.asked;
      await clock.quiet(1);
      await clock.advance(CREDENTIALS_MS_MAX, 0);
      const { outcome, text, remedy } = await checking;
      assert.deepEqual({ outcome, remedy }, { outcome: 'failed', remedy: LATE_REMEDY });
      assert.match(text, /^no AWS credentials: credentials were not there within 10 s/);
    });
  });
});
