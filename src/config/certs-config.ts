/**
 * Configuration of the certificate manager: one YAML file (`certs.yaml` in the ConfigMap `logtender-config`) under the env that tells a
 * process who it is. Every key with its meaning and default.
 *
 * Invariants: all waits of the rotation are keys, so that a test runs a year in a minute; relations between them are checked here and
 * never again. May import: core, config.
 */
import type { LogLevel } from '../core/log.ts';
import { durationMs, Reader } from './fields.ts';
import type { Parsed, ReaderOptions } from './fields.ts';
import { HOST, INSTANCE, LABEL, NOT_EMPTY } from './name-forms.ts';
import { readYaml, withLines } from './yaml-text.ts';

/** Who makes the serving certificate: we, cert-manager, or somebody who puts files beside the webhook. */
export const CERTIFICATE_MODES = ['self', 'cert-manager', 'files'] as const;
export type CertificateMode = (typeof CERTIFICATE_MODES)[number];

/** Types of our keys. */
const KEY_TYPES = ['ecdsa-p256', 'rsa-2048'] as const;
export type KeyType = (typeof KEY_TYPES)[number];

export interface CertsConfig {
  /** `mode`: in any but `self` (the default) the process writes nothing at all. */
  readonly mode: CertificateMode;
  /** `namespace`: where our Secrets, Lease and Service live. Default: POD_NAMESPACE, else `logtender`. */
  readonly namespace: string;
  /** `instance`: suffix of every name, for a second install in one cluster. Default: none. */
  readonly instance: string;
  /** `hosts`: further DNS names and IP addresses of the leaf, beside `<service>.<namespace>.svc`. Default: none. */
  readonly hosts: readonly string[];
  /** `keyType`: type of new keys; a leaf of another type is renewed at once, a CA at its next rotation. Default `ecdsa-p256`. */
  readonly keyType: KeyType;
  /** `caLife`: life of a CA. Default `365d`. Renewed at two thirds. */
  readonly caLifeMs: number;
  /** `leafLife`: life of a leaf. Default `30d`. Renewed at two thirds. */
  readonly leafLifeMs: number;
  /**
   * `backdate`: how long before its making a certificate is valid, for clocks that are behind; at least 10s. Default `1h`. A replica whose
   * clock is off by more than half of it from the API server's waits.
   */
  readonly backdateMs: number;
  /** `settle`: how long a CA is trusted everywhere before a leaf depends on it. Default `60s`. */
  readonly settleMs: number;
  /** `pruneMargin`: how long after its last leaf's end a CA stays trusted. Default `1h`. */
  readonly pruneMarginMs: number;
  /** `restoreGrace`: how long a replica without memory leaves a lost CA to the others. Default `45s`, longer than a tick. */
  readonly restoreGraceMs: number;
  /** `tick`: longest time between two looks at the cluster. Default `30s`. */
  readonly tickMs: number;
  /** `lease`: how long a replica is left alone with the work after its last sign of life; at least 1s. Default `15s`. */
  readonly leaseMs: number;
  /** `adminHost`, `adminPort`: where /livez, /readyz and /metrics are served. Default: all addresses, 8081; port 0 takes a free one. */
  readonly adminHost: string;
  readonly adminPort: number;
  /** `logLevel`: debug, info, warn or error. Default `info`. */
  readonly logLevel: LogLevel;
  /** Name of this replica in the Lease. From POD_NAME. */
  readonly identity: string;
  /** Test hook, from LOGTENDER_FAULT_AT: the step and point at which the process kills itself. */
  readonly faultAt: string | undefined;
}

/** Env variables of the process, each with its meaning. They say who a replica is; they win over the file. */
export const CERTS_ENV = {
  /** Path of the YAML file. */
  configFile: 'CERTS_CONFIG_FILE',
  namespace: 'POD_NAMESPACE',
  pod: 'POD_NAME',
  /** For tests: `<step>:<before|after>`; the process kills itself (SIGKILL) when it first gets there. */
  faultAt: 'LOGTENDER_FAULT_AT',
} as const;

/** Names of everything, with the suffix of the instance. */
export interface CertsNames {
  readonly service: string;
  readonly caSecret: string;
  readonly tlsSecret: string;
  readonly lease: string;
  readonly webhookConfiguration: string;
  readonly configMap: string;
  /** Value of the ownership label. */
  readonly owner: string;
}

