/**
 * A decision is explained in six places, by the same code and in the same words; and the status answers what people ask of
 * `kubectl describe pod`.
 */
import assert from 'node:assert/strict';

import { systemClock } from '../../src/core/clock.ts';
import { createLog, silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Metrics } from '../../src/core/metrics.ts';
import { corePath } from '../../src/kube/paths.ts';
import { configHash } from '../../webhook/config-hash.ts';
import { createEvents } from '../../webhook/events.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { ANNOUNCED, eventReason, reasonOf, REASONS, reasonText } from '../../webhook/reasons.ts';
import type { ReasonCode } from '../../webhook/reasons.ts';
import { createRequestRecorder } from '../../webhook/requests.ts';
import type { RequestRecord } from '../../webhook/requests.ts';
import type { ClusterFacts } from '../../webhook/cluster-facts.ts';
import { createFakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { ask, clusterFacts, reviewOf, testWebhook, webhookConfig } from '../fakes/webhook.ts';
import type { ClusterCase, TestAnswer } from '../fakes/webhook.ts';

type Words = Readonly<Record<string, string>>;

/** A cluster that cannot be asked about namespaces. */
const UNREACHABLE: ClusterFacts = {
  ...clusterFacts(),
  namespace: async () => ({ ok: false, text: 'get namespace: expected an answer, got unavailable' }),
};

function podWith(annotations: Words, spec: JsonObject = {}): JsonObject {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'u', controller: true };
  return {
    metadata: { name: 'web-1', annotations, ownerReferences: [owner] },
    spec: { containers: [{ name: 'app' }], ...spec },
  };
}

const ASKED: Words = { 'logging.io/inject': 'true', 'logging.io/stdout': 'off', 'logging.io/files': '/var/log/app/*' };
const OURS = { containers: [{ name: 'logtender' }] };

/** Every outcome in which something that was asked for does not come about. */
const TABLE: readonly (readonly [ReasonCode, JsonObject, ClusterCase])[] = [
  ['injected_degraded', podWith({ ...ASKED, 'logging.io/sink': 's4' }), {}],
  ['invalid_values', podWith({ ...ASKED, 'logging.io/sink': 's4', 'logging.io/on-invalid': 'deny' }), {}],
  ['inject_invalid', podWith({ 'logging.io/inject': 'yes' }), {}],
  ['conflict_container', podWith(ASKED, OURS), {}],
  ['conflict_volume', podWith(ASKED, { volumes: [{ name: 'logtender-state', hostPath: { path: '/' } }] }), {}],
  ['windows_pod', podWith(ASKED, { os: { name: 'windows' } }), {}],
  ['ends_without_native', podWith(ASKED, { restartPolicy: 'Never' }), { kubelets: 'old' }],
  ['ends_as_container', podWith({ ...ASKED, 'logging.io/sidecar': 'container' }, { restartPolicy: 'Never' }), {}],
  ['paused', podWith(ASKED), { config: { paused: true } }],
  ['annotations_full', podWith({ ...ASKED, filling: 'x'.repeat(256 * 1024 - 200) }), {}],
];

function statusOf(pod: JsonObject): Json {
  const text = textAt(pod, 'metadata', 'annotations', 'logging.io/status');
  return text === undefined ? null : (JSON.parse(text) as Json);
}

/** Every outcome in which what was asked for comes about, or nobody asked: nothing to tell anybody but who looks. */
const QUIET: readonly (readonly [ReasonCode, JsonObject, ClusterCase])[] = [
  ['injected', podWith({ ...ASKED, 'logging.io/sink': 'elasticsearch' }), {}],
  ['already_injected', podWith({ ...ASKED, 'logging.io/sink': 'elasticsearch' }), {}],
  ['not_asked', podWith({}), {}],
  ['disabled_by_pod', podWith({ ...ASKED, 'logging.io/inject': 'false' }), {}],
  ['mirror_pod', podWith({ ...ASKED, 'kubernetes.io/config.mirror': 'x' }), {}],
];

/** Requests that never become a decision, as the handler meets them; the server's own are in process.test.ts. */
const ERRORS: readonly (readonly [ReasonCode, number, body: unknown, ClusterFacts | undefined])[] = [
  ['review_invalid', 400, { kind: 'Pod' }, undefined],
  ['body_too_deep', 400, Buffer.from('['.repeat(70)), undefined],
  ['facts_unavailable', 500, reviewOf(podWith(ASKED)), UNREACHABLE],
];

/** The log line and the metrics that records of requests become. */
function recorded(records: readonly RequestRecord[]): { readonly line: Json; readonly metrics: Metrics } {
  const lines: string[] = [];
  const metrics = createMetrics();
  const log = createLog({ clock: systemClock, level: 'debug', write: (line) => lines.push(line) });
  for (const record of records) createRequestRecorder({ log, metrics })(record);
  return { line: JSON.parse(lines[0] ?? '{}') as Json, metrics };
}

