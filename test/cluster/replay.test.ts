/**
 * Replay against real destinations: records that a mapping of Elasticsearch refused, sent again after it was put right, through a kill in the
 * middle; events for several batches of CloudWatch Logs; and as many objects as records for S3.
 *
 * REPLAY_LINES=12000 is the full size: what the dead letter keeps.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { runReplay } from '../../src/cli/replay.ts';
import { systemClock } from '../../src/core/clock.ts';
import { deadLine } from '../../src/pipeline/dead-line.ts';
import { bundleOf } from '../bundles.ts';
import { requireServer } from '../servers/require-server.ts';
import type { CloudWatchServer, S3Server, SearchServer } from '../servers/servers.ts';

const LINES = Number(process.env['REPLAY_LINES'] ?? 6_000);
const TEST_MS_MAX = 300_000;
const PADDING = 'x'.repeat(150);

describe('replay into a real elasticsearch', function () {
  this.timeout(TEST_MS_MAX);
  let server: SearchServer;
  let folder: string;
  before(async function () {
    server = await requireServer(this, 'elasticsearch');
    folder = mkdtempSync(join(tmpdir(), 'logtender-replay-'));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  const run = async (
    args: readonly string[],
    killWhen?: () => boolean,
  ): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> => {
    const child = spawn(process.execPath, [bundleOf('cli'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const ended = once(child, 'close');
    let isOver = false;
    void ended.then(() => (isOver = true));
    while (killWhen !== undefined && !isOver) {
      if (killWhen()) {
        child.kill('SIGKILL');
        break;
      }
      await systemClock.sleep(2);
    }
    const [code] = (await ended) as [number | null];
    return { code, out, err };
  };
  const count = async (index: string): Promise<number> => {
    await server.request('POST', `/${index}/_refresh`);
    const { body } = await server.request('GET', `/${index}/_count`);
    return (body as { readonly count: number }).count;
  };

  it('a mapping that refuses, a mapping that is right: every record is there once, though the replay is killed', async () => {
    const index = `replay-${process.pid}`;
    const type = (name: string): object => ({ mappings: { properties: { n: { type: name } } } });
    await server.request('PUT', `/${index}`, type('integer'));
    mkdirSync(join(folder, 'logs'));
    const lines = Array.from({ length: LINES }, (_, i) => `{"n":"text ${i}","p":"${PADDING}"}`);
    writeFileSync(join(folder, 'logs/a.log'), `${lines.join('\n')}\n{"n":7}\n`);
    const config = join(folder, 'forward.yaml');
    writeFileSync(
      config,
      `files: ['${folder}/logs/*.log']\nsinks: [elasticsearch]\nelasticsearch: {url: '${server.url}', index: ${index}}\n` +
        `stateDir: ${folder}/state\nexitSummaryPath: ${folder}/summary\nadmin: {port: 0}\n`,
    );
    const shipped = await run(['forward', '--config', config, '--once']);
    assert.equal(shipped.code, 0, shipped.err);
    const summary = readFileSync(join(folder, 'summary'), 'utf8');
    assert.match(summary, new RegExp(`read=${LINES + 1} delivered=1 dropped=${LINES} \\(rejected_by_sink=${LINES}\\)`));
    assert.equal(await count(index), 1);

    // Two files of half the bound each are kept; the tests below replay what they hold.
    const files = ['dead-letter.1.ndjson', 'dead-letter.ndjson']
      .map((name) => join(folder, 'state', name))
      .filter(existsSync);
    const dead = files.map((path) => readFileSync(path, 'utf8').trimEnd().split('\n').length);
    const first = JSON.parse(readFileSync(files[0] ?? '', 'utf8').split('\n', 1)[0] ?? '') as {
      readonly record: { readonly n: string };
      readonly text: string;
    };
    assert.match(first.record.n, /^text \d+$/);
    assert.match(first.text, /pars/);

    const replay = (path: string): readonly string[] => ['replay', path, '--sink', 'elasticsearch', '--config', config];
    const refused = await run([...replay(files[0] ?? ''), '--again', join(folder, 'again.ndjson')]);
    assert.equal(refused.code, 1, refused.out + refused.err);
    assert.match(refused.out, new RegExp(`delivered 0 .*refused again ${dead[0]},`));
    assert.equal(readFileSync(join(folder, 'again.ndjson'), 'utf8').trimEnd().split('\n').length, dead[0]);

    await server.request('DELETE', `/${index}`);
    await server.request('PUT', `/${index}`, type('keyword'));
    let kills = 0;
    for (const path of files) {
      const progress = `${path}.again.ndjson.progress`;
      const killed = await run(replay(path), () => existsSync(progress));
      if (killed.code === null) kills += 1;
      const done = await run(replay(path));
      assert.equal(done.code, 0, done.out + done.err);
      assert(!existsSync(progress));
    }
    const expected = dead.reduce((sum, lines) => sum + lines, 0);
    assert.equal(await count(index), expected);
    assert(kills > 0, 'a replay was killed in the middle');
    // A second replay of everything changes nothing.
    const twice = await run(replay(files[0] ?? ''));
    assert.match(
      twice.out,
      new RegExp(`delivered ${dead[0]} \\(${dead[0]} of them were there already\\), refused again 0`),
    );
    assert.equal(await count(index), expected);
  });
});

describe('replay into cloudwatch (moto behind the strict proxy) and s3 (versitygw)', function () {
  this.timeout(TEST_MS_MAX);
  const SOURCE = 'AAAABBBBCCCCDDDD';
  const DAY_MS = 86_400_000;
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-replay-'));
    file = join(folder, 'dead-letter.ndjson');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const line = (sink: string, destination: string, number: number, record: string): string => {
    const place = { container: 'app', path: '/log/a.log', source: SOURCE, offset: number * 10, to: number * 10 + 10 };
    return deadLine('2026-11-28T12:00:00.000Z', {
      sink,
      reason: 'too_old',
      text: 'words',
      ...place,
      destination,
      record,
    });
  };
  const replay = async (
    sink: string,
    env: Readonly<Record<string, string>>,
    ...more: readonly string[]
  ): Promise<{ readonly code: number } & Readonly<Record<string, unknown>>> => {
    let out = '';
    const io = { read: async () => '', out: (text: string) => void (out += text), err: () => {}, hasColour: false };
    const code = await runReplay([file, '--sink', sink, '-o', 'json', ...more], io, env);
    return { code, ...(JSON.parse(out) as Readonly<Record<string, unknown>>) };
  };
  const secretOf = ({ credentials }: CloudWatchServer | S3Server): string => {
    writeFileSync(join(folder, 'aws-access-key-id'), credentials.accessKeyId);
    writeFileSync(join(folder, 'aws-secret-access-key'), credentials.secretAccessKey);
    return folder;
  };

  it('cloudwatch: three batches and two streams, every limit kept, what is too old kept or restamped', async function () {
    const server = await requireServer(this, 'cloudwatch');
    await server.reset();
    const env = {
      CLOUDWATCH_ENDPOINT: server.url,
      AWS_REGION: server.region,
      SINK_SECRET_DIR: secretOf(server),
      CLUSTER_NAME: 'test',
    };
    const now = Date.now();
    // Newest first, three days of them, 2 MB: by time and by size several requests.
    const event = (number: number, ageMs: number): string =>
      line(
        'cloudwatch',
        `/k8s/test:s${number % 2}`,
        number,
        `{"timestamp":${now - ageMs},"message":"${number} ${PADDING.repeat(30)}"},`,
      );
    const recent = Array.from({ length: 400 }, (_, i) => event(i, Math.floor((i * 3 * DAY_MS) / 400)));
    writeFileSync(file, recent.join('') + event(400, 20 * DAY_MS) + event(401, 20 * DAY_MS));
    const first = await replay('cloudwatch', env);
    assert.deepEqual([first.code, first['delivered'], first['refused']], [1, 400, 2]);
    assert.deepEqual(server.proxy.refusals(), []);
    assert(server.proxy.counts('PutLogEvents').forwarded >= 8, JSON.stringify(server.proxy.counts('PutLogEvents')));
    const numbersOf = async (stream: string): Promise<readonly number[]> =>
      (await server.readEvents('/k8s/test', stream)).map(({ message }) => Number.parseInt(message, 10));
    const even = Array.from({ length: 200 }, (_, i) => 2 * i);
    assert.deepEqual(
      (await numbersOf('s0')).toSorted((a, b) => a - b),
      even,
    );
    assert.deepEqual(
      (await numbersOf('s1')).toSorted((a, b) => a - b),
      even.map((number) => number + 1),
    );
    file = `${file}.again.ndjson`;
    const second = await replay('cloudwatch', { ...env, CLOUDWATCH_REJECTED: 'restamp' });
    assert.deepEqual([second.code, second['delivered'], second['refused']], [0, 2, 0]);
    assert((await numbersOf('s0')).includes(400) && (await numbersOf('s1')).includes(401));
  });

  it('s3: an object for each record, and a second replay changes none', async function () {
    const server = await requireServer(this, 's3');
    const bucket = `replay-${process.pid}`;
    const root = server.createBucket(bucket);
    const env = {
      S3_ENDPOINT: server.url,
      S3_BUCKET: bucket,
      AWS_REGION: server.region,
      SINK_SECRET_DIR: secretOf(server),
    };
    const stem = `${bucket}\np/year=2026/month=11/day=28/hour=12/web-0_app_${SOURCE}_`;
    const records = Array.from({ length: 40 }, (_, i) =>
      line('s3', stem, i, `{"message":"${i}","p":"${PADDING.repeat(300)}"}\n`),
    );
    writeFileSync(file, records.join(''));
    const first = await replay('s3', env);
    assert.deepEqual([first.code, first['delivered'], first['alreadyThere']], [0, 40, 0]);
    const keys = server.keys(bucket);
    assert.equal(keys.length, 40);
    const messages = keys.map((key) => {
      const text = gunzipSync(readFileSync(join(root, key))).toString('utf8');
      return Number((JSON.parse(text) as { readonly message: string }).message);
    });
    assert.deepEqual(
      messages,
      Array.from({ length: 40 }, (_, i) => i),
      'names sort as the source does',
    );
    const second = await replay('s3', env);
    assert.deepEqual([second.code, second['delivered'], second['alreadyThere']], [0, 40, 40]);
    assert.deepEqual(server.keys(bucket), keys);
  });
});
