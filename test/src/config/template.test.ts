/** Placeholders of templates: what is known, what is filled in, and what a value may not bring along. */
import assert from 'node:assert/strict';
import { fillDate, fillTemplate, hasStrayBrace, unknownPlaceholders } from '../../../src/config/template.ts';

describe('fillTemplate', () => {
  it('fills what it knows and leaves the rest', () => {
    assert.equal(fillTemplate('/k8s/{cluster}/{pod}', { cluster: 'eu' }), '/k8s/eu/{pod}');
  });

  it('does not expand what a value brings along', () => {
    assert.equal(fillTemplate('{app}/{pod}', { app: '{pod}', pod: 'p' }), '_pod_/p');
  });

  it('knows no keys of the prototype', () => {
    assert.equal(fillTemplate('{constructor}', {}), '{constructor}');
  });
});

describe('unknownPlaceholders', () => {
  it('names them all', () => {
    const text = '{cluster}/{podd}/{label:app}/{yyyy.MM.dd}/{x}/{yy}/{}';
    assert.deepEqual(unknownPlaceholders(text, { isDated: true }), ['podd', 'x', 'yy', '']);
    assert.deepEqual(unknownPlaceholders(text, { isDated: false }), ['podd', 'yyyy.MM.dd', 'x', 'yy', '']);
  });
});

describe('hasStrayBrace', () => {
  for (const [text, want] of [
    ['{a}/{b}', false],
    ['', false],
    ['{{a}}', true],
    ['a{', true],
    ['}a', true],
    ['{a{b}', true],
  ] as const) {
    it(`${text}: ${want}`, () => {
      assert.equal(hasStrayBrace(text), want);
    });
  }
});

describe('fillDate', () => {
  it('is UTC', () => {
    assert.equal(
      fillDate('logstash-{yyyy.MM.dd}-{HH}', Date.parse('2026-03-01T00:30:00+02:00')),
      'logstash-2026.02.28-22',
    );
  });
});
