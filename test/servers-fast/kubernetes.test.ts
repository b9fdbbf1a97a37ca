/**
 * What the control plane's start is made of: which Go can build it, its certificate, its command lines.
 */
import assert from 'node:assert/strict';
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { canBuild, KUBERNETES_VERSION } from '../servers/kubernetes/build.ts';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';

describe('canBuild', () => {
  const table: ReadonlyArray<readonly [version: string, toolchain: string, want: boolean]> = [
    ['go1.26.8', 'local', true],
    ['go1.26rc1', 'local', true],
    ['go1.30', 'local', true],
    ['go1.25.3', 'auto', true],
    ['go1.21.0', 'go1.21.0+auto', true],
    ['go1.25.3', 'local', false],
    ['go1.25.3', 'path', false],
    ['go1.20.14', 'auto', false],
    ['', '', false],
  ];
  for (const [version, toolchain, want] of table) {
    it(`${version || 'nothing'} with toolchain ${toolchain || 'nothing'}: ${want}`, () => {
      assert.equal(canBuild(version, toolchain), want);
    });
  }
});

describe('go.mod of the control plane', () => {
  const text = readFileSync(join(import.meta.dirname, '../servers/kubernetes/go.mod'), 'utf8');
  it('requires the version that the build writes into the binaries', () => {
    const required = /\tk8s\.io\/kubernetes (\S+)/.exec(text)?.[1];
    assert.equal(required, KUBERNETES_VERSION);
  });
  it('replaces the staging modules with one and the same version', () => {
    const versions = [...text.matchAll(/^\tk8s\.io\/\S+ => k8s\.io\/\S+ (\S+)$/gm)].map((match) => match[1]);
    assert.ok(versions.length > 25, `${versions.length} replacements`);
    assert.deepEqual([...new Set(versions)], [KUBERNETES_VERSION.replace('v1', 'v0')]);
  });
});

describe('selfSigned', () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const nowMs = Date.now();
  const pem = selfSigned(keys, nowMs);
  const certificate = new X509Certificate(pem);

  it('is signed by its own key', () => {
    assert.ok(certificate.verify(keys.publicKey));
    assert.ok(certificate.checkIssued(certificate));
    assert.ok(certificate.ca);
  });
  it('names loopback', () => {
    assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
    assert.equal(certificate.checkHost('localhost'), 'localhost');
    assert.equal(certificate.checkHost('example.org'), undefined);
  });
  it('is valid from an hour ago for ten days', () => {
    const second = 1000;
    assert.ok(Math.abs(Date.parse(certificate.validFrom) - (nowMs - 3600 * second)) <= second);
    assert.ok(Math.abs(Date.parse(certificate.validTo) - (nowMs + 10 * 86_400 * second)) <= second);
  });
  it('passes a TLS handshake with itself as authority', async () => {
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
    const server = tls.createServer({ key, cert: pem }, (socket) => socket.end('hello'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const client = tls.connect({ port: address.port, host: '127.0.0.1', ca: pem });
    const [greeting] = (await once(client, 'data')) as [Buffer];
    assert.equal(greeting.toString(), 'hello');
    assert.ok(client.authorized);
    client.destroy();
    server.close();
  });
});
