/**
 * Batches of PutLogEvents against an independent model of the documented limits, and exactly at each of them.
 */
import assert from 'node:assert/strict';
import { PLAIN_RULES } from '../../../../src/config/record-rules.ts';
import type { RecordRules } from '../../../../src/config/record-rules.ts';
import { LINE_BYTES_MAX } from '../../../../src/core/limits.ts';
import type { Batch } from '../../../../src/core/record.ts';
import { EPOCH_MS_MAX, EPOCH_MS_MIN } from '../../../../src/kernel/line-kernel.ts';
import { LAST } from '../../../../src/parse/record-cutter.ts';
import { RecordShaper } from '../../../../src/parse/record-shaper.ts';
import {
  LOG_EVENTS_ENCODED_BYTES_MAX,
  LogEventsEncoder,
  StreamTimes,
} from '../../../../src/sinks/cloudwatch-logs/encode.ts';
import { putLogEventsBody } from '../../../../src/sinks/cloudwatch-logs/request.ts';
import type { HeadedLines } from '../../../../src/sinks/sink.ts';
import { selectedSlices } from '../../../../src/sinks/selection.ts';
import { sourceInfo } from '../../../fakes/forwarder-config.ts';
import { seededRandom, testSeed } from '../../../fakes/seeded-random.ts';

const SOURCE = sourceInfo();
const NOW = 1_700_000_000_000;
const DAY = 24 * 60 * 60 * 1000;
const LONG_TEXT = 'x'.repeat(2 * LINE_BYTES_MAX + 100);

interface LogEvent {
  readonly timestamp: number;
  readonly message: string;
}

function createEncoder(times = new StreamTimes(), onReplaced: (count: number) => void = () => {}): LogEventsEncoder {
  return new LogEventsEncoder({ destinationOf: (source) => `group:${source.path}`, times, onReplaced });
}

/** The request as the service would read it. */
function readRequest(
  batch: Batch,
  selection?: readonly number[],
): { logGroupName: string; logStreamName: string; logEvents: LogEvent[] } {
  const body = Buffer.concat(putLogEventsBody({ group: 'g', stream: 's"x' }, selectedSlices(batch, selection)));
  return JSON.parse(body.toString()) as { logGroupName: string; logStreamName: string; logEvents: LogEvent[] };
}

/**
 * The limits as the API reference of PutLogEvents words them, in other units than the encoder counts in: text, not bytes on the way.
 */
function assertLegal(events: readonly LogEvent[]): void {
  const size = events.reduce((sum, { message }) => sum + Buffer.byteLength(message, 'utf8') + 26, 0);
  assert(size <= 1_048_576, `${size} bytes`);
  assert(events.length >= 1 && events.length <= 10_000, `${events.length} events`);
  events.forEach(({ timestamp, message }, i) => {
    assert(message.length >= 1, 'a message has at least one character');
    assert(Buffer.byteLength(message) <= 1_000_000, 'an event has a size');
    assert(i === 0 || timestamp >= (events[i - 1]?.timestamp ?? 0), 'chronological');
  });
  assert((events.at(-1)?.timestamp ?? 0) - (events[0]?.timestamp ?? 0) <= DAY, 'within 24 hours');
}

/** Feeds all of `input` and gives the batches. */
function encodeAll(encoder: LogEventsEncoder, input: Buffer, timeMs = NOW): LogEvent[][] {
  const batches: LogEvent[][] = [];
  for (let at = 0; at < input.length;) {
    at = encoder.append(SOURCE, input, at, input.length, at, timeMs);
    batches.push(readRequest(encoder.finish()).logEvents);
    encoder.reset();
  }
  return batches;
}

