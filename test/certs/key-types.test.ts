/**
 * ECDSA P-256 and RSA-2048: either for CA and leaf, a change between them in order, and an event loop that is never held up.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { keyTypeOf } from '../../certs/authority.ts';
import { publicKeyOf, toPem, verifyServing } from '../../certs/bundle.ts';
import type { CertificateFacts } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { crossCertificate, newGeneration, newServingPair } from '../../certs/issuer.ts';
import type { KeyType } from '../../src/config/certs-config.ts';
import { threadCpuMs } from '../../src/core/clock.ts';
import { skip } from '../skip.ts';
import { DAY_MS, HOSTS, SETTINGS, smallWorld, TICK_MS } from './small-world.ts';
import type { SmallWorld } from './small-world.ts';

const NOW_MS = Date.now();
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const issuer = (keyType: KeyType): Parameters<typeof newGeneration>[0] => ({
  ca: SETTINGS.ca,
  leaf: SETTINGS.leaf,
  hosts: HOSTS,
  randomBytes,
  keyType,
});
const typeOf = (certificate: CertificateFacts): KeyType | undefined => keyTypeOf(publicKeyOf(certificate));

describe('key types', () => {
  const types: readonly KeyType[] = ['ecdsa-p256', 'rsa-2048'];
  for (const from of types) {
    for (const to of types) {
      it(`CA ${from}, next CA and leaf ${to}: openssl -x509_strict accepts leaf and cross certificate`, async function () {
        if (!hasOpenssl) skip(this, 'openssl is not installed: apt-get install openssl');
        const current = await newGeneration(issuer(from), 1, NOW_MS);
        const next = await newGeneration(issuer(to), 2, NOW_MS);
        const cross = crossCertificate(issuer(to), current, next, NOW_MS);
        const state: CaState = { generation: 2, current: next, next: undefined, cross, previous: [] };
        const pair = await newServingPair(issuer(to), state, NOW_MS);
        assert.deepEqual([typeOf(current.certificate), typeOf(next.certificate), typeOf(pair.leaf)], [from, to, to]);
        assert.equal(pair.chain.length, 2);
        assert.deepEqual(verifyServing(pair, HOSTS, NOW_MS), { ok: true });
        const folder = mkdtempSync(join(tmpdir(), 'logtender-keys-'));
        try {
          writeFileSync(join(folder, 'leaf'), pair.leaf.pem);
          writeFileSync(join(folder, 'chain'), toPem(pair.chain.slice(1)));
          for (const anchor of [current.certificate, next.certificate]) {
            writeFileSync(join(folder, 'anchor'), anchor.pem);
            const args = ['verify', '-x509_strict', '-partial_chain', '-purpose', 'sslserver', '-CAfile', 'anchor'];
            execFileSync('openssl', [...args, '-untrusted', 'chain', 'leaf'], { cwd: folder, stdio: 'pipe' });
          }
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  }

  describe('a change', () => {
    let world: SmallWorld;
    afterEach(() => world.close());

    it('the leaf at once, the CA at its next rotation, trusted all the time', async () => {
      world = await smallWorld();
      const replica = world.start();
      await world.pass(1_000);
      await replica.close();
      const settings = {
        ...SETTINGS,
        hasKeyType: ({ leaf }: { leaf: CertificateFacts }) => typeOf(leaf) === 'rsa-2048',
      };
      world.start(world.kube, settings, undefined, 'rsa-2048');
      await world.pass(TICK_MS);
      assert.equal(typeOf((await world.pair()).leaf), 'rsa-2048');
      assert.equal(typeOf((await world.ca()).current.certificate), 'ecdsa-p256');
      assert.deepEqual(world.steps().slice(3), ['issue_leaf'], 'and once');
      world.clock.jump(250 * DAY_MS);
      await world.pass(SETTINGS.settleMs + 3 * TICK_MS);
      const { current, cross } = await world.ca();
      assert.equal(typeOf(current.certificate), 'rsa-2048');
      assert.ok(cross !== undefined);
      assert.equal((await world.pair()).issuer.fingerprint, current.certificate.fingerprint);
    });
  });

  it('no key operation holds the event loop for more than 50 ms, ten of either type (B8 18)', async () => {
    for (const type of types) {
      // CPU time of this thread and not time on the wall, and the best of three rounds: a busy machine changes little, a key that is made
      // here shows in each.
      const rounds: number[] = [];
      for (let round = 0; round < 3 && !rounds.some((ms) => ms < 50); round += 1) rounds.push(await mostOfTen(type));
      assert.ok(
        rounds.some((ms) => ms < 50),
        `${type}: ${rounds.join(', ')} ms of this thread`,
      );
    }
  });

  /** The longest that one of ten issues holds this thread, milliseconds. */
  async function mostOfTen(type: KeyType): Promise<number> {
    let mostMs = 0;
    let totalMs = 0;
    for (let i = 0; i < 11; i += 1) {
      const startedMs = threadCpuMs();
      const current = await newGeneration(issuer(type), 1, NOW_MS);
      const state: CaState = { generation: 1, current, next: undefined, cross: undefined, previous: [] };
      await newServingPair(issuer(type), state, NOW_MS);
      const usedMs = threadCpuMs() - startedMs;
      // The first of them loads and compiles.
      if (i > 0) mostMs = Math.max(mostMs, usedMs);
      totalMs += usedMs;
    }
    process.stdout.write(
      `      ${type}: CA and leaf ${(totalMs / 11).toFixed(1)} ms, at most ${mostMs.toFixed(1)} ms\n`,
    );
    return mostMs;
  }
});
