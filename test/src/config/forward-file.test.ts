/**
 * The forwarder's own file: the same configuration as from env, all problems at once, and what a newer file means for a process.
 */
import assert from 'node:assert/strict';
import { problemText } from '../../../src/config/fields.ts';
import { overridingVariables, parseForwardFile, reloadOf } from '../../../src/config/forward-file.ts';
import type { ForwardFile } from '../../../src/config/forward-file.ts';
import { FORWARD_KEYS, hostDefaults } from '../../../src/config/forward-keys.ts';
import { ENV, parseForwarderEnv } from '../../../src/config/forwarder-config.ts';

type Env = Readonly<Record<string, string>>;

const parse = (text: string, env: Env = {}): ReturnType<typeof parseForwardFile> =>
  parseForwardFile(text, { env, defaults: hostDefaults('box') });

function good(text: string, env: Env = {}): ForwardFile {
  const parsed = parse(text, env);
  assert(parsed.ok, parsed.ok ? '' : parsed.problems.map(problemText).join('\n'));
  return parsed.value;
}

function problems(text: string, env: Env = {}): readonly string[] {
  const parsed = parse(text, env);
  assert(!parsed.ok, 'expected problems');
  return parsed.problems.map(problemText);
}

describe('forward file', () => {
  it('an empty file is the defaults of the host', () => {
    const { config } = good('');
    assert.equal(config.pod.pod, 'box');
    assert.equal(config.pod.app, 'box');
    assert.equal(config.stateDir, '/var/lib/logtender');
    assert.equal(config.adminHost, '127.0.0.1');
    assert.deepEqual(config.sinks, ['console']);
  });

  it('says what env says: the same configuration either way', () => {
    const text = `
sinks: [elasticsearch, s3]
elasticsearch: { url: 'http://es:9200', gzip: true, index: 'logstash-{yyyy.MM.dd}' }
s3: { bucket: logs-x, objectAge: 90s, objectBytes: 2097152, tags: [a=b, c=d], deadLetter: true }
cloudwatch: { retentionDays: 30, confirm: true }
flushInterval: 1.5s
multiline: [java, python]
redact: ['a,b', 'c']
sample: ['10% DEBUG']
detect: [time, level]
admin: { port: 0 }
`;
    const env: Env = {
      ...hostDefaults('box'),
      SINKS: 'elasticsearch,s3',
      ELASTICSEARCH_URL: 'http://es:9200',
      ELASTICSEARCH_GZIP: 'true',
      DATA_STREAM: 'logstash-{yyyy.MM.dd}',
      S3_BUCKET: 'logs-x',
      S3_OBJECT_AGE: '90s',
      S3_OBJECT_BYTES: '2097152',
      S3_TAGS: 'a=b,c=d',
      DEAD_LETTER_S3: 'true',
      RETENTION_DAYS: '30',
      CLOUDWATCH_CONFIRM: 'true',
      FLUSH_INTERVAL: '1.5s',
      MULTILINE: 'java,python',
      REDACT: '["a,b","c"]',
      SAMPLE: '10% DEBUG',
      DETECT: 'time,level',
      ADMIN_PORT: '0',
    };
    const fromEnv = parseForwarderEnv(env);
    assert(fromEnv.ok);
    assert.deepEqual(good(text).config, fromEnv.value);
  });

  it('globs: the folder before the first wildcard, a name before a colon, or all of it as an object', () => {
    const { files } = good(
      'files: [/var/log/a/*.log, "web:/srv/**/x?.log", /var/log/one.log, {path: /a/b.log, container: c, mount: /m}]',
    ).config;
    assert.deepEqual(files, [
      { container: 'app', path: '/var/log/a/*.log', directory: '/var/log/a', mount: '/var/log/a' },
      { container: 'web', path: '/srv/**/x?.log', directory: '/srv', mount: '/srv' },
      { container: 'app', path: '/var/log/one.log', directory: '/var/log', mount: '/var/log' },
      { container: 'c', path: '/a/b.log', directory: '/a', mount: '/m' },
    ]);
    for (const wrong of ['/*.log', 'relative/*.log', '/a/../b.log', '/a//b', 'name:'])
      assert.match(problems(`files: ['${wrong}']`).join('\n'), /files\[0\]: expected a glob/, wrong);
  });

  it('env holds in place of the file, and a problem of it is named by the variable', () => {
    const env = { FLUSH_INTERVAL: '2s', PATH: '/bin' };
    assert.equal(good('flushInterval: 5s', env).config.flushIntervalMs, 2_000);
    assert.deepEqual(overridingVariables(env), ['FLUSH_INTERVAL']);
    assert.match(problems('', { FLUSH_INTERVAL: 'soon' })[0] ?? '', /^FLUSH_INTERVAL: expected a duration/);
    assert.match(problems('flushInterval: soon')[0] ?? '', /^line 1: flushInterval: expected a duration/);
    assert.match(
      problems('cloudwatch: {retentionDays: 31}')[0] ?? '',
      /^line 1: cloudwatch\.retentionDays: expected one of/,
    );
  });

  it('says all that is wrong at once, in the order of the file, with suggestions', () => {
    const found = problems(
      'sinks: [elastic]\nelasticsearch:\n  gzip: "true"\n  urll: x\nflushIntervall: 5s\nmultiline: jav\ns3: 5\nfiles: [5]\n',
    );
    assert.equal(found.length, 7);
    assert.match(found[0] ?? '', /^line 1: sinks: /);
    assert.match(
      found[1] ?? '',
      /^line 3: elasticsearch\.gzip: expected true or false, got "true"; write it without quotes/,
    );
    assert.match(found[2] ?? '', /^line 4: .*did you mean elasticsearch\.url\?/);
    assert.match(found[3] ?? '', /^line 5: .*did you mean flushInterval\?/);
    assert.match(found[4] ?? '', /^line 6: multiline: .*did you mean java\?/);
    assert.match(found[5] ?? '', /^line 7: s3: expected an object, got 5/);
    assert.match(found[6] ?? '', /^line 8: files\[0\]: expected an object, got 5/);
    assert.match(problems('a: [\n')[0] ?? '', /^line \d: \(file\): expected YAML/);
  });

  it('no two keys stand for one variable, and every one for a known one', () => {
    const variables = Object.values(FORWARD_KEYS).map(({ env }) => env);
    assert.equal(new Set(variables).size, variables.length);
    const known: readonly string[] = Object.values(ENV);
    assert.deepEqual(
      variables.filter((name) => !known.includes(name)),
      [],
    );
  });

  it('a newer file: what changes at once, what a restart brings, and what is kept until then', () => {
    const running = good('flushInterval: 1s\nstateDir: /a\nsinks: [console]');
    const same = reloadOf(running, good('sinks: [console]\nstateDir: /a\nflushInterval: 1s'));
    assert.deepEqual([same?.changed, same?.needsRestart], [[], []]);
    const newer = reloadOf(running, good('flushInterval: 2s\nstateDir: /b\nadmin: {port: 1}\nsinks: [file]'));
    assert.deepEqual(newer?.changed, ['sinks', 'flushInterval']);
    assert.deepEqual(newer?.needsRestart, ['stateDir', 'admin.port']);
    assert.equal(newer?.file.config.stateDir, '/a');
    assert.equal(newer?.file.config.adminPort, 15_099);
    assert.equal(newer?.file.config.flushIntervalMs, 2_000);
    // Not told twice: what a restart brings stays different, what changed does not.
    const again = reloadOf(
      newer?.file ?? running,
      good('flushInterval: 2s\nstateDir: /b\nadmin: {port: 1}\nsinks: [file]'),
    );
    assert.deepEqual([again?.changed, again?.needsRestart], [[], ['stateDir', 'admin.port']]);
  });
});
