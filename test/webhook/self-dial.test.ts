/** The handshake with itself that readiness asks for: whom it trusts, how often it is made, how long it waits. */
import assert from 'node:assert/strict';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';

import { startLocalCertificates } from '../../certs/local.ts';
import type { LocalCertificates } from '../../certs/local.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createSelfDial } from '../../webhook/self-dial.ts';
import type { SelfDial } from '../../webhook/self-dial.ts';

describe('self-dial', () => {
  let local: LocalCertificates;
  let other: LocalCertificates;
  let ca: string;
  let otherCa: string;
  let server: tls.Server;
  let dials = 0;
  const sockets = new Set<net.Socket>();

  before(async () => {
    const shared = { clock: systemClock, random: systemRandom, log: silentLog, metrics: createMetrics() };
    [local, other] = await Promise.all([
      startLocalCertificates({ ...shared, hosts: ['a.b.svc'] }),
      startLocalCertificates({ ...shared, hosts: ['a.b.svc'] }),
    ]);
    [ca, otherCa] = await Promise.all([local.caBundlePem(), other.caBundlePem()]);
    const pair = local.source.current();
    assert(pair !== undefined);
    server = tls.createServer({ cert: pair.certPem, key: pair.keyPem });
    server.on('connection', (socket) => {
      dials += 1;
      sockets.add(socket);
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await Promise.all([local.close(), other.close()]);
  });

  function dialer(options: Partial<Parameters<typeof createSelfDial>[0]> = {}): SelfDial {
    return createSelfDial({
      host: '::',
      port: () => (server.address() as AddressInfo).port,
      serverName: 'a.b.svc',
      bundles: () => [ca],
      fingerprint: () => 'f',
      clock: systemClock,
      ...options,
    });
  }

  it('is well when every bundle verifies', async () =>
    assert.deepEqual(await dialer({ bundles: () => [ca, `${otherCa}${ca}`] }).check(), { ok: true }));

  const WRONG: readonly (readonly [string, Partial<Parameters<typeof createSelfDial>[0]>, RegExp])[] = [
    ['one entry trusts somebody else', { bundles: () => [ca, otherCa] }, /SIGNATURE|SELF_SIGNED|UNABLE_TO/],
    ['the name is another', { serverName: 'x.b.svc' }, /ALTNAME/],
    ['an entry has no bundle', { bundles: () => [ca, ''] }, /empty caBundle/],
    ['there is no configuration', { bundles: () => [] }, /no caBundle/],
    ['nobody listens', { port: () => 1 }, /ECONNREFUSED/],
  ];
  for (const [name, options, reason] of WRONG) {
    it(`says so when ${name}`, async () => {
      const found = await dialer(options).check();
      assert(!found.ok);
      assert.match(found.reason, reason);
    });
  }

  it('waits for nobody longer than a probe', async () => {
    const silent = net.createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const found = await dialer({ port: () => (silent.address() as AddressInfo).port }).check();
    silent.close();
    assert.deepEqual(found, { ok: false, reason: 'a handshake with ourselves failed: no answer within 1500 ms' });
  });

  it('two bundles that nobody answers take as long as one: a probe waits two seconds', async () => {
    const silent = net.createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    let connections = 0;
    const bothCame = new Promise<void>((resolve) => {
      silent.on('connection', () => {
        connections += 1;
        if (connections === 2) resolve();
      });
    });
    const dial = dialer({ port: () => (silent.address() as AddressInfo).port, bundles: () => [ca, otherCa] });
    const found = dial.check();
    // One after the other, the first would have ended before the second came.
    const first = await Promise.race([bothCame.then(() => 'both'), found.then(() => 'ended')]);
    assert.equal(first, 'both');
    assert.deepEqual(await found, {
      ok: false,
      reason: 'a handshake with ourselves failed: no answer within 1500 ms',
    });
    silent.close();
  });

  it('dials the address that the server listens on, and loopback where that is all of them', async () => {
    const pair = local.source.current();
    assert(pair !== undefined);
    // All of 127.0.0.0/8 is this machine: the pod's address of a test.
    const elsewhere = tls.createServer({ cert: pair.certPem, key: pair.keyPem });
    elsewhere.on('connection', (socket) => sockets.add(socket));
    elsewhere.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.2', resolve));
    const port = (): number => (elsewhere.address() as AddressInfo).port;
    assert.deepEqual(await dialer({ host: '127.0.0.2', port }).check(), { ok: true });
    assert.equal((await dialer({ host: '::', port }).check()).ok, false);
    assert.deepEqual(await dialer({ host: '0.0.0.0' }).check(), { ok: true });
    elsewhere.close();
  });

  it('dials at most each five seconds, and at once when what is served or trusted has changed', async () => {
    let nowMs = 0;
    let fingerprint = 'a';
    let bundle = ca;
    const clock = { ...systemClock, monotonic: () => nowMs };
    const dial = dialer({ clock, fingerprint: () => fingerprint, bundles: () => [bundle] });
    const count = async (): Promise<number> => {
      const before = dials;
      await Promise.all([dial.check(), dial.check()]);
      return dials - before;
    };
    assert.equal(await count(), 1);
    nowMs = 4_999;
    assert.equal(await count(), 0);
    nowMs = 5_000;
    assert.equal(await count(), 1);
    fingerprint = 'b';
    assert.equal(await count(), 1);
    bundle = `${ca}${otherCa}`;
    assert.equal(await count(), 1);
  });
});
