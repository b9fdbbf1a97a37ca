/**
 * Verify against real destinations: records and objects that somebody deletes or doubles are named by source and offset.
 *
 * VERIFY_LINES=100000 is the full size.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bundleOf } from '../bundles.ts';
import { requireServer } from '../servers/require-server.ts';
import type { CloudWatchServer, S3Server, SearchServer } from '../servers/servers.ts';

const LINES = Number(process.env['VERIFY_LINES'] ?? 8_000);
const TEST_MS_MAX = 300_000;
const run = promisify(execFile);

interface Verdict {
  readonly path: string;
  readonly source: string;
  /** Of a log stream, which has no source of its own. */
  readonly name?: string;
  readonly twice_max?: number;
  readonly missing: number;
  readonly twice: number;
  readonly ranges: readonly { readonly what: string; readonly from: number; readonly to: number }[];
}

describe('verify', function () {
  this.timeout(TEST_MS_MAX);
  let folder: string;
  let config: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-verify-'));
    config = join(folder, 'forward.yaml');
    mkdirSync(join(folder, 'logs'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Two files, shipped; and what verify says. */
  const ship = async (more: string): Promise<void> => {
    for (const name of ['a', 'b']) {
      const lines = Array.from({ length: LINES / 2 }, (_, i) => (i % 5 === 0 ? `{"n":${i}}` : `${name} line ${i}`));
      writeFileSync(join(folder, `logs/${name}.log`), `${lines.join('\n')}\n`);
    }
    writeFileSync(
      config,
      `files: ['${folder}/logs/*.log']\nstateDir: ${folder}/state\nexitSummaryPath: ${folder}/summary\nadmin: {port: 0}\n${more}\n`,
    );
    await run(process.execPath, [bundleOf('cli'), 'forward', '--config', config, '--once']);
  };
  const verify = async (
    sink: string,
    ...more: readonly string[]
  ): Promise<{
    readonly code: number;
    readonly sources: readonly Verdict[];
    readonly found: number;
    readonly err: string;
  }> => {
    const args = [
      bundleOf('cli'),
      'verify',
      '--ledger',
      join(folder, 'state/ledger.json'),
      '--sink',
      sink,
      '--config',
      config,
      '-o',
      'json',
    ];
    const { code, stdout, stderr } = await run(process.execPath, [...args, ...more]).then(
      (done) => ({ code: 0, ...done }),
      (error: unknown) => error as { readonly code: number; readonly stdout: string; readonly stderr: string },
    );
    const lines = stdout.split('\n').filter((line) => line !== '');
    const parsed = lines.map((line) => JSON.parse(line) as Verdict & { readonly found: number });
    return { code, sources: parsed.slice(0, -1), found: parsed.at(-1)?.found ?? -1, err: stderr };
  };
  /** Where line `number` of a file begins. */
  const offsetOf = (name: string, number: number): number =>
    Buffer.byteLength(
      readFileSync(join(folder, `logs/${name}.log`), 'utf8')
        .split('\n')
        .slice(0, number)
        .join('\n'),
    ) + 1;

  for (const flavour of ['elasticsearch', 'opensearch'] as const) {
    describe(flavour, () => {
      let server: SearchServer;
      before(async function () {
        server = await requireServer(this, flavour);
      });

      it('says what is missing and what is twice', async () => {
        const index = `verify-${process.pid}`;
        await ship(`sinks: [elasticsearch]\nelasticsearch: {url: '${server.url}', index: ${index}}`);
        const good = await verify('elasticsearch');
        assert.deepEqual([good.code, good.found, good.sources.length], [0, LINES, 2], good.err);
        const a = good.sources.find(({ path }) => path.endsWith('/a.log'));
        const offsets = [100, 101, 2_000].map((number) => offsetOf('a', number));
        for (const offset of offsets) {
          const { status } = await server.request('DELETE', `/${index}/_doc/${a?.source}-${offset}`);
          assert.equal(status, 200);
        }
        const doubled = `${a?.source}-${offsetOf('a', 7)}`;
        const { body } = await server.request('GET', `/${index}/_doc/${doubled}`);
        const { _source: document } = body as { readonly _source: unknown };
        await server.request('PUT', `/${index}-2/_doc/${doubled}?refresh=true`, document);
        const bad = await verify('elasticsearch', '--index', `${index}*`);
        assert.equal(bad.code, 1, bad.err);
        const found = bad.sources.find(({ path }) => path.endsWith('/a.log'));
        assert.deepEqual([found?.missing, found?.twice], [3, 1]);
        assert.deepEqual(found?.ranges, [
          { what: 'twice', from: offsetOf('a', 7), to: offsetOf('a', 7) + 1 },
          { what: 'missing', from: offsetOf('a', 100), to: offsetOf('a', 102) },
          { what: 'missing', from: offsetOf('a', 2_000), to: offsetOf('a', 2_001) },
        ]);
        const other = bad.sources.find(({ path }) => path.endsWith('/b.log'));
        assert.deepEqual([other?.missing, other?.twice], [0, 0]);
        // A rotation does not change which file it is.
        renameSync(join(folder, 'logs/a.log'), join(folder, 'logs/a.log.1'));
        assert.equal(
          (await verify('elasticsearch')).sources.find(({ path }) => path.endsWith('/a.log'))?.ranges.length,
          2,
        );
      });
    });
  }

  describe('s3 (versitygw)', () => {
    let server: S3Server;
    before(async function () {
      server = await requireServer(this, 's3');
    });

    it('says what is missing and what is twice', async () => {
      const bucket = `verify-${process.pid}`;
      const root = server.createBucket(bucket);
      const secret = join(folder, 'secret');
      mkdirSync(secret);
      writeFileSync(join(secret, 'aws-access-key-id'), server.credentials.accessKeyId);
      writeFileSync(join(secret, 'aws-secret-access-key'), server.credentials.secretAccessKey);
      await ship(
        `sinks: [s3]\ns3: {bucket: ${bucket}, endpoint: '${server.url}', objectAge: 1s}\nawsRegion: ${server.region}\nsecretDir: ${secret}`,
      );
      const good = await verify('s3');
      assert.deepEqual([good.code, good.found], [0, LINES], good.err);
      const keys = server.keys(bucket);
      const [a, b] = good.sources.map(({ source }) => keys.filter((key) => key.includes(source)));
      const gone = a?.[0] ?? '';
      const [, from, to] = /_(\d{16})-(\d{16})\./.exec(gone) ?? [];
      unlinkSync(join(root, gone));
      // The same records in an object of another name, as a tool that copies would leave them.
      copyFileSync(join(root, b?.[0] ?? ''), join(root, (b?.[0] ?? '').replace('.ndjson', '-copy.ndjson')));
      const bad = await verify('s3');
      assert.equal(bad.code, 1, bad.err);
      assert.deepEqual(bad.sources[0]?.ranges, [{ what: 'missing', from: Number(from), to: Number(to) }]);
      assert((bad.sources[0]?.missing ?? 0) > 0 && bad.sources[0]?.twice === 0);
      assert((bad.sources[1]?.twice ?? 0) > 0 && bad.sources[1]?.missing === 0);
      writeFileSync(config, readFileSync(config, 'utf8').replace(server.region, 'mars-north-1'));
      const refused = await verify('s3');
      assert.match(
        refused.err,
        /status 400 for verify-\d+\/: AuthorizationHeaderMalformed: .*"mars-north-1"/,
        'in words',
      );
    });
  });

  describe('cloudwatch (moto behind the strict proxy)', () => {
    let server: CloudWatchServer;
    before(async function () {
      server = await requireServer(this, 'cloudwatch');
    });

    it('says what is missing, and what is there more often than the ledger allows', async () => {
      await server.reset();
      const secret = join(folder, 'secret');
      mkdirSync(secret);
      writeFileSync(join(secret, 'aws-access-key-id'), server.credentials.accessKeyId);
      writeFileSync(join(secret, 'aws-secret-access-key'), server.credentials.secretAccessKey);
      await ship(
        `sinks: [cloudwatch]\nidentity: {pod: web-0}\nsecretDir: ${secret}\nawsRegion: ${server.region}\ncloudwatch: {endpoint: '${server.url}', logGroup: /k8s/verify}`,
      );
      const good = await verify('cloudwatch');
      assert.deepEqual([good.code, good.found, good.sources.length], [0, LINES, 2], good.err);
      // Nobody can take an event out of a stream: the whole stream is made anew, without three events and with one twice.
      const [stream = ''] = (await server.logStreams('/k8s/verify')).filter((name) => name.endsWith('a.log'));
      const events = await server.readEvents('/k8s/verify', stream);
      const kept = events.filter((_, i) => ![100, 101, 2_000].includes(i));
      kept.splice(8, 0, ...events.slice(7, 8));
      const place = { logGroupName: '/k8s/verify', logStreamName: stream };
      await server.call('DeleteLogStream', place);
      await server.call('CreateLogStream', place);
      for (let at = 0; at < kept.length; at += 5_000) {
        const logEvents = kept.slice(at, at + 5_000).map(({ timestamp, message }) => ({ timestamp, message }));
        assert.equal((await server.call('PutLogEvents', { ...place, logEvents })).status, 200);
      }
      const bad = await verify('cloudwatch');
      assert.equal(bad.code, 1, bad.err);
      const found = bad.sources.find(({ name }) => name?.endsWith('a.log') === true);
      assert.deepEqual([found?.missing, found?.twice, found?.twice_max], [3, 1, 0]);
      assert.deepEqual(
        found?.ranges.map(({ from, to }) => [from, to]),
        [
          [offsetOf('a', 100), offsetOf('a', 102)],
          [offsetOf('a', 2_000), offsetOf('a', 2_001)],
        ],
      );
      assert.deepEqual(
        bad.sources.filter(({ missing, twice }) => missing + twice === 0).map(({ name }) => name?.slice(-5)),
        ['b.log'],
      );
    });
  });
});
