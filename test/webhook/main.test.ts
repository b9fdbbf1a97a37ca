/** The webhook process with a configuration that is wrong: it says all of it and ends with 2. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { run } from '../servers/programs.ts';

const ENTRY = resolve(import.meta.dirname, '../../webhook/main.ts');

describe('webhook/main.ts', function () {
  this.timeout(20_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-webhook-main-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const started = (file: string): ReturnType<typeof run> =>
    run(process.execPath, [ENTRY], { timeoutMs: 15_000, env: { WEBHOOK_CONFIG_FILE: file } });

  it('names every wrong key, what was expected and the nearest known word, and no value: others read the log', async () => {
    const file = join(folder, 'webhook.yaml');
    writeFileSync(file, 'clustr: eu\nserviceAccountMode: allways\ndefaults:\n  flush-interval: opensesame\n');
    const outcome = await started(file);
    assert.equal(outcome.code, 2);
    assert.match(outcome.stderr, /clustr: expected a known key .*did you mean cluster\?/);
    assert.match(outcome.stderr, /serviceAccountMode: expected one of never, if-default, require$/m);
    assert.match(outcome.stderr, /defaults\.flush-interval: expected .*duration/);
    assert.doesNotMatch(outcome.stderr, /opensesame/);
  });

  it('names a file that is not there', async () => {
    const outcome = await started(join(folder, 'absent.yaml'));
    assert.equal(outcome.code, 2);
    assert.match(outcome.stderr, /read .*absent\.yaml: expected a file, got: ENOENT/);
  });
});
