/**
 * Documents: their exact bytes once, then their meaning against JSON.parse, for lines of every kind.
 */
import assert from 'node:assert/strict';
import { BULK_BYTES_MAX, BULK_RECORDS_MAX, LINE_BYTES_MAX } from '../../../src/core/limits.ts';
import { recordAt, recordBytes } from '../../../src/core/record.ts';
import type { Batch } from '../../../src/core/record.ts';
import { createBulkEncoder } from '../../../src/sinks/elasticsearch/encode.ts';
import { forwarderConfig, sourceInfo } from '../../fakes/forwarder-config.ts';
import { randomObjectLine } from '../../fakes/random-object-line.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';

const TIME_MS = Date.UTC(2026, 0, 31, 23, 59, 59, 7);
const TIME = '2026-01-31T23:59:59.007Z';
const SOURCE = sourceInfo();

interface Bulk {
  readonly id: string;
  readonly document: Record<string, unknown>;
}

function encodeBatch(input: Buffer, env: Readonly<Record<string, string>> = {}, offset = 0): Batch {
  const encoder = createBulkEncoder(forwarderConfig(env), () => {});
  assert.equal(encoder.append(SOURCE, input, 0, input.length, offset, TIME_MS), input.length);
  return encoder.finish();
}

/** The batch as a strict reader of NDJSON sees it. */
function readBulk(batch: Batch): Bulk[] {
  const lines = batch.body.toString('utf8').split('\n');
  assert.equal(lines.pop(), '', 'the body ends with a newline');
  assert.equal(lines.length, batch.records * 2);
  return Array.from({ length: batch.records }, (_, i) => {
    const action = JSON.parse(lines[i * 2] ?? '') as { create: { _id: string } };
    assert.deepEqual(Object.keys(action), ['create']);
    return { id: action.create._id, document: JSON.parse(lines[i * 2 + 1] ?? '') as Record<string, unknown> };
  });
}

function documentOf(line: string, env: Readonly<Record<string, string>> = {}): Record<string, unknown> {
  const [bulk] = readBulk(encodeBatch(Buffer.from(`${line}\n`), env));
  return bulk?.document ?? {};
}

const PLACES = {
  orchestrator: { cluster: { name: 'test' } },
  kubernetes: {
    namespace: 'shop',
    pod: { name: 'web-7d9f-x2x', uid: '11111111-2222-3333-4444-555555555555' },
    container: { name: 'app' },
    node: { name: 'node-1' },
  },
  log: { file: { path: '/var/log/app/a.log' }, offset: 0 },
};
const { log: _log, ...PLACES_BUT_LOG } = PLACES;
const DOTTED = { 'log.file.path': '/var/log/app/a.log', 'log.offset': 0 };