function auditOf(answer: TestAnswer): Json {
  return at(JSON.parse(answer.body) as Json, 'response', 'auditAnnotations') ?? null;
}

describe('a decision is explained', () => {
  for (const [code, pod, cluster] of TABLE) {
    it(`${code}: alike in log line, metric, status, warning or refusal, audit annotation and Event`, async () => {
      const { handler, records, events } = testWebhook(cluster);
      const answer = await ask(handler, reviewOf(pod));
      const { line, metrics } = recorded(records);
      const words = reasonText(code);

      assert.deepEqual([at(line, 'reason'), at(line, 'explanation')], [code, words]);
      const calls = metrics.counter('logtender_admission_requests_total', '');
      assert.equal(calls.value({ reason: code, status: '200' }), 1);
      assert.deepEqual([at(auditOf(answer), 'reason'), at(auditOf(answer), 'message')], [code, words]);

      const told = [answer.message ?? '', ...answer.warnings].join('\n');
      // Of an injection the findings are told, each with its own code; the rest is told by its code and sentence.
      const isInjected = code === 'injected_degraded';
      assert(told.includes(isInjected ? 'invalid_value: ' : `${code}: `), told);
      if (!isInjected) assert(told.includes(reasonOf(code).sentence), told);

      if (answer.allowed === true && code !== 'annotations_full') {
        const status = statusOf(applyPatch(pod, answer.operations));
        assert.deepEqual([at(status, 'reason'), at(status, 'message')], [code, words]);
        assert.equal(at(status, 'level'), 'pod');
      }

      const kube = createFakeKube();
      const writer = createEvents({ client: kube, clock: new VirtualClock(), log: silentLog, metrics });
      for (const event of events) writer.announce(event);
      await writer.close();
      const written = await kube.others.list(corePath('shop', 'events'));
      const [event] = written.ok ? written.value.items : [];
      assert.equal(event?.['reason'], eventReason(code));
      assert(String(event?.['message']).startsWith(words), String(event?.['message']));
    });
  }

  for (const [code, pod, cluster] of QUIET) {
    it(`${code}: alike in log line, metric and audit annotation, without a word to anybody else`, async () => {
      const { handler, records, events } = testWebhook(cluster);
      let answer = await ask(handler, reviewOf(pod));
      if (code === 'already_injected') answer = await ask(handler, reviewOf(applyPatch(pod, answer.operations)));
      const { line, metrics } = recorded(records.slice(-1));
      assert.deepEqual(
        [at(line, 'reason'), at(line, 'explanation'), at(line, 'level')],
        [code, reasonText(code), 'info'],
      );
      const calls = metrics.counter('logtender_admission_requests_total', '');
      assert.equal(calls.value({ reason: code, status: '200' }), 1);
      assert.deepEqual([at(auditOf(answer), 'reason'), at(auditOf(answer), 'message')], [code, reasonText(code)]);
      assert.deepEqual([answer.warnings, events], [[], []]);
      if (code === 'injected') assert.equal(at(statusOf(applyPatch(pod, answer.operations)), 'reason'), code);
    });
  }

  for (const [code, status, body, facts] of ERRORS) {
    it(`${code}: alike in answer, log line and both metrics`, async () => {
      const { handler, records } = testWebhook({}, facts === undefined ? {} : { facts });
      const answer = await ask(handler, body);
      assert.equal(answer.status, status);
      assert(answer.body.startsWith(`logtender: ${code}: `), answer.body);
      assert(answer.body.endsWith(`${reasonText(code)}\n`), answer.body);
      const { line, metrics } = recorded(records);
      assert.deepEqual([at(line, 'reason'), at(line, 'explanation')], [code, reasonText(code)]);
      const labels = { reason: code, status: String(status) };
      assert.equal(metrics.counter('logtender_admission_requests_total', '').value(labels), 1);
      assert.equal(metrics.counter('logtender_admission_rejections_total', '').value({ reason: code }), 1);
    });
  }

  it('injected, with a warning: the Event is of type Normal and says what the warning says; not under dry run', async () => {
    const pod = podWith({ ...ASKED, 'logging.io/sink': 'elasticsearch', 'logging.io/flush-intervall': '1s' });
    const { handler, events } = testWebhook({});
    const answer = await ask(handler, reviewOf(pod));
    assert(answer.warnings.some((warning) => warning.includes(reasonOf('unknown_key').sentence)));
    const kube = createFakeKube();
    const options = { client: kube, clock: new VirtualClock(), log: silentLog, metrics: createMetrics() };
    const writer = createEvents(options);
    for (const event of events) writer.announce(event);
    await writer.close();
    const written = await kube.others.list(corePath('shop', 'events'));
    const [event] = written.ok ? written.value.items : [];
    assert.deepEqual(
      [event?.['type'], event?.['reason'], event?.['message']],
      ['Normal', 'Injected', `${reasonText('injected')}; unknown_key: ${reasonText('unknown_key')}`],
    );
    const dry = testWebhook({});
    await ask(dry.handler, reviewOf(pod, 'shop', true));
    assert.deepEqual(dry.events, []);
  });

  it('every outcome that is announced is in the table above, and docs/reasons.md names the Events of those alone', () => {
    assert.deepEqual([...ANNOUNCED].toSorted(), TABLE.map(([code]) => code).toSorted());
  });

  it('and none of it under dry run becomes an Event', async () => {
    for (const [, pod, cluster] of TABLE) {
      const { handler, events } = testWebhook(cluster);
      await ask(handler, reviewOf(pod, 'shop', true));
      assert.deepEqual(events, []);
    }
  });
});

