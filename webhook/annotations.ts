/**
 * Every key under `logging.io/` that a user may write: meaning, format, default, places, and whether this version acts on it.
 *
 * Invariants: a key that is read anywhere stands here; the same keys are annotations of a pod, annotations of its namespace (defaults
 * for its pods) and `defaults` of the operator's config. Most specific wins: pod, namespace, config, built-in. May import: core, config.
 */
import { DEFAULTS } from '../src/config/forwarder-config.ts';
import { DETECTIONS, LEVELS, MULTILINE_PRESETS, PARSERS } from '../src/config/record-rules.ts';
import { bucketTemplate, prefixTemplate } from './annotation-bucket.ts';
import { detections, multiline, patternList, sampleList } from './annotation-patterns.ts';
import {
  containerList,
  CPU_LIMIT_LEAST,
  datedTemplate,
  fileList,
  flushInterval,
  imageReference,
  MEMORY_LEAST,
  objectName,
  oneOf,
  quantity,
  quantityFrom,
  retentionDays,
  roleArn,
  sinkList,
  template,
} from './annotation-values.ts';
import type { Value } from './annotation-values.ts';

/** Where a key may be written. `config` means the `defaults` of the operator's config file. */
export type Place = 'pod' | 'namespace' | 'namespace-label' | 'config';

export interface KeyDocumentation {
  readonly meaning: string;
  readonly format: string;
  /** What holds when nobody says anything. */
  readonly builtIn: string;
  readonly places: readonly Place[];
  /** Values are checked by it whether or not the key is acted on. */
  readonly parse: (text: string) => Value<unknown>;
  /** False for a key that is documented but that the forwarder of this version cannot carry out: answered with `key_not_available`. */
  readonly isAvailable: boolean;
}

const EVERYWHERE: readonly Place[] = ['pod', 'namespace', 'config'];

/** Words and parsers that more than one place needs. */
export const PARSE = {
  inject: oneOf(['true', 'false']),
  files: fileList,
  stdout: oneOf(['auto', 'api', 'node', 'off']),
  sink: sinkList,
  sinkSecret: objectName('Secret'),
  roleArn,
  template,
  datedTemplate,
  naming: oneOf(['path', 'flat']),
  parser: oneOf(PARSERS),
  metadata: oneOf(['full', 'none']),
  retentionDays,
  flushInterval,
  serviceAccount: objectName('service account'),
  cpu: quantity('5m'),
  cpuLimit: quantityFrom(CPU_LIMIT_LEAST, '100m'),
  memory: quantityFrom(MEMORY_LEAST, '48Mi'),
  image: imageReference,
  sidecar: oneOf(['auto', 'native', 'container']),
  onInvalid: oneOf(['warn', 'deny']),
  containers: containerList,
  bucket: bucketTemplate,
  prefix: prefixTemplate,
  multiline,
  patterns: patternList,
  sample: sampleList,
  detect: detections,
} as const;

function key(
  meaning: string,
  format: string,
  builtIn: string,
  parse: (text: string) => Value<unknown>,
): KeyDocumentation {
  return { meaning, format, builtIn, places: EVERYWHERE, parse, isAvailable: true };
}

/** A key that users find in the documentation and that this version answers with `key_not_available`. */
const PATTERN_LIST =
  'a pattern a line, or a JSON list of patterns; regular expressions without lookaround and back-references';

