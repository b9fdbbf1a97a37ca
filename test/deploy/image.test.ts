/**
 * The image format: what other programs read in it, and that equal files give equal bytes. The image as a whole is built and run by
 * test/cluster-real.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { parseLdd } from '../../deploy/image/libraries.ts';
import { containerdName, imageOf, type ImageSpec } from '../../deploy/image/oci.ts';
import { sbomOf } from '../../deploy/image/sbom.ts';
import { tarOf, withFolders, type TarEntry } from '../../deploy/image/tar.ts';

const FILES: readonly TarEntry[] = withFolders([
  { path: 'usr/bin/app', mode: 0o755, content: Buffer.from('#!program\n') },
  { path: 'etc/empty', mode: 0o644, content: Buffer.alloc(0) },
  { path: `${'folder/'.repeat(16)}file`, mode: 0o600, content: Buffer.alloc(513, 'x') },
  { path: 'tmp/', mode: 0o1777 },
]);
const SPEC: ImageSpec = {
  reference: 'registry.example/team/logtender:1.2',
  architecture: 'amd64',
  created: '1970-01-01T00:00:00Z',
  entrypoint: ['/usr/bin/app'],
  user: '65532:65532',
  workingDir: '/app',
  env: ['PATH=/usr/bin'],
  labels: { 'org.opencontainers.image.title': 'logtender' },
  layers: [{ createdBy: 'test', files: FILES }],
};

/** Reads one file of an archive with the system's tar. */
const extract = (archive: Buffer, path: string): Buffer =>
  execFileSync('tar', ['-xO', path], { input: archive, maxBuffer: 64 * 1024 * 1024 });
const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

describe('image', () => {
  it('a tar that tar(1) lists: modes, owner root, time of the epoch, long paths', () => {
    const listing = execFileSync('tar', ['-tvf', '-', '--numeric-owner', '--utc'], { input: tarOf(FILES) }).toString();
    const lines = listing.trim().split('\n');
    assert.equal(lines.length, FILES.length);
    for (const line of lines) assert.match(line, /^\S+ 0\/0 +\d+ 1970-01-01 00:00 /);
    assert.match(listing, /^-rwxr-xr-x .* 10 .* usr\/bin\/app$/m);
    assert.match(listing, /^drwxrwxrwt .* tmp\/$/m);
    assert.match(listing, /^-rw------- .* 513 .* (folder\/){16}file$/m);
  });

  it('a path that does not fit, a name that would leave the root: an assertion, not a broken archive', () => {
    assert.throws(() => tarOf([{ path: 'x'.repeat(300), mode: 0o644, content: Buffer.alloc(0) }]), /tar path too long/);
    assert.throws(() => tarOf([{ path: '/etc/passwd', mode: 0o644, content: Buffer.alloc(0) }]), /tar path/);
  });

  it('order of the files does not count: one digest', () => {
    const [first, second] = [FILES, FILES.toReversed()].map((files) =>
      imageOf({ ...SPEC, layers: [{ createdBy: 'test', files }] }),
    );
    assert.equal(first?.digest, second?.digest);
    assert.ok(first?.archive.equals(second?.archive ?? Buffer.alloc(0)));
  });

  it('index, manifest, config and layer lead to each other by digest and size', () => {
    const image = imageOf(SPEC);
    const index = JSON.parse(extract(image.archive, 'index.json').toString()) as {
      readonly manifests: ReadonlyArray<Descriptor & { readonly annotations: Readonly<Record<string, string>> }>;
    };
    assert.deepEqual(JSON.parse(extract(image.archive, 'oci-layout').toString()), { imageLayoutVersion: '1.0.0' });
    const blob = ({ digest, size }: Descriptor): Buffer => {
      const bytes = extract(image.archive, `blobs/${digest.replace(':', '/')}`);
      assert.deepEqual([sha256(bytes), bytes.length], [digest, size]);
      return bytes;
    };
    const [entry] = index.manifests;
    assert.ok(entry !== undefined);
    assert.equal(entry.digest, image.digest);
    assert.equal(entry.annotations['io.containerd.image.name'], SPEC.reference);
    assert.equal(entry.annotations['org.opencontainers.image.ref.name'], '1.2');
    const manifest = JSON.parse(blob(entry).toString()) as {
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[];
    };
    const config = JSON.parse(blob(manifest.config).toString()) as {
      readonly rootfs: { readonly diff_ids: readonly string[] };
      readonly config: { readonly User: string };
    };
    assert.equal(config.config.User, '65532:65532');
    const [layer] = manifest.layers;
    assert.ok(layer !== undefined);
    const tar = gunzipSync(blob(layer));
    assert.deepEqual(config.rootfs.diff_ids, [sha256(tar)]);
    assert.ok(tar.equals(tarOf(FILES)));
  });

  for (const [reference, name] of [
    ['logtender:0.1.0', 'docker.io/library/logtender:0.1.0'],
    ['team/logtender:1', 'docker.io/team/logtender:1'],
    ['registry.example/logtender:1', 'registry.example/logtender:1'],
    ['localhost:5000/logtender:1', 'localhost:5000/logtender:1'],
  ] as const)
    it(`${reference} is known to the container runtime as ${name}`, () =>
      assert.equal(containerdName(reference), name));

  it('libraries: paths as the loader found them, and one that is missing is named', () => {
    const text =
      '\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n';
    assert.deepEqual(parseLdd(text), ['/lib/x86_64-linux-gnu/libc.so.6', '/lib64/ld-linux-x86-64.so.2']);
    assert.throws(() => parseLdd('\tlibatomic.so.1 => not found\n'), /expected libatomic\.so\.1 .* "not found"/);
  });

  it('bill of materials: every package once, with licence and hash; the same list has the same name', () => {
    const materials = {
      version: '1.0.0',
      nodeVersion: '24.0.0',
      bundled: ['node_modules/express', 'node_modules/a/node_modules/@b/c'],
      lock: {
        packages: {
          'node_modules/express': { version: '5.0.0', license: 'MIT', integrity: 'sha512-AAEC' },
          'node_modules/a/node_modules/@b/c': { version: '1.0.0', license: 'ISC' },
        },
      },
      libraries: [
        { path: '/lib/libc.so.6', file: '/lib/libc.so.6', origin: { name: 'libc6', version: '2.36-9' } },
        { path: '/lib/libm.so.6', file: '/lib/libm.so.6', origin: { name: 'libc6', version: '2.36-9' } },
        { path: '/lib/own.so', file: '/lib/own.so', origin: undefined },
      ],
      created: '1970-01-01T00:00:00Z',
    };
    const text = sbomOf(materials);
    assert.equal(text, sbomOf(materials));
    const document = JSON.parse(text) as {
      readonly spdxVersion: string;
      readonly packages: ReadonlyArray<{ readonly SPDXID: string; readonly name: string }>;
      readonly relationships: readonly unknown[];
    };
    assert.equal(document.spdxVersion, 'SPDX-2.3');
    assert.deepEqual(
      document.packages.map(({ name }) => name),
      ['logtender', 'node', 'express', '@b/c', 'libc6', '/lib/own.so'],
    );
    const ids = document.packages.map(({ SPDXID }) => SPDXID);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
    assert.equal(document.relationships.length, document.packages.length);
    assert.match(text, /"checksumValue": "000102"/);
    assert.match(text, /pkg:npm\/%40b\/c@1\.0\.0/);
    assert.throws(() => sbomOf({ ...materials, bundled: ['node_modules/x'] }), /node_modules\/x in package-lock\.json/);
  });
});
