/**
 * The README's first command: `npm start -- --once` with the console, a real Elasticsearch and CloudWatch Logs.
 */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { run } from '../servers/programs.ts';
import { requireServer } from '../servers/require-server.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const RUN_MS_MAX = 60_000;

async function start(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; out: string; written: number }> {
  const outcome = await run(process.execPath, ['src/cli/main.ts', 'start', '--once', ...args], {
    cwd: ROOT,
    timeoutMs: RUN_MS_MAX,
    env,
  });
  const written = Number(/the app wrote (\d+) lines/.exec(outcome.stdout)?.[1]);
  return { code: outcome.code, out: outcome.stdout + outcome.stderr, written };
}

describe('npm start', function () {
  this.timeout(RUN_MS_MAX + 10_000);

  it('shows every step, prints the records and a summary that adds up', async () => {
    const { code, out, written } = await start([]);
    assert.equal(code, 0, out);
    assert.match(
      out,
      /1\. certificates[\s\S]*2\. webhook[\s\S]*3\. the pod[\s\S]*4\. the sidecar[\s\S]*5\. the app wrote/,
    );
    assert.ok(written > 16, `two rotations and more: ${written} lines`);
    assert.match(out, new RegExp(`console: read=${written} delivered=${written} dropped=0 pending=0`));
    assert.equal(out.split('\n').filter((line) => line.startsWith('{"@timestamp"')).length, written);
  });

  it('sends to a real Elasticsearch', async function () {
    const server = await requireServer(this, 'elasticsearch');
    await server.request('DELETE', '/logs-logtender-shop');
    const { code, out, written } = await start(['--sink', 'elasticsearch', '--url', server.url]);
    assert.equal(code, 0, out);
    await server.request('POST', '/logs-logtender-shop/_refresh');
    const count = await server.request('GET', '/logs-logtender-shop/_count');
    assert.equal((count.body as { count: number }).count, written);
  });

  it('sends to CloudWatch Logs', async function () {
    const server = await requireServer(this, 'cloudwatch');
    await server.reset();
    const { code, out, written } = await start(
      ['--sink', 'cloudwatch', '--endpoint', server.url, '--region', server.region],
      {
        AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      },
    );
    assert.equal(code, 0, out);
    const events = await server.readEvents('/k8s/demo/shop/web', 'web-1/app/var/log/app/app.log');
    assert.equal(events.length, written);
  });

  it('says what is wrong with its command line', async () => {
    const misspelt = await start(['--sink', 'elasticserch']);
    assert.equal(misspelt.code, 2);
    assert.match(
      misspelt.out,
      /--sink: expected elasticsearch, cloudwatch, s3, file, console, got elasticserch \(did you mean elasticsearch\?\)/,
    );
    const nowhere = await start(['--sink', 'elasticsearch']);
    assert.equal(nowhere.code, 2);
    assert.match(nowhere.out, /expected --url URL, got none/);
  });
});
