/**
 * Where the hole at a file's beginning ends.
 */
import assert from 'node:assert/strict';

import { holeEnd } from '../../../src/pipeline/nul-hole.ts';

const NONE = Buffer.alloc(0);

describe('hole of NUL bytes', () => {
  it('ends at the first other byte, wherever that is', () => {
    for (const bytes of [0, 1, 2, 7, 4095, 4096, 4097, 8192, 10_000]) {
      const buffer = Buffer.concat([Buffer.from('xx'), Buffer.alloc(bytes), Buffer.from('text\0\n')]);
      assert.equal(holeEnd(buffer, 2, buffer.length, NONE), 2 + bytes, `${bytes} bytes`);
    }
  });

  it('may fill the buffer', () => assert.equal(holeEnd(Buffer.alloc(9_000), 0, 9_000, NONE), 9_000));

  it('goes on behind NUL bytes alone', () => {
    assert.equal(holeEnd(Buffer.from('\0\0a'), 0, 3, Buffer.alloc(256)), 2);
    for (const before of ['a', '\n', '\0\n', 'a\0'])
      assert.equal(holeEnd(Buffer.from('\0\0a'), 0, 3, Buffer.from(before)), 0, JSON.stringify(before));
  });
});
