/**
 * Precedence of every key, and what is said about values and keys that are not valid.
 */
import assert from 'node:assert/strict';

import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import { sampleText } from '../../src/config/record-rules.ts';
import { KEY_NAMES, KEYS } from '../../webhook/annotations.ts';
import { findingText } from '../../webhook/finding.ts';
import { checkDefault, ownKeys, resolveSettings } from '../../webhook/settings.ts';
import type { Key } from '../../webhook/annotations.ts';
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

/** Three valid values (pod, namespace, config), one that is not valid, and where the setting ends up. */
interface Samples {
  readonly valid: readonly [string, string, string];
  readonly invalid: string;
  readonly at: (settings: Settings) => unknown;
  /** What `at` gives for a value, where that is not the text itself. */
  readonly seen?: (text: string) => unknown;
}

const by = (
  valid: readonly [string, string, string],
  invalid: string,
  at: (settings: Settings) => unknown,
  seen?: (text: string) => unknown,
): Samples => ({ valid, invalid, at, ...(seen === undefined ? {} : { seen }) });
const ROLES = ['1', '2', '3'].map((n) => `arn:aws:iam::12345678901${n}:role/r`) as [string, string, string];
const LOG_GROUPS: Readonly<Record<string, string>> = {
  flat: 'k8s_{cluster}_{namespace}_{app}_{container}',
  path: '/k8s/{cluster}/{namespace}/{app}',
};

/** Keys that every level may set: a key that is added to the catalogue does not compile without a row here. */
type LevelKey = Exclude<Key, 'inject' | 'failure-policy' | 'status'>;
const TABLE: Readonly<Record<LevelKey, Samples>> = {
  files: by(['/p/a', '/n/a', '/c/a'], 'a', (s) => s.files[0]?.path),
  stdout: by(['off', 'auto', 'off'], 'on', (s) => s.stdout),
  sink: by(['elasticsearch', 'console', 'cloudwatch'], 's4', (s) => s.sinks[0]),
  'sink-secret': by(['p', 'n', 'c'], 'A', (s) => s.sinkSecret),
  'role-arn': by(ROLES, 'x', (s) => s.roleArn),
  'log-group': by(['p', 'n', 'c'], '{x}', (s) => s.logGroup),
  'log-stream': by(['p', 'n', 'c'], '{x}', (s) => s.logStream),
  'data-stream': by(['p', 'n', 'c'], '{x}', (s) => s.dataStream),
  index: by(['p', 'n', 'c'], '{x}', (s) => s.dataStream),
  naming: by(
    ['path', 'flat', 'path'],
    'flatt',
    (s) => s.logGroup,
    (text) => LOG_GROUPS[text],
  ),
  parser: by(['none', 'auto', 'none'], 'x', (s) => s.parser),
  metadata: by(['none', 'full', 'none'], 'x', (s) => s.metadata),
  'retention-days': by(['1', '3', '5'], '2', (s) => s.retentionDays?.toString()),
  'flush-interval': by(['1s', '2s', '3s'], '1', (s) => s.flushInterval),
  'service-account': by(['p', 'n', 'c'], 'A', (s) => s.serviceAccount),
  'cpu-request': by(['1m', '2m', '3m'], 'x', (s) => s.resources.cpuRequest?.text),
  'cpu-limit': by(['20m', '30m', '40m'], 'x', (s) => s.resources.cpuLimit?.text),
  'memory-request': by(['32Mi', '33Mi', '34Mi'], '48m', (s) => s.resources.memoryRequest?.text),
  'memory-limit': by(['32Mi', '33Mi', '34Mi'], '48', (s) => s.resources.memoryLimit?.text),
  image: by(['a', 'b', 'c'], ' ', (s) => s.image),
  sidecar: by(['native', 'container', 'auto'], 'x', (s) => s.shape),
  'on-invalid': by(['deny', 'warn', 'deny'], 'x', (s) => s.onInvalid),
  containers: by(['p', 'n', 'c'], 'A_b', (s) => s.containers?.[0]),
  bucket: by(['ppp', 'nnn', 'ccc'], 'A_b', (s) => s.bucket),
  prefix: by(['p/', 'n/', 'c/'], '/p', (s) => s.prefix),
  multiline: by(
    ['java', 'python', 'start:go'],
    'cobol',
    (s) => s.multiline,
    (text) => (text.startsWith('start:') ? { start: text.slice(6) } : { presets: [text] }),
  ),
  redact: by(
    ['p', 'n', 'c'],
    '(',
    (s) => s.redact,
    (text) => [text],
  ),
  include: by(
    ['p', 'n', 'c'],
    '(?=a)',
    (s) => s.include,
    (text) => [text],
  ),
  exclude: by(
    ['p', 'n', 'c'],
    '(a)\\1',
    (s) => s.exclude,
    (text) => [text],
  ),
  sample: by(
    ['10%', '20%', '30/s'],
    '10',
    (s) => s.sample.map(sampleText),
    (text) => [text],
  ),
  detect: by(
    ['time', 'level', 'time,level'],
    'thyme',
    (s) => s.detect,
    (text) => text.split(','),
  ),
};
const LEVELS = ['pod', 'namespace', 'config'] as const;
const ROWS = Object.entries(TABLE) as readonly [LevelKey, Samples][];

