/**
 * Decimal numbers and RFC 3339 times in buffers, against String and Date.
 */
import assert from 'node:assert/strict';
import { DECIMAL_BYTES_MAX, writeDecimal } from '../../../src/kernel/decimal.ts';
import { RFC3339_BYTES, Rfc3339Writer } from '../../../src/kernel/rfc3339.ts';
import { boundaryBefore, sequenceLength } from '../../../src/kernel/utf8.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';

describe('writeDecimal', () => {
  const out = Buffer.alloc(DECIMAL_BYTES_MAX + 2);
  const written = (value: number): string => out.toString('latin1', 1, writeDecimal(out, 1, value));

  it('writes every power of ten and its neighbours as String does', () => {
    for (let power = 0; power <= 15; power += 1) {
      for (const near of [-1, 0, 1]) {
        const value = 10 ** power + near;
        assert.equal(written(value), String(value));
      }
    }
    assert.equal(written(Number.MAX_SAFE_INTEGER), String(Number.MAX_SAFE_INTEGER));
    assert.equal(String(Number.MAX_SAFE_INTEGER).length, DECIMAL_BYTES_MAX);
  });

  it('writes random integers as String does', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let round = 0; round < 5000; round += 1) {
      const value = Math.floor(random.next() * 10 ** random.below(16));
      assert.equal(written(value), String(value), `seed ${seed}`);
    }
  });
});

describe('Rfc3339Writer', () => {
  const out = Buffer.alloc(RFC3339_BYTES);

  it('writes what Date writes, in any order of times', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const writer = new Rfc3339Writer();
    for (let round = 0; round < 3000; round += 1) {
      const timeMs = random.below(2) === 0 ? random.below(4000) : Math.floor(random.next() * 4e12) - 1e12;
      assert.equal(writer.write(out, 0, timeMs), RFC3339_BYTES);
      assert.equal(out.toString(), new Date(timeMs).toISOString(), `seed ${seed}`);
    }
  });

  it('holds a time without a four-digit year at the border', () => {
    const writer = new Rfc3339Writer();
    writer.write(out, 0, 1e15);
    assert.equal(out.toString(), '9999-12-31T23:59:59.999Z');
    writer.write(out, 0, -1e15);
    assert.equal(out.toString(), '0000-01-01T00:00:00.000Z');
  });
});

describe('UTF-8 borders', () => {
  const table: ReadonlyArray<readonly [name: string, bytes: readonly number[], want: number]> = [
    ['ASCII', [0x61], 1],
    ['two bytes', [0xc3, 0xa9], 2],
    ['three bytes', [0xe2, 0x82, 0xac], 3],
    ['four bytes', [0xf0, 0x9f, 0x98, 0x80], 4],
    ['a lone continuation', [0x80, 0x80], -1],
    ['overlong of two', [0xc0, 0xaf], -1],
    ['overlong of three', [0xe0, 0x80, 0xaf], -1],
    ['a surrogate', [0xed, 0xa0, 0x80], -1],
    ['above U+10FFFF', [0xf4, 0x90, 0x80, 0x80], -1],
    ['cut after two of three', [0xe2, 0x82], -2],
    ['cut after three of four', [0xf0, 0x9f, 0x98, 0x61], -3],
  ];
  for (const [name, bytes, want] of table) {
    it(`sequenceLength: ${name}`, () => assert.equal(sequenceLength(Buffer.from(bytes), 0, bytes.length), want));
  }

  it('boundaryBefore steps back to the beginning of a character that the limit cuts', () => {
    const text = Buffer.from('aé😀b');
    const begins = [0, 1, 3, 7, 8];
    for (let limit = 1; limit <= text.length; limit += 1) {
      assert.equal(boundaryBefore(text, 0, limit), Math.max(...begins.filter((at) => at <= limit)));
    }
  });
});
