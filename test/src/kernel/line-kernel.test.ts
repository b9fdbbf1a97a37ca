/**
 * Both forms of the byte kernel against JSON.stringify, and against each other: same bytes, same places, same stops.
 */
import assert from 'node:assert/strict';
import { LINE_BYTES_MAX, READ_BYTES } from '../../../src/core/limits.ts';
import { JSON_DEPTH_MAX, JSON_MEMBERS_MAX } from '../../../src/kernel/json-line.ts';
import { EPOCH_BYTES, EPOCH_MS_MAX, EPOCH_MS_MIN, PARTS_MAX } from '../../../src/kernel/line-kernel.ts';
import type { BatchFill, LineFrame, LineKernel, LineRules, RecordTimes } from '../../../src/kernel/line-kernel.ts';
import { PlainLineKernel } from '../../../src/kernel/plain-line-kernel.ts';
import { WasmLineKernel } from '../../../src/kernel/wasm-line-kernel.ts';
import { CriLine } from '../../../src/parse/cri-line.ts';
import { randomObjectLine } from '../../fakes/random-object-line.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import type { SeededRandom } from '../../fakes/seeded-random.ts';

const RULES: LineRules = {
  bytesMax: 1_000_000,
  recordsMax: 1_000,
  frameBytesMax: 256,
  stopsAtObjects: false,
  padsEmpty: false,
  overheadBytes: 0,
  countedBytesMax: 1_000_000,
};
const FRAME: LineFrame = {
  first: Buffer.from('{"id":"source-'),
  second: Buffer.from('","offset":'),
  third: Buffer.from(',"message":"'),
  closing: Buffer.from('"}\n'),
  hasOffsetAfterFirst: true,
  hasOffsetAfterSecond: true,
};
/** As the framings of the sinks are: with and without an action line, with and without metadata. */
const FRAMES: readonly LineFrame[] = [true, false].flatMap((hasOffsetAfterFirst) =>
  [true, false].map((hasOffsetAfterSecond) => ({ ...FRAME, hasOffsetAfterFirst, hasOffsetAfterSecond })),
);
const BARE: LineFrame = { ...FRAME, third: Buffer.alloc(0), hasOffsetAfterFirst: false, hasOffsetAfterSecond: false };

/** As for lines of container runtimes: the time at its place, a part by the stdio. */
const HEADED: LineFrame = {
  ...FRAME,
  second: Buffer.from(`","time":"${'0'.repeat(24)}","offset":`),
  third: Buffer.alloc(0),
  header: {
    timeAt: '","time":"'.length,
    stdout: Buffer.from(',"stream":"stdout","message":"'),
    stderr: Buffer.from(',"stream":"stderr","message":"'),
    unsaid: Buffer.from(',"message":"'),
  },
};

const EMPTY = Buffer.alloc(0);
/** As for events: the time as a number, nothing by the stdio. */
const EVENTS: LineFrame = {
  first: EMPTY,
  second: Buffer.from(`[${'0'.repeat(EPOCH_BYTES)},"`),
  third: EMPTY,
  closing: Buffer.from('"],'),
  hasOffsetAfterFirst: false,
  hasOffsetAfterSecond: false,
  header: { timeAt: 1, stdout: EMPTY, stderr: EMPTY, unsaid: EMPTY, isEpoch: true },
};

const NO_TIME = '0'.repeat(24);
const TIME_AT = '"}\n{"@timestamp":"'.length;
const PLACES_AT = TIME_AT + 25;

/** As for documents with objects among their lines, with metadata and without. */
function spliceFrame(hasPlaces: boolean, hasHeaders = false): LineFrame {
  const second = `"}\n{"@timestamp":"${NO_TIME}"${hasPlaces ? ',"log":{"offset":' : ''}`;
  const close = hasPlaces ? '}' : '';
  const open = ',"message":"';
  return {
    first: Buffer.from('{"id":"'),
    second: Buffer.from(hasPlaces || hasHeaders ? second : `${second}${open}`),
    third: Buffer.from(hasHeaders ? '' : `${close}${open}`),
    closing: Buffer.from('"}\n'),
    hasOffsetAfterFirst: true,
    hasOffsetAfterSecond: hasPlaces,
    ...(hasHeaders
      ? {
          header: {
            timeAt: TIME_AT,
            stdout: Buffer.from(`${close},"stream":"stdout"${open}`),
            stderr: Buffer.from(`${close},"stream":"stderr"${open}`),
            unsaid: Buffer.from(`${close}${open}`),
          },
        }
      : {}),
    object: {
      timeAt: TIME_AT,
      openBytes: '"}\n{'.length,
      placesAt: PLACES_AT,
      placesTo: second.length,
      openTextBytes: open.length,
    },
  };
}

