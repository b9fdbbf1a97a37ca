/**
 * What the webhook writes into the sidecar's env and the forwarder reads: one schema, checked on both sides.
 *
 * Env carries names, places and limits; credentials come only from files (`SINK_SECRET_DIR`) or the AWS credential chain.
 * May import: core, config.
 */
import { CLOUDWATCH_ENV, readCloudWatchConfig } from './cloudwatch-config.ts';
import type { CloudWatchConfig } from './cloudwatch-config.ts';
import { durationMs, nearest, problemText, Reader, shown } from './fields.ts';
import type { FieldShape, Parsed, Problem } from './fields.ts';
import { FILE_SINK_BYTES } from './file-sink-config.ts';
import type { FileSinkConfig } from './file-sink-config.ts';
import { END_ENV, readEndConfig } from './end-config.ts';
import type { EndConfig } from './end-config.ts';
import { readStdioConfig, STDIO_ENV } from './stdio-config.ts';
import type { StdioConfig } from './stdio-config.ts';
import { readS3Options, S3_PREFIX_DEFAULT } from './s3-config.ts';
import type { S3Config } from './s3-config.ts';
import { PARSERS, readDetections, readMultiline, readPatterns, readSamples } from './record-rules.ts';
import type { Read, RecordRules } from './record-rules.ts';

/** Every sink that can be configured, in the order of the documentation. */
export const SINK_NAMES = ['elasticsearch', 'cloudwatch', 's3', 'file', 'console'] as const;
export type SinkName = (typeof SINK_NAMES)[number];

/** One glob of one container, and where its directory stands in the sidecar. */
export interface FileGlob {
  readonly container: string;
  /** The app's own absolute glob: `/var/log/app/*.log`. */
  readonly path: string;
  /** The fixed directory of the glob as the app sees it: `/var/log/app`. */
  readonly directory: string;
  /** The same directory as the sidecar sees it: `/logtender/logs/app/var/log/app`. */
  readonly mount: string;
  /** Folder beside the files, on a volume that outlives the pod, that keeps their positions. Absent: the pod's own keeps them. */
  readonly positions?: string;
}

/** Who we are; the downward API fills what admission cannot know. */
export interface PodIdentity {
  readonly cluster: string;
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly node: string;
  readonly app: string;
  readonly workload: string;
}

/** The usual proxy variables; each is absent where it is not set. */
export interface ProxySettings {
  readonly HTTP_PROXY?: string;
  readonly HTTPS_PROXY?: string;
  readonly NO_PROXY?: string;
}

export interface ForwarderConfig extends RecordRules {
  readonly pod: PodIdentity;
  readonly files: readonly FileGlob[];
  /** Undefined: stdout and stderr are not shipped. */
  readonly stdio: StdioConfig | undefined;
  /** Whose end is ours; undefined where others end us. */
  readonly endWith: EndConfig | undefined;
  readonly sinks: readonly SinkName[];
  /** CloudWatch log group template. */
  readonly logGroup: string;
  /** CloudWatch log stream template; `/{file}` is added for files when the template does not name it. */
  readonly logStream: string;
  /** Elasticsearch data stream or index template. */
  readonly dataStream: string;
  /** Retention of log groups that we create, in days; undefined leaves AWS's default (for ever). */
  readonly retentionDays: number | undefined;
  /** One URL, or those of several nodes of one cluster with commas between. */
  readonly elasticsearchUrl: string | undefined;
  /** Request bodies are compressed. */
  readonly elasticsearchGzip: boolean;
  /** `aws`: requests carry a Signature Version 4, for domains of Amazon OpenSearch Service. */
  readonly elasticsearchSigning: 'none' | 'aws';
  /** What requests are signed for; undefined: the region of the domain's own host name, else awsRegion. */
  readonly elasticsearchRegion: string | undefined;
  readonly proxy: ProxySettings;
  readonly cloudwatchEndpoint: string | undefined;
  readonly cloudwatch: CloudWatchConfig;
  readonly s3: S3Config;
  readonly fileSink: FileSinkConfig;
  /** Dead records go to S3 as well, under `dead-letter/` of the prefix. */
  readonly isDeadLetterInS3: boolean;
  readonly awsRegion: string | undefined;
  /** Folder with the sink's credentials, one file per key; it may be absent. */
  readonly sinkSecretDir: string;
  readonly stateDir: string;
  /** Port of /livez, /readyz, /metrics and /ledger; 0 switches it off. */
  readonly adminPort: number;
  /** Address that it listens on. Probes and people come from outside the pod; on a machine of one's own they need not. */
  readonly adminHost: string;
  readonly terminationMessagePath: string;
  /** The pod's terminationGracePeriodSeconds, in milliseconds. */
  readonly graceMs: number;
  /** A batch that is not full is sent after this time. */
  readonly flushIntervalMs: number;
  /** `kubernetes.*`, `orchestrator.*` and `log.*` on every record, or the line alone. */
  readonly metadata: 'full' | 'none';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Ship what is there and end. */
  readonly once: boolean;
}