describe('LogEventsEncoder', () => {
  it('counts an ill-formed sequence with the batch that takes its line, not with one that has no room for it', () => {
    const counts: number[] = [];
    const encoder = createEncoder(new StreamTimes(), (count) => counts.push(count));
    const input = Buffer.from(`${'x'.repeat(LINE_BYTES_MAX - 100)}\xff\n`.repeat(20), 'latin1');
    const batches = encodeAll(encoder, input);
    assert(batches.length > 2, 'several batches');
    assert.deepEqual(
      counts,
      batches.map((events) => events.length),
    );
  });

  it('writes these bytes', () => {
    const encoder = createEncoder();
    encoder.append(SOURCE, Buffer.from('a "b"\r\n\n\u0001\n'), 0, 10, 0, NOW);
    const batch = encoder.finish();
    assert.equal(
      batch.body.toString(),
      `{"timestamp":${NOW},"message":"a \\"b\\""},{"timestamp":${NOW},"message":" "},{"timestamp":${NOW},"message":"\\u0001"},`,
    );
    assert.equal(batch.destination, 'group:/var/log/app/a.log');
    assert.deepEqual([...batch.offsets], [0, 7, 8]);
    assert.deepEqual(batch.ranges, [{ source: SOURCE, from: 0, to: 10, records: 3 }]);
    const request = readRequest(batch);
    assert.deepEqual([request.logGroupName, request.logStreamName], ['g', 's"x']);
    assert.equal(encoder.countedBytes, 5 + 1 + 1 + 3 * 26);
  });

  const LONG: ReadonlyArray<readonly [name: string, line: string, parts: number]> = [
    ['the longest', 'x'.repeat(LINE_BYTES_MAX), 1],
    ['a byte more', 'x'.repeat(LINE_BYTES_MAX + 1), 2],
    ['a megabyte of two-byte characters', 'é'.repeat(500_000), 8],
    ['a character across the cut', `x${'😀'.repeat(LINE_BYTES_MAX / 4)}`, 2],
  ];
  for (const [name, line, parts] of LONG) {
    it(`a line that is ${name}: ${parts} events, marked, together the line`, () => {
      const mark = ' [continued in the next event]';
      const messages = encodeAll(createEncoder(), Buffer.from(`${line}\nnext\n`)).flatMap((events) => {
        assertLegal(events);
        return events.map(({ message }) => message);
      });
      assert.equal(messages.pop(), 'next');
      assert.equal(messages.length, parts);
      assert(messages.slice(0, -1).every((message) => message.endsWith(mark)));
      assert.equal(
        messages.map((message, i) => (i < parts - 1 ? message.slice(0, -mark.length) : message)).join(''),
        line,
      );
    });
  }

  const SHAPED_LONG: ReadonlyArray<readonly [name: string, rules: Partial<RecordRules>, input: string, text: string]> =
    [
      ['a line of a file', { exclude: ['^never'] }, `${LONG_TEXT}\n`, LONG_TEXT],
      [
        'partial lines of a runtime',
        { parser: 'cri' },
        // A header and 16 KiB each, as containerd writes them.
        (LONG_TEXT.match(/.{1,16384}/g) ?? [])
          .map((part, i, all) => `2026-11-28T10:11:12Z stdout ${i < all.length - 1 ? 'P' : 'F'} ${part}\n`)
          .join(''),
        LONG_TEXT,
      ],
    ];
  for (const [name, rules, text, line] of SHAPED_LONG) {
    it(`${name} that is too long and is shaped: marked, together the line`, () => {
      const mark = ' [continued in the next event]';
      const encoder = createEncoder();
      const shaper = new RecordShaper({ ...PLAIN_RULES, ...rules });
      const input = Buffer.from(text);
      for (let at = 0; at < input.length;) {
        const to = shaper.cutter.cut(input, at, input.length, LAST);
        encoder.mark();
        shaper.shape(input, 0, { offset: at, salt: 0, timeMs: NOW, nowMs: 0, sentBefore: 0 });
        assert(encoder.appendRecord(SOURCE, shaper.record, NOW));
        at = to;
      }
      const messages = readRequest(encoder.finish()).logEvents.map(({ message }) => message);
      assert.equal(messages.length, 3);
      assert.deepEqual(
        messages.map((message) => message.endsWith(mark)),
        [true, true, false],
      );
      assert.equal(messages.map((message) => message.replace(mark, '')).join(''), line);
    });
  }

  it('a last line without newline is whole, not a part', () => {
    const events = encodeAll(createEncoder(), Buffer.from('a\nb')).flat();
    assert.deepEqual(
      events.map(({ message }) => message),
      ['a', 'b'],
    );
  });

  it('sends a selection without encoding again', () => {
    const encoder = createEncoder();
    encoder.append(SOURCE, Buffer.from('0\n1\n2\n3\n4\n'), 0, 10, 0, NOW);
    const { logEvents } = readRequest(encoder.finish(), [1, 2, 4]);
    assert.deepEqual(
      logEvents.map(({ message }) => message),
      ['1', '2', '4'],
    );
  });

  it('fills a batch to the last byte, counted before escaping, and not one further', () => {
    // 1,048,576 = 1,024 events of 1,024 counted bytes: 998 of message (quotes: twice as long when escaped) and 26.
    const line = `${'"'.repeat(500)}${'é'.repeat(249)}\n`;
    const encoder = createEncoder();
    const input = Buffer.from(line.repeat(1024));
    assert.equal(encoder.append(SOURCE, input, 0, input.length, 0, NOW), input.length);
    assert.equal(encoder.countedBytes, 1_048_576);
    assertLegal(readRequest(encoder.finish()).logEvents);
    assert.equal(encoder.append(SOURCE, Buffer.from('\n'), 0, 1, input.length, NOW), 0, 'not even an empty line');
    encoder.reset();
    const over = Buffer.from(`x${line.repeat(1024)}`);
    assert.equal(
      encoder.append(SOURCE, over, 0, over.length, 0, NOW),
      over.length - 999,
      'one byte over: the last waits',
    );
  }).timeout(5000);

  it('fills a batch to the last event', () => {
    const input = Buffer.alloc(10_001, 10);
    const encoder = createEncoder();
    assert.equal(encoder.append(SOURCE, input, 0, input.length, 0, NOW), 10_000);
    assertLegal(readRequest(encoder.finish()).logEvents);
  });

  it('spans 24 hours and not a millisecond more', () => {
    const encoder = createEncoder();
    const input = Buffer.from('x\n');
    assert.equal(encoder.append(SOURCE, input, 0, 2, 0, NOW), 2);
    assert.equal(encoder.append(SOURCE, input, 0, 2, 2, NOW + DAY), 2);
    assert.equal(encoder.append(SOURCE, input, 0, 2, 4, NOW + DAY + 1), 0);
    assertLegal(readRequest(encoder.finish()).logEvents);
  });

  const CLOCKS: ReadonlyArray<readonly [name: string, times: readonly number[], want: readonly (readonly number[])[]]> =
    [
      ['forward', [0, 5, 7], [[0, 5, 7]]],
      ['back a little: held', [10, 5, 12], [[10, 10, 12]]],
      ['back an hour: held', [3_600_000, 0], [[3_600_000, 3_600_000]]],
      ['back more than an hour: a batch of its own', [3_600_001, 0, 5], [[3_600_001], [0, 5]]],
      ['forward more than a day: a batch of its own', [0, DAY + 1, DAY + 2], [[0], [DAY + 1, DAY + 2]]],
    ];
  for (const [name, times, want] of CLOCKS) {
    it(`a clock that goes ${name}`, () => {
      const encoder = createEncoder();
      const got: number[][] = [];
      for (const time of times) {
        while (encoder.append(SOURCE, Buffer.from('x\n'), 0, 2, 0, NOW + time) === 0) {
          got.push(readRequest(encoder.finish()).logEvents.map(({ timestamp }) => timestamp - NOW));
          encoder.reset();
        }
      }
      got.push(readRequest(encoder.finish()).logEvents.map(({ timestamp }) => timestamp - NOW));
      assert.deepEqual(got, want);
    });
  }

  it('shares the times of a stream between the two encoders of a lane', () => {
    const times = new StreamTimes();
    const one = createEncoder(times);
    const two = createEncoder(times);
    one.append(SOURCE, Buffer.from('x\n'), 0, 2, 0, NOW + 50);
    two.append(SOURCE, Buffer.from('x\n'), 0, 2, 2, NOW);
    assert.equal(readRequest(two.finish()).logEvents[0]?.timestamp, NOW + 50);
  });

  it('keeps a batch to one log stream', () => {
    const encoder = createEncoder();
    encoder.append(SOURCE, Buffer.from('x\n'), 0, 2, 0, NOW);
    assert.equal(encoder.append(sourceInfo('/other'), Buffer.from('x\n'), 0, 2, 0, NOW), 0);
  });

  it('closes a batch that grows under escaping before it grows past its memory', () => {
    const line = Buffer.alloc(LINE_BYTES_MAX, 1);
    line[LINE_BYTES_MAX - 1] = 10;
    const encoder = createEncoder();
    const input = Buffer.concat([line, line]);
    let appended = 0;
    while (encoder.append(SOURCE, input, 0, input.length, appended, NOW) === input.length) appended += input.length;
    assert(encoder.bytes <= LOG_EVENTS_ENCODED_BYTES_MAX);
    assertLegal(readRequest(encoder.finish()).logEvents);
  });

  it('obeys the model of the limits for random lines, and loses none', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let round = 0; round < 12; round += 1) {
      const alphabet = ['x', '"', 'é', '😀', '\u0001', '\\'];
      const lines = Array.from({ length: 1 + random.below(4000) }, () => {
        const letter = alphabet[random.below(alphabet.length)] ?? 'x';
        return letter.repeat(random.below(2) === 0 ? random.below(40) : random.below(1500));
      });
      const batches = encodeAll(createEncoder(), Buffer.from(`${lines.join('\n')}\n`));
      for (const events of batches) assertLegal(events);
      const got = batches.flat().map(({ message }) => message);
      assert.deepEqual(
        got,
        lines.map((line) => line || ' '),
        `seed ${seed}, round ${round}`,
      );
    }
  }).timeout(10_000);
});

