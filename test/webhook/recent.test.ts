/**
 * What the webhook remembers of work that it did: bounded, forgotten in order, and never instead of the right answer.
 */
import assert from 'node:assert/strict';

import { Recent } from '../../webhook/recent.ts';
import { readAsked } from '../../webhook/injection.ts';
import type { Reading } from '../../webhook/injection.ts';
import { settingsOf } from '../../webhook/settings.ts';
import { webhookConfig } from '../fakes/webhook.ts';

const NAMESPACE = { name: 'shop', labels: new Map(), annotations: new Map() };

function filesOf(reading: Reading): readonly string[] {
  assert(reading.kind === 'asked');
  return reading.asked.settings.files.map(({ path }) => path);
}

function podWith(annotations: Readonly<Record<string, string>>): Parameters<typeof readAsked>[0] {
  return {
    metadata: { annotations: { 'logging.io/inject': 'true', ...annotations } },
    spec: { containers: [{ name: 'a' }] },
  };
}

describe('Recent', () => {
  it('makes a result once for each text', () => {
    const recent = new Recent<number>(4);
    let made = 0;
    const ask = (text: string): number => recent.of(text, () => (made += 1));
    assert.deepEqual([ask('a'), ask('b'), ask('a'), ask('b')], [1, 2, 1, 2]);
  });

  it('remembers the last `max` texts, and forgets one that was not asked for in 2 * max others', () => {
    const recent = new Recent<string>(3);
    let made: string[] = [];
    const ask = (text: string): string =>
      recent.of(text, () => {
        made.push(text);
        return text;
      });
    for (const text of ['a', 'b', 'c', 'd', 'b', 'c', 'd']) ask(text);
    assert.deepEqual(made, ['a', 'b', 'c', 'd']);
    made = [];
    for (const text of ['1', '2', '3', '4', '5', '6', 'b']) ask(text);
    assert.deepEqual(made, ['1', '2', '3', '4', '5', '6', 'b']);
  });

  it('keeps nothing of what failed', () => {
    const recent = new Recent<string>(2);
    assert.throws(() =>
      recent.of('a', () => {
        throw new TypeError('once');
      }),
    );
    assert.equal(
      recent.of('a', () => 'later'),
      'later',
    );
  });
});

describe('settingsOf', () => {
  it('tells every text apart, and each level', () => {
    const config = webhookConfig();
    const say = (pod: Readonly<Record<string, string>>, namespace: Readonly<Record<string, string>>): string =>
      settingsOf({ pod: new Map(Object.entries(pod)), namespace: new Map(Object.entries(namespace)) }, config).settings
        .sinkSecret;
    // The second round is answered from memory.
    for (let round = 0; round < 2; round += 1) {
      assert.equal(say({ 'sink-secret': 'a' }, {}), 'a');
      assert.equal(say({ 'sink-secret': 'b' }, {}), 'b');
      assert.equal(say({}, { 'sink-secret': 'a' }), 'a');
      assert.equal(say({ 'sink-secret': 'b' }, { 'sink-secret': 'a' }), 'b');
      assert.equal(say({}, {}), 'logtender-sink');
    }
    const levels = { pod: new Map([['sink-secret', 'a']]), namespace: new Map<string, string>() };
    assert.equal(settingsOf(levels, config).settings.origins.get('sink-secret'), 'pod');
    const swapped = { pod: levels.namespace, namespace: levels.pod };
    assert.equal(settingsOf(swapped, config).settings.origins.get('sink-secret'), 'namespace');
  });

  it('forgets what it resolved under a configuration together with it', () => {
    const pod = podWith({});
    const before = webhookConfig({ defaults: { files: '/var/log/before/*.log' } });
    const after = webhookConfig({ defaults: { files: '/var/log/after/*.log' } });
    assert.deepEqual(filesOf(readAsked(pod, NAMESPACE, before)), ['/var/log/before/*.log']);
    assert.deepEqual(filesOf(readAsked(pod, NAMESPACE, after)), ['/var/log/after/*.log']);
    assert.deepEqual(filesOf(readAsked(pod, NAMESPACE, before)), ['/var/log/before/*.log']);
  });

  it('does not take the status of an earlier pass for a setting', () => {
    const config = webhookConfig();
    const resolve = (status: string): unknown =>
      settingsOf(
        {
          pod: new Map([
            ['files', '/var/log/a/*.log'],
            ['status', status],
          ]),
          namespace: new Map(),
        },
        config,
      );
    assert.equal(resolve('{"a":1}'), resolve('{"a":2}'));
  });
});
