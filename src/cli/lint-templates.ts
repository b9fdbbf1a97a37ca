/**
 * What the words of a pod template say, by the webhook's own engine, and what a webhook cannot see: whether anybody asks, and whether
 * the sinks have what they need.
 *
 * Pure. May import: everything but test.
 */
import { isDeepStrictEqual } from 'node:util';

import type { Finding } from '../../webhook/finding.ts';
import { member, textMapAt } from '../../webhook/json.ts';
import { planLogs } from '../../webhook/log-plan.ts';
import { PREFIX } from '../../webhook/names.ts';
import { readPod } from '../../webhook/pod.ts';
import { ownKeys, resolveSettings } from '../../webhook/settings.ts';
import type { Settings } from '../../webhook/settings.ts';
import type { LintSeverity } from './lint-finding.ts';
import type { OfflineFacts } from './offline-facts.ts';
import type { DecidedTemplate } from './offline-injection.ts';
import type { ManifestObject } from './pod-templates.ts';

export interface TemplateFinding {
  readonly finding: Finding;
  readonly path: readonly (string | number)[];
  /** Where the reason's own does not fit. */
  readonly severity?: LintSeverity;
}

/** Findings about one template. @param secrets the Secrets among the manifests */
export function lintTemplate(
  { template, namespace, outcome }: DecidedTemplate,
  facts: OfflineFacts,
  secrets: readonly ManifestObject[],
): readonly TemplateFinding[] {
  const pod = readPod(template.value, template.owner);
  const own = ownKeys(pod.annotations);
  const isAsked = outcome.decision.action !== 'skip' || outcome.decision.isExplained;
  if (!isAsked && ([...own.keys()].every((key) => key === 'status') || own.get('inject') === 'false')) return [];
  const { annotations } = facts.namespaceFacts(namespace);
  const levels = { pod: own, namespace: ownKeys(annotations), config: facts.config.defaults };
  const resolved = resolveSettings(levels, facts.config);
  const plan = planLogs(pod, resolved.settings.files);
  const hidden = new Set(plan.findings.filter(({ code }) => code === 'directory_hidden').map(({ detail }) => detail));
  const shared = plan.shared
    .map(({ container, directory }): Finding => ({
      code: 'directory_shared',
      key: 'files',
      detail: `container ${container}: ${directory}`,
    }))
    .filter(({ detail }) => !hidden.has(detail));
  const found: readonly Finding[] = [
    ...ownReason(outcome, own),
    ...outcome.findings,
    ...resolved.findings,
    ...plan.findings,
    ...shared,
    ...sinkFindings(
      resolved.settings,
      facts,
      secrets.filter((secret) => (secret.namespace ?? facts.namespace) === namespace),
    ),
  ];
  return (
    found
      .filter((finding, i) => found.findIndex((other) => isDeepStrictEqual(other, finding)) === i)
      // Where the namespace is among the manifests its words are looked at there.
      .filter(({ level }) => level !== 'namespace' || !facts.isNamespaceKnown(namespace))
      .map((finding) => ({
        finding,
        path: [
          ...template.path,
          'metadata',
          'annotations',
          ...(finding.key === undefined ? [] : [`${PREFIX}${finding.key}`]),
        ],
        ...softened(finding, facts, namespace),
      }))
  );
}

/** What stands in the way of the whole injection is no finding of its own. */
function ownReason(outcome: DecidedTemplate['outcome'], own: ReadonlyMap<string, string>): readonly Finding[] {
  const { decision, findings } = outcome;
  if (decision.action === 'inject' || findings.some(({ code }) => code === decision.reason)) return [];
  // What is denied for its values is said value by value.
  if (decision.reason === 'invalid_values') return [];
  const [first] = own.keys();
  return [{ code: decision.reason, ...(decision.reason === 'not_asked' && first !== undefined ? { key: first } : {}) }];
}

/** What only looks wrong because the rest of the cluster is not among the manifests. */
function softened(finding: Finding, facts: OfflineFacts, namespace: string): { readonly severity?: LintSeverity } {
  if (finding.code === 'sink_defaulted' && !facts.isConfigKnown) return { severity: 'info' };
  if (finding.code === 'not_asked') return { severity: facts.isNamespaceKnown(namespace) ? 'warning' : 'info' };
  return {};
}

/** The keys of the sink Secret (forwarder-config.ts, SECRET_KEYS) that a sink cannot do without. */
function sinkFindings(settings: Settings, facts: OfflineFacts, secrets: readonly ManifestObject[]): readonly Finding[] {
  const secret = secrets.find(({ name }) => name === settings.sinkSecret);
  const keys = secret === undefined ? undefined : secretKeys(secret);
  const findings: Finding[] = [];
  const needs = (sink: string, missing: string): void => {
    const where = `sink ${sink}: expected ${missing} in Secret ${settings.sinkSecret}`;
    if (keys === undefined) findings.push({ code: 'sink_unchecked', key: 'sink', detail: where });
    else
      findings.push({
        code: 'sink_incomplete',
        key: 'sink',
        detail: `${where}, got ${[...keys].toSorted().join(', ') || 'no key'}`,
      });
  };
  if (settings.sinks.some((sink) => sink === 'elasticsearch')) {
    const hasUrl = facts.config.elasticsearchUrl !== undefined || keys?.has('elasticsearch-url') === true;
    if (!hasUrl) needs('elasticsearch', 'elasticsearch-url');
    const isHalf = keys?.has('elasticsearch-username') === true && !keys.has('elasticsearch-password');
    if (isHalf) needs('elasticsearch', 'elasticsearch-password beside the user name');
  }
  if (settings.sinks.some((sink) => sink === 'cloudwatch')) {
    const [id, key] = [keys?.has('aws-access-key-id') === true, keys?.has('aws-secret-access-key') === true];
    if (id !== key) needs('cloudwatch', 'both aws-access-key-id and aws-secret-access-key');
  }
  return findings;
}

function secretKeys({ value }: ManifestObject): ReadonlySet<string> {
  const data = member(value, 'data');
  const keys = typeof data === 'object' && data !== null ? Object.keys(data) : [];
  return new Set([...keys, ...textMapAt(value, 'stringData').keys()]);
}
