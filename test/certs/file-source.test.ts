/**
 * A serving pair from files: taken when whole, kept when what follows is not, and the kubelet's way of swapping mounted files.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { generateKeys, writeCertificate } from '../../certs/authority.ts';
import { parseCertificate } from '../../certs/bundle.ts';
import type { ServingPair } from '../../certs/bundle.ts';
import type { CertificateSource } from '../../certs/certificate-source.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { createFileSource } from '../../certs/file-source.ts';
import { newGeneration, newServingPair } from '../../certs/issuer.ts';
import { writeServingPair } from '../../certs/serving-state.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { DAY_MS, HOSTS, SETTINGS } from './small-world.ts';

const ISSUER = { ca: SETTINGS.ca, leaf: SETTINGS.leaf, hosts: HOSTS, randomBytes };
const LOOK_MS = 2_000;

describe('file source', () => {
  const clock = new VirtualClock();
  let metrics = createMetrics();
  let mount: string;
  let source: CertificateSource;
  let state: CaState;
  let version = 0;

  before(async () => {
    const current = await newGeneration(ISSUER, 1, clock.now());
    state = { generation: 1, current, next: undefined, cross: undefined, previous: [] };
  });
  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), 'logtender-files-'));
    metrics = createMetrics();
    source = createFileSource({
      certFile: join(mount, 'tls.crt'),
      keyFile: join(mount, 'tls.key'),
      caFile: join(mount, 'ca.crt'),
      clock,
      log: silentLog,
      metrics,
      hosts: HOSTS,
    });
  });
  afterEach(async () => {
    await source.close();
    rmSync(mount, { recursive: true });
  });

  const newPair = (): Promise<ServingPair> => newServingPair(ISSUER, state, clock.now());
  const refusals = (): number =>
    metrics.counter('logtender_certificate_reloads_total', '').value({ result: 'refused' });

  /** As the kubelet does: a new folder, one rename of `..data`, links that never change. */
  function swap(entries: Readonly<Record<string, string>>): void {
    const folder = `..version-${(version += 1)}`;
    mkdirSync(join(mount, folder));
    for (const [name, text] of Object.entries(entries)) {
      writeFileSync(join(mount, folder, name), text);
    }
    symlinkSync(folder, join(mount, '..data_tmp'));
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
    for (const name of Object.keys(entries)) {
      rmSync(join(mount, name), { force: true });
      symlinkSync(join('..data', name), join(mount, name));
    }
  }

  it('waits for files that are not there, and takes them when they come', async () => {
    await clock.advance(3 * LOOK_MS);
    assert.equal(source.current(), undefined);
    assert.match(source.problem() ?? '', /read .*tls\.crt: expected a PEM file, got: ENOENT/);
    assert.equal(refusals(), 1, 'told once, not at each look');
    const pair = await newPair();
    swap(writeServingPair(pair));
    await clock.advance(LOOK_MS);
    assert.equal(source.current()?.fingerprint, pair.leaf.fingerprint);
    assert.equal(source.problem(), undefined);
    assert.equal(source.current()?.endsOldConnections, false);
  });

  it('a swapped mount is taken within one look, and told once', async () => {
    swap(writeServingPair(await newPair()));
    await clock.advance(LOOK_MS);
    const told: string[] = [];
    source.onChange((certificate) => told.push(certificate.fingerprint));
    const pair = await newPair();
    swap(writeServingPair(pair));
    await clock.advance(3 * LOOK_MS);
    assert.deepEqual(told, [pair.leaf.fingerprint]);
  });

  it('files that are written one after the other: no word about the moment between, the whole pair is taken', async () => {
    const [old, next] = [await newPair(), await newPair()];
    swap(writeServingPair(old));
    await clock.advance(LOOK_MS);
    const entries = writeServingPair(next);
    writeFileSync(join(mount, 'tls.crt'), entries['tls.crt'] ?? '');
    await clock.advance(LOOK_MS);
    assert.equal(source.current()?.fingerprint, old.leaf.fingerprint);
    writeFileSync(join(mount, 'tls.key'), entries['tls.key'] ?? '');
    await clock.advance(LOOK_MS);
    assert.equal(source.current()?.fingerprint, next.leaf.fingerprint);
    assert.equal(refusals(), 0);
  });

  const bad: ReadonlyArray<
    readonly [name: string, change: (entries: Readonly<Record<string, string>>) => object, problem: RegExp]
  > = [
    ['the key of another', (e) => ({ ...e, 'tls.key': state.current.keyPem }), /tls\.key is not the key of tls\.crt/],
    ['no certificate', (e) => ({ ...e, 'tls.crt': 'x' }), /tls\.crt holds no certificate/],
    ['no CA', (e) => ({ ...e, 'ca.crt': '' }), /tls\.crt is signed by no certificate of ca\.crt/],
  ];
  for (const [name, change, problem] of bad) {
    it(`${name}: the old pair stays, the problem is told, counted once and names no key`, async () => {
      const pair = await newPair();
      swap(writeServingPair(pair));
      await clock.advance(LOOK_MS);
      swap({ ...writeServingPair(await newPair()), ...change(writeServingPair(await newPair())) });
      await clock.advance(5 * LOOK_MS);
      assert.equal(source.current()?.fingerprint, pair.leaf.fingerprint);
      assert.match(source.problem() ?? '', problem);
      assert.equal(refusals(), 1);
    });
  }

  it('a pair from before its time is taken when the clock is put right', async () => {
    clock.jump(-40 * DAY_MS);
    swap(writeServingPair(await newServingPair(ISSUER, state, clock.now() + 40 * DAY_MS)));
    await clock.advance(3 * LOOK_MS);
    assert.equal(source.current(), undefined);
    clock.jump(40 * DAY_MS);
    await clock.advance(LOOK_MS);
    assert.ok(source.current() !== undefined);
  });

  it('a leaf of an intermediate CA hangs from the root in ca.crt', async () => {
    const [middle, leafKeys] = [await generateKeys(), await generateKeys('rsa-2048')];
    const write = (
      spec: Pick<Parameters<typeof writeCertificate>[0], 'subject' | 'issuer' | 'publicKey' | 'issuerKeys' | 'role'>,
    ): string =>
      writeCertificate({
        serial: randomBytes(16),
        notBeforeMs: clock.now() - DAY_MS,
        notAfterMs: clock.now() + DAY_MS,
        ...spec,
      });
    const root = await generateKeys();
    const ca = { kind: 'ca' } as const;
    const rootPem = write({ subject: 'root', issuer: 'root', publicKey: root.publicKey, issuerKeys: root, role: ca });
    const middlePem = write({
      subject: 'mid',
      issuer: 'root',
      publicKey: middle.publicKey,
      issuerKeys: root,
      role: ca,
    });
    const leafPem = write({
      subject: 'leaf',
      issuer: 'mid',
      publicKey: leafKeys.publicKey,
      issuerKeys: middle,
      role: { kind: 'leaf', hosts: HOSTS },
    });
    const keyPem = leafKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    swap({ 'tls.crt': leafPem + middlePem, 'tls.key': keyPem, 'ca.crt': rootPem });
    await clock.advance(LOOK_MS);
    assert.equal(source.problem(), undefined);
    assert.equal(source.current()?.issuerFingerprint, parseCertificate(rootPem)?.fingerprint);
  });
});
