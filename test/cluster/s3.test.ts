/**
 * The S3 sink against a real S3: the conformance suite, a hundred thousand lines once each through kills, lost answers and an outage, and
 * the layout read by DuckDB, which knows nothing of us.
 *
 * S3_LINES=1000000 is the full size.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { FORWARDER_NODE_FLAGS } from '../../src/config/forwarder-config.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createSigner } from '../../src/sinks/aws/signature.ts';
import { checkS3 } from '../../src/sinks/s3/check.ts';
import { DeadLetterCopy } from '../../src/sinks/s3/dead-letter-copy.ts';
import { S3Sink } from '../../src/sinks/s3/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { BY_CABLE_ALONE, describeSink } from '../conformance/sink.ts';
import type { SinkHarness } from '../conformance/sink.ts';
import { bundleOf } from '../bundles.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { TcpRelay } from '../fakes/tcp-relay.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { requireServer } from '../servers/require-server.ts';
import type { S3Server } from '../servers/servers.ts';
import { judge, writeLoad } from './numbered-lines.ts';
import type { Load } from './numbered-lines.ts';

const LINES = Number(process.env['S3_LINES'] ?? 100_000);
const LOAD: Load = { files: 5, linesPerFile: LINES / 5, rotations: 3 };
const KILLS = 10;
const OUTAGE_MS = 5_000;
const TEST_MS_MAX = 300_000;
const DRAIN_MS_MAX = 60_000;
const WAIT_MS_MAX = 20_000;

const RELAYED = { connection_cut: 'cut_before', answer_lost: 'cut_after', silence: 'silence' } as const;

describe('real s3 (versitygw)', function () {
  this.timeout(TEST_MS_MAX);
  let server: S3Server;
  let secret = '';
  let buckets = 0;
  const started: Forwarder[] = [];

  before(async function () {
    server = await requireServer(this, 's3');
    secret = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
    writeFileSync(join(secret, 'aws-access-key-id'), server.credentials.accessKeyId);
    writeFileSync(join(secret, 'aws-secret-access-key'), server.credentials.secretAccessKey);
  });
  after(async () => {
    // One that a failed test left would keep this process alive.
    await Promise.all(started.map((forwarder) => forwarder.kill()));
    if (secret !== '') rmSync(secret, { recursive: true });
  });

  const newBucket = (): { readonly name: string; readonly folder: string } => {
    buckets += 1;
    const name = `logs-${process.pid}-${buckets}`;
    return { name, folder: server.createBucket(name) };
  };
  const envOf = (url: string, bucket: string): Readonly<Record<string, string>> => ({
    S3_ENDPOINT: url,
    S3_BUCKET: bucket,
    AWS_REGION: server.region,
    SINK_SECRET_DIR: secret,
  });
  /** Messages of all objects, read from the disk of the server; keys name ranges, so their order is that of the files. */
  const messages = (bucket: string, folder: string): readonly string[] =>
    server.keys(bucket).flatMap((key) =>
      gunzipSync(readFileSync(join(folder, key)))
        .toString('utf8')
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { readonly message: string }).message),
    );

  describeSink('s3', {
    isIdempotent: true,
    cannot: BY_CABLE_ALONE,
    start: async (): Promise<SinkHarness> => {
      const bucket = newBucket();
      const relay = new TcpRelay(server.url);
      await relay.start();
      const clock = new VirtualClock(Date.now());
      return {
        sink: new S3Sink({ config: forwarderConfig(envOf(relay.url, bucket.name)), clock, metrics: createMetrics() }),
        clock,
        script: (next) => {
          assert(next in RELAYED);
          relay.faults.push(RELAYED[next as keyof typeof RELAYED]);
        },
        unseen: () => relay.faults.length,
        stored: () => messages(bucket.name, bucket.folder),
        down: () => relay.stop(),
        up: () => relay.start(),
        stop: () => relay.stop(),
      };
    },
  });

  it('is signed as the server wants it, for every character that a key may have', async () => {
    const bucket = newBucket();
    const delivery = await putOne({
      ...envOf(server.url, bucket.name),
      S3_PREFIX: "a!b-_.'()=c/d",
      S3_TAGS: 'k=v + w',
    });
    assert.deepEqual(delivery, { status: 'delivered', duplicates: 0 });
    assert.match(server.keys(bucket.name)[0] ?? '', /^a!b-_\.'\(\)=c\/d\/year=/);
  });

  it('tells wrong keys, a wrong region and a missing bucket apart', async () => {
    const bucket = newBucket();
    const wrong = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
    writeFileSync(join(wrong, 'aws-access-key-id'), server.credentials.accessKeyId);
    writeFileSync(join(wrong, 'aws-secret-access-key'), 'wrong');
    const text = async (env: Readonly<Record<string, string>>): Promise<string> => {
      const delivery = await putOne({ ...envOf(server.url, bucket.name), ...env });
      return delivery.status === 'retryable' ? `${delivery.reason}: ${delivery.text}` : delivery.status;
    };
    assert.match(await text({ SINK_SECRET_DIR: wrong }), /^credentials: 403: SignatureDoesNotMatch.*check the keys/);
    assert.match(await text({ AWS_REGION: 'us-west-2' }), /^not_found: 400: AuthorizationHeaderMalformed/);
    assert.match(await text({ S3_BUCKET: 'no-such-bucket' }), /^not_found: 404: NoSuchBucket.*create the bucket/);
    assert.deepEqual(server.keys(bucket.name), []);
    rmSync(wrong, { recursive: true });
  });

  describe('policies of deploy/iam', () => {
    let user: { readonly accessKeyId: string; readonly secretAccessKey: string };
    let dir = '';
    before(async () => {
      user = await server.createUser('forwarder');
      dir = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
      writeFileSync(join(dir, 'aws-access-key-id'), user.accessKeyId);
      writeFileSync(join(dir, 'aws-secret-access-key'), user.secretAccessKey);
    });
    after(() => rmSync(dir, { recursive: true, force: true }));

    /** A policy of an identity as one of the bucket: the same statements, with that identity as their principal. */
    const allow = async (bucket: string, file: string): Promise<void> => {
      const text = readFileSync(join(import.meta.dirname, '../../deploy/iam', file), 'utf8');
      const { Version, Statement } = JSON.parse(text.replaceAll('BUCKET', bucket).replaceAll('PREFIX', 'test')) as {
        readonly Version: string;
        readonly Statement: ReadonlyArray<Readonly<Record<string, unknown>>>;
      };
      // What is about a key of KMS is no matter of a bucket.
      const own = Statement.filter(({ Action }) => String(Action).startsWith('s3:'));
      const statements = own.map((statement) => ({ ...statement, Principal: { AWS: [user.accessKeyId] } }));
      const body = JSON.stringify({ Version, Statement: statements });
      const { host } = new URL(server.url);
      const sign = createSigner({
        region: server.region,
        service: 's3',
        credentials: async () => server.credentials,
        isPathLiteral: true,
        hasBodyHash: true,
      });
      const query = { policy: '' };
      const headers = await sign({ method: 'PUT', host, path: `/${bucket}`, query, headers: {}, body }, Date.now());
      const answer = await fetch(`${server.url}/${bucket}?policy=`, { method: 'PUT', headers, body });
      assert(answer.ok, await answer.text());
    };
    const checked = async (bucket: string, env: Readonly<Record<string, string>> = {}): Promise<readonly string[]> => {
      const config = forwarderConfig({ ...envOf(server.url, bucket), SINK_SECRET_DIR: dir, ...env });
      const steps: string[] = [];
      for await (const { name, outcome, text } of checkS3({ config, clock: systemClock, writes: true }))
        steps.push(`${name} ${outcome}: ${text}`);
      return steps.slice(3);
    };

    it('without one nothing is put, and check sink says which action is missing on which ARN', async () => {
      const bucket = newBucket();
      const steps = await checked(bucket.name);
      assert.match(
        steps.at(-1) ?? '',
        new RegExp(`^permission failed: 403: AccessDenied.*allow s3:PutObject on arn:aws:s3:::${bucket.name}/\\*`),
      );
      assert.deepEqual(server.keys(bucket.name), []);
    });

    it('s3-put is enough for the prefix and for nothing else', async () => {
      const bucket = newBucket();
      await allow(bucket.name, 's3-put.json');
      const steps = await checked(bucket.name);
      assert.match(steps.at(-2) ?? '', /^permission ok: s3:PutObject on /);
      assert.match(steps.at(-1) ?? '', /^write ok: one record is in s3:/);
      const [key = '', ...more] = server.keys(bucket.name);
      assert.match(key, /^test\/.*\.ndjson\.gz$/);
      assert.deepEqual(more, [], 'the object with the wrong hash was not stored');
      const outside = await checked(bucket.name, { S3_PREFIX: 'elsewhere/' });
      assert.match(outside.at(-1) ?? '', /^permission failed: 403: AccessDenied/);
      assert.equal(server.keys(bucket.name).length, 1);
    });

    it('s3-put-with-options is enough for tags', async () => {
      const bucket = newBucket();
      await allow(bucket.name, 's3-put-with-options.json');
      const steps = await checked(bucket.name, { S3_TAGS: 'team=shop' });
      assert.match(steps.at(-1) ?? '', /^write ok/);
    });
  });

  it('dead records are copied beside the objects, once, though an answer is lost', async () => {
    const bucket = newBucket();
    const relay = new TcpRelay(server.url);
    await relay.start();
    const metrics = createMetrics();
    const random = (): number => 0;
    const copy = new DeadLetterCopy({
      config: forwarderConfig(envOf(relay.url, bucket.name)),
      ...{ clock: systemClock, random, log: silentLog, metrics },
    });
    const about = { sink: 'cloudwatch', container: 'app', path: '/var/log/app/a.log', source: 'AAAABBBBCCCCDDDD' };
    const lines = [
      '{"reason":"too_old","record":{"message":"é"}}\n',
      '{"reason":"expired","record":{"message":"x"}}\n',
    ];
    relay.faults.push('cut_after');
    lines.forEach((line, i) => copy.copy({ ...about, offset: i * 10 }, Buffer.from(line), 1));
    await copy.end(AbortSignal.timeout(WAIT_MS_MAX));
    await relay.stop();
    const keys = server.keys(bucket.name);
    assert(
      keys.every((key) =>
        /^test\/shop\/web\/dead-letter\/year=\d{4}\/month=\d\d\/day=\d\d\/hour=\d\d\/.*\.ndjson$/.test(key),
      ),
      keys.join(),
    );
    assert.deepEqual(
      keys.map((key) => readFileSync(join(bucket.folder, key), 'utf8')),
      lines,
    );
    assert.equal(metrics.counter('logtender_dead_letter_uncopied_total', '').value(), 0);
  });

  it('zstd is read by others', async () => {
    const bucket = newBucket();
    const delivery = await putOne({ ...envOf(server.url, bucket.name), S3_COMPRESSION: 'zstd' }, 'a\né"\nthree\n');
    assert.equal(delivery.status, 'delivered');
    const files = `${bucket.folder}/**/*.ndjson.zst`;
    const rows = await readByDuckDb(`SELECT message FROM read_json('${files}', format = 'newline_delimited',
      compression = 'zstd', columns = {message: 'VARCHAR'})`);
    assert.deepEqual(rows, [['a'], ['é"'], ['three']]);
  });

  it(`${LINES} lines, killed ${KILLS} times, answers lost, the server away for ${OUTAGE_MS / 1000} s: each once`, async () => {
    const bucket = newBucket();
    const relay = new TcpRelay(server.url);
    await relay.start();
    const root = mkdtempSync(join(tmpdir(), 'logtender-s3-'));
    const logs = join(root, 'logs');
    mkdirSync(logs);
    const forwarder = new Forwarder(root, logs, envOf(relay.url, bucket.name));
    started.push(forwarder);
    forwarder.start();
    const written = writeLoad(logs, LOAD);
    for (let kill = 0; kill < KILLS; kill += 1) {
      await forwarder.isUp();
      // An answer that is lost is what makes a resend: the object is there, and nobody was told.
      relay.faults.push('cut_after');
      await until(() => relay.faults.length === 0);
      // Half of them die before their next try, half some time later.
      if (kill % 2 === 1) await systemClock.sleep(500 * systemRandom());
      if (kill === KILLS / 2) {
        await server.halt('SIGKILL');
        await systemClock.sleep(OUTAGE_MS);
        await server.resume();
      }
      await forwarder.kill();
      forwarder.start();
    }
    await written;
    relay.faults.length = 0;
    await forwarder.isUp();
    const { code, summary } = await forwarder.drain();
    await relay.stop();
    assert.equal(code, 0, forwarder.log());
    const verdict = judge(LOAD, messages(bucket.name, bucket.folder));
    const said = `${verdict.arrived} arrived in ${server.keys(bucket.name).length} objects, ${verdict.lost} lost, ${verdict.duplicates} twice; ${summary}`;
    process.stdout.write(`      ${said}`);
    assert.deepEqual(
      [verdict.arrived, verdict.lost, verdict.duplicates, verdict.strangers],
      [LINES, 0, 0, []],
      `${said}\n${forwarder.log()}`,
    );
    assert.match(summary, /dropped=0 pending=0/);
    await assertReadByDuckDb(bucket.folder);
    rmSync(root, { recursive: true });
  });

  /** One batch, sent once. */
  async function putOne(env: Readonly<Record<string, string>>, lines = 'x\n'): Promise<Delivery> {
    const clock = new VirtualClock(Date.now());
    const sink = new S3Sink({ config: forwarderConfig(env), clock, metrics: createMetrics() });
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from(lines), 0, Buffer.byteLength(lines), 0, clock.now());
    const { signal } = new AbortController();
    const delivery = await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
    await sink.close();
    return delivery;
  }

  /** An independent reader counts the same, finds the partitions, and each record in the partition of its time. */
  async function assertReadByDuckDb(folder: string): Promise<void> {
    const [row] = await readByDuckDb(`
      SELECT count(*), count(DISTINCT message), min(year) >= 2020,
        count_if(strftime("@timestamp", '%Y-%m-%d-%H') <> printf('%04d-%02d-%02d-%02d', year, month, day, hour))
      FROM read_json('${folder}/**/*.ndjson.gz', format = 'newline_delimited', hive_partitioning = true,
        hive_types = {year: INT, month: INT, day: INT, hour: INT},
        columns = {"@timestamp": 'TIMESTAMP', message: 'VARCHAR'})`);
    assert.deepEqual(row, [String(LINES), String(LINES), 'true', '0']);
  }

  async function readByDuckDb(query: string): Promise<readonly (readonly string[])[]> {
    const database = await DuckDBInstance.create(':memory:');
    const connection = await database.connect();
    const reader = await connection.runAndReadAll(query);
    const rows = reader.getRows().map((row) => row.map(String));
    connection.closeSync();
    database.closeSync();
    return rows;
  }
});