/** Retention values that CloudWatch Logs accepts (API reference, PutRetentionPolicy, retentionInDays). */
export const RETENTION_DAYS: readonly number[] = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** Bounds of the flush interval: shorter costs CPU for nothing, longer is noticed by people who wait for a line. */
export const FLUSH_INTERVAL_MS = { min: 50, max: 60_000, default: 1_000 } as const;

/** Names of the env variables, in the order in which `kubectl describe` shows them. */
export const ENV = {
  cluster: 'CLUSTER_NAME',
  namespace: 'POD_NAMESPACE',
  pod: 'POD_NAME',
  uid: 'POD_UID',
  node: 'NODE_NAME',
  app: 'APP_NAME',
  workload: 'WORKLOAD_NAME',
  files: 'LOG_FILES',
  stdio: STDIO_ENV.way,
  stdioContainers: STDIO_ENV.containers,
  stdioTokenDir: STDIO_ENV.tokenDir,
  endWith: END_ENV.containers,
  endTokenDir: END_ENV.tokenDir,
  sinks: 'SINKS',
  logGroup: 'LOG_GROUP',
  logStream: 'LOG_STREAM',
  dataStream: 'DATA_STREAM',
  retentionDays: 'RETENTION_DAYS',
  elasticsearchUrl: 'ELASTICSEARCH_URL',
  elasticsearchGzip: 'ELASTICSEARCH_GZIP',
  elasticsearchSigning: 'ELASTICSEARCH_SIGNING',
  elasticsearchRegion: 'ELASTICSEARCH_REGION',
  cloudwatchEndpoint: 'CLOUDWATCH_ENDPOINT',
  cloudwatchClass: CLOUDWATCH_ENV.logGroupClass,
  cloudwatchKmsKey: CLOUDWATCH_ENV.kmsKey,
  cloudwatchTags: CLOUDWATCH_ENV.tags,
  cloudwatchRejected: CLOUDWATCH_ENV.rejected,
  cloudwatchRequests: CLOUDWATCH_ENV.requestsPerSecond,
  cloudwatchConfirm: CLOUDWATCH_ENV.confirm,
  awsFips: CLOUDWATCH_ENV.fips,
  s3Bucket: 'S3_BUCKET',
  s3Prefix: 'S3_PREFIX',
  s3Endpoint: 'S3_ENDPOINT',
  s3Addressing: 'S3_ADDRESSING',
  s3Compression: 'S3_COMPRESSION',
  s3ObjectBytes: 'S3_OBJECT_BYTES',
  s3ObjectAge: 'S3_OBJECT_AGE',
  s3StorageClass: 'S3_STORAGE_CLASS',
  s3KmsKey: 'S3_KMS_KEY',
  s3Tags: 'S3_TAGS',
  deadLetterS3: 'DEAD_LETTER_S3',
  filePath: 'FILE_SINK_PATH',
  fileBytes: 'FILE_SINK_BYTES',
  awsRegion: 'AWS_REGION',
  httpProxy: 'HTTP_PROXY',
  httpsProxy: 'HTTPS_PROXY',
  noProxy: 'NO_PROXY',
  sinkSecretDir: 'SINK_SECRET_DIR',
  stateDir: 'STATE_DIR',
  adminPort: 'ADMIN_PORT',
  adminHost: 'ADMIN_HOST',
  terminationMessagePath: 'TERMINATION_MESSAGE_PATH',
  grace: 'GRACE_PERIOD',
  flushInterval: 'FLUSH_INTERVAL',
  metadata: 'METADATA',
  parser: 'PARSER',
  multiline: 'MULTILINE',
  include: 'INCLUDE',
  exclude: 'EXCLUDE',
  redact: 'REDACT',
  sample: 'SAMPLE',
  detect: 'DETECT',
  logLevel: 'LOG_LEVEL',
  once: 'ONCE',
} as const satisfies Readonly<Record<string, string>>;

/** Names the forwarder's own file, for runs without a webhook that writes the env: `logtender forward --config` sets it. */
export const CONFIG_FILE = 'LOGTENDER_CONFIG_FILE';

