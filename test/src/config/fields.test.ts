/** Configuration readers: every problem at once, each with path, expectation, finding and remedy. */
import assert from 'node:assert/strict';
import { durationMs, nearest, problemText, Reader } from '../../../src/config/fields.ts';

describe('Reader', () => {
  it('collects all problems with their paths', () => {
    const reader = new Reader({ port: 'x', level: 'wran', wait: '5', nested: { colour: 1 }, sinks: 3 });
    reader.integer('port', { min: 1, max: 65_535 }, 1);
    reader.oneOf('level', ['debug', 'info', 'warn'], 'info');
    reader.duration('wait', { minMs: 10, maxMs: 60_000 }, 10);
    reader.list('sinks', []);
    const nested = reader.section('nested');
    nested.text('color', undefined);
    nested.rejectUnknown();
    assert.deepEqual(reader.problems.map(problemText), [
      'port: expected an integer from 1 to 65535, got "x"',
      'level: expected one of debug, info, warn, got "wran"; did you mean warn?',
      'wait: expected a duration from 10ms to 1m with a unit (ms, s, m, h, d), got "5"; write 5s or 5ms',
      'sinks: expected a list of texts, got 3',
      'nested.colour: expected a known key (color), got "colour"; did you mean color?',
    ]);
  });

  it('names for an unknown key those of its group, and the one that all groups share', () => {
    const reader = new Reader({ 's3.region': 'x', 's3.buckets': 'x', 'gcs.bucket': 'x', 's3.tag': 'x' });
    for (const key of ['awsRegion', 's3.bucket', 's3.storageClass', 'elasticsearch.region'])
      reader.text(key, undefined);
    reader.rejectUnknown();
    const own = 'expected a known key (s3.bucket, s3.storageClass)';
    assert.deepEqual(reader.problems.map(problemText), [
      `s3.region: ${own}, got "s3.region"; did you mean awsRegion?`,
      `s3.buckets: ${own}, got "s3.buckets"; did you mean s3.bucket?`,
      'gcs.bucket: expected a known key (awsRegion, elasticsearch.region, s3.bucket, s3.storageClass), got "gcs.bucket"; did you mean s3.bucket?',
      `s3.tag: ${own}, got "s3.tag"`,
    ]);
  });

  it('reads keys of the prototype as absent', () => {
    const reader = new Reader(JSON.parse('{"__proto__": {"port": 1}}'));
    assert.equal(reader.integer('port', { min: 0, max: 9 }, 7), 7);
    assert.equal(reader.text('constructor', undefined), undefined);
    assert.deepEqual(reader.problems, []);
  });

  it('says so when the whole is no object', () => {
    assert.deepEqual(new Reader([1], 'config').problems, [{ path: 'config', expected: 'an object', found: '[1]' }]);
  });
});

describe('durationMs', () => {
  const table: ReadonlyArray<readonly [text: string, want: number | undefined]> = [
    ['200ms', 200],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['5', undefined],
    ['5 s', undefined],
    ['-5s', undefined],
    ['s', undefined],
    ['1h30m', undefined],
  ];
  for (const [text, want] of table) it(`${text} is ${want ?? 'refused'}`, () => assert.equal(durationMs(text), want));
});

describe('nearest', () => {
  it('finds a slip of the finger and nothing far-fetched', () => {
    assert.equal(nearest('log-gruop', ['log-group', 'log-stream', 'sink']), 'log-group');
    assert.equal(nearest('banana', ['log-group', 'log-stream', 'sink']), undefined);
  });

  it('finds the word of which only the beginning was written, and takes none of two for it', () => {
    assert.equal(nearest('elastic', ['elasticsearch', 'cloudwatch', 's3']), 'elasticsearch');
    assert.equal(nearest('retention', ['retention-days', 'redact']), 'retention-days');
    assert.equal(nearest('memory', ['memory-request', 'memory-limit']), undefined);
    assert.equal(nearest('el', ['elasticsearch']), undefined);
  });
});