/** Lines that are objects; what becomes of each with metadata: its time as a member, then its own members. Undefined: left alone. */
const OBJECTS: readonly (readonly [line: string, time?: string, own?: string])[] = [
  ['{}', `"${NO_TIME}"`, ''],
  [' \t{ } \r', `"${NO_TIME}"`, ''],
  ['{"a":1}', `"${NO_TIME}"`, '"a":1'],
  ['{ "a" : [1, {"b":null}, -0.5e+7, "x\\"\\u00e9"] , "é":true }', `"${NO_TIME}"`],
  ['{"time":"2026-01-31T12:00:00.000Z"}', '"2026-01-31T12:00:00.000Z"'],
  ['{"time":"2026-01-31T12:00:00Z","a":1}', '"2026-01-31T12:00:00Z"'],
  ['{"ts":1,"a":1}'],
  ['{"ts":1700000000.25}', '"2023-11-14T22:13:20.250Z"'],
  ['{"ts":1700000000}', '"2023-11-14T22:13:20.000Z"'],
  ['{"time":1700000000123}', '"2023-11-14T22:13:20.123Z"'],
  ['{"time":9999999999999}', '"2286-11-20T17:46:39.999Z"'],
  ['{"time":1709251199999}', '"2024-02-29T23:59:59.999Z"'],
  ['{"time":1709251200000}', '"2024-03-01T00:00:00.000Z"'],
  ['{"time":4107542400000}', '"2100-03-01T00:00:00.000Z"'],
  ['{"time":4107542399999}', '"2100-02-28T23:59:59.999Z"'],
  ['{"ts":1700000000,"time":"2026-01-31T12:00:00Z"}', '"2026-01-31T12:00:00Z"'],
  ['{"timestamp":"2026-01-31T12:00:00+01:00","time":1700000000123}', '"2026-01-31T12:00:00+01:00"'],
  ['{"x":{"time":"now","_id":1,"log":2}}', `"${NO_TIME}"`],
  ['{"time":"now"}'],
  ['{"time":"2026-02-29T12:00:00Z"}'],
  ['{"time":"2026-01-31T12:00:00+18:01"}'],
  ['{"time":null}'],
  ['{"time":{}}'],
  ['{"@timestamp":1700000000123}'],
  ['{"a":1,"a":2}'],
  ['{"abcdefghi":1,"abcdefghj":2,"abcdefghi":3}'],
  ['{"abcdefghi":1,"abcdefghj":2}', `"${NO_TIME}"`],
  ['{"of one beginning a and one end":1,"of one beginning b and one end":2}', `"${NO_TIME}"`],
  ['{"of one beginning a and one end":1,"of one beginning a and one enf":2}', `"${NO_TIME}"`],
  ['{"of one beginning a and one end":1,"of one beginning a and one end":2}'],
  ['{"abcdefghij":1,"abcdefgkij":2}', `"${NO_TIME}"`],
  ['{"x":[{"a":1},{"a":2}],"a":3}', `"${NO_TIME}"`],
  ['{"_id":1}'],
  ['{"log":{}}'],
  ['{"log.offset":1}'],
  ['{"log.file.path":1}'],
  ['{"kubernetes":1}'],
  ['{"orchestrator.x":1}'],
  ['{"logger":1,"log.level":"info","k":1,"o":1,"stream":1}', `"${NO_TIME}"`],
  ['{"":1}'],
  ['{" ":1}'],
  ['{"a.":1}'],
  ['{"x":{".a":1}}'],
  ['{"abcdefghijklmno..p":1}'],
  ['{"abcdefghijklmno.p":1," a":2}', `"${NO_TIME}"`],
  ['{"a\\u0062":1}'],
  ['{"a":1'],
  ['{"a":1}}'],
  ['{"a":1} x'],
  ['{"a":01}'],
  ['{"a":1.}'],
  ['{"a":"\\x"}'],
  ['{"a":"\\u12g4"}'],
  ['{"a":"\u0001"}'],
  ['{"a":[1}'],
  ['{"a":[1,]}'],
  ['{"a":1,}'],
  ['{"a":nul}'],
];

interface Outcome {
  readonly text: string;
  readonly next: number;
  readonly fill: BatchFill;
  readonly offsets: readonly number[];
  readonly ends: readonly number[];
  /** Only with headers. */
  readonly lines: readonly number[];
}

interface Job {
  readonly rules?: Partial<LineRules>;
  readonly frame?: LineFrame;
  readonly offset?: number;
  readonly times?: RecordTimes;
  /** Goes on behind a line that the kernel leaves. */
  readonly skips?: boolean;
}

const FORMS: Readonly<Record<string, (rules: LineRules) => LineKernel>> = {
  'plain TypeScript': (rules) => new PlainLineKernel(rules),
  'WebAssembly SIMD': (rules) => new WasmLineKernel(rules),
};

function encode(make: (rules: LineRules) => LineKernel, input: Buffer, job: Job = {}): Outcome {
  const kernel = make({ ...RULES, ...job.rules });
  // Never at the beginning of a buffer: positions and offsets are to be told apart.
  const padded = Buffer.concat([Buffer.from('xyz'), input]);
  kernel.frame(job.frame ?? FRAME);
  kernel.bind(padded, 3, padded.length, job.offset ?? 0);
  const fill: BatchFill = {
    ...{ bytes: 0, records: 0, countedBytes: 0, objects: 0 },
    ...(job.times === undefined ? {} : { times: { ...job.times } }),
  };
  let next = 3;
  // As its callers do: until it moves no more.
  for (let before = -1; next < padded.length;) {
    if (next === before && job.skips !== true) break;
    if (next === before) next = padded.indexOf(10, next) + 1;
    before = next;
    next = kernel.run(next, fill);
  }
  return {
    text: kernel.out.toString('utf8', 0, fill.bytes),
    next: next - 3,
    fill,
    offsets: [...kernel.offsets.subarray(0, fill.records)],
    ends: [...kernel.ends.subarray(0, fill.records)],
    lines: job.frame?.header === undefined ? [] : [...kernel.lines.subarray(0, fill.records)],
  };
}

