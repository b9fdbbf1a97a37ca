/**
 * What we write is what API servers accept: Go's crypto/x509 over every chain and bundle of a rotation, for both types of key (B8 10, 11).
 */
import assert from 'node:assert/strict';

import { CHAINS_AND_BUNDLES, rotationCertificates, SERVICE } from '../certs/rotation-chains.ts';
import type { RotationCertificates } from '../certs/rotation-chains.ts';
import { skip } from '../skip.ts';
import { defaultPreparation } from './cache.ts';
import { judgeChains, probeAvailability } from './x509/probe.ts';

/** The longest labels that DNS has, and both families of addresses; Go takes an address in brackets. */
const HOSTS = [SERVICE, 'localhost', '[127.0.0.1]', '[::1]', '[2001:db8::1:0:ab]'];

describe('certificates in the eyes of Go', function () {
  // The first run builds the probe.
  this.timeout(300_000);
  const preparation = defaultPreparation();

  before(function () {
    const found = probeAvailability(preparation.cache);
    if (found.available) return;
    if (process.env['CI'] === 'true') throw new Error(`with CI=true nothing is skipped: ${found.reason}`);
    skip(this, `certificates in the eyes of Go: ${found.reason}: ${found.remedy}`);
  });

  const textOf = (written: RotationCertificates, names: readonly (keyof RotationCertificates)[]): string =>
    names.map((name) => written[name]).join('');

  for (const keyType of ['ecdsa-p256', 'rsa-2048'] as const) {
    it(`${keyType}: each chain verifies with each bundle that it has to verify with, and with no other (B8 10)`, async () => {
      const written = await rotationCertificates(keyType);
      const verdicts = await judgeChains(
        preparation,
        CHAINS_AND_BUNDLES.map(([, bundle, chain]) => ({
          bundle: textOf(written, bundle),
          chain: textOf(written, chain),
          hosts: HOSTS,
        })),
      );
      for (const [i, [name, , , ok]] of CHAINS_AND_BUNDLES.entries()) {
        assert.equal(verdicts[i] === '', ok, `${name}: ${verdicts[i]}`);
        if (!ok) assert.match(verdicts[i] ?? '', /signed by unknown authority/, name);
      }
    });
  }

  it('a host that the leaf does not name is refused, an IPv6 address among them (B8 11)', async () => {
    const written = await rotationCertificates();
    const strangers = ['other.svc', '[2001:db8::2]', `a.${SERVICE}`];
    const chain = textOf(written, ['leaf1']);
    const verdicts = await judgeChains(
      preparation,
      strangers.map((host) => ({ bundle: written.ca1, chain, hosts: [host] })),
    );
    for (const [i, host] of strangers.entries()) assert.match(verdicts[i] ?? '', /valid for|not/, host);
    assert.ok(verdicts.every((verdict) => verdict !== ''));
  });
});