describe('documents', () => {
  it('are these bytes', () => {
    const batch = encodeBatch(Buffer.from('one "1"\r\n{"a":1}\n'), {}, 5_000_000_000);
    const places =
      '"orchestrator":{"cluster":{"name":"test"}},"kubernetes":{"namespace":"shop","pod":{"name":"web-7d9f-x2x",' +
      '"uid":"11111111-2222-3333-4444-555555555555"},"container":{"name":"app"},"node":{"name":"node-1"}},' +
      '"log":{"file":{"path":"/var/log/app/a.log"},"offset":';
    assert.equal(
      batch.body.toString(),
      `{"create":{"_id":"AAAABBBBCCCCDDDD-5000000000"}}\n` +
        `{"@timestamp":"${TIME}",${places}5000000000},"message":"one \\"1\\""}\n` +
        `{"create":{"_id":"AAAABBBBCCCCDDDD-5000000009"}}\n` +
        `{"@timestamp":"${TIME}",${places}5000000009},"a":1}\n`,
    );
  });

  it('carry the line alone with metadata: none', () => {
    assert.deepEqual(documentOf('x', { METADATA: 'none' }), { '@timestamp': TIME, message: 'x' });
    assert.deepEqual(documentOf('{"log":1,"kubernetes":2}', { METADATA: 'none' }), {
      '@timestamp': TIME,
      log: 1,
      kubernetes: 2,
    });
    const own = '{"@timestamp":"2026-01-01T00:00:00Z"}';
    assert.deepEqual(documentOf(own, { METADATA: 'none' }), { '@timestamp': '2026-01-01T00:00:00Z' });
    assert.deepEqual(documentOf('{}', { METADATA: 'none' }), { '@timestamp': TIME });
  });

  it('keep a JSON line as text with parser: none', () => {
    assert.equal(documentOf('{"a":1}', { PARSER: 'none' })['message'], '{"a":1}');
  });

  const spliced: ReadonlyArray<readonly [line: string, want: Record<string, unknown>]> = [
    ['{"a":1}', { '@timestamp': TIME, ...PLACES, a: 1 }],
    ['{}', { '@timestamp': TIME, ...PLACES }],
    ['  { "a" : [1, 2] } \t', { '@timestamp': TIME, ...PLACES, a: [1, 2] }],
    ['{"message":"m","level":"info"}', { '@timestamp': TIME, ...PLACES, message: 'm', level: 'info' }],
    ['{"@timestamp":"2026-01-01T00:00:00.5+02:00"}', { ...PLACES, '@timestamp': '2026-01-01T00:00:00.5+02:00' }],
    ['{"@timestamp":1700000000123,"a":1}', { ...PLACES, '@timestamp': 1_700_000_000_123, a: 1 }],
    [
      '{"time":"2026-01-01T00:00:00.123456Z"}',
      { ...PLACES, '@timestamp': '2026-01-01T00:00:00.123456Z', time: '2026-01-01T00:00:00.123456Z' },
    ],
    [
      '{"time":"2026-01-01T00:00:00.123Z"}',
      { ...PLACES, '@timestamp': '2026-01-01T00:00:00.123Z', time: '2026-01-01T00:00:00.123Z' },
    ],
    ['{"time":1700000000123}', { ...PLACES, '@timestamp': '2023-11-14T22:13:20.123Z', time: 1_700_000_000_123 }],
    ['{"ts":1700000000.25}', { ...PLACES, '@timestamp': '2023-11-14T22:13:20.250Z', ts: 1_700_000_000.25 }],
    [
      '{"ts":1700000000,"timestamp":1700000001}',
      { ...PLACES, '@timestamp': '2023-11-14T22:13:21.000Z', ts: 1_700_000_000, timestamp: 1_700_000_001 },
    ],
    [
      '{"timestamp":1700000001,"ts":1700000000}',
      { ...PLACES, '@timestamp': '2023-11-14T22:13:21.000Z', ts: 1_700_000_000, timestamp: 1_700_000_001 },
    ],
    [
      '{"timestamp":"yesterday","ts":1700000000}',
      { ...PLACES, '@timestamp': '2023-11-14T22:13:20.000Z', ts: 1_700_000_000, timestamp: 'yesterday' },
    ],
    ['{"time":"yesterday"}', { '@timestamp': TIME, ...PLACES, time: 'yesterday' }],
    [
      '{"time":1,"@timestamp":"2026-01-01T00:00:00Z","ts":1700000000}',
      { ...PLACES, '@timestamp': '2026-01-01T00:00:00Z', time: 1, ts: 1_700_000_000 },
    ],
    ['{"log":{"level":"info"}}', { '@timestamp': TIME, ...PLACES_BUT_LOG, ...DOTTED, log: { level: 'info' } }],
    [
      '{"log":{"level":"info"},"time":1700000000}',
      {
        '@timestamp': '2023-11-14T22:13:20.000Z',
        ...PLACES_BUT_LOG,
        ...DOTTED,
        log: { level: 'info' },
        time: 1_700_000_000,
      },
    ],
    [
      '{"log":{},"@timestamp":"2026-01-01T00:00:00Z"}',
      { '@timestamp': '2026-01-01T00:00:00Z', ...PLACES_BUT_LOG, ...DOTTED, log: {} },
    ],
    [
      '{"log.level":"info","logger":"x","tsx":1,"kubernetesx":2}',
      { '@timestamp': TIME, ...PLACES, 'log.level': 'info', logger: 'x', tsx: 1, kubernetesx: 2 },
    ],
    ['{"_time":1}', { '@timestamp': TIME, ...PLACES, _time: 1 }],
  ];
  for (const [line, want] of spliced) it(`splice ${line}`, () => assert.deepEqual(documentOf(line), want));

  const texts: readonly string[] = [
    '',
    'plain',
    '[1]',
    '{"a":1',
    '{"a":1}x',
    '{"a":1,"a":2}',
    '{"":1}',
    '{"x":{"a..b":1}}',
    '{"_id":"x"}',
    '{"@timestamp":"yesterday"}',
    '{"@timestamp":1700000000}',
    '{"@timestamp":1700000000123.5}',
    '{"@timestamp":null}',
    '{"kubernetes":{}}',
    '{"kubernetes.pod.name":"forged"}',
    '{"orchestrator":1}',
    '{"log":"x"}',
    '{"log":{"offset":1}}',
    '{"log":{"file":{"line":1}}}',
    '{"log.offset":1}',
    '{"log.file.path":"x"}',
    '{"log.file":{}}',
  ];
  for (const line of texts) {
    it(`ship ${line || 'an empty line'} as a message`, () =>
      assert.deepEqual(documentOf(line), { '@timestamp': TIME, ...PLACES, message: line }));
  }

  it('say where each record began, also for parts of a long line and after ill-formed bytes', () => {
    const lines = [`${'y'.repeat(LINE_BYTES_MAX)}zz`, 'é', '', 'last'];
    const input = Buffer.concat([
      Buffer.from(lines.slice(0, 3).join('\n')),
      Buffer.from([10, 0xff, 0x7b, 10]),
      Buffer.from('last'),
    ]);
    const batch = encodeBatch(input, {}, 100);
    const begins = [0, LINE_BYTES_MAX, LINE_BYTES_MAX + 3, LINE_BYTES_MAX + 6, LINE_BYTES_MAX + 7, LINE_BYTES_MAX + 10];
    assert.deepEqual(
      [...batch.offsets],
      begins.map((at) => at + 100),
    );
    assert.deepEqual(batch.ranges, [{ source: SOURCE, from: 100, to: 100 + input.length, records: 6 }]);
    const bulk = readBulk(batch);
    bulk.forEach(({ id, document }, i) => {
      assert.equal(id, `${SOURCE.id}-${batch.offsets[i]}`);
      assert.deepEqual(document['log'], { file: { path: SOURCE.path }, offset: batch.offsets[i] });
      assert.deepEqual(recordAt(batch, i), { source: SOURCE, offset: batch.offsets[i] });
      assert.equal(recordBytes(batch, i).toString().split('\n').length, 3);
    });
    const messages = bulk.map(({ document }) => document['message']);
    assert.deepEqual(messages.slice(1), ['zz', 'é', '', '\u{fffd}{', 'last']);
  });

  it('mean what JSON.parse of the line means, for random objects and random bytes between them', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let round = 0; round < 300; round += 1) {
      const lines = Array.from({ length: 1 + random.below(20) }, () => {
        if (random.below(3) > 0)
          return JSON.stringify({
            n: random.next(),
            [`k${random.below(9)}`]: ['é"\\\n', null, { d: random.below(9) }],
          });
        return Array.from({ length: random.below(30) }, () => String.fromCodePoint(32 + random.below(900))).join('');
      });
      const bulk = readBulk(encodeBatch(Buffer.from(`${lines.join('\n')}\n`), { METADATA: 'none' }));
      lines.forEach((line, i) => {
        const { '@timestamp': time, ...rest } = bulk[i]?.document ?? {};
        assert.equal(time, TIME);
        const want: unknown = line.startsWith('{"n"') ? JSON.parse(line) : { message: line };
        assert.deepEqual(rest, want, `seed ${seed}, round ${round}`);
      });
    }
  });
});