/** What the platform makes of whole lines. */
function expected(input: Buffer, frame: LineFrame, offset: number): string {
  let text = '';
  let at = 0;
  for (const line of input.toString('utf8').split('\n').slice(0, -1)) {
    const message = JSON.stringify(line.endsWith('\r') ? line.slice(0, -1) : line).slice(1, -1);
    const place = String(offset + at);
    const { first, second, third, closing } = frame;
    const before = `${first.toString()}${frame.hasOffsetAfterFirst ? place : ''}${second.toString()}`;
    const behind = frame.hasOffsetAfterSecond ? `${place}${third.toString()}` : '';
    text += `${before}${behind}${message}${closing.toString()}`;
    at += Buffer.byteLength(line) + 1;
  }
  return text;
}

const PIECES = [
  'a',
  'plain text of some length ',
  '"',
  '\\',
  '\t',
  '\r',
  '\u0000',
  '\u001f',
  '\u007f',
  'ü',
  '漢',
  '😀',
  '{',
  ' ',
];

/** What becomes of a line with a usual header. */
function headed(offset: number, time: string, stdio: 'stdout' | 'stderr' | '-', text: string): string {
  const member = stdio === '-' ? '' : `,"stream":"${stdio}"`;
  return `{"id":"source-${offset}","time":"${time}","offset":${offset}${member},"message":${JSON.stringify(text)}}\n`;
}

const HEADERS: readonly (readonly [header: string, time: string | undefined])[] = [
  ['2016-10-06T00:17:09.669794202Z stdout F ', '2016-10-06T00:17:09.669Z'],
  ['2016-10-06T00:17:09.999999999Z stderr F ', '2016-10-06T00:17:09.999Z'],
  ['2016-10-06T00:17:09.6Z - F ', '2016-10-06T00:17:09.600Z'],
  ['2016-10-06T00:17:09.66Z stdout F ', '2016-10-06T00:17:09.660Z'],
  ['2016-10-06T00:17:09.007Z stdout F ', '2016-10-06T00:17:09.007Z'],
  ['2016-10-06T00:17:09Z stdout F ', '2016-10-06T00:17:09.000Z'],
  ['2016-10-06T00:17:09.000000000001Z stdout F ', '2016-10-06T00:17:09.000Z'],
  ['2024-02-29T23:59:59.1Z stdout F ', '2024-02-29T23:59:59.100Z'],
  ['2000-12-31T00:00:00.1Z stderr F ', '2000-12-31T00:00:00.100Z'],
  ['2023-02-29T23:59:59.1Z stdout F ', undefined],
  ['1900-02-29T23:59:59.1Z stdout F ', undefined],
  ['2024-04-31T00:00:00.1Z stdout F ', undefined],
  ['2024-13-01T00:00:00.1Z stdout F ', undefined],
  ['2024-00-01T00:00:00.1Z stdout F ', undefined],
  ['2024-01-00T00:00:00.1Z stdout F ', undefined],
  ['0000-01-01T00:00:00.1Z stdout F ', undefined],
  ['2024-01-01T24:00:00.1Z stdout F ', undefined],
  ['2024-01-01T00:60:00.1Z stdout F ', undefined],
  ['2016-12-31T23:59:60.1Z stdout F ', undefined],
  ['2024-01-01t00:00:00.1Z stdout F ', undefined],
  ['2024-01-01T00:00:00,1Z stdout F ', undefined],
  ['2024-01-01T00:00:00.Z stdout F ', undefined],
  ['2024-01-01T00:00:00.1+01:00 stdout F ', undefined],
  ['2024-01-01T00:00:00.1z stdout F ', undefined],
  ['2024-01-01T00:00:00.1Z stdout P ', undefined],
  ['2024-01-01T00:00:00.1Z stdout F:x ', undefined],
  ['2024-01-01T00:00:00.1Z stdout F', undefined],
  ['2024-01-01T00:00:00.1Z stdin F ', undefined],
  ['2024-01-01T00:00:00.1Z stdoux F ', undefined],
  ['2024-01-01T00:00:00.1Z  stdout F ', undefined],
  ['2o24-01-01T00:00:00.1Z stdout F ', undefined],
  ['2024-01-01T00:00', undefined],
  ['', undefined],
];

const HEADER = { stdout: '2016-10-06T00:17:09.669794202Z stdout', stderr: '2016-10-06T00:17:09.669Z stderr' };
const LATER = '2016-10-06T00:17:10.1Z';

