/**
 * Precedence of every key, and what is said about values and keys that are not valid.
 */
import assert from 'node:assert/strict';

import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import { KEY_NAMES, KEYS } from '../../webhook/annotations.ts';
import { findingText } from '../../webhook/finding.ts';
import { checkDefault, ownKeys, resolveSettings } from '../../webhook/settings.ts';
import type { Settings } from '../../webhook/settings.ts';
import { webhookConfig } from '../fakes/webhook.ts';

function resolve(
  pod: Readonly<Record<string, string>>,
  namespace: Readonly<Record<string, string>> = {},
  config: Readonly<Record<string, string>> = {},
): ReturnType<typeof resolveSettings> {
  const levels = {
    pod: new Map(Object.entries(pod)),
    namespace: new Map(Object.entries(namespace)),
    config: new Map(Object.entries(config)),
  };
  return resolveSettings(levels, webhookConfig({ imagesAllowed: ['a', 'b', 'c'] }));
}

/** Key, three valid values (pod, namespace, config), one that is not valid, and where the setting ends up. */
const TABLE: readonly (readonly [
  string,
  readonly [string, string, string],
  string,
  (settings: Settings) => unknown,
])[] = [
  ['files', ['/p/a', '/n/a', '/c/a'], 'a', (s) => s.files[0]?.path],
  ['stdout', ['off', 'off', 'off'], 'on', (s) => s.stdout],
  ['sink', ['elasticsearch', 'console', 'cloudwatch'], 's4', (s) => s.sinks[0]],
  ['sink-secret', ['p', 'n', 'c'], 'A', (s) => s.sinkSecret],
  ['log-group', ['p', 'n', 'c'], '{x}', (s) => s.logGroup],
  ['log-stream', ['p', 'n', 'c'], '{x}', (s) => s.logStream],
  ['data-stream', ['p', 'n', 'c'], '{x}', (s) => s.dataStream],
  ['index', ['p', 'n', 'c'], '{x}', (s) => s.dataStream],
  ['retention-days', ['1', '3', '5'], '2', (s) => s.retentionDays?.toString()],
  ['flush-interval', ['1s', '2s', '3s'], '1', (s) => s.flushInterval],
  ['service-account', ['p', 'n', 'c'], 'A', (s) => s.serviceAccount],
  [
    'role-arn',
    ['1', '2', '3'].map((n) => `arn:aws:iam::12345678901${n}:role/r`) as [string, string, string],
    'x',
    (s) => s.roleArn,
  ],
  ['cpu-request', ['1m', '2m', '3m'], 'x', (s) => s.resources.cpuRequest?.text],
  ['cpu-limit', ['20m', '30m', '40m'], 'x', (s) => s.resources.cpuLimit?.text],
  ['memory-request', ['32Mi', '33Mi', '34Mi'], '48m', (s) => s.resources.memoryRequest?.text],
  ['memory-limit', ['32Mi', '33Mi', '34Mi'], '48', (s) => s.resources.memoryLimit?.text],
  ['image', ['a', 'b', 'c'], 'not-allowed', (s) => s.image],
  ['sidecar', ['native', 'container', 'native'], 'x', (s) => s.shape],
  ['parser', ['none', 'none', 'none'], 'x', (s) => s.parser],
  ['metadata', ['none', 'none', 'none'], 'x', (s) => s.metadata],
  ['on-invalid', ['deny', 'deny', 'deny'], 'x', (s) => s.onInvalid],
];

