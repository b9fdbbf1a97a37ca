/**
 * Where a bulk request goes and as whom.
 */
import assert from 'node:assert/strict';
import { indexName } from '../../../../src/sinks/elasticsearch/encode.ts';
import { bulkPath, endpointOf } from '../../../../src/sinks/elasticsearch/request.ts';
import type { SecretValues } from '../../../../src/sinks/secret-files.ts';
import { forwarderConfig, sourceInfo } from '../../../fakes/forwarder-config.ts';

function secret(values: Readonly<Record<string, string>>): SecretValues {
  return { version: 1, value: (key) => values[key] };
}

function basic(text: string): string {
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

const NAMES: ReadonlyArray<readonly [template: string, env: Readonly<Record<string, string>>, want: string]> = [
  ['logs-logtender-{namespace}', { POD_NAMESPACE: 'my-shop' }, 'logs-logtender-my_shop'],
  ['logstash-{yyyy.MM.dd}', {}, 'logstash-2026.01.31'],
  ['{cluster}-{app}-{yyyy}', { CLUSTER_NAME: 'EU West', APP_NAME: 'A/B' }, 'eu_west-a_b-2026'],
  ['{file}', {}, 'var_log_app_a.log'],
  ['logs-{unknown}', {}, 'logs-{unknown}'],
  ['_internal', {}, 'internal'],
];

describe('Elasticsearch requests', () => {
  for (const [template, env, want] of NAMES) {
    it(`index of ${template} is ${want}`, () => {
      const config = forwarderConfig({ ...env, DATA_STREAM: template });
      assert.equal(indexName(config, sourceInfo(), Date.UTC(2026, 0, 31, 23, 59)), want);
    });
  }

  it('puts the index into the path, behind the path of the URL', () => {
    const filter = 'filter_path=errors,items.*.status,items.*.error';
    assert.equal(bulkPath(new URL('http://es:9200'), 'logs-a'), `/logs-a/_bulk?${filter}`);
    assert.equal(bulkPath(new URL('http://es/proxy/?x=1'), 'a{b'), `/proxy/a%7Bb/_bulk?${filter}`);
  });

  const AUTH: ReadonlyArray<
    readonly [name: string, values: Readonly<Record<string, string>>, want: string | undefined]
  > = [
    ['nothing', {}, undefined],
    ['user and password', { 'elasticsearch-username': 'u', 'elasticsearch-password': 'p:ö' }, basic('u:p:ö')],
    ['an API key wins', { 'elasticsearch-username': 'u', 'elasticsearch-api-key': 'aWQ6a2V5' }, 'ApiKey aWQ6a2V5'],
    ['from the URL', { 'elasticsearch-url': 'http://u%40x:p%2Fq@es' }, basic('u@x:p/q')],
  ];
  for (const [name, values, want] of AUTH) {
    it(`authorization: ${name}`, () => {
      const endpoint = endpointOf(forwarderConfig({ ELASTICSEARCH_URL: 'http://es' }), secret(values));
      assert('url' in endpoint);
      assert.equal(endpoint.authorization, want);
    });
  }

  it('takes the URL of the Secret before the one of the env, and explains a missing or broken one', () => {
    const both = endpointOf(
      forwarderConfig({ ELASTICSEARCH_URL: 'http://env' }),
      secret({ 'elasticsearch-url': 'https://secret' }),
    );
    assert('url' in both && both.url.host === 'secret');
    const none = endpointOf(forwarderConfig(), secret({}));
    assert('problem' in none && none.problem.includes('ELASTICSEARCH_URL'));
    const broken = endpointOf(forwarderConfig(), secret({ 'elasticsearch-url': 'es:9200 password' }));
    assert('problem' in broken && broken.problem.includes('elasticsearch-url') && !broken.problem.includes('password'));
  });
});
