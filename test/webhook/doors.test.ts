/**
 * Who may ask: the client certificate of the API server, and the secret path. Both over HTTPS against the real server.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ServingCertificate } from '../../certs/certificate-source.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { openDoors } from '../../webhook/doors.ts';
import type { Doors } from '../../webhook/doors.ts';
import { createPathGate, parsePathTokens } from '../../webhook/path-gate.ts';
import { createAuthority, startTestServer } from '../fakes/webhook-server.ts';
import type { TestAuthority, TestServer } from '../fakes/webhook-server.ts';
import { reviewOf } from '../fakes/webhook.ts';
import { dial, requestText } from '../fakes/wire.ts';
import type { Wire } from '../fakes/wire.ts';
import { skip } from '../skip.ts';

const BODY = JSON.stringify(reviewOf({ metadata: { name: 'p' }, spec: { containers: [{ name: 'app' }] } }));
const TOKEN = 'Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OWFiY2RlZg';
const NEXT_TOKEN = 'bmV4dC1vbmUtd2l0aC1lbm91Z2gtY2hhcmFjdGVycw';
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const LOOK_MS = 20;

describe('webhook doors', function () {
  this.timeout(20_000);
  let folder: string;
  let authority: TestAuthority;
  let leaf: ServingCertificate;
  let lines: string[] = [];
  let metrics = createMetrics();
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-doors-'));
    authority = await createAuthority(['localhost']);
    leaf = await authority.leaf();
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  after(() => rmSync(folder, { recursive: true }));

  async function open(config: Partial<Parameters<typeof openDoors>[0]>): Promise<Doors> {
    lines = [];
    metrics = createMetrics();
    const log = createLog({ clock: systemClock, level: 'debug', write: (line) => lines.push(line) });
    const all = { clientCa: undefined, pathTokenFile: undefined, ...config };
    const doors = await openDoors(all, { clock: systemClock, log, metrics, lookEveryMs: LOOK_MS });
    ends.push(() => doors.close());
    return doors;
  }

  async function start(config: Partial<Parameters<typeof openDoors>[0]>): Promise<TestServer> {
    const { clientAuth, isOurPath } = await open(config);
    const made = await startTestServer(leaf, { clientAuth, isOurPath });
    ends.unshift(() => made.server.drain());
    return made;
  }

  async function until(what: string, isSo: () => boolean): Promise<void> {
    const deadlineMs = systemClock.monotonic() + 5_000;
    while (!isSo()) {
      assert(systemClock.monotonic() < deadlineMs, what);
      await systemClock.sleep(5);
    }
  }

  const knock = (server: TestServer, options: object = {}): Promise<Wire> =>
    dial(server.server.port, { ca: authority.caPem, servername: 'localhost', ...options });

  async function ask(wire: Wire, options: Parameters<typeof requestText>[1] = {}): Promise<number> {
    wire.send(requestText(BODY, options));
    return (await wire.reply()).status;
  }

  describe('client certificate (B8 50)', () => {
    /** A CA and clients of it, by openssl: our own authority writes serving certificates alone. */
    function makeCa(name: string): { readonly file: string; client: (cn: string, san?: string) => object } {
      const run = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
      const path = (file: string): string => join(folder, `${name}-${file}`);
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
      run('req', '-x509', ...key, '-keyout', path('ca.key'), '-out', path('ca.pem'), '-subj', `/CN=${name}`);
      return {
        file: path('ca.pem'),
        client: (cn, san = 'DNS:unused') => {
          const files = {
            key: path(`${cn}.key`),
            csr: path(`${cn}.csr`),
            pem: path(`${cn}.pem`),
            ext: path(`${cn}.ext`),
          };
          writeFileSync(files.ext, `extendedKeyUsage=clientAuth\nsubjectAltName=${san}\n`);
          run('req', ...key.slice(0, 5), '-keyout', files.key, '-out', files.csr, '-subj', `/CN=${cn}`);
          const ca = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-extfile', files.ext];
          run('x509', '-req', '-in', files.csr, ...ca, '-out', files.pem, '-days', '1');
          return { cert: readFileSync(files.pem), key: readFileSync(files.key) };
        },
      };
    }
    let ca: ReturnType<typeof makeCa>;
    let stranger: ReturnType<typeof makeCa>;

    before(function () {
      if (!hasOpenssl) return skip(this, 'openssl is not installed (package openssl)');
      ca = makeCa('front');
      stranger = makeCa('stranger');
    });

    it('lets nobody in without one, with one of another CA, or with another name', async () => {
      const server = await start({ clientCa: { file: ca.file, names: ['kube-apiserver'] } });
      assert.equal(await ask(await knock(server, ca.client('kube-apiserver'))), 200);
      // In TLS 1.3 a client is through before the server has judged it: it hears of the refusal when it reads.
      await assert.rejects(knock(server).then(ask), /ALERT_CERTIFICATE_REQUIRED|ECONNRESET/);
      await assert.rejects(knock(server, stranger.client('kube-apiserver')).then(ask), /ALERT|ECONNRESET|ended/);
      await assert.rejects(knock(server, ca.client('somebody')).then(ask), /ECONNRESET|ended/);
      const failures = server.metrics.counter('logtender_tls_handshake_failures_total', '');
      assert.deepEqual(
        ['client_certificate', 'client_name'].map((reason) => failures.value({ reason })),
        [2, 1],
      );
    });

    it('takes a DNS name of the certificate for the name as well, and every name when none is asked for', async () => {
      const named = await start({ clientCa: { file: ca.file, names: ['api.example'] } });
      assert.equal(await ask(await knock(named, ca.client('x1', 'DNS:api.example'))), 200);
      await assert.rejects(knock(named, ca.client('x2', 'DNS:api.example.org')).then(ask));
      const open = await start({ clientCa: { file: ca.file, names: [] } });
      assert.equal(await ask(await knock(open, ca.client('x2'))), 200);
    });

    it('follows its file without dropping a connection, and keeps the old CA when the new one is bad', async () => {
      const file = join(folder, 'followed.pem');
      writeFileSync(file, readFileSync(ca.file));
      const server = await start({ clientCa: { file, names: [] } });
      const [mine, theirs] = [ca.client('me'), stranger.client('you')];
      const kept = await knock(server, mine);
      assert.equal(await ask(kept), 200);
      const reloads = metrics.counter('logtender_client_ca_reloads_total', '');
      writeFileSync(file, 'no certificate');
      await until('the bad file is told', () => reloads.value({ result: 'refused' }) === 1);
      assert.equal(await ask(await knock(server, mine)), 200);
      // As the kubelet does it: a symlink is swapped.
      symlinkSync(stranger.file, join(folder, 'swap'));
      renameSync(join(folder, 'swap'), file);
      await until('the new CA is taken', () => reloads.value({ result: 'taken' }) === 1);
      assert.equal(await ask(await knock(server, theirs)), 200);
      await assert.rejects(knock(server, mine).then(ask));
      assert.equal(await ask(kept), 200, 'an open connection stays');
      assert.equal(lines.filter((line) => line.includes('client CA refused')).length, 1, 'told once');
    });

    it('a file that cannot be used at the start is named', async () => {
      await assert.rejects(open({ clientCa: { file: join(folder, 'absent.pem'), names: [] } }), {
        code: 'CONFIG_INVALID',
        message: /absent\.pem: expected a file, got: ENOENT/,
      });
    });
  });

  describe('secret path (B8 29)', () => {
    it('answers the path with the token alone, and all others alike, before the body has come', async () => {
      const file = join(folder, 'token');
      writeFileSync(file, `${TOKEN}\n`);
      const server = await start({ pathTokenFile: file });
      const wire = await knock(server);
      ends.unshift(async () => wire.destroy());
      assert.equal(await ask(wire, { path: `/mutate/${TOKEN}?timeout=5s` }), 200);
      const bodies = new Set<string>();
      const wrong = `${TOKEN.slice(0, -1)}h`;
      for (const path of ['/mutate', '/', `/mutate/${wrong}`, `/mutate/${TOKEN}/`, `/mutate/${TOKEN}x`, '/MUTATE/x']) {
        for (const method of ['POST', 'GET']) {
          const other = await knock(server);
          other.send(requestText('', { path, method, headers: { 'content-length': '1000' } }));
          const { status, body, headers } = await other.reply();
          other.destroy();
          assert.equal(status, 404, path);
          bodies.add(`${body}${[...headers.keys()].join()}`);
        }
      }
      assert.equal(bodies.size, 1, 'nothing tells one from another');
    });

    it('takes two tokens while they change, and follows the file', async () => {
      const file = join(folder, 'followed');
      writeFileSync(file, TOKEN);
      const { isOurPath } = await open({ pathTokenFile: file });
      assert.deepEqual([isOurPath(`/mutate/${TOKEN}`), isOurPath(`/mutate/${NEXT_TOKEN}`)], [true, false]);
      writeFileSync(file, `${TOKEN}\n${NEXT_TOKEN}\n`);
      await until('both', () => isOurPath(`/mutate/${TOKEN}`) && isOurPath(`/mutate/${NEXT_TOKEN}`));
      writeFileSync(file, 'short');
      await until('told', () => lines.some((line) => line.includes('path token refused')));
      writeFileSync(file, `${NEXT_TOKEN}\n`);
      await until('the new one alone', () => !isOurPath(`/mutate/${TOKEN}`) && isOurPath(`/mutate/${NEXT_TOKEN}`));
      assert(!lines.join('').includes(TOKEN) && !lines.join('').includes('short'), 'a token is never logged');
    });

    it('compares digests of one length, whatever is sent', () => {
      // Digests are compared by timingSafeEqual, which throws when lengths differ: any path gets to its answer.
      const isOurs = createPathGate(() => [TOKEN, NEXT_TOKEN]);
      for (const path of ['', '/', '/mutate', `/mutate/${TOKEN}`.repeat(100), '/mutate/é'])
        assert.equal(isOurs(path), false);
      assert.equal(isOurs(`/mutate/${NEXT_TOKEN}`), true);
    });

    const FILES: readonly (readonly [string, string, boolean])[] = [
      ['one line', `${TOKEN}\n`, true],
      ['two lines', `${TOKEN}\r\n${NEXT_TOKEN}`, true],
      ['nothing', '', false],
      ['a short one', 'secret', false],
      ['a slash', `${TOKEN}/x`, false],
      ['three', `${TOKEN}\n${TOKEN}\n${TOKEN}`, false],
    ];
    for (const [name, text, isGood] of FILES) {
      it(`file with ${name}: ${isGood ? 'taken' : 'refused, its content not shown'}`, () => {
        const parsed = parsePathTokens(text);
        assert.equal(parsed.ok, isGood);
        if (!parsed.ok) assert(text === '' || !parsed.problem.includes(text));
      });
    }
  });
});
