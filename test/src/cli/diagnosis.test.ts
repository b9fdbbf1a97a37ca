/**
 * Every verdict of `explain`, each from the smallest set of facts, each with one remedy or none.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { REASONS } from '../../../webhook/reasons.ts';
import { diagnose } from '../../../src/cli/diagnosis.ts';
import type { ExplainFacts } from '../../../src/cli/diagnosis.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 5, 1);

type Pod = NonNullable<ExplainFacts['pod']>;

const POD: Pod = {
  name: 'web-1',
  inject: 'true',
  hasInjectLabel: false,
  isMirror: false,
  createdMs: NOW_MS,
  state: 'bare',
  statusReason: '',
};

/** All is well, the pod asked, and it is bare. */
const WELL: ExplainFacts = {
  subject: 'pod/web-1',
  namespace: {
    name: 'shop',
    isLabelled: false,
    isAnnotated: false,
    isExcluded: false,
    failurePolicy: 'ignore',
    labelledMs: undefined,
  },
  workload: { isAnnotatedItself: false, templateInject: undefined },
  pod: POD,
  today: { action: 'inject', reason: 'injected', findings: [] },
  webhook: {
    configuration: 'present',
    createdMs: NOW_MS - DAY_MS,
    entries: [{ name: 'annotation-ignore.logtender.logging.io', isBundleEmpty: false, trustsServed: true }],
    ready: 2,
  },
  isPaused: false,
};

const pod = (more: Partial<Pod>): Partial<ExplainFacts> => ({ pod: { ...POD, ...more } });
const namespace = (more: Partial<ExplainFacts['namespace']>): Pick<ExplainFacts, 'namespace'> => ({
  namespace: { ...WELL.namespace, ...more },
});
const webhook = (more: Partial<ExplainFacts['webhook']>): Partial<ExplainFacts> => ({
  webhook: { ...WELL.webhook, ...more },
});
const SILENT = pod({ inject: undefined, state: 'not_asked' });
const DEGRADING = {
  code: 'invalid_value',
  key: 'flush-interval',
  level: 'pod',
  detail: 'expected a duration',
} as const;
const today = (more: Partial<ExplainFacts['today']>): Partial<ExplainFacts> => ({ today: { ...WELL.today, ...more } });
const ENTRY = { name: 'e', isBundleEmpty: false, trustsServed: true } as const;

/** What differs from WELL, the verdict, and a part of its remedy (the empty text for none). */
const TABLE: readonly (readonly [string, Partial<ExplainFacts>, string, RegExp | ''])[] = [
  ['injected', pod({ state: 'injected' }), 'injected', ''],
  [
    'injected with a bad value',
    { ...pod({ state: 'injected' }), ...today({ findings: [DEGRADING] }) },
    'degraded',
    /correct the value, then create/,
  ],
  ['injected otherwise than today', pod({ state: 'outdated' }), 'outdated', /create the pod again/],
  [
    'outdated pods of a Deployment',
    { ...pod({ state: 'outdated' }), subject: 'deployment/web' },
    'outdated',
    /^kubectl rollout restart deployment\/web -n shop$/,
  ],
  ['the pod said no', pod({ inject: 'false', state: 'not_asked' }), 'disabled_by_pod', /remove logging\.io\/inject/],
  ['a static pod', pod({ isMirror: true, state: 'not_asked' }), 'mirror_pod', /from the node/],
  [
    'a name that is taken',
    pod({ state: 'skipped', statusReason: 'conflict_container' }),
    'conflict_container',
    /rename that container/,
  ],
  ['paused then, not now', pod({ state: 'skipped', statusReason: 'paused' }), 'paused', /create the pod again/],
  [
    'paused then and now',
    { ...pod({ state: 'skipped', statusReason: 'paused' }), isPaused: true },
    'paused',
    /when the operator has ended the pause/,
  ],
  ['nobody asked', SILENT, 'not_asked', /annotate .* or kubectl label namespace shop/],
  [
    'the annotation on the Deployment',
    { ...SILENT, subject: 'deployment/web', workload: { isAnnotatedItself: true, templateInject: undefined } },
    'wrong_object',
    /spec\.template\.metadata\.annotations/,
  ],
  [
    'the annotation on a Deployment without pods',
    { pod: undefined, subject: 'deployment/web', workload: { isAnnotatedItself: true, templateInject: undefined } },
    'wrong_object',
    /spec\.template\.metadata\.annotations/,
  ],
  [
    'a label on the pod',
    pod({ inject: undefined, hasInjectLabel: true, state: 'not_asked' }),
    'label_on_pod',
    /annotation/,
  ],
  [
    'an annotation on the namespace',
    { ...SILENT, ...namespace({ isAnnotated: true }) },
    'label_missing',
    /^kubectl label namespace shop logging\.io\/inject=true$/,
  ],
  [
    'a pod of the template before',
    { ...SILENT, subject: 'deployment/web', workload: { isAnnotatedItself: false, templateInject: 'true' } },
    'template_newer',
    /rollout restart/,
  ],
  ['a namespace that is kept out', namespace({ isExcluded: true }), 'excluded_namespace', /namespace of its own/],
  [
    'no webhook configuration',
    webhook({ configuration: 'absent', entries: [], createdMs: undefined }),
    'webhook_absent',
    /kubectl apply -k deploy/,
  ],
  ['entries that take nobody', webhook({ entries: [] }), 'entry_missing', /kubectl apply -k deploy/],
  [
    'an empty caBundle',
    webhook({ entries: [{ ...ENTRY, isBundleEmpty: true, trustsServed: false }] }),
    'ca_bundle_empty',
    /logtender certs status/,
  ],
  ['no webhook pod', webhook({ ready: 0 }), 'webhook_down', /deployment logtender-webhook/],
  [
    'a caBundle of another CA',
    webhook({ entries: [{ ...ENTRY, trustsServed: false }] }),
    'ca_bundle_mismatch',
    /logtender certs status/,
  ],
  ['paused now, bare pod', { isPaused: true }, 'paused', /ended the pause/],
  [
    'older than the label',
    {
      ...pod({ inject: undefined, createdMs: NOW_MS - DAY_MS / 2 }),
      ...namespace({ isLabelled: true, labelledMs: NOW_MS }),
    },
    'pod_older_than_label',
    /create the pod again/,
  ],
  ['older than the webhook', pod({ createdMs: NOW_MS - 2 * DAY_MS }), 'pod_older_than_webhook', /create the pod again/],
  ['an outage under ignore', {}, 'bare_outage', /create the pod again/],
  [
    'bare, and a new pod would be no better',
    today({ action: 'skip', reason: 'windows_pod' }),
    'will_skip',
    /remove logging\.io\/inject/,
  ],
  ['bare under fail', namespace({ failurePolicy: 'fail' }), 'bare_other', /create the pod again/],
  [
    'what cannot be read is no reason',
    {
      webhook: { configuration: 'unknown', createdMs: undefined, entries: 'unknown', ready: 'unknown' },
      isPaused: 'unknown',
    },
    'bare_outage',
    /create the pod again/,
  ],
];