/** Waits, within bounds: on a machine with other work a process takes seconds to come up. */
async function until(isTrue: () => boolean): Promise<void> {
  const endMs = systemClock.monotonic() + WAIT_MS_MAX;
  while (!isTrue() && systemClock.monotonic() < endMs) await systemClock.sleep(20);
}

/** The forwarder as a process over one folder. */
class Forwarder {
  readonly #env: Readonly<Record<string, string>>;
  readonly #root: string;
  #child: ChildProcess | undefined;
  #saidBefore = 0;

  constructor(root: string, logs: string, env: Readonly<Record<string, string>>) {
    this.#root = root;
    const files = [{ container: 'app', path: '/var/log/app/*.log', directory: '/var/log/app', mount: logs }];
    this.#env = {
      CLUSTER_NAME: 'test',
      POD_NAMESPACE: 'shop',
      POD_NAME: 'web-0',
      POD_UID: '11111111-2222-3333-4444-555555555555',
      APP_NAME: 'web',
      LOG_FILES: JSON.stringify(files),
      SINKS: 's3',
      S3_OBJECT_AGE: '1s',
      S3_OBJECT_BYTES: String(1024 * 1024),
      STATE_DIR: join(root, 'state'),
      TERMINATION_MESSAGE_PATH: join(root, 'termination-message'),
      GRACE_PERIOD: '60s',
      ADMIN_PORT: '0',
      ...env,
    };
    appendFileSync(join(root, 'forwarder.log'), '');
  }

  log(): string {
    return readFileSync(join(this.#root, 'forwarder.log'), 'utf8').split('\n').slice(-40).join('\n');
  }

  /** Waits until the last start has come as far as its first words. */
  async isUp(): Promise<void> {
    await until(() => this.#said().length > this.#saidBefore);
  }

  #said(): readonly string[] {
    return readFileSync(join(this.#root, 'forwarder.log'), 'utf8').match(/"forwarder starts"/g) ?? [];
  }

  start(): void {
    this.#saidBefore = this.#said().length;
    const log = openSync(join(this.#root, 'forwarder.log'), 'a');
    this.#child = spawn(process.execPath, [...FORWARDER_NODE_FLAGS, bundleOf('forwarder')], {
      env: this.#env,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async drain(): Promise<{ readonly code: number | null; readonly summary: string }> {
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), DRAIN_MS_MAX);
    const code = await this.#end('SIGTERM');
    clearTimeout(timer);
    return { code, summary: readFileSync(join(this.#root, 'termination-message'), 'utf8') };
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    return child.exitCode;
  }
}
