/**
 * What the operator bounds for all: images, resources, and the pause switch; seen in answer, status and Event.
 */
import assert from 'node:assert/strict';

import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import { problemText } from '../../src/config/fields.ts';
import { checkDefault } from '../../webhook/settings.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { ask, clusterFacts, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase, TestAnswer } from '../fakes/webhook.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u', controller: true };

function pod(annotations: Readonly<Record<string, string>>): JsonObject {
  return {
    metadata: {
      generateName: 'web-',
      annotations: { 'logging.io/inject': 'true', 'logging.io/files': '/var/log/app/*.log', ...annotations },
      ownerReferences: [OWNER],
    },
    spec: { containers: [{ name: 'app', image: 'app' }] },
  };
}

function sidecarOf(answer: TestAnswer): JsonObject | undefined {
  const values = answer.operations.flatMap((one) => ('value' in one ? [one.value] : []));
  const containers = values.flatMap((value) => (Array.isArray(value) ? value : [value]));
  return containers.find((one): one is JsonObject => JSON.stringify(one).startsWith('{"name":"logtender",'));
}

describe("the operator's bounds on resources", () => {
  const config = { resourcesMax: { cpu: '200m', memory: '128Mi' } };
  /** Annotations, those of the namespace, and requests and limits that come out; the reason that is told. */
  const TABLE: readonly (readonly [string, Record<string, string>, Record<string, string>, unknown, string])[] = [
    [
      'what lies within is taken',
      { 'logging.io/cpu-limit': '200m', 'logging.io/memory-limit': '128Mi' },
      {},
      { requests: { cpu: '5m', memory: '48Mi' }, limits: { cpu: '200m', memory: '128Mi' } },
      'injected',
    ],
    [
      'what lies within in other words too',
      { 'logging.io/cpu-limit': '0.2', 'logging.io/memory-limit': '0.125Gi' },
      {},
      { requests: { cpu: '5m', memory: '48Mi' }, limits: { cpu: '200m', memory: '128Mi' } },
      'injected',
    ],
    [
      'above: the next lower level applies',
      { 'logging.io/memory-limit': '129Mi' },
      { 'logging.io/memory-limit': '96Mi' },
      { requests: { cpu: '5m', memory: '48Mi' }, limits: { memory: '96Mi' } },
      'injected_degraded',
    ],
    [
      'above on every level: the built-in applies',
      { 'logging.io/memory-request': '1Gi', 'logging.io/cpu-request': '2' },
      { 'logging.io/memory-request': '134217729' },
      { requests: { cpu: '5m', memory: '48Mi' }, limits: { memory: '48Mi' } },
      'injected_degraded',
    ],
  ];
  for (const [name, annotations, namespace, resources, reason] of TABLE) {
    it(name, async () => {
      const { handler } = testWebhook({ config, annotations: namespace });
      const answer = await ask(handler, reviewOf(pod({ 'logging.io/stdout': 'off', ...annotations })));
      assert.equal(answer.reason, reason);
      assert.deepEqual(sidecarOf(answer)?.['resources'], resources);
      const refused = answer.warnings.filter((warning) => warning.includes('which the operator allows'));
      assert.equal(refused.length > 0, reason === 'injected_degraded', answer.warnings.join('\n'));
    });
  }

  it('under on-invalid deny the pod is refused', async () => {
    const { handler } = testWebhook({ config });
    const answer = await ask(handler, reviewOf(pod({ 'logging.io/cpu-limit': '1', 'logging.io/on-invalid': 'deny' })));
    assert.deepEqual([answer.allowed, answer.reason], [false, 'invalid_values']);
    assert.match(
      answer.message ?? '',
      /logging\.io\/cpu-limit: expected at most 200m, which the operator allows, got "1"/,
    );
  });

  it('leave room for what is built in, and bound the defaults of the operator', () => {
    const parsed = readWebhookConfig(
      { resourcesMax: { cpu: '40m', memory: '64Mi', disk: '1Gi' }, defaults: { 'memory-limit': '65Mi' } },
      { image: 'x', checkDefault },
    );
    assert.deepEqual(parsed.ok ? [] : parsed.problems.map(problemText), [
      'resourcesMax.cpu: expected a quantity of at least 50m, such as 200m, got "40m"',
      'resourcesMax.disk: expected a known key (cpu, memory), got "disk"',
      'defaults.memory-limit: expected at most resourcesMax.memory (64Mi), got "65Mi"',
    ]);
  });
});

describe("the operator's bounds on images", () => {
  const problemsOf = (raw: Record<string, unknown>): readonly string[] => {
    const parsed = readWebhookConfig(raw, { image: 'mine:1', checkDefault });
    return parsed.ok ? [] : parsed.problems.map(problemText);
  };

  it('a default of the operator is among them', () => {
    assert.deepEqual(problemsOf({ defaults: { image: 'reg/other:1' } }), [
      'defaults.image: expected image, or one that imagesAllowed names, got "reg/other:1"',
    ]);
    assert.deepEqual(problemsOf({ defaults: { image: 'reg/other:1' }, imagesAllowed: ['reg/*'] }), []);
    assert.deepEqual(problemsOf({ defaults: { image: 'mine:1' } }), []);
  });

  it('what is no reference, or a prefix that ends within a name, is refused', () => {
    assert.deepEqual(
      problemsOf({ image: 'reg/App', imagesAllowed: ['reg.example*'] }).map((text) => text.split(':', 1)[0]),
      ['image', 'imagesAllowed'],
    );
  });

  it('what no kubelet could pull gives way, however the prefix allows it', async () => {
    const { handler } = testWebhook({ config: { imagesAllowed: ['reg/team/*'] } });
    const answer = await ask(handler, reviewOf(pod({ 'logging.io/image': 'reg/team/UPPER:::x@y' })));
    assert.equal(sidecarOf(answer)?.['image'], 'logtender:test');
    assert.match(answer.warnings.join(), /invalid_value: logging\.io\/image: expected an image reference/);
  });
});

describe('the pause switch', () => {
  const paused: ClusterCase = { config: { paused: true }, labels: { 'logging.io/inject': 'true' } };

  it('admits who asked as it is, and says why: status, warning, Event', async () => {
    const { handler, events, records } = testWebhook(paused);
    const answer = await ask(handler, reviewOf(pod({})));
    assert.deepEqual([answer.allowed, answer.reason], [true, 'paused']);
    assert.deepEqual(
      answer.operations.map((one) => ('path' in one ? one.path : '')),
      ['/metadata/annotations/logging.io~1status'],
    );
    assert.match(JSON.stringify(answer.operations), /skipped.*paused.*create the pod again/s);
    assert.match(answer.warnings.join(), /not injected: the operator has paused injection/);
    assert.deepEqual([events.map((event) => event.reason), records[0]?.reason], [['paused'], 'paused']);
  });

  it('lets pods through that would be refused', async () => {
    const { handler } = testWebhook(paused);
    const bad = pod({ 'logging.io/on-invalid': 'deny', 'logging.io/flush-interval': 'x' });
    const answer = await ask(handler, reviewOf(bad));
    assert.deepEqual([answer.allowed, answer.reason], [true, 'paused']);
  });

  it('asks the cluster for no account', async () => {
    const { handler, records } = testWebhook(paused, {
      facts: {
        ...clusterFacts(paused),
        accountExists: async () => ({ ok: false, text: 'asked' }),
      },
    });
    await ask(handler, reviewOf(pod({ 'logging.io/service-account': 'x' })));
    assert.equal(records[0]?.reason, 'paused');
  });
});
