/**
 * The compiled byte kernel in the repository is what its source compiles to.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compileKernel, KERNEL_MODULE } from '../../deploy/kernel.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('byte kernel, compiled', () => {
  it('is up to date', async function () {
    this.timeout(60_000);
    const committed = readFileSync(join(ROOT, KERNEL_MODULE), 'utf8');
    assert.equal(committed, await compileKernel(), 'run npm run build:kernel');
  });
});
