/**
 * The image of this checkout as a whole: one digest, no shell, small, and its pods run under Pod Security `restricted`.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { buildImageFile } from './built-image.ts';
import { podsOf } from './pods.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';

const TEST_MS_MAX = 240_000;
/** What we aim at; a pull of it is seconds. */
const COMPRESSED_MIB_MAX = 45;

interface Secured {
  readonly spec: {
    readonly securityContext?: { readonly runAsUser?: number; readonly seccompProfile?: { readonly type: string } };
    readonly containers: ReadonlyArray<{
      readonly image: string;
      readonly resources?: { readonly limits?: { readonly memory?: string } };
      readonly securityContext?: {
        readonly readOnlyRootFilesystem?: boolean;
        readonly allowPrivilegeEscalation?: boolean;
        readonly capabilities?: { readonly drop?: readonly string[] };
      };
    }>;
  };
}

describe('image of this checkout', function () {
  this.timeout(TEST_MS_MAX);
  let real: UnderTest;

  before(async function () {
    real = await requireLogtender(this);
  });

  it('built again it has the same digest', async () => {
    const again = await buildImageFile();
    again.discard();
    assert.equal(again.digest, real.image.digest);
  });

  it(`is at most ${COMPRESSED_MIB_MAX} MiB compressed, and holds bundles and bill of materials but no shell`, () => {
    const { path, compressedMib } = real.image;
    assert.ok(compressedMib <= COMPRESSED_MIB_MAX, `${compressedMib} MiB`);
    const blobs =
      execFileSync('tar', ['-tf', path], { encoding: 'utf8' }).match(/^blobs\/sha256\/[0-9a-f]{64}$/gm) ?? [];
    const files = blobs.flatMap((blob) => {
      const script = 'tar -xOf "$0" "$1" | gzip -dcq 2>/dev/null | tar -tf - 2>/dev/null || true';
      return execFileSync('/bin/sh', ['-c', script, path, blob], { encoding: 'utf8' }).split('\n');
    });
    for (const wanted of [
      'usr/local/bin/node',
      'app/webhook.mjs',
      'app/certs.mjs',
      'app/forwarder.mjs',
      'app/cli.mjs',
      'app/sbom.spdx.json',
    ])
      assert.ok(files.includes(wanted), wanted);
    const programs = files.filter((name) => /(^|\/)s?bin\/[^/]+$/.test(name));
    assert.deepEqual(programs, ['usr/local/bin/node']);
  });

  it('webhook and certificate manager run from it: Ready, not root, read-only root, no capability, limits (B8 60)', async () => {
    const pods = await podsOf(real.kubectl, 'logtender');
    assert.equal(pods.length, 4);
    for (const pod of pods) {
      assert.ok(pod.status.containerStatuses?.every(({ ready, restartCount }) => ready && restartCount === 0));
      const { spec } = pod as unknown as Secured;
      assert.equal(spec.securityContext?.runAsUser, 65_532);
      assert.equal(spec.securityContext.seccompProfile?.type, 'RuntimeDefault');
      for (const { image, resources, securityContext } of spec.containers) {
        assert.equal(image, real.image.reference);
        assert.ok(resources?.limits?.memory !== undefined);
        assert.equal(securityContext?.readOnlyRootFilesystem, true);
        assert.equal(securityContext.allowPrivilegeEscalation, false);
        assert.deepEqual(securityContext.capabilities?.drop, ['ALL']);
      }
    }
  });

  it('the command line runs in it', async () => {
    const [pod] = await podsOf(real.kubectl, 'logtender', 'logtender-webhook-');
    assert.ok(pod !== undefined);
    const command = [
      'exec',
      pod.metadata.name,
      '-n',
      'logtender',
      '--',
      '/usr/local/bin/node',
      '/app/cli.mjs',
      'namespace',
      'shop',
    ];
    assert.match(await real.kubectl.run(command), /^kind: ServiceAccount$/m);
  });
});
