/**
 * docs/cli.md knows every command that needs no cluster, with all its options, and its example of lint is what lint says.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { runLint } from '../../src/cli/lint.ts';
import { OFFLINE_COMMANDS } from '../../src/cli/offline-commands.ts';
import { OFFLINE_OPTIONS } from '../../src/cli/offline-facts.ts';
import { runCommand } from '../src/cli/manifests.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');

describe('docs/cli.md', () => {
  for (const [name, { usage, details }] of Object.entries(OFFLINE_COMMANDS)) {
    it(`has ${name} as its help has it`, () => {
      const line = usage.split('   ')[0] ?? '';
      assert(page.includes(`## ${name}\n\n\`logtender ${line}\`\n`), line);
      if (!usage.includes('[facts]')) return;
      for (const option of Object.keys(OFFLINE_OPTIONS).filter((key) => key !== 'filename')) {
        assert(page.includes(`--${option}`), `page: --${option}`);
        assert(details.includes(`--${option}`), `help: --${option}`);
      }
    });
  }

  it('shows a line that lint writes', async () => {
    const example = /^web\.yaml:16:5: .*$/m.exec(page)?.[0] ?? '';
    const text = `${'#\n'.repeat(10)}kind: Deployment\nmetadata:\n  name: web\n  labels: {app: web}\n  annotations:\n    logging.io/inject: "true"
spec: {template: {spec: {containers: [{name: app}]}}}\n`;
    const { out } = await runCommand(runLint, ['-f', 'web.yaml'], { 'web.yaml': text });
    assert.equal(out, `${example}\n`);
  });
});
