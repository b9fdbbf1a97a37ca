/**
 * What counts as a byte order mark.
 */
import assert from 'node:assert/strict';

import { hasUtf16Mark, utf8MarkEnd } from '../../../src/pipeline/byte-order-mark.ts';

const TABLE: ReadonlyArray<readonly [what: string, bytes: readonly number[], utf8End: number, isUtf16: boolean]> = [
  ['nothing', [], 0, false],
  ['the mark of UTF-8', [0xef, 0xbb, 0xbf], 3, false],
  ['half of it', [0xef, 0xbb], 0, false],
  ['another character that begins alike', [0xef, 0xbb, 0xbe], 0, false],
  ['it and more', [0xef, 0xbb, 0xbf, 0x7b], 3, false],
  ['UTF-16, little end first', [0xff, 0xfe, 0x41, 0x00], 0, true],
  ['UTF-16, big end first', [0xfe, 0xff, 0x00, 0x41], 0, true],
  ['UTF-32, little end first', [0xff, 0xfe, 0x00, 0x00], 0, true],
  ['half of the mark of UTF-16', [0xff], 0, false],
  ['text', [0x41, 0x0a], 0, false],
];

describe('byte order mark', () => {
  for (const [what, bytes, utf8End, isUtf16] of TABLE)
    it(what, () => {
      // What stands before and behind the range is nobody's business.
      const buffer = Buffer.from([0xfe, ...bytes, 0xbf, 0xff]);
      const end = 1 + bytes.length;
      assert.equal(utf8MarkEnd(buffer, 1, end) - 1, utf8End);
      assert.equal(hasUtf16Mark(buffer, 1, end), isUtf16);
    });
});
