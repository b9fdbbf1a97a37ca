/**
 * From review to answer: our own failures, stale caches, what logs and Events may say.
 */
import assert from 'node:assert/strict';

import { systemClock } from '../../src/core/clock.ts';
import { createLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { ClusterFacts } from '../../webhook/cluster-facts.ts';
import { createRequestRecorder } from '../../webhook/requests.ts';
import { ask, clusterFacts, reviewOf, testWebhook } from '../fakes/webhook.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u', controller: true };
function podWith(
  annotations: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): Parameters<typeof reviewOf>[0] {
  return {
    metadata: {
      name: 'web',
      annotations: { 'logging.io/inject': 'true', ...annotations, ...more },
      ownerReferences: [OWNER],
    },
    spec: { containers: [{ name: 'app', env: [{ name: 'PASSWORD', value: 'CANARY-env' }] }] },
  };
}

describe('handler', () => {
  it('answers 500 when the cluster cannot be asked, so that failurePolicy decides', async () => {
    const facts: ClusterFacts = {
      ...clusterFacts(),
      namespace: async () => ({ ok: false, text: 'get namespace: expected an answer, got unavailable' }),
    };
    const { handler, records } = testWebhook({}, { facts });
    const answer = await ask(handler, reviewOf(podWith({})));
    assert.deepEqual([answer.status, answer.reason], [500, 'facts_unavailable']);
    assert.match(
      answer.body,
      /^logtender: facts_unavailable: get namespace: .*; the cluster could not be asked .*: look at /,
    );
    assert.equal(records[0]?.reason, 'facts_unavailable');
  });

  it('answers 500 for a bug of ours, without its message', async () => {
    const lines: string[] = [];
    const log = createLog({ clock: systemClock, level: 'debug', write: (line) => lines.push(line) });
    const facts: ClusterFacts = {
      ...clusterFacts(),
      namespace: async () => {
        throw new TypeError('CANARY-bug');
      },
    };
    const { handler } = testWebhook({}, { facts, log });
    const answer = await ask(handler, reviewOf(podWith({})));
    assert.deepEqual([answer.status, answer.reason], [500, 'internal_error']);
    assert(!answer.body.includes('CANARY') && !/\n\s+at /.test(answer.body));
    assert(lines.some((line) => line.includes('TypeError')) && !lines.some((line) => line.includes('CANARY')));
  });

  it('says deadline_exceeded when the deadline was reached', async () => {
    const facts: ClusterFacts = {
      ...clusterFacts(),
      namespace: async (_name, { signal }) => ({ ok: false, text: signal.aborted ? 'aborted' : 'early' }),
    };
    const { handler } = testWebhook({}, { facts });
    const answer = await handler.handle(Buffer.from(JSON.stringify(reviewOf(podWith({})))), {
      startedMs: 0,
      signal: AbortSignal.abort(),
    });
    assert.deepEqual([answer.status, answer.reason], [500, 'deadline_exceeded']);
  });

  it('asks the API server before it says that nobody asked: its own labels may be newer than our cache', async () => {
    const stale = clusterFacts();
    const fresh = clusterFacts({ labels: { 'logging.io/inject': 'true' } });
    const asked: boolean[] = [];
    const facts: ClusterFacts = {
      ...stale,
      namespace: async (name, options) => {
        asked.push(options.isFresh);
        return (options.isFresh ? fresh : stale).namespace(name, options);
      },
    };
    const { handler } = testWebhook({}, { facts });
    const answer = await ask(handler, reviewOf({ metadata: { name: 'p' }, spec: { containers: [{ name: 'app' }] } }));
    assert.equal(answer.reason, 'injected');
    assert.deepEqual(asked, [false, true]);
    await ask(handler, reviewOf(podWith({})));
    assert.deepEqual(asked, [false, true, false], 'a pod that asks by itself costs no live read');
  });

  it('asks for the account once, and only where it matters', async () => {
    const asked: string[] = [];
    const facts: ClusterFacts = {
      ...clusterFacts(),
      accountExists: async (namespace, name) => {
        asked.push(`${namespace}/${name}`);
        return { ok: true, value: true };
      },
    };
    const { handler } = testWebhook({}, { facts });
    await ask(handler, reviewOf(podWith({})));
    assert.deepEqual(asked, []);
    await ask(handler, reviewOf(podWith({ 'logging.io/service-account': 'f' })));
    assert.deepEqual(asked, ['shop/f']);
  });

  it('one log line and one count per request, by reason code; no value of a user in either', async () => {
    const lines: string[] = [];
    const log = createLog({ clock: systemClock, level: 'debug', write: (line) => lines.push(line) });
    const metrics = createMetrics();
    const record = createRequestRecorder({ log, metrics });
    const { handler, records } = testWebhook({}, { log });
    await ask(
      handler,
      reviewOf(
        podWith({
          'logging.io/flush-interval': 'CANARY-1\n',
          'logging.io/CANARY-key': 'CANARY-2',
          'logging.io/files': '/CANARY-3/*',
        }),
      ),
    );
    await ask(handler, reviewOf(podWith({ 'logging.io/inject': 'CANARY-4' })));
    await ask(handler, Buffer.from('{"CANARY-5":1}'));
    for (const one of records) record(one);
    assert.equal(lines.length, 3);
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { reason: string }).reason),
      ['injected_degraded', 'inject_invalid', 'review_invalid'],
    );
    const text = `${lines.join('')}${metrics.expose()}`;
    assert(!text.includes('CANARY'), text);
    assert.match(metrics.expose(), /logtender_admission_requests_total\{reason="injected_degraded",status="200"\} 1/);
    assert(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1));
  });

  it('the answer and the status hold no value of env', async () => {
    const { operations, body } = await ask(testWebhook().handler, reviewOf(podWith({})));
    assert(operations.length > 0);
    assert(!JSON.stringify(operations).includes('CANARY-env') && !body.includes('CANARY-env'));
  });

  it('Events: on the owner, for what is not as asked, once per decision, never under dry run', async () => {
    const { handler, events } = testWebhook();
    const good = {
      'logging.io/sink': 'elasticsearch',
      'logging.io/files': '/var/log/app/*.log',
      'logging.io/stdout': 'off',
    };
    const bad = podWith({ ...good, 'logging.io/flush-interval': 'CANARY' });
    await ask(handler, reviewOf(podWith(good)));
    assert.equal(events.length, 0, 'all as asked');
    await ask(handler, reviewOf(bad, 'shop', true));
    assert.equal(events.length, 0, 'dry run');
    await ask(handler, reviewOf(bad));
    assert.deepEqual(
      events.map((event) => [event.reason, event.owner.name, event.findings.map((f) => f.key)]),
      [['injected_degraded', 'web-1', ['flush-interval']]],
    );
  });
});
