/**
 * What becomes of a record: filters and their reasons, redaction, logfmt, times and levels, as tables.
 */
import assert from 'node:assert/strict';

import { LEVELS, PLAIN_RULES, readSamples } from '../../../src/config/record-rules.ts';
import type { RecordRules } from '../../../src/config/record-rules.ts';
import { textLevel } from '../../../src/parse/line-level.ts';
import { lineTimeMs } from '../../../src/parse/line-time.ts';
import { LAST } from '../../../src/parse/record-cutter.ts';
import { RecordShaper } from '../../../src/parse/record-shaper.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';

const NOW = Date.UTC(2026, 10, 28, 12);
const READS = 5_000;
const LOST_HALF = Buffer.from([0xc3]);
const CONTEXT = { offset: 0, salt: 7, timeMs: NOW, nowMs: 0, sentBefore: 0 };

interface Shaped {
  readonly reason: string | undefined;
  readonly text: string;
  readonly json: unknown;
  readonly level: string | undefined;
  readonly time: number;
}

function shapeAll(rules: Partial<RecordRules>, input: Buffer, context = CONTEXT): Shaped[] {
  const shaper = new RecordShaper({ ...PLAIN_RULES, ...rules });
  const found: Shaped[] = [];
  for (let at = 0; at < input.length;) {
    const to = shaper.cutter.cut(input, at, input.length, LAST);
    for (let group = 0; group < shaper.cutter.groups; group += 1) {
      const reason = shaper.shape(input, group, { ...context, offset: at });
      const { text, from, to: end, json, jsonBytes, level, timeMs } = shaper.record;
      const parsed: unknown = json === undefined ? undefined : JSON.parse(json.toString('utf8', 0, jsonBytes));
      found.push({ reason, text: text.toString('utf8', from, end), json: parsed, level: LEVELS[level], time: timeMs });
    }
    at = to;
  }
  return found;
}

/** What stands in bytes: characters of all lengths, halves of them, and what ends a line. */
const PIECES = ['a', 'token=', ' ', '\n', '\n', 'é', '€', '😀'].map((text) => Buffer.from(text));

const one = (rules: Partial<RecordRules>, line: string): Shaped | undefined =>
  shapeAll(rules, Buffer.from(`${line}\n`))[0];

describe('a read that was looked through at once', () => {
  it('gives the records that it gives one by one, wherever it begins, ends and is cut', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const rules = { ...PLAIN_RULES, redact: ['token=\\S+$'], multiline: { start: '^a' } };
    const [asked, seen] = [new RecordShaper(rules), new RecordShaper(rules)];
    for (let round = 0; round < READS; round += 1) {
      const pieces = Array.from(
        { length: 1 + random.below(24) },
        () => PIECES[random.below(PIECES.length)] ?? LOST_HALF,
      );
      // A character that is whole in the read may be cut by a border: most reads are well-formed.
      if (random.below(4) === 0) pieces.push(LOST_HALF);
      const input = Buffer.concat(pieces);
      const lead = random.below(4) === 0 ? random.below(input.length) : 0;
      seen.see(input, lead, input.length);
      for (let at = lead; at < input.length;) {
        const border = random.below(3) === 0 ? at + 1 + random.below(input.length - at) : input.length;
        const to = asked.cutter.cut(input, at, border, LAST);
        assert.equal(seen.cutter.cut(input, at, border, LAST), to);
        for (let group = 0; group < asked.cutter.groups; group += 1) {
          asked.shape(input, group, { ...CONTEXT, offset: at });
          seen.shape(input, group, { ...CONTEXT, offset: at });
          const hex = ({ record }: RecordShaper): string => record.text.toString('hex', record.from, record.to);
          assert.equal(hex(seen), hex(asked), `seed ${seed}: ${input.toString('hex')} from ${at} to ${to}`);
        }
        at = to;
      }
      assert.equal(seen.replaced, asked.replaced, `seed ${seed}`);
    }
  });
});

function samples(text: string): RecordRules['sample'] {
  const read = readSamples(text);
  assert(read.ok);
  return read.value;
}

const TIMES: readonly (readonly [line: string, time: string | undefined])[] = [
  ['2026-11-28T10:11:12.345Z x', '2026-11-28T10:11:12.345Z'],
  ['2026-11-28T10:11:12.3456789+02:00 x', '2026-11-28T08:11:12.345Z'],
  ['2026-11-28 10:11:12,345 INFO x', '2026-11-28T10:11:12.345Z'],
  ['[2026-11-28 10:11:12] x', '2026-11-28T10:11:12.000Z'],
  ['2026-11-28 10:11:12 +0100 x', '2026-11-28T09:11:12.000Z'],
  ['2026/11/28 10:11:12 [error] 7#7: x', '2026-11-28T10:11:12.000Z'],
  ['I1128 10:11:12.345678       1 main.go:1] x', '2026-11-28T10:11:12.345Z'],
  ['E1231 23:00:00.000000       1 main.go:1] x', '2026-12-31T23:00:00.000Z'],
  ['W0102 00:00:00.000000       1 main.go:1] x', '2027-01-02T00:00:00.000Z'],
  ['<34>Nov  8 10:11:12 host x', '2026-11-08T10:11:12.000Z'],
  ['<165>1 2026-11-28T10:11:12Z host x', '2026-11-28T10:11:12.000Z'],
  ['Mar 09 10:11:12 host x', '2027-03-09T10:11:12.000Z'],
  ['Jun 09 10:11:12 host x', '2026-06-09T10:11:12.000Z'],
  ['10.0.0.1 - bob [28/Nov/2026:10:11:12 -0700] "GET / HTTP/1.1" 200', '2026-11-28T17:11:12.000Z'],
  ['1795860672 x', '2026-11-28T10:11:12.000Z'],
  ['1795860672.5 x', '2026-11-28T10:11:12.500Z'],
  ['1795860672345 x', '2026-11-28T10:11:12.345Z'],
  ['2026-02-30T10:11:12Z x', undefined],
  ['2026-11-28T25:11:12Z x', undefined],
  ['12345 lines', undefined],
  ['Sometimes text', undefined],
  ['', undefined],
];

