/**
 * The forwarder as the process that it is: env in, records out, signals, and a kill at any moment.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { CREDENTIALS_MS_MAX } from '../../src/sinks/aws/late-credentials.ts';
import { loopbackTls } from '../bench/forwarder.ts';
import { SilentServer } from '../fakes/silent-server.ts';
import { plainEnv } from '../plain-env.ts';
import { freePorts } from '../servers/loopback-ports.ts';

const MAIN = resolve(import.meta.dirname, '../../src/main.ts');
const DEADLINE_MS = 20_000;

interface Process {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** A `_bulk` that stores each id once and answers as Elasticsearch does. */
class BulkServer {
  readonly stored = new Map<string, string>();
  duplicates = 0;
  isDown = false;
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (this.isDown) {
        response.writeHead(503).end();
        return;
      }
      const items = this.#take(Buffer.concat(chunks).toString().split('\n'));
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ errors: items.some(({ create }) => create.status !== 201), items }));
    });
  });

  #take(lines: readonly string[]): { create: { status: number } }[] {
    const items = [];
    for (let i = 0; i + 1 < lines.length; i += 2) {
      const { create } = JSON.parse(lines[i] ?? '') as { create: { _id: string } };
      const { message } = JSON.parse(lines[i + 1] ?? '') as { message: string };
      const isNew = !this.stored.has(create._id);
      if (isNew) this.stored.set(create._id, message);
      else this.duplicates += 1;
      items.push({ create: { status: isNew ? 201 : 409 } });
    }
    return items;
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe('forwarder process', function () {
  this.timeout(2 * DEADLINE_MS);
  let folder: string;
  let server: BulkServer;
  let url: string;
  const running = new Set<ChildProcess>();

  const start = (env: Readonly<Record<string, string>>): Process => {
    const child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...plainEnv(),
        LOG_FILES: JSON.stringify([
          { container: 'app', path: '/var/log/app/*.log', directory: '/var/log/app', mount: join(folder, 'logs') },
        ]),
        STATE_DIR: join(folder, 'state'),
        TERMINATION_MESSAGE_PATH: join(folder, 'termination'),
        ADMIN_PORT: '0',
        FLUSH_INTERVAL: '50ms',
        GRACE_PERIOD: '10s',
        POD_NAME: 'pod-1',
        ...env,
      },
    });
    running.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(child, 'close').then(([code, signal]) => {
      running.delete(child);
      return (code ?? signal) as number | NodeJS.Signals;
    });
    return { child, stdout: () => stdout, stderr: () => stderr, ended };
  };
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const end = performance.now() + DEADLINE_MS;
    while (!holds()) {
      assert(performance.now() < end, `${what} within ${DEADLINE_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const log = (name: string): string => join(folder, 'logs', name);
  const termination = (): string => readFileSync(join(folder, 'termination'), 'utf8');

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-main-'));
    mkdirSync(join(folder, 'logs'));
    server = new BulkServer();
    url = await server.listen();
  });
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('ships what is there and ends when it is asked to do so once', async () => {
    writeFileSync(log('a.log'), 'one\ntwo\nthree');
    const forwarder = start({ ONCE: 'true', SINKS: 'console' });
    assert.equal(await forwarder.ended, 0, forwarder.stderr());
    const messages = forwarder
      .stdout()
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { message: string }).message);
    assert.deepEqual(messages, ['one', 'two', 'three']);
    assert.equal(termination(), 'console: read=3 delivered=3 dropped=0 pending=0 duplicates=0 unread_bytes=0\n');
  });

  it('ships what a writer left when the pod ends, and exits with 0', async () => {
    const forwarder = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url });
    writeFileSync(log('a.log'), 'one\n');
    await until('first line', () => server.stored.size === 1);
    appendFileSync(log('a.log'), 'two\nlast words without a newline');
    forwarder.child.kill('SIGTERM');
    assert.equal(await forwarder.ended, 0, forwarder.stderr());
    assert.deepEqual([...server.stored.values()], ['one', 'two', 'last words without a newline']);
    assert.match(termination(), /read=3 delivered=3 dropped=0 pending=0/);
  });

  it('ends by itself when the other containers of its pod have ended, and has shipped all by then', async () => {
    const { key, cert } = loopbackTls();
    const asked: string[] = [];
    let state: object = { running: {} };
    const api = createTlsServer({ key, cert }, (request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      const containerStatuses = [{ name: 'app', state }];
      response.end(JSON.stringify({ spec: { restartPolicy: 'OnFailure' }, status: { containerStatuses } }));
    });
    api.listen(0, '127.0.0.1');
    await once(api, 'listening');
    const tokens = join(folder, 'tokens');
    mkdirSync(tokens);
    writeFileSync(join(tokens, 'token'), 'a-token\n');
    writeFileSync(join(tokens, 'ca.crt'), cert);
    try {
      writeFileSync(log('a.log'), 'one\n');
      const { port } = api.address() as AddressInfo;
      const { ended, stderr } = start({
        ELASTICSEARCH_URL: url,
        SINKS: 'elasticsearch',
        POD_NAMESPACE: 'shop',
        END_WITH: 'app',
        END_TOKEN_DIR: tokens,
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(port),
      });
      await until('first line and two looks', () => server.stored.size === 1 && asked.length > 1);
      // The last line of a Job has no newline, often enough.
      appendFileSync(log('a.log'), 'two\nlast words');
      state = { terminated: { exitCode: 0 } };
      assert.equal(await ended, 0, stderr());
      assert.deepEqual([...server.stored.values()], ['one', 'two', 'last words']);
      assert.equal(asked[0], 'GET /api/v1/namespaces/shop/pods/pod-1 Bearer a-token');
      assert.match(termination(), /read=3 delivered=3 dropped=0 pending=0/);
    } finally {
      api.close();
      api.closeAllConnections();
    }
  });

  it('stays with a wrong configuration and says what is wrong', async () => {
    const forwarder = start({ FLUSH_INTERVAL: '5', SINKS: 'elasticsaerch' });
    await until('termination message', () => existsSync(join(folder, 'termination')) && termination().endsWith('\n'));
    assert.match(termination(), /FLUSH_INTERVAL: expected a duration .* got "5"/);
    assert.match(termination(), /SINKS: expected .*elasticsearch/);
    assert.equal(forwarder.child.exitCode, null, 'it stays');
    forwarder.child.kill('SIGTERM');
    assert.equal(await forwarder.ended, 0, forwarder.stderr());
  });

  it('ends with 1 at a wrong configuration where it was asked to ship what is there and end', async () => {
    const forwarder = start({ SINKS: 'elasticsaerch', ONCE: 'true' });
    assert.equal(await forwarder.ended, 1, forwarder.stderr());
    assert.match(forwarder.stderr(), /SINKS: expected .*elasticsearch/);
    assert.match(termination(), /SINKS: expected .*elasticsearch/);
  });

  it('ends at a wrong configuration and ONCE, though a disk does not answer', async () => {
    execFileSync('mkfifo', [join(folder, 'termination')]);
    const forwarder = start({ SINKS: 'nowhere', ONCE: 'true' });
    assert.equal(await forwarder.ended, 'SIGKILL', forwarder.stderr());
  });

  it('stays with a wrong configuration, and ends at SIGTERM though a disk does not answer', async () => {
    // Who opens it to write waits for a reader.
    execFileSync('mkfifo', [join(folder, 'termination')]);
    const forwarder = start({ SINKS: 'nowhere' });
    await until('words', () => forwarder.stderr().includes('configuration is wrong'));
    forwarder.child.kill('SIGTERM');
    assert.equal(await forwarder.ended, 'SIGKILL', forwarder.stderr());
  });

  it('keeps no Job from its end, though its configuration is wrong and there is no API server to ask', async () => {
    const { ended, stderr } = start({ SINKS: 'nowhere', END_WITH: 'app', KUBERNETES_SERVICE_HOST: '' });
    assert.equal(await ended, 0, stderr());
    assert.match(stderr(), /the API server could not be asked/);
    assert.match(termination(), /SINKS: expected/);
    assert.match(termination(), /ended although .* the API server could not be asked/);
  });

  it('says in its last words that it ended without seeing the end of the others', async () => {
    writeFileSync(log('a.log'), 'one\n');
    const env = { SINKS: 'elasticsearch', ELASTICSEARCH_URL: url, END_WITH: 'app', KUBERNETES_SERVICE_HOST: '' };
    const { ended, stderr } = start(env);
    assert.equal(await ended, 0, stderr());
    assert.match(termination(), /^ended although .* the API server could not be asked.*\n.*read=1 delivered=1/);
  });

  it('ends at once on a second signal, with its position saved', async () => {
    server.isDown = true;
    writeFileSync(log('a.log'), 'one\n');
    const first = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url, GRACE_PERIOD: '1h' });
    await until('first try', () => first.stderr().includes('retrying'));
    first.child.kill('SIGTERM');
    await until('drain', () => first.stderr().includes('drains'));
    assert.match(first.stderr(), /"drains".*a second signal ends at once/);
    first.child.kill('SIGTERM');
    assert.equal(await first.ended, 0, first.stderr());
    assert.match(termination(), /not everything was delivered.*\n.*pending=1/);
    server.isDown = false;
    const second = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url, ONCE: 'true' });
    assert.equal(await second.ended, 0, second.stderr());
    assert.deepEqual([...server.stored.values()], ['one']);
  });

  it('says how it stands as soon as the signal comes, for who is killed while it drains', async () => {
    server.isDown = true;
    writeFileSync(log('a.log'), 'one\n');
    const forwarder = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url, GRACE_PERIOD: '1h' });
    await until('first try', () => forwarder.stderr().includes('retrying'));
    forwarder.child.kill('SIGTERM');
    await until('words', () => existsSync(join(folder, 'termination')) && termination().endsWith('\n'));
    forwarder.child.kill('SIGKILL');
    assert.equal(await forwarder.ended, 'SIGKILL');
    assert.match(termination(), /^killed while it drained; at SIGTERM it stood so\n.*read=1 delivered=0 .*pending=1/);
  });

  for (const [sink, env] of Object.entries({
    s3: { S3_BUCKET: 'logs', S3_OBJECT_AGE: '1s' },
    cloudwatch: {},
    elasticsearch: {
      ELASTICSEARCH_URL: 'https://search-x.eu-central-1.es.amazonaws.com',
      ELASTICSEARCH_SIGNING: 'aws',
    },
  })) {
    it(`ends within its grace period, with its positions saved, though STS does not answer: ${sink}`, async () => {
      const sts = new SilentServer();
      writeFileSync(join(folder, 'token'), 'jwt');
      writeFileSync(log('a.log'), 'one\n');
      const forwarder = start({
        ...env,
        SINKS: sink,
        GRACE_PERIOD: '2s',
        AWS_REGION: 'eu-central-1',
        AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/logs',
        AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'),
        AWS_ENDPOINT_URL_STS: await sts.start(),
        AWS_CONFIG_FILE: '/nonexistent',
        AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
      });
      try {
        await sts.asked;
        forwarder.child.kill('SIGTERM');
        // Later the request ends by its own bound: that would prove nothing.
        const over = new Promise<string>((resolve) =>
          setTimeout(resolve, CREDENTIALS_MS_MAX - 1_000, 'still there').unref(),
        );
        assert.equal(await Promise.race([forwarder.ended, over]), 0, forwarder.stderr());
        assert.match(
          termination(),
          /^not everything was delivered; positions are saved\n.*read=1 delivered=0 .*pending=1/,
        );
      } finally {
        await sts.stop();
      }
    });
  }

  it('does not say that positions are saved when they are not', async () => {
    server.isDown = true;
    writeFileSync(log('a.log'), 'one\n');
    writeFileSync(join(folder, 'state'), 'a file where a folder should be');
    const forwarder = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url, GRACE_PERIOD: '1s' });
    await until('first try', () => forwarder.stderr().includes('retrying'));
    forwarder.child.kill('SIGTERM');
    assert.equal(await forwarder.ended, 0, forwarder.stderr());
    assert.match(termination(), /^not everything was delivered; positions could not be saved/);
  });

  it('ends on a second signal though its state folder hangs', async () => {
    mkdirSync(join(folder, 'state'));
    // Whoever opens a pipe to read waits for a writer, as one waits for a disk that does not answer.
    const pipe = join(folder, 'state', 'checkpoint');
    execFileSync('mkfifo', [pipe]);
    const forwarder = start({ SINKS: 'console', GRACE_PERIOD: '1h' });
    await until('start', () => forwarder.stderr().includes('forwarder starts'));
    forwarder.child.kill('SIGTERM');
    await until('words', () => existsSync(join(folder, 'termination')) && termination().endsWith('\n'));
    assert.match(termination(), /nothing was forwarded/);
    forwarder.child.kill('SIGTERM');
    assert.equal(await forwarder.ended, 'SIGKILL', forwarder.stderr());
  });

  it('ends by itself in time though its state folder hangs: no kubelet stands behind that end', async () => {
    mkdirSync(join(folder, 'state'));
    execFileSync('mkfifo', [join(folder, 'state', 'checkpoint')]);
    const env = { SINKS: 'console', GRACE_PERIOD: '1s', END_WITH: 'app', KUBERNETES_SERVICE_HOST: '' };
    const forwarder = start(env);
    assert.equal(await forwarder.ended, 'SIGKILL', forwarder.stderr());
  });

  it('survives a reader of its output that went away', async () => {
    const forwarder = start({ SINKS: 'console' });
    await until('start', () => forwarder.stderr().includes('forwarder starts'));
    forwarder.child.stdout?.destroy();
    writeFileSync(log('a.log'), 'one\n');
    await until('failed write', () => forwarder.stderr().includes('retrying'));
    assert.equal(forwarder.child.exitCode, null, forwarder.stderr());
  });

  it('answers probes, metrics and ledger', async () => {
    const [port = 0] = await freePorts(1);
    const forwarder = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url, ADMIN_PORT: String(port) });
    writeFileSync(log('a.log'), 'one\n');
    await until('first line', () => server.stored.size === 1);
    const page = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    assert.match(await page('/readyz'), /sink-elasticsearch ok/);
    assert.match(await page('/metrics'), /logtender_read_lines_total\{sink="elasticsearch"\} 1/);
    const ledger = JSON.parse(await page('/ledger')) as { sinks: { read: { lines: number } }[] };
    assert.equal(ledger.sinks[0]?.read.lines, 1);
    forwarder.child.kill('SIGTERM');
    await forwarder.ended;
  });

  const onVolume = (pod: string, uid: string, env: Readonly<Record<string, string>> = {}): Process => {
    // The pod's own folder is there before it starts, and ends with it.
    mkdirSync(join(folder, uid), { recursive: true });
    return start({
      SINKS: 'elasticsearch',
      ELASTICSEARCH_URL: url,
      POD_NAME: pod,
      POD_UID: uid,
      STATE_DIR: join(folder, uid),
      TERMINATION_MESSAGE_PATH: join(folder, `termination-${uid}`),
      LOG_FILES: volumeFiles([onClaim()]),
      ...env,
    });
  };
  /** All files of a directory of the app, as the webhook writes them; `positions` where a volume keeps them. */
  const volumeFiles = (globs: readonly { directory: string; name: string; positions?: string }[]): string =>
    JSON.stringify(
      globs.map(({ directory, name, positions }) => ({
        container: 'app',
        path: `${directory}/**`,
        directory,
        mount: join(folder, name),
        ...(positions === undefined ? {} : { positions }),
      })),
    );
  const onClaim = (name = 'logs'): { directory: string; name: string; positions: string } => ({
    directory: `/var/log/${name}`,
    name,
    positions: join(folder, name, '.logtender', 'web'),
  });
  const numbered = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, i) => `${from + i}\n`).join('');

  it('goes on where the pod before it was killed, on a volume that outlived it', async () => {
    writeFileSync(log('a.log'), numbered(0, 20_000));
    const first = onVolume('web-0', 'uid-1');
    await until('some lines', () => server.stored.size > 0);
    first.child.kill('SIGKILL');
    await first.ended;
    appendFileSync(log('a.log'), numbered(20_000, 21_000));
    const second = onVolume('web-0', 'uid-2', { ONCE: 'true' });
    assert.equal(await second.ended, 0, second.stderr());
    // Under another id a line that came twice would be stored twice.
    assert.deepEqual([...server.stored.values()], numbered(0, 21_000).trim().split('\n'));
    assert.equal(existsSync(join(folder, 'logs', '.logtender', 'web', 'claim')), false, 'it is given back');
  });

  it('waits while another pod ships the files of the volume, and goes on when that one ends', async () => {
    writeFileSync(log('a.log'), numbered(0, 100));
    const first = onVolume('web-a', 'uid-1');
    await until('first lines', () => server.stored.size === 100);
    const [second, third] = [onVolume('web-b', 'uid-2'), onVolume('web-c', 'uid-3')];
    await until('words', () => [second, third].every(({ stderr }) => stderr().includes('pod web-a ships the files')));
    third.child.kill('SIGTERM');
    assert.equal(await third.ended, 0, third.stderr());
    assert.match(readFileSync(join(folder, 'termination-uid-3'), 'utf8'), /nothing was forwarded from here: pod web-a/);
    appendFileSync(log('a.log'), numbered(100, 200));
    await until('lines of the first', () => server.stored.size === 200);
    first.child.kill('SIGTERM');
    assert.equal(await first.ended, 0, first.stderr());
    appendFileSync(log('a.log'), numbered(200, 300));
    await until('lines of the second', () => server.stored.size >= 300);
    second.child.kill('SIGTERM');
    assert.equal(await second.ended, 0, second.stderr());
    assert.deepEqual([...server.stored.values()], numbered(0, 300).trim().split('\n'));
    assert.equal(server.duplicates, 0);
  });

  it('ships the files of a volume that it takes over while its end is asked for', async () => {
    writeFileSync(log('a.log'), numbered(0, 100));
    const positions = join(folder, 'logs', '.logtender', 'web');
    mkdirSync(positions, { recursive: true });
    writeFileSync(join(positions, 'claim'), JSON.stringify({ pod: 'web-a', uid: 'uid-1' }));
    const longAgo = Date.now() / 1000 - 3_600;
    utimesSync(join(positions, 'claim'), longAgo, longAgo);
    const short = onVolume('web-b', 'uid-2');
    await until('words', () => short.stderr().includes('pod web-a, which is gone, are being taken over'));
    short.child.kill('SIGTERM');
    assert.equal(await short.ended, 0, short.stderr());
    assert.deepEqual([...server.stored.values()], numbered(0, 100).trim().split('\n'));
    assert.match(readFileSync(join(folder, 'termination-uid-2'), 'utf8'), /read=100 delivered=100 dropped=0 pending=0/);
    assert.equal(existsSync(join(positions, 'claim')), false, 'it is given back');
  });

  it('goes on with each volume where the pod before it was killed, beside files and stdio that ended with that pod', async () => {
    const globs = [onClaim(), onClaim('other'), { directory: '/var/log/own', name: 'own' }];
    // There is no API server here: stdio is on all the same, and nothing waits for it.
    const env = { LOG_FILES: volumeFiles(globs), STDIO: 'api', STDIO_CONTAINERS: 'app' };
    const write = (name: string, from: number, to: number): void =>
      appendFileSync(join(folder, name, 'a.log'), numbered(from, to).replaceAll(/^/gm, name).slice(0, -name.length));
    for (const name of ['other', 'own']) mkdirSync(join(folder, name));
    for (const name of ['logs', 'other', 'own']) write(name, 0, 5_000);
    const first = onVolume('web-0', 'uid-1', env);
    await until('some lines', () => server.stored.size > 0);
    first.child.kill('SIGKILL');
    await first.ended;
    // Its emptyDir went with it.
    rmSync(join(folder, 'own', 'a.log'));
    const ownBefore = [...server.stored.values()].filter((line) => line.startsWith('own')).length;
    for (const name of ['logs', 'other']) write(name, 5_000, 6_000);
    write('own', 6_000, 6_100);
    const second = onVolume('web-0', 'uid-2', { ...env, ONCE: 'true' });
    assert.equal(await second.ended, 0, second.stderr());
    const lines = (name: string): string[] => [...server.stored.values()].filter((line) => line.startsWith(name));
    for (const name of ['logs', 'other'])
      assert.deepEqual(
        lines(name),
        Array.from({ length: 6_000 }, (_, i) => `${name}${i}`),
        'under another id a line that came twice would be stored twice',
      );
    assert.equal(lines('own').length, ownBefore + 100);
    const ledger = JSON.parse(readFileSync(join(folder, 'uid-2', 'ledger.json'), 'utf8')) as {
      sinks: { read: { lines: number }; delivered: { lines: number } }[];
    };
    const { read, delivered } = ledger.sinks[0] ?? {};
    assert.deepEqual([read?.lines, delivered?.lines], [12_100, 12_100], 'each volume has its books, the pod its own');
    for (const name of ['logs', 'other'])
      assert.equal(existsSync(join(folder, name, '.logtender', 'web', 'claim')), false, 'it is given back');
  });

  it('ships everything else while another pod has one volume, and that one as soon as it is given back', async () => {
    mkdirSync(join(folder, 'own'));
    const holder = onVolume('web-a', 'uid-1');
    writeFileSync(log('a.log'), 'one\n');
    await until('first line', () => server.stored.size === 1);
    const globs = [onClaim(), { directory: '/var/log/own', name: 'own' }];
    const [other = 0] = await freePorts(1);
    const waiting = onVolume('web-b', 'uid-2', { LOG_FILES: volumeFiles(globs), ADMIN_PORT: String(other) });
    writeFileSync(join(folder, 'own', 'a.log'), 'own\n');
    await until('what is its own', () => server.stored.size === 2);
    const page = await fetch(`http://127.0.0.1:${other}/readyz`).then((answer) => answer.text());
    assert.match(page, /\[-\]volumes: .*pod web-a ships the files of this volume/);
    holder.child.kill('SIGTERM');
    assert.equal(await holder.ended, 0, holder.stderr());
    appendFileSync(log('a.log'), 'two\n');
    await until('the rest', () => server.stored.size === 3);
    waiting.child.kill('SIGTERM');
    assert.equal(await waiting.ended, 0, waiting.stderr());
    assert.deepEqual([...server.stored.values()], ['one', 'own', 'two']);
    assert.equal(server.duplicates, 0);
    assert.match(readFileSync(join(folder, 'termination-uid-2'), 'utf8'), /read=3 delivered=3 dropped=0 pending=0/);
  });

  it('begins older files at their end on a volume that it cannot write to, and counts what it passes over', async () => {
    writeFileSync(log('a.log'), 'old\n');
    const longAgo = Date.now() / 1000 - 3_600;
    utimesSync(log('a.log'), longAgo, longAgo);
    writeFileSync(join(folder, 'file'), '');
    const positions = join(folder, 'file', '.logtender', 'web');
    const globs = [{ ...onClaim(), positions }, onClaim('other')];
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other', 'a.log'), 'elsewhere\n');
    utimesSync(join(folder, 'other', 'a.log'), longAgo, longAgo);
    const forwarder = onVolume('web-a', 'uid-1', { LOG_FILES: volumeFiles(globs) });
    await until('words', () => forwarder.stderr().includes('file is older than the pod and begins at its end'));
    appendFileSync(log('a.log'), 'more\n');
    writeFileSync(log('b.log'), 'new\n');
    await until('new lines', () => server.stored.size === 3);
    forwarder.child.kill('SIGTERM');
    assert.equal(await forwarder.ended, 0, forwarder.stderr());
    assert.deepEqual([...server.stored.values()].toSorted(), ['elsewhere', 'more', 'new']);
    assert.match(forwarder.stderr(), /positions cannot be kept on the volume/);
    assert.match(readFileSync(join(folder, 'termination-uid-1'), 'utf8'), /delivered=3 .*older_than_pod=4B/);
  });

  it('delivers every line once, in order, though it is killed again and again', async () => {
    const lines = 20_000;
    let written = 0;
    const write = (count: number): void => {
      let text = '';
      for (let i = 0; i < count; i += 1) text += `${(written += 1)}\n`;
      appendFileSync(log('a.log'), text);
    };
    for (let kills = 0; kills < 4; kills += 1) {
      const forwarder = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url });
      const before = server.stored.size;
      for (let i = 0; i < 4; i += 1) write(lines / 20);
      renameSync(log('a.log'), log(`a.log.${4 - kills}`));
      write(lines / 20);
      await until('progress', () => server.stored.size > before);
      forwarder.child.kill('SIGKILL');
      assert.equal(await forwarder.ended, 'SIGKILL');
    }
    const last = start({ SINKS: 'elasticsearch', ELASTICSEARCH_URL: url, ONCE: 'true' });
    assert.equal(await last.ended, 0, last.stderr());
    const numbers = [...server.stored.values()].map(Number);
    assert.equal(numbers.length, written, `${server.duplicates} duplicates were recognised`);
    assert.deepEqual(
      numbers,
      Array.from({ length: written }, (_, i) => i + 1),
    );
  });
});
