/**
 * What every key of the forwarder's own file means: the file that `logtender forward --config` reads.
 *
 * A key stands for one variable of the sidecar's env, whose parser says type, bounds and default; so file and env cannot drift apart.
 * docs/forward.md and deploy/schema/forward.schema.json are made of both. May import: core, config.
 */
import { ENV } from './forwarder-config.ts';

export interface ForwardKey {
  readonly env: string;
  /** One sentence without a full stop; the unit of a number in it. */
  readonly meaning: string;
  /** True where a running process keeps the value that it started with. */
  readonly needsRestart: boolean;
  /** `rules`: a text as in env, or a list of texts. `files`: a list of globs. Else as the env parser reads it. */
  readonly form?: 'rules' | 'files';
}

const live = (env: string, meaning: string, form?: ForwardKey['form']): ForwardKey => ({
  env,
  meaning,
  needsRestart: false,
  ...(form === undefined ? {} : { form }),
});
const atStart = (env: string, meaning: string): ForwardKey => ({ env, meaning, needsRestart: true });

/** Keys of the file by path, in the order of the documentation. A path has at most one section. */
export const FORWARD_KEYS: Readonly<Record<string, ForwardKey>> = {
  files: live(
    ENV.files,
    'globs of the files to ship, each as NAME:/path/*.log, where NAME is what the records say as container (app unless given), or as an object of container, path, directory and mount',
    'files',
  ),
  sinks: live(ENV.sinks, 'where the records go, each sink with positions of its own'),
  'identity.cluster': live(ENV.cluster, '{cluster} of templates and orchestrator.cluster.name of records'),
  'identity.namespace': live(ENV.namespace, '{namespace} of templates and kubernetes.namespace of records'),
  'identity.pod': live(
    ENV.pod,
    '{pod} of templates and kubernetes.pod.name; under logtender forward the name of the host',
  ),
  'identity.uid': atStart(
    ENV.uid,
    'part of the identity of every source; under logtender forward the name of the host',
  ),
  'identity.node': live(ENV.node, '{node} of templates; under logtender forward the name of the host'),
  'identity.app': live(ENV.app, '{app} of templates; identity.pod unless given'),
  'identity.workload': live(ENV.workload, '{workload} of templates'),
  'elasticsearch.url': live(
    ENV.elasticsearchUrl,
    'where Elasticsearch or OpenSearch is, several nodes with commas between; the file elasticsearch-url of secretDir wins',
  ),
  'elasticsearch.index': live(ENV.dataStream, 'template of the data stream or index'),
  'elasticsearch.gzip': live(ENV.elasticsearchGzip, 'true compresses the requests'),
  'elasticsearch.signing': live(
    ENV.elasticsearchSigning,
    'aws signs the requests (Signature Version 4), for domains of Amazon OpenSearch Service',
  ),
  'elasticsearch.region': live(
    ENV.elasticsearchRegion,
    'region that these requests are signed for; without it that of the host name of the domain, else awsRegion',
  ),
  'cloudwatch.logGroup': live(ENV.logGroup, 'template of the log group'),
  'cloudwatch.logStream': live(ENV.logStream, 'template of the log stream; /{file} is added where it does not name it'),
  'cloudwatch.retentionDays': live(
    ENV.retentionDays,
    'retention of log groups that are created, in days; 0 leaves it to AWS',
  ),
  'cloudwatch.endpoint': live(
    ENV.cloudwatchEndpoint,
    'another endpoint of CloudWatch Logs, for VPC endpoints and tests',
  ),
  'cloudwatch.logGroupClass': live(ENV.cloudwatchClass, 'class of log groups that are created; without it standard'),
  'cloudwatch.kmsKey': live(ENV.cloudwatchKmsKey, 'symmetric KMS key of log groups that are created'),
  'cloudwatch.tags': live(ENV.cloudwatchTags, 'tags of log groups that are created'),
  'cloudwatch.rejected': live(
    ENV.cloudwatchRejected,
    'what becomes of events that are too old, too new or expired: the dead letter, or once more with the time of now',
  ),
  'cloudwatch.requestsPerSecond': live(ENV.cloudwatchRequests, 'most PutLogEvents in a second; 0 sets no bound'),
  'cloudwatch.confirm': live(
    ENV.cloudwatchConfirm,
    'true reads back what may have been stored before it is sent again',
  ),
  'cloudwatch.fips': live(ENV.awsFips, 'true uses the FIPS 140 endpoints of AWS'),
  's3.bucket': live(ENV.s3Bucket, 'template of the bucket'),
  's3.prefix': live(ENV.s3Prefix, 'template of what stands before year= in the keys'),
  's3.endpoint': live(ENV.s3Endpoint, 'another server than AWS, for compatible stores and VPC endpoints'),
  's3.addressing': live(ENV.s3Addressing, 'where the bucket stands: virtual in the host name, path in the path'),
  's3.compression': live(ENV.s3Compression, 'compression of an object'),
  's3.objectBytes': live(
    ENV.s3ObjectBytes,
    'an object is closed when its records have so many bytes, before compression',
  ),
  's3.objectAge': live(ENV.s3ObjectAge, 'an object is closed when its first record has waited so long'),
  's3.storageClass': live(ENV.s3StorageClass, "storage class of the objects; without it the bucket's"),
  's3.kmsKey': live(ENV.s3KmsKey, 'KMS key of the objects (SSE-KMS); without it the encryption of the bucket applies'),
  's3.tags': live(ENV.s3Tags, 'up to ten tags of every object'),
  's3.deadLetter': live(
    ENV.deadLetterS3,
    'true copies records that a sink refused for good to dead-letter/ of the prefix',
  ),
  'file.path': live(ENV.filePath, 'newest file of the sink file; older ones stand beside it with a number'),
  'file.bytesMax': live(ENV.fileBytes, 'most bytes of all files of the sink file together'),
  awsRegion: live(ENV.awsRegion, 'AWS region of the sinks'),
  httpProxy: live(ENV.httpProxy, 'proxy for http:// destinations (HTTP_PROXY)'),
  httpsProxy: live(ENV.httpsProxy, 'proxy for https:// destinations (HTTPS_PROXY)'),
  noProxy: live(ENV.noProxy, 'hosts, with commas between, that are reached without the proxy (NO_PROXY)'),
  secretDir: live(
    ENV.sinkSecretDir,
    'folder with credentials, one file per key (annotations.md); looked at again every ten seconds',
  ),
  parser: live(ENV.parser, 'how the text of a line is read (records.md)'),
  multiline: live(
    ENV.multiline,
    'which lines are one record: presets, or start: and the pattern of a first line',
    'rules',
  ),
  include: live(ENV.include, 'only records that match one of these patterns are shipped', 'rules'),
  exclude: live(ENV.exclude, 'records that match one of these patterns are not shipped', 'rules'),
  redact: live(ENV.redact, 'what matches one of these patterns is made unreadable', 'rules'),
  sample: live(ENV.sample, 'shares and rates of records that are shipped, by level or pattern', 'rules'),
  detect: live(ENV.detect, 'time, level or both are looked for in text', 'rules'),
  metadata: live(
    ENV.metadata,
    'full puts orchestrator.*, kubernetes.* and log.* on every record, none only its time and text',
  ),
  flushInterval: live(ENV.flushInterval, 'a batch that is not full is sent after this time'),
  gracePeriod: atStart(ENV.grace, 'time from SIGTERM to the end: what is there is shipped within it'),
  stateDir: atStart(ENV.stateDir, 'folder of positions, ledger and dead letters; it has to survive a restart'),
  'admin.host': atStart(ENV.adminHost, 'address of /livez, /readyz, /metrics and /ledger'),
  'admin.port': atStart(ENV.adminPort, 'port of these pages; 0 switches them off'),
  exitSummaryPath: atStart(ENV.terminationMessagePath, 'file that gets the exit summary'),
  logLevel: atStart(ENV.logLevel, 'least severe lines of the log'),
};

/** Defaults under `logtender forward`: outside of Kubernetes nobody else says these. @param host name of the host */
export function hostDefaults(host: string): Readonly<Record<string, string>> {
  const stateDir = '/var/lib/logtender';
  return {
    [ENV.pod]: host,
    [ENV.uid]: host,
    [ENV.node]: host,
    [ENV.sinkSecretDir]: '/etc/logtender/secret',
    [ENV.stateDir]: stateDir,
    [ENV.terminationMessagePath]: `${stateDir}/exit-summary.txt`,
    [ENV.adminHost]: '127.0.0.1',
  };
}
