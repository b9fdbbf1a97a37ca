/**
 * Elasticsearch 7.17.29, the last of version 7: the minimal distribution of Maven Central.
 *
 * It holds security, but no data streams, lifecycle policies or ingest processors. May import: test/servers.
 */
import { searchKind } from '../search-distribution.ts';

export const elasticsearch7 = searchKind({
  entry: 'elasticsearch-7',
  name: 'elasticsearch',
  version: '7.17.29',
  group: 'org.elasticsearch.distribution.integ-test-zip',
  megabytes: 57,
  // It asks for a security manager, which 18 and newer do not give unasked and 24 took away.
  jdk: { min: 17, max: 17 },
  jdkRemedy: 'apt-get install openjdk-17-jdk-headless, or https://adoptium.net',
  arguments: (home, conf) => [
    '-Djava.security.manager=allow',
    `-Des.path.home=${home}`,
    `-Des.path.conf=${conf}`,
    '-Des.distribution.flavor=default',
    '-Des.distribution.type=zip',
    '-Des.bundled_jdk=false',
    '-cp',
    `${home}/lib/*`,
    'org.elasticsearch.bootstrap.Elasticsearch',
  ],
});

export const startElasticsearch7 = elasticsearch7.startWith;