export const KEYS = {
  inject: {
    meaning:
      'asks for the sidecar; a pod beats its namespace, and a pod that says "false" is never sent to the webhook',
    format: '"true" or "false"; annotation of a pod, label of a namespace',
    builtIn: '-',
    places: ['pod', 'namespace-label'],
    parse: PARSE.inject,
    isAvailable: true,
  },
  files: key(
    'log files to ship, as globs; a prefix names the container, without it every container of the user is meant',
    'comma list of [container:]/absolute/glob with *, ?, [] and **',
    'none',
    PARSE.files,
  ),
  stdout: key(
    'stdout and stderr of the containers: by the log of the pod in the API (api), from the files of the node (node, where the operator allows it), or not; [stdout.md](stdout.md)',
    'auto, api, node or off',
    'auto: api where the pod will run under the account that logtender namespace makes, else off with a warning',
    PARSE.stdout,
  ),
  containers: key(
    'the containers whose stdout and stderr are shipped',
    'comma list of names',
    'all but ours and mesh proxies',
    PARSE.containers,
  ),
  sink: key(
    'destinations; console is the log of the sidecar, file a bounded file in its state volume',
    'comma list of elasticsearch, cloudwatch, s3, file, console',
    'console, with a warning',
    PARSE.sink,
  ),
  'sink-secret': key(
    'Secret in the namespace of the pod with credentials, URL and CA of the sinks; a missing one never blocks the pod',
    'name of a Secret',
    'logtender-sink',
    PARSE.sinkSecret,
  ),
  'role-arn': key(
    'AWS role of the sidecar, and of nothing else in the pod',
    'ARN of an IAM role',
    'none',
    PARSE.roleArn,
  ),
  'log-group': key('CloudWatch log group', 'template', DEFAULTS.logGroup, PARSE.template),
  'log-stream': key(
    'CloudWatch log stream; /{file} is added for files when the template does not name it',
    'template',
    DEFAULTS.logStream,
    PARSE.template,
  ),
  'data-stream': key(
    'Elasticsearch data stream',
    'template, dates as {yyyy.MM.dd}',
    DEFAULTS.dataStream,
    PARSE.datedTemplate,
  ),
  index: key(
    'Elasticsearch index; another word for data-stream',
    'template, dates as {yyyy.MM.dd}',
    '-',
    PARSE.datedTemplate,
  ),
  bucket: key('S3 bucket', 'template', '-', PARSE.bucket),
  prefix: key('S3 key prefix, before year=/month=/day=/hour=', 'template', DEFAULTS.prefix, PARSE.prefix),
  naming: key(
    'names of log group and stream: path is /k8s/{cluster}/{namespace}/{app}, flat is k8s_{cluster}_{namespace}_{app}_{container}; wins over log-group and log-stream of a less specific level',
    'path or flat',
    'path',
    PARSE.naming,
  ),
  parser: key(
    'how a line becomes a record: auto takes whole JSON objects apart, json the same and counts what is none, logfmt reads key=value, cri the lines of container runtimes, none leaves every line as it is',
    PARSERS.join(', '),
    'auto',
    PARSE.parser,
  ),
  metadata: key('kubernetes.* fields on every record, or the line alone', 'full or none', 'full', PARSE.metadata),
  multiline: key(
    'joins lines to one record: stack traces of the named languages, or every line up to the next that matches a start pattern',
    `comma list of ${MULTILINE_PRESETS.join(', ')}, or start:PATTERN`,
    'none',
    PARSE.multiline,
  ),
  redact: key(
    'patterns whose matches become ***, before anything leaves the process',
    PATTERN_LIST,
    'none',
    PARSE.patterns,
  ),
  include: key(
    'ships only records that match one of the patterns; the others are counted',
    PATTERN_LIST,
    'none',
    PARSE.patterns,
  ),
  exclude: key('drops records that match one of the patterns, and counts them', PATTERN_LIST, 'none', PARSE.patterns),
  sample: key(
    `ships a share of the records, or so many a second; the first entry that fits decides, one without level or pattern fits all. Errors are always shipped. Levels are ${LEVELS.join(', ')}`,
    'SHARE% or RATE/s, then level:NAMES or PATTERN, a line, or a JSON list of them: 10% DEBUG',
    'none',
    PARSE.sample,
  ),
  detect: key(
    'looks in lines that are no JSON for the time and the level that they say; the level becomes log.level',
    `comma list of ${DETECTIONS.join(', ')}, or none`,
    'none',
    PARSE.detect,
  ),
  'retention-days': key(
    'retention of the CloudWatch log groups that we create',
    "one of CloudWatch's allowed days",
    'none (AWS keeps them for ever)',
    PARSE.retentionDays,
  ),
  'flush-interval': key(
    'a batch that is not full is sent after this time',
    'duration from 50ms to 60s',
    '1s',
    PARSE.flushInterval,
  ),
  'service-account': key(
    'account under which the pod runs instead of default; only the sidecar gets its token',
    'name of a service account in the namespace of the pod',
    'none',
    PARSE.serviceAccount,
  ),
  'cpu-request': key('CPU request of the sidecar', 'quantity', '5m (50m in a Guaranteed pod)', PARSE.cpu),
  'cpu-limit': key(
    'CPU limit of the sidecar',
    'quantity, at least 20m',
    'none (the request in a Guaranteed pod)',
    PARSE.cpuLimit,
  ),
  'memory-request': key(
    'memory request of the sidecar',
    'quantity, at least 32Mi',
    '48Mi (64Mi with an AWS sink)',
    PARSE.memory,
  ),
  'memory-limit': key(
    'memory limit of the sidecar',
    'quantity, at least 32Mi',
    '48Mi (64Mi with an AWS sink)',
    PARSE.memory,
  ),
  image: key('image of the sidecar, one that the operator allows', 'image reference', "the operator's", PARSE.image),
  sidecar: key(
    'shape: native is an init container that keeps running, container a plain one, auto asks the kubelets',
    'auto, native or container',
    'auto',
    PARSE.sidecar,
  ),
  'on-invalid': key(
    'what a bad value does: the next lower level applies and the status says degraded, or the pod is refused',
    'warn or deny',
    'warn',
    PARSE.onInvalid,
  ),
  'failure-policy': {
    meaning: 'what happens to pods that asked while the webhook is down: admitted without sidecar, or refused',
    format: 'ignore or fail; label of a namespace',
    builtIn: 'ignore',
    places: ['namespace-label'],
    parse: oneOf(['ignore', 'fail']),
    isAvailable: true,
  },
  status: {
    meaning: 'written by logtender: decision, reason, level, version, shape, service account, destinations, originals',
    format: 'JSON',
    builtIn: '-',
    places: ['pod'],
    parse: (text: string): Value<string> => ({ ok: true, value: text }),
    isAvailable: true,
  },
} as const satisfies Readonly<Record<string, KeyDocumentation>>;

export type Key = keyof typeof KEYS;
export const KEY_NAMES = Object.keys(KEYS) as readonly Key[];

/** The documentation of a key, or undefined for a word that is none. */
export function documentationOf(name: string): KeyDocumentation | undefined {
  return Object.hasOwn(KEYS, name) ? KEYS[name as Key] : undefined;
}
