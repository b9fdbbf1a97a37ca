/**
 * What one pod's sidecar shall be: every key resolved by precedence pod > namespace > config > built-in, with all that is to be said.
 *
 * Pure. Invariant: a value that is not valid never stops the resolution, it becomes a finding and the next lower level applies.
 * May import: core, config.
 */
import { nearest, shown } from '../src/config/fields.ts';
import type { Problem } from '../src/config/fields.ts';
import { DEFAULTS } from '../src/config/forwarder-config.ts';
import type { SinkName } from '../src/config/forwarder-config.ts';
import type { RecordRules } from '../src/config/record-rules.ts';
import { isImageAllowed } from '../src/config/image-reference.ts';
import { quantityNumber } from '../src/config/quantity.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import { documentationOf, KEY_NAMES, KEYS, PARSE } from './annotations.ts';
import type { Key } from './annotations.ts';
import type { FileEntry, Parse, Quantity } from './annotation-values.ts';
import type { Finding, Level } from './finding.ts';
import { PREFIX } from './names.ts';
import { Recent } from './recent.ts';

export interface Settings extends RecordRules {
  readonly files: readonly FileEntry[];
  readonly stdout: 'auto' | 'api' | 'node' | 'off';
  /** Whose stdout and stderr; undefined: all of the user's. */
  readonly containers: readonly string[] | undefined;
  readonly sinks: readonly SinkName[];
  readonly sinkSecret: string;
  readonly roleArn: string | undefined;
  readonly logGroup: string;
  readonly logStream: string;
  readonly dataStream: string;
  /** Undefined: nobody named one. */
  readonly bucket: string | undefined;
  readonly prefix: string;
  readonly retentionDays: number | undefined;
  readonly flushInterval: string;
  readonly metadata: 'full' | 'none';
  readonly serviceAccount: string | undefined;
  readonly resources: {
    readonly cpuRequest: Quantity | undefined;
    readonly cpuLimit: Quantity | undefined;
    readonly memoryRequest: Quantity | undefined;
    readonly memoryLimit: Quantity | undefined;
  };
  readonly image: string;
  readonly shape: 'auto' | 'native' | 'container';
  readonly onInvalid: 'warn' | 'deny';
  /** Which level each key has its value from; a key that is not here has the built-in one. */
  readonly origins: ReadonlyMap<Key, Level>;
}

/** What each level says, as `key without prefix -> text`. */
export interface Levels {
  readonly pod: ReadonlyMap<string, string>;
  readonly namespace: ReadonlyMap<string, string>;
  readonly config: ReadonlyMap<string, string>;
}

const BUILT_IN = {
  sinkSecret: 'logtender-sink',
  flushInterval: '1s',
  flat: { logGroup: 'k8s_{cluster}_{namespace}_{app}_{container}', logStream: '{pod}_{container}' },
} as const;

export interface Resolved {
  readonly settings: Settings;
  readonly findings: readonly Finding[];
}

/** Ways in which the teams of a cluster annotate their pods; some 2 KiB each. */
const RESOLVED_MAX = 256;
/** A configuration is an immutable value that every request of its time shares; with it goes what was resolved under it. */
const RESOLVED = new WeakMap<WebhookConfig, Recent<Resolved>>();

/** Resolves every key of a pod in a namespace; `levels.config` is taken from the configuration itself. */
export function settingsOf(levels: Pick<Levels, 'pod' | 'namespace'>, config: WebhookConfig): Resolved {
  const known = RESOLVED.get(config) ?? new Recent(RESOLVED_MAX);
  RESOLVED.set(config, known);
  // The status of an earlier pass is no setting, and differs from pod to pod.
  const own = [...levels.pod].filter(([key]) => key !== 'status');
  const text = JSON.stringify([own, [...levels.namespace]]);
  return known.of(text, () => resolveSettings({ ...levels, config: config.defaults }, config));
}

