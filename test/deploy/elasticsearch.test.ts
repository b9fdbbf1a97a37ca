/**
 * deploy/elasticsearch is what `logtender templates print` says: written from it (UPDATE_GOLDEN=1), compared here.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  FLAVOURS,
  indexTemplate,
  lifecyclePolicy,
  TEMPLATE_PATTERN,
  TEMPLATE_RETENTION_DAYS,
  writerRole,
} from '../../src/sinks/elasticsearch/templates.ts';
import { legalDataStreamPart } from '../../src/config/legal-names.ts';
import { DEFAULTS } from '../../src/config/forwarder-config.ts';

const FOLDER = join(import.meta.dirname, '../../deploy/elasticsearch');

describe('deploy/elasticsearch', () => {
  for (const flavour of FLAVOURS) {
    const options = {
      flavour,
      pattern: TEMPLATE_PATTERN,
      retentionDays: TEMPLATE_RETENTION_DAYS,
      hasPolicy: true,
      hasMatchOnlyText: true,
      hasFailureStore: true,
    } as const;
    const files = {
      [`${flavour}-index-template.json`]: indexTemplate(options),
      [`${flavour}-lifecycle-policy.json`]: lifecyclePolicy(options),
      [`${flavour}-role.json`]: writerRole(options),
    };
    for (const [name, object] of Object.entries(files)) {
      it(name, () => {
        const path = join(FOLDER, name);
        if (process.env['UPDATE_GOLDEN'] === '1') {
          mkdirSync(FOLDER, { recursive: true });
          writeFileSync(path, `${JSON.stringify(object, undefined, 2)}\n`);
        }
        assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), object, 'run UPDATE_GOLDEN=1 on this file');
      });
    }
  }

  it('covers the data streams that the forwarder writes to by default, above the built-in templates', () => {
    const name = DEFAULTS.dataStream.replace('{namespace}', legalDataStreamPart('my-shop'));
    assert(name.startsWith(TEMPLATE_PATTERN.replace('*', '')));
    const options = {
      flavour: 'elasticsearch',
      pattern: TEMPLATE_PATTERN,
      retentionDays: 1,
      hasPolicy: true,
      hasMatchOnlyText: true,
      hasFailureStore: true,
    } as const;
    assert(Number(indexTemplate(options)['priority']) > 100);
  });

  it('leaves the policy out where the cluster has none', () => {
    const options = {
      flavour: 'elasticsearch',
      pattern: 'a-*',
      retentionDays: 1,
      hasPolicy: false,
      hasMatchOnlyText: true,
      hasFailureStore: true,
    } as const;
    assert(!JSON.stringify(indexTemplate(options)).includes('lifecycle'));
  });
});
