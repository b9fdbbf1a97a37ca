/**
 * Formats of annotation values, as a table; and that every key is documented.
 */
import assert from 'node:assert/strict';

import {
  fileList,
  flushInterval,
  objectName,
  oneOf,
  quantity,
  retentionDays,
  roleArn,
  sinkList,
  template,
} from '../../webhook/annotation-values.ts';
import type { Parse } from '../../webhook/annotation-values.ts';
import { KEY_NAMES, KEYS, PARSE } from '../../webhook/annotations.ts';

/** Nine scripts, one more than a list may name. */
const SCRIPTS: Readonly<Record<string, string>> = {
  A: 'Latin',
  B: 'Greek',
  C: 'Cyrillic',
  D: 'Armenian',
  E: 'Hebrew',
  F: 'Arabic',
  G: 'Thaana',
  H: 'Thai',
  I: 'Lao',
};

/** Parser, text, and what comes out: the value, or the code and (where there is one) the hint, or a pattern of both. */
const TABLE: readonly (readonly [string, Parse<unknown>, string, unknown])[] = [
  ['word', oneOf(['auto', 'off']), 'off', 'off'],
  ['word in other case', oneOf(['auto', 'off']), 'Off', 'invalid_value did you mean off?'],
  ['word with a typo', oneOf(['native', 'container']), 'natve', 'invalid_value did you mean native?'],
  ['word of a later version', oneOf(['auto'], ['api']), 'api', 'value_not_available'],
  ['sinks', sinkList, 'elasticsearch, cloudwatch,elasticsearch', ['elasticsearch', 'cloudwatch']],
  [
    'every sink',
    sinkList,
    'elasticsearch,cloudwatch,s3,file,console',
    ['elasticsearch', 'cloudwatch', 's3', 'file', 'console'],
  ],
  ['sink with a typo', sinkList, 'elasticserch', 'invalid_value did you mean elasticsearch?'],
  ['no sink', sinkList, ' , ', 'invalid_value'],
  ['duration', flushInterval, '250ms', '250ms'],
  ['duration without unit', flushInterval, '5', 'invalid_value did you mean 5s?'],
  ['duration out of bounds', flushInterval, '10m', 'invalid_value'],
  ['retention', retentionDays, '30', 30],
  ['retention between', retentionDays, '31', 'invalid_value did you mean 30?'],
  ['retention no number', retentionDays, 'x', 'invalid_value'],
  ['quantity', quantity('5m'), '1.5Gi', { text: '1.5Gi', number: 1.5 * 2 ** 30 }],
  ['quantity in millis', quantity('5m'), '250m', { text: '250m', number: 0.25 }],
  ['quantity with exponent', quantity('5m'), '1e3', { text: '1e3', number: 1000 }],
  ['quantity zero', quantity('5m'), '0', 'invalid_value'],
  ['quantity negative', quantity('5m'), '-1', 'invalid_value'],
  ['quantity with a foreign unit', quantity('5m'), '48MB', 'invalid_value'],
  ['memory', PARSE.memory, '32Mi', { text: '32Mi', number: 32 * 2 ** 20 }],
  ['memory in millibytes', PARSE.memory, '48m', 'invalid_value did you mean 48Mi?'],
  ['memory in bytes', PARSE.memory, '48', 'invalid_value did you mean 48Mi?'],
  ['memory in kilobytes', PARSE.memory, '64k', 'invalid_value did you mean 64Mi?'],
  ['memory that is too little', PARSE.memory, '16Mi', 'invalid_value did you mean 32Mi?'],
  ['memory that is very little', PARSE.memory, '1', 'invalid_value did you mean 32Mi?'],
  ['limit of CPU', PARSE.cpuLimit, '20m', { text: '20m', number: 0.02 }],
  ['limit of CPU that is too little', PARSE.cpuLimit, '1m', 'invalid_value did you mean 20m?'],
  ['request of CPU, which may be small', PARSE.cpu, '1m', { text: '1m', number: 0.001 }],
  ['name', objectName('Secret'), 'my.secret-1', 'my.secret-1'],
  ['name with a slash', objectName('Secret'), 'other/secret', 'invalid_value'],
  [
    'template',
    template,
    '/k8s/{cluster}/{label:app.kubernetes.io/name}',
    '/k8s/{cluster}/{label:app.kubernetes.io/name}',
  ],
  ['template with a typo', template, '{namespce}', 'invalid_value did you mean namespace?'],
  ['template with braces twice', template, '/k8s/{{namespace}}', 'invalid_value did you mean {namespace}?'],
  ['template with a brace that does not end', template, 'a-{namespace', 'invalid_value'],
  ['template with a brace that does not begin', template, 'namespace}-a', 'invalid_value'],
  ['template with nothing in its braces', template, 'a-{}', 'invalid_value'],
  ['date where none is filled in', template, '/k8s/{yyyy.MM.dd}', 'invalid_value'],
  ['date', PARSE.datedTemplate, 'logs-{yyyy.MM.dd}', 'logs-{yyyy.MM.dd}'],
  ['date and hour without separators', PARSE.datedTemplate, 'logs-{yyyyMMdd_HH}', 'logs-{yyyyMMdd_HH}'],
  ['date with two digits of the year', PARSE.datedTemplate, 'logs-{yy}', 'invalid_value'],
  ['date without leading zeros', PARSE.datedTemplate, 'logs-{yyyy.M.d}', 'invalid_value'],
  ['date with braces twice', PARSE.datedTemplate, 'logs-{{yyyy}}', 'invalid_value did you mean {yyyy}?'],
  ['date in a bucket', PARSE.bucket, 'logs-{yyyy}', 'invalid_value'],
  ['template with a NUL', template, 'a\u0000{pod}', 'invalid_value'],
  ['template with a newline', template, '{pod}\n', 'invalid_value'],
  ['template with DEL in a label', template, '{label:a\u007f}', 'invalid_value'],
  ['role', roleArn, 'arn:aws-cn:iam::123456789012:role/team/logs', 'arn:aws-cn:iam::123456789012:role/team/logs'],
  ['user instead of role', roleArn, 'arn:aws:iam::123456789012:user/me', 'invalid_value'],
  ['relative glob', fileList, 'var/log/*.log', 'invalid_value did you mean /var/log/*.log?'],
  ['directory', fileList, '/var/log/app/', 'invalid_value did you mean /var/log/app/*.log?'],
  ['glob with ..', fileList, '/var/log/../x', 'invalid_value'],
  ['glob with a double slash', fileList, '/var//x', 'invalid_value'],
  ['glob with braces', fileList, '/var/{a}.log', 'invalid_value'],
  ['glob with a newline', fileList, '/var/a\nb', 'invalid_value'],
  ['glob with a NUL', fileList, '/var/log/a\u0000b', 'invalid_value'],
  ['container with a NUL', fileList, 'a\u0000:/var/log/a', 'invalid_value'],
  ['nothing', fileList, '', 'invalid_value'],
  ['segment that no file system has', fileList, `/var/log/${'a'.repeat(256)}/*.log`, 'invalid_value'],
  ['segment too long in bytes alone', fileList, `/var/log/${'é'.repeat(128)}/*.log`, 'invalid_value'],
  ['path that the kernel refuses', fileList, `/${'abc/'.repeat(256)}*.log`, 'invalid_value'],
  ['several faults', fileList, 'a,/b/c,x/d,/c/', 'invalid_value wrong: a, x/d, /c/; did you mean /a,/x/d,/c/*.log?'],
  ['container in upper case', fileList, 'App:/x/*.log', 'invalid_value did you mean app:/x/*.log?'],
  ['container that cannot be one', fileList, 'a_b:/x/*.log', 'invalid_value'],
  ['a hint that would be no path either', fileList, 'C:\\logs\\x', 'invalid_value'],
  ['a relative path with ..', fileList, '../x', 'invalid_value'],
  ['containers', PARSE.containers, 'app, worker,app', ['app', 'worker']],
  ['containers with a bad name', PARSE.containers, 'app,My_App', 'invalid_value'],
  ['no containers', PARSE.containers, ',', 'invalid_value'],
  ['parser', PARSE.parser, 'logfmt', 'logfmt'],
  ['parser with a typo', PARSE.parser, 'atuo', 'invalid_value did you mean auto?'],
  ['bucket', PARSE.bucket, 'logs-{cluster}', 'logs-{cluster}'],
  ['bucket that is one placeholder', PARSE.bucket, '{namespace}', '{namespace}'],
  ['bucket in upper case', PARSE.bucket, 'My_Logs', 'invalid_value did you mean my-logs?'],
  [
    'bucket that S3 keeps for itself',
    PARSE.bucket,
    'logs--table-s3',
    /^invalid_value did you mean logs-[0-9a-f]{12}\?$/,
  ],
  ['bucket with an unknown placeholder', PARSE.bucket, 'logs-{clustr}', 'invalid_value did you mean cluster?'],
  ['prefix', PARSE.prefix, '{cluster}/{namespace}/', '{cluster}/{namespace}/'],
  ['prefix without a slash at its end', PARSE.prefix, 'logs/{app}', 'logs/{app}'],
  ['prefix with a slash before it', PARSE.prefix, '/logs/', 'invalid_value did you mean logs/?'],
  ['prefix with ..', PARSE.prefix, 'a/../b/', 'invalid_value did you mean a/__/b/?'],
  ['preset', PARSE.multiline, 'java, python', { presets: ['java', 'python'] }],
  ['preset with a typo', PARSE.multiline, 'pyton', 'invalid_value did you mean python?'],
  ['start of a record', PARSE.multiline, 'start:^\\d{4}-', { start: '^\\d{4}-' }],
  ['start that is no pattern', PARSE.multiline, 'start:^(', 'invalid_value is a bracket or a backslash missing?'],
  ['no start', PARSE.multiline, 'start:', 'invalid_value'],
  ['patterns a line each, commas and all', PARSE.patterns, 'a{1,3}\n\n [0-9]{16} ', ['a{1,3}', '[0-9]{16}']],
  ['patterns as JSON', PARSE.patterns, '["a,b", "[\\"x]\\n"]', ['a,b', '["x]\n']],
  ['a pattern that begins with a bracket', PARSE.patterns, '[0-9]', ['[0-9]']],
  ['JSON that ends too early', PARSE.patterns, '["a", "b"', 'invalid_value'],
  ['JSON with something else in it', PARSE.patterns, '["a", 1]', 'invalid_value'],
  ['no patterns', PARSE.patterns, ' \n ', 'invalid_value'],
  ['lookahead', PARSE.patterns, 'a(?=b)', 'invalid_value'],
  ['lookbehind', PARSE.patterns, '(?<!b)a', 'invalid_value'],
  ['back-reference', PARSE.patterns, '(a)\\1', 'invalid_value'],
  ['back-reference by name', PARSE.patterns, '(?<x>a)\\k<x>', 'invalid_value'],
  ['a group with a name', PARSE.patterns, '(?<x>a)', ['(?<x>a)']],
  ['what only looks like them, in a class', PARSE.patterns, '[(?=]\\\\1', ['[(?=]\\\\1']],
  ['a count that is too large', PARSE.patterns, 'a{1001}', 'invalid_value'],
  ['a count without end', PARSE.patterns, 'a{2,}', ['a{2,}']],
  ['a code point is no count', PARSE.patterns, '\\u{10000}\\p{Lu}', ['\\u{10000}\\p{Lu}']],
  ['too many patterns', PARSE.patterns, 'a\n'.repeat(65), 'invalid_value'],
  [
    'shares',
    PARSE.sample,
    '10% DEBUG\n0.5%\t[a-z] b\n100%',
    [
      { share: 0.1, perSecondMax: undefined, levels: [], pattern: 'DEBUG' },
      { share: 0.005, perSecondMax: undefined, levels: [], pattern: '[a-z] b' },
      { share: 1, perSecondMax: undefined, levels: [], pattern: undefined },
    ],
  ],
  [
    'a rate for levels',
    PARSE.sample,
    '100/s level:debug,trace',
    [{ share: undefined, perSecondMax: 100, levels: ['debug', 'trace'], pattern: undefined }],
  ],
  ['a level with a typo', PARSE.sample, '5% level:debgu', 'invalid_value did you mean debug?'],
  ['a rate of nothing', PARSE.sample, '0/s', 'invalid_value'],
  ['what to look for', PARSE.detect, 'level, time', ['level', 'time']],
  ['nothing to look for', PARSE.detect, 'none', []],
  [
    'too many properties',
    PARSE.patterns,
    Array.from('ABCDEFGHI', (c) => `\\p{sc=${SCRIPTS[c] ?? ''}}`).join('\n'),
    'invalid_value',
  ],
  ['counts of counts', PARSE.patterns, '(?:a{1000}){1000}', /^invalid_value are there counts of counts/],
  ['a share of nothing', PARSE.sample, '0%', 'invalid_value'],
  ['a share above all', PARSE.sample, '101%', 'invalid_value'],
  ['a share without percent', PARSE.sample, '0.1', 'invalid_value'],
  ['a share of no pattern', PARSE.sample, '10% (', 'invalid_value is a bracket or a backslash missing?'],
];

