/**
 * Past the proxy or through it: what `check sink` says beforehand is what the agent does.
 */
import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { systemClock } from '../../../src/core/clock.ts';
import { checkElasticsearch } from '../../../src/sinks/elasticsearch/check.ts';
import { openConnection } from '../../../src/sinks/http-exchange.ts';
import { proxyOf } from '../../../src/sinks/proxy-way.ts';
import { forwarderConfig } from '../../fakes/forwarder-config.ts';
import { ScriptedServer } from '../../fakes/scripted-server.ts';

/** Host, NO_PROXY, whether requests go straight. PORT stands for that of the server. */
const CASES: ReadonlyArray<readonly [host: string, none: string, isStraight: boolean]> = [
  ['logs.example', 'other.example', false],
  ['logs.example', 'other.example, Logs.Example', true],
  ['logs.example', '*', true],
  ['logs.example', 'example', false],
  ['logs.example', '.example', true],
  ['logs.example', '.logs.example', true],
  ['mylogs.example', '.logs.example', false],
  ['a.logs.example', '*.example', true],
  ['example', '*.example', false],
  ['logs.example', 'logs.example:PORT', true],
  ['logs.example', 'logs.example:1', false],
  ['127.0.0.1', '127.0.0.0/8', false],
  ['127.0.0.1', '127.0.0.0 - 127.0.0.9', true],
  ['127.0.0.1', '127.0.0.2-127.0.0.9', false],
  ['logs.example', ',', false],
];

describe('the way through a proxy', () => {
  let seen: string[] = [];
  const server = new ScriptedServer(({ url = '' }) => {
    seen.push(url);
    return { status: 200, body: '{}' };
  });
  before(() => server.start());
  after(() => server.stop());
  beforeEach(() => {
    seen = [];
  });

  for (const [host, pattern, isStraight] of CASES) {
    it(`${host} with NO_PROXY=${pattern}`, async () => {
      const { port } = new URL(server.url);
      const url = new URL(`http://${host}:${port}/`);
      const proxy = { HTTP_PROXY: server.url, NO_PROXY: pattern.replace('PORT', port) };
      assert.equal(proxyOf(url, proxy) === undefined, isStraight);
      // Server and proxy are one: a request by a proxy has the absolute form (RFC 9112, section 3.2.2).
      const lookup: LookupFunction = (_, options, done) =>
        options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);
      const connection = await openConnection({ url, ca: undefined, proxy, lookup, clock: systemClock });
      await connection.exchange({
        method: 'GET',
        path: '/x',
        headers: {},
        body: [],
        timeoutMs: 5_000,
        answerBytesMax: 1_000,
        signal: new AbortController().signal,
      });
      connection.close();
      assert.deepEqual(seen, [isStraight ? '/x' : `http://${host}:${port}/x`]);
    });
  }

  it('each scheme has a proxy of its own', () => {
    assert.equal(proxyOf(new URL('https://logs.example'), { HTTP_PROXY: 'http://p:1' }), undefined);
    const secure = { HTTPS_PROXY: 'http://p:1', NO_PROXY: '[::1]' };
    assert.equal(proxyOf(new URL('https://logs.example'), secure)?.host, 'p:1');
    assert.equal(proxyOf(new URL('https://logs.example'), { ...secure, NO_PROXY: 'logs.example:443' }), undefined);
    assert.equal(proxyOf(new URL('https://[::1]'), { ...secure, NO_PROXY: '::1' }), undefined);
  });

  it('check sink looks at the way to the hosts of NO_PROXY', async () => {
    const namesOf = async (none: string): Promise<readonly string[]> => {
      const env = { ELASTICSEARCH_URL: server.url, HTTP_PROXY: server.url, NO_PROXY: none };
      const names: string[] = [];
      const options = { config: forwarderConfig(env), clock: systemClock, writes: false };
      for await (const { name } of checkElasticsearch(options)) names.push(name);
      return names.slice(0, 2);
    };
    assert.deepEqual(await namesOf('127.0.0.1'), ['dns', 'tcp']);
    assert.equal((await namesOf('other.example'))[0], 'network');
  });
});
