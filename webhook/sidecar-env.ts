/**
 * The env of the sidecar, by name and in the order of the forwarder's contract, so that `kubectl describe` reads well.
 *
 * Pure. Invariants: what is written is accepted by the forwarder's own schema (asserted on every build: a failure is our bug);
 * every `$` of a user's text is escaped; no credentials. May import: core, config.
 */
import assert from 'node:assert/strict';

import { DEFAULTS, ENV, parseForwarderEnv, problemsText } from '../src/config/forwarder-config.ts';
import { legalDataStreamPart, legalIndex, legalLogGroup, legalLogStream } from '../src/config/legal-names.ts';
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

/** Builds the list. */
export function buildEnv(options: {
  readonly pod: PodView;
  readonly namespace: string;
  readonly settings: Settings;
  readonly plan: LogPlan;
  readonly config: WebhookConfig;
}): SidecarEnv {
  const { pod, settings, plan, config } = options;
  const { destinations, findings } = resolveDestinations(options);
  const literals: Readonly<Record<string, string | undefined>> = {
    [ENV.cluster]: config.cluster,
    [ENV.app]: appOf(pod),
    [ENV.workload]: workloadOf(pod),
    [ENV.files]: plan.globs.length === 0 ? undefined : JSON.stringify(plan.globs),
    [ENV.sinks]: settings.sinks.join(','),
    [ENV.logGroup]: destinations.logGroup,
    [ENV.logStream]: destinations.logStream,
    [ENV.dataStream]: destinations.dataStream,
    [ENV.retentionDays]: settings.retentionDays?.toString(),
    [ENV.elasticsearchUrl]: config.elasticsearchUrl,
    [ENV.cloudwatchEndpoint]: config.cloudwatchEndpoint,
    [ENV.awsRegion]: config.awsRegion,
    [ENV.sinkSecretDir]: PATHS.secret,
    [ENV.stateDir]: PATHS.state,
    [ENV.adminPort]: String(adminPort(pod)),
    [ENV.grace]: `${graceSeconds(pod)}s`,
    [ENV.flushInterval]: settings.flushInterval,
    [ENV.metadata]: settings.metadata,
    [ENV.parser]: settings.parser,
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

/** Env of workloads that were checked lately: pods of one workload have the same. Some 150 bytes each. */
const CHECKED = new Recent<true>(1_024);

/** The pair assertion: one schema on both sides of the pod. */
function checkAsForwarder(literals: Readonly<Record<string, string | undefined>>): void {
  CHECKED.of(JSON.stringify(literals), () => {
    const parsed = parseForwarderEnv({ ...literals, ...DOWNWARD_SAMPLES });
    assert(parsed.ok, `the forwarder accepts the env that we write: ${parsed.ok ? '' : problemsText(parsed.problems)}`);
    return true;
  });
}

function resolveDestinations(options: {
  readonly pod: PodView;
  readonly namespace: string;
  readonly settings: Settings;
  readonly config: WebhookConfig;
}): { destinations: Destinations; findings: readonly Finding[] } {
  const { pod, namespace, settings, config } = options;
  const findings: Finding[] = [];
  const known: Record<string, string> = { cluster: config.cluster, namespace };
  const app = appOf(pod);
  const workload = workloadOf(pod);
  if (app !== undefined) known['app'] = app;
  if (workload !== undefined) known['workload'] = workload;
  const fill = (
    key: string,
    template: string,
    part: (text: string) => string,
    whole: (text: string) => string,
  ): string => {
    // A value for a label that only another template names changes nothing.
    if (template.includes('{label:')) {
      for (const [, label = ''] of template.matchAll(/\{label:([^{}]+)\}/g)) {
        known[`label:${label}`] = pod.labels.get(label) ?? 'unknown';
        if (!pod.labels.has(label)) findings.push({ code: 'label_missing', key, detail: `expected a label ${label}` });
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