const S3_ENV_NAMES = {
  endpoint: ENV.s3Endpoint,
  addressing: ENV.s3Addressing,
  compression: ENV.s3Compression,
  objectBytes: ENV.s3ObjectBytes,
  objectAge: ENV.s3ObjectAge,
  storageClass: ENV.s3StorageClass,
  kmsKey: ENV.s3KmsKey,
  tags: ENV.s3Tags,
} as const;

export const DEFAULTS = {
  logGroup: '/k8s/{cluster}/{namespace}/{app}',
  logStream: '{pod}/{container}',
  dataStream: 'logs-logtender-{namespace}',
  prefix: S3_PREFIX_DEFAULT,
  sinkSecretDir: '/logtender/secret',
  stateDir: '/logtender/state',
  logsDir: '/logtender/logs',
  positionsMount: '/logtender/positions',
  terminationMessagePath: '/dev/termination-log',
  graceMs: 30_000,
  adminPort: 15_099,
  adminHost: '0.0.0.0',
} as const;

/** Folder of positions at the root of what an app mounts of a persistent volume. Nothing below a folder of this name is tailed. */
export const POSITIONS_FOLDER = '.logtender';
/** In the path of such a folder it stands for the pod's name, which admission may not know. */
export const POD_PLACEHOLDER = '{pod}';

/** The forwarder's bundle in the image. */
export const FORWARDER_ENTRY = '/app/forwarder.mjs';

/**
 * Flags of the sidecar's Node, chosen by measurement (docs/performance.md): a small young generation and no V8 helper threads take
 * anonymous memory at full speed from 48 to 26 MiB at the same CPU. Without helper threads an exit cannot wait for one of them for ever either
 * (nodejs/node#54918). The second compiler is for what runs for each line and not for each batch: ten times its default count of calls, so that
 * under a hard memory limit its code need not be read from the disk (2,800 to 1,800 faults with a read). The young generation is collected while
 * the old one is being marked, too: else it grows for as long as that takes, by ten megabytes and more, and what lies outside the heap with it.
 * Sources: Node.js documentation, command-line API; `node --v8-options`; V8, heap.cc, SelectGarbageCollector.
 */
export const FORWARDER_NODE_FLAGS: readonly string[] = [
  '--max-semi-space-size=1',
  '--single-threaded',
  '--invocation-count-for-turbofan=30000',
  '--no-separate-gc-phases',
];

/** Files of the sink Secret that the forwarder reads, with their meaning. */
export const SECRET_KEYS: Readonly<Record<string, string>> = {
  'elasticsearch-url':
    'URL of Elasticsearch or OpenSearch, or those of several nodes with commas between; wins over ELASTICSEARCH_URL',
  'elasticsearch-username': 'user name for basic authentication',
  'elasticsearch-password': 'password for basic authentication',
  'elasticsearch-api-key': 'API key (base64 of id:key), sent as Authorization: ApiKey',
  'elasticsearch-bearer-token': 'token sent as Authorization: Bearer',
  'elasticsearch-client.crt': 'PEM of the client certificate (mTLS), with its chain',
  'elasticsearch-client.key': 'PEM of the key of the client certificate',
  'elasticsearch-ca.crt': 'PEM of the CA that signed the server certificate',
  'aws-access-key-id': 'AWS access key id, where no role is used',
  'aws-secret-access-key': 'AWS secret access key',
  'aws-session-token': 'AWS session token',
  's3-ca.crt': 'PEM of the CA that signed the certificate of a server that is not AWS',
};

/**
 * Reads the env of a forwarder. All problems at once; a text that is not set takes its default.
 *
 * @param env the process env, or what the webhook is about to write
 * @param record told of every variable that is read
 */
