/**
 * Elasticsearch, embedded: the jars of Maven Central and one small Java class in place of the start script.
 *
 * 9.5.3 where a JDK of 25 or newer is found, else 8.19.21. These jars hold neither security, ingest processors nor painless, and
 * `GET /` answers 405; indexes, data streams, `_bulk` and its limits are the real ones. Runs as the present user, root included:
 * the class that refuses root belongs to the start script. May import: node:, test/servers.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, defaultPreparation, findCached, type Entry, type Preparation } from '../cache.ts';
import { findJdks, type Jdk } from '../jdk.ts';
import { MAVEN_REMEDY, mavenPlugin } from '../maven.ts';
import { findProgram, mustRun } from '../programs.ts';
import { startSearchNode, type SearchServer } from '../search-node.ts';
import type { Availability, ServerKind } from '../server-kind.ts';

const MAIN_CLASS = 'EmbeddedElasticsearch';
const COMPILE_MS_MAX = 120_000;
/** Jars of the HTTP transport, which Elasticsearch loads as a module with a class loader of its own. */
const TRANSPORT_JARS = /^(netty-|transport-netty4-|elasticsearch-ssl-config-)/;
const TRANSPORT = 'transport-netty4';

interface Choice {
  readonly jdk: Jdk;
  readonly version: string;
}

/** The newest version that a JDK of this machine can run. */
function choose(): Choice | undefined {
  const jdks = findJdks();
  const newest = jdks.at(-1);
  if (newest !== undefined && newest.major >= 25) return { jdk: newest, version: '9.5.3' };
  // 24 took away the security manager that 8.19 still asks for.
  const older = jdks.findLast((jdk) => jdk.major >= 17 && jdk.major <= 23);
  return older === undefined ? undefined : { jdk: older, version: '8.19.21' };
}

const textOf = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8');

function entryOf(choice: Choice): Entry {
  const key = cacheKey(
    choice.version,
    String(choice.jdk.major),
    textOf('pom.xml'),
    textOf(`${MAIN_CLASS}.java`),
    'layout 1',
  );
  return { name: 'elasticsearch', key };
}

async function availability(cache: string): Promise<Availability> {
  const choice = choose();
  if (choice === undefined) {
    return {
      available: false,
      reason: 'a JDK of version 25 or newer, or 17 to 23, was not found',
      remedy: 'install a JDK: apt-get install openjdk-17-jdk-headless, or https://adoptium.net',
    };
  }
  const prepared = findCached(cache, entryOf(choice)) !== undefined;
  if (!prepared && findProgram('mvn') === undefined) return { available: false, ...MAVEN_REMEDY };
  return { available: true, prepared };
}

async function prepare({
  cache,
  progress,
}: Preparation): Promise<{ readonly choice: Choice; readonly folder: string }> {
  const choice = choose();
  if (choice === undefined) throw new Error('prepare elasticsearch: expected a JDK, got none');
  const folder = await cached(cache, entryOf(choice), async (target) => {
    progress(`elasticsearch ${choice.version}: downloading 44 MB from Maven Central`);
    await mavenPlugin('copy-dependencies', [
      '-f',
      join(import.meta.dirname, 'pom.xml'),
      `-Delasticsearch.version=${choice.version}`,
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(target, 'lib')}`,
    ]);
    await arrange(target, choice.jdk);
  });
  return { choice, folder };
}

/** Turns the downloaded jars into a home with one module, and compiles the main class. */
async function arrange(target: string, jdk: Jdk): Promise<void> {
  const lib = join(target, 'lib');
  const options = { cwd: target, timeoutMs: COMPILE_MS_MAX };
  const source = join(import.meta.dirname, `${MAIN_CLASS}.java`);
  await mustRun(join(jdk.home, 'bin/javac'), ['-cp', `${lib}/*`, '-d', join(target, 'main'), source], options);
  const home = join(target, 'home');
  const module = join(home, 'modules', TRANSPORT);
  for (const folder of [module, join(home, 'plugins'), join(home, 'lib'), join(target, 'node')]) {
    mkdirSync(folder, { recursive: true });
  }
  for (const jar of readdirSync(lib)) {
    copyFileSync(join(lib, jar), join(TRANSPORT_JARS.test(jar) ? module : join(target, 'node'), jar));
    if (jar.startsWith(`${TRANSPORT}-`))
      await mustRun(join(jdk.home, 'bin/jar'), ['xf', join(lib, jar), 'META-INF/es-plugins'], options);
  }
  const inside = join(target, 'META-INF/es-plugins', TRANSPORT);
  for (const name of readdirSync(inside)) {
    const text = readFileSync(join(inside, name), 'utf8');
    // Without a module name the plugin's jars are on a class path, as the node's own are here.
    writeFileSync(join(module, name), text.replace(/^modulename=.*$/m, 'modulename='));
  }
  for (const done of ['lib', 'META-INF']) rmSync(join(target, done), { recursive: true });
}

/** Starts a node. `settings` are added to elasticsearch.yml. */
export async function startElasticsearch(
  settings: Readonly<Record<string, string>> = {},
  preparation: Preparation = defaultPreparation(),
): Promise<SearchServer> {
  const { choice, folder } = await prepare(preparation);
  const quiet =
    choice.jdk.major >= 22 ? ['--enable-native-access=ALL-UNNAMED', '--add-modules=jdk.incubator.vector'] : [];
  return startSearchNode({
    name: 'elasticsearch',
    version: choice.version,
    java: join(choice.jdk.home, 'bin/java'),
    settings,
    arguments: (work) => [
      ...quiet,
      '-cp',
      `${join(folder, 'main')}:${join(folder, 'node')}/*`,
      MAIN_CLASS,
      join(folder, 'home'),
      join(work, 'conf'),
    ],
  });
}

export const elasticsearch: ServerKind<SearchServer> = {
  availability,
  prepare: async (preparation) => {
    await prepare(preparation);
  },
  start: (preparation) => startElasticsearch({}, preparation),
};