describe('resolveSettings', () => {
  for (const [key, { valid, invalid, at, seen = (text: string): unknown => text }] of ROWS) {
    const holding = (...texts: readonly (string | undefined)[]): unknown => {
      const layers = texts.map((text) => (text === undefined ? {} : { [key]: text }));
      return at(resolve(layers[0] ?? {}, layers[1], layers[2]).settings);
    };
    const [pod, namespace, config] = valid;
    const want = (level: 0 | 1 | 2): unknown => seen(valid[level]);

    it(`${key}: pod > namespace > config > built-in`, () => {
      const builtIn = holding();
      assert.deepEqual(holding(pod, namespace, config), want(0));
      assert.deepEqual(holding(undefined, namespace, config), want(1));
      assert.deepEqual(holding(undefined, undefined, config), want(2));
      assert.deepEqual(holding(pod), want(0));
      assert.deepEqual(holding(undefined, namespace), want(1));
      const told = [want(0), want(1), want(2)].filter((value) => value !== builtIn);
      assert(told.length >= 1, 'the samples can be told from the built-in value');
    });

    it(`${key}: a bad value gives way to the next lower level, and is said`, () => {
      assert.deepEqual(holding(invalid, namespace, config), want(1));
      assert.deepEqual(holding(invalid, invalid, config), want(2));
      assert.deepEqual(holding(invalid, invalid, invalid), holding(), 'bad values everywhere: the built-in applies');
      const bad = resolve({ [key]: invalid }, { [key]: invalid }, { [key]: config });
      const said = bad.findings.filter((f) => f.code === 'invalid_value').map((f) => [f.key, f.level]);
      assert.deepEqual(said, [
        [key, 'pod'],
        [key, 'namespace'],
      ]);
    });
  }

  it('every key that a level may set has a row, and no other', () => {
    const open = KEY_NAMES.filter((key) => KEYS[key].places.some((place) => place === 'config'));
    assert.deepEqual(Object.keys(TABLE).toSorted(), [...open].toSorted());
  });

  it('an image that the operator does not allow gives way as well', () => {
    const { settings, findings } = resolve({ image: 'other' }, { image: 'b' });
    assert.equal(settings.image, 'b');
    assert.deepEqual(
      findings.filter((f) => f.key === 'image').map((f) => f.code),
      ['not_allowed'],
    );
  });

  it('naming: flat changes both built-in names, and only those', () => {
    const { settings } = resolve({ naming: 'flat', 'log-group': '/mine' });
    assert.deepEqual([settings.logGroup, settings.logStream], ['/mine', '{pod}_{container}']);
    assert.equal(resolve({ naming: 'flat' }).settings.logGroup, 'k8s_{cluster}_{namespace}_{app}_{container}');
  });

  /** Levels of naming and of log-group (0 pod, 1 namespace, 2 config), and the group that holds. */
  const NAMINGS: readonly (readonly [number, number, string])[] = [
    [0, 0, '/mine'],
    [0, 1, 'k8s_{cluster}_{namespace}_{app}_{container}'],
    [0, 2, 'k8s_{cluster}_{namespace}_{app}_{container}'],
    [1, 2, 'k8s_{cluster}_{namespace}_{app}_{container}'],
    [1, 0, '/mine'],
    [2, 1, '/mine'],
    [2, 2, '/mine'],
  ];
  for (const [naming, group, want] of NAMINGS) {
    it(`naming of ${LEVELS[naming]} and log-group of ${LEVELS[group]}: ${want}`, () => {
      const texts: Record<string, string>[] = [{}, {}, {}];
      Object.assign(texts[naming] ?? {}, { naming: 'flat' });
      Object.assign(texts[group] ?? {}, { 'log-group': '/mine', 'log-stream': 's' });
      const { settings } = resolve(texts[0] ?? {}, texts[1], texts[2]);
      const isMine = want === '/mine';
      assert.deepEqual([settings.logGroup, settings.logStream], [want, isMine ? 's' : '{pod}_{container}']);
      assert.equal(settings.origins.get('log-group'), isMine ? LEVELS[group] : undefined);
      assert.equal(settings.origins.get('naming'), LEVELS[naming]);
    });
  }

  it('a naming that is not valid wins over nothing', () => {
    assert.equal(resolve({ naming: 'flatt' }, { 'log-group': '/mine' }).settings.logGroup, '/mine');
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

  it('says what is unknown or in the wrong place', () => {
    const { findings } = resolve(
      { 'log-grup': 'x', 'failure-policy': 'fail', constructor: 'x' },
      { inject: 'true', files: '/a/b' },
    );
    assert.deepEqual(
      findings.filter((f) => f.code !== 'sink_defaulted').map((f) => [f.code, f.key, f.level]),
      [
        ['unknown_key', 'log-grup', 'pod'],
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
    assert.equal(checkDefault('sink', 's4')[0]?.path, 'sink');
    assert.match(checkDefault('flush-intervl', '1s')[0]?.near ?? '', /flush-interval/);
    assert.equal(checkDefault('inject', 'true').length, 1, 'opting in is not for the operator');
    assert.match(checkDefault('redact', '(')[0]?.expected ?? '', /regular expressions/);
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
