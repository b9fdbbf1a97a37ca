/**
 * The section on CloudWatch Logs of docs/errors.md says what the code says: it is written from it (UPDATE_GOLDEN=1) and compared here.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callContext } from '../../src/sinks/cloudwatch-logs/arns.ts';
import { classifyError } from '../../src/sinks/cloudwatch-logs/classify.ts';
import { ERROR_RULES } from '../../src/sinks/cloudwatch-logs/errors.ts';
import type { ErrorMeaning, ErrorRule } from '../../src/sinks/cloudwatch-logs/errors.ts';

const PAGE = join(import.meta.dirname, '../../docs/errors.md');
const BEGIN = /<!-- cloudwatch: [^>]*-->\n/;
const END = '<!-- /cloudwatch -->';

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

function counted({ meaning, isUndone }: ErrorRule): string {
  if (meaning === 'missing' || meaning === 'exists' || meaning === 'stored' || meaning === 'too_large') return '-';
  if (meaning === 'refused') return '`logtender_dropped_lines_total{reason="rejected_by_sink"}`';
  const retries = `\`logtender_retries_total{reason="${meaning}"}\``;
  return isUndone ? retries : `${retries}, \`logtender_possible_duplicate_lines_total\``;
}

function section(): string {
  const rows = ERROR_RULES.map((rule) => {
    const names = rule.names.map((name) => `\`${name}\``).join(', ');
    const advice = rule.advice.replaceAll(/\{(\w+)\}/g, '<$1>');
    const read = advice === '' ? 'the words of the service' : `the words of the service; ${advice}`;
    return `| ${names} | ${rule.from} | ${DONE[rule.meaning]} | ${counted(rule)} | ${read} |`;
  });
  return [
    '',
    '## CloudWatch Logs',
    '',
    'Errors of PutLogEvents, CreateLogGroup, CreateLogStream, PutRetentionPolicy and GetLogEvents (CloudWatch Logs API reference), the errors',
    'common to all calls, those of the credential chain, and those of the network. Others go by their HTTP status: 401 and 403 as',
    '`AccessDeniedException`, 413 as `RequestEntityTooLargeException`, 429 as `ThrottlingException`, the rest as `InternalFailure`, but for 4xx',
    'nothing can be stored. An error of CreateLogGroup or PutRetentionPolicy that is about class, key, tags or retention holds up no line.',
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

describe('docs/errors.md', () => {
  it('says of CloudWatch Logs what the code says', () => {
    const page = readFileSync(PAGE, 'utf8');
    const begin = BEGIN.exec(page);
    const end = page.indexOf(END);
    assert(begin !== null && end > begin.index, 'the section has its marks');
    const from = begin.index + begin[0].length;
    if (process.env['UPDATE_GOLDEN'] === '1') {
      writeFileSync(PAGE, page.slice(0, from) + section() + page.slice(end));
      return;
    }
    assert.equal(page.slice(from, end), section(), 'run UPDATE_GOLDEN=1 npx mocha test/docs/errors.test.ts');
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
});