const LEVELS_TABLE: readonly (readonly [line: string, level: string | undefined])[] = [
  ['2026-11-28 10:11:12,345 WARN  c.e.App - x', 'warn'],
  ['[error] x', 'error'],
  ['level=debug msg=x', 'debug'],
  ['Error: x', 'error'],
  ['panic: x', 'fatal'],
  ['I1128 10:11:12.345678 1 main.go:1] x', 'info'],
  ['<3>x', 'error'],
  ['an error is no level', undefined],
  ['INFORM nobody', undefined],
  ['NOTICE x', 'info'],
];

describe('record shaper', () => {
  it('drops with a reason', () => {
    const rules = { include: ['keep', 'error'], exclude: ['healthz'] };
    const found = shapeAll(rules, Buffer.from('keep 1\nother\nkeep healthz\nerror\n'));
    assert.deepEqual(
      found.map(({ reason }) => reason),
      [undefined, 'not_included', 'excluded', undefined],
    );
  });

  it('redacts what any pattern matches, also in ill-formed text and joined lines', () => {
    const redact = ['(?i:password)=\\S+', '\\b\\d{13,16}\\b'];
    assert.equal(one({ redact }, 'a Password=hunter2 b 4111111111111111 c')?.text, 'a *** b *** c');
    assert.equal(one({ redact: ['x'] }, 'axbxxcxxxxd')?.text, 'a*b**c***d');
    const broken = Buffer.concat([Buffer.from('password=a'), Buffer.from([0xff, 0x62]), Buffer.from(' rest\n')]);
    assert.equal(shapeAll({ redact }, broken)[0]?.text, '*** rest');
    const joined = shapeAll({ redact, multiline: { start: '^a' } }, Buffer.from('a\npassword=b\r\nc\n'));
    assert.equal(joined[0]?.text, 'a\n***\nc');
  });

  it('reads logfmt, and leaves what is none', () => {
    const logfmt = { parser: 'logfmt' } as const;
    assert.deepEqual(one(logfmt, 'level=info msg="two \\"words\\"" took=12ms ok ts=1795860672.5 n=07 e=')?.json, {
      level: 'info',
      msg: 'two "words"',
      took: '12ms',
      ok: true,
      ts: 1795860672.5,
      n: '07',
      e: '',
    });
    for (const line of ['just words', 'a="open', 'a=b"c', '', '=x', '"a"=b'])
      assert.equal(one(logfmt, line)?.json, undefined, line);
    const redacted = one({ ...logfmt, redact: ['hunter\\d'] }, 'user=x password=hunter2');
    assert.deepEqual(redacted?.json, { user: 'x', password: '***' });
  });

  for (const [line, time] of TIMES) {
    it(`time of ${line === '' ? 'nothing' : line}`, () => {
      const found = lineTimeMs(Buffer.from(line), 0, line.length, NOW);
      assert.equal(Number.isNaN(found) ? undefined : new Date(found).toISOString(), time);
    });
  }

  for (const [line, level] of LEVELS_TABLE) {
    it(`level of ${line}`, () => assert.equal(LEVELS[textLevel(Buffer.from(line), 0, line.length)], level));
  }

  it('takes the level of JSON and logfmt from its member, and of a trace that it is an error', () => {
    const detect = ['level'] as const;
    assert.equal(one({ detect }, '{"a":1,"severity":"WARNING"}')?.level, 'warn');
    assert.equal(one({ detect }, '{"level":30,"msg":"ERROR"}')?.level, 'info');
    assert.equal(one({ detect, parser: 'logfmt' }, 'msg=ERROR lvl=dbg')?.level, 'debug');
    const trace = shapeAll({ detect, multiline: { presets: ['java'] } }, Buffer.from('x.Exception: y\n\tat a.b\n'));
    assert.equal(trace[0]?.level, 'error');
  });

  it('samples by place, alike each time, and never an error', () => {
    const rules = { sample: samples('25% level:debug\n100%') };
    const input = Buffer.from('DEBUG x\n'.repeat(4_000) + 'ERROR x\n'.repeat(100) + 'x\n'.repeat(100));
    const found = shapeAll(rules, input);
    const kept = found.filter(({ reason }) => reason === undefined).length - 200;
    assert(kept > 850 && kept < 1_150, `${kept} of 4,000`);
    assert(found.slice(4_000).every(({ reason }) => reason === undefined));
    assert.deepEqual(shapeAll(rules, input), found);
  });

  it('limits a rate, but not what may have been sent before', () => {
    const rules = { sample: samples('10/s') };
    const input = Buffer.from('x\n'.repeat(30) + 'ERROR\n');
    const passed = (context: typeof CONTEXT): number =>
      shapeAll(rules, input, context).filter(({ reason }) => reason === undefined).length;
    assert.equal(passed(CONTEXT), 11);
    assert.equal(passed({ ...CONTEXT, sentBefore: 1_000 }), 31);
    assert.equal(shapeAll(rules, input)[20]?.reason, 'rate_limited');
  });
});
