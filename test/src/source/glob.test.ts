/**
 * Which names and folders a glob means.
 */
import assert from 'node:assert/strict';

import { globDepth, matchGlob, matchName, mayHold, parseGlob } from '../../../src/source/glob.ts';

const NAMES: ReadonlyArray<readonly [pattern: string, name: string, want: boolean]> = [
  ['*.log', 'app.log', true],
  ['*.log', '.log', false],
  ['*.log', '.hidden.log', false],
  ['.*.log', '.hidden.log', true],
  ['*.log', 'app.log.1', false],
  ['app.log', 'app.log', true],
  ['app.log', 'appxlog', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['*', 'anything', true],
  ['*', '', true],
  ['a*b*c', 'a--b--b--c', true],
  ['a*b*c', 'a--c--b', false],
  ['[a-c]x', 'bx', true],
  ['[a-c]x', 'dx', false],
  ['[!a-c]x', 'dx', true],
  ['[^a-c]x', 'bx', false],
  ['[]a]x', ']x', true],
  ['[a-]x', '-x', true],
  ['[abc', '[abc', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'axb', false],
  ['**x', 'aax', true],
];

const PATHS: ReadonlyArray<readonly [pattern: string, path: string, want: boolean]> = [
  ['*.log', 'a.log', true],
  ['*.log', 'sub/a.log', false],
  ['*/a.log', 'sub/a.log', true],
  ['**/*.log', 'a.log', true],
  ['**/*.log', 'x/y/z/a.log', true],
  ['**/*.log', 'x/.git/a.log', false],
  ['x/**/a.log', 'x/a.log', true],
  ['x/**/y/**/a.log', 'x/1/y/2/3/a.log', true],
  ['x/**/y/**/a.log', 'x/1/2/3/a.log', false],
  ['**', 'x/y', true],
  ['**', 'x/.y', false],
  ['**/**/a', 'b/a', true],
];

const FOLDERS: ReadonlyArray<readonly [pattern: string, folder: string, want: boolean]> = [
  ['*.log', 'sub', false],
  ['*/a.log', 'sub', true],
  ['*/a.log', 'sub/deeper', false],
  ['s*/a.log', 'other', false],
  ['**/a.log', 'x/y/z', true],
  ['**/a.log', 'x/.y', false],
];

describe('glob', () => {
  for (const [pattern, name, want] of NAMES) {
    it(`${pattern} ${want ? 'matches' : 'does not match'} the name ${name}`, () => {
      assert.equal(matchName(pattern, name), want);
    });
  }
  for (const [pattern, path, want] of PATHS) {
    it(`${pattern} ${want ? 'matches' : 'does not match'} the path ${path}`, () => {
      assert.equal(matchGlob(parseGlob(pattern), path.split('/')), want);
    });
  }
  for (const [pattern, folder, want] of FOLDERS) {
    it(`${pattern} ${want ? 'may' : 'cannot'} have files in ${folder}`, () => {
      assert.equal(mayHold(parseGlob(pattern), folder.split('/')), want);
    });
  }

  it('knows how deep it reaches', () => {
    assert.deepEqual(
      ['*.log', 'a/*.log', '**/x'].map((pattern) => globDepth(parseGlob(pattern))),
      [0, 1, Infinity],
    );
  });

  it('answers a pattern of many stars without trying all splits', () => {
    // An engine that backtracks over every star would need about 255^20 steps here and never come back.
    assert.equal(matchName(`${'*a'.repeat(20)}b`, 'a'.repeat(255)), false);
  });
});
