/**
 * Lines of the dead letter: what a sink's encoder wrote comes back byte for byte, and people can read it.
 */
import assert from 'node:assert/strict';
import { deadLine, parseDeadLine, readableRecord } from '../../../src/pipeline/dead-line.ts';
import type { DeadRecord } from '../../../src/pipeline/dead-letter.ts';

const TIME = '2026-11-28T12:00:00.000Z';
const about = (sink: string, record: string): DeadRecord => ({
  sink,
  reason: 'rejected_by_sink',
  text: 'said ,"record":{"x":1} and more',
  container: 'app',
  path: '/log/a,"record":{}.log',
  source: 'AAAAAAAAAAAAAAAA',
  offset: 7,
  to: 19,
  destination: 'logs-x',
  record,
});

describe('dead line', () => {
  const RECORDS: readonly (readonly [sink: string, encoded: string])[] = [
    [
      'elasticsearch',
      '{"create":{"_id":"AAAAAAAAAAAAAAAA-7"}}\n{"@timestamp":"x","n":12345678901234567890,"a":{"a":1,"a":2}}\n',
    ],
    [
      'elasticsearch',
      '{"create":{"_index":"logs-2026","_id":"AAAAAAAAAAAAAAAA-7"}}\n{"message":"}\\" ,\\"record\\":{"}\n',
    ],
    ['cloudwatch', '{"timestamp":1,"message":"a,b"},'],
    ['s3', '{"message":"x","f":1e400}\n'],
  ];
  for (const [sink, encoded] of RECORDS) {
    it(`${sink}: ${encoded.slice(0, 40)}… survives`, () => {
      const line = deadLine(TIME, about(sink, encoded));
      assert(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1, 'one line');
      const read = JSON.parse(line) as { readonly record: unknown; readonly id?: string };
      assert.equal(typeof read.record, 'object');
      if (sink === 'elasticsearch') assert.equal(read.id, 'AAAAAAAAAAAAAAAA-7');
      assert.deepEqual(parseDeadLine(line.trimEnd()), { time: TIME, ...about(sink, encoded) });
    });
  }

  it('reads lines of earlier versions, whose record is a text', () => {
    const encoded = '{"create":{"_id":"AAAAAAAAAAAAAAAA-7"}}\n{"n":1}\n';
    const { to, destination, ...old } = about('elasticsearch', encoded);
    assert.equal(to + destination.length, 25);
    const read = parseDeadLine(JSON.stringify({ time: TIME, ...old }));
    assert.deepEqual(read, { time: TIME, ...old, to: 8, destination: '', record: encoded });
  });

  it('reads a line that somebody wrote anew in another order', () => {
    const { record, ...rest } = JSON.parse(deadLine(TIME, about('s3', '{"a":1}\n'))) as { readonly record: object };
    const read = parseDeadLine(JSON.stringify({ record, ...rest }));
    assert.equal(read?.record, '{"a":1}\n');
  });

  it('knows what is none of its lines', () => {
    for (const line of ['', '{', '[]', '1', '{"sink":"s3"}', '{"sink":"s3","source":"A","offset":"x","record":{}}'])
      assert.equal(parseDeadLine(line), undefined, line);
  });

  it('a record that is no JSON is kept as a text', () => {
    const read = JSON.parse(deadLine(TIME, about('s3', 'no json'))) as { readonly record: unknown };
    assert.equal(read.record, 'no json');
    assert.deepEqual(readableRecord('{"a":1}\n'), { record: '{"a":1}' });
  });
});
