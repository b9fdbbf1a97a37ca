/**
 * The sections on CloudWatch Logs and S3 of docs/errors.md say what the code says: they are written from it (UPDATE_GOLDEN=1) and compared
 * here. What the SDK's own documentation lists for the calls that are made has a row.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callContext } from '../../src/sinks/cloudwatch-logs/arns.ts';
import { classifyError } from '../../src/sinks/cloudwatch-logs/classify.ts';
import { ERROR_RULES, RULE_OF } from '../../src/sinks/cloudwatch-logs/errors.ts';
import type { ErrorMeaning, ErrorRule } from '../../src/sinks/cloudwatch-logs/errors.ts';
import { classifyBulk } from '../../src/sinks/elasticsearch/classify.ts';
import { classifyPut } from '../../src/sinks/s3/classify.ts';
import { S3_ERROR_RULES, S3_RULE_OF } from '../../src/sinks/s3/errors.ts';
import type { S3ErrorMeaning } from '../../src/sinks/s3/errors.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { OTHER_S3_CODES, PUT_OBJECT_CODES } from './s3-error-codes.ts';

const PAGE = join(import.meta.dirname, '../../docs/errors.md');
const COMMANDS = join(import.meta.dirname, '../../node_modules/@aws-sdk');
const CLOUDWATCH = { begin: /<!-- cloudwatch: [^>]*-->\n/, end: '<!-- /cloudwatch -->' };
const S3 = { begin: /<!-- s3: [^>]*-->\n/, end: '<!-- /s3 -->' };

const DONE: Readonly<Record<ErrorMeaning, string>> = {
  missing: 'stream and, if need be, group are made, then it is sent again',
  exists: 'success',
  stored: 'success',
  refused: 'sent in halves until the guilty line stands alone, which goes to the dead letter',
  too_large: 'sent in halves',
  throttled: 'sent again, with growing waits up to 30 s',
  server_error: 'sent again, with growing waits up to 30 s',
  timeout: 'sent again, with growing waits up to 30 s',
  unreachable: 'sent again, with growing waits up to 30 s',
  not_found: 'sent again, with growing waits up to 30 s',
  credentials: 'sent again, with growing waits up to 30 s; keys of the Secret are read again, roles asked for again',
};

function counted({ meaning, isUndone }: Pick<ErrorRule, 'meaning' | 'isUndone'>): string {
  if (meaning === 'missing' || meaning === 'exists' || meaning === 'stored' || meaning === 'too_large') return '-';
  if (meaning === 'refused') return '`logtender_dropped_lines_total{reason="rejected_by_sink"}`';
  const retries = `\`logtender_retries_total{reason="${meaning}"}\``;
  return isUndone ? retries : `${retries}, \`logtender_possible_duplicate_lines_total\``;
}

/** What a refusal means depends on the call: only that of PutLogEvents is about lines (provision.ts; conformance/cloudwatch-logs). */
const REFUSED: ReadonlyArray<readonly [from: string, done: string, counted: string]> = [
  ['PutLogEvents', DONE.refused, counted({ meaning: 'refused', isUndone: true })],
  [
    'CreateLogGroup',
    'the group is made without the tags, then without the key, then without the class, then with none of them, which the log names ' +
      '(`left_out`); where even that is refused, the lines wait and it is tried again',
    '`logtender_retries_total{reason="not_found"}`',
  ],
  ['CreateLogStream', 'the lines wait and it is tried again', '`logtender_retries_total{reason="not_found"}`'],
  ['PutRetentionPolicy', 'the lines are delivered all the same; tried again, with growing waits up to an hour', '-'],
];

/** The calls of a rule, each with what is done and what is counted. */
function outcomesOf(rule: ErrorRule): typeof REFUSED {
  if (rule.meaning !== 'refused') return [[rule.from, DONE[rule.meaning], counted(rule)]];
  if (rule.from === 'all calls') return REFUSED;
  return REFUSED.filter(([call]) => rule.from.startsWith(call)).map(([, ...rest]) => [rule.from, ...rest]);
}

function cloudwatchSection(): string {
  const rows = ERROR_RULES.flatMap((rule) => {
    const names = rule.names.map((name) => `\`${name}\``).join(', ');
    const advice = rule.advice.replaceAll(/\{(\w+)\}/g, '<$1>');
    const read = advice === '' ? 'the words of the service' : `the words of the service; ${advice}`;
    return outcomesOf(rule).map(([from, done, count]) => `| ${names} | ${from} | ${done} | ${count} | ${read} |`);
  });
  return [
    '',
    '## CloudWatch Logs',
    '',
    'Errors of PutLogEvents, CreateLogGroup, CreateLogStream, PutRetentionPolicy and GetLogEvents (CloudWatch Logs API reference), the errors',
    'common to all calls, those of the credential chain, and those of the network. Others go by their HTTP status: 401 and 403 as',
    '`AccessDeniedException`, 413 as `RequestEntityTooLargeException`, 429 as `ThrottlingException`, the rest as `InternalFailure`, but for 4xx',
    'nothing can be stored. An error of CreateLogGroup or PutRetentionPolicy that is about class, key, tags or retention holds up no line.',
    'What keeps credentials from coming is no line’s fault, whatever STS calls it: then the lines wait, `reason="credentials"`.',
    '',
    '| error | from | what is done | counted | what you read |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    'Events of an accepted request that the service left out (`rejectedLogEventsInfo`): what is counted as dropped and goes to the dead letter,',
    'unless `cloudwatch.rejected` is `restamp`.',
    '',
    '| member | reason | what you read |',
    '|---|---|---|',
    '| `tooOldLogEventEndIndex` | `too_old` | older than 14 days |',
    '| `expiredLogEventEndIndex` | `expired` | older than the retention of the log group |',
    '| `tooNewLogEventStartIndex` | `too_new` | more than 2 hours in the future |',
    '',
    '',
  ].join('\n');
}

