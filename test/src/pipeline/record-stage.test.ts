/**
 * What a stage counts, it counts once, however often a batch has no room for a record.
 */
import assert from 'node:assert/strict';

import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { LAST } from '../../../src/parse/record-cutter.ts';
import { Account } from '../../../src/pipeline/ledger.ts';
import { RecordStage } from '../../../src/pipeline/record-stage.ts';
import type { DocumentEncoder } from '../../../src/sinks/document-encoder.ts';
import { createBulkEncoder } from '../../../src/sinks/elasticsearch/encode.ts';
import { forwarderConfig, sourceInfo } from '../../fakes/forwarder-config.ts';
import { randomObjectLine } from '../../fakes/random-object-line.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import { FakeDestination, fakeSink } from '../../fakes/sink.ts';

const SOURCE = sourceInfo();
const INPUT = Buffer.from('secret \xff one\nsecret \xfe two\n', 'latin1');
const LINE_BYTES = INPUT.length / 2;

describe('record stage', () => {
  it('counts what it replaced and redacted once: neither what had no room nor what is read again twice', () => {
    const metrics = createMetrics();
    const stage = new RecordStage({ ...PLAIN_RULES, redact: ['secret'] }, { metrics, sink: 'console' });
    const encoder = fakeSink({ destination: new FakeDestination(), recordsMax: 1 }).createEncoder();
    const append = (from: number): boolean => {
      assert.equal(stage.cut(INPUT, from, INPUT.length, LAST), from + LINE_BYTES);
      stage.begin(SOURCE, 0, 0, 0);
      return stage.append(encoder, SOURCE, INPUT, from);
    };
    // A conflict: what is filling is forgotten and read again.
    assert.equal(append(0), true);
    encoder.reset();
    stage.reset();
    assert.equal(append(0), true);
    for (let again = 0; again < 3; again += 1) assert.equal(append(LINE_BYTES), false, 'the batch is full');
    stage.swap();
    encoder.reset();
    assert.equal(append(LINE_BYTES), true);
    stage.swap();
    const counted = metrics.expose();
    assert.match(counted, /^logtender_utf8_replacements_total\{sink="console"\} 2$/m);
    assert.match(counted, /^logtender_redacted_records_total\{sink="console"\} 2$/m);
  });

  it('charges a rate once: neither what had no room nor what is read again twice', () => {
    const sample = [{ perSecondMax: 2, levels: [], pattern: undefined, share: undefined }];
    const stage = new RecordStage({ ...PLAIN_RULES, sample }, { metrics: createMetrics(), sink: 'console' });
    const encoder = fakeSink({ destination: new FakeDestination(), recordsMax: 1 }).createEncoder();
    const append = (from: number): boolean => {
      stage.cut(INPUT, from, INPUT.length, LAST);
      stage.begin(SOURCE, 0, 0, 0);
      return stage.append(encoder, SOURCE, INPUT, from);
    };
    assert.equal(append(0), true);
    encoder.reset();
    stage.reset();
    assert.equal(append(0), true);
    for (let again = 0; again < 3; again += 1) assert.equal(append(LINE_BYTES), false, 'the batch is full');
    stage.swap();
    encoder.reset();
    assert.equal(append(LINE_BYTES), true);
    assert.equal(encoder.records, 1, 'two a second pass, and this is the second');
    // The third is one too many, whatever the batch has room for.
    assert.equal(append(0), true);
    assert.equal(encoder.records, 1);
  });

  it('makes of a run of container lines what it makes of each alone: bytes, places and what became of them', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const one = <T>(list: readonly [T, ...T[]]): T => list[random.below(list.length)] ?? list[0];
    for (let round = 0; round < 60; round += 1) {
      const lines = Array.from({ length: 1 + random.below(40) }, () => {
        const time = one([
          '2026-11-28T10:11:12.123456789Z',
          '2026-11-28T10:11:13.5Z',
          '2026-11-28T11:11:12.1+01:00',
          'x',
        ]);
        const tag = one(['F', 'F', 'F', 'P', 'F:x']);
        const text = one([
          '',
          'one',
          'a "b" \\ \t',
          '{"a":1}',
          ' {"time":"2026-11-28T00:00:00Z"}',
          '{',
          'ü€😀',
          'x'.repeat(99),
          randomObjectLine(random),
          randomObjectLine(random),
          randomObjectLine(random),
        ]);
        return `${time} ${one(['stdout', 'stderr', '-'])} ${tag} ${text}${one(['\n', '\n', '\n', '\r\n'])}`;
      });
      const illFormed = Buffer.from(random.below(8) === 0 ? '2026-11-28T10:11:12Z stdout F \xff\n' : '', 'latin1');
      const input = Buffer.concat([Buffer.from(lines.join('')), illFormed]);
      const config = forwarderConfig({ METADATA: one(['full', 'none']), PARSER: 'cri' });
      const make = (): DocumentEncoder =>
        createBulkEncoder(
          config,
          () => {},
          () => {},
        );
      const alone = encodeAll(input, make(), false);
      assert.deepEqual(encodeAll(input, make(), true), alone, `TEST_SEED=${seed}`);
    }
  });
});

/** All that one batch takes of the input, with runs or without. */
function encodeAll(input: Buffer, encoder: DocumentEncoder, withRuns: boolean): object {
  const rules = { ...PLAIN_RULES, parser: 'cri' as const };
  const stage = new RecordStage(rules, { metrics: createMetrics(), sink: 'elasticsearch' });
  let lines = 0;
  let at = 0;
  while (at < input.length) {
    stage.begin(SOURCE, 5, 5, 0);
    const run = { source: SOURCE, input, from: at, to: input.length, offset: 1_000 + at, timeMs: 5, isFresh: at === 0 };
    const end = withRuns ? stage.appendRun(encoder, run) : at;
    if (end > at) {
      at = end;
      continue;
    }
    const to = stage.cut(input, at, input.length, LAST);
    if (to === at) break;
    assert.equal(stage.append(encoder, SOURCE, input, 1_000 + at), true);
    lines += stage.lines;
    at = to;
  }
  const { log } = stage;
  const { records, offsets, ends, ranges, body } = encoder.finish();
  const span = { from: 0, to: log.length, first: 0, until: 1_000 + at };
  const settled = Array.from({ length: records + 1 }, (_, end) => log.settledTo(span, end));
  const account = new Account();
  account.take({ lines: input.toString('latin1').split('\n').length, bytes: at });
  log.settle(account, span, records, []);
  const { delivered } = account;
  assert(lines <= delivered.lines);
  return {
    text: body.toString(),
    offsets: [...offsets],
    ends: [...ends],
    ranges,
    settled,
    delivered,
    length: log.length,
  };
}
