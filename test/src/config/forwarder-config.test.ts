/** The env contract between webhook and forwarder. */
import assert from 'node:assert/strict';
import { parseForwarderEnv, problemsText } from '../../../src/config/forwarder-config.ts';

const FILES = [
  { container: 'app', path: '/var/log/app/*.log', directory: '/var/log/app', mount: '/logtender/logs/app/var/log/app' },
];

describe('parseForwarderEnv', () => {
  it('takes defaults for what is not set', () => {
    const parsed = parseForwarderEnv({});
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value.sinks, ['console']);
    assert.equal(parsed.value.logGroup, '/k8s/{cluster}/{namespace}/{app}');
    assert.equal(parsed.value.flushIntervalMs, 1000);
    assert.equal(parsed.value.graceMs, 30_000);
  });

  it('reads what the webhook writes', () => {
    const parsed = parseForwarderEnv({
      CLUSTER_NAME: 'eu',
      POD_NAMESPACE: 'shop',
      POD_NAME: 'web-1',
      POD_UID: 'u',
      NODE_NAME: 'n',
      LOG_FILES: JSON.stringify(FILES),
      SINKS: 'elasticsearch,cloudwatch',
      GRACE_PERIOD: '45s',
      RETENTION_DAYS: '30',
      ELASTICSEARCH_URL: 'https://es:9200',
    });
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value.files, FILES);
    assert.deepEqual(parsed.value.sinks, ['elasticsearch', 'cloudwatch']);
    assert.equal(parsed.value.graceMs, 45_000);
    assert.equal(parsed.value.retentionDays, 30);
  });

  it('says all that is wrong at once', () => {
    const parsed = parseForwarderEnv({
      LOG_FILES: '[{"container":"app","path":"relative/*.log","directory":"/d","mount":"/m"}]',
      SINKS: 'elasticserch',
      FLUSH_INTERVAL: '5',
      RETENTION_DAYS: '31',
      ELASTICSEARCH_URL: 'es:9200',
    });
    assert.ok(!parsed.ok);
    assert.deepEqual(problemsText(parsed.problems).split('\n'), [
      'LOG_FILES[0].path: expected an absolute path, got "relative/*.log"',
      'SINKS: expected sinks among elasticsearch, cloudwatch, s3, file, console, got "elasticserch"',
      'RETENTION_DAYS: expected one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653, got "31"',
      'ELASTICSEARCH_URL: expected a URL that begins with http:// or https://, or at most 16 with commas between, got "es:9200"',
      'FLUSH_INTERVAL: expected a duration from 50ms to 1m with a unit (ms, s, m, h, d), got "5"; write 5s or 5ms',
    ]);
  });
});