/** A workload that has no pod yet. */
const FUTURE: Partial<ExplainFacts> = {
  pod: undefined,
  subject: 'job/once',
  workload: { isAnnotatedItself: false, templateInject: 'true' },
};
const FUTURES: typeof TABLE = [
  ['the next pod is injected', FUTURE, 'will_inject', ''],
  [
    'the next pod is degraded',
    { ...FUTURE, ...today({ findings: [DEGRADING] }) },
    'will_inject_degraded',
    /correct the value/,
  ],
  [
    'the next pod is refused',
    { ...FUTURE, ...today({ action: 'deny', reason: 'invalid_values' }) },
    'will_refuse',
    /correct what is listed/,
  ],
  [
    'the next pod is skipped',
    { ...FUTURE, ...today({ action: 'skip', reason: 'windows_pod' }) },
    'will_skip',
    /remove logging\.io\/inject/,
  ],
  [
    'a template that says no',
    { ...FUTURE, workload: { isAnnotatedItself: false, templateInject: 'false' } },
    'disabled_by_pod',
    /remove/,
  ],
];

describe('diagnose', () => {
  for (const [name, facts, code, remedy] of [...TABLE, ...FUTURES]) {
    it(`${name}: ${code}`, () => {
      const verdict = diagnose({ ...WELL, ...facts });
      assert.equal(verdict.code, code);
      assert(verdict.sentence.length > 10 && !verdict.sentence.endsWith('.'));
      if (remedy === '') assert.equal(verdict.remedy, '');
      else assert.match(verdict.remedy, remedy);
    });
  }

  it('every verdict that the file names is one of the table', () => {
    const source = readFileSync(join(import.meta.dirname, '../../../src/cli/diagnosis.ts'), 'utf8');
    const named = [...source.matchAll(/(?:verdict|ofReason)\(\s*'([a-z_]+)'/g)].map((match) => match[1] ?? '');
    assert(named.length > 20);
    const seen = new Set([...TABLE, ...FUTURES].map(([, , code]) => code));
    assert.deepEqual(
      [...new Set(named)].filter((code) => !seen.has(code)),
      [],
    );
  });

  it('docs/explain.md knows every verdict', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/explain.md'), 'utf8');
    const codes = [...TABLE, ...FUTURES].map(([, , code]) => code);
    assert.deepEqual(
      codes.filter((code) => !page.includes(`\`${code}\``) && !Object.hasOwn(REASONS, code)),
      [],
    );
  });
});
