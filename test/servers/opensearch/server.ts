/**
 * OpenSearch 2.19.6: the minimal distribution of Maven Central, started by java directly.
 *
 * It holds neither painless nor ingest processors. It refuses root: then it runs as `nobody`, with a copy of its home in the work
 * folder, because the cache of root is closed to others. May import: node:, test/servers.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, defaultPreparation, findCached, type Entry, type Preparation } from '../cache.ts';
import { findJdks, type Jdk } from '../jdk.ts';
import { MAVEN_REMEDY, mavenPlugin } from '../maven.ts';
import { findProgram, mustRun } from '../programs.ts';
import { startSearchNode, type SearchServer } from '../search-node.ts';
import type { Availability, ServerKind } from '../server-kind.ts';

const VERSION = '2.19.6';
const ARTIFACT = `org.opensearch.distribution.integ-test-zip:opensearch:${VERSION}:zip`;
const ENTRY: Entry = { name: 'opensearch', key: cacheKey(ARTIFACT, 'layout 1') };
const UNPACK_MS_MAX = 120_000;
/** The user `nobody` of every Linux distribution. */
const NOBODY = 65_534;

/** 24 took away the security manager that version 2 cannot start without. */
const findJdk = (): Jdk | undefined => findJdks().find((jdk) => jdk.major >= 17 && jdk.major <= 23);

const isRoot = (): boolean => process.getuid?.() === 0;

async function availability(cache: string): Promise<Availability> {
  if (findJdk() === undefined) {
    return {
      available: false,
      reason: 'a JDK of version 17 to 23 was not found',
      remedy: 'install a JDK: apt-get install openjdk-17-jdk-headless, or https://adoptium.net',
    };
  }
  if (isRoot() && findProgram('setpriv') === undefined) {
    return {
      available: false,
      reason: 'it refuses to run as root, and setpriv was not found',
      remedy: 'run the tests as another user, or apt-get install util-linux',
    };
  }
  const prepared = findCached(cache, ENTRY) !== undefined;
  if (!prepared && findProgram('mvn') === undefined) return { available: false, ...MAVEN_REMEDY };
  return { available: true, prepared };
}

async function prepare({ cache, progress }: Preparation): Promise<{ readonly jdk: Jdk; readonly home: string }> {
  const jdk = findJdk();
  if (jdk === undefined) throw new Error('prepare opensearch: expected a JDK of version 17 to 23, got none');
  const folder = await cached(cache, ENTRY, async (target) => {
    progress(`opensearch ${VERSION}: downloading 56 MB from Maven Central`);
    await mavenPlugin('copy', [`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${target}`]);
    // `jar` unpacks a zip; it drops the execute bits, which only the start scripts have.
    const zip = join(target, `opensearch-${VERSION}.zip`);
    await mustRun(join(jdk.home, 'bin/jar'), ['xf', zip], { cwd: target, timeoutMs: UNPACK_MS_MAX });
    rmSync(zip);
  });
  return { jdk, home: join(folder, `opensearch-${VERSION}`) };
}

/** Starts a node. `settings` are added to opensearch.yml. */
export async function startOpenSearch(
  settings: Readonly<Record<string, string>> = {},
  preparation: Preparation = defaultPreparation(),
): Promise<SearchServer> {
  const { jdk, home } = await prepare(preparation);
  return startSearchNode({
    name: 'opensearch',
    version: VERSION,
    java: join(jdk.home, 'bin/java'),
    settings,
    ...(isRoot() ? { uid: NOBODY } : {}),
    prepareFolder: (work) => {
      if (isRoot()) cpSync(home, join(work, 'home'), { recursive: true });
    },
    arguments: (work) => {
      const own = isRoot() ? join(work, 'home') : home;
      return [
        '-Djava.security.manager=allow',
        `-Dopensearch.path.home=${own}`,
        `-Dopensearch.path.conf=${join(work, 'conf')}`,
        '-Dopensearch.distribution.type=zip',
        '-Dopensearch.bundled_jdk=false',
        '-Djava.util.concurrent.ForkJoinPool.common.threadFactory=org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory',
        '-cp',
        `${join(own, 'lib')}/*`,
        'org.opensearch.bootstrap.OpenSearch',
      ];
    },
  });
}

export const opensearch: ServerKind<SearchServer> = {
  availability,
  prepare: async (preparation) => {
    await prepare(preparation);
  },
  start: (preparation) => startOpenSearch({}, preparation),
};