const S3_DONE: Readonly<Record<S3ErrorMeaning, string>> = {
  exists: 'success where this range was promised under this name before; else the source goes on under a new id',
  too_large: 'sent in halves, each with a name of its own',
  elsewhere: 'sent again, with growing waits up to 30 s',
  throttled: 'sent again, with growing waits up to 30 s',
  server_error: 'sent again, with growing waits up to 30 s',
  timeout: 'sent again, with growing waits up to 30 s',
  unreachable: 'sent again, with growing waits up to 30 s',
  not_found: 'sent again, with growing waits up to 30 s',
  credentials: 'sent again, with growing waits up to 30 s; keys of the Secret are read again',
};

function s3Counted(meaning: S3ErrorMeaning): string {
  if (meaning === 'exists') return '`logtender_duplicate_lines_total` or `logtender_id_conflicts_total`';
  if (meaning === 'too_large') return '-';
  return `\`logtender_retries_total{reason="${meaning === 'elsewhere' ? 'not_found' : meaning}"}\``;
}

function s3Section(): string {
  const rows = S3_ERROR_RULES.map(({ codes, meaning, advice }) => {
    const names = codes.map((code) => `\`${code}\``).join(', ');
    const words = meaning === 'elsewhere' ? 'the bucket is in <region>, we asked in <region>: set AWS_REGION' : advice;
    const read = words === '' ? 'the words of the service' : `the words of the service; ${words}`;
    return `| ${names} | ${S3_DONE[meaning]} | ${s3Counted(meaning)} | ${read.replaceAll(/\{(\w+)\}/g, '<$1>')} |`;
  });
  return [
    '',
    '## S3',
    '',
    'Errors of PutObject, the only call that is made (S3 API reference, "Error responses"; codes of other calls are left out). Nothing that S3',
    'answers is about a record, so nothing is dropped: everything is tried again until it works. Others go by their HTTP status: 401 and 403 as',
    '`AccessDenied`, 412 as `PreconditionFailed`, 413 as `EntityTooLarge`, 429 and 503 as `SlowDown`, 408, 409 and 5xx as `InternalError`, 301 and',
    '307 as `PermanentRedirect`, the rest as `InvalidRequest`. Errors of credentials and of the network: as with CloudWatch Logs above, with the',
    'key `s3-ca.crt` of the sink Secret in the place of NODE_EXTRA_CA_CERTS.',
    '',
    '| error | what is done | counted | what you read |',
    '|---|---|---|---|',
    ...rows,
    '',
    '',
  ].join('\n');
}

