/**
 * The operator's configuration of the webhook: one YAML file, read at start and again whenever it changes.
 *
 * Invariants: all problems at once, each with its path and line; unknown keys are refused with a suggestion; no credentials in it.
 * What a key means, and whether a change of it needs a restart, stands in webhook-keys.ts.
 * `defaults` holds the same keys as the annotations; their formats are checked by the function that the caller brings, because the
 * catalogue of keys belongs to the webhook. May import: core, config.
 */
import { MiB, REVIEW_BYTES_MAX } from '../core/limits.ts';
import { CERTIFICATE_MODES } from './certs-config.ts';
import type { CertificateMode } from './certs-config.ts';
import { CLOUDWATCH_SECTION, readCloudWatchConfig } from './cloudwatch-config.ts';
import type { CloudWatchConfig } from './cloudwatch-config.ts';
import { Reader, shown } from './fields.ts';
import type { FieldShape, Parsed, Problem, TextForm } from './fields.ts';
import { HTTP_URL } from './forwarder-config.ts';
import { IMAGE_ALLOWED, IMAGE_REFERENCE, isImageAllowed } from './image-reference.ts';
import { HOST, INSTANCE, LABEL, NOT_EMPTY, OBJECT_NAME } from './name-forms.ts';
import { readS3Options, S3_FILE_NAMES } from './s3-config.ts';
import type { S3Options } from './s3-config.ts';
import { CPU_BUILT_IN_MOST, MEMORY_BUILT_IN_MOST, QUANTITY, quantityNumber } from './quantity.ts';
import { readYaml, withLines } from './yaml-text.ts';

export const SERVICE_ACCOUNT_MODES = ['never', 'if-default', 'require'] as const;
export type ServiceAccountMode = (typeof SERVICE_ACCOUNT_MODES)[number];

/** As Node and OpenSSL name them: a bare 1.3 would be a number in YAML. */
const TLS_VERSIONS = ['TLSv1.3', 'TLSv1.2'] as const;

const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

export interface WebhookServerConfig {
  /** `::` listens on IPv4 and IPv6. */
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  readonly bodyBytesMax: number;
  /** Bytes of all bodies that are read or decided on at one time; above it requests get 503 and Retry-After. */
  readonly inFlightBytesMax: number;
  readonly requestMsMax: number;
  /** How long requests are still served after SIGTERM, while endpoints and API servers take notice. */
  readonly drainMs: number;
  /** Oldest TLS that is spoken; 1.2 with AEAD ciphers alone. */
  readonly tlsMinVersion: (typeof TLS_VERSIONS)[number];
  /** Clients have to prove themselves by a certificate of this CA; undefined asks nobody for one. */
  readonly clientCa: ClientCaConfig | undefined;
  /** File whose one or two lines are secret last parts of the path; undefined serves the plain path. */
  readonly pathTokenFile: string | undefined;
}

export interface ClientCaConfig {
  /** PEM bundle; read again when it changes. */
  readonly file: string;
  /** Common names or DNS names of which the client's certificate has to bear one; none means any certificate of the CA. */
  readonly names: readonly string[];
}

export interface WebhookConfig {
  /** `{cluster}` of templates and `CLUSTER_NAME`. */
  readonly cluster: string;
  /** Namespace of logtender itself. From POD_NAMESPACE, else the file, else `logtender`. */
  readonly namespace: string;
  /** Suffix of every name of ours, for a second install in one cluster; none by default. */
  readonly instance: string;
  /** DNS names and IP addresses that the certificate has to cover beside `<service>.<namespace>.svc`. */
  readonly hosts: readonly string[];
  readonly image: string;
  readonly imagePullPolicy: (typeof PULL_POLICIES)[number] | undefined;
  /** Pull secrets for the image of the sidecar, by name in the namespace of each pod; added to those that the pod has. */
  readonly imagePullSecrets: readonly string[];
  /** Images that `logging.io/image` may name; an entry that ends with `/*`, `:*` or `@*` is a prefix. The image itself is always allowed. */
  readonly imagesAllowed: readonly string[];
  /** The most that `logging.io/cpu-*` and `logging.io/memory-*` may ask for, as quantities. */
  readonly resourcesMax: { readonly cpu: string | undefined; readonly memory: string | undefined };
  readonly serviceAccountMode: ServiceAccountMode;
  readonly elasticsearchUrl: string | undefined;
  readonly elasticsearchGzip: boolean;
  readonly elasticsearchSigning: 'none' | 'aws';
  readonly elasticsearchRegion: string | undefined;
  readonly cloudwatchEndpoint: string | undefined;
  readonly cloudwatch: CloudWatchConfig;
  /** How objects are written; bucket and prefix are keys of `defaults`. */
  readonly s3: S3Options & { /** Dead records go to the bucket as well. */ readonly isDeadLetter: boolean };
  readonly awsRegion: string | undefined;
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  readonly noProxy: string | undefined;
  /** Takes the ports of the sinks out of a mesh whose proxy is a plain container and ends before the sidecar has sent all. */
  readonly meshBypass: boolean;
  /** Lets pods ask for stdout and stderr from the log files of the node, which takes a hostPath volume. */
  readonly stdoutNode: boolean;
  /** Defaults per annotation key, as text. */
  readonly defaults: ReadonlyMap<string, string>;
  /** Admits every pod as it is, for emergencies; who asked is told. */
  readonly paused: boolean;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly tls: TlsSource;
  readonly server: WebhookServerConfig;
}

