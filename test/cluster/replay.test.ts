/**
 * Replay against a real Elasticsearch: records that a mapping refused, sent again after it was put right, through a kill in the middle.
 *
 * REPLAY_LINES=12000 is the full size: what the dead letter keeps.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { requireServer } from '../servers/require-server.ts';
import type { SearchServer } from '../servers/servers.ts';

const LINES = Number(process.env['REPLAY_LINES'] ?? 6_000);
const CLI = resolve(import.meta.dirname, '../../src/cli/main.ts');
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
    const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
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
