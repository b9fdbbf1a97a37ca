/**
 * What we write is what clients accept: openssl's strict verification over every chain and bundle of a rotation, and the profile.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { generateKeys, ipv6Bytes, serialBytes, writeCertificate } from '../../certs/authority.ts';
import { skip } from '../skip.ts';
import { CHAINS_AND_BUNDLES, NOT_AFTER_MS, NOT_BEFORE_MS, rotationCertificates, SERVICE } from './rotation-chains.ts';
import type { RotationCertificates } from './rotation-chains.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

function keyId(text: string, name: 'Subject' | 'Authority'): string | undefined {
  return new RegExp(`${name} Key Identifier:\\s+([0-9A-F:]+)`).exec(text)?.[1];
}

describe('authority', () => {
  describe('openssl verify -x509_strict', () => {
    let folder = '';
    let written: RotationCertificates;

    before(async function () {
      if (!hasOpenssl) {
        skip(this, 'openssl is not installed: apt-get install openssl');
      }
      written = await rotationCertificates();
      folder = mkdtempSync(join(tmpdir(), 'logtender-authority-'));
    });
    after(() => {
      if (folder !== '') rmSync(folder, { recursive: true });
    });

    const file = (title: string, names: readonly (keyof typeof written)[]): string => {
      const path = join(folder, title);
      writeFileSync(path, names.map((key) => written[key]).join(''));
      return path;
    };
    for (const [name, bundle, chain, ok] of CHAINS_AND_BUNDLES) {
      it(`${name}: ${ok ? 'accepted' : 'refused'} (B8 10)`, () => {
        const [leaf, ...links] = chain;
        assert.ok(leaf !== undefined);
        const untrusted = links.length === 0 ? [] : ['-untrusted', file('links.pem', links)];
        const args = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-purpose', 'sslserver'];
        for (const host of [
          ['-verify_hostname', SERVICE],
          ['-verify_ip', '::1'],
        ]) {
          const files: string[] = ['-CAfile', file('bundle.pem', bundle), ...untrusted, file('leaf.pem', [leaf])];
          const result = spawnSync('openssl', [...args, ...host, ...files], { encoding: 'utf8' });
          assert.equal(result.status === 0, ok, result.stderr);
        }
      });
    }

    it('the text form shows the profile of RFC 5280', () => {
      const path = join(folder, 'profile.pem');
      writeFileSync(path, written.leaf2);
      const text = execFileSync('openssl', ['x509', '-in', path, '-noout', '-text'], { encoding: 'utf8' });
      assert.match(text, /Basic Constraints: critical\s+CA:FALSE/);
      assert.match(text, /Key Usage: critical\s+Digital Signature\n/);
      assert.match(text, /Extended Key Usage:\s+TLS Web Server Authentication\n/);
      assert.match(text, /Version: 3/);
      writeFileSync(path, written.ca2);
      const ca = execFileSync('openssl', ['x509', '-in', path, '-noout', '-text'], { encoding: 'utf8' });
      assert.match(ca, /Basic Constraints: critical\s+CA:TRUE\n/, 'no path length');
      assert.match(ca, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
      assert.ok(keyId(ca, 'Subject') !== undefined);
      assert.equal(
        keyId(text, 'Authority'),
        keyId(ca, 'Subject'),
        'the authority key id is the issuer, not the leaf itself',
      );
      assert.notEqual(keyId(text, 'Subject'), keyId(ca, 'Subject'));
    });
  });

  it('node:crypto reads what was written', async () => {
    const written = await rotationCertificates();
    const leaf = new X509Certificate(written.leaf1);
    assert.ok(!leaf.ca);
    assert.ok(new X509Certificate(written.ca1).ca);
    assert.equal(leaf.validToDate.getTime(), Math.floor(NOT_AFTER_MS / 1000) * 1000);
    assert.equal(
      leaf.validFromDate.getTime(),
      Math.floor(NOT_BEFORE_MS / 1000) * 1000,
      'a clock 55 min behind is served',
    );
    assert.equal(leaf.checkHost(SERVICE, { subject: 'never' }), SERVICE);
    assert.ok(leaf.checkIP('2001:db8::1:0:ab') !== undefined);
    assert.equal(leaf.checkHost('other.svc', { subject: 'never' }), undefined);
  });

  it('ends after 2049 are written as GeneralizedTime', async () => {
    const keys = await generateKeys();
    const end = Date.UTC(2051, 5, 1);
    const pem = writeCertificate({
      serial: randomBytes(16),
      subject: 'x',
      issuer: 'x',
      notBeforeMs: Date.UTC(2049, 11, 31, 23, 59, 59),
      notAfterMs: end,
      publicKey: keys.publicKey,
      issuerKeys: keys,
      role: { kind: 'ca' },
    });
    assert.equal(new X509Certificate(pem).validToDate.getTime(), end);
  });

  it('serials are positive, never shorter than 127 bits, and differ (B8 12)', () => {
    const table: ReadonlyArray<readonly [first: number, want: number]> = [
      [0x00, 0x40],
      [0x80, 0x40],
      [0xff, 0x7f],
      [0x7f, 0x7f],
      [0x3f, 0x7f],
    ];
    for (const [first, want] of table) assert.equal(serialBytes(Buffer.alloc(16, first))[0], want);
    const serials = new Set(Array.from({ length: 1_000 }, () => serialBytes(randomBytes(16)).toString('hex')));
    assert.equal(serials.size, 1_000);
  });

  it('IPv6 texts become 16 octets', () => {
    const table: ReadonlyArray<readonly [text: string, hex: string]> = [
      ['::', '0'.repeat(32)],
      ['::1', `${'0'.repeat(31)}1`],
      ['fe80::1:2', 'fe800000000000000000000000010002'],
      ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
      ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
      ['2001:DB8::', `20010db8${'0'.repeat(24)}`],
    ];
    for (const [text, hex] of table) assert.equal(ipv6Bytes(text).toString('hex'), hex, text);
  });
});