describe('annotation values', () => {
  for (const [name, parse, text, want] of TABLE) {
    it(name, () => {
      const value = parse(text);
      const found = value.ok ? value.value : value.hint === undefined ? value.code : `${value.code} ${value.hint}`;
      if (want instanceof RegExp) assert.match(String(found), want);
      else assert.deepEqual(found, want);
    });
  }

  it('files: container, path and the part without patterns', () => {
    const files = fileList('/var/log/app/*.log, side-car:/data/x.log,/a/b[0-9]/**/c.log,/x.log');
    assert(files.ok);
    assert.deepEqual(
      files.value.map(({ container, path, directory }) => [container, path, directory]),
      [
        [undefined, '/var/log/app/*.log', '/var/log/app'],
        ['side-car', '/data/x.log', '/data'],
        [undefined, '/a/b[0-9]/**/c.log', '/a'],
        [undefined, '/x.log', '/'],
      ],
    );
  });

  it('files: what the kernel takes is taken', () => {
    for (const path of [`/var/log/${'a'.repeat(255)}/*.log`, `/${'abc/'.repeat(254)}*.log`])
      assert(fileList(path).ok, `${path.length}`);
  });

  it('files: what was expected repeats nothing of what was found', () => {
    const files = fileList('secret,/b/c,Secret:/c');
    assert(!files.ok);
    assert.doesNotMatch(files.expected, /secret/i);
    assert.equal(files.hint, 'wrong: secret, Secret:/c; did you mean /secret,secret:/c?');
  });

  it('files: of many entries that are wrong the first are named, and how many more', () => {
    const files = fileList(Array.from({ length: 9 }, () => `../${'x'.repeat(50)}`).join(','));
    assert(!files.ok);
    assert.equal(
      files.hint,
      `wrong: ${Array.from({ length: 4 }, () => `../${'x'.repeat(34)}...`).join(', ')} and 5 more`,
    );
  });

  it('every key is documented: meaning, format, built-in value, places', () => {
    for (const key of KEY_NAMES) {
      const { meaning, format, builtIn, places } = KEYS[key];
      assert(meaning !== '' && format !== '' && builtIn !== '' && places.length > 0, key);
    }
  });
});
