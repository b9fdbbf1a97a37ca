/**
 * The files of a state folder on a real disk.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { nodeStateFiles, SCAN_BYTES } from '../../../src/pipeline/state-files.ts';

describe('state files', () => {
  let folder: string;

  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'logtender-state-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('keep the old content and leave nothing of the new one behind where it cannot be put in place', async () => {
    const files = nodeStateFiles(folder);
    // A directory that is not empty takes no other file's name, as a disk without room takes no content.
    mkdirSync(join(folder, 'checkpoint'));
    writeFileSync(join(folder, 'checkpoint', 'x'), '');
    await assert.rejects(files.replace('checkpoint', Buffer.from('new')));
    assert.deepEqual(readdirSync(folder), ['checkpoint']);
    rmSync(join(folder, 'checkpoint', 'x'));
    rmdirSync(join(folder, 'checkpoint'));
    await files.replace('checkpoint', Buffer.from('new'));
    assert.equal(readFileSync(join(folder, 'checkpoint'), 'utf8'), 'new');
    await files.close();
  });

  it('are given in chunks of a bounded size, and what is not there as none', async () => {
    const files = nodeStateFiles(folder);
    const content = Buffer.alloc(3 * SCAN_BYTES + 1, '0123456789\n');
    writeFileSync(join(folder, 'large'), content);
    const chunks: Buffer[] = [];
    await files.scan('large', (chunk) => chunks.push(Buffer.from(chunk)));
    assert(chunks.length > 1 && chunks.every(({ length }) => length > 0 && length <= SCAN_BYTES));
    assert(Buffer.concat(chunks).equals(content));
    writeFileSync(join(folder, 'empty'), '');
    for (const name of ['empty', 'absent']) await files.scan(name, () => assert.fail(`${name} has no chunk`));
    // A directory opens and cannot be read.
    mkdirSync(join(folder, 'unreadable'));
    await assert.rejects(
      files.scan('unreadable', () => {}),
      { code: 'EISDIR' },
    );
    await files.close();
  });
});
