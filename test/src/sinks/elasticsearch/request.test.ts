/**
 * Where a bulk request goes and as whom.
 */
import assert from 'node:assert/strict';
import { indexName } from '../../../../src/sinks/elasticsearch/encode.ts';
import { bulkPath, endpointOf, firstNode, signingScope } from '../../../../src/sinks/elasticsearch/request.ts';
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
    const filter = 'filter_path=errors,items.*.status,items.*.failure_store,items.*.error';
    assert.equal(bulkPath(new URL('http://es:9200'), 'logs-a'), `/logs-a/_bulk?${filter}`);
    assert.equal(bulkPath(new URL('http://es/proxy/?x=1'), 'a{b'), `/proxy/a%7Bb/_bulk?${filter}`);
  });

  const AUTH: ReadonlyArray<
    readonly [name: string, values: Readonly<Record<string, string>>, want: string | undefined]
  > = [
    ['nothing', {}, undefined],
    ['user and password', { 'elasticsearch-username': 'u', 'elasticsearch-password': 'p:ö' }, basic('u:p:ö')],
    ['an API key wins', { 'elasticsearch-username': 'u', 'elasticsearch-api-key': 'aWQ6a2V5' }, 'ApiKey aWQ6a2V5'],
    ['a bearer token', { 'elasticsearch-username': 'u', 'elasticsearch-bearer-token': 'ey.J' }, 'Bearer ey.J'],
    ['from the URL', { 'elasticsearch-url': 'http://u%40x:p%2Fq@es' }, basic('u@x:p/q')],
  ];
  for (const [name, values, want] of AUTH) {
    it(`authorization: ${name}`, () => {
      const endpoint = endpointOf(forwarderConfig({ ELASTICSEARCH_URL: 'http://es' }), secret(values));
      assert('urls' in endpoint && endpoint.urls[0] !== undefined);
      assert.equal(endpoint.authorization(endpoint.urls[0]), want);
    });
  }

  it('spreads pods over the nodes, and begins with the same one for the same pod', () => {
    const firsts = Array.from({ length: 300 }, (_, i) => firstNode(`uid-${i}`, 3));
    assert.deepEqual(
      firsts,
      Array.from({ length: 300 }, (_, i) => firstNode(`uid-${i}`, 3)),
    );
    for (const node of [0, 1, 2]) assert(firsts.filter((first) => first === node).length > 60);
  });

  const SCOPES: ReadonlyArray<readonly [host: string, region: string | undefined, service: string]> = [
    ['search-logs-abc123.eu-west-1.es.amazonaws.com', 'eu-west-1', 'es'],
    ['vpc-logs-abc.us-gov-west-1.es.amazonaws.com', 'us-gov-west-1', 'es'],
    ['search-logs-abc.cn-north-1.es.amazonaws.com.cn', 'cn-north-1', 'es'],
    ['vpc-logs-abc.us-iso-east-1.es.c2s.ic.gov', 'us-iso-east-1', 'es'],
    ['vpc-logs-abc.us-isob-east-1.es.sc2s.sgov.gov', 'us-isob-east-1', 'es'],
    ['search-logs-abc.eusc-de-east-1.es.amazonaws.eu', 'eusc-de-east-1', 'es'],
    ['search-logs-abc.aos.eu-west-1.on.aws', 'eu-west-1', 'es'],
    ['0a1b2c3d.us-east-1.aoss.amazonaws.com', 'us-east-1', 'aoss'],
    ['0a1b2c3d.us-gov-west-1.aoss-fips.amazonaws.com', 'us-gov-west-1', 'aoss'],
    ['logs.example.com', undefined, 'es'],
    ['eu-west-1.es.amazonaws.com.example.com', undefined, 'es'],
    ['search-logs-abc.eu-west-1.es.amazonawsXcom', undefined, 'es'],
  ];
  for (const [host, region, service] of SCOPES) {
    it(`signs for ${region ?? 'AWS_REGION'} and ${service}: ${host}`, () => {
      const scope = (env: Readonly<Record<string, string>>): unknown =>
        signingScope(forwarderConfig(env), new URL(`https://${host}`));
      assert.deepEqual(scope({}), { region, service });
      assert.deepEqual(scope({ AWS_REGION: 'af-south-1' }), { region: region ?? 'af-south-1', service });
      const both = { AWS_REGION: 'af-south-1', ELASTICSEARCH_REGION: 'sa-east-1' };
      assert.deepEqual(scope(both), { region: 'sa-east-1', service });
    });
  }

  it('takes the URL of the Secret before the one of the env, and explains a missing or broken one', () => {
    const both = endpointOf(
      forwarderConfig({ ELASTICSEARCH_URL: 'http://env' }),
      secret({ 'elasticsearch-url': 'https://secret' }),
    );
    assert('urls' in both && both.urls[0]?.host === 'secret');
    const none = endpointOf(forwarderConfig(), secret({}));
    assert('problem' in none && none.problem.includes('ELASTICSEARCH_URL'));
    const half = endpointOf(
      forwarderConfig(),
      secret({ 'elasticsearch-url': 'https://a', 'elasticsearch-client.crt': 'x' }),
    );
    assert('problem' in half && half.problem.includes('elasticsearch-client.key'));
    const nodes = endpointOf(forwarderConfig(), secret({ 'elasticsearch-url': 'https://a:9200, https://b/p,' }));
    assert('urls' in nodes);
    assert.deepEqual(
      nodes.urls.map(({ href }) => href),
      ['https://a:9200/', 'https://b/p'],
    );
    const broken = endpointOf(forwarderConfig(), secret({ 'elasticsearch-url': 'es:9200 password' }));
    assert('problem' in broken && broken.problem.includes('elasticsearch-url') && !broken.problem.includes('password'));
  });
});
