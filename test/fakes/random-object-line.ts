/**
 * Lines that are JSON objects as loggers write them, and lines that are almost such: names and times that mean something to us, every form
 * of value, white space and length, each of them broken at random now and then.
 */
import type { SeededRandom } from './seeded-random.ts';

const NAMES: readonly string[] = [
  ...['@timestamp', 'timestamp', 'time', 'ts', 't', 'timestamps', '@timestamq', 'tim', 'times', 'tt', '@'],
  ...['log', 'log.level', 'log.offset', 'log.offs', 'log.file', 'log.file.path', 'log.files', 'logger', 'level', 'lo'],
  ...['kubernetes', 'kubernetes.pod.name', 'kubernet', 'kubernetesx', 'k', 'orchestrator', 'orchestrator.cluster', 'o'],
  ...['stream', 'streams', 'strea', 'message', 'msg', '_id', '_time', 'a', 'b', 'n', 'trace_id', 'é', '漢字😀'],
  ...[
    '',
    ' ',
    '  ',
    ' a',
    '.',
    '.a',
    'a.',
    'a.b',
    'a..b',
    'a.b.c.d.e.f.g.h.i.j',
    'abcdefghijklmnop.',
    'abcdefghijklmno..p',
  ],
  ...[
    'abcdefgh',
    'abcdefghi',
    'abcdefghj',
    'abcdefghijklmnopq',
    'abcdefghijklmnopr',
    'abcdefghiXklmnopr',
    'abcdefghijklmnopqrstuvwxyz',
    'a\\u0062',
    'a\\"',
    'a\tb',
  ],
];

const TIMES: readonly string[] = [
  ...[
    '2026-01-31T12:00:00.000Z',
    '2026-01-31T12:00:00Z',
    '2026-01-31T12:00:00.123456789Z',
    '2026-01-31T12:00:00+02:00',
  ],
  ...[
    '2026-01-31T12:00:00.5-11:30',
    '2024-02-29T23:59:59.999Z',
    '2026-01-31T12:00:00+18:00',
    '0001-01-01T00:00:00.000Z',
  ],
  ...[
    '2026-01-31T12:00:00.1234567890Z',
    '2026-02-29T12:00:00.000Z',
    '2026-01-31T12:00:60.000Z',
    '2026-01-31 12:00:00.0Z',
  ],
  ...[
    '2026-01-31T12:00:00.Z',
    '2026-01-31T12:00:00+18:01',
    '2026-01-31T12:00:00+0200',
    '2026-01-31t12:00:00.000z',
    'now',
  ],
  ...[
    '0000-01-01T00:00:00.000Z',
    '2026-01-31T12:00:00.000ZZ',
    '2026-01-31T12:00:00.000',
    '',
    '2026-01-31T12:00:00.00\\u0030Z',
  ],
].map((text) => `"${text}"`);

const NUMBERS: readonly string[] = [
  ...[
    '1700000000',
    '1700000000.25',
    '1700000000.1234567',
    '1700000000123',
    '1700000000123.9',
    '9999999999999',
    '9999999999',
  ],
  ...[
    '1000000000',
    '1000000000000',
    '999999999',
    '17000000001234',
    '1700000000123456789',
    '1700000000e1',
    '1700000000.5E0',
  ],
  ...[
    '0',
    '-0',
    '1',
    '-1',
    '12.5',
    '1e3',
    '-1.5E-7',
    '1E+3',
    '01',
    '1.',
    '.5',
    '+1',
    '1e',
    '-',
    '1e+',
    'NaN',
    '-1700000000',
  ],
  ...['951782399999', '1709164800000', '4102444799999', '4294967296.5', '2147483648'],
];

const WORDS: readonly string[] = ['true', 'false', 'null', 'tru', 'nul', 'fals', 'falsE', 'truee'];
const PIECES: readonly string[] = [
  ...[
    'a',
    'plain text of some length ',
    ' ',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    'é',
    '漢',
    '😀',
    '\u007f',
    '\\n',
    '\\"',
    '\\\\',
  ],
  ...['\\/', '\\b\\f\\r\\t', '\\u00e9', '\\uD83D\\uDE00', '\\u0', '\\x', '\u0001', '"'],
];
/** Pieces from here on break a string. */
const SOUND_PIECES = PIECES.length - 4;
const EDITS = '{}[]",:\\01e.-+ tx\r\tu';

/** One line without its newline. */
export function randomObjectLine(random: SeededRandom): string {
  const line = `${space(random)}${object(random, 0)}${space(random)}${random.below(6) === 0 ? '\r' : ''}`;
  if (random.below(4) > 0) return line;
  const at = random.below(line.length);
  const edit = EDITS[random.below(EDITS.length)] ?? '';
  const kind = random.below(3);
  // Replaced, put in, or cut off. Not within a pair of surrogates, which would be ill-formed.
  if (/[\ud800-\udfff]/.test(line.slice(Math.max(0, at - 1), at + 2))) return line;
  if (kind === 0) return `${line.slice(0, at)}${edit}${line.slice(at + 1)}`;
  return kind === 1 ? `${line.slice(0, at)}${edit}${line.slice(at)}` : line.slice(0, at);
}

function object(random: SeededRandom, depth: number): string {
  const members = Array.from(
    { length: random.below(depth === 0 ? 9 : 4) },
    () => `${space(random)}${name(random)}${space(random)}:${space(random)}${value(random, depth + 1)}${space(random)}`,
  );
  return `{${members.length === 0 ? space(random) : members.join(',')}}`;
}

function name(random: SeededRandom): string {
  // Most are sound and differ, so that most objects are.
  if (random.below(3) > 0) return `"k${random.below(1000)}${'x'.repeat(random.below(20))}"`;
  return `"${NAMES[random.below(NAMES.length)] ?? ''}"`;
}

function value(random: SeededRandom, depth: number): string {
  const isSound = random.below(12) > 0;
  switch (random.below(depth > 5 ? 7 : 9)) {
    case 0:
      return TIMES[random.below(isSound ? 8 : TIMES.length)] ?? '';
    case 1:
    case 2:
      return NUMBERS[random.below(isSound ? 7 : NUMBERS.length)] ?? '';
    case 3:
      return WORDS[random.below(isSound ? 3 : WORDS.length)] ?? '';
    case 4:
    case 5:
    case 6: {
      const pieces = isSound ? SOUND_PIECES : PIECES.length;
      return `"${Array.from({ length: random.below(9) }, () => PIECES[random.below(pieces)] ?? '').join('')}"`;
    }
    case 7: {
      const values = Array.from({ length: random.below(4) }, () => `${space(random)}${value(random, depth + 1)}`);
      return `[${values.join(',')}${space(random)}]`;
    }
    default:
      return object(random, depth);
  }
}

function space(random: SeededRandom): string {
  return [' ', '\t', '  ', '\r'][random.below(60)] ?? '';
}
