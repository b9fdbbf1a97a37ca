/**
 * The env of the sidecar, by name and in the order of the forwarder's contract, so that `kubectl describe` reads well.
 *
 * Pure. Invariants: what is written is accepted by the forwarder's own schema (asserted whenever a list is built: a failure is our bug);
 * every `$` of a user's text is escaped; no credentials. May import: core, config.
 */
import assert from 'node:assert/strict';

import { cloudWatchEnv } from '../src/config/cloudwatch-config.ts';
import { DEFAULTS, ENV, parseForwarderEnv, problemsText } from '../src/config/forwarder-config.ts';
import {
  legalBucket,
  legalDataStreamPart,
  legalIndex,
  legalKeyPrefix,
  legalLogGroup,
  legalLogStream,
} from '../src/config/legal-names.ts';
import { durationText } from '../src/config/fields.ts';
import type { StdioConfig } from '../src/config/stdio-config.ts';
import { multilineText, sampleText } from '../src/config/record-rules.ts';
import { fillTemplate, isDatePattern } from '../src/config/template.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import { escapeForKubelet } from './env-expansion.ts';
import type { Finding } from './finding.ts';
import { at, integerAt, listAt } from './json.ts';
import type { JsonObject } from './json.ts';
import type { LogPlan } from './log-plan.ts';
import { PATHS } from './names.ts';
import type { PodView } from './pod.ts';
import { Recent } from './recent.ts';
import type { Settings } from './settings.ts';
import { graceSeconds } from './shape.ts';
import { appOf, workloadOf } from './workload.ts';

/** Names of the destinations, as far as admission can know them. */
export interface Destinations {
  readonly logGroup: string;
  readonly logStream: string;
  readonly dataStream: string;
  /** Empty when nobody named one. */
  readonly bucket: string;
  readonly prefix: string;
}

export interface SidecarEnv {
  readonly env: readonly JsonObject[];
  readonly destinations: Destinations;
  readonly findings: readonly Finding[];
}

/** Ports that are tried for the admin server when a container declares the first. */
const ADMIN_PORTS = 10;

/** What the downward API would say, for the check of what we write. */
const DOWNWARD_SAMPLES: Readonly<Record<string, string>> = {
  [ENV.namespace]: 'namespace',
  [ENV.pod]: 'pod',
  [ENV.uid]: '00000000-0000-0000-0000-000000000000',
  [ENV.node]: 'node',
};

const DOWNWARD_FIELDS: Readonly<Record<string, string>> = {
  [ENV.namespace]: 'metadata.namespace',
  [ENV.pod]: 'metadata.name',
  [ENV.uid]: 'metadata.uid',
  [ENV.node]: 'spec.nodeName',
};

/** A name whose parts need nothing of their own: the whole is made legal. */
const AS_IT_IS = (text: string): string => text;

export interface EnvOptions {
  readonly pod: PodView;
  readonly namespace: string;
  readonly settings: Settings;
  readonly plan: LogPlan;
  readonly stdio: StdioConfig | undefined;
  readonly endsWith: readonly string[];
  readonly config: WebhookConfig;
}

/** What the list is made of, beside settings and configuration. Everything else of a pod leaves it as it is. */
interface Ingredients {
  readonly namespace: string;
  readonly app: string | undefined;
  readonly workload: string | undefined;
  readonly globs: string | undefined;
  readonly stdio: StdioConfig | undefined;
  readonly endsWith: readonly string[];
  readonly adminPort: number;
  readonly graceSeconds: number;
  /** Labels that the templates of the settings name, and what the pod has there. */
  readonly labels: readonly (readonly [label: string, value: string | undefined])[];
}

/** Workloads whose pods come one after the other; some 6 KiB each. */
const BUILT_MAX = 256;
/** Settings are immutable values that the pods of a team share, under one configuration; with them goes what was built for them. */
const BUILT = new WeakMap<WebhookConfig, WeakMap<Settings, Recent<SidecarEnv>>>();

/** Builds the list; the pods of one workload have the same one. */
export function buildEnv(options: EnvOptions): SidecarEnv {
  const { settings, config } = options;
  const ingredients = ingredientsOf(options);
  // An array keeps its places: an undefined one counts as null, and no text of a pod can be that.
  const { namespace, app, workload, globs, stdio, endsWith, labels } = ingredients;
  const key = JSON.stringify([
    namespace,
    app,
    workload,
    globs,
    stdio,
    endsWith,
    ingredients.adminPort,
    ingredients.graceSeconds,
    labels,
  ]);
  return recentOf(config, settings).of(key, () => makeEnv(ingredients, settings, config));
}