describe('runs of container lines for CloudWatch Logs', () => {
  const line = (ms: number, text = 'x'): Buffer => Buffer.from(`${new Date(ms).toISOString()} stdout F ${text}\n`);
  /** How many of the bytes a run takes. */
  const take = (encoder: LogEventsEncoder, input: Buffer, some: Partial<HeadedLines> = {}): number => {
    const all = { source: SOURCE, input, from: 0, to: input.length, offset: 0, timeMs: NOW, isFresh: true };
    return encoder.headedLines.append({ ...all, ...some });
  };
  const eventsOf = (encoder: LogEventsEncoder): unknown =>
    readRequest(encoder.finish()).logEvents.map(({ timestamp, message }) => [timestamp, message]);

  it('are taken while their own time counts and has 13 digits, and so has the one before', () => {
    const [first, last] = [EPOCH_MS_MIN, EPOCH_MS_MAX];
    const cases = [
      [NOW, NOW, undefined, true],
      [NOW + 1, NOW, undefined, false],
      [NOW - 13 * DAY + 1, NOW, undefined, true],
      [NOW - 13 * DAY, NOW, undefined, false],
      [first, first + DAY, undefined, true],
      [first - 1, first + DAY, undefined, false],
      [last, last + DAY, undefined, true],
      [last + 1, last + DAY, undefined, false],
      [last - 5, last, last, true],
      [last - 5, last, last + 1, false],
    ] as const;
    for (const [ms, timeMs, lastMs, isTaken] of cases) {
      const times = new StreamTimes();
      const encoder = createEncoder(times);
      if (lastMs !== undefined) times.set(`group:${SOURCE.path}`, lastMs);
      const input = line(ms);
      assert.equal(take(encoder, input, { timeMs }), isTaken ? input.length : 0, `${ms} at ${timeMs}`);
      assert.deepEqual(eventsOf(encoder), isTaken ? [[Math.max(ms, lastMs ?? 0), 'x']] : []);
    }
  });

  it('keep a batch to one log stream, whoever began it', () => {
    const other = { ...SOURCE, path: `${SOURCE.path}.other` };
    const input = line(NOW);
    const text = Buffer.from('y\n');
    for (const beginsWithRun of [true, false]) {
      const encoder = createEncoder();
      if (beginsWithRun) assert.equal(take(encoder, input), input.length);
      else encoder.append(SOURCE, text, 0, text.length, 0, NOW);
      assert.equal(take(encoder, input, { source: other }), 0);
      assert.equal(encoder.append(other, text, 0, text.length, 0, NOW), 0);
      assert.equal(encoder.finish().destination, `group:${SOURCE.path}`);
      encoder.reset();
      assert.equal(take(encoder, input, { source: other }), input.length);
      assert.equal(encoder.finish().destination, `group:${other.path}`);
    }
  });

  it('span 24 hours and not a millisecond more, over several runs', () => {
    const encoder = createEncoder();
    const text = Buffer.from('y\n');
    encoder.mark();
    const input = line(NOW - DAY);
    assert.equal(take(encoder, input), input.length);
    assert.equal(take(encoder, line(NOW + 1), { timeMs: NOW + 1 }), 0);
    assert.equal(encoder.append(SOURCE, text, 0, text.length, 0, NOW + 1), 0);
    assert.equal(take(encoder, line(NOW), { timeMs: NOW + 1 }), input.length);
  });

  it('are read from what came last, whatever the encoder was bound to before', () => {
    const encoder = createEncoder();
    const two = Buffer.concat([line(NOW, 'a'), line(NOW, 'b')]);
    const half = two.length / 2;
    assert.equal(take(encoder, two, { to: half }), half);
    const text = Buffer.from('y\n');
    encoder.append(SOURCE, text, 0, text.length, half, NOW);
    assert.equal(take(encoder, two, { from: half, offset: half + text.length, isFresh: false }), two.length);
    assert.equal(take(encoder, Buffer.concat([line(NOW, 'c'), line(NOW, 'd')])), two.length);
    const want = ['a', 'y', 'b', 'c', 'd'].map((message) => [NOW, message]);
    assert.deepEqual(eventsOf(encoder), want);
    // Not well-formed: whoever mends texts takes them one by one.
    assert.equal(take(encoder, Buffer.concat([line(NOW), Buffer.from([0xe2, 0x82, 0x0a])])), 0);
    assert.deepEqual(eventsOf(encoder), want);
  });
});
