/**
 * `logtender explain pod/NAME`: compares annotation, namespace, webhook configuration and what is there, and says the one thing to do.
 *
 * Gathers facts with the rights of whoever runs it; diagnosis.ts decides. Invariants: it only reads; what could not be read is said; no
 * value of env is shown. Exit 0 when nothing is to be done, 1 when something is, 2 for a wrong command line or a cluster that cannot be read. May import: everything but
 * test.
 */
import { parseArgs } from 'node:util';

import type { NamespaceFacts } from '../../webhook/injection.ts';
import { at, isObject, listAt, textAt, textMapAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { FOREIGN_ANNOTATION, PREFIX } from '../../webhook/names.ts';
import { entriesOf } from '../../certs/ca-bundle.ts';
import { systemClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { coreClusterPath } from '../kube/paths.ts';
import { isServedTrusted, readCerts, readConfiguration } from './certs-facts.ts';
import type { CertsFacts } from './certs-facts.ts';
import { CLUSTER_OPTIONS, ClusterReader, connectCluster, outputFormat, rawOf, selects } from './cluster-reader.ts';
import type { Found } from './cluster-reader.ts';
import { diagnose } from './diagnosis.ts';
import type { ExplainFacts, Verdict } from './diagnosis.ts';
import { readSubject } from './explain-subject.ts';
import type { Subject } from './explain-subject.ts';
import { explanationText } from './explain-text.ts';
import { EXCLUDED_NAMESPACES } from './offline-injection.ts';
import { namespaceFacts, readOperator } from './operator-config.ts';
import type { Install, OperatorFacts } from './operator-config.ts';
import { judgePod } from './pod-state.ts';
import type { PodState } from './pod-state.ts';

const INJECT = `${PREFIX}inject`;

export interface Explanation {
  readonly facts: ExplainFacts;
  readonly verdict: Verdict;
  readonly operator: Pick<OperatorFacts, 'configStatus' | 'configProblems' | 'version' | 'kubelets'>;
  /** The status annotation's words about itself. */
  readonly status: PodState['status'];
  /** Versions that webhook pods say they are; one that is not ours judges differently than we do. */
  readonly webhookVersions: readonly string[];
  readonly gaps: readonly string[];
}

/** Runs the command; gives the exit code. */
export async function runExplain(args: readonly string[], write: (text: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], options: CLUSTER_OPTIONS, allowPositionals: true });
  const format = outputFormat(values.output);
  const subject = positionals.length === 2 ? positionals.join('/') : positionals[0];
  if (subject === undefined || positionals.length > 2)
    throw new OperationalError('USAGE', `logtender explain: expected KIND/NAME, got ${positionals.length} words`, {
      hint: 'logtender help explain',
    });
  const { client, namespace } = await connectCluster(values);
  const install = { namespace: values['logtender-namespace'], instance: values.instance };
  try {
    const explanation = await explain(client, { install, subject, namespace: values.namespace ?? namespace });
    write(format === 'json' ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation));
    return explanation.verdict.remedy === '' ? 0 : 1;
  } finally {
    client.close();
  }
}

/** Reads and judges. */
export async function explain(
  client: KubeClient,
  options: { readonly install: Install; readonly subject: string; readonly namespace: string },
): Promise<Explanation> {
  const { install } = options;
  const reader = new ClusterReader(client);
  const subject = await readSubject(reader, options.subject, options.namespace);
  const operator = await readOperator(reader, install);
  const object = await reader.get(coreClusterPath('namespaces', options.namespace), `namespace ${options.namespace}`);
  const namespaceObject = object.status === 'found' ? object.value : { metadata: {} };
  const namespace = namespaceFacts(options.namespace, namespaceObject);
  const configuration = await readConfiguration(reader, install);
  const certs = await readCerts(reader, install);
  const state = await judge(subject, namespace, operator);
  const facts: ExplainFacts = {
    subject: subject.title,
    namespace: {
      ...namespaceIn(namespace, namespaceObject),
      isExcluded:
        EXCLUDED_NAMESPACES.includes(namespace.name) ||
        namespace.name === install.namespace ||
        isExcludedByName(configuration, namespace.name),
    },
    workload: workloadIn(subject),
    pod: podIn(subject, state),
    today: {
      action: state.today.decision.action,
      reason: state.today.decision.reason,
      findings: state.today.findings,
    },
    webhook: webhookIn(configuration, certs, namespace, subject),
    isPaused: operator.configStatus === 'found' ? operator.config.paused : 'unknown',
  };
  const pods = certs.pods.status === 'found' ? certs.pods.value : [];
  const { configStatus, configProblems, version, kubelets } = operator;
  return {
    facts,
    verdict: diagnose(facts),
    operator: { configStatus, configProblems, version, kubelets },
    status: state.status,
    webhookVersions: [...new Set(pods.flatMap((pod) => (pod.version === undefined ? [] : [pod.version])))],
    gaps: reader.gaps,
  };
}