/** Where the serving certificate comes from: the Secret `logtender-tls`, written by us or by cert-manager, or three PEM files. */
export type TlsSource =
  | { readonly mode: Exclude<CertificateMode, 'files'> }
  | { readonly mode: 'files'; readonly certFile: string; readonly keyFile: string; readonly caFile: string };

/** Says what is wrong with one default; its path is the key. */
export type DefaultCheck = (key: string, text: string) => readonly Problem[];

/** Eight largest bodies; each costs some five times its bytes while it is parsed, which fits a container of 512 MiB. */
const IN_FLIGHT_BYTES_DEFAULT = 8 * REVIEW_BYTES_MAX;
const NO_CHECK: DefaultCheck = () => [];

export interface WebhookConfigOptions {
  /** The image of this version, where the file names none. */
  readonly image: string;
  /** What env says about our own namespace. */
  readonly namespace?: string;
  /** What env says about `tls.mode`. */
  readonly tlsMode?: string;
  readonly checkDefault?: DefaultCheck;
  /** Told of every key that is read. */
  readonly record?: (shape: FieldShape) => void;
}

/** Env variables of the webhook process, each with its meaning. */
export const WEBHOOK_ENV = {
  /** Path of the YAML file (`webhook.yaml` in the ConfigMap `logtender-config`); without it every key has its default. */
  configFile: 'WEBHOOK_CONFIG_FILE',
  namespace: 'POD_NAMESPACE',
  /** Wins over `tls.mode` of the file: the overlays of deploy/ set it together with the rights that go with a mode. */
  tlsMode: 'WEBHOOK_TLS_MODE',
} as const;

/** Parses the text of the file; an empty one gives the defaults. */
export function parseWebhookConfig(text: string, options: WebhookConfigOptions): Parsed<WebhookConfig> {
  const yaml = readYaml(text);
  if (!yaml.ok) return yaml;
  return withLines(readWebhookConfig(yaml.value.raw, options), yaml.value);
}

