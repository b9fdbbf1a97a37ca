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

/** Parser, text, and what comes out: the value, or the code and (where there is one) the hint. */
const TABLE: readonly (readonly [string, Parse<unknown>, string, unknown])[] = [
  ['word', oneOf(['auto', 'off']), 'off', 'off'],
  ['word in other case', oneOf(['auto', 'off']), 'Off', 'invalid_value did you mean off?'],
  ['word with a typo', oneOf(['native', 'container']), 'natve', 'invalid_value did you mean native?'],
  ['word of a later version', oneOf(['auto'], ['api']), 'api', 'value_not_available'],
  ['sinks', sinkList, 'elasticsearch, cloudwatch,elasticsearch', ['elasticsearch', 'cloudwatch']],
  ['sink of a later version', sinkList, 'elasticsearch,s3', 'value_not_available'],
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
];

describe('annotation values', () => {
  for (const [name, parse, text, want] of TABLE) {
    it(name, () => {
      const value = parse(text);
      const found = value.ok ? value.value : value.hint === undefined ? value.code : `${value.code} ${value.hint}`;
      assert.deepEqual(found, want);
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

  it('every key is documented: meaning, format, built-in value, places', () => {
    for (const key of KEY_NAMES) {
      const { meaning, format, builtIn, places } = KEYS[key];
      assert(meaning !== '' && format !== '' && builtIn !== '' && places.length > 0, key);
    }
  });
});
