/**
 * The line that a command says about one workload, and what it has to add.
 *
 * Pure. Invariants: every line names the object, a reason code, what it means and what to do; no control character of a manifest
 * reaches the terminal. May import: everything but test.
 */
import type { Finding } from '../../webhook/finding.ts';
import { findingText } from '../../webhook/finding.ts';
import { reasonOf, reasonText } from '../../webhook/reasons.ts';
import type { DecidedTemplate, InvalidObject } from './offline-injection.ts';
import type { OfflineFacts } from './offline-facts.ts';
import type { ManifestObject, PodTemplate } from './pod-templates.ts';

/** `deployment/web`, with the path where an object has several templates of its own. */
export function templateName({ object, path }: PodTemplate): string {
  const inside = path.slice(object.path.length).join('.');
  const isUsual = inside === '' || inside === 'spec.template' || inside === 'spec.jobTemplate.spec.template';
  return isUsual ? objectName(object) : `${objectName(object)} (${inside})`;
}

/** `deployment/web`. */
export function objectName({ kind, name }: Pick<ManifestObject, 'kind' | 'name'>): string {
  return printable(`${kind === '' ? 'object' : kind.toLowerCase()}/${name}`);
}

/** Text without anything that a terminal would act on. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu, '?');
}

/** One line about the decision, and one for each finding, line breaks included. */
export function injectionLines(decided: DecidedTemplate, facts: OfflineFacts): string {
  const { outcome, template } = decided;
  const lines = [
    `${templateName(template)}: ${outcome.reason}: ${reasonText(outcome.reason)}${details(decided, facts)}`,
  ];
  for (const finding of outcome.findings) if (!isInfo(finding)) lines.push(`  ${findingLine(finding)}`);
  return lines.map((line) => `${printable(line)}\n`).join('');
}

/** `degraded invalid_value: logging.io/files: expected …`. */
export function findingLine(finding: Finding): string {
  return `${reasonOf(finding.code).severity} ${finding.code}: ${findingText(finding)}`;
}

/** One line about an object that is none. */
export function invalidLine({ object, code, detail }: InvalidObject): string {
  return `${printable(`${objectName(object)}: ${code}: ${detail}; ${reasonText(code)}`)}\n`;
}

function isInfo(finding: Finding): boolean {
  return reasonOf(finding.code).severity === 'info';
}

/** Shape, level and account, each with what was assumed. */
function details({ outcome, accountAssumed, namespace }: DecidedTemplate, facts: OfflineFacts): string {
  const { injected, decision } = outcome;
  if (injected === undefined) return '';
  const { shape, account } = injected;
  const parts = [
    ...(decision.action === 'inject' ? [`asked by the ${decision.level}`] : []),
    `${shape.shape === 'native' ? 'native sidecar' : 'plain container'} (${shapeReason(shape.reason, facts)})`,
    `service account ${account.account}${accountAssumed === account.account ? ' (assumed to exist)' : ''}`,
    `namespace ${namespace}`,
  ];
  return ` [${parts.join(', ')}]`;
}

function shapeReason(reason: DecidedTemplate['outcome']['reason'], facts: OfflineFacts): string {
  if (reason === 'kubelets_ready' && facts.areKubeletsAssumed) return 'every kubelet is assumed to be 1.29 or newer';
  return reasonOf(reason).sentence;
}
