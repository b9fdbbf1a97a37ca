/**
 * The scanner against JSON.parse (with a reviver-free duplicate check of our own), on a table, on random documents and on
 * documents broken at random.
 */
import assert from 'node:assert/strict';
import { JSON_DEPTH_MAX, JSON_MEMBERS_MAX, JsonLineScanner } from '../../../src/kernel/json-line.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import type { SeededRandom } from '../../fakes/seeded-random.ts';

const scanner = new JsonLineScanner();

function scan(line: string | Buffer): boolean {
  const bytes = Buffer.from(line);
  // Neighbours on both sides: the scanner must not look beyond its range.
  const input = Buffer.concat([Buffer.from('{"'), bytes, Buffer.from('"}]')]);
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  return scanner.scan(input, view, 2, 2 + bytes.length);
}

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const arrays = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
const wide = (count: number): string => `{${Array.from({ length: count }, (_, i) => `"k${i}":${i}`).join(',')}}`;

const TABLE: ReadonlyArray<readonly [line: string, want: boolean]> = [
  ['{}', true],
  ['{ }', true],
  [' \t{"a":1}\r', true],
  ['{"a":{"b":[1,2,{"c":null}]},"d":true,"e":false}', true],
  ['{"a":"x\\n\\u00e9\\"\\\\\\/\\b\\f\\r\\t"}', true],
  ['{"a":-0}', true],
  ['{"a":-0.5e-7,"b":1E+3,"c":10.25}', true],
  ['{"a":[]}', true],
  ['{"a":"é😀"}', true],
  ['', false],
  ['{', false],
  ['{"a"', false],
  ['{"a":', false],
  ['{"a":1', false],
  ['{"a":1,', false],
  ['{"a":1,}', false],
  ['{,}', false],
  ['{"a":1}}', false],
  ['{"a":1} x', false],
  ['{"a":1}{"b":2}', false],
  ['[1]', false],
  ['"x"', false],
  ['12', false],
  ["{'a':1}", false],
  ['{a:1}', false],
  ['{"a":01}', false],
  ['{"a":1.}', false],
  ['{"a":.5}', false],
  ['{"a":+1}', false],
  ['{"a":1e}', false],
  ['{"a":-}', false],
  ['{"a":NaN}', false],
  ['{"a":tru}', false],
  ['{"a":truee}', false],
  ['{"a":"x}', false],
  ['{"a":"\\x"}', false],
  ['{"a":"\\u12g4"}', false],
  ['{"a":"\\u12"}', false],
  ['{"a":"\u0001"}', false],
  ['{"a":[1,]}', false],
  ['{"a":[1}', false],
  ['{"a":1 "b":2}', false],
  ['{"a":1,"a":2}', false],
  ['{"x":{"a":1,"a":2}}', false],
  ['{"x":{"a":1},"a":2,"y":{"a":3}}', true],
  ['{"a\\u0062":1}', false],
];

