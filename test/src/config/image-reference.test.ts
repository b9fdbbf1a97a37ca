/**
 * Image references: the grammar, and what a list of allowed ones lets in.
 */
import assert from 'node:assert/strict';

import { IMAGE_ALLOWED, IMAGE_REFERENCE, isImageAllowed } from '../../../src/config/image-reference.ts';

const SHA = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('image references', () => {
  for (const text of [
    'a',
    'logtender:0.1.0',
    'library/nginx',
    'reg.example.com/team/app:1',
    'localhost:5000/app:v1_2.3-x',
    'REG.example.com/app',
    '[fd00::1]:5000/app:1',
    `reg.example.com/app@${SHA}`,
    `reg.example.com/app:1@${SHA}`,
    'a__b/c.d/e--f_g',
    `a:${'t'.repeat(128)}`,
    'p'.repeat(255),
  ]) {
    it(`takes ${text.slice(0, 60)}`, () => assert(IMAGE_REFERENCE.test(text)));
  }

  for (const text of [
    '',
    ' ',
    'a b',
    'App',
    'reg/team/UPPER:::x@y',
    'reg.example.com/App',
    'a:',
    'a@',
    'a@sha256:12',
    `a@${SHA.toUpperCase()}`,
    `a@md5:${'0'.repeat(32)}`,
    '0123456789abcdef'.repeat(4),
    'a/',
    '/a',
    'a//b',
    'a/../b',
    'a._b',
    '-a',
    `a:${'t'.repeat(129)}`,
    'p'.repeat(256),
    `a\n`,
    'https://reg/app',
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => assert(!IMAGE_REFERENCE.test(text)));
  }

  it('a long hostile text costs next to nothing', () => {
    for (const text of ['a-'.repeat(100_000), 'a/'.repeat(250), `${'a.'.repeat(255)}!`, `${'-'.repeat(510)}!`])
      assert(!IMAGE_REFERENCE.test(text));
  });
});

describe('images that are allowed', () => {
  it('beginnings end where a name ends', () => {
    for (const good of ['reg.example.com/*', 'reg/app:*', 'reg/app@*', 'reg.example.com:5000/team/*', 'reg/app:1'])
      assert(IMAGE_ALLOWED.test(good), good);
    for (const bad of ['*', 'reg.example.com*', 'reg/app*', 'reg/*/app', '/*', ' reg/*', 'REG/App:1'])
      assert(!IMAGE_ALLOWED.test(bad), bad);
  });

  const config = { image: 'mine:1', imagesAllowed: ['reg/team/*', 'other/app:1'] };
  for (const [text, want] of [
    ['mine:1', true],
    ['mine:2', false],
    ['reg/team/app:1', true],
    ['reg/teams/app:1', false],
    ['other/app:1', true],
    ['other/app:12', false],
  ] as const) {
    it(`${text}: ${want}`, () => assert.equal(isImageAllowed(text, config), want));
  }
});