/** Lines in parts that are one record, its text, and of how many parts. */
const PARTS: readonly (readonly [lines: string, text: string, parts: number, rules?: Partial<LineRules>])[] = [
  [`${HEADER.stdout} P one\n${LATER} stdout F two\n`, 'onetwo', 2],
  [`${HEADER.stderr} P one\n${LATER} stderr P \n${LATER} stderr F two\n`, 'onetwo', 3],
  ['2016-10-06T00:17:09.669Z - P "1\r\n2016-10-06T00:17:10Z - F \t2\r\r\n', '"1\t2\r', 2],
  [`${HEADER.stdout} P \n${LATER} stdout F \n`, '', 2],
  [`${HEADER.stdout} P \n${LATER} stdout F {\n`, '{', 2],
  [`${HEADER.stdout} P {"a":\n${LATER} stdout F 1}\n`, '{"a":1}', 2],
  [`${HEADER.stdout} P one \n${LATER} stdout F {"a":1}\n`, 'one {"a":1}', 2, { stopsAtObjects: true }],
  [`${HEADER.stdout} P ü\n${LATER} stdout F 漢\n`, 'ü漢', 2, { stopsAtObjects: true }],
  [`${HEADER.stdout} P ${'x'.repeat(100)}\n${LATER} stdout F ${'"'.repeat(40)}\n`, 'x'.repeat(100) + '"'.repeat(40), 2],
  [`${HEADER.stdout} P \n${LATER} stdout F \r\n`, ' ', 2, { padsEmpty: true }],
];

/** Lines whose first part the kernel stops at. */
const UNUSUAL_PARTS: readonly (readonly [lines: string, rules?: Partial<LineRules>])[] = [
  [`${HEADER.stdout} P one\n`],
  [`${HEADER.stdout} P one`],
  [`${HEADER.stdout} P one\n${HEADER.stdout} F two`],
  [`${HEADER.stdout} P one\n${HEADER.stdout} P two\n`],
  [`${HEADER.stdout} P one\n${HEADER.stderr} F two\n${HEADER.stdout} F three\n`],
  [`${HEADER.stdout} P one\n${LATER} - F two\n`],
  [`${HEADER.stdout} P one\ntwo\n`],
  [`${HEADER.stdout} P one\n${LATER} stdout F:x two\n`],
  [`${HEADER.stdout} P one\n2016-10-06T00:17:10+01:00 stdout F two\n`],
  [`${HEADER.stdout} P:x one\n${LATER} stdout F two\n`],
  [`${HEADER.stdout} P {"a":\n${LATER} stdout F 1}\n`, { stopsAtObjects: true }],
  [`${HEADER.stdout} P  \n${LATER} stdout F {"a":1}\n`, { stopsAtObjects: true }],
  [`${HEADER.stdout} P \n${LATER} stdout F {"a":1}\n`, { stopsAtObjects: true }],
  [`${HEADER.stdout} P \r\n${LATER} stdout F {"a":1}\n`, { stopsAtObjects: true }],
  [`${HEADER.stdout} P \tx\n${LATER} stdout F y\n`, { stopsAtObjects: true }],
];

/** Lines of a container runtime as they may be, usual and not. */
function randomHeadedLines(random: SeededRandom): Buffer {
  const lines = randomLines(random).toString('utf8').split('\n').slice(0, -1);
  const usual = HEADERS.filter(([, time]) => time !== undefined);
  return Buffer.from(
    lines
      .map((text) => {
        const [header] = (random.below(8) === 0 ? HEADERS : usual)[random.below(9)] ?? [''];
        return `${random.below(3) === 0 ? header.replace(/F $/, 'P ') : header}${text}\n`;
      })
      .join(''),
  );
}

function randomLines(random: SeededRandom): Buffer {
  const lines = Array.from({ length: 1 + random.below(20) }, () =>
    Array.from({ length: random.below(12) }, () => PIECES[random.below(PIECES.length)] ?? '').join(''),
  );
  return Buffer.from(lines.map((line) => `${line}${random.below(4) === 0 ? '\r' : ''}\n`).join(''));
}

