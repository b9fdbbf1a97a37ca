/**
 * What stands in one object: one source, one run, one hour; and that a promised range is filled whole.
 */
import assert from 'node:assert/strict';
import type { Batch } from '../../../../src/core/record.ts';
import { ObjectEncoder, SourceHours } from '../../../../src/sinks/s3/encode.ts';
import { forwarderConfig, sourceInfo } from '../../../fakes/forwarder-config.ts';
import { seededRandom, testSeed } from '../../../fakes/seeded-random.ts';

const READ_MS = Date.UTC(2026, 10, 28, 13, 30);
const SOURCE = sourceInfo();

function build(): ObjectEncoder {
  const config = forwarderConfig({ S3_BUCKET: 'logs', S3_PREFIX: 'p' });
  return new ObjectEncoder({ config, hours: new SourceHours(), onReplaced: () => {} });
}

const at = (time: string): string => `{"time":"2026-11-28T${time}"}`;
const hourOf = (batch: Batch): string => /hour=(\d\d)/.exec(batch.destination)?.[1] ?? '';

/** All objects that the lines become, as a lane would make them. */
function objectsOf(
  encoder: ObjectEncoder,
  lines: readonly string[],
  readMs = READ_MS,
): { hour: string; count: number }[] {
  const input = Buffer.from(`${lines.join('\n')}\n`);
  const objects: { hour: string; count: number }[] = [];
  for (let from = 0; from < input.length;) {
    encoder.reset();
    const to = encoder.append(SOURCE, input, from, input.length, from, readMs);
    const batch = encoder.finish();
    assert(to > from && batch.records > 0, 'an empty batch takes a record');
    assert.deepEqual(
      batch.ranges.map((range) => [range.from, range.to, range.records]),
      [[from, to, batch.records]],
    );
    assert.equal(batch.ends.at(-1), batch.body.length);
    assert.equal(encoder.records, batch.records);
    assert.equal(encoder.append(SOURCE, input, to, input.length, to, readMs), to, 'what was cut takes no more');
    objects.push({ hour: hourOf(batch), count: batch.records });
    from = to;
  }
  return objects;
}

describe('ObjectEncoder', () => {
  it('puts lines without a time into the hour of their reading', () => {
    assert.deepEqual(objectsOf(build(), ['a', 'b']), [{ hour: '13', count: 2 }]);
  });

  it('begins an object with each later hour, by the time of the records in any zone', () => {
    const lines = [at('11:59:59.999Z'), at('12:00:00.000Z'), at('14:30:00.000+02:00'), at('13:00:00Z'), 'x'];
    assert.deepEqual(objectsOf(build(), lines), [
      { hour: '11', count: 1 },
      { hour: '12', count: 2 },
      { hour: '13', count: 2 },
    ]);
  });

  it('reads the time that a line brought itself', () => {
    const lines = ['{"@timestamp":"2026-11-28T10:00:00.000Z"}', '{"a":1,"@timestamp":"2026-11-28T11:00:00.000Z"}'];
    assert.deepEqual(
      objectsOf(build(), lines).map(({ hour }) => hour),
      ['10', '11'],
    );
  });

  it('lets late lines and lines from the future cost no object of their own', () => {
    const lines = Array.from({ length: 100 }, (_, i) => at(i % 2 === 0 ? '12:59:59.000Z' : '13:00:00.000Z'));
    assert.deepEqual(objectsOf(build(), lines), [
      { hour: '12', count: 1 },
      { hour: '13', count: 99 },
    ]);
    assert.deepEqual(objectsOf(build(), [at('13:00:00Z'), at('23:00:00Z'), at('12:00:00Z')]), [
      { hour: '13', count: 3 },
    ]);
  });

  it('never goes back in a source, and forgives a clock that was wrong', () => {
    const encoder = build();
    objectsOf(encoder, [at('13:00:00Z')]);
    assert.deepEqual(objectsOf(encoder, [at('09:00:00Z')]), [{ hour: '13', count: 1 }]);
    assert.deepEqual(objectsOf(encoder, ['x'], READ_MS - 86_400_000), [{ hour: '13', count: 1 }]);
    assert.deepEqual(objectsOf(encoder, ['x'], READ_MS - 3 * 3_600_000), [{ hour: '10', count: 1 }]);
  });

  it('fills a promised range whole, whatever its hours', () => {
    const encoder = build();
    const input = Buffer.from(`${at('10:00:00Z')}\n${at('12:00:00Z')}\n`);
    encoder.reset();
    encoder.pin();
    assert.equal(encoder.append(SOURCE, input, 0, input.length, 0, READ_MS), input.length);
    assert.equal(encoder.finish().records, 2);
    encoder.reset();
    assert(encoder.append(SOURCE, input, 0, input.length, 0, READ_MS) < input.length, 'the next one is not promised');
  });

  it('takes one source and one run', () => {
    const encoder = build();
    const input = Buffer.from('a\nb\n');
    assert.equal(encoder.append(SOURCE, input, 0, 2, 0, READ_MS), 2);
    assert.equal(encoder.append(sourceInfo('/b.log', 'BBBBBBBBBBBBBBBB'), input, 0, 2, 0, READ_MS), 0);
    assert.equal(encoder.append(SOURCE, input, 2, 4, 9, READ_MS), 2, 'bytes between were left out');
    assert.equal(encoder.append(SOURCE, input, 2, 4, 2, READ_MS), 4);
  });

  it('loses no line and no order, whatever the hours (random)', () => {
    const seed = testSeed();
    const { next: random } = seededRandom(seed);
    for (let round = 0; round < 100; round += 1) {
      const lines = Array.from({ length: 1 + Math.floor(random() * 30) }, () =>
        random() < 0.3 ? 'text' : at(`${String(Math.floor(random() * 24)).padStart(2, '0')}:00:00Z`),
      );
      const objects = objectsOf(build(), lines);
      assert.equal(
        objects.reduce((sum, { count }) => sum + count, 0),
        lines.length,
        `seed ${seed}`,
      );
      const hours = objects.map(({ hour }) => hour);
      assert.deepEqual(hours, [...new Set(hours)].toSorted(), `seed ${seed}: hours rise`);
      assert(hours.every((hour) => hour <= '13'));
    }
  });
});
