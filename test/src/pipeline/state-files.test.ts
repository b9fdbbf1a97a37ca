/**
 * The files of a state folder on a real disk.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { nodeStateFiles } from '../../../src/pipeline/state-files.ts';

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
});
