/**
 * OpenSearch 2.19.6 and 3.6.0: the minimal distributions of Maven Central.
 *
 * Neither holds the plugins for security and index state management: these are artifacts of their own, which have to be of the very same
 * version. Version 2 also lacks painless and ingest processors. May import: test/servers.
 */
import { searchKind } from '../search-distribution.ts';

const GROUP = 'org.opensearch.distribution.integ-test-zip';
const THREADS =
  '-Djava.util.concurrent.ForkJoinPool.common.threadFactory=org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory';

function main(home: string, conf: string): readonly string[] {
  return [
    `-Dopensearch.path.home=${home}`,
    `-Dopensearch.path.conf=${conf}`,
    '-Dopensearch.distribution.type=zip',
    '-Dopensearch.bundled_jdk=false',
    THREADS,
    '-cp',
    `${home}/lib/*`,
    'org.opensearch.bootstrap.OpenSearch',
  ];
}

export const opensearch = searchKind({
  entry: 'opensearch',
  name: 'opensearch',
  version: '2.19.6',
  group: GROUP,
  megabytes: 56,
  // 24 took away the security manager that version 2 cannot start without.
  jdk: { min: 17, max: 23 },
  jdkRemedy: 'apt-get install openjdk-17-jdk-headless, or https://adoptium.net',
  arguments: (home, conf) => ['-Djava.security.manager=allow', ...main(home, conf)],
});

export const opensearch3 = searchKind({
  entry: 'opensearch-3',
  name: 'opensearch',
  version: '3.6.0',
  group: GROUP,
  megabytes: 162,
  jdk: { min: 21, max: Infinity },
  jdkRemedy: 'https://adoptium.net',
  modules: ['transport-netty4', 'analysis-common', 'ingest-common', 'lang-painless', 'mapper-extras'],
  // An agent does what the security manager did: config/jvm.options of the distribution.
  arguments: (home, conf) => [
    `-javaagent:${home}/agent/opensearch-agent.jar`,
    '--add-modules=jdk.incubator.vector',
    '--enable-native-access=ALL-UNNAMED',
    ...main(home, conf),
  ],
});

export const startOpenSearch = opensearch.startWith;
export const startOpenSearch3 = opensearch3.startWith;