for (const [name, make] of Object.entries(FORMS)) {
  describe(`byte kernel, ${name}`, () => {
    it('escapes each byte as JSON.stringify does, at each place of a vector', () => {
      const bytes = Array.from({ length: 128 }, (_, byte) => byte).filter((byte) => byte !== 10);
      const lines = bytes.flatMap((byte) =>
        Array.from({ length: 18 }, (_, before) => `${'x'.repeat(before)}${String.fromCharCode(byte)}y\n`),
      );
      const input = Buffer.from(lines.join(''));
      assert.equal(encode(make, input, { rules: { recordsMax: lines.length } }).text, expected(input, FRAME, 0));
    });

    it('agrees with JSON.stringify on random lines', () => {
      const seed = testSeed();
      const random = seededRandom(seed);
      for (let i = 0; i < 150; i += 1) {
        const input = randomLines(random);
        const offset = random.below(2) === 0 ? random.below(1_000) : Number.MAX_SAFE_INTEGER - 10_000;
        const frame = FRAMES[random.below(FRAMES.length)] ?? FRAME;
        const got = encode(make, input, { frame, offset });
        assert.equal(got.text, expected(input, frame, offset), `TEST_SEED=${seed}`);
        assert.equal(got.next, input.length);
        assert.equal(got.ends.at(-1), got.fill.bytes);
      }
    });

    it('writes offsets of every length', () => {
      for (const offset of [0, 9, 10, 99_999_999, 100_000_000, 4_294_967_296, 1e12, Number.MAX_SAFE_INTEGER - 2]) {
        const input = Buffer.from('a\n');
        const got = encode(make, input, { offset });
        assert.deepEqual([got.text, got.offsets], [expected(input, FRAME, offset), [offset]]);
      }
    });

    it('leaves an unfinished line, one that is too long, and objects where told so', () => {
      const stopsAt = (text: string, job: Job = {}): number => encode(make, Buffer.from(text), job).next;
      assert.equal(stopsAt('one\ntwo'), 4);
      assert.equal(stopsAt('one\ntwo\r'), 4);
      assert.equal(stopsAt(`one\n${'x'.repeat(LINE_BYTES_MAX)}\nend\n`), 4 + LINE_BYTES_MAX + 5);
      assert.equal(stopsAt(`one\n${'x'.repeat(LINE_BYTES_MAX)}\r\nend\n`), 4 + LINE_BYTES_MAX + 6);
      assert.equal(stopsAt(`one\n${'x'.repeat(LINE_BYTES_MAX + 1)}\nend\n`), 4);
      assert.equal(stopsAt('one\n \t{"a":1}\ntwo\n', { rules: { stopsAtObjects: true } }), 4);
      assert.equal(stopsAt('one\n \n{\n', { rules: { stopsAtObjects: true } }), 6);
      assert.equal(stopsAt('one\n{"a":1}\n'), 12);
    });

    it('stops when the batch is full by bytes, records or what is counted', () => {
      const lines = (count: number): Buffer => Buffer.from('12345\n'.repeat(count));
      const record = BARE.first.length + BARE.second.length + 5 + BARE.closing.length;
      const job = (rules: Partial<LineRules>): Job => ({ frame: BARE, rules });
      assert.equal(encode(make, lines(9), job({ bytesMax: 4 * record })).fill.records, 4);
      assert.equal(encode(make, lines(9), job({ bytesMax: 4 * record - 1 })).fill.records, 3);
      assert.equal(encode(make, lines(9), job({ recordsMax: 5 })).fill.records, 5);
      const counted = { overheadBytes: 26, countedBytesMax: 3 * 31 };
      assert.deepEqual(encode(make, lines(9), job(counted)).fill, {
        bytes: 3 * record,
        records: 3,
        countedBytes: 93,
        objects: 0,
      });
      assert.equal(encode(make, lines(9), job({ ...counted, countedBytesMax: 92 })).fill.records, 2);
    });

    it('counts bytes as UTF-8 without the line end, and pads an empty line', () => {
      const rules = { padsEmpty: true, overheadBytes: 26 };
      const got = encode(make, Buffer.from('ü\r\n\n\r\n"\n'), { rules, frame: BARE });
      assert.equal(got.fill.countedBytes, 2 + 1 + 1 + 1 + 4 * 26);
      const { first, second } = BARE;
      const before = `${first.toString()}${second.toString()}`;
      assert.equal(got.text, ['ü', ' ', ' ', '\\"'].map((text) => `${before}${text}"}\n`).join(''));
    });

    it('writes times of headers as numbers, those of any day from 2001 to 2286', () => {
      const all = { fromMs: EPOCH_MS_MIN, toMs: EPOCH_MS_MAX, lastMs: 0, latestMs: 0, spanMs: 2 ** 31 - 1 };
      const rules = { bytesMax: 100, recordsMax: 1 };
      const dayMs = 24 * 60 * 60_000;
      // Each day of some years, leap years and centuries among them; then a day in 497 up to the end.
      const days = ['2003-12-30', '2099-12-30'].flatMap((day) =>
        Array.from({ length: 440 }, (_, i) => Date.parse(day) + i * dayMs + ((i * 7_919_003) % dayMs)),
      );
      for (let ms = EPOCH_MS_MIN; ms <= EPOCH_MS_MAX; ms += 497 * dayMs + 12_345_678) days.push(ms);
      for (const ms of [...days, EPOCH_MS_MIN, EPOCH_MS_MAX]) {
        const line = `${new Date(ms).toISOString()} stdout F x\n`;
        assert.equal(encode(make, Buffer.from(line), { frame: EVENTS, times: all, rules }).text, `[${ms},"x"],`, line);
      }
      for (const [header, time] of HEADERS) {
        const got = encode(make, Buffer.from(`${header}x\n`), { frame: EVENTS, times: { ...all, fromMs: 0 } });
        const ms = time === undefined ? Number.NaN : Date.parse(time);
        // Twelve digits are not asked for.
        if (!(ms < EPOCH_MS_MIN)) assert.equal(got.text, time === undefined ? '' : `[${ms},"x"],`, header);
      }
    });

    it('keeps times from falling, and leaves what is too old, too late, or further than the span from the first', () => {
      const at = (ms: number): string => new Date(ms).toISOString();
      const base = Date.parse('2026-11-28T10:11:12.500Z');
      const times = { fromMs: base - 1_000, toMs: base + 5_000, lastMs: 0, latestMs: 0, spanMs: 3_000 };
      const tell = (of: readonly number[], some: Partial<RecordTimes> = {}, bytesMax = RULES.bytesMax): unknown => {
        const input = Buffer.from(of.map((ms) => `${at(base + ms)} stderr F \n`).join(''));
        const got = encode(make, input, { frame: EVENTS, times: { ...times, ...some }, rules: { bytesMax } });
        const written = [...got.text.matchAll(/\[(\d+),""\],/g)].map(([, ms]) => Number(ms) - base);
        const { lastMs = 0, latestMs = 0 } = got.fill.times ?? {};
        return [written, lastMs === 0 ? 0 : lastMs - base, latestMs === 0 ? 0 : latestMs - base];
      };
      assert.deepEqual(tell([0, 5, 3, 5, 4, 6]), [[0, 5, 5, 5, 5, 6], 6, 3_000]);
      assert.deepEqual(tell([-1_000, -999]), [[-1_000, -999], -999, 2_000]);
      assert.deepEqual(tell([-1_001]), [[], 0, 0]);
      assert.deepEqual(tell([0, -1_001, 0]), [[0], 0, 3_000]);
      assert.deepEqual(tell([5_000]), [[5_000], 5_000, 8_000]);
      assert.deepEqual(tell([5_001]), [[], 0, 0]);
      assert.deepEqual(tell([0, 3_000, 3_001]), [[0, 3_000], 3_000, 3_000]);
      assert.deepEqual(tell([0], { lastMs: base + 7_000 }), [[7_000], 7_000, 10_000]);
      // A line without room leaves the times as they were.
      assert.deepEqual(tell([0, 2_000], {}, 20), [[0], 0, 3_000]);
      assert.deepEqual(tell([0], {}, 18), [[], 0, 0]);
    });

    it('takes time and stdio of a usual header and leaves any other line', () => {
      for (const [header, time] of HEADERS) {
        const first = '2016-10-06T00:17:09.669794202Z stdout F one\n';
        const got = encode(make, Buffer.from(`${first}${header}two "2"\r\n`), { frame: HEADED });
        const stdio = header.includes(' - ') ? '-' : header.includes('stderr') ? 'stderr' : 'stdout';
        const one = headed(0, '2016-10-06T00:17:09.669Z', 'stdout', 'one');
        const two = time === undefined ? '' : headed(first.length, time, stdio, 'two "2"');
        assert.equal(got.text, one + two, header);
        assert.equal(got.fill.records, time === undefined ? 1 : 2);
      }
    });

    it('takes no second for the one before it that differs in a single byte, nor zeros for one at the very beginning', () => {
      const second = '2016-10-06T00:17:09';
      const zeros = `${'\0'.repeat(second.length)}.123456789Z stdout F `;
      const frame = spliceFrame(true, true);
      for (const text of ['text', '{"a":1}']) {
        const got = encode(make, Buffer.from(`${zeros}${text}\n`), { frame, rules: { stopsAtObjects: true } });
        assert.deepEqual([got.next, got.text], [0, ''], text);
      }
      for (let at = 0; at < second.length; at += 1) {
        const other = `${second.slice(0, at)}x${second.slice(at + 1)}`;
        const first = `${second}Z stdout F one\n`;
        const input = Buffer.from(`${first}${other}Z stdout F two\n`);
        assert.equal(encode(make, input, { frame: HEADED }).next, first.length, `header, place ${at}`);
        const object = `{"time":"${second}Z"}\n`;
        const objects = Buffer.from(`${object}{"time":"${other}Z"}\n`);
        const got = encode(make, objects, { frame: spliceFrame(true), rules: { stopsAtObjects: true } });
        assert.equal(got.next, object.length, `object, place ${at}`);
      }
    });

    it('leaves objects behind a header where told so, a line whose header makes it too long, and an unfinished one', () => {
      const header = '2016-10-06T00:17:09.669794202Z stdout F ';
      const stopsAt = (text: string, rules: Partial<LineRules> = {}): number =>
        encode(make, Buffer.from(`${header}one\n${header}${text}`), { frame: HEADED, rules }).next;
      const before = header.length + 4;
      assert.equal(stopsAt('{"a":1}\n'), 2 * header.length + 12);
      assert.equal(stopsAt(' {"a":1}\n', { stopsAtObjects: true }), before);
      assert.equal(stopsAt('two'), before);
      const room = LINE_BYTES_MAX - header.length;
      assert.equal(stopsAt(`${'x'.repeat(room)}\n`), before + LINE_BYTES_MAX + 1);
      assert.equal(stopsAt(`${'x'.repeat(room + 1)}\n`), before);
      assert.equal(stopsAt(`${'x'.repeat(room)}\r\n`), before);
      assert.equal(stopsAt('\n'), before + header.length + 1);
    });

    it('joins the parts of a line, with the time and place of the first', () => {
      for (const [lines, text, parts, rules = {}] of PARTS) {
        const before = `${HEADER.stdout} F before\n`;
        const input = Buffer.from(`${before}${lines}${HEADER.stdout} F after\n`);
        const got = encode(make, input, { frame: HEADED, rules });
        const stdio = lines.includes('stderr') ? 'stderr' : lines.includes(' - ') ? '-' : 'stdout';
        const records = [
          headed(0, '2016-10-06T00:17:09.669Z', 'stdout', 'before'),
          headed(before.length, '2016-10-06T00:17:09.669Z', stdio, text),
          headed(before.length + Buffer.byteLength(lines), '2016-10-06T00:17:09.669Z', 'stdout', 'after'),
        ];
        assert.equal(got.text, records.join(''), lines);
        assert.deepEqual([got.lines, got.next], [[1, parts, 1], input.length], lines);
      }
    });

    it('leaves a line with unusual parts as a whole', () => {
      for (const [lines, rules = {}] of UNUSUAL_PARTS) {
        const before = `${HEADER.stdout} F before\n`;
        const got = encode(make, Buffer.from(`${before}${lines}`), { frame: HEADED, rules });
        assert.deepEqual([got.next, got.lines], [before.length, [1]], lines.slice(0, 1_000));
      }
    });

    it('bounds the parts of a line by number and by bytes, and takes all of them or none into a batch', () => {
      const part = `${HEADER.stdout} P x\n`;
      const last = `${HEADER.stdout} F y\n`;
      const records = (text: string, rules: Partial<LineRules> = {}): readonly number[] =>
        encode(make, Buffer.from(text), { frame: HEADED, rules }).lines;
      assert.deepEqual(records(`${part.repeat(PARTS_MAX - 1)}${last}`), [PARTS_MAX]);
      assert.deepEqual(records(`${part.repeat(PARTS_MAX)}${last}`), []);
      const room = LINE_BYTES_MAX - `${HEADER.stdout} F \n`.length - part.length;
      for (const end of ['\n', '\r\n']) {
        const long = (bytes: number): string => `${part}${HEADER.stdout} F ${'x'.repeat(bytes + 1 - end.length)}${end}`;
        assert.deepEqual([records(long(room)), records(long(room + 1))], [[2], []]);
      }
      // Escaped six times as long, and the first part is as long as a line may be: nothing is written where there is no room.
      const control = '\u0001'.repeat(LINE_BYTES_MAX - part.length + 1);
      const widest = { bytesMax: 6 * LINE_BYTES_MAX };
      assert.deepEqual(records(`${HEADER.stdout} P ${control}\n${HEADER.stdout} F ${control}\n`, widest), []);
      const { text, fill } = encode(make, Buffer.from(part + last), { frame: HEADED, rules: { overheadBytes: 26 } });
      assert.equal(fill.countedBytes, 2 + 26);
      assert.deepEqual(records(part + last, { bytesMax: text.length }), [2]);
      assert.deepEqual(records(part + last, { bytesMax: text.length - 1 }), []);
      assert.deepEqual(records(part + last, { countedBytesMax: 1 }), []);
    });

    it('splices usual objects and leaves any other', () => {
      for (const [line, time, own] of OBJECTS) {
        const input = Buffer.from(`text\n${line}\n`);
        const rules = { stopsAtObjects: true };
        const got = encode(make, input, { rules, frame: spliceFrame(true) });
        const text = `{"id":"0"}\n{"@timestamp":"${NO_TIME}","log":{"offset":0},"message":"text"}\n`;
        const inner = own ?? line.trim().slice(1, -1);
        const members = `"@timestamp":${time ?? ''},"log":{"offset":5}${inner === '' ? '' : `,${inner}`}`;
        assert.equal(got.text, time === undefined ? text : `${text}{"id":"5"}\n{${members}}\n`, line);
        assert.equal(got.fill.objects, time === undefined ? 0 : 1, line);
        if (time !== undefined) JSON.parse(got.text.split('\n')[3] ?? '');
      }
    });

    it('lets an `@timestamp` of the object stand, and begins no document with a comma', () => {
      const rules = { stopsAtObjects: true };
      const own = '"@timestamp":"2026-01-31T12:00:00.5+02:00"';
      const spliced = (frame: LineFrame, line: string): string =>
        encode(make, Buffer.from(`${line}\n`), { rules, frame }).text.split('\n')[1] ?? '';
      assert.equal(spliced(spliceFrame(false), `{${own}}`), `{${own}}`);
      assert.equal(
        spliced(spliceFrame(true), `{"time":1700000000,${own}}`),
        `{"log":{"offset":0},"time":1700000000,${own}}`,
      );
      const header = '2016-10-06T00:17:09.669794202Z stderr F ';
      const stream = '"stream":"stderr"';
      assert.equal(spliced(spliceFrame(false, true), `${header}{${own}}`), `{${stream},${own}}`);
      assert.equal(spliced(spliceFrame(true, true), `${header}{${own}}`), `{"log":{"offset":0},${stream},${own}}`);
      const time = '"@timestamp":"2016-10-06T00:17:09.669Z"';
      assert.equal(spliced(spliceFrame(false, true), `${header}{"a":1}`), `{${time},${stream},"a":1}`);
      assert.equal(spliced(spliceFrame(false, true), `${header}{"stream":1}`), '');
      assert.equal(
        spliced(spliceFrame(false), '{"log":1,"kubernetes":2}'),
        `{"@timestamp":"${NO_TIME}","log":1,"kubernetes":2}`,
      );
      const { object: _object, ...textAlone } = spliceFrame(true);
      assert.equal(spliced(textAlone, '{"a":1}'), '');
    });

    it('bounds depth, members and length of an object, and reads none beyond what is bound', () => {
      const rules = { stopsAtObjects: true };
      const isTaken = (line: string): boolean =>
        encode(make, Buffer.from(`${line}\n`), { rules, frame: spliceFrame(true) }).fill.objects === 1;
      const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
      const arrays = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
      const wide = (count: number, name = 'k'): string =>
        `{${Array.from({ length: count }, (_, i) => `"${name}${i}":${i}`).join(',')}}`;
      const many = (count: number): string =>
        `{${Array.from({ length: 10 }, (_, i) => `"o${i}":${wide(count / 10)}`).join(',')}}`;
      const long = (bytes: number): string => `{"a":"${'x'.repeat(bytes - 8)}"}`;
      assert.deepEqual(
        [JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1].map((depth) => isTaken(nested(depth))),
        [true, false],
      );
      assert.deepEqual(
        [JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1].map((depth) => isTaken(arrays(depth))),
        [true, false],
      );
      assert.deepEqual([wide(256), wide(257), wide(256, 'of the same beginning ')].map(isTaken), [true, false, true]);
      assert.deepEqual([many(JSON_MEMBERS_MAX - 10), many(JSON_MEMBERS_MAX)].map(isTaken), [true, false]);
      assert.deepEqual([long(LINE_BYTES_MAX), long(LINE_BYTES_MAX + 1)].map(isTaken), [true, false]);
      assert.equal(isTaken(`${long(LINE_BYTES_MAX)}\r`), false);
      const kernel = make({ ...RULES, ...rules });
      kernel.frame(spliceFrame(true));
      const whole = Buffer.from('{"a":"b","c":[1]}\n');
      for (let end = 1; end <= whole.length; end += 1) {
        const fill = { bytes: 0, records: 0, countedBytes: 0, objects: 0 };
        // What is behind the end is what was bound before.
        kernel.bind(whole, 0, whole.length, 0);
        assert.equal(kernel.run(0, fill), whole.length);
        kernel.bind(Buffer.from(whole.subarray(0, end)), 0, end, 0);
        assert.equal(kernel.run(0, fill), end < whole.length ? 0 : end);
      }
    });

    it('goes through more than it takes in at once', () => {
      const line = `${'z'.repeat(997)}"\n`;
      const input = Buffer.from(line.repeat(Math.ceil((3 * READ_BYTES) / line.length)));
      let at = 0;
      const kernel = make(RULES);
      kernel.frame(FRAME);
      kernel.bind(input, 0, input.length, 0);
      const fill = { bytes: 0, records: 0, countedBytes: 0, objects: 0 };
      // A window may cut a line; its caller takes that one by itself.
      for (let turns = 0; at < input.length; turns += 1) {
        const next = kernel.run(at, fill);
        at = next > at ? next : at + line.length;
        assert(turns < 20, 'each turn but few takes many lines');
      }
      assert.ok(fill.records > input.length / line.length - 10);
    });
  });
}

