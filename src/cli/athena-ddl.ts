/**
 * `logtender athena-ddl`: the table over the objects of the S3 sink, with partitions that are projected and never have to be added.
 *
 * Sources: Athena user guide, "CREATE TABLE", "Set up partition projection" and "Use the OpenX JSON SerDe". May import: everything but
 * test.
 */
import { parseArgs } from 'node:util';

import { OperationalError } from '../core/errors.ts';
import { legalBucket, legalKeyPrefix } from '../config/legal-names.ts';

/** Athena: names of tables are lower case letters, digits and _, at most 255 characters. */
const TABLE = /^[a-z_][a-z0-9_]{0,254}$/;

/** Days that a query without a range of years may look at: the projection counts partitions, not objects. */
const FIRST_YEAR = 2020;
const LAST_YEAR = 2099;

interface TableOptions {
  readonly table: string;
  readonly bucket: string;
  readonly prefix: string;
}

/**
 * Runs the command.
 *
 * @returns the exit code
 * @throws OperationalError USAGE for a name that cannot be: exit code 2
 */
export function runAthenaDdl(args: readonly string[], out: (text: string) => void): number {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bucket: { type: 'string' },
      prefix: { type: 'string', default: '' },
      table: { type: 'string', default: 'logs' },
    },
  });
  const { bucket, prefix, table } = values;
  const usage = (message: string, hint: string): OperationalError =>
    new OperationalError('USAGE', `logtender athena-ddl: ${message}`, { hint });
  if (bucket === undefined || legalBucket(bucket) !== bucket)
    throw usage(`--bucket: expected the name of a bucket, got ${bucket ?? 'none'}`, 'as logging.io/bucket names it');
  const legal = legalKeyPrefix(prefix);
  if (legal !== prefix && legal !== `${prefix}/`)
    throw usage(
      `--prefix: expected what stands before year= in the keys, got ${prefix}`,
      `without placeholders, such as ${legal.replace(/\/$/, '')}`,
    );
  if (!TABLE.test(table))
    throw usage(`--table: expected lower-case letters, digits and _, got ${table}`, 'such as shop_logs');
  out(athenaDdl({ table, bucket, prefix: legal }));
  return 0;
}

/** The statement, with a query below it as a comment. */
export function athenaDdl({ table, bucket, prefix }: TableOptions): string {
  const location = `s3://${bucket}/${prefix}`;
  const partitions = {
    year: [FIRST_YEAR, LAST_YEAR, 4],
    month: [1, 12, 2],
    day: [1, 31, 2],
    hour: [0, 23, 2],
  } as const;
  const projection = Object.entries(partitions).flatMap(([name, [from, to, digits]]) => [
    `  'projection.${name}.type' = 'integer',`,
    `  'projection.${name}.range' = '${from},${to}',`,
    `  'projection.${name}.digits' = '${digits}',`,
  ]);
  const template = Object.keys(partitions)
    .map((name) => `${name}=\${${name}}/`)
    .join('');
  return [
    `CREATE EXTERNAL TABLE IF NOT EXISTS \`${table}\` (`,
    '  `timestamp` string,',
    '  `message` string,',
    '  `kubernetes` struct<namespace:string,pod:struct<name:string,uid:string>,container:struct<name:string>,node:struct<name:string>>,',
    '  `orchestrator` struct<cluster:struct<name:string>>,',
    '  `log` struct<file:struct<path:string>,offset:bigint>',
    ')',
    `PARTITIONED BY (${Object.keys(partitions)
      .map((name) => `\`${name}\` int`)
      .join(', ')})`,
    "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'",
    "WITH SERDEPROPERTIES ('mapping.timestamp' = '@timestamp', 'ignore.malformed.json' = 'false')",
    `LOCATION '${location}'`,
    'TBLPROPERTIES (',
    "  'projection.enabled' = 'true',",
    ...projection,
    `  'storage.location.template' = '${location}${template}'`,
    ');',
    '',
    '-- A query names the partitions, else every hour of every year is looked for:',
    `-- SELECT "timestamp", message FROM ${table} WHERE year = 2026 AND month = 11 AND day = 28 AND hour BETWEEN 12 AND 13;`,
    '',
  ].join('\n');
}