describe('JsonLineScanner', () => {
  for (const [line, want] of TABLE)
    it(`${want ? 'takes' : 'refuses'} ${line || 'nothing'}`, () => assert.equal(scan(line), want));

  it('bounds the depth and the number of members', () => {
    assert.equal(scan(nested(JSON_DEPTH_MAX)), true);
    assert.equal(scan(nested(JSON_DEPTH_MAX + 1)), false);
    assert.equal(scan(arrays(JSON_DEPTH_MAX)), true);
    assert.equal(scan(arrays(JSON_DEPTH_MAX + 1)), false);
    assert.equal(scan(wide(256)), true);
    assert.equal(scan(wide(257)), false);
    const many = `{${Array.from({ length: 10 }, (_, i) => `"o${i}":${wide(JSON_MEMBERS_MAX / 10)}`).join(',')}}`;
    assert.equal(scan(many), false);
  });

  it('finds the members at the top', () => {
    const line = ' { "a" : {"b":"x"} , "time":"t","n": -1.5 } ';
    const bytes = Buffer.from(line);
    assert(scanner.scan(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length));
    const members = Array.from({ length: scanner.members }, (_, i) => [
      bytes.toString('utf8', scanner.nameFrom[i], scanner.nameTo[i]),
      bytes.toString('utf8', scanner.valueFrom[i], scanner.valueTo[i]),
    ]);
    assert.deepEqual(members, [
      ['a', '{"b":"x"}'],
      ['time', '"t"'],
      ['n', '-1.5'],
    ]);
    assert.equal(
      bytes.toString('utf8', scanner.membersFrom, scanner.membersTo),
      ' "a" : {"b":"x"} , "time":"t","n": -1.5 ',
    );
  });

  const odd: ReadonlyArray<readonly [line: string, want: boolean]> = [
    ['{"a.b":1}', false],
    ['{"":1}', true],
    ['{" ":1}', true],
    ['{".a":1}', true],
    ['{"a.":1}', true],
    ['{"a..b":1}', true],
    ['{"x":[{"a.":1}]}', true],
    ['{"x":".","y":""}', false],
  ];
  for (const [line, want] of odd) {
    it(`${want ? 'marks' : 'does not mark'} the names of ${line}`, () => {
      assert(scan(line));
      assert.equal(scanner.hasOddName, want);
    });
  }

  it('takes random documents, and broken ones exactly when JSON.parse does', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    let broken = 0;
    for (let round = 0; round < 4000; round += 1) {
      const bytes = Buffer.from(JSON.stringify(randomObject(random, 0), null, random.below(3)).replaceAll('\n', ' '));
      assert(scan(bytes), `seed ${seed}, round ${round}: ${bytes.toString()}`);
      const edited = Buffer.from(bytes);
      edited[random.below(edited.length)] = '{}[]",:\\01e.-+ tx'.charCodeAt(random.below(17));
      const want = parses(edited.toString());
      if (!want) broken += 1;
      // An edit may make a name equal to another one or put an escape into it: then the scanner may refuse more than JSON.parse.
      if (scan(edited)) assert(want, `seed ${seed}, round ${round}: ${edited.toString()}`);
      else if (want)
        assert(hasTwinOrEscapedName(edited.toString()), `seed ${seed}, round ${round}: ${edited.toString()}`);
    }
    assert(broken > 500, 'the edits break documents');
  });
});

function parses(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Whether the text has an escape in a name, or loses a member when it is parsed. */
function hasTwinOrEscapedName(text: string): boolean {
  if (/"[^":,{]*\\[^":]*" *:/.test(text)) return true;
  const members = (value: unknown): number =>
    typeof value === 'object' && value !== null
      ? Object.values(value).reduce(
          (sum: number, inner: unknown) => sum + members(inner),
          Array.isArray(value) ? 0 : Object.keys(value).length,
        )
      : 0;
  const withoutStrings = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  return (withoutStrings.match(/:/g)?.length ?? 0) > members(JSON.parse(text));
}

function randomObject(random: SeededRandom, depth: number): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  const count = random.below(5);
  for (let i = 0; i < count; i += 1) made[`k${random.below(30)}`] = randomValue(random, depth + 1);
  return made;
}

function randomValue(random: SeededRandom, depth: number): unknown {
  switch (random.below(depth > 4 ? 5 : 7)) {
    case 0:
      return (random.next() - 0.5) * 10 ** random.below(30);
    case 1:
      return random.below(1000);
    case 2:
      return random.below(2) === 0;
    case 3:
      return null;
    case 4:
      return Array.from({ length: random.below(12) }, () => 'aé"\\\n\t/😀{}[]:,'[random.below(15)] ?? '').join('');
    case 5:
      return Array.from({ length: random.below(4) }, () => randomValue(random, depth + 1));
    default:
      return randomObject(random, depth);
  }
}