/** The same for a value that is parsed already. */
export function readWebhookConfig(raw: unknown, options: WebhookConfigOptions): Parsed<WebhookConfig> {
  const reader = new Reader(raw ?? {}, '', [], options.record === undefined ? {} : { record: options.record });
  const namespace = reader.text('namespace', 'logtender', LABEL);
  const cloudwatchEndpoint = reader.text('cloudwatchEndpoint', undefined, PLAIN_URL);
  const value: WebhookConfig = {
    cluster: reader.text('cluster', 'default', NOT_EMPTY),
    namespace: options.namespace ?? namespace,
    instance: reader.text('instance', '', INSTANCE),
    hosts: reader.list('hosts', [], HOST),
    image: reader.text('image', options.image, IMAGE_REFERENCE),
    imagePullPolicy: reader.oneOf<(typeof PULL_POLICIES)[number], undefined>(
      'imagePullPolicy',
      PULL_POLICIES,
      undefined,
    ),
    imagePullSecrets: reader.list('imagePullSecrets', [], OBJECT_NAME),
    imagesAllowed: reader.list('imagesAllowed', [], IMAGE_ALLOWED),
    resourcesMax: readResourcesMax(reader.section('resourcesMax')),
    serviceAccountMode: reader.oneOf('serviceAccountMode', SERVICE_ACCOUNT_MODES, 'if-default'),
    elasticsearchUrl: reader.text('elasticsearchUrl', undefined, PLAIN_URL),
    elasticsearchGzip: reader.flag('elasticsearchGzip', false),
    elasticsearchSigning: reader.oneOf('elasticsearchSigning', ['none', 'aws'], 'none'),
    elasticsearchRegion: reader.text('elasticsearchRegion', undefined, NOT_EMPTY),
    cloudwatchEndpoint,
    cloudwatch: readCloudWatch(reader.section('cloudwatch'), cloudwatchEndpoint),
    s3: readS3(reader.section('s3')),
    awsRegion: reader.text('awsRegion', undefined, NOT_EMPTY),
    httpProxy: reader.text('httpProxy', undefined, PLAIN_URL),
    httpsProxy: reader.text('httpsProxy', undefined, PLAIN_URL),
    noProxy: reader.text('noProxy', undefined, NOT_EMPTY),
    meshBypass: reader.flag('meshBypass', false),
    stdoutNode: reader.flag('stdoutNode', false),
    defaults: readDefaults(reader.raw('defaults'), options.checkDefault ?? NO_CHECK, reader.problems),
    paused: reader.flag('paused', false),
    logLevel: reader.oneOf('logLevel', ['debug', 'info', 'warn', 'error'], 'info'),
    tls: readTls(reader.section('tls'), options.tlsMode),
    server: readServer(reader.section('server')),
  };
  checkResourceDefaults(value, reader.problems);
  checkImageDefault(value, reader.problems);
  reader.rejectUnknown();
  return reader.problems.length === 0 ? { ok: true, value } : { ok: false, problems: reader.problems };
}

