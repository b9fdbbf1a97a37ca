/**
 * The pattern engine against V8's: the same patterns on the same texts, by table and by chance; and its bounds in time and memory.
 */
import assert from 'node:assert/strict';

import { compilePatterns } from '../../../src/pattern/pattern-list.ts';
import type { PatternList } from '../../../src/pattern/pattern-list.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import type { SeededRandom } from '../../fakes/seeded-random.ts';

const ROUNDS = Number(process.env['PATTERN_ROUNDS'] ?? 150);

function listOf(...patterns: readonly string[]): PatternList {
  const compiled = compilePatterns(patterns);
  assert(compiled.ok, compiled.ok ? '' : compiled.expected);
  return compiled.list;
}

/** The text with each marked byte as `*`. */
function marked(list: PatternList, text: string): string {
  const bytes = Buffer.from(`..${text}..`);
  const [from, to] = [2, bytes.length - 2];
  const mask = new Uint8Array(bytes.length);
  const isMarked = list.mark(bytes, from, to, mask);
  assert.equal(isMarked, mask.subarray(0, to - from).includes(1));
  for (let i = from; i < to; i += 1) if (mask[i - from] === 1) bytes[i] = 0x2a;
  return bytes.toString('latin1', from, to);
}

/** The same by V8. */
function expected(pattern: string, text: string): string {
  const bytes = Buffer.from(text);
  for (const match of text.matchAll(new RegExp(pattern, 'gu'))) {
    const begin = Buffer.byteLength(text.slice(0, match.index));
    bytes.fill(0x2a, begin, begin + Buffer.byteLength(match[0]));
  }
  return bytes.toString('latin1');
}

const TABLE: readonly (readonly [pattern: string, text: string])[] = [
  ['password=\\S+', 'user=x password=hunter2 ok password=b'],
  ['(?i:password|passwd)\\s*[:=]\\s*("[^"]*"|\\S+)', 'PassWord: "a b c" and passwd=1'],
  ['".*?"', 'a "b" c "d"'],
  ['".*"', 'a "b" c "d"'],
  ['a|ab', 'ab'],
  ['(a|ab)(c|bcd)(d*)', 'abcd'],
  ['\\b\\d{4}\\b', '12345 1234 x1234 1234'],
  ['^a', 'aaa'],
  ['a$', 'aaa'],
  ['^$', ''],
  ['(?m:^b$)', 'a\nb\r\nb'],
  ['.', 'é€😀\n\r\u2028x'],
  ['(?s:.)', 'é€😀\n'],
  ['[^a-z]', 'aé€😀z'],
  ['[à-ü]+', 'vorüber déjà'],
  ['\\p{Lu}', 'aÄÖ😀X'],
  ['\\P{L}+', 'aÄ 12 b'],
  ['(?i:straße|K)', 'STRAßE k K \u212a'],
  ['(?i:[^k])', 'kK\u212ax'],
  ['\\u{1f600}|\\ud83d\\ude01|\\x41|\\u0042|\\cJ', '😀😁AB\n'],
  ['[\\w.+-]+@[\\w-]+\\.[\\w.-]+', 'mail a.b+c@example.org now'],
  ['(?:\\d[ -]?){13,16}', 'card 4111 1111 1111 1111 x 12'],
  ['(a*)*b', 'aaaac aab'],
  ['(?:a{2,3}?){2}', 'aaaaaaa'],
  ['x*', 'axxb'],
  ['\\B', 'ab cd'],
  ['[\\]\\-\\\\^]', 'a]-\\^'],
  ['(?<year>\\d{4})-(?<month>\\d\\d)', 'on 2026-11-28'],
  ['[]', 'abc'],
  ['[^]', 'a\n'],
  ['a{0}b', 'aab'],
];

