/**
 * webhook.yaml: defaults, and every problem at once with its path.
 */
import assert from 'node:assert/strict';

import { problemText } from '../../../src/config/fields.ts';
import { parseWebhookConfig } from '../../../src/config/webhook-config.ts';
import { checkDefault } from '../../../webhook/settings.ts';

const OPTIONS = { image: 'logtender:test', checkDefault };

describe('webhook.yaml', () => {
  it('has a default for every key', () => {
    const parsed = parseWebhookConfig('', OPTIONS);
    assert(parsed.ok);
    const { cluster, namespace, image, serviceAccountMode, server, defaults } = parsed.value;
    assert.deepEqual(
      [cluster, namespace, image, serviceAccountMode, defaults.size],
      ['default', 'logtender', 'logtender:test', 'if-default', 0],
    );
    assert.deepEqual(
      [server.port, server.bodyBytesMax, server.requestMsMax, server.drainMs],
      [8443, 10 * 1024 * 1024, 10_000, 10_000],
    );
  });

  it('env says in which namespace we are', () => {
    const parsed = parseWebhookConfig('namespace: a', { ...OPTIONS, namespace: 'b' });
    assert(parsed.ok);
    assert.equal(parsed.value.namespace, 'b');
  });

  it('takes defaults as text, number, flag or list', () => {
    const parsed = parseWebhookConfig(
      'defaults: {retention-days: 30, sink: [elasticsearch, cloudwatch], flush-interval: 2s}',
      OPTIONS,
    );
    assert(parsed.ok);
    assert.deepEqual(
      [...parsed.value.defaults],
      [
        ['retention-days', '30'],
        ['sink', 'elasticsearch,cloudwatch'],
        ['flush-interval', '2s'],
      ],
    );
  });

  /** Text of the file, and a part of every problem that must come back, in any order. */
  const BAD: readonly (readonly [string, string, readonly RegExp[]])[] = [
    ['no YAML', 'a: [', [/\(file\): expected YAML/]],
    ['no object', '- a', [/expected an object/]],
    ['a typo', 'clustr: x', [/clustr: expected a known key .*did you mean cluster\?/]],
    [
      'several at once',
      'serviceAccountMode: always\nelasticsearchUrl: elasticsearch:9200\nserver: {prt: 1, bodyBytesMax: 1}\ndefaults: {flush-interval: 5, snk: x}',
      [
        /serviceAccountMode: expected one of never, if-default, require, got "always"/,
        /elasticsearchUrl: expected a URL/,
        /server\.prt: .*did you mean port\?/,
        /server\.bodyBytesMax: expected an integer from 65536/,
        /defaults\.flush-interval: expected a duration .*did you mean 5s\?/,
        /defaults\.snk: .*did you mean sink\?/,
      ],
    ],
    [
      'a password in a URL',
      'elasticsearchUrl: https://me:secret@host',
      [/elasticsearchUrl: expected .*without user, password, query/],
    ],
    [
      'an API key in a URL, and a fragment',
      'elasticsearchUrl: https://host/path?apikey=x\ncloudwatchEndpoint: https://host#x',
      [/elasticsearchUrl: expected .*query/, /cloudwatchEndpoint: expected .*fragment/],
    ],
    [
      'an alias without an anchor, with its line',
      'cluster: a\nawsRegion: *b',
      [/^line 2: \(file\): expected YAML .*got \*b; .*in quotes/],
    ],
    ['an alias of what it stands in', 'cluster: &a [*a]', [/\(file\): expected YAML/]],
    [
      'a budget below one body',
      'server: {bodyBytesMax: 20971520, inFlightBytesMax: 10485760}',
      [/inFlightBytesMax: expected at least bodyBytesMax/],
    ],
    ['defaults that are a list', 'defaults: [sink]', [/defaults: expected an object/]],
    ['a default that is an object', 'defaults: {sink: {a: 1}}', [/defaults\.sink: expected a text/]],
    ['a duration without unit', 'server: {drain: 10}', [/server\.drain: expected a duration .*write 10s or 10ms/]],
  ];
  for (const [name, text, wants] of BAD) {
    it(`refuses ${name}`, () => {
      const parsed = parseWebhookConfig(text, OPTIONS);
      assert(!parsed.ok);
      const problems = parsed.problems.map(problemText);
      for (const want of wants)
        assert(
          problems.some((problem) => want.test(problem)),
          `${want}: ${problems.join('\n')}`,
        );
      assert.equal(problems.length, wants.length, problems.join('\n'));
    });
  }
});
