/**
 * Times in JSON members: which texts are copied as they stand, and how large an epoch number's unit is.
 */
import assert from 'node:assert/strict';
import { epochMs, isRfc3339 } from '../../../src/kernel/timestamp.ts';

const TEXTS: ReadonlyArray<readonly [text: string, want: boolean]> = [
  ['2026-01-31T23:59:59Z', true],
  ['2026-01-31T23:59:59.1Z', true],
  ['2026-01-31T23:59:59.123456789Z', true],
  ['2024-02-29T00:00:00+02:00', true],
  ['2026-01-31T23:59:59.5-18:00', true],
  ['2000-02-29T00:00:00Z', true],
  ['1900-02-29T00:00:00Z', false],
  ['2026-02-29T00:00:00Z', false],
  ['2026-01-31T23:59:60Z', false],
  ['2026-01-31T24:00:00Z', false],
  ['2026-13-01T00:00:00Z', false],
  ['2026-00-01T00:00:00Z', false],
  ['2026-01-00T00:00:00Z', false],
  ['2026-01-31T23:59:59', false],
  ['2026-01-31T23:59:59.Z', false],
  ['2026-01-31T23:59:59.1234567890Z', false],
  ['2026-01-31 23:59:59Z', false],
  ['2026-01-31t23:59:59z', false],
  ['2026-01-31T23:59:59+0200', false],
  ['2026-01-31T23:59:59+19:00', false],
  ['2026-01-31T23:59:59+18:30', false],
  ['2026-01-31T23:59:59+02:60', false],
  ['2026-01-31T23:59:59ZZ', false],
  ['2O26-01-31T23:59:59Z', false],
  ['', false],
];

const NUMBERS: ReadonlyArray<readonly [text: string, want: number | undefined]> = [
  ['1700000000', 1_700_000_000_000],
  ['1700000000.5', 1_700_000_000_500],
  ['1700000000.123999', 1_700_000_000_123],
  ['1700000000123', 1_700_000_000_123],
  ['1700000000123.7', 1_700_000_000_123],
  ['1700000000123456', 1_700_000_000_123],
  ['1700000000123456789', 1_700_000_000_123],
  ['99999999', undefined],
  ['100000000', 100_000_000_000],
  ['100000000000000000000', undefined],
  ['-1700000000', undefined],
  ['1.7e9', undefined],
  ['1700000000e0', undefined],
  ['0', undefined],
  ['', undefined],
];

describe('timestamps', () => {
  for (const [text, want] of TEXTS) {
    it(`${want ? 'takes' : 'leaves'} the text ${JSON.stringify(text)}`, () => {
      const input = Buffer.from(`"${text}"`);
      assert.equal(isRfc3339(input, 1, input.length - 1), want);
    });
  }
  for (const [text, want] of NUMBERS) {
    it(`reads the number ${JSON.stringify(text)}`, () => {
      const input = Buffer.from(` ${text},`);
      assert.equal(epochMs(input, 1, input.length - 1), want);
    });
  }
});
