/**
 * The image of a checkout: bundles by esbuild in a folder of their own, runtime from the pinned Node, bill of materials.
 *
 * May import: node:, deploy/image.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APP_FOLDER, appLayer, NODE_PATH, runtimeLayer, USER_ID } from './contents.ts';
import { imageOf, type Image } from './oci.ts';
import { sbomOf, type Lock } from './sbom.ts';

export interface BuiltImage extends Image {
  readonly reference: string;
  /** SPDX JSON; the image holds it as /app/sbom.spdx.json. */
  readonly sbom: string;
}

export interface BuildOptions {
  /** The checkout. */
  readonly root: string;
  /** Full name of the image; `logtender:VERSION` by default. */
  readonly reference?: string;
  /** Seconds since the epoch; 0 by default (https://reproducible-builds.org/specs/source-date-epoch/). */
  readonly sourceDateEpoch?: number;
}

/** Builds it. Takes about ten seconds, most of them for the compression of Node. */
export function buildImage({ root, reference, sourceDateEpoch = 0 }: BuildOptions): BuiltImage {
  const created = new Date(sourceDateEpoch * 1000).toISOString().replace('.000Z', 'Z');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const runtime = runtimeLayer(root);
  const bundles = mkdtempSync(join(tmpdir(), 'logtender-bundles-'));
  try {
    const listing = execFileSync(process.execPath, [join(root, 'deploy/build.ts'), bundles, '--packages'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const sbom = sbomOf({
      version,
      nodeVersion: runtime.nodeVersion,
      bundled: JSON.parse(listing) as readonly string[],
      lock: JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock,
      libraries: runtime.libraries,
      created,
    });
    const name = reference ?? `logtender:${version}`;
    const image = imageOf({
      reference: name,
      architecture: runtime.architecture,
      created,
      entrypoint: [NODE_PATH],
      user: `${USER_ID}:${USER_ID}`,
      workingDir: APP_FOLDER,
      env: ['PATH=/usr/local/bin', 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'],
      labels: {
        'org.opencontainers.image.title': 'logtender',
        'org.opencontainers.image.description': 'webhook, certificate manager, forwarder and CLI of logtender',
        'org.opencontainers.image.licenses': 'Apache-2.0',
        'org.opencontainers.image.version': version,
      },
      layers: [
        { createdBy: `Node ${runtime.nodeVersion} with its libraries`, files: runtime.files },
        { createdBy: `logtender ${version}`, files: appLayer(root, bundles, sbom) },
      ],
    });
    return { ...image, reference: name, sbom };
  } finally {
    rmSync(bundles, { recursive: true, force: true });
  }
}
