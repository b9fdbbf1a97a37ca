/**
 * One zlib stream for many bodies: each is a member of its own, whatever came before it.
 */
import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';

import { GzipStream } from '../../../src/sinks/gzip-stream.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';

const BODIES = 40;
const SLICES_MAX = 4;
const SLICE_BYTES_MAX = 200_000;

describe('gzip stream', () => {
  it('gives each body as one member: of any length and number of slices, compressible or not', async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    const gzip = new GzipStream(1);
    const slice = (): Buffer => {
      const kinds = 1 + random.below(256);
      const bytes = Buffer.alloc(random.below(SLICE_BYTES_MAX));
      for (let i = 0; i < bytes.length; i += 1) bytes[i] = random.below(kinds);
      return bytes;
    };
    for (let count = 0; count < BODIES; count += 1) {
      const body = Array.from({ length: random.below(SLICES_MAX + 1) }, slice);
      const made = await gzip.compress(body);
      assert(gunzipSync(made).equals(Buffer.concat(body)), `seed ${seed}, body ${count}`);
    }
    gzip.close();
  });

  it('gives the same bytes for the same body', async () => {
    const gzip = new GzipStream(1);
    const body = [Buffer.from('a line\n'.repeat(1_000))];
    const first = Buffer.from(await gzip.compress(body));
    await gzip.compress([Buffer.from('another')]);
    assert(first.equals(await gzip.compress(body)));
    gzip.close();
  });

  it('takes one body at a time', async () => {
    const gzip = new GzipStream(1);
    const first = gzip.compress([Buffer.from('one')]);
    await assert.rejects(gzip.compress([Buffer.from('two')]), /one body at a time/);
    assert.equal(gunzipSync(await first).toString(), 'one');
    gzip.close();
  });
});