/** The names of DESIGN for an instance; the empty text is the first install. */
export function certsNames(instance: string): CertsNames {
  const suffix = instance === '' ? '' : `-${instance}`;
  return {
    service: `logtender-webhook${suffix}`,
    caSecret: `logtender-ca${suffix}`,
    tlsSecret: `logtender-tls${suffix}`,
    lease: `logtender-certs${suffix}`,
    webhookConfiguration: `logtender-injector${suffix}`,
    configMap: `logtender-config${suffix}`,
    owner: `logtender-certs${suffix}`,
  };
}

/** Name that API servers verify: `<service>.<namespace>.svc` (webhook client of the API server, service mode). */
export function serviceHost(config: Pick<CertsConfig, 'instance' | 'namespace'>): string {
  return `${certsNames(config.instance).service}.${config.namespace}.svc`;
}

const ms = (text: string): number => durationMs(text) ?? Number.NaN;

/** Reads the text of the YAML file and the env; problems carry their lines. */
export function parseCertsText(text: string, env: Readonly<Record<string, string | undefined>>): Parsed<CertsConfig> {
  const yaml = readYaml(text);
  return yaml.ok ? withLines(parseCertsConfig(yaml.value.raw, env), yaml.value) : yaml;
}

/**
 * Reads the document of the YAML file (undefined for none) and the env.
 *
 * All problems at once; unknown keys are problems, with the nearest known one.
 */
export function parseCertsConfig(
  document: unknown,
  env: Readonly<Record<string, string | undefined>>,
  options: ReaderOptions = {},
): Parsed<CertsConfig> {
  const reader = new Reader(document, '', [], options);
  const years10 = ms('3650d');
  const life = { minMs: ms('5s'), maxMs: years10 };
  // Half of it is how far clocks may be apart: the API server tells its own in whole seconds, and NTP keeps it to far less than five.
  const backdate = { minMs: ms('10s'), maxMs: ms('30d') };
  const wait = { minMs: 0, maxMs: ms('30d') };
  const namespace = reader.text('namespace', 'logtender', LABEL);
  const value: CertsConfig = {
    namespace: env[CERTS_ENV.namespace] ?? namespace,
    instance: reader.text('instance', '', INSTANCE),
    hosts: reader.list('hosts', [], HOST),
    mode: reader.oneOf('mode', CERTIFICATE_MODES, 'self'),
    keyType: reader.oneOf('keyType', KEY_TYPES, 'ecdsa-p256'),
    caLifeMs: reader.duration('caLife', life, ms('365d')),
    leafLifeMs: reader.duration('leafLife', life, ms('30d')),
    backdateMs: reader.duration('backdate', backdate, ms('1h')),
    settleMs: reader.duration('settle', wait, ms('60s')),
    pruneMarginMs: reader.duration('pruneMargin', wait, ms('1h')),
    restoreGraceMs: reader.duration('restoreGrace', wait, ms('45s')),
    tickMs: reader.duration('tick', { minMs: 100, maxMs: ms('60s') }, ms('30s')),
    leaseMs: reader.duration('lease', { minMs: 1_000, maxMs: ms('5m') }, ms('15s')),
    adminHost: reader.text('adminHost', '::', NOT_EMPTY),
    adminPort: reader.integer('adminPort', { min: 0, max: 65_535 }, 8_081),
    logLevel: reader.oneOf('logLevel', ['debug', 'info', 'warn', 'error'], 'info'),
    identity: env[CERTS_ENV.pod] ?? 'logtender-certs',
    faultAt: env[CERTS_ENV.faultAt],
  };
  checkRelations(value, reader);
  reader.rejectUnknown();
  return reader.problems.length === 0 ? { ok: true, value } : { ok: false, problems: reader.problems };
}

/** A rotation has to fit into the last third of a life, else a certificate ends before its successor may serve. */
function checkRelations(config: CertsConfig, reader: Reader): void {
  if (config.leafLifeMs / 3 < 2 * config.tickMs)
    reader.report('leafLife', `at least six ticks (${6 * config.tickMs}ms)`);
  if (config.leafLifeMs * 2 > config.caLifeMs)
    reader.report('caLife', `at least twice leafLife (${2 * config.leafLifeMs}ms)`);
  // Those who remember must have looked before a replica that does not gives up on them.
  if (config.restoreGraceMs < config.tickMs) reader.report('restoreGrace', `at least one tick (${config.tickMs}ms)`);
  const rotationMs = config.settleMs + 4 * config.tickMs;
  if (config.caLifeMs / 3 < rotationMs)
    reader.report('caLife', `at least three times settle and four ticks (${3 * rotationMs}ms)`);
}