async function judge(subject: Subject, namespace: NamespaceFacts, operator: OperatorFacts): Promise<PodState> {
  if (subject.pod !== undefined) return judgePod(subject.pod, namespace, operator);
  return judgePod(subject.template?.value ?? {}, namespace, operator, subject.template?.owner);
}

/** Whether every entry leaves the namespace out by its name, as the operator may have asked for (excludedNamespaces of the chart). */
function isExcludedByName(configuration: Found<KubeObject>, name: string): boolean {
  const entries = configuration.status === 'found' ? listAt(rawOf(configuration.value), 'webhooks') : [];
  const excludes = (expression: Json): boolean =>
    textAt(expression, 'key') === 'kubernetes.io/metadata.name' &&
    textAt(expression, 'operator') === 'NotIn' &&
    listAt(expression, 'values').includes(name);
  return (
    entries.length > 0 &&
    entries.every((entry) => listAt(entry, 'namespaceSelector', 'matchExpressions').some(excludes))
  );
}

function namespaceIn(facts: NamespaceFacts, object: KubeObject): Omit<ExplainFacts['namespace'], 'isExcluded'> {
  return {
    name: facts.name,
    isLabelled: facts.labels.get(INJECT) === 'true',
    isAnnotated: facts.annotations.has(INJECT),
    failurePolicy: facts.labels.get(`${PREFIX}failure-policy`) === 'fail' ? 'fail' : 'ignore',
    labelledMs: labelledMs(rawOf(object)),
  };
}

/** When the label was last written, by whoever's entry in managedFields owns it (API concepts, "Server-Side Apply"). */
function labelledMs(namespace: JsonObject): number | undefined {
  const times = listAt(namespace, 'metadata', 'managedFields')
    .filter((entry) => at(entry, 'fieldsV1', 'f:metadata', 'f:labels', `f:${INJECT}`) !== undefined)
    .map((entry) => Date.parse(textAt(entry, 'time') ?? ''))
    .filter((ms) => !Number.isNaN(ms));
  return times.length === 0 ? undefined : Math.max(...times);
}

function workloadIn({ workload, template }: Subject): ExplainFacts['workload'] {
  const templateInject = textMapAt(template?.value, 'metadata', 'annotations').get(INJECT);
  const own =
    textMapAt(workload, 'metadata', 'annotations').has(INJECT) || textMapAt(workload, 'metadata', 'labels').has(INJECT);
  return { isAnnotatedItself: own && templateInject === undefined, templateInject };
}

function podIn({ pod }: Subject, state: PodState): ExplainFacts['pod'] {
  if (pod === undefined) return undefined;
  const annotations = textMapAt(pod, 'metadata', 'annotations');
  return {
    name: textAt(pod, 'metadata', 'name') ?? '',
    inject: annotations.get(INJECT),
    hasInjectLabel: textMapAt(pod, 'metadata', 'labels').has(INJECT),
    isMirror: annotations.has(FOREIGN_ANNOTATION.mirror),
    createdMs: Date.parse(textAt(pod, 'metadata', 'creationTimestamp') ?? ''),
    state: state.state,
    statusReason: state.status?.reason ?? '',
  };
}

function webhookIn(
  configuration: Found<KubeObject>,
  certs: CertsFacts,
  namespace: NamespaceFacts,
  subject: Subject,
): ExplainFacts['webhook'] {
  const ready = certs.pods.status === 'found' ? certs.pods.value.filter(({ isReady }) => isReady).length : 'unknown';
  if (configuration.status === 'absent') return { configuration: 'absent', createdMs: undefined, entries: [], ready };
  if (configuration.status === 'unknown')
    return { configuration: 'unknown', createdMs: undefined, entries: 'unknown', ready };
  const chain = certs.chain.status === 'found' ? certs.chain.value : undefined;
  const labels = textMapAt(subject.pod ?? subject.template?.value, 'metadata', 'labels');
  const raw = listAt(rawOf(configuration.value), 'webhooks');
  const entries = entriesOf(configuration.value).filter((_, i) => {
    const entry = raw[i];
    return (
      isObject(entry) &&
      selects(entry['namespaceSelector'], namespace.labels) &&
      selects(entry['objectSelector'], labels)
    );
  });
  return {
    configuration: 'present',
    createdMs: Date.parse(configuration.value.metadata.creationTimestamp ?? ''),
    entries: entries.map((entry) => ({
      name: entry.name,
      isBundleEmpty: entry.bundle.certificates.length === 0,
      trustsServed: chain === undefined ? 'unknown' : isServedTrusted(chain, entry, systemClock.now()),
    })),
    ready,
  };
}