function recentOf(config: WebhookConfig, settings: Settings): Recent<SidecarEnv> {
  const bySettings = BUILT.get(config) ?? new WeakMap<Settings, Recent<SidecarEnv>>();
  BUILT.set(config, bySettings);
  const recent = bySettings.get(settings) ?? new Recent(BUILT_MAX);
  bySettings.set(settings, recent);
  return recent;
}

function ingredientsOf({ pod, namespace, settings, plan, stdio, endsWith }: EnvOptions): Ingredients {
  return {
    namespace,
    app: appOf(pod),
    workload: workloadOf(pod),
    globs: plan.globs.length === 0 ? undefined : JSON.stringify(plan.globs),
    stdio,
    endsWith,
    adminPort: adminPort(pod),
    graceSeconds: graceSeconds(pod),
    labels: labelsNamed(settings).map((label) => [label, pod.labels.get(label)]),
  };
}

function labelsNamed({ logGroup, logStream, dataStream, bucket = '', prefix }: Settings): readonly string[] {
  const templates = [logGroup, logStream, dataStream, bucket, prefix].filter((template) =>
    template.includes('{label:'),
  );
  return templates.flatMap((template) => [...template.matchAll(LABEL)].map(([, label = '']) => label));
}

const LABEL = /\{label:([^{}]+)\}/g;

function makeEnv(of: Ingredients, settings: Settings, config: WebhookConfig): SidecarEnv {
  const { destinations, findings } = resolveDestinations(of, settings, config);
  const literals: Readonly<Record<string, string | undefined>> = {
    [ENV.cluster]: config.cluster,
    [ENV.app]: of.app,
    [ENV.workload]: of.workload,
    [ENV.files]: of.globs,
    [ENV.stdio]: of.stdio?.way,
    [ENV.stdioContainers]: of.stdio?.containers.join(','),
    [ENV.stdioTokenDir]: of.stdio?.way === 'api' ? of.stdio.tokenDir : undefined,
    [ENV.endWith]: of.endsWith.length === 0 ? undefined : of.endsWith.join(','),
    [ENV.sinks]: settings.sinks.join(','),
    [ENV.logGroup]: destinations.logGroup,
    [ENV.logStream]: destinations.logStream,
    [ENV.dataStream]: destinations.dataStream,
    [ENV.retentionDays]: settings.retentionDays?.toString(),
    [ENV.elasticsearchUrl]: config.elasticsearchUrl,
    [ENV.elasticsearchGzip]: config.elasticsearchGzip ? 'true' : undefined,
    [ENV.elasticsearchSigning]: config.elasticsearchSigning === 'none' ? undefined : config.elasticsearchSigning,
    [ENV.elasticsearchRegion]: config.elasticsearchRegion,
    [ENV.cloudwatchEndpoint]: config.cloudwatchEndpoint,
    ...(settings.sinks.includes('cloudwatch') ? cloudWatchEnv(config.cloudwatch) : {}),
    ...s3Env(settings, destinations, config),
    [ENV.awsRegion]: config.awsRegion,
    [ENV.httpProxy]: config.httpProxy,
    [ENV.httpsProxy]: config.httpsProxy,
    [ENV.noProxy]: config.noProxy,
    [ENV.sinkSecretDir]: PATHS.secret,
    [ENV.stateDir]: PATHS.state,
    [ENV.adminPort]: String(of.adminPort),
    [ENV.grace]: `${of.graceSeconds}s`,
    [ENV.flushInterval]: settings.flushInterval,
    [ENV.metadata]: settings.metadata,
    [ENV.parser]: settings.parser,
    [ENV.multiline]: settings.multiline === undefined ? undefined : multilineText(settings.multiline),
    [ENV.include]: listText(settings.include),
    [ENV.exclude]: listText(settings.exclude),
    [ENV.redact]: listText(settings.redact),
    [ENV.sample]: listText(settings.sample.map(sampleText)),
    [ENV.detect]: settings.detect.length === 0 ? undefined : settings.detect.join(','),
  };
  checkAsForwarder(literals);
  const env: JsonObject[] = [];
  for (const name of Object.values(ENV)) {
    const fieldPath = DOWNWARD_FIELDS[name];
    const value = literals[name];
    if (fieldPath !== undefined) env.push({ name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } });
    else if (value !== undefined) env.push({ name, value: escapeForKubelet(value) });
  }
  if (settings.roleArn !== undefined) {
    env.push({ name: 'AWS_ROLE_ARN', value: settings.roleArn });
    env.push({ name: 'AWS_WEB_IDENTITY_TOKEN_FILE', value: `${PATHS.token}/aws` });
  }
  return { env, destinations, findings };
}