describe('byte kernel', () => {
  it('gives the same in both forms, whatever the batch has room for', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const [plain, wasm] = Object.values(FORMS);
    assert(plain !== undefined && wasm !== undefined);
    for (let i = 0; i < 150; i += 1) {
      const job: Job = {
        offset: random.below(1e9),
        frame: FRAMES[random.below(FRAMES.length)] ?? FRAME,
        rules: {
          bytesMax: 200 + random.below(2_000),
          recordsMax: 1 + random.below(30),
          stopsAtObjects: random.below(2) === 0,
          padsEmpty: random.below(2) === 0,
          overheadBytes: random.below(30),
          countedBytesMax: 100 + random.below(1_000),
        },
      };
      const input = randomLines(random);
      assert.deepEqual(encode(wasm, input, job), encode(plain, input, job), `TEST_SEED=${seed}`);
      const lines = randomHeadedLines(random);
      const withHeaders = { ...job, frame: HEADED };
      assert.deepEqual(encode(wasm, lines, withHeaders), encode(plain, lines, withHeaders), `TEST_SEED=${seed}`);
      // Between and beside the times of HEADERS.
      const fromMs = EPOCH_MS_MIN + random.below(3) * 1e11;
      const toMs = fromMs + random.below(8) * 1e11;
      const times = { fromMs, toMs, lastMs: EPOCH_MS_MIN + random.below(9) * 1e11, latestMs: 1.6e12, spanMs: 1e9 };
      const asEvents = { ...job, frame: EVENTS, times, skips: true };
      assert.deepEqual(encode(wasm, lines, asEvents), encode(plain, lines, asEvents), `TEST_SEED=${seed}`);
    }
  });

  it('reads objects alike in both forms, sound and broken ones', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const [plain, wasm] = Object.values(FORMS);
    assert(plain !== undefined && wasm !== undefined);
    let objects = 0;
    for (let i = 0; i < 150; i += 1) {
      const hasHeaders = random.below(3) === 0;
      const header = hasHeaders ? '2016-10-06T00:17:09.669794202Z stdout F ' : '';
      const lines = Array.from({ length: 1 + random.below(20) }, () => `${header}${randomObjectLine(random)}\n`);
      const job: Job = {
        offset: random.below(1e9),
        frame: spliceFrame(random.below(2) === 0, hasHeaders),
        rules: { stopsAtObjects: true, bytesMax: 100 + random.below(5_000), recordsMax: 1 + random.below(20) },
        skips: true,
      };
      const input = Buffer.from(lines.join(''));
      const got = encode(wasm, input, job);
      assert.deepEqual(got, encode(plain, input, job), `TEST_SEED=${seed}`);
      objects += got.fill.objects;
    }
    assert(objects > 300, 'many are usual');
  });

  it('takes no header that the parser of container lines reads otherwise', () => {
    const cri = new CriLine();
    for (const [header, time] of HEADERS) {
      const line = Buffer.from(`${header}text`);
      if (time === undefined) continue;
      assert.equal(cri.read(line, 0, line.length), true, header);
      assert.equal(cri.textFrom, header.length, header);
      assert.deepEqual([cri.timeMs, cri.isPartial], [Date.parse(time), false], header);
      const part = Buffer.from(line.toString().replace(' F text', ' P text'));
      assert.equal(cri.read(part, 0, part.length) && cri.isPartial, true, header);
    }
  });
});