export function parseForwarderEnv(
  env: Readonly<Record<string, string | undefined>>,
  record?: (shape: FieldShape) => void,
): Parsed<ForwarderConfig> {
  const raw: Record<string, unknown> = {};
  for (const name of Object.values(ENV)) {
    const value = env[name];
    if (value !== undefined && value !== '') raw[name] = value;
  }
  const reader = new Reader(raw, '', [], { isText: true, ...(record === undefined ? {} : { record }) });
  const problems = reader.problems;
  const pod = reader.text(ENV.pod, 'unknown-pod');
  const files = parseFiles(reader.raw(ENV.files), pod, problems);
  const sinks = parseSinks(reader.list(ENV.sinks, ['console']), problems);
  const retention = reader.integer(ENV.retentionDays, { min: 0, max: 3653 }, 0);
  if (retention !== 0 && !RETENTION_DAYS.includes(retention)) {
    reader.report(ENV.retentionDays, `one of ${RETENTION_DAYS.join(', ')}`);
  }
  const cloudwatchEndpoint = reader.text(ENV.cloudwatchEndpoint, undefined, HTTP_URL);
  const value: ForwarderConfig = {
    pod: {
      cluster: reader.text(ENV.cluster, 'default'),
      namespace: reader.text(ENV.namespace, 'default'),
      pod,
      uid: reader.text(ENV.uid, 'unknown-uid'),
      node: reader.text(ENV.node, ''),
      app: reader.text(ENV.app, reader.text(ENV.pod, 'unknown-app')),
      workload: reader.text(ENV.workload, ''),
    },
    files,
    stdio: readStdioConfig(reader),
    endWith: readEndConfig(reader),
    sinks,
    logGroup: reader.text(ENV.logGroup, DEFAULTS.logGroup),
    logStream: reader.text(ENV.logStream, DEFAULTS.logStream),
    dataStream: reader.text(ENV.dataStream, DEFAULTS.dataStream),
    retentionDays: retention === 0 ? undefined : retention,
    elasticsearchUrl: reader.text(ENV.elasticsearchUrl, undefined, HTTP_URLS),
    elasticsearchGzip: reader.flag(ENV.elasticsearchGzip, false),
    elasticsearchSigning: reader.oneOf(ENV.elasticsearchSigning, ['none', 'aws'], 'none'),
    elasticsearchRegion: reader.text(ENV.elasticsearchRegion, undefined),
    proxy: readProxy(reader),
    cloudwatchEndpoint,
    cloudwatch: readCloudWatchConfig(reader, CLOUDWATCH_ENV, cloudwatchEndpoint),
    s3: {
      bucket: reader.text(ENV.s3Bucket, undefined),
      prefix: reader.text(ENV.s3Prefix, DEFAULTS.prefix),
      ...readS3Options(reader, S3_ENV_NAMES, HTTP_URL),
    },
    fileSink: {
      path: reader.text(
        ENV.filePath,
        `${reader.text(ENV.stateDir, DEFAULTS.stateDir)}/records/records.ndjson`,
        ABSOLUTE,
      ),
      bytesMax: reader.integer(
        ENV.fileBytes,
        { min: FILE_SINK_BYTES.min, max: FILE_SINK_BYTES.max },
        FILE_SINK_BYTES.default,
      ),
    },
    isDeadLetterInS3: reader.flag(ENV.deadLetterS3, false),
    awsRegion: reader.text(ENV.awsRegion, undefined),
    sinkSecretDir: reader.text(ENV.sinkSecretDir, DEFAULTS.sinkSecretDir),
    stateDir: reader.text(ENV.stateDir, DEFAULTS.stateDir),
    adminPort: reader.integer(ENV.adminPort, { min: 0, max: 65_535 }, DEFAULTS.adminPort),
    adminHost: reader.text(ENV.adminHost, DEFAULTS.adminHost, NOT_EMPTY),
    terminationMessagePath: reader.text(ENV.terminationMessagePath, DEFAULTS.terminationMessagePath),
    graceMs: reader.duration(ENV.grace, { minMs: 0, maxMs: durationMs('7d') ?? 0 }, DEFAULTS.graceMs),
    flushIntervalMs: reader.duration(
      ENV.flushInterval,
      { minMs: FLUSH_INTERVAL_MS.min, maxMs: FLUSH_INTERVAL_MS.max },
      FLUSH_INTERVAL_MS.default,
    ),
    metadata: reader.oneOf(ENV.metadata, ['full', 'none'], 'full'),
    parser: reader.oneOf(ENV.parser, PARSERS, 'auto'),
    multiline: readRule(reader, ENV.multiline, readMultiline, undefined),
    include: readRule(reader, ENV.include, readPatterns, []),
    exclude: readRule(reader, ENV.exclude, readPatterns, []),
    redact: readRule(reader, ENV.redact, readPatterns, []),
    sample: readRule(reader, ENV.sample, readSamples, []),
    detect: readRule(reader, ENV.detect, readDetections, []),
    logLevel: reader.oneOf(ENV.logLevel, ['debug', 'info', 'warn', 'error'], 'info'),
    once: reader.flag(ENV.once, false),
  };
  return problems.length === 0 ? { ok: true, value } : { ok: false, problems };
}

/** With whose end the forwarder of which pod ends. */
export interface EndOrder {
  readonly endWith: EndConfig | undefined;
  readonly pod: Pick<PodIdentity, 'namespace' | 'pod'>;
}

