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
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import { documentationOf, KEY_NAMES, PARSE } from './annotations.ts';
import type { Key } from './annotations.ts';
import type { FileEntry, Parse, Quantity } from './annotation-values.ts';
import type { Finding, Level } from './finding.ts';
import { PREFIX } from './names.ts';

export interface Settings {
  readonly files: readonly FileEntry[];
  readonly stdout: 'auto' | 'off';
  readonly sinks: readonly SinkName[];
  readonly sinkSecret: string;
  readonly roleArn: string | undefined;
  readonly logGroup: string;
  readonly logStream: string;
  readonly dataStream: string;
  readonly retentionDays: number | undefined;
  readonly flushInterval: string;
  readonly parser: 'auto' | 'none';
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

/** Resolves every key. */
export function resolveSettings(
  levels: Levels,
  config: WebhookConfig,
): { settings: Settings; findings: readonly Finding[] } {
  const resolver = new Resolver(levels);
  const naming = resolver.value('naming', PARSE.naming) ?? 'path';
  const names = naming === 'flat' ? BUILT_IN.flat : DEFAULTS;
  const sinks = resolver.value('sink', PARSE.sink);
  if (sinks === undefined) resolver.findings.push({ code: 'sink_defaulted', key: 'sink' });
  const settings: Settings = {
    files: resolver.value('files', PARSE.files) ?? [],
    stdout: resolver.value('stdout', PARSE.stdout) ?? 'auto',
    sinks: sinks ?? ['console'],
    sinkSecret: resolver.value('sink-secret', PARSE.sinkSecret) ?? BUILT_IN.sinkSecret,
    roleArn: resolver.value('role-arn', PARSE.roleArn),
    logGroup: resolver.value('log-group', PARSE.template) ?? names.logGroup,
    logStream: resolver.value('log-stream', PARSE.template) ?? names.logStream,
    dataStream: resolver.alternatives('data-stream', 'index', PARSE.template) ?? DEFAULTS.dataStream,
    retentionDays: resolver.value('retention-days', PARSE.retentionDays),
    flushInterval: resolver.value('flush-interval', PARSE.flushInterval) ?? BUILT_IN.flushInterval,
    parser: resolver.value('parser', PARSE.parser) ?? 'auto',
    metadata: resolver.value('metadata', PARSE.metadata) ?? 'full',
    serviceAccount: resolver.value('service-account', PARSE.serviceAccount),
    resources: {
      cpuRequest: resolver.value('cpu-request', PARSE.cpu),
      cpuLimit: resolver.value('cpu-limit', PARSE.cpuLimit),
      memoryRequest: resolver.value('memory-request', PARSE.memory),
      memoryLimit: resolver.value('memory-limit', PARSE.memory),
    },
    image: resolver.value('image', allowedImage(config)) ?? config.image,
    shape: resolver.value('sidecar', PARSE.sidecar) ?? 'auto',
    onInvalid: resolver.value('on-invalid', PARSE.onInvalid) ?? 'warn',
  };
  return { settings, findings: [...resolver.findings, ...keyFindings(levels)] };
}

/** The annotations of ours in a map of all, without their prefix. */
export function ownKeys(annotations: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  for (const [key, text] of annotations) if (key.startsWith(PREFIX)) own.set(key.slice(PREFIX.length), text);
  return own;
}

class Resolver {
  readonly findings: Finding[] = [];
  readonly #levels: readonly (readonly [Level, ReadonlyMap<string, string>])[];

  constructor(levels: Levels) {
    this.#levels = [
      ['pod', levels.pod],
      ['namespace', levels.namespace],
      ['config', levels.config],
    ];
  }

  /** The first valid value; each invalid one above it becomes a finding. */
  value<T>(key: Key, parse: Parse<T>): T | undefined {
    for (const [level, texts] of this.#levels) {
      const found = this.#at(key, level, texts, parse);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Two words for one thing: per level the first wins over the second. */
  alternatives<T>(first: Key, second: Key, parse: Parse<T>): T | undefined {
    for (const [level, texts] of this.#levels) {
      const found = this.#at(first, level, texts, parse);
      if (found !== undefined && texts.has(second)) this.findings.push({ code: 'superseded', key: second, level });
      const either = found ?? this.#at(second, level, texts, parse);
      if (either !== undefined) return either;
    }
    return undefined;
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
    const isAllowed =
      text === config.image ||
      config.imagesAllowed.some((allowed) =>
        allowed.endsWith('*') ? text.startsWith(allowed.slice(0, -1)) : text === allowed,
      );
    if (!image.ok || isAllowed) return image;
    return { ok: false, code: 'invalid_value', expected: 'an image that the operator allows' };
  };
}

/** Keys that nobody knows, that this version has not got, or that stand where nobody reads them. */
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
  return documentation.parse === undefined ? { code: 'key_not_available', key, level } : undefined;
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
    return [near === undefined ? problem : { ...problem, hint: `did you mean ${near}?` }];
  }
  if (documentation.parse === undefined)
    return [{ path: key, expected: 'a key that is available in this version', found: shown(text) }];
  const value = documentation.parse(text);
  if (value.ok) return [];
  const problem = { path: key, expected: value.expected, found: shown(text) };
  return [value.hint === undefined ? problem : { ...problem, hint: value.hint }];
}
