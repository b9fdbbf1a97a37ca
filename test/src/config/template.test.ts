/** Templates and the names that come out of them: legal for every destination, whatever the pod is called. */
import assert from 'node:assert/strict';
import {
  fillDate,
  fillTemplate,
  legalDataStreamPart,
  legalIndex,
  legalLogGroup,
  legalLogStream,
  unknownPlaceholders,
} from '../../../src/config/template.ts';

describe('fillTemplate', () => {
  it('fills what it knows and leaves the rest', () => {
    assert.equal(fillTemplate('/k8s/{cluster}/{pod}', { cluster: 'eu' }), '/k8s/eu/{pod}');
  });

  it('does not expand what a value brings along', () => {
    assert.equal(fillTemplate('{app}/{pod}', { app: '{pod}', pod: 'p' }), '{pod}/p');
  });

  it('knows no keys of the prototype', () => {
    assert.equal(fillTemplate('{constructor}', {}), '{constructor}');
  });
});

describe('unknownPlaceholders', () => {
  it('names them all', () => {
    assert.deepEqual(unknownPlaceholders('{cluster}/{podd}/{label:app}/{yyyy.MM.dd}/{x}'), ['podd', 'x']);
  });
});

describe('fillDate', () => {
  it('is UTC', () => {
    assert.equal(
      fillDate('logstash-{yyyy.MM.dd}-{HH}', Date.parse('2026-03-01T00:30:00+02:00')),
      'logstash-2026.02.28-22',
    );
  });
});

describe('legal names', () => {
  const table: ReadonlyArray<readonly [rule: (name: string) => string, name: string, want: string]> = [
    [legalLogGroup, '/k8s/prod/shop/web', '/k8s/prod/shop/web'],
    [legalLogGroup, 'a b:c*d', 'a_b_c_d'],
    [legalLogGroup, 'aws/thing', '_aws/thing'],
    [legalLogGroup, '', '_'],
    [legalLogGroup, 'x'.repeat(600), 'x'.repeat(512)],
    [legalLogStream, 'pod:1/app*', 'pod_1/app_'],
    [legalLogStream, '', '_'],
    [legalIndex, 'Logs-Logtender-My Team', 'logs-logtender-my_team'],
    [legalIndex, '_-+.x', 'x'],
    [legalIndex, 'ä'.repeat(200), 'ä'.repeat(127)],
    [legalDataStreamPart, 'my-team', 'my_team'],
  ];
  for (const [rule, name, want] of table)
    it(`${rule.name}(${name.slice(0, 20)})`, () => assert.equal(rule(name), want));
});
