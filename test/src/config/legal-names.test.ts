/** Names are legal for their destination whatever a pod, a label or a file is called: a table, and properties over any text. */
import assert from 'node:assert/strict';

import fc from 'fast-check';

import {
  legalBucket,
  legalDataStreamPart,
  legalIndex,
  legalKeyPrefix,
  legalLogGroup,
  legalLogStream,
} from '../../../src/config/legal-names.ts';
import { fillTemplate } from '../../../src/config/template.ts';

const LONG = 'x'.repeat(600);

const TABLE: ReadonlyArray<readonly [rule: (name: string) => string, name: string, want: string]> = [
  [legalLogGroup, '/k8s/prod/shop/web', '/k8s/prod/shop/web'],
  [legalLogGroup, 'a b:c*d', 'a_b_c_d'],
  [legalLogGroup, 'aws/thing', '_aws/thing'],
  [legalLogGroup, '', '_'],
  [legalLogGroup, LONG, `${'x'.repeat(499)}_5130b33e6b87`],
  [legalLogStream, 'pod:1/app*', 'pod_1/app_'],
  [legalLogStream, 'a\u0000b\u007fc', 'a_b_c'],
  [legalLogStream, '', '_'],
  [legalLogStream, LONG, `${'x'.repeat(499)}_5130b33e6b87`],
  [legalIndex, 'Logs-Logtender-My Team', 'logs-logtender-my_team'],
  [legalIndex, '_-+.x', 'x'],
  [legalIndex, '..', 'logs'],
  [legalIndex, '', 'logs'],
  [legalIndex, 'ä'.repeat(127), 'ä'.repeat(127)],
  [legalDataStreamPart, 'my-team', 'my_team'],
  [legalKeyPrefix, 'prod/shop/', 'prod/shop/'],
  [legalKeyPrefix, '/a//b/../ü', 'a/b/__/_/'],
  [legalKeyPrefix, '', ''],
  [legalKeyPrefix, '/', ''],
  [legalBucket, 'logs-prod', 'logs-prod'],
  [legalBucket, 'My_Logs', 'my-logs'],
  [legalBucket, '-.a..b.-', 'a.b'],
];

/** Legal at the destination, by its own rules, written apart from the code. */
const RULES: ReadonlyArray<readonly [rule: (name: string) => string, isLegal: (name: string) => boolean]> = [
  [legalLogGroup, (name) => /^[.\-_/#A-Za-z0-9]{1,512}$/.test(name) && !name.startsWith('aws/')],
  [legalLogStream, (name) => /^[^:*]{1,512}$/.test(name) && name.isWellFormed()],
  [legalIndex, isIndex],
  [legalDataStreamPart, (name) => isIndex(name) && !name.includes('-')],
  [
    legalKeyPrefix,
    (name) =>
      name === '' ||
      (name.length <= 512 &&
        /^(?:[A-Za-z0-9!\-_.'()=]+\/)+$/.test(name) &&
        !name.split('/').some((part) => part === '.' || part === '..')),
  ],
  [
    legalBucket,
    (name) =>
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
      !name.includes('..') &&
      !/^\d+(?:\.\d+){3}$/.test(name) &&
      !/^(?:xn--|sthree-|amzn-s3-demo-)|(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/.test(name),
  ],
];

function isIndex(name: string): boolean {
  const bytes = Buffer.byteLength(name);
  return (
    bytes >= 1 &&
    bytes <= 255 &&
    name === name.toLowerCase() &&
    name.isWellFormed() &&
    !/[\\/*?"<>|,#: ]/.test(name) &&
    !/^[-_+.]/.test(name)
  );
}

/** Any text, and the kinds that are most likely to break a rule: long, of other planes, half a surrogate pair, full of separators. */
const anyName = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 400 }),
  fc.string({
    unit: fc.constantFrom('.', '-', '_', '/', 'a', 'Z', '0', ':', '*', ' ', '\ud800', 'İ', '😀'),
    maxLength: 700,
  }),
  fc.constantFrom('xn--a', 'sthree-logs', '10.0.0.1', 'a-s3alias', 'x.mrap', 'ab', 'aws/', '....', 'a--table-s3'),
);
const RUNS = 400;

describe('legal names', () => {
  for (const [rule, name, want] of TABLE)
    it(`${rule.name}(${JSON.stringify(name.slice(0, 20))})`, () => assert.equal(rule(name), want));

  for (const [rule, isLegal] of RULES) {
    it(`${rule.name}: any text becomes a legal name, the same each time, and a legal one stays`, () => {
      const property = fc.property(anyName, (text) => {
        const name = rule(text);
        assert(isLegal(name), JSON.stringify(name));
        assert.equal(rule(text), name);
        assert.equal(rule(name), name);
      });
      fc.assert(property, { numRuns: RUNS });
    });

    it(`${rule.name}: two long names that differ in one place stay apart`, () => {
      const property = fc.property(fc.nat({ max: 699 }), (place) => {
        const other = `${'a'.repeat(place)}b${'a'.repeat(699 - place)}`;
        assert.notEqual(rule('a'.repeat(700)), rule(other));
      });
      fc.assert(property, { numRuns: RUNS });
    });
  }

  it('whatever a value is, no placeholder of it is filled by a second pass', () => {
    const property = fc.property(fc.string({ unit: fc.constantFrom('{', '}', 'p', 'o', 'd', 'y') }), (value) => {
      const once = fillTemplate('{app}/{pod}', { app: value });
      assert(fillTemplate(once, { pod: 'P', yyyy: 'Y' }).endsWith('/P'));
      assert.equal(fillTemplate(once, { pod: 'P' }), `${value.replaceAll(/[{}]/g, '_')}/P`);
    });
    fc.assert(property, { numRuns: RUNS });
  });
});
