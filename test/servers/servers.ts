/**
 * Every kind of server that tests can have, by name.
 *
 * The one file that knows all of them. May import: test/servers.
 */
import { cloudwatch, type CloudWatchServer } from './cloudwatch/server.ts';
import { securedElasticsearch, type SecuredElasticsearch } from './elasticsearch/secured.ts';
import { elasticsearch } from './elasticsearch/server.ts';
import { elasticsearch7 } from './elasticsearch/seven.ts';
import { controlPlane, type ControlPlane } from './kubernetes/control-plane.ts';
import { cluster, type RealCluster } from './node/cluster.ts';
import { opensearch, opensearch3 } from './opensearch/server.ts';
import { s3, type S3Server } from './s3/server.ts';
import type { SearchServer } from './search-node.ts';
import type { ServerKind } from './server-kind.ts';

export type { CloudWatchServer, ControlPlane, RealCluster, S3Server, SearchServer, SecuredElasticsearch };
export { startCloudWatch } from './cloudwatch/server.ts';
export { startSecuredElasticsearch } from './elasticsearch/secured.ts';
export { startElasticsearch } from './elasticsearch/server.ts';
export { startElasticsearch7 } from './elasticsearch/seven.ts';
export { startControlPlane } from './kubernetes/control-plane.ts';
export { startS3 } from './s3/server.ts';
export { startCluster } from './node/cluster.ts';
export { startOpenSearch, startOpenSearch3 } from './opensearch/server.ts';

export interface Servers {
  readonly 'control-plane': ControlPlane;
  readonly elasticsearch: SearchServer;
  readonly 'elasticsearch-7': SearchServer;
  readonly 'elasticsearch-secured': SecuredElasticsearch;
  readonly opensearch: SearchServer;
  readonly 'opensearch-3': SearchServer;
  readonly cloudwatch: CloudWatchServer;
  readonly s3: S3Server;
  readonly cluster: RealCluster;
}

export type ServerName = keyof Servers;

/** Quick ones first: who watches the preparation sees something happen. */
export const SERVERS: { readonly [Name in ServerName]: ServerKind<Servers[Name]> } = {
  cloudwatch,
  s3,
  opensearch,
  'opensearch-3': opensearch3,
  elasticsearch,
  'elasticsearch-7': elasticsearch7,
  'elasticsearch-secured': securedElasticsearch,
  'control-plane': controlPlane,
  cluster,
};

export const SERVER_NAMES: readonly ServerName[] = [
  'cloudwatch',
  's3',
  'opensearch',
  'opensearch-3',
  'elasticsearch',
  'elasticsearch-7',
  'elasticsearch-secured',
  'control-plane',
  'cluster',
];
