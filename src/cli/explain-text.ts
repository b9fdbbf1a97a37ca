/**
 * An explanation for people: what asked, who answers, what is there, and the one thing to do.
 *
 * Pure. May import: everything but test.
 */
import { findingText } from '../../webhook/finding.ts';
import type { ExplainFacts } from './diagnosis.ts';
import type { Explanation } from './explain.ts';

/** Text of several lines, the verdict last but for what is not known. */
export function explanationText(explanation: Explanation): string {
  const { facts, verdict, status, operator, gaps } = explanation;
  const rows: readonly (readonly [string, string])[] = [
    ['asked', askedText(facts)],
    ['webhook', webhookText(facts)],
    ['config', configText(explanation)],
    [
      'status',
      status === undefined
        ? 'none'
        : `${status.decision} (${status.reason}), version ${status.version}, config ${status.config}`,
    ],
    ['today', `${facts.today.action} (${facts.today.reason})`],
    ...facts.today.findings.map((finding): readonly [string, string] => ['', findingText(finding)]),
  ];
  const pod = facts.pod;
  const shown = pod === undefined || facts.subject === `pod/${pod.name}` ? '' : `, newest pod ${pod.name}`;
  const lines = [
    `${facts.subject} in namespace ${facts.namespace.name}${shown}: ${pod === undefined ? 'no pod' : STATE[pod.state]}`,
    ...rows.map(([name, text]) => `  ${name.padEnd(8)} ${text}`),
    '',
    `${verdict.code}: ${verdict.sentence}`,
    verdict.remedy === '' ? 'nothing is to be done' : `do this: ${verdict.remedy}`,
    ...(explanation.webhookVersions.some((version) => version !== operator.version)
      ? [
          `note: the webhook is ${explanation.webhookVersions.join(', ')}, this command is ${operator.version} and judges by that`,
        ]
      : []),
    ...gaps.map((gap) => `not known: ${gap}`),
  ];
  return `${lines.join('\n')}\n`;
}

const STATE: Readonly<Record<NonNullable<ExplainFacts['pod']>['state'], string>> = {
  injected: 'has the sidecar',
  outdated: 'has a sidecar that is out of date',
  skipped: 'no sidecar, and its status says why',
  bare: 'no sidecar, and nothing on it says why',
  not_asked: 'no sidecar, and nobody asked for one',
};

function askedText({ pod, workload, namespace }: ExplainFacts): string {
  const inject = pod === undefined ? workload.templateInject : pod.inject;
  const own = inject === undefined ? 'pod silent' : `pod annotation logging.io/inject: ${JSON.stringify(inject)}`;
  const label = namespace.isLabelled ? 'label logging.io/inject=true' : 'no label logging.io/inject=true';
  return `${own}; namespace ${label}, failure-policy ${namespace.failurePolicy}`;
}

function webhookText({ webhook }: ExplainFacts): string {
  const { configuration, entries, ready } = webhook;
  const pods = ready === 'unknown' ? 'ready pods unknown' : `${ready} ready pods`;
  if (configuration !== 'present') return `configuration ${configuration}, ${pods}`;
  const named = entries === 'unknown' ? [] : entries;
  const texts = named.map(({ name, isBundleEmpty, trustsServed }) => {
    const trust = {
      true: 'trusts the served certificate',
      false: 'does NOT trust the served certificate',
      unknown: '',
    } as const;
    const bundle = isBundleEmpty ? 'caBundle EMPTY' : 'caBundle present';
    return [name, bundle, ...(isBundleEmpty ? [] : [trust[`${trustsServed}`]])]
      .filter((part) => part !== '')
      .join(', ');
  });
  return `${texts.length === 0 ? 'no entry takes this namespace' : texts.join('; ')}; ${pods}`;
}

function configText({ facts, operator }: Explanation): string {
  const { configStatus, configProblems } = operator;
  if (configStatus === 'invalid')
    return `wrong, so that built-in defaults were used here: ${configProblems.join('; ')}`;
  if (configStatus !== 'found') return `${configStatus}, so that built-in defaults were used here`;
  return facts.isPaused === true ? 'read; injection is PAUSED' : 'read';
}