describe('resolveSettings', () => {
  for (const [key, [pod, namespace, config], invalid, at] of TABLE) {
    it(`${key}: pod > namespace > config > built-in`, () => {
      const layers = [{ [key]: pod }, { [key]: namespace }, { [key]: config }] as const;
      assert.equal(at(resolve(...layers).settings), pod);
      assert.equal(at(resolve({}, layers[1], layers[2]).settings), namespace);
      assert.equal(at(resolve({}, {}, layers[2]).settings), config);
      const builtIn = at(resolve({}).settings);
      assert.notEqual(builtIn, config);
      const bad = resolve({ [key]: invalid }, layers[1], layers[2]);
      assert.equal(at(bad.settings), namespace, 'a bad value of the pod: the namespace applies');
      assert.deepEqual(
        bad.findings.filter((f) => f.code === 'invalid_value').map((f) => [f.key, f.level]),
        [[key, 'pod']],
      );
      const worse = resolve({ [key]: invalid }, { [key]: invalid }, {});
      assert.equal(at(worse.settings), builtIn, 'bad values everywhere: the built-in applies');
      assert.equal(worse.findings.filter((f) => f.code === 'invalid_value').length, 2);
    });
  }

  it('every key that is acted on has a row here', () => {
    const acted = KEY_NAMES.filter(
      (key) => KEYS[key].parse !== undefined && KEYS[key].places.some((place) => place === 'config'),
    );
    const rows = TABLE.map(([key]) => key);
    assert.deepEqual(
      acted.filter((key) => !rows.includes(key)),
      ['naming'],
    );
  });

  it('naming: flat changes both built-in names, and only those', () => {
    const { settings } = resolve({ naming: 'flat', 'log-group': '/mine' });
    assert.deepEqual([settings.logGroup, settings.logStream], ['/mine', '{pod}_{container}']);
    assert.equal(resolve({ naming: 'flat' }).settings.logGroup, 'k8s_{cluster}_{namespace}_{app}_{container}');
  });

  it('data-stream wins over index on one level, and the level wins over the word', () => {
    const both = resolve({ 'data-stream': 'd', index: 'i' });
    assert.equal(both.settings.dataStream, 'd');
    assert(both.findings.some((f) => f.code === 'superseded' && f.key === 'index'));
    assert.equal(resolve({ index: 'i' }, { 'data-stream': 'd' }).settings.dataStream, 'i');
  });

  it('no sink anywhere is console, with a warning', () => {
    const { settings, findings } = resolve({});
    assert.deepEqual(settings.sinks, ['console']);
    assert(findings.some((f) => f.code === 'sink_defaulted'));
  });

  it('says what is unknown, not built yet, or in the wrong place', () => {
    const { findings } = resolve(
      { 'log-grup': 'x', redact: 'x', 'failure-policy': 'fail', constructor: 'x' },
      { inject: 'true', files: '/a/b' },
    );
    assert.deepEqual(
      findings.filter((f) => f.code !== 'sink_defaulted').map((f) => [f.code, f.key, f.level]),
      [
        ['unknown_key', 'log-grup', 'pod'],
        ['key_not_available', 'redact', 'pod'],
        ['wrong_place', 'failure-policy', 'pod'],
        ['unknown_key', 'constructor', 'pod'],
        ['wrong_place', 'inject', 'namespace'],
      ],
    );
    const [unknown] = findings.filter((f) => f.key === 'log-grup');
    assert(unknown !== undefined);
    assert.match(findingText(unknown), /logging\.io\/log-grup: .*did you mean logging\.io\/log-group\?/);
  });

  it('an unknown value names key, expectation, finding and the nearest value', () => {
    const [finding] = resolve({ sink: 'elasticserch' }).findings;
    assert(finding !== undefined);
    const text = findingText(finding);
    for (const part of [
      'logging.io/sink',
      'expected one of elasticsearch',
      'got "elasticserch"',
      'did you mean elasticsearch?',
    ]) {
      assert(text.includes(part), text);
    }
  });
});

describe('defaults of the operator', () => {
  it('are checked with the same parsers', () => {
    assert.deepEqual(checkDefault('sink', 'elasticsearch'), []);
    assert.equal(checkDefault('sink', 's3')[0]?.path, 'sink');
    assert.match(checkDefault('flush-intervl', '1s')[0]?.hint ?? '', /flush-interval/);
    assert.equal(checkDefault('inject', 'true').length, 1, 'opting in is not for the operator');
    assert.equal(checkDefault('redact', 'x').length, 1, 'not in this version');
  });

  it('hold no control character where they reach env', () => {
    for (const key of ['cluster', 'awsRegion', 'image']) {
      const parsed = readWebhookConfig({ [key]: 'a\u0000b' }, { image: 'logtender:test' });
      assert.deepEqual(parsed.ok ? [] : parsed.problems.map(({ path }) => path), [key]);
    }
    assert.equal(checkDefault('log-stream', 'a\u0000').length, 1);
  });

  it('ownKeys takes our prefix alone', () => {
    const own = ownKeys(
      new Map([
        ['logging.io/files', 'a'],
        ['example.org/files', 'b'],
        ['logging.iofiles', 'c'],
      ]),
    );
    assert.deepEqual([...own], [['files', 'a']]);
  });
});
