/**
 * Quantities: what they come to, and how the API server writes them.
 */
import assert from 'node:assert/strict';

import { quantityNumber, quantityText } from '../../../src/config/quantity.ts';

/** Text, number, text of the API server. */
const TABLE: readonly (readonly [string, number, string])[] = [
  ['5m', 0.005, '5m'],
  ['0.1', 0.1, '100m'],
  ['100m', 0.1, '100m'],
  ['0.7', 0.7, '700m'],
  ['700m', 0.7, '700m'],
  ['.5', 0.5, '500m'],
  ['1.', 1, '1'],
  ['1000m', 1, '1'],
  ['2000', 2000, '2k'],
  ['0.0015', 0.002, '2m'],
  ['1n', 0.001, '1m'],
  ['1500u', 0.002, '2m'],
  ['48Mi', 48 * 2 ** 20, '48Mi'],
  ['1024Mi', 2 ** 30, '1Gi'],
  ['1.5Gi', 1.5 * 2 ** 30, '1536Mi'],
  ['0.5Ki', 512, '512'],
  ['134217728', 2 ** 27, '134217728'],
  ['128M', 128e6, '128M'],
  ['1000M', 1e9, '1G'],
  ['1e3', 1000, '1e3'],
  ['1E', 1e18, '1E'],
  ['1E2', 100, '1E2'],
  ['9Ei', 2 ** 63, '9223372036854775807'],
  ['9e99', 2 ** 63, '9e99'],
];

describe('quantities', () => {
  for (const [text, number, stored] of TABLE) {
    it(`${text} is ${number}, stored as ${stored}`, () => {
      assert.deepEqual([quantityNumber(text), quantityText(text)], [number, stored]);
    });
  }

  it('zero and what is no quantity have no number, and stay as they are', () => {
    for (const text of ['', '0', '0.0Gi', '-1', '1 Gi', '1KB', 'Mi', '.', '1e', '1e100', '1'.repeat(65)])
      assert.deepEqual([quantityNumber(text), quantityText(text)], [undefined, text], text);
  });

  it('texts of one quantity are one number, whatever it is', () => {
    for (let thousandths = 1; thousandths < 5000; thousandths += 7)
      assert.equal(quantityNumber(`${thousandths}m`), quantityNumber((thousandths / 1000).toFixed(3)));
  });
});
