/**
 * What a stage counts, it counts once, however often a batch has no room for a record.
 */
import assert from 'node:assert/strict';

import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { LAST } from '../../../src/parse/record-cutter.ts';
import { RecordStage } from '../../../src/pipeline/record-stage.ts';
import { sourceInfo } from '../../fakes/forwarder-config.ts';
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
});
