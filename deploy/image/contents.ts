/**
 * What the image holds, file by file: the pinned Node with its libraries below, our bundles above. No shell, no package manager.
 *
 * Invariant: every file is root's and nobody else may write it; the process runs as 65532, as distroless images do.
 * May import: node:, deploy/image.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { rootCertificates } from 'node:tls';
import { librariesOf, type Library } from './libraries.ts';
import { withFolders, type TarEntry } from './tar.ts';

/** Where the image has Node: its entry point, so that arguments begin with a bundle, as in the manifests. */
export const NODE_PATH = '/usr/local/bin/node';
export const APP_FOLDER = '/app';
export const USER_ID = 65_532;

const PASSWD = `root:x:0:0:root:/:/nonexistent\nlogtender:x:${USER_ID}:${USER_ID}:logtender:/app:/nonexistent\n`;
const GROUP = `root:x:0:\nlogtender:x:${USER_ID}:\n`;
/** nsswitch.conf(5): names first from /etc/hosts, which the kubelet writes. */
const NSSWITCH = 'passwd: files\ngroup: files\nhosts: files dns\n';

export interface Runtime {
  readonly files: readonly TarEntry[];
  readonly libraries: readonly Library[];
  readonly nodeVersion: string;
  readonly architecture: 'amd64' | 'arm64';
}

/** The npm package with the pinned Node for this machine. */
function pinnedNode(root: string): { readonly program: string; readonly licence: string; readonly version: string } {
  const name = `node-linux-${process.arch}`;
  try {
    const manifest = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`);
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string };
    const folder = dirname(manifest);
    return { program: join(folder, 'bin/node'), licence: join(folder, 'LICENSE'), version };
  } catch (error) {
    const hint = 'The image is built on Linux, x64 or arm64; run npm ci there, or use deploy/image/Dockerfile.';
    throw new Error(`find pinned Node: expected the npm package ${name}, got none. ${hint}`, { cause: error });
  }
}

/** The lower layer. Changes with Node and with this machine's libraries alone. */
export function runtimeLayer(root: string): Runtime {
  const node = pinnedNode(root);
  const libraries = librariesOf(node.program);
  const certificates = `${rootCertificates.map((pem) => pem.trim()).join('\n')}\n`;
  const file = (path: string, content: Buffer | string, mode = 0o644): TarEntry => ({
    path: path.slice(1),
    mode,
    content: Buffer.from(content),
  });
  const files = [
    file(NODE_PATH, stripped(node.program), 0o755),
    ...libraries.map(({ path, file: from }) => file(path, readFileSync(from), 0o755)),
    // Mozilla's list as this Node carries it: Node itself needs no file, other programs of a derived image do.
    file('/etc/ssl/certs/ca-certificates.crt', certificates),
    file('/etc/passwd', PASSWD),
    file('/etc/group', GROUP),
    file('/etc/nsswitch.conf', NSSWITCH),
    file('/usr/share/doc/node/LICENSE', readFileSync(node.licence)),
    ...copyrights(libraries).map(([name, text]) => file(`/usr/share/doc/${name}/copyright`, text)),
    { path: 'tmp/', mode: 0o1777 },
  ];
  return {
    files: withFolders(files),
    libraries,
    nodeVersion: node.version,
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
  };
}

/** The upper layer: the bundles, the licence and the bill of materials. */
export function appLayer(root: string, bundles: string, sbom: string): readonly TarEntry[] {
  const files = readdirSync(bundles, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const entryOf = (path: string, content: Buffer): TarEntry => ({ path: `app/${path}`, mode: 0o644, content });
  return withFolders([
    ...files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return entryOf(relative(bundles, path), readFileSync(path));
    }),
    entryOf('LICENSE', readFileSync(join(root, 'LICENSE'))),
    entryOf('sbom.spdx.json', Buffer.from(sbom)),
  ]);
}

/** Without symbols, where binutils are there: 18 MB less of 127. */
function stripped(program: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-image-'));
  try {
    const target = join(folder, 'node');
    execFileSync('strip', ['-o', target, program], { stdio: ['ignore', 'ignore', 'pipe'] });
    return readFileSync(target);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return readFileSync(program);
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Licence texts of the packages of the libraries, where Debian keeps them. */
function copyrights(libraries: readonly Library[]): readonly (readonly [name: string, text: Buffer])[] {
  const names = new Set(libraries.flatMap(({ origin }) => (origin === undefined ? [] : [origin.name])));
  return [...names].toSorted().flatMap((name) => {
    try {
      return [[name, readFileSync(realpathSync(`/usr/share/doc/${name}/copyright`))] as const];
    } catch {
      return [];
    }
  });
}
