/**
 * The operator's configuration of the webhook: one YAML file, read at start.
 *
 * Invariants: all problems at once, each with its path; unknown keys are refused with a suggestion; no credentials in it.
 * `defaults` holds the same keys as the annotations; their formats are checked by the function that the caller brings, because the
 * catalogue of keys belongs to the webhook. May import: core, config.
 */
import { parse as parseYaml } from 'yaml';

import { errorText } from '../core/errors.ts';
import { MiB, REVIEW_BYTES_MAX } from '../core/limits.ts';
import { Reader, shown } from './fields.ts';
import type { Parsed, Problem } from './fields.ts';
import { HTTP_URL } from './forwarder-config.ts';

export const SERVICE_ACCOUNT_MODES = ['never', 'if-default', 'require'] as const;
export type ServiceAccountMode = (typeof SERVICE_ACCOUNT_MODES)[number];

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
  /** Images that `logging.io/image` may name; an entry that ends with `*` is a prefix. The image itself is always allowed. */
  readonly imagesAllowed: readonly string[];
  readonly serviceAccountMode: ServiceAccountMode;
  readonly elasticsearchUrl: string | undefined;
  readonly cloudwatchEndpoint: string | undefined;
  readonly awsRegion: string | undefined;
  /** Defaults per annotation key, as text. */
  readonly defaults: ReadonlyMap<string, string>;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly server: WebhookServerConfig;
}

/** Says what is wrong with one default; its path is the key. */
export type DefaultCheck = (key: string, text: string) => readonly Problem[];

/** Eight largest bodies; each costs some five times its bytes while it is parsed, which fits a container of 512 MiB. */
const IN_FLIGHT_BYTES_DEFAULT = 8 * REVIEW_BYTES_MAX;
const NO_CHECK: DefaultCheck = () => [];
/** Some of these reach env of pods, where a NUL keeps a container from starting. */
const NOT_EMPTY = {
  expected: 'a text that is not empty, without control characters',
  test: (text: string): boolean => /^\P{Cc}+$/u.test(text),
};
const INSTANCE = {
  expected: 'at most 40 lower-case letters, digits and -',
  test: (text: string): boolean => /^(?:[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)?$/.test(text),
};
const IMAGE = {
  expected: 'an image reference without blanks',
  test: (text: string): boolean => /^[^\s\p{Cc}]{1,512}$/u.test(text),
};

export interface WebhookConfigOptions {
  /** The image of this version, where the file names none. */
  readonly image: string;
  /** What env says about our own namespace. */
  readonly namespace?: string;
  readonly checkDefault?: DefaultCheck;
}

/** Env variables of the webhook process, each with its meaning. */
export const WEBHOOK_ENV = {
  /** Path of the YAML file (`webhook.yaml` in the ConfigMap `logtender-config`); without it every key has its default. */
  configFile: 'WEBHOOK_CONFIG_FILE',
  namespace: 'POD_NAMESPACE',
} as const;

/** Parses the text of the file; an empty one gives the defaults. */
export function parseWebhookConfig(text: string, options: WebhookConfigOptions): Parsed<WebhookConfig> {
  let raw: unknown;
  try {
    raw = parseYaml(text);
  } catch (error) {
    const found = errorText(error).split('\n', 1)[0] ?? '';
    return { ok: false, problems: [{ path: '(file)', expected: 'YAML', found }] };
  }
  return readWebhookConfig(raw, options);
}

/** The same for a value that is parsed already. */
export function readWebhookConfig(raw: unknown, options: WebhookConfigOptions): Parsed<WebhookConfig> {
  const reader = new Reader(raw ?? {});
  const namespace = reader.text('namespace', 'logtender', NOT_EMPTY);
  const value: WebhookConfig = {
    cluster: reader.text('cluster', 'default', NOT_EMPTY),
    namespace: options.namespace ?? namespace,
    instance: reader.text('instance', '', INSTANCE),
    hosts: reader.list('hosts', []),
    image: reader.text('image', options.image, IMAGE),
    imagePullPolicy: reader.oneOf<(typeof PULL_POLICIES)[number], undefined>(
      'imagePullPolicy',
      PULL_POLICIES,
      undefined,
    ),
    imagesAllowed: reader.list('imagesAllowed', []),
    serviceAccountMode: reader.oneOf('serviceAccountMode', SERVICE_ACCOUNT_MODES, 'if-default'),
    elasticsearchUrl: reader.text('elasticsearchUrl', undefined, PLAIN_URL),
    cloudwatchEndpoint: reader.text('cloudwatchEndpoint', undefined, PLAIN_URL),
    awsRegion: reader.text('awsRegion', undefined, NOT_EMPTY),
    defaults: readDefaults(reader.raw('defaults'), options.checkDefault ?? NO_CHECK, reader.problems),
    logLevel: reader.oneOf('logLevel', ['debug', 'info', 'warn', 'error'], 'info'),
    server: readServer(reader.section('server')),
  };
  reader.rejectUnknown();
  return reader.problems.length === 0 ? { ok: true, value } : { ok: false, problems: reader.problems };
}

/** A URL that carries no password: env of a pod can be read by everybody who may read pods. */
const PLAIN_URL = {
  expected: `${HTTP_URL.expected}, without user and password`,
  test: (text: string): boolean => {
    const url = URL.parse(text);
    return HTTP_URL.test(text) && url !== null && url.username === '' && url.password === '';
  },
};

function readServer(reader: Reader): WebhookServerConfig {
  const server = {
    host: reader.text('host', '::', NOT_EMPTY),
    port: reader.integer('port', { min: 0, max: 65_535 }, 8443),
    adminPort: reader.integer('adminPort', { min: 0, max: 65_535 }, 8080),
    bodyBytesMax: reader.integer('bodyBytesMax', { min: 64 * 1024, max: 64 * MiB }, REVIEW_BYTES_MAX),
    inFlightBytesMax: reader.integer('inFlightBytesMax', { min: 1 * MiB, max: 1024 * MiB }, IN_FLIGHT_BYTES_DEFAULT),
    requestMsMax: reader.duration('requestTimeout', { minMs: 100, maxMs: 30_000 }, 10_000),
    drainMs: reader.duration('drain', { minMs: 0, maxMs: 60_000 }, 10_000),
  };
  if (server.inFlightBytesMax < server.bodyBytesMax) {
    reader.report('inFlightBytesMax', `at least bodyBytesMax (${server.bodyBytesMax}), so that one request fits`);
  }
  reader.rejectUnknown();
  return server;
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
