/**
 * Credentials from files: absent, present, swapped as the kubelet swaps them.
 */
import assert from 'node:assert/strict';
import { mkdtemp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecretFiles } from '../../../src/sinks/secret-files.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

describe('createSecretFiles', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
  });
  afterEach(async () => rm(dir, { recursive: true }));

  it('reads an absent folder as no values', async () => {
    const files = createSecretFiles({ dir: join(dir, 'none'), keys: ['a'], clock: new VirtualClock() });
    assert.equal((await files.read()).value('a'), undefined);
  });

  it('sees a swapped link after the time of a check, and not before', async () => {
    const clock = new VirtualClock();
    const place = async (name: string, value: string): Promise<void> => {
      await mkdir(join(dir, name));
      await writeFile(join(dir, name, 'a'), value);
      await symlink(name, join(dir, 'data.new'));
      await rename(join(dir, 'data.new'), join(dir, '..data'));
    };
    await symlink('..data/a', join(dir, 'a'));
    await place('one', ' first\n');
    const files = createSecretFiles({ dir, keys: ['a', 'b'], clock });
    const first = await files.read();
    assert.equal(first.value('a'), 'first');
    assert.equal(first.value('b'), undefined);
    await place('two', 'other');
    await clock.advance(9_000, 0);
    assert.equal((await files.read()).version, first.version);
    await clock.advance(1_000, 0);
    const second = await files.read();
    assert.equal(second.value('a'), 'other');
    assert.notEqual(second.version, first.version);
    await clock.advance(10_000, 0);
    assert.equal((await files.read()).version, second.version, 'no change, no new version');
    await writeFile(join(dir, 'b'), 'b');
    await clock.advance(10_000, 0);
    assert.equal((await files.read()).value('b'), 'b');
  });

  it('takes an empty or too long file as absent', async () => {
    await writeFile(join(dir, 'a'), ' \n');
    await writeFile(join(dir, 'b'), 'x'.repeat(256 * 1024 + 1));
    const values = await createSecretFiles({ dir, keys: ['a', 'b'], clock: new VirtualClock() }).read();
    assert.deepEqual([values.value('a'), values.value('b')], [undefined, undefined]);
  });
});