describe('the status', () => {
  const CLUSTER: ClusterCase = {
    labels: { 'logging.io/inject': 'true' },
    annotations: { 'logging.io/sink': 'elasticsearch,cloudwatch', 'logging.io/log-group': 'nowhere' },
    accounts: ['forwarder'],
    config: { defaults: { 'memory-limit': '96Mi', 'service-account': 'forwarder', sink: 'console' } },
  };
  const POD = podWith({ 'logging.io/files': '/var/log/app/*', 'logging.io/log-group': 'mine-{app}' });

  async function statusFor(cluster: ClusterCase): Promise<Json> {
    return statusOf(applyPatch(POD, (await ask(testWebhook(cluster).handler, reviewOf(POD))).operations));
  }

  it('says what was decided, who asked, by which version and configuration', async () => {
    const status = await statusFor(CLUSTER);
    assert(isObject(status));
    const { decision, reason, message, level, version, config } = status;
    assert.deepEqual(
      [decision, reason, message, level, version],
      ['injected', 'injected', 'the sidecar was injected as asked', 'namespace', '0.0.0-test'],
    );
    assert.equal(config, configHash(webhookConfig(CLUSTER.config)));
  });

  it('says which key has its value from which level', async () => {
    assert.deepEqual(at(await statusFor(CLUSTER), 'levels'), {
      pod: ['files', 'log-group'],
      namespace: ['sink'],
      config: ['service-account', 'memory-limit'],
    });
  });

  it('says which shape and why', async () => {
    const shapes = await Promise.all(
      (['ready', 'old', 'unknown'] as const).map(async (kubelets) => statusFor({ ...CLUSTER, kubelets })),
    );
    assert.deepEqual(
      shapes.map((status) => `${textAt(status, 'shape')} ${textAt(status, 'shapeReason')}`),
      ['native kubelets_ready', 'container kubelets_old', 'container kubelets_unknown'],
    );
  });

  it('says which account and why, which destinations, and which resources', async () => {
    const status = await statusFor(CLUSTER);
    assert.deepEqual([at(status, 'account'), at(status, 'accountReason')], ['forwarder', 'account_switched']);
    assert.deepEqual(at(status, 'destinations'), {
      elasticsearch: 'logs-logtender-shop',
      cloudwatch: 'mine-web {pod}/{container}',
    });
    assert.deepEqual(at(status, 'resources'), {
      requests: { cpu: '5m', memory: '64Mi' },
      limits: { memory: '96Mi' },
    });
  });

  it('says that a namespace asked for what a pod cannot have', async () => {
    const pod = podWith({}, { os: { name: 'windows' } });
    const answer = await ask(testWebhook(CLUSTER).handler, reviewOf(pod));
    const status = statusOf(applyPatch(pod, answer.operations));
    assert.deepEqual([at(status, 'decision'), at(status, 'level')], ['skipped', 'namespace']);
  });

  it('every sentence and every remedy fits a line of kubectl describe', () => {
    for (const [code, { sentence, remedy }] of Object.entries(REASONS)) {
      for (const text of [sentence, remedy]) {
        const line = `"sentence":${JSON.stringify(text)},`;
        assert(line.length <= 138, `${code}: ${line.length}`);
      }
    }
  });

  it('is shown whole by kubectl describe, a line at a time', async () => {
    const text = textAt(
      applyPatch(POD, (await ask(testWebhook(CLUSTER).handler, reviewOf(POD))).operations),
      'metadata',
      'annotations',
      'logging.io/status',
    );
    const lines = (text ?? '').split('\n');
    assert(lines.length > 3 && lines.every((line) => line.length <= 138), lines.join('\n'));
    assert.deepEqual(listAt(JSON.parse(text ?? '') as Json, 'findings')[0], {
      code: 'stdio_not_shipped',
      key: 'stdout',
      sentence: reasonOf('stdio_not_shipped').sentence,
      remedy: reasonOf('stdio_not_shipped').remedy,
    });
  });
});
