/**
 * Container runtime, network plugins and nft: Debian's packages, unpacked into the cache. Nothing is installed on the machine.
 * May import: node:, test/servers.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, findCached, type Entry, type Preparation } from '../cache.ts';
import { debianRelease, missingForDebianPackages, unpackDebianPackages, type MissingTool } from '../debian-packages.ts';

/** What each is for; libraries that every Debian has (libc6, libtinfo6) are not among them. */
const PACKAGES: readonly string[] = [
  'containerd',
  'runc',
  'containernetworking-plugins',
  'nftables',
  ...[
    'libnftables1',
    'libnftnl11',
    'libmnl0',
    'libjansson4',
    'libxtables12',
    'libedit2',
    'libbsd0',
    'libmd0',
    'libgmp10',
  ],
  ...['libseccomp2', 'conntrack', 'libnetfilter-conntrack3', 'libnfnetlink0'],
];
const PURPOSE = 'containerd and runc';

export interface RuntimePrograms {
  /** Folders for PATH. */
  readonly path: string;
  /** Folders of shared libraries. */
  readonly libraries: string;
  readonly containerd: string;
  readonly ctr: string;
  readonly runc: string;
  /** Folder of the network plugins. */
  readonly plugins: string;
}

/** What is in the way, if anything. */
export const missingForPackages = (): MissingTool | undefined => missingForDebianPackages(PURPOSE);

function entry(): Entry {
  return { name: 'container-runtime', key: cacheKey(debianRelease(), process.arch, PACKAGES.join(' '), 'layout 1') };
}

export const runtimeIsPrepared = (cache: string): boolean => findCached(cache, entry()) !== undefined;

/** Fetches and unpacks them; returns at once when that was done before. */
export async function prepareRuntime({ cache, progress }: Preparation): Promise<RuntimePrograms> {
  const folder = await cached(cache, entry(), async (target) => {
    progress('container runtime: downloading 50 MB of Debian packages (containerd, runc, network plugins, nftables)');
    await unpackDebianPackages(target, PACKAGES);
  });
  const root = join(folder, 'root');
  const usr = join(root, 'usr');
  const triplet = readdirSync(join(usr, 'lib')).filter((name) => name.endsWith('-linux-gnu'));
  return {
    path: [join(usr, 'bin'), join(usr, 'sbin')].join(':'),
    libraries: triplet.map((name) => join(usr, 'lib', name)).join(':'),
    containerd: join(usr, 'bin/containerd'),
    ctr: join(usr, 'bin/ctr'),
    runc: join(usr, 'sbin/runc'),
    plugins: join(usr, 'lib/cni'),
  };
}