describe('pattern list', () => {
  for (const [pattern, text] of TABLE) {
    it(`finds ${pattern} where V8 finds it`, () => {
      const list = listOf(pattern);
      assert.equal(marked(list, text), expected(pattern, text));
      const bytes = Buffer.from(text);
      assert.equal(list.matches(bytes, 0, bytes.length), new RegExp(pattern, 'u').test(text));
    });
  }

  it('finds what V8 finds, by chance', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let round = 0; round < ROUNDS; round += 1) {
      const pattern = randomPattern(random, 3);
      if (pattern === '') continue;
      const list = listOf(pattern);
      for (let i = 0; i < 3; i += 1) {
        const text = Array.from({ length: random.below(12) }, () => pick(random, CHARACTERS)).join('');
        assert.equal(
          marked(list, text),
          expected(pattern, text),
          `seed ${seed}: /${pattern}/u on ${JSON.stringify(text)}`,
        );
      }
    }
  });

  it('marks what any pattern matches, also where matches overlap', () => {
    assert.equal(marked(listOf('abc', 'cde'), 'xabcdex'), 'x*****x');
    assert.equal(marked(listOf('a', 'nothing'), 'banana'), 'b*n*n*');
  });

  it('refuses what is not linear, and what is too large', () => {
    const refused = (pattern: string): string => {
      const compiled = compilePatterns([pattern]);
      return compiled.ok ? 'taken' : compiled.expected;
    };
    assert.equal(refused('(a)\\1'), 'patterns without back-references');
    assert.equal(refused('(?<x>a)\\k<x>'), 'patterns without back-references');
    assert.equal(refused('a(?=b)'), 'patterns without lookahead and lookbehind');
    assert.equal(refused('(?<!a)b'), 'patterns without lookahead and lookbehind');
    assert.equal(refused('a{1001}'), 'patterns without counts above 1000');
    assert.equal(refused('('), 'regular expressions (ECMAScript syntax)');
    assert.equal(refused('(?:a{1000}){1000}'), 'patterns that together need at most 8192 steps');
    assert.equal(refused('\\[(?=]'), 'regular expressions (ECMAScript syntax)');
    assert.equal(refused('\\(?=x'), 'taken');
  });

  it('stays within its memory, and right, when a pattern has more states than fit', () => {
    const pattern = '(?:a|b)*a(?:a|b){14}c';
    const list = listOf(pattern);
    const random = seededRandom(7);
    const text = Array.from({ length: 20_000 }, () => pick(random, ['a', 'b'])).join('');
    for (const tail of ['c', 'd']) {
      const bytes = Buffer.from(`${text}${tail}`);
      assert.equal(list.matches(bytes, 0, bytes.length), new RegExp('a(?:a|b){14}c', 'u').test(`${text}${tail}`));
    }
    assert(list.memoryBytes < 2 * 1024 * 1024, `${list.memoryBytes} bytes`);
  });
});

const CHARACTERS = ['a', 'b', 'c', 'A', ' ', '_', '1', '\n', 'é', '€', '😀', '-'];

function randomPattern(random: SeededRandom, depth: number): string {
  const parts = Array.from({ length: 1 + random.below(3) }, () => randomAtom(random, depth));
  return parts.join(random.below(4) === 0 ? '|' : '');
}

function randomAtom(random: SeededRandom, depth: number): string {
  const kind = random.below(depth > 0 ? 12 : 8);
  if (kind < 4) return pick(random, ['a', 'b', 'c', 'é', '😀', '1', ' ']) + quantifier(random);
  if (kind === 4) return pick(random, ['.', '\\w', '\\S', '\\d', '\\W', '\\s']) + quantifier(random);
  if (kind === 5) return pick(random, ['[ab]', '[^a]', '[a-cé]', '[^é😀]', '[\\d_-]']) + quantifier(random);
  if (kind === 6) return pick(random, ['^', '$', '\\b', '\\B', '(?m:^)', '(?m:$)']);
  if (kind === 7) return pick(random, ['(?i:a)', '(?i:[a-b])', '(?s:.)']) + quantifier(random);
  const inner = randomPattern(random, depth - 1);
  // How often a part that matches nothing is repeated is a rule of its own in ECMA-262 (RepeatMatcher), which automatons do not have.
  const bare = inner.replaceAll(/\\[bB]|(?<!\[)\^|\$/g, '');
  return `(?:${inner})${new RegExp(`^(?:${bare})$`, 'u').test('') ? '' : quantifier(random)}`;
}

function quantifier(random: SeededRandom): string {
  return pick(random, ['', '', '', '*', '+', '?', '*?', '+?', '{2}', '{1,2}', '{0,2}?']);
}

function pick<T>(random: SeededRandom, items: readonly T[]): T {
  const item = items[random.below(items.length)];
  assert(item !== undefined);
  return item;
}
