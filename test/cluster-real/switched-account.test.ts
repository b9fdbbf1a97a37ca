/**
 * A pod whose account was switched for `stdout: api`: each of its containers looks for tokens wherever it can, and asks the API server for
 * the log of its own pod with every one that it finds, and without any. Ours may; the user's may not.
 */
import assert from 'node:assert/strict';
import { isReady, podThat, writer } from './pods.ts';
import { applyTo, createShipping } from './stdio-namespace.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';

const TEST_MS_MAX = 180_000;
const NAMESPACE = 'account';
const NODE = '/usr/local/bin/node';
const FORWARDER = `system:serviceaccount:${NAMESPACE}:logtender-forwarder`;

/** Every file and every variable that holds a JSON Web Token (RFC 7519: three parts, the first begins with `{"`), then the requests. */
const ASKS = `
const { readdirSync, readFileSync, statSync } = require('node:fs');
const { get } = require('node:https');
const TOKEN = /^eyJ[\\w-]+\\.[\\w-]+\\.[\\w-]+$/;
const tokens = new Set(Object.values(process.env).filter((value) => TOKEN.test(value)));
const walk = (folder) => {
  let entries = [];
  try { entries = readdirSync(folder || '/', { withFileTypes: true }); } catch { return; }
  for (const entry of entries) {
    const path = folder + '/' + entry.name;
    if (['/proc', '/sys', '/dev'].includes(path)) continue;
    if (entry.isDirectory()) walk(path);
    else if (entry.isFile())
      try {
        if (statSync(path).size > 65536) continue;
        const text = readFileSync(path, 'utf8').trim();
        if (TOKEN.test(text)) tokens.add(text);
      } catch {}
  }
};
walk('');
const { HOSTNAME, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const path = '/api/v1/namespaces/${NAMESPACE}/pods/' + HOSTNAME + '/log?container=app&tailLines=1';
const ask = (headers) => new Promise((resolve, reject) =>
  get({ host, port, path, headers, rejectUnauthorized: false }, (answer) => {
    answer.resume();
    resolve(answer.statusCode);
  }).once('error', reject));
(async () => {
  const byToken = [];
  for (const token of tokens) byToken.push(await ask({ authorization: 'Bearer ' + token }));
  console.log(JSON.stringify({ byToken, anonymous: await ask({}) }));
})();
`;
const NOTHING = { byToken: [], anonymous: 403 };

describe('the account of a switched pod in a real cluster', function () {
  this.timeout(TEST_MS_MAX);
  let real: UnderTest;
  let name: string;

  before(async function () {
    real = await requireLogtender(this);
    const { kubectl, image } = real;
    await createShipping(kubectl, 'api', NAMESPACE);
    // Our image, because it has a program that can ask.
    const curious = (container: string, script: string): unknown => {
      const { securityContext, resources } = writer({ count: 0 });
      return { name: container, image: image.reference, command: [NODE, '-e', script], securityContext, resources };
    };
    const stays = `console.log('here'); process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1000);`;
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'curious' },
      spec: {
        initContainers: [curious('prepare', ASKS)],
        containers: [curious('app', stays), curious('other', stays)],
      },
    };
    await applyTo(kubectl, NAMESPACE, [pod]);
    ({ name } = (await podThat(kubectl, NAMESPACE, 'curious', isReady)).metadata);
  });
  after(async () => {
    await real?.kubectl.run(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait=false']);
  });

  const asksIn = async (container: string): Promise<unknown> => {
    const text = await real.kubectl.run(['exec', name, '-n', NAMESPACE, '-c', container, '--', NODE, '-e', ASKS]);
    return JSON.parse(text);
  };

  it('ours finds one token, and may read the log', async () => {
    assert.deepEqual(await asksIn('logtender'), { byToken: [200], anonymous: 403 });
  });

  for (const container of ['app', 'other'])
    it(`${container} finds no token, and may not`, async () => assert.deepEqual(await asksIn(container), NOTHING));

  it('an init container, which runs beside ours, finds none and may not', async () => {
    const text = await real.kubectl.run(['logs', name, '-n', NAMESPACE, '-c', 'prepare']);
    assert.deepEqual(JSON.parse(text), NOTHING);
  });

  it('the account may get pods of its namespace and their logs, and nothing else: no other namespace, no list, no Secret', async () => {
    const may = async (...args: readonly string[]): Promise<string> =>
      (await real.kubectl.outcome(['auth', 'can-i', ...args, `--as=${FORWARDER}`])).stdout.trim();
    assert.equal(await may('get', 'pods', '--subresource=log', '-n', NAMESPACE), 'yes');
    assert.equal(await may('get', 'pods', '-n', NAMESPACE), 'yes');
    for (const args of [
      ['get', 'pods', '--subresource=log', '-n', 'default'],
      ['list', 'pods', '-n', NAMESPACE],
      ['delete', 'pods', '-n', NAMESPACE],
      ['create', 'pods', '--subresource=exec', '-n', NAMESPACE],
      ['get', 'secrets', '-n', NAMESPACE],
    ])
      assert.equal(await may(...args), 'no', args.join(' '));
  });
});
