/**
 * Container runtime, network plugins and nft: Debian's packages, unpacked into the cache. Nothing is installed on the machine.
 *
 * apt-get works on lists of its own here, so neither old lists of the machine nor their absence matter, and no right is needed.
 * May import: node:, test/servers.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, findCached, type Entry, type Preparation } from '../cache.ts';
import { findProgram, mustRun } from '../programs.ts';

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
const DOWNLOAD_MS_MAX = 5 * 60_000;
const REMEDY = 'use Debian 12 or newer, or Ubuntu 24.04 or newer';

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
export function missingForPackages(): { readonly reason: string; readonly remedy: string } | undefined {
  for (const program of ['apt-get', 'dpkg-deb']) {
    if (findProgram(program) === undefined)
      return { reason: `${program} was not found, which fetches containerd and runc`, remedy: REMEDY };
  }
  return undefined;
}

function entry(): Entry {
  return { name: 'container-runtime', key: cacheKey(release(), process.arch, PACKAGES.join(' '), 'layout 1') };
}

/** Packages of one release do not suit another. */
function release(): string {
  try {
    return /^VERSION_ID=.*$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[0] ?? '';
  } catch {
    return '';
  }
}

export const runtimeIsPrepared = (cache: string): boolean => findCached(cache, entry()) !== undefined;

/** Fetches and unpacks them; returns at once when that was done before. */
export async function prepareRuntime({ cache, progress }: Preparation): Promise<RuntimePrograms> {
  const folder = await cached(cache, entry(), async (target) => {
    progress('container runtime: downloading 50 MB of Debian packages (containerd, runc, network plugins, nftables)');
    const apt = join(target, 'apt');
    for (const name of ['state/lists/partial', 'cache/archives/partial', 'debs'])
      mkdirSync(join(apt, name), { recursive: true });
    const own = [
      ...['-o', `Dir::State=${join(apt, 'state')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`],
      ...['-o', 'Acquire::Languages=none', '-o', 'APT::Sandbox::User=', '-o', 'Acquire::Retries=3', '-q'],
    ];
    const options = { cwd: join(apt, 'debs'), timeoutMs: DOWNLOAD_MS_MAX };
    await mustRun('apt-get', [...own, 'update'], options);
    await mustRun('apt-get', [...own, 'download', ...PACKAGES], options);
    for (const name of readdirSync(join(apt, 'debs')))
      await mustRun('dpkg-deb', ['-x', join(apt, 'debs', name), join(target, 'root')], options);
    rmSync(apt, { recursive: true });
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