/** A URL that carries no password and no API key: env of a pod can be read by everybody who may read pods. */
const URL_PATTERN = /^https?:\/\/(?:\[[0-9A-Fa-f:.]+\]|[^\s\p{Cc}/?#@:[\]\\]+)(?::[0-9]{1,5})?(?:\/[^\s\p{Cc}?#]*)?$/u;
const PLAIN_URL: TextForm = {
  expected: `${HTTP_URL.expected}, without user, password, query and fragment`,
  // What a pattern cannot say (numbers of an address, of a port) the parser of URLs adds.
  test: (text) => URL_PATTERN.test(text) && HTTP_URL.test(text),
  pattern: URL_PATTERN.source,
};

function readS3(reader: Reader): WebhookConfig['s3'] {
  const s3 = {
    ...readS3Options(reader, S3_FILE_NAMES, PLAIN_URL),
    isDeadLetter: reader.flag('deadLetter', false),
  };
  reader.rejectUnknown();
  return s3;
}

function readCloudWatch(reader: Reader, endpoint: string | undefined): CloudWatchConfig {
  const config = readCloudWatchConfig(reader, CLOUDWATCH_SECTION, endpoint);
  reader.rejectUnknown();
  return config;
}

function readTls(reader: Reader, fromEnv: string | undefined): TlsSource {
  const inFile = reader.oneOf('mode', CERTIFICATE_MODES, 'self');
  const mode = fromEnv === undefined ? inFile : CERTIFICATE_MODES.find((known) => known === fromEnv);
  const files = {
    certFile: reader.text('certFile', '/etc/logtender-tls/tls.crt', NOT_EMPTY),
    keyFile: reader.text('keyFile', '/etc/logtender-tls/tls.key', NOT_EMPTY),
    caFile: reader.text('caFile', '/etc/logtender-tls/ca.crt', NOT_EMPTY),
  };
  reader.rejectUnknown();
  if (mode === 'files') return { mode, ...files };
  if (mode !== undefined) return { mode };
  const expected = `one of ${CERTIFICATE_MODES.join(', ')}`;
  reader.problems.push({ path: WEBHOOK_ENV.tlsMode, expected, found: shown(fromEnv) });
  return { mode: 'self' };
}

function readServer(reader: Reader): WebhookServerConfig {
  const server = {
    host: reader.text('host', '::', NOT_EMPTY),
    port: reader.integer('port', { min: 0, max: 65_535 }, 8443),
    adminPort: reader.integer('adminPort', { min: 0, max: 65_535 }, 8080),
    bodyBytesMax: reader.integer('bodyBytesMax', { min: 64 * 1024, max: 64 * MiB }, REVIEW_BYTES_MAX),
    inFlightBytesMax: reader.integer('inFlightBytesMax', { min: 1 * MiB, max: 1024 * MiB }, IN_FLIGHT_BYTES_DEFAULT),
    requestMsMax: reader.duration('requestTimeout', { minMs: 100, maxMs: 30_000 }, 10_000),
    drainMs: reader.duration('drain', { minMs: 0, maxMs: 60_000 }, 10_000),
    tlsMinVersion: reader.oneOf('tlsMinVersion', TLS_VERSIONS, 'TLSv1.3'),
    clientCa: readClientCa(reader.section('clientCa')),
    pathTokenFile: readPathToken(reader.section('pathToken')),
  };
  if (server.inFlightBytesMax < server.bodyBytesMax) {
    reader.report('inFlightBytesMax', `at least bodyBytesMax (${server.bodyBytesMax}), so that one request fits`);
  }
  reader.rejectUnknown();
  return server;
}

function readClientCa(reader: Reader): ClientCaConfig | undefined {
  const file = reader.text('file', undefined, NOT_EMPTY);
  const names = reader.list('names', [], NOT_EMPTY);
  if (file === undefined && names.length > 0) reader.report('file', 'a file with the CA of those clients');
  reader.rejectUnknown();
  return file === undefined ? undefined : { file, names };
}

function readPathToken(reader: Reader): string | undefined {
  const file = reader.text('file', undefined, NOT_EMPTY);
  reader.rejectUnknown();
  return file;
}

/** What is built in has to fit below, else nothing would be left to fall back on. */
function readResourcesMax(reader: Reader): WebhookConfig['resourcesMax'] {
  const most = {
    cpu: reader.text('cpu', undefined, quantityFrom(CPU_BUILT_IN_MOST, '200m')),
    memory: reader.text('memory', undefined, quantityFrom(MEMORY_BUILT_IN_MOST, '256Mi')),
  };
  reader.rejectUnknown();
  return most;
}

/** The operator's own defaults keep within the operator's own bounds. */
function checkResourceDefaults({ defaults, resourcesMax }: WebhookConfig, problems: Problem[]): void {
  for (const resource of ['cpu', 'memory'] as const) {
    const most = resourcesMax[resource];
    const bound = most === undefined ? undefined : quantityNumber(most);
    for (const key of [`${resource}-request`, `${resource}-limit`]) {
      const text = defaults.get(key);
      const number = text === undefined ? undefined : quantityNumber(text);
      if (bound === undefined || number === undefined || number <= bound) continue;
      problems.push({
        path: `defaults.${key}`,
        expected: `at most resourcesMax.${resource} (${most})`,
        found: shown(text),
      });
    }
  }
}

/** The same for the image: one that nobody may name would degrade every pod. */
function checkImageDefault(config: WebhookConfig, problems: Problem[]): void {
  const text = config.defaults.get('image');
  // What is no reference at all was said by its own check.
  if (text === undefined || !IMAGE_REFERENCE.test(text) || isImageAllowed(text, config)) return;
  problems.push({ path: 'defaults.image', expected: 'image, or one that imagesAllowed names', found: shown(text) });
}

function quantityFrom(least: string, example: string): TextForm {
  const bound = quantityNumber(least) ?? 0;
  return {
    expected: `a quantity of at least ${least}, such as ${example}`,
    test: (text) => (quantityNumber(text) ?? 0) >= bound,
    pattern: QUANTITY.source,
  };
}

/** Numbers and booleans are taken as the text they look like: `retention-days: 30` needs no quotes here. */
function readDefaults(raw: unknown, check: DefaultCheck, problems: Problem[]): ReadonlyMap<string, string> {
  const defaults = new Map<string, string>();
  if (raw === undefined || raw === null) return defaults;
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    problems.push({
      path: 'defaults',
      expected: 'an object of annotation keys without their prefix',
      found: shown(raw),
    });
    return defaults;
  }
  for (const [key, value] of Object.entries(raw as Readonly<Record<string, unknown>>)) {
    const texts = (Array.isArray(value) ? value : [value]).map(scalarText);
    if (texts.includes(undefined)) {
      problems.push({ path: `defaults.${key}`, expected: 'a text', found: shown(value) });
      continue;
    }
    const text = texts.join(',');
    problems.push(...check(key, text).map((problem) => ({ ...problem, path: `defaults.${problem.path}` })));
    defaults.set(key, text);
  }
  return defaults;
}

function scalarText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}