/** What S3 alone needs stands in no other pod. */
function s3Env(
  settings: Settings,
  { bucket, prefix }: Destinations,
  { s3 }: WebhookConfig,
): Readonly<Record<string, string | undefined>> {
  if (!settings.sinks.includes('s3') && !(s3.isDeadLetter && bucket !== '')) return {};
  return {
    [ENV.s3Bucket]: bucket === '' ? undefined : bucket,
    [ENV.s3Prefix]: prefix,
    [ENV.s3Endpoint]: s3.endpoint,
    [ENV.s3Addressing]: s3.addressing === 'auto' ? undefined : s3.addressing,
    [ENV.s3Compression]: s3.compression,
    [ENV.s3ObjectBytes]: String(s3.objectBytes),
    [ENV.s3ObjectAge]: durationText(s3.objectAgeMs),
    [ENV.s3StorageClass]: s3.storageClass,
    [ENV.s3KmsKey]: s3.kmsKey,
    [ENV.s3Tags]: s3.tags.length === 0 ? undefined : s3.tags.join(','),
    [ENV.deadLetterS3]: s3.isDeadLetter ? 'true' : undefined,
  };
}

/** A list of patterns as env has it: JSON, because a pattern may hold anything. */
function listText(list: readonly string[]): string | undefined {
  return list.length === 0 ? undefined : JSON.stringify(list);
}

/** The pair assertion: one schema on both sides of the pod. */
function checkAsForwarder(literals: Readonly<Record<string, string | undefined>>): void {
  const parsed = parseForwarderEnv({ ...literals, ...DOWNWARD_SAMPLES });
  assert(parsed.ok, `the forwarder accepts the env that we write: ${parsed.ok ? '' : problemsText(parsed.problems)}`);
}

function resolveDestinations(
  { namespace, app, workload, labels }: Ingredients,
  settings: Settings,
  config: WebhookConfig,
): { destinations: Destinations; findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const known: Record<string, string> = { cluster: config.cluster, namespace };
  if (app !== undefined) known['app'] = app;
  if (workload !== undefined) known['workload'] = workload;
  const values = new Map(labels);
  const fill = (
    key: string,
    template: string,
    part: (text: string) => string,
    whole: (text: string) => string,
  ): string => {
    // A value for a label that only another template names changes nothing.
    if (template.includes('{label:')) {
      for (const [, label = ''] of template.matchAll(LABEL)) {
        const value = values.get(label);
        known[`label:${label}`] = value ?? 'unknown';
        if (value === undefined) findings.push({ code: 'label_missing', key, detail: `expected a label ${label}` });
      }
    }
    const filled = fillTemplate(template, known, part);
    // What is left to the forwarder (names, dates) keeps its braces, and the forwarder makes the result legal.
    return hasPlaceholder(filled) ? filled : whole(filled);
  };
  const destinations = {
    logGroup: fill('log-group', settings.logGroup, legalLogGroup, legalLogGroup),
    logStream: fill('log-stream', settings.logStream, legalLogStream, legalLogStream),
    dataStream: fill('data-stream', settings.dataStream, legalDataStreamPart, legalIndex),
    bucket: settings.bucket === undefined ? '' : fill('bucket', settings.bucket, AS_IT_IS, legalBucket),
    prefix: fill('prefix', settings.prefix, AS_IT_IS, legalKeyPrefix),
  };
  return { destinations, findings };
}

function hasPlaceholder(text: string): boolean {
  if (!text.includes('{')) return false;
  return [...text.matchAll(/\{([^{}]*)\}/g)].some(([, name = '']) => /^[a-z]+$/.test(name) || isDatePattern(name));
}

/** Our port, the next free one where a container declares it, 0 (off) under hostNetwork, where it would be the node's. */
function adminPort(pod: PodView): number {
  if (at(pod.spec, 'hostNetwork') === true) return 0;
  const declared = new Set(
    pod.others.flatMap((container) => listAt(container.raw, 'ports').map((port) => integerAt(port, 'containerPort'))),
  );
  for (let port = DEFAULTS.adminPort; port < DEFAULTS.adminPort + ADMIN_PORTS; port += 1)
    if (!declared.has(port)) return port;
  return 0;
}