/** Resolves every key. */
export function resolveSettings(levels: Levels, config: WebhookConfig): Resolved {
  const resolver = new Resolver(levels);
  const naming = resolver.value('naming', PARSE.naming) ?? 'path';
  const names = naming === 'flat' ? BUILT_IN.flat : DEFAULTS;
  const sinks = resolver.value('sink', PARSE.sink);
  if (sinks === undefined) resolver.findings.push({ code: 'sink_defaulted', key: 'sink' });
  const settings: Settings = {
    files: resolver.value('files', PARSE.files) ?? [],
    stdout: resolver.value('stdout', PARSE.stdout) ?? 'auto',
    containers: resolver.value('containers', PARSE.containers),
    sinks: sinks ?? ['console'],
    sinkSecret: resolver.value('sink-secret', PARSE.sinkSecret) ?? BUILT_IN.sinkSecret,
    roleArn: resolver.value('role-arn', PARSE.roleArn),
    logGroup: resolver.value('log-group', PARSE.template, 'naming') ?? names.logGroup,
    logStream: resolver.value('log-stream', PARSE.template, 'naming') ?? names.logStream,
    dataStream: resolver.alternatives('data-stream', 'index', PARSE.datedTemplate) ?? DEFAULTS.dataStream,
    ...objectNames(resolver, sinks ?? []),
    retentionDays: resolver.value('retention-days', PARSE.retentionDays),
    flushInterval: resolver.value('flush-interval', PARSE.flushInterval) ?? BUILT_IN.flushInterval,
    ...recordRules(resolver),
    metadata: resolver.value('metadata', PARSE.metadata) ?? 'full',
    serviceAccount: resolver.value('service-account', PARSE.serviceAccount),
    resources: {
      cpuRequest: resolver.value('cpu-request', atMost(config.resourcesMax.cpu, PARSE.cpu)),
      cpuLimit: resolver.value('cpu-limit', atMost(config.resourcesMax.cpu, PARSE.cpuLimit)),
      memoryRequest: resolver.value('memory-request', atMost(config.resourcesMax.memory, PARSE.memory)),
      memoryLimit: resolver.value('memory-limit', atMost(config.resourcesMax.memory, PARSE.memory)),
    },
    image: resolver.value('image', allowedImage(config)) ?? config.image,
    shape: resolver.value('sidecar', PARSE.sidecar) ?? 'auto',
    onInvalid: resolver.value('on-invalid', PARSE.onInvalid) ?? 'warn',
    origins: resolver.origins,
  };
  for (const key of KEY_NAMES) if (!KEYS[key].isAvailable) resolver.unavailable(key, KEYS[key].parse);
  return { settings, findings: [...resolver.findings, ...keyFindings(levels)] };
}

/** Bucket and prefix; S3 without a bucket has nowhere to go. */
function objectNames(resolver: Resolver, sinks: readonly SinkName[]): Pick<Settings, 'bucket' | 'prefix'> {
  const bucket = resolver.value('bucket', PARSE.bucket);
  if (sinks.includes('s3') && bucket === undefined) resolver.findings.push({ code: 'bucket_missing', key: 'bucket' });
  return { bucket, prefix: resolver.value('prefix', PARSE.prefix) ?? DEFAULTS.prefix };
}

/** How lines become records. */
function recordRules(resolver: Resolver): RecordRules {
  return {
    parser: resolver.value('parser', PARSE.parser) ?? 'auto',
    multiline: resolver.value('multiline', PARSE.multiline),
    include: resolver.value('include', PARSE.patterns) ?? [],
    exclude: resolver.value('exclude', PARSE.patterns) ?? [],
    redact: resolver.value('redact', PARSE.patterns) ?? [],
    sample: resolver.value('sample', PARSE.sample) ?? [],
    detect: resolver.value('detect', PARSE.detect) ?? [],
  };
}

/** The annotations of ours in a map of all, without their prefix. */
export function ownKeys(annotations: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  for (const [key, text] of annotations) if (key.startsWith(PREFIX)) own.set(key.slice(PREFIX.length), text);
  return own;
}

class Resolver {
  readonly findings: Finding[] = [];
  readonly origins = new Map<Key, Level>();
  readonly #levels: readonly (readonly [Level, ReadonlyMap<string, string>])[];

