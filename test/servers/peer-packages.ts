/**
 * Other log forwarders, to be measured beside ours: Debian's packages, unpacked into the cache with their libraries. Nothing is installed on
 * the machine; as packages they would exclude each other, so each has a folder of its own.
 * May import: node:, test/servers.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, findCached, type Entry, type Preparation } from './cache.ts';
import { debianRelease, missingForDebianPackages, unpackDebianPackages } from './debian-packages.ts';
import type { Availability } from './server-kind.ts';

export type PeerName = 'rsyslog' | 'syslog-ng';

export const PEER_NAMES: readonly PeerName[] = ['rsyslog', 'syslog-ng'];

interface Contents {
  readonly packages: readonly string[];
  /** Below `usr`. */
  readonly program: string;
  readonly megabytes: number;
}

const CONTENTS: Readonly<Record<PeerName, Contents>> = {
  rsyslog: { packages: ['rsyslog', 'rsyslog-elasticsearch'], program: 'sbin/rsyslogd', megabytes: 10 },
  'syslog-ng': { packages: ['syslog-ng-core', 'syslog-ng-mod-http'], program: 'sbin/syslog-ng', megabytes: 15 },
};

export interface PeerProgram {
  readonly program: string;
  /** Folder of its plug-ins. */
  readonly modules: string;
  /** Folders of shared libraries, for LD_LIBRARY_PATH. */
  readonly libraries: string;
}

function entry(name: PeerName): Entry {
  const { packages } = CONTENTS[name];
  return { name, key: cacheKey(debianRelease(), process.arch, packages.join(' '), 'layout 1') };
}

/** Whether this machine can have it. */
export function peerAvailability(name: PeerName, cache: string): Availability {
  if (findCached(cache, entry(name)) !== undefined) return { available: true, prepared: true };
  const missing = missingForDebianPackages(name);
  return missing === undefined ? { available: true, prepared: false } : { available: false, ...missing };
}

/** Fetches and unpacks it; returns at once when that was done before. Throws what apt-get said. */
export async function preparePeer(name: PeerName, { cache, progress }: Preparation): Promise<PeerProgram> {
  const { packages, program, megabytes } = CONTENTS[name];
  const folder = await cached(cache, entry(name), async (target) => {
    progress(`${name}: downloading ${megabytes} MB of Debian packages`);
    await unpackDebianPackages(target, packages, 'add');
  });
  const root = join(folder, 'root');
  const usr = join(root, 'usr');
  // Older releases keep some libraries in /lib, which is a link to /usr/lib on a machine but not here.
  const libraries = [join(usr, 'lib'), join(root, 'lib')].flatMap(librariesBelow);
  return {
    program: join(usr, program),
    modules: modulesOf(name, join(usr, 'lib')),
    libraries: [...libraries, join(usr, 'lib', name)].join(':'),
  };
}

function librariesBelow(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => join(folder, name));
}

/** rsyslog: lib/TRIPLET/rsyslog; syslog-ng: lib/syslog-ng/VERSION. */
function modulesOf(name: PeerName, lib: string): string {
  const folders =
    name === 'rsyslog'
      ? librariesBelow(lib).map((folder) => join(folder, name))
      : readdirSync(join(lib, name))
          .filter((version) => /^\d+\.\d+$/.test(version))
          .map((version) => join(lib, name, version));
  const found = folders.find((folder) => existsSync(folder));
  if (found === undefined) throw new Error(`unpack ${name}: expected a folder of plug-ins below ${lib}, got none`);
  return found;
}