describe('DocumentEncoder', () => {
  const config = forwarderConfig();

  it('gives the same for lines in a run, which the kernel splices, and for each as a record by itself, which splice.ts does', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const unparsed = [0, 0];
    const pairs = ['none', 'full'].map((METADATA) =>
      unparsed.map((_, i) =>
        createBulkEncoder(
          forwarderConfig({ METADATA }),
          () => {},
          (count) => (unparsed[i] = (unparsed[i] ?? 0) + count),
        ),
      ),
    );
    for (let round = 0; round < 300; round += 1) {
      const [run, alone] = pairs[round % 2] ?? [];
      assert(run !== undefined && alone !== undefined);
      run.reset();
      alone.reset();
      const lines = Array.from({ length: 1 + random.below(20) }, () =>
        random.below(8) === 0 ? 'text' : randomObjectLine(random),
      );
      const input = Buffer.from(`${lines.join('\n')}\n`);
      assert.equal(run.append(SOURCE, input, 0, input.length, 70, TIME_MS), input.length);
      let from = 0;
      for (const line of lines) {
        const next = from + Buffer.byteLength(line) + 1;
        const to = next - (line.endsWith('\r') ? 2 : 1);
        const record = { text: input, from, to, json: undefined, jsonBytes: 0, offset: 70 + from, bytes: next - from };
        const says = { timeMs: Number.NaN, level: -1, showsLevel: false, stdio: '', isPart: false } as const;
        assert.equal(alone.appendRecord(SOURCE, { ...record, ...says }, TIME_MS), true);
        from = next;
      }
      const got = run.finish();
      const want = alone.finish();
      assert.equal(got.body.toString(), want.body.toString(), `TEST_SEED=${seed}`);
      assert.deepEqual([got.ends, got.offsets, got.ranges], [want.ends, want.offsets, want.ranges]);
      assert.equal(unparsed[0], unparsed[1]);
    }
  });

  it('stops at the bound of bytes and goes on in the next batch where it stopped', () => {
    const line = `${'x'.repeat(1000)}\n`;
    const input = Buffer.from(line.repeat(256));
    const encoder = createBulkEncoder(config, () => {});
    let offset = 0;
    for (;;) {
      const end = encoder.append(SOURCE, input, 0, input.length, offset, TIME_MS);
      offset += end;
      if (end < input.length) break;
    }
    assert(encoder.bytes <= BULK_BYTES_MAX);
    const full = encoder.finish();
    assert(full.body.length + recordBytes(full, 0).length + 16 > BULK_BYTES_MAX, 'one more would not have fitted');
    assert.deepEqual(full.ranges, [{ source: SOURCE, from: 0, to: offset, records: full.records }]);
    encoder.reset();
    assert.equal(encoder.records, 0);
    const at = offset % input.length;
    encoder.append(SOURCE, input, at, at + line.length, offset, TIME_MS);
    assert.equal(encoder.finish().offsets[0], offset);
  });

  it('stops at the bound of records', () => {
    const input = Buffer.alloc(BULK_RECORDS_MAX + 5, 10);
    const encoder = createBulkEncoder(forwarderConfig({ METADATA: 'none' }), () => {});
    assert.equal(encoder.append(SOURCE, input, 0, input.length, 0, TIME_MS), BULK_RECORDS_MAX);
    assert.equal(
      encoder.append(SOURCE, input, BULK_RECORDS_MAX, input.length, BULK_RECORDS_MAX, TIME_MS),
      BULK_RECORDS_MAX,
    );
    assert.equal(encoder.records, BULK_RECORDS_MAX);
  });

  it('takes the largest line there can be into an empty batch', () => {
    const encoder = createBulkEncoder(config, () => {});
    const input = Buffer.alloc(LINE_BYTES_MAX + 1, 1);
    input[LINE_BYTES_MAX] = 10;
    assert.equal(encoder.append(SOURCE, input, 0, input.length, 0, TIME_MS), input.length);
    assert(encoder.bytes <= BULK_BYTES_MAX);
  });

  it('mixes sources in one batch and keeps their runs apart', () => {
    const other = sourceInfo('/var/log/app/b "2".log', 'EEEEFFFFGGGGHHHH');
    const encoder = createBulkEncoder(config, () => {});
    const input = Buffer.from('1\n2\n3\n');
    encoder.append(SOURCE, input, 0, 2, 10, TIME_MS);
    encoder.append(SOURCE, input, 2, 4, 12, TIME_MS + 1);
    encoder.append(other, input, 4, 6, 0, TIME_MS);
    encoder.append(SOURCE, input, 0, 2, 14, TIME_MS);
    const batch = encoder.finish();
    assert.deepEqual(
      batch.ranges.map(({ source, from, to, records }) => [source.id, from, to, records]),
      [
        [SOURCE.id, 10, 14, 2],
        [other.id, 0, 2, 1],
        [SOURCE.id, 14, 16, 1],
      ],
    );
    const bulk = readBulk(batch);
    assert.deepEqual(
      bulk.map(({ id }) => id),
      ['AAAABBBBCCCCDDDD-10', 'AAAABBBBCCCCDDDD-12', 'EEEEFFFFGGGGHHHH-0', 'AAAABBBBCCCCDDDD-14'],
    );
    assert.equal(bulk[1]?.document['@timestamp'], '2026-01-31T23:59:59.008Z');
    assert.deepEqual(bulk[2]?.document['log'], { file: { path: other.path }, offset: 0 });
  });

  it('begins another batch for another index, and for another day', () => {
    const dated = createBulkEncoder(forwarderConfig({ DATA_STREAM: 'logs-{container}-{yyyy.MM.dd}' }), () => {});
    const input = Buffer.from('1\n');
    const sidecar = { ...sourceInfo('/b', 'EEEEFFFFGGGGHHHH'), container: 'Side-Car' };
    dated.append(SOURCE, input, 0, 2, 0, TIME_MS);
    assert.equal(dated.append(SOURCE, input, 0, 2, 2, TIME_MS + 1000), 0, 'midnight ends a batch');
    assert.equal(dated.append(sidecar, input, 0, 2, 0, TIME_MS), 0, 'another index does');
    assert.equal(dated.finish().destination, 'logs-app-2026.01.31');
    dated.reset();
    dated.append(sidecar, input, 0, 2, 0, TIME_MS + 1000);
    assert.equal(dated.finish().destination, 'logs-side_car-2026.02.01');
  });

  it('names the index of a record by its own time, in UTC, where that is near the day of reading', () => {
    const dated = createBulkEncoder(forwarderConfig({ DATA_STREAM: 'logstash-{yyyy.MM.dd}' }), () => {});
    const cases: ReadonlyArray<readonly [line: string, index: string | undefined]> = [
      ['text', undefined],
      ['{"time":"2026-01-31T10:00:00Z"}', undefined],
      ['{"time":"2026-02-01T00:30:00+01:00"}', undefined],
      ['{"time":"2026-01-31T23:30:00-01:00"}', 'logstash-2026.02.01'],
      ['{"@timestamp":"2026-01-30T23:59:59.999999999Z"}', 'logstash-2026.01.30'],
      [`{"@timestamp":${Date.UTC(2026, 0, 1)}}`, 'logstash-2026.01.01'],
      [`{"ts":${Date.UTC(2026, 0, 2) / 1000}.5}`, 'logstash-2026.01.02'],
      [`{"@timestamp":${Date.UTC(2025, 11, 31)}}`, undefined],
      ['{"time":"2026-02-02T00:00:00Z"}', undefined],
      ['{"time":"0001-01-01T00:00:00Z"}', undefined],
      // The better time wins, and with it the date.
      ['{"ts":1767225600,"@timestamp":"2026-01-20T00:00:00Z"}', 'logstash-2026.01.20'],
    ];
    const input = Buffer.from(`${cases.map(([line]) => line).join('\n')}\n`);
    assert.equal(dated.append(SOURCE, input, 0, input.length, 0, TIME_MS), input.length);
    const batch = dated.finish();
    assert.equal(batch.destination, 'logstash-2026.01.31');
    const actions = batch.body
      .toString()
      .split('\n')
      .filter((_, i) => i % 2 === 0)
      .slice(0, -1);
    let offset = 0;
    actions.forEach((action, i) => {
      const [line = '', index] = cases[i] ?? [];
      const create = { ...(index === undefined ? {} : { _index: index }), _id: `${SOURCE.id}-${offset}` };
      assert.deepEqual(JSON.parse(action), { create }, line);
      offset += line.length + 1;
    });
  });

  it('tells how many ill-formed sequences it replaced, once per batch', () => {
    const counts: number[] = [];
    const encoder = createBulkEncoder(config, (count) => counts.push(count));
    const input = Buffer.from([0xff, 0xfe, 10, 0x61, 10]);
    encoder.append(SOURCE, input, 0, input.length, 0, TIME_MS);
    encoder.finish();
    encoder.reset();
    encoder.append(SOURCE, input, 3, 5, 3, TIME_MS);
    encoder.finish();
    assert.deepEqual(counts, [2]);
  });

  it('counts an ill-formed sequence with the batch that takes its line, not with one that has no room for it', () => {
    const counts: number[] = [];
    const encoder = createBulkEncoder(config, (count) => counts.push(count));
    const line = `${'x'.repeat(LINE_BYTES_MAX - 100)}\xff\n`;
    const input = Buffer.from(line.repeat(20), 'latin1');
    const records: number[] = [];
    for (let at = 0; at < input.length; encoder.reset()) {
      at = encoder.append(SOURCE, input, at, input.length, at, TIME_MS);
      records.push(encoder.finish().records);
    }
    assert(records.length > 2, 'several batches');
    assert.deepEqual(counts, records);
  });
});
