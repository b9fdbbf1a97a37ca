/**
 * `logtender forward` as a process: plan, trial, one run, and a file that changes under it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ENTRY = resolve(import.meta.dirname, '../../../src/cli/main.ts');
import { plainEnv } from '../../plain-env.ts';
const DEADLINE_MS = 30_000;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

describe('logtender forward', function () {
  this.timeout(2 * DEADLINE_MS);
  let folder: string;
  let config: string;
  const running = new Set<ChildProcess>();

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-forward-'));
    config = join(folder, 'forward.yaml');
    mkdirSync(join(folder, 'logs'));
  });
  afterEach(async () => {
    for (const child of running) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    rmSync(folder, { recursive: true });
  });

  const write = (more: string): void =>
    writeFileSync(
      config,
      `files: ['web:${folder}/logs/*.log']\nstateDir: ${folder}/state\nexitSummaryPath: ${folder}/summary\nadmin: {port: 0}\nflushInterval: 50ms\n${more}\n`,
    );
  const start = (
    args: readonly string[],
  ): { readonly child: ChildProcess; readonly ended: Promise<Ran>; readonly ran: Ran } => {
    const child = spawn(process.execPath, [ENTRY, 'forward', '--config', config, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: plainEnv(),
    });
    running.add(child);
    const ran = { code: -1, out: '', err: '' };
    child.stdout.on('data', (chunk: Buffer) => (ran.out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (ran.err += chunk.toString()));
    const ended = once(child, 'close').then(([code]) => {
      running.delete(child);
      return { ...ran, code: Number(code ?? -1) };
    });
    return { child, ended, ran };
  };
  const run = async (args: readonly string[], stdin = ''): Promise<Ran> => {
    const { child, ended } = start(args);
    child.stdin?.end(stdin);
    return ended;
  };
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const end = performance.now() + DEADLINE_MS;
    while (!holds()) {
      assert(performance.now() < end, `${what} within ${DEADLINE_MS} ms`);
      await new Promise((done) => setTimeout(done, 10));
    }
  };
  const messages = (out: string): readonly string[] =>
    out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { readonly message: string }).message);

  it('--check says what would go where, and touches nothing', async () => {
    writeFileSync(join(folder, 'logs/a.log'), 'one\n');
    writeFileSync(join(folder, 'logs/a.log.1'), 'zero\n');
    write(
      'sinks: [s3, console]\ns3: {bucket: logs-x, prefix: "{app}/"}\nawsRegion: eu-central-1\nidentity: {app: shop}',
    );
    const { code, out, err } = await run(['--check']);
    assert.equal(code, 0, err);
    assert.match(out, /^sink s3: eu-central-1$/m);
    assert.match(out, /a\.log: 4 bytes -> s3 s3:\/\/logs-x\/shop\/year=.*; console standard output$/m);
    assert.match(out, /a\.log\.1: 5 bytes -> /);
    assert.match(out, /^the configuration is valid$/m);
    assert(!existsSync(join(folder, 'state')));
    const json = JSON.parse((await run(['--check', '-o', 'json'])).out) as {
      readonly globs: readonly { files: number }[];
    };
    assert.equal(json.globs[0]?.files, 2);
  });

  it('a wrong file: all problems on standard error, exit 2, nothing started', async () => {
    write('sinks: [kafka]\nflushIntervall: 1s');
    for (const args of [['--check'], ['--once'], []]) {
      const { code, err } = await run(args);
      assert.equal(code, 2);
      assert.match(err, /line 6: sinks: expected sinks among/);
      assert.match(err, /line 7: flushIntervall: .*did you mean flushInterval\?/);
    }
    assert(!existsSync(join(folder, 'state')));
  });

  it('--try shows records as the sink would get them, and what a filter drops', async () => {
    write(
      'sinks: [elasticsearch]\nelasticsearch: {url: "http://127.0.0.1:9"}\nredact: [secret]\nexclude: [healthz]\nmultiline: java',
    );
    const lines = 'GET /healthz\nlogin secret\njava.lang.Error: x\n\tat a.b(C.java:1)\n{"a":1}\n';
    const { code, out, err } = await run(['--try', '-'], lines);
    assert.equal(code, 0, err);
    const records = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    assert.deepEqual(
      records.map((record) => record['message'] ?? record['a']),
      ['login ***', 'java.lang.Error: x\n\tat a.b(C.java:1)', 1],
    );
    assert.equal(err, 'dropped (excluded): 1 line at byte 0\n');
    write('sinks: [cloudwatch]');
    const event = JSON.parse((await run(['--try', 'a line'])).out) as { readonly message: string };
    assert.equal(event.message, 'a line');
  });

  it('--once ships what is there, goes on where it was, and says what is left', async () => {
    write('sinks: [console]');
    writeFileSync(join(folder, 'logs/a.log'), 'one\ntwo\n');
    const first = await run(['--once']);
    assert.equal(first.code, 0, first.err);
    assert.deepEqual(messages(first.out), ['one', 'two']);
    assert.match(readFileSync(join(folder, 'summary'), 'utf8'), /^console: read=2 delivered=2 /);
    appendFileSync(join(folder, 'logs/a.log'), 'three');
    assert.deepEqual(messages((await run(['--once'])).out), ['three']);
    const ledger = JSON.parse(readFileSync(join(folder, 'state/ledger.json'), 'utf8')) as {
      readonly sinks: readonly { readonly delivered: { readonly lines: number } }[];
    };
    assert.equal(ledger.sinks[0]?.delivered.lines, 3);
    write('sinks: [elasticsearch]\nelasticsearch: {url: "http://127.0.0.1:9"}\ngracePeriod: 300ms');
    const { child, ended, ran } = start(['--once']);
    await until('it tries', () => ran.err.includes('sink does not take records'));
    child.kill('SIGTERM');
    const { code, err } = await ended;
    assert.equal(code, 1, err);
    assert.match(err, /not everything was delivered/);
  });

  it('a changed file is taken up by the running process: each line once, under the rules of its time', async () => {
    write('sinks: [console]');
    writeFileSync(join(folder, 'logs/a.log'), 'one\n');
    const { child, ended, ran } = start([]);
    await until('first line', () => ran.out.includes('one'));
    write('sinks: [console]\nexclude: [healthz]\nflushIntervall: 1s');
    await until('refused', () => ran.err.includes('the last good one stays in use'));
    appendFileSync(join(folder, 'logs/a.log'), 'healthz 1\n');
    await until('old rules', () => ran.out.includes('healthz 1'));
    write('sinks: [console, file]\nexclude: [healthz]\nlogLevel: debug');
    await until('in use', () => ran.err.includes('configuration is in use'));
    assert.match(ran.err, /"message":"configuration has changes that take a restart".*"keys":\["logLevel"\]/);
    appendFileSync(join(folder, 'logs/a.log'), 'healthz 2\ntwo\n');
    await until('new rules', () => ran.out.includes('two'));
    child.kill('SIGTERM');
    const { code, out, err } = await ended;
    assert.equal(code, 0, err);
    assert.deepEqual(messages(out), ['one', 'healthz 1', 'two']);
    const inFile = readFileSync(join(folder, 'state/records/records.ndjson'), 'utf8');
    // The sink that is new begins at the beginning, under the rules of now.
    assert.deepEqual(messages(inFile), ['one', 'two']);
    assert.match(
      readFileSync(join(folder, 'summary'), 'utf8'),
      /^console: read=4 delivered=3 dropped=1 \(excluded=1\) pending=0/m,
    );
  });

  it('changes one after another, one of them while the last is being taken up: the newest holds, no line is lost', async () => {
    write('sinks: [console]');
    const { child, ended, ran } = start([]);
    await until('it runs', () => ran.err.includes('forwarder starts'));
    for (let i = 0; i < 5; i += 1) {
      write(`sinks: [console]\nexclude: [drop${i}]`);
      appendFileSync(join(folder, 'logs/a.log'), `line ${i}\n`);
      await new Promise((done) => setTimeout(done, i < 3 ? 700 : 10));
    }
    const isLast = (): boolean => {
      appendFileSync(join(folder, 'logs/a.log'), 'drop4\n');
      return ran.err.split('configuration is in use').length > 2;
    };
    await until('in use', isLast);
    appendFileSync(join(folder, 'logs/a.log'), 'end\n');
    await until('end', () => ran.out.includes('"end"'));
    child.kill('SIGTERM');
    const { code, out, err } = await ended;
    assert.equal(code, 0, err);
    const shipped = messages(out).filter((text) => text !== 'drop4');
    assert.deepEqual(shipped, ['line 0', 'line 1', 'line 2', 'line 3', 'line 4', 'end']);
    assert.match(readFileSync(join(folder, 'summary'), 'utf8'), /pending=0 duplicates=0 unread_bytes=0/);
  });

  it('modes exclude each other', async () => {
    write('');
    const { code, err } = await run(['--check', '--once']);
    assert.equal(code, 2);
    assert.match(err, /expected one of --check, --try and --once/);
  });
});
