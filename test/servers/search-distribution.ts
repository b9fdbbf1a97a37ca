/**
 * Minimal distributions of Maven Central (`integ-test-zip`) as kinds of test servers: downloaded once, started by java directly.
 *
 * They refuse root: then the node runs as `nobody`, with a copy of its home in the work folder, because the cache of root is closed to
 * others. May import: node:, test/servers.
 */
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, defaultPreparation, findCached, type Entry, type Preparation } from './cache.ts';
import { findJdks, type Jdk } from './jdk.ts';
import { MAVEN_REMEDY, mavenPlugin } from './maven.ts';
import { findProgram, mustRun } from './programs.ts';
import { startSearchNode, type SearchServer } from './search-node.ts';
import type { Availability, ServerKind } from './server-kind.ts';

const UNPACK_MS_MAX = 120_000;
/** The user `nobody` of every Linux distribution. */
const NOBODY = 65_534;

export interface SearchDistribution {
  /** Of the cache's entry: `opensearch-3`. */
  readonly entry: string;
  readonly name: 'elasticsearch' | 'opensearch';
  readonly version: string;
  readonly group: string;
  readonly megabytes: number;
  /** Major versions of the JDK that it runs on. */
  readonly jdk: { readonly min: number; readonly max: number };
  readonly jdkRemedy: string;
  /** Modules that are kept; undefined: all. Fewer start faster, and a home of root is copied for each start. */
  readonly modules?: readonly string[];
  /** Flags and main class, behind the memory flags. `home` is its own, `conf` the folder of its configuration. */
  readonly arguments: (home: string, conf: string) => readonly string[];
}

export interface SearchKind extends ServerKind<SearchServer> {
  /** Starts a node. `settings` are added to its configuration file. */
  readonly startWith: (settings?: Readonly<Record<string, string>>, preparation?: Preparation) => Promise<SearchServer>;
}

const isRoot = (): boolean => process.getuid?.() === 0;

export function searchKind(what: SearchDistribution): SearchKind {
  const artifact = `${what.group}:${what.name}:${what.version}:zip`;
  const entry: Entry = {
    name: what.entry,
    key: cacheKey(artifact, ['layout 1', ...(what.modules ?? [])].join(' ')),
  };
  const findJdk = (): Jdk | undefined => findJdks().find(({ major }) => major >= what.jdk.min && major <= what.jdk.max);
  const jdkRange = what.jdk.max === Infinity ? `${what.jdk.min} or newer` : `${what.jdk.min} to ${what.jdk.max}`;

  const availability = async (cache: string): Promise<Availability> => {
    if (findJdk() === undefined) {
      return {
        available: false,
        reason: `a JDK of version ${jdkRange} was not found`,
        remedy: `install a JDK: ${what.jdkRemedy}`,
      };
    }
    if (isRoot() && findProgram('setpriv') === undefined) {
      return {
        available: false,
        reason: 'it refuses to run as root, and setpriv was not found',
        remedy: 'run the tests as another user, or apt-get install util-linux',
      };
    }
    const prepared = findCached(cache, entry) !== undefined;
    if (!prepared && findProgram('mvn') === undefined) return { available: false, ...MAVEN_REMEDY };
    return { available: true, prepared };
  };

  const prepare = async ({ cache, progress }: Preparation): Promise<{ readonly jdk: Jdk; readonly home: string }> => {
    const jdk = findJdk();
    if (jdk === undefined) throw new Error(`prepare ${what.entry}: expected a JDK of version ${jdkRange}, got none`);
    const folder = await cached(cache, entry, async (target) => {
      progress(`${what.name} ${what.version}: downloading ${what.megabytes} MB from Maven Central`);
      await mavenPlugin('copy', [`-Dartifact=${artifact}`, `-DoutputDirectory=${target}`]);
      // `jar` unpacks a zip; it drops the execute bits, which only the start scripts have.
      const zip = join(target, `${what.name}-${what.version}.zip`);
      await mustRun(join(jdk.home, 'bin/jar'), ['xf', zip], { cwd: target, timeoutMs: UNPACK_MS_MAX });
      rmSync(zip);
      keepModules(join(target, `${what.name}-${what.version}`, 'modules'), what.modules);
    });
    return { jdk, home: join(folder, `${what.name}-${what.version}`) };
  };

  const startWith: SearchKind['startWith'] = async (settings = {}, preparation = defaultPreparation()) => {
    const { jdk, home } = await prepare(preparation);
    return startSearchNode({
      name: what.name,
      version: what.version,
      java: join(jdk.home, 'bin/java'),
      settings,
      ...(isRoot() ? { uid: NOBODY } : {}),
      prepareFolder: (work) => {
        if (isRoot()) cpSync(home, join(work, 'home'), { recursive: true });
      },
      arguments: (work) => what.arguments(isRoot() ? join(work, 'home') : home, join(work, 'conf')),
    });
  };

  return {
    availability,
    prepare: async (preparation) => {
      await prepare(preparation);
    },
    start: (preparation) => startWith({}, preparation),
    startWith,
  };
}

function keepModules(folder: string, kept: readonly string[] | undefined): void {
  if (kept === undefined) return;
  for (const name of readdirSync(folder)) {
    if (!kept.includes(name)) rmSync(join(folder, name), { recursive: true });
  }
}
