/**
 * The statement for Athena: names that it takes, and partitions that are those of the sink.
 */
import assert from 'node:assert/strict';

import { athenaDdl, runAthenaDdl } from '../../../src/cli/athena-ddl.ts';
import { partitionOf } from '../../../src/sinks/s3/object-key.ts';

describe('logtender athena-ddl', () => {
  const text = athenaDdl({ table: 'shop_logs', bucket: 'logs-prod', prefix: 'prod/shop/web/' });

  it('projects the very partitions that the sink writes', () => {
    const template = /'storage\.location\.template' = '([^']*)'/.exec(text)?.[1] ?? '';
    const values: Readonly<Record<string, number>> = { year: 2026, month: 3, day: 9, hour: 7 };
    const filled = template.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
      const digits = Number(new RegExp(`'projection\\.${name}\\.digits' = '(\\d)'`).exec(text)?.[1]);
      return String(values[name]).padStart(digits, '0');
    });
    assert.equal(filled, `s3://logs-prod/prod/shop/web/${partitionOf(Date.UTC(2026, 2, 9, 7, 59))}`);
    assert.match(text, /PARTITIONED BY \(`year` int, `month` int, `day` int, `hour` int\)/);
  });

  it('refuses names that cannot be, with a way out', () => {
    const run = (...args: string[]): number => runAthenaDdl(args, () => {});
    assert.equal(run('--bucket', 'logs', '--prefix', 'a/b'), 0);
    assert.throws(() => run(), /--bucket: expected the name of a bucket, got none/);
    assert.throws(() => run('--bucket', 'My_Logs'), /got My_Logs/);
    assert.throws(() => run('--bucket', 'logs', '--prefix', '{cluster}/'), /--prefix/);
    assert.throws(() => run('--bucket', 'logs', '--table', "x'; DROP"), /--table/);
  });
});
