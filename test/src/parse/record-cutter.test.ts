/**
 * Lines to records: every stack trace of the corpus is one, whatever stands around it and wherever the bytes are cut; the rest stays lines.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { MULTILINE_PRESETS, PLAIN_RULES } from '../../../src/config/record-rules.ts';
import type { RecordRules } from '../../../src/config/record-rules.ts';
import { LINE_BYTES_MAX } from '../../../src/core/limits.ts';
import { LAST, MORE_MAY_COME, OVERDUE } from '../../../src/parse/record-cutter.ts';
import { RecordShaper } from '../../../src/parse/record-shaper.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import { CORPUS_PREFIX, skip } from '../../skip.ts';

const CORPUS = join(
  process.env['CORPUS_DIR'] ?? resolve(import.meta.dirname, '../../../../shared/corpus'),
  'stack-traces',
);
const TRACES: RecordRules = { ...PLAIN_RULES, multiline: { presets: MULTILINE_PRESETS } };
const CRI: RecordRules = { ...TRACES, parser: 'cri' };
const CONTEXT = { offset: 0, salt: 1, timeMs: 0, nowMs: 0, sentBefore: 0 };

/** The presets that each file of the corpus is for. */
const PRESETS: Readonly<Record<string, string>> = {
  client: 'node',
  complex: 'java',
  csharp: 'dotnet',
  dart: 'dart',
  go: 'go',
  java: 'java',
  nested: 'java',
  node: 'node',
  php: 'php',
  python: 'python',
  ruby: 'ruby',
};

/** What our own fixtures are: one record each. */
const OWN: readonly (readonly [preset: string, text: string])[] = [
  [
    'java',
    'java.lang.IllegalStateException: x\n\tat a.B.c(B.java:1)\n\tSuppressed: java.io.IOException: y\n\t\tat d.E.f(E.java:2)\nCaused by: java.lang.Error\n\t... 3 more',
  ],
  [
    'python',
    'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    f(x)\n    ~^^^\nValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "b.py", line 2, in g\nKeyError: 1',
  ],
  [
    'node',
    "/app/a.js:3\n  throw new Error('x')\n  ^\n\nError: x\n    at f (/app/a.js:3:9) {\n  code: 'E',\n  errno: -2\n}",
  ],
  [
    'go',
    'panic: x\n\t panic: y\n[signal SIGSEGV: segmentation violation code=0x1]\n\ngoroutine 1 [running]:\nmain.main()\n\t/a/b.go:5 +0x1d\n\ngoroutine 2 [select]:\nmain.(*T).run(0x1)\n\t/a/b.go:9 +0x2\ncreated by main.main in goroutine 1\n\t/a/b.go:4 +0x1',
  ],
  ['ruby', "a.rb:1:in 'f': x (RuntimeError)\n\tfrom a.rb:5:in 'g'\n\tfrom a.rb:9:in '<main>'"],
  [
    'dotnet',
    'Unhandled exception. System.InvalidOperationException: x\n ---> System.Exception: y\n   at A.B() in /a.cs:line 1\n   --- End of inner exception stack trace ---\n   at A.Main() in /a.cs:line 2',
  ],
  [
    'php',
    'PHP Fatal error:  Uncaught Exception: x in /a.php:3\nStack trace:\n#0 /a.php(7): f()\n#1 {main}\n  thrown in /a.php on line 3',
  ],
  [
    'rust',
    "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nstack backtrace:\n   0: rust_begin_unwind\n             at /rustc/a/library/std/src/panicking.rs:5:5\n   1: main::main\nnote: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
  ],
  [
    'dart',
    'Unhandled exception:\nBad state: x\n#0      main (file:///a.dart:1:2)\n<asynchronous suspension>\n#1      run (dart:isolate-patch:3)',
  ],
];

interface Cut {
  readonly text: string;
  readonly offset: number;
}

/** Made once for each set of rules: compiling takes longer than what is asked of them here. */
const SHAPERS = new Map<RecordRules, RecordShaper>();

function shaperOf(rules: RecordRules): RecordShaper {
  const known = SHAPERS.get(rules) ?? new RecordShaper(rules);
  SHAPERS.set(rules, known);
  return known;
}

/** Rules with one preset. */
const ONE = new Map(
  MULTILINE_PRESETS.map((preset) => [preset as string, { ...TRACES, multiline: { presets: [preset] } }]),
);

/** All records of `input`, handed over in pieces that end at `cuts`; what is not whole is read again with the next piece. */
function records(rules: RecordRules, input: Buffer, cuts: readonly number[] = []): Cut[] {
  const shaper = shaperOf(rules);
  const found: Cut[] = [];
  let at = 0;
  for (const to of [...cuts, input.length]) {
    const end = to === input.length ? LAST : MORE_MAY_COME;
    for (let next = shaper.cutter.cut(input, at, to, end); next > at; next = shaper.cutter.cut(input, at, to, end)) {
      for (let group = 0; group < shaper.cutter.groups; group += 1) {
        assert.equal(shaper.shape(input, group, { ...CONTEXT, offset: at }), undefined);
        const { record } = shaper;
        found.push({ text: record.text.toString('utf8', record.from, record.to), offset: record.offset });
      }
      at = next;
    }
  }
  assert.equal(at, input.length, 'everything becomes records');
  return found;
}

const textsOf = (cuts: readonly Cut[]): string[] => cuts.map(({ text }) => text);

function corpus(): readonly (readonly [name: string, text: string])[] {
  if (!existsSync(CORPUS)) return [];
  return readdirSync(CORPUS).map((name) => [name, readFileSync(join(CORPUS, name), 'utf8').replace(/\n$/, '')]);
}

