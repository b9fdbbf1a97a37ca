/**
 * The alert rules under Prometheus' own judge: well formed, and each fires and stays silent as its unit tests say (B8 21).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { skip } from '../skip.ts';
import { defaultPreparation } from './cache.ts';
import { promtool, promtoolAvailability } from './promtool.ts';

const FOLDER = join(import.meta.dirname, '../../deploy/alerts');
const TESTS = readdirSync(FOLDER).filter((file) => file.endsWith('.test.yaml'));

describe('alert rules in the eyes of promtool', function () {
  // The first run downloads it.
  this.timeout(300_000);
  const preparation = defaultPreparation();

  before(function () {
    const found = promtoolAvailability(preparation.cache);
    if (found.available) return;
    if (process.env['CI'] === 'true') throw new Error(`with CI=true nothing is skipped: ${found.reason}`);
    skip(this, `alert rules in the eyes of promtool: ${found.reason}: ${found.remedy}`);
  });

  for (const file of TESTS) {
    const rules = file.replace('.test.yaml', '.yaml');

    it(`${rules} is well formed`, async () => {
      assert.match(await promtool(preparation, ['check', 'rules', rules], FOLDER), /SUCCESS: \d+ rules found/);
    });

    it(`${rules} fires and stays silent as ${file} says`, async () => {
      assert.match(await promtool(preparation, ['test', 'rules', file], FOLDER), /SUCCESS/);
    });

    it(`${file} notices a rule that never fires`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'logtender-alerts-'));
      try {
        const text = readFileSync(join(FOLDER, rules), 'utf8');
        writeFileSync(join(folder, rules), text.replaceAll(/^(\s+for:) .*$/gm, '$1 1000d'));
        writeFileSync(join(folder, file), readFileSync(join(FOLDER, file)));
        await assert.rejects(promtool(preparation, ['test', 'rules', file], folder), /got:\[\]/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