/** The same part of an env whose other parts may be wrong. */
export function readEndOrder(env: Readonly<Record<string, string | undefined>>): EndOrder {
  const { endWith, endTokenDir, namespace, pod } = ENV;
  const names = [endWith, endTokenDir, namespace, pod];
  const parsed = parseForwarderEnv(Object.fromEntries(names.map((name) => [name, env[name]])));
  return parsed.ok ? parsed.value : { endWith: undefined, pod: { namespace: '', pod: '' } };
}

/** `http://…` or `https://…` with a host. */
export const HTTP_URL = {
  expected: 'a URL that begins with http:// or https://',
  test: (text: string): boolean => {
    const url = URL.parse(text);
    return url !== null && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '';
  },
};

/** Nodes of one cluster: more are of no use to a sidecar, which has one request in flight. */
export const NODES_MAX = 16;

/** One or several of HTTP_URL with commas between. */
export const HTTP_URLS = {
  expected: `${HTTP_URL.expected}, or at most ${NODES_MAX} with commas between`,
  test: (text: string): boolean => {
    const urls = splitUrls(text);
    return urls.length > 0 && urls.length <= NODES_MAX && urls.every(HTTP_URL.test);
  },
};

/** The single texts of a list of URLs. */
export function splitUrls(text: string): readonly string[] {
  return text
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '');
}

function readProxy(reader: Reader): ProxySettings {
  const http = reader.text(ENV.httpProxy, undefined, HTTP_URL);
  const https = reader.text(ENV.httpsProxy, undefined, HTTP_URL);
  const none = reader.text(ENV.noProxy, undefined);
  return {
    ...(http === undefined ? {} : { HTTP_PROXY: http }),
    ...(https === undefined ? {} : { HTTPS_PROXY: https }),
    ...(none === undefined ? {} : { NO_PROXY: none }),
  };
}

function readRule<T>(reader: Reader, name: string, read: (text: string) => Read<T>, fallback: T): T {
  const text = reader.text(name, '');
  if (text === '') return fallback;
  const result = read(text);
  if (result.ok) return result.value;
  const near = result.near === undefined ? undefined : nearest(...result.near);
  reader.problems.push({
    path: name,
    expected: result.expected,
    found: shown(text),
    ...(near === undefined ? {} : { near }),
    ...(result.hint === undefined ? {} : { hint: result.hint }),
  });
  return fallback;
}

function parseSinks(names: readonly string[], problems: Problem[]): readonly SinkName[] {
  const sinks: SinkName[] = [];
  for (const name of names) {
    const known = SINK_NAMES.find((sink) => sink === name);
    if (known === undefined)
      problems.push({ path: ENV.sinks, expected: `sinks among ${SINK_NAMES.join(', ')}`, found: shown(name) });
    else if (!sinks.includes(known)) sinks.push(known);
  }
  return sinks;
}

function parseFiles(raw: unknown, pod: string, problems: Problem[]): readonly FileGlob[] {
  if (raw === undefined) return [];
  const expected = 'a JSON list of {container, path, directory, mount, positions?}';
  let list: unknown = raw;
  try {
    if (typeof raw === 'string') list = JSON.parse(raw);
  } catch {
    problems.push({ path: ENV.files, expected, found: shown(raw) });
    return [];
  }
  if (!Array.isArray(list)) {
    problems.push({ path: ENV.files, expected, found: shown(list) });
    return [];
  }
  return list.flatMap((item: unknown, i) => {
    const reader = new Reader(item, `${ENV.files}[${i}]`, problems);
    const before = problems.length;
    const file = {
      container: reader.text('container', '', NOT_EMPTY),
      path: reader.text('path', '', ABSOLUTE),
      directory: reader.text('directory', '', ABSOLUTE),
      mount: reader.text('mount', '', ABSOLUTE),
    };
    const positions = reader.text('positions', undefined, ABSOLUTE)?.replaceAll(POD_PLACEHOLDER, pod);
    reader.rejectUnknown();
    for (const [key, text] of Object.entries(file))
      if (text === '' && problems.length === before) reader.report(key, 'a text');
    return problems.length === before ? [positions === undefined ? file : { ...file, positions }] : [];
  });
}

const NOT_EMPTY = { expected: 'a text that is not empty', test: (text: string): boolean => text !== '' };
const ABSOLUTE = {
  expected: 'an absolute path',
  test: (text: string): boolean => text.startsWith('/') && !text.includes('\0'),
};

/** All problems as one text, a line each. */
export function problemsText(problems: readonly Problem[]): string {
  return problems.map(problemText).join('\n');
}
