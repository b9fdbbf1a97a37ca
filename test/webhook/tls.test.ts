/**
 * The TLS of the server: names, clocks, versions, changes of the certificate, clients that do not trust it.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';

import type { ServingCertificate } from '../../certs/certificate-source.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createAuthority, startTestServer } from '../fakes/webhook-server.ts';
import type { TestAuthority, TestServer } from '../fakes/webhook-server.ts';
import { reviewOf } from '../fakes/webhook.ts';
import { dial, requestText } from '../fakes/wire.ts';
import { skip } from '../skip.ts';

const LONG = 'a'.repeat(63);
const SERVICE = `${LONG}.${LONG}.svc`;
const POD = { metadata: { name: 'p', annotations: { 'logging.io/inject': 'true' } }, spec: { containers: [] } };
const BODY = JSON.stringify(reviewOf(POD));
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe('webhook TLS', () => {
  let authority: TestAuthority;
  let leaf: ServingCertificate;
  let folder: string;
  const running: TestServer[] = [];

  before(async () => {
    authority = await createAuthority([SERVICE, '127.0.0.1', '::1']);
    leaf = await authority.leaf();
    folder = mkdtempSync(join(tmpdir(), 'logtender-tls-'));
    writeFileSync(join(folder, 'ca.pem'), authority.caPem);
  });
  afterEach(() => Promise.all(running.splice(0).map(({ server }) => server.drain())));
  after(() => rmSync(folder, { recursive: true }));

  async function start(...args: Parameters<typeof startTestServer>): Promise<TestServer> {
    const made = await startTestServer(...args);
    running.push(made);
    return made;
  }

  /** TLS version and cipher of a handshake. */
  function handshake(port: number, options: ConnectionOptions = {}): Promise<readonly [string | null, string]> {
    return new Promise((resolve, reject) => {
      const all = { host: '127.0.0.1', port, ca: authority.caPem, servername: SERVICE, ...options };
      const socket = connect(all, () => {
        resolve([socket.getProtocol(), socket.getCipher().name]);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }

  async function ask(wire: Awaited<ReturnType<typeof dial>>): Promise<string | undefined> {
    wire.send(requestText(BODY));
    const reply = await wire.reply();
    assert.equal(reply.status, 200);
    return reply.headers.get('connection');
  }

  it('listens on IPv6 and IPv4 by default, with an IP SAN for clients by address and 63-character names (B8 11)', async () => {
    const { server } = await start(leaf, { raw: { host: '::' } });
    await handshake(server.port, { host: '::1', servername: '' });
    await handshake(server.port, { host: '::1' });
    await handshake(server.port, { host: '127.0.0.1' });
    await assert.rejects(handshake(server.port, { servername: `${LONG}.other.svc` }), /altnames/);
  });

  it('is valid for a client whose clock is 55 minutes behind, and not for one that is 65 behind (B8 13)', async function () {
    if (!hasOpenssl) return skip(this, 'openssl is not installed (package openssl)');
    const { server } = await start(leaf);
    const atMinutes = (minutes: number): Promise<string> =>
      new Promise((resolve) => {
        const time = Math.floor(systemClock.now() / 1000) - minutes * 60;
        const args = ['s_client', '-connect', `127.0.0.1:${server.port}`, '-CAfile', join(folder, 'ca.pem')];
        const child = execFile('openssl', [...args, '-attime', String(time)], (_error, out) => resolve(out));
        child.stdin?.end();
      });
    assert.match(await atMinutes(55), /Verify return code: 0 \(ok\)/);
    assert.match(await atMinutes(65), /Verify return code: 9 \(certificate is not yet valid\)/);
  });

  it('after a bad pair the old one is served, and the metric says so (B8 15)', async () => {
    const { server, serve, metrics } = await start(leaf);
    const other = await authority.leaf();
    const reloads = metrics.counter('logtender_tls_reloads_total', '');
    for (const bad of [
      { ...other, keyPem: leaf.keyPem },
      { ...other, certPem: 'garbage' },
      { ...other, keyPem: '' },
    ])
      serve(bad);
    await handshake(server.port);
    assert.deepEqual([reloads.value({ result: 'refused' }), reloads.value({ result: 'served' })], [3, 0]);
    assert.match(
      metrics.expose(),
      new RegExp(`serving_certificate_info\\{fingerprint="${leaf.fingerprint.slice(0, 16)}"\\} 1`),
    );
    serve(other);
    assert.equal(reloads.value({ result: 'served' }), 1);
    const infos = metrics.expose().match(/^logtender_serving_certificate_info\{.*$/gm);
    assert.deepEqual(infos, [`logtender_serving_certificate_info{fingerprint="${other.fingerprint.slice(0, 16)}"} 1`]);
  });

  const OLD: ConnectionOptions = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  it('counts changes of the certificate from zero, so that an alert on growth sees the first refusal', async () => {
    const { metrics } = await start(await authority.leaf());
    for (const result of ['served', 'refused'])
      assert.match(metrics.expose(), new RegExp(`^logtender_tls_reloads_total\\{result="${result}"\\} 0$`, 'm'));
  });

  it('refuses TLS 1.1 and 1.2, after three changes of the certificate too (B8 16)', async () => {
    const { server, serve } = await start(leaf);
    for (let round = 0; round <= 3; round += 1) {
      assert.equal((await handshake(server.port))[0], 'TLSv1.3');
      await assert.rejects(handshake(server.port, { maxVersion: 'TLSv1.2' }), /version|protocol/i, `round ${round}`);
      await assert.rejects(handshake(server.port, OLD), /version|protocol/i, `round ${round}`);
      serve(await authority.leaf());
    }
  });

  it('speaks TLS 1.2 by choice, with AEAD ciphers alone, after three changes too', async () => {
    const { server, serve } = await start(leaf, { raw: { tlsMinVersion: 'TLSv1.2' } });
    const weak = 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA';
    for (let round = 0; round <= 3; round += 1) {
      const [version, cipher] = await handshake(server.port, { maxVersion: 'TLSv1.2' });
      assert.equal(version, 'TLSv1.2');
      assert.match(cipher, /GCM|CHACHA20/);
      await assert.rejects(handshake(server.port, { maxVersion: 'TLSv1.2', ciphers: weak }), /handshake|alert/i);
      await assert.rejects(handshake(server.port, OLD), /version|protocol/i);
      serve(await authority.leaf());
    }
  });

  it('an ordinary change leaves open connections alone, one after a compromise closes each once, in an answer', async () => {
    const { server, serve } = await start(leaf);
    const options = { ca: authority.caPem, servername: SERVICE };
    const wires = await Promise.all([1, 2, 3].map(() => dial(server.port, options)));
    const [idle, ...busy] = wires;
    assert(idle !== undefined);
    for (const wire of busy) assert.equal(await ask(wire), 'keep-alive');
    serve(await authority.leaf());
    for (const wire of busy) assert.equal(await ask(wire), 'keep-alive');
    serve(await authority.leaf({ endsOldConnections: true }));
    assert(
      wires.every((wire) => wire.isOpen()),
      'nobody is cut',
    );
    for (const wire of wires) {
      assert.equal(await ask(wire), 'close');
      await wire.closed;
    }
  });

  it('connections that were opened well after such a change stay', async () => {
    let nowMs = 0;
    const { server, serve } = await start(leaf, { clock: { ...systemClock, monotonic: () => nowMs } });
    serve(await authority.leaf({ endsOldConnections: true }));
    const options = { ca: authority.caPem, servername: SERVICE };
    const young = await dial(server.port, options);
    assert.equal(await ask(young), 'close', 'its handshake may have begun under the old certificate');
    nowMs = 3_001;
    const later = await dial(server.port, options);
    assert.equal(await ask(later), 'keep-alive');
    later.destroy();
  });

  it('counts clients that do not trust us by their alert, and asks for a check once in ten seconds', async function () {
    if (!hasOpenssl) return skip(this, 'openssl is not installed (package openssl)');
    let checks = 0;
    let nowMs = 0;
    const { server, metrics } = await start(leaf, {
      clock: { ...systemClock, monotonic: () => nowMs },
      onDistrust: () => (checks += 1),
    });
    const alerts = metrics.counter('logtender_tls_client_alerts_total', '');
    const verify = (...args: readonly string[]): Promise<void> =>
      new Promise((resolve) => {
        const child = execFile(
          'openssl',
          ['s_client', '-connect', `127.0.0.1:${server.port}`, '-verify_return_error', '-verify', '1', ...args],
          () => resolve(),
        );
        child.stdin?.end();
      });
    const strangers = join(folder, 'strangers.pem');
    writeFileSync(strangers, (await createAuthority(['x'])).caPem);
    await verify('-CAfile', strangers);
    await verify('-CAfile', strangers);
    assert.deepEqual([alerts.value({ reason: 'unknown_ca' }), checks], [2, 1]);
    nowMs = 10_000;
    await verify('-CAfile', join(folder, 'ca.pem'), '-verify_hostname', 'somebody.else');
    assert.deepEqual([alerts.value({ reason: 'bad_certificate' }), checks], [1, 2]);
    await verify('-CAfile', join(folder, 'ca.pem'));
    const end = Math.floor(leaf.notAfterMs / 1000) + 60;
    await verify('-CAfile', join(folder, 'ca.pem'), '-attime', String(end));
    assert.deepEqual([alerts.value({ reason: 'certificate_expired' }), checks], [1, 2]);
  });

  it('counts other failed handshakes apart, and not the ones that the process makes itself', async () => {
    const own = new Set<number>();
    const { server, metrics } = await start(leaf, { isOwnPort: (port) => own.has(port) });
    const failures = metrics.counter('logtender_tls_handshake_failures_total', '');
    await assert.rejects(handshake(server.port, { maxVersion: 'TLSv1.2' }));
    assert.equal(failures.value({ reason: 'protocol' }), 1);
    const socket = connect({ host: '127.0.0.1', port: server.port, maxVersion: 'TLSv1.2', rejectUnauthorized: false });
    socket.once('connect', () => own.add(socket.localPort ?? 0));
    await new Promise<void>((resolve) => socket.once('error', () => resolve()));
    assert.equal(failures.value({ reason: 'protocol' }), 1);
  });
});
