/**
 * Alert rules: every metric and label value that a rule names is one that the code exposes, every alert has its page and its unit test.
 *
 * The expressions themselves are run by promtool (deploy/alerts/*.test.yaml) in test/servers; what this file checks needs none.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

import { createPairKeeper } from '../../certs/pair-keeper.ts';
import { startReplica } from '../../certs/replica.ts';
import { entriesOfSecret } from '../../certs/secret-store.ts';
import { parseCertsConfig } from '../../src/config/certs-config.ts';
import { parseWebhookConfig } from '../../src/config/webhook-config.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { webhookConfigurationPath } from '../../src/kube/paths.ts';
import { createConfigSource } from '../../webhook/config-source.ts';
import { createTlsFailures } from '../../webhook/tls-failures.ts';
import { webhookConfiguration } from '../certs/small-world.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'deploy/alerts');
const RUNBOOKS = join(ROOT, 'docs/runbooks');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const read = (file: string): unknown => parse(readFileSync(join(FOLDER, file), 'utf8'));
const ruleFiles = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml') && !file.endsWith('.test.yaml'));
const rules = ruleFiles.flatMap((file) =>
  (read(file) as { groups: ReadonlyArray<{ rules: readonly Rule[] }> }).groups.flatMap((group) => group.rules),
);
const tests = ruleFiles.flatMap(
  (file) =>
    (
      read(file.replace('.yaml', '.test.yaml')) as {
        tests: ReadonlyArray<{
          alert_rule_test: ReadonlyArray<{ alertname: string; exp_alerts: ReadonlyArray<{ exp_annotations: object }> }>;
        }>;
      }
    ).tests,
);

/** What our processes expose, from the real code with nothing around it. */
async function exposed(): Promise<string> {
  const metrics = createMetrics();
  const clock = new VirtualClock();
  const kube = createFakeKube();
  await kube.others.create(webhookConfigurationPath(), webhookConfiguration());
  const config = parseCertsConfig(undefined, {});
  assert.ok(config.ok);
  const shared = { clock, log: silentLog, metrics };
  const replica = startReplica({
    ...shared,
    client: kube,
    config: config.value,
    random: () => 0.5,
    randomBytes,
    usesLease: false,
  });
  await replica.inOrder;
  await replica.close();
  const secret = await kube.object('/api/v1/namespaces/logtender/secrets/logtender-tls');
  const keeper = createPairKeeper({ ...shared, origin: 'test', hosts: [], mode: 'self' });
  assert.deepEqual(keeper.offer(entriesOfSecret(secret)), { outcome: 'taken' });
  keeper.refuse('test');
  createTlsFailures({ ...shared, onDistrust: () => {} });
  const started = parseWebhookConfig('', { image: 'logtender:test' });
  assert.ok(started.ok);
  const source = createConfigSource({
    ...shared,
    started: { config: started.value, text: '' },
    file: { read: () => Promise.resolve('nonsense: 1'), watch: () => () => {} },
    parse: (text) => parseWebhookConfig(text, { image: 'logtender:test' }),
    tell: () => {},
  });
  await clock.advance(60_000, 1);
  await source.close();
  return metrics.expose();
}

/** Metrics of an expression with the values that it compares their labels to by equality. */
function selectorsOf(
  expr: string,
): ReadonlyArray<readonly [metric: string, labels: ReadonlyArray<readonly [string, string]>]> {
  return [...expr.matchAll(/(logtender_\w+)(?:\{([^}]*)\})?/g)].map(([, metric = '', matchers = '']) => [
    metric,
    [...matchers.matchAll(/(\w+)(?:!?=)"([^"]*)"/g)].map(([, label = '', value = '']) => [label, value] as const),
  ]);
}

describe('alert rules', () => {
  let text: string;
  before(async () => {
    text = await exposed();
    // The TLS context of the server belongs to a listening server; its name is in the source that makes it.
    text += readFileSync(join(ROOT, 'webhook/handshakes.ts'), 'utf8').includes("'logtender_tls_reloads_total'")
      ? 'logtender_tls_reloads_total{result="refused"} 0\n'
      : '';
  });

  it('name metrics and label values that the code exposes', () => {
    assert.ok(rules.length >= 8, `${rules.length} rules`);
    for (const { alert, expr } of rules) {
      const selectors = selectorsOf(expr);
      assert.ok(selectors.length > 0, alert);
      for (const [metric, labels] of selectors) {
        assert.match(text, new RegExp(`^${metric}[{ ]`, 'm'), `${alert}: no metric ${metric}`);
        for (const [label, value] of labels) {
          assert.match(
            text,
            new RegExp(`^${metric}\\{[^}]*\\b${label}="${value}"`, 'm'),
            `${alert}: no ${metric} with ${label}="${value}"`,
          );
        }
      }
    }
  });

  it('have a page each, with meaning, impact, what to look at and what to do; and no page is left over', () => {
    const named = rules.map(({ annotations }) => annotations.runbook);
    for (const { alert, annotations, labels } of rules) {
      assert.equal(annotations.runbook, `docs/runbooks/${alert}.md`);
      assert.ok(['warning', 'critical'].includes(labels.severity), alert);
      const page = readFileSync(join(ROOT, annotations.runbook), 'utf8');
      const titles = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title);
      assert.deepEqual(titles, [alert, 'Meaning', 'Impact', 'What to look at', 'What to do']);
      for (const [, target = ''] of page.matchAll(/\]\((\w+\.md)\)/g)) {
        assert.ok(existsSync(join(RUNBOOKS, target)), `${alert}: link to ${target}`);
      }
    }
    assert.deepEqual(readdirSync(RUNBOOKS).toSorted(), named.map((path) => path.split('/').at(-1)).toSorted());
  });

  it('have a unit test each, one in which it fires and one in which it does not', () => {
    const cases = tests.flatMap((test) => test.alert_rule_test);
    for (const { alert, annotations } of rules) {
      const own = cases.filter(({ alertname }) => alertname === alert);
      assert.ok(
        own.some(({ exp_alerts }) => exp_alerts.length === 0),
        `${alert}: silent`,
      );
      const firing = own.flatMap(({ exp_alerts }) => exp_alerts);
      assert.ok(firing.length > 0, `${alert}: fires`);
      for (const { exp_annotations } of firing)
        assert.deepEqual(Object.keys(exp_annotations), Object.keys(annotations));
    }
  });

  it('the metrics of the certificates are in docs/metrics.md', () => {
    const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
    const names = [...text.matchAll(/^# TYPE (logtender_cert\w+|logtender_serving_\w+|logtender_events_total) /gm)];
    assert.ok(names.length >= 10);
    for (const [, name = ''] of names) assert.ok(page.includes(`\`${name}\``), name);
  });
});
