/**
 * What an entry should hold, whether it does, and the patch that makes it so.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { parseTrustBundle, toPem } from '../../certs/bundle.ts';
import type { CertificateFacts, TrustBundle } from '../../certs/bundle.ts';
import { entriesOf, isInSync, isTrustedEverywhere, mergeTrust, trustPatch } from '../../certs/ca-bundle.ts';
import { newGeneration } from '../../certs/issuer.ts';
import { applyJsonPatch } from '../../src/kube/json-patch.ts';
import { toKubeObject } from '../../src/kube/client.ts';
import { DAY_MS, HOSTS, SETTINGS, webhookConfiguration } from './small-world.ts';

const NOW_MS = Date.UTC(2026, 0, 1);

const clean = (...certificates: readonly CertificateFacts[]): TrustBundle => ({ certificates, isClean: true });

async function make(lifeMs: number): Promise<CertificateFacts> {
  const issuer = { ca: { lifeMs, backdateMs: 2 * DAY_MS }, leaf: SETTINGS.leaf, hosts: HOSTS, randomBytes };
  return (await newGeneration(issuer, 1, NOW_MS)).certificate;
}

describe('caBundle', () => {
  let ours: CertificateFacts;
  let next: CertificateFacts;
  let theirs: CertificateFacts;
  let expired: CertificateFacts;

  before(async () => {
    [ours, next, theirs, expired] = await Promise.all([make(DAY_MS), make(DAY_MS), make(DAY_MS), make(-DAY_MS)]);
  });

  it('ours first, theirs after, nothing expired, nothing retired', () => {
    const target = { required: [ours, next], removable: new Set<string>() };
    assert.deepEqual(mergeTrust(clean(expired, theirs, ours), target, NOW_MS), [ours, next, theirs]);
    const retired = { required: [next], removable: new Set([ours.fingerprint]) };
    assert.deepEqual(mergeTrust(clean(ours, theirs, next), retired, NOW_MS), [next, theirs]);
  });

  it('keeps at most sixteen of theirs, the ones that live longest', () => {
    const many = Array.from({ length: 40 }, (_, i) => ({
      ...theirs,
      fingerprint: String(i),
      notAfterMs: NOW_MS + i + 1,
    }));
    const merged = mergeTrust(clean(...many), { required: [ours], removable: new Set() }, NOW_MS);
    assert.equal(merged.length, 17);
    assert.equal(merged[1]?.fingerprint, '39');
  });

  it('order does not matter, absence, garbage and leftovers do', () => {
    const target = { required: [ours], removable: new Set([next.fingerprint]) };
    const table: ReadonlyArray<readonly [name: string, live: TrustBundle, want: boolean]> = [
      ['exact', clean(ours), true],
      ['theirs first', clean(theirs, ours), true],
      ['empty', clean(), false],
      ['only theirs', clean(theirs), false],
      ['a retired one', clean(ours, next), false],
      ['an expired one', clean(ours, expired), false],
      ['unclean', { certificates: [ours], isClean: false }, false],
    ];
    for (const [name, live, want] of table) assert.equal(isInSync(live, target, NOW_MS), want, name);
  });

  it('the patch touches the entries that need it, by name, as a compare-and-swap, and nothing else', () => {
    const before = toKubeObject(webhookConfiguration());
    assert.ok(before !== undefined);
    const target = { required: [ours], removable: new Set<string>() };
    const operations = trustPatch(entriesOf(before), '41', target, NOW_MS);
    assert.equal(
      operations.filter((operation) => operation.op === 'test' && operation.path.endsWith('/name')).length,
      4,
    );
    assert.deepEqual(operations.at(-1), { op: 'replace', path: '/metadata/resourceVersion', value: '41' });
    const patched = applyJsonPatch({ ...before, metadata: { ...before.metadata, resourceVersion: '41' } }, operations);
    const after = toKubeObject(patched.ok ? patched.value : undefined);
    assert.ok(after !== undefined);
    assert.ok(isTrustedEverywhere(entriesOf(after), ours));
    assert.deepEqual(trustPatch(entriesOf(after), '42', target, NOW_MS), [], 'a second time there is nothing to do');
    const webhooks = after['webhooks'];
    assert.ok(Array.isArray(webhooks));
    const reordered = { ...after, webhooks: webhooks.toReversed() };
    const stale = applyJsonPatch(reordered, operations);
    assert.ok(!stale.ok, 'an entry of another name at that place is not written');
  });

  it('reads bundles of every quality', () => {
    const table: ReadonlyArray<readonly [name: string, pem: string, count: number, isClean: boolean]> = [
      ['empty', '', 0, true],
      ['one', ours.pem, 1, true],
      ['two with blank lines', `\n${ours.pem}\n\n${next.pem}\n`, 2, true],
      ['with comments', `# CA\n${ours.pem}`, 1, false],
      ['garbage', 'garbage', 0, false],
      ['a block that is none', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 0, false],
      [
        'one bad among good ones',
        `${ours.pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${next.pem}`,
        2,
        false,
      ],
      ['doubled', ours.pem.repeat(2), 1, false],
      ['Windows line ends', ours.pem.replaceAll('\n', '\r\n'), 1, true],
    ];
    for (const [name, pem, count, isClean] of table) {
      const bundle = parseTrustBundle(pem);
      assert.deepEqual([bundle.certificates.length, bundle.isClean], [count, isClean], name);
    }
    assert.deepEqual(parseTrustBundle(toPem([ours, next])).certificates, [ours, next]);
  });

  it('entries of any shape are read', () => {
    assert.deepEqual(entriesOf({ metadata: {} }), []);
    assert.deepEqual(
      entriesOf({ metadata: {}, webhooks: [null, { name: 7 }, { name: 'a', clientConfig: 'x' }] }).map(
        (entry) => entry.name,
      ),
      ['', '', 'a'],
    );
  });
});