describe('record cutter', () => {
  for (const [preset, text] of OWN) {
    it(`makes one record of a trace of ${preset}, and nothing more`, () => {
      const rules = ONE.get(preset) ?? TRACES;
      const input = Buffer.from(`before\n${text}\nafter it\n${text}\n`);
      assert.deepEqual(textsOf(records(rules, input)), ['before', text, 'after it', text]);
      assert.deepEqual(textsOf(records(TRACES, input)), ['before', text, 'after it', text], 'with all presets');
    });
  }

  it('makes one record of every trace of the corpus, cut at any byte', function () {
    const all = corpus();
    if (all.length === 0)
      skip(this, `${CORPUS_PREFIX}there is no folder with stack traces; CORPUS_DIR names its parent`);
    const random = seededRandom(testSeed());
    for (const [name, text] of all) {
      const isTrace = name !== 'arbitrary-text.txt';
      const rules = isTrace ? ONE.get(PRESETS[name.split('-')[0] ?? ''] ?? '') : TRACES;
      assert(rules !== undefined, name);
      const input = Buffer.from(`plain line\n${text}\nanother line\n`);
      const expected = ['plain line', ...(isTrace ? [text] : text.split('\n')), 'another line'];
      assert.deepEqual(textsOf(records(rules, input)), expected, name);
      assert.deepEqual(textsOf(records(TRACES, input)), expected, `${name} with all presets`);
      for (let round = 0; round < 5; round += 1) {
        const cuts = Array.from({ length: 1 + random.below(8) }, () => random.below(input.length)).toSorted(
          (a, b) => a - b,
        );
        assert.deepEqual(textsOf(records(rules, input, cuts)), expected, `${name} cut at ${cuts.join(', ')}`);
      }
    }
  });

  it('makes the same records when it begins again at any of them', () => {
    const input = Buffer.from(OWN.map(([, text]) => `line\n${text}\n`).join('Error: alone\n\n'));
    const all = records(TRACES, input);
    assert(all.length > 20);
    for (const [i, { offset }] of all.entries()) {
      const again = records(TRACES, input.subarray(offset)).map((one) => ({ ...one, offset: one.offset + offset }));
      assert.deepEqual(again, all.slice(i));
    }
  });

  it('joins the parts of each stdio, also where they interleave', () => {
    const at = '2026-11-28T12:00:00.000000001Z';
    const lines = [
      `${at} stdout P one `,
      `${at} stderr F err`,
      `${at} stdout P two `,
      `${at} stderr P e1 `,
      `${at} stdout F three`,
      `${at} stderr F e2`,
      `${at} stdout F java.lang.Error: x`,
      `${at} stderr F between`,
      `${at} stdout F \tat a.b(C.java:1)`,
      `${at} stdout F done`,
      `no header`,
      `${at} stdout F `,
      `${at} stdout F:x tagged`,
    ];
    const input = Buffer.from(`${lines.join('\n')}\n`);
    const expected = [
      'one two three',
      'err',
      'e1 e2',
      'java.lang.Error: x\n\tat a.b(C.java:1)',
      'between',
      'done',
      'no header',
      '',
      'tagged',
    ];
    assert.deepEqual(textsOf(records(CRI, input)), expected);
    for (let cut = 1; cut < input.length; cut += 1) assert.deepEqual(textsOf(records(CRI, input, [cut])), expected);
  });

  it('ends a record of one stdio when the other has gone on for a second', () => {
    const lines = [
      '2026-11-28T12:00:00.0Z stdout F java.lang.Error: x',
      '2026-11-28T12:00:00.9Z stderr F soon',
      '2026-11-28T12:00:01.1Z stderr F later',
      '2026-11-28T12:00:01.1Z stdout F \tat late.Frame',
    ];
    const texts = textsOf(records(CRI, Buffer.from(`${lines.join('\n')}\n`)));
    assert.deepEqual(texts, ['java.lang.Error: x', 'soon', 'later', '\tat late.Frame']);
  });

  it('takes a start pattern', () => {
    const rules = { ...PLAIN_RULES, multiline: { start: '^\\d{4}-' } };
    const input = Buffer.from('head\n more\n2026-1 a\r\n b\r\n2026-2 c\n');
    assert.deepEqual(textsOf(records(rules, input)), ['head\n more', '2026-1 a\n b', '2026-2 c']);
  });

  it('waits for what may follow, but not longer than it is told to', () => {
    const { cutter } = shaperOf(TRACES);
    const input = Buffer.from('java.lang.Error: x\n\tat a.b\n\tat c.');
    assert.equal(cutter.cut(input, 0, input.length, MORE_MAY_COME), 0);
    assert.equal(cutter.lines, 2, 'two whole lines wait');
    assert.equal(cutter.cut(input, 0, input.length, OVERDUE), 27, 'the incomplete line goes on waiting');
    assert(cutter.wasForced);
    assert.equal(cutter.cut(input, 0, input.length, LAST), input.length);
    assert(cutter.wasForced);
  });

  it('bounds a record, and cuts a line that is too long into parts', () => {
    const frame = `\tat ${'a'.repeat(1_000)}\n`;
    const input = Buffer.from(`java.lang.Error: x\n${frame.repeat(300)}end\n`);
    const all = records(TRACES, input);
    assert((all[0]?.text.length ?? 0) > LINE_BYTES_MAX - frame.length);
    assert(all.every(({ text }) => text.length <= LINE_BYTES_MAX));
    assert.equal(all.at(-1)?.text, 'end');
    const long = Buffer.from(`${'é'.repeat(LINE_BYTES_MAX)}\nend\n`);
    const half = 'é'.repeat(LINE_BYTES_MAX / 2);
    assert.deepEqual(textsOf(records(TRACES, long)), [half, half, 'end']);
  });
});