describe('docs/errors.md', () => {
  for (const [name, marks, section] of [
    ['CloudWatch Logs', CLOUDWATCH, cloudwatchSection()],
    ['S3', S3, s3Section()],
  ] as const) {
    it(`says of ${name} what the code says`, () => {
      const page = readFileSync(PAGE, 'utf8');
      const begin = marks.begin.exec(page);
      const end = page.indexOf(marks.end);
      assert(begin !== null && end > begin.index, 'the section has its marks');
      const from = begin.index + begin[0].length;
      if (process.env['UPDATE_GOLDEN'] === '1') {
        writeFileSync(PAGE, page.slice(0, from) + section + page.slice(end));
        return;
      }
      assert.equal(page.slice(from, end), section, 'run UPDATE_GOLDEN=1 npx mocha test/docs/errors.test.ts');
    });
  }

  it('has a row for every error that the documentation of the SDK lists for the calls that are made', () => {
    const logs = [
      'PutLogEvents',
      'CreateLogGroup',
      'CreateLogStream',
      'PutRetentionPolicy',
      'GetLogEvents',
      'TagResource',
    ];
    const files = [
      ...logs.map((call) => `client-cloudwatch-logs/dist-types/commands/${call}Command.d.ts`),
      'nested-clients/dist-types/submodules/sts/commands/AssumeRoleWithWebIdentityCommand.d.ts',
    ];
    for (const file of files) {
      const listed = [...readFileSync(join(COMMANDS, file), 'utf8').matchAll(/@throws \{@link (\w+Exception)/g)];
      // The base class of each client is thrown for what it does not know.
      const names = listed.map(([, name = '']) => name).filter((name) => !name.endsWith('ServiceException'));
      assert(names.length >= 3, file);
      for (const name of names) assert(RULE_OF.has(name), `${name} of ${file} has no rule`);
    }
  });

  it('does with every code of S3 what its row says', () => {
    const sent = { bucket: 'b', region: 'eu-central-1', records: 1, indexAt: (i: number) => i, isResend: true };
    for (const { codes, meaning } of S3_ERROR_RULES) {
      for (const code of codes) {
        const body = Buffer.from(`<Error><Code>${code}</Code><Message>words</Message></Error>`);
        const delivery = classifyPut({ status: 400, body, retryAfter: undefined, bucketRegion: undefined }, sent);
        const got = delivery.status === 'retryable' ? delivery.reason : delivery.status;
        const want = { exists: 'delivered', elsewhere: 'not_found', too_large: 'too_large' };
        assert.equal(got, meaning in want ? want[meaning as keyof typeof want] : meaning, code);
      }
    }
  });

  it('has a row for every code that the S3 API reference lists for what we do, and no code is both ours and of another call', () => {
    const others = Object.values(OTHER_S3_CODES).flat();
    assert.deepEqual(
      PUT_OBJECT_CODES.filter((code) => !S3_RULE_OF.has(code) || others.includes(code)),
      [],
    );
    assert.deepEqual(
      others.filter((code) => S3_RULE_OF.has(code)),
      [],
    );
  });

  it('counts as possible duplicates what the code does', () => {
    const context = callContext('PutLogEvents', { group: 'g', stream: 's' }, 'eu-central-1');
    for (const rule of ERROR_RULES) {
      for (const name of rule.names) {
        const failure = classifyError(Object.assign(new Error('words'), { name }), context);
        const isCounted = failure.kind === 'failed' && failure.mayBeDone === true;
        assert.equal(isCounted, counted(rule).includes('possible_duplicate'), name);
      }
    }
  });

  describe('of Elasticsearch and OpenSearch', () => {
    const page = readFileSync(PAGE, 'utf8');
    const rowsOf = (title: string): ReadonlyArray<readonly string[]> => {
      const [, after = ''] = page.split(`### ${title}\n`);
      const [table = ''] = after.split(/\n##/);
      const lines = table.split('\n').filter((line) => line.startsWith('| '));
      return lines.slice(1).map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, '')));
    };
    const sent = { count: 1, indexAt: (): number => 0, sentBefore: (): boolean => true };
    const classify = (status: number, body: string): Delivery =>
      classifyBulk({ status, retryAfter: undefined, location: undefined, body: Buffer.from(body) }, sent);
    /** Statuses and types of the first cell; a status without a type stands for an answer that names none. */
    const answersOf = (cell: string): ReadonlyArray<readonly [status: number, type: string]> => {
      const statuses = [...cell.matchAll(/\b[1-5]\d\d\b/g)].map(([status]) => Number(status));
      const types = [...cell.matchAll(/`(\w+_exception)`/g)].map(([, type = '']) => type);
      return statuses.flatMap((status) => (types.length === 0 ? [''] : types).map((type) => [status, type] as const));
    };
    /** The word that stands in the column `counted`. */
    const wordOf = (delivery: Delivery): string => {
      if (delivery.status === 'delivered') return 'delivered';
      if (delivery.status !== 'partial') return 'reason' in delivery ? delivery.reason : delivery.status;
      return delivery.retry.length > 0 ? delivery.retryReason : (delivery.rejected[0]?.reason ?? 'conflict');
    };

    it('does with every item what its row says', () => {
      let rows = 0;
      for (const [cell = '', , , counted = ''] of rowsOf('One item of an answer')) {
        if (cell.includes('never sent') || cell.startsWith('any other') || cell.startsWith('other')) continue;
        for (const [status, type] of answersOf(cell)) {
          const error = type === '' ? '' : `,"error":{"type":"${type}","reason":"words"}`;
          const got = wordOf(classify(200, `{"errors":true,"items":[{"create":{"status":${status}${error}}}]}`));
          assert(counted.includes(got), `${status} ${type}: the page says "${counted}", the code ${got}`);
          rows += 1;
        }
      }
      assert(rows >= 20, String(rows));
    });

    it('does with every request what its row says', () => {
      let rows = 0;
      for (const [cell = '', , what = '', counted = ''] of rowsOf('The whole request')) {
        if (!/^[34]\d\d|^5\d\d/.test(cell) || cell.includes('3xx') || cell.includes('a type of the server')) continue;
        for (const [status, type] of answersOf(cell)) {
          const delivery = classify(status, type === '' ? '' : `{"error":{"type":"${type}","reason":"words"}}`);
          const got = delivery.status === 'too_large' ? 'halves' : wordOf(delivery);
          const isSaid =
            counted.includes(got) || what.includes(got) || (counted === 'as above' && delivery.status === 'retryable');
          assert(isSaid, `${status} ${type}: the page says "${what}" and "${counted}", the code ${got}`);
          rows += 1;
        }
      }
      assert(rows >= 14, String(rows));
    });
  });
});