  constructor(levels: Levels) {
    this.#levels = [
      ['pod', levels.pod],
      ['namespace', levels.namespace],
      ['config', levels.config],
    ];
  }

  /**
   * The first valid value; each invalid one above it becomes a finding.
   *
   * @param rival a key that was resolved before, and that says something else about the same: from its level down nothing else counts
   *   but what the very same level says with `key`
   */
  value<T>(key: Key, parse: Parse<T>, rival?: Key): T | undefined {
    const last = rival === undefined ? undefined : this.origins.get(rival);
    for (const [level, texts] of this.#levels) {
      const found = this.#at(key, level, texts, parse);
      if (found !== undefined) {
        this.origins.set(key, level);
        return found;
      }
      if (level === last) return undefined;
    }
    return undefined;
  }

  /** Two words for one thing: per level the first wins over the second. */
  alternatives<T>(first: Key, second: Key, parse: Parse<T>): T | undefined {
    for (const [level, texts] of this.#levels) {
      const found = this.#at(first, level, texts, parse);
      if (found !== undefined && texts.has(second)) this.findings.push({ code: 'superseded', key: second, level });
      const either = found ?? this.#at(second, level, texts, parse);
      if (either === undefined) continue;
      this.origins.set(found === undefined ? second : first, level);
      return either;
    }
    return undefined;
  }

  /** A key that this version does not act on: its values are checked all the same, and the one that would hold is answered. */
  unavailable(key: Key, parse: Parse<unknown>): void {
    for (const [level, texts] of this.#levels) {
      if (this.#at(key, level, texts, parse) === undefined) continue;
      this.findings.push({ code: 'key_not_available', key, level });
      return;
    }
  }

  #at<T>(key: Key, level: Level, texts: ReadonlyMap<string, string>, parse: Parse<T>): T | undefined {
    const text = texts.get(key);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value.ok) return value.value;
    const hint = value.hint === undefined ? '' : `, ${value.hint}`;
    this.findings.push({
      code: value.code,
      key,
      level,
      detail: `expected ${value.expected}, got ${shown(text)}${hint}`,
    });
    return undefined;
  }
}

/** An image reference that the operator allows. */
function allowedImage(config: WebhookConfig): Parse<string> {
  return (text) => {
    const image = PARSE.image(text);
    if (!image.ok || isImageAllowed(text, config)) return image;
    return { ok: false, code: 'not_allowed', expected: 'an image that the operator allows' };
  };
}

/** A quantity that is not above what the operator allows; the built-in ones never are. */
function atMost(most: string | undefined, parse: Parse<Quantity>): Parse<Quantity> {
  const bound = most === undefined ? undefined : quantityNumber(most);
  if (bound === undefined) return parse;
  return (text) => {
    const value = parse(text);
    if (!value.ok || value.value.number <= bound) return value;
    return { ok: false, code: 'not_allowed', expected: `at most ${most}, which the operator allows` };
  };
}

/** Keys that nobody knows, or that stand where nobody reads them. */
function keyFindings(levels: Levels): Finding[] {
  const findings: Finding[] = [];
  for (const level of ['pod', 'namespace'] as const) {
    for (const key of levels[level].keys()) {
      const finding = keyFinding(key, level);
      if (finding !== undefined) findings.push(finding);
    }
  }
  return findings;
}

function keyFinding(key: string, level: 'pod' | 'namespace'): Finding | undefined {
  const documentation = documentationOf(key);
  if (documentation === undefined) {
    const near = nearest(key, KEY_NAMES);
    const hint = near === undefined ? '' : `, did you mean logging.io/${near}?`;
    return { code: 'unknown_key', key: cutKey(key), level, detail: `expected a known key${hint}` };
  }
  if (!documentation.places.includes(level)) {
    if (key === 'status' && level === 'namespace') return undefined;
    return { code: 'wrong_place', key, level, detail: `expected as ${documentation.places.join(' or ')}` };
  }
  return undefined;
}

function cutKey(key: string): string {
  return key.length <= 63 ? key : `${key.slice(0, 60)}...`;
}

/** Checks one entry of the operator's `defaults` with the same parsers. */
export function checkDefault(key: string, text: string): readonly Problem[] {
  const documentation = documentationOf(key);
  if (documentation === undefined || !documentation.places.includes('config')) {
    const near = nearest(key, KEY_NAMES);
    const problem = { path: key, expected: 'a key of logging.io/ annotations', found: shown(key) };
    return [near === undefined ? problem : { ...problem, near }];
  }
  const value = documentation.parse(text);
  if (value.ok && !documentation.isAvailable)
    return [{ path: key, expected: 'a key that is available in this version', found: shown(text) }];
  if (value.ok) return [];
  const problem = { path: key, expected: value.expected, found: shown(text) };
  return [value.hint === undefined ? problem : { ...problem, hint: value.hint }];
}
