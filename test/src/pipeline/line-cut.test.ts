/**
 * Where a record may end, whatever the reads are like.
 */
import assert from 'node:assert/strict';

import { LINE_BYTES_MAX } from '../../../src/core/limits.ts';
import { lineCut } from '../../../src/pipeline/line-cut.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';

const MAX = 8;

const TABLE: ReadonlyArray<readonly [what: string, text: string, atEnd: boolean, want: number]> = [
  ['nothing', '', false, 0],
  ['nothing at the end', '', true, 0],
  ['one line', 'abc\n', false, 4],
  ['several lines', 'a\nb\nc\n', false, 6],
  ['an incomplete line', 'abc', false, 0],
  ['an incomplete line behind a whole one', 'ab\ncd', false, 3],
  ['an incomplete line at the end', 'abc', true, 3],
  ['a whole line first, even at the end', 'ab\ncd', true, 3],
  ['a line at the limit', '12345678\n', false, 9],
  ['a line at the limit that may still end', '12345678', false, 0],
  ['a line over the limit', '123456789', false, 8],
  ['a line over the limit with its newline', '123456789\n', false, 8],
  ['a two-byte character over the limit', '1234567é9', false, 7],
  ['a four-byte character over the limit', '12345😀9', false, 5],
  ['a four-byte character at the limit', '1234😀9', false, 8],
];

describe('line cut', () => {
  for (const [what, text, atEnd, want] of TABLE) {
    it(`${what}: ${want} bytes`, () => {
      const padded = Buffer.from(`..${text}\n..`);
      assert.equal(lineCut(padded, 2, 2 + Buffer.byteLength(text), atEnd, MAX) - 2, want);
    });
  }

  it('cuts bytes that are no UTF-8 at the limit', () => {
    assert.equal(lineCut(Buffer.alloc(20, 0x80), 0, 20, false, MAX), MAX);
  });

  it('takes a line of the longest size and cuts a longer one', () => {
    const line = Buffer.concat([Buffer.alloc(LINE_BYTES_MAX, 'x'), Buffer.from('\n')]);
    assert.equal(lineCut(line, 0, line.length, false), LINE_BYTES_MAX + 1);
    const longer = Buffer.concat([Buffer.alloc(LINE_BYTES_MAX + 1, 'x'), Buffer.from('\n')]);
    assert.equal(lineCut(longer, 0, longer.length, false), LINE_BYTES_MAX);
  });

  it('ends records at the same places wherever the reads end', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let run = 0; run < 300; run += 1) {
      const text = Array.from({ length: 60 }, () => 'ab\né😀'.at(random.below(4)) ?? 'c').join('');
      const bytes = Buffer.from(`${text}\n`);
      const ends = (nextRead: (at: number) => number): number[] => {
        const found: number[] = [];
        for (let at = 0; at < bytes.length;) {
          const read = Math.min(bytes.length, at + nextRead(at));
          const cut = lineCut(bytes, at, read, false, MAX);
          // Records inside a run of whole lines end at its newlines.
          for (let i = at; i < cut; i += 1) if (bytes[i] === 10 || i === cut - 1) found.push(i + 1);
          at = cut;
        }
        return found;
      };
      const whole = ends(() => bytes.length);
      assert.deepEqual(
        ends(() => MAX + 1 + random.below(10)),
        whole,
        `seed ${seed}`,
      );
    }
  });
});
