/**
 * The bundles that an image holds do what the source does: run from a folder that is no checkout.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleOf } from '../bundles.ts';
import { run } from '../servers/programs.ts';
import { requireServer } from '../servers/require-server.ts';

const RUN_MS_MAX = 60_000;

describe('bundles', function () {
  this.timeout(RUN_MS_MAX + 10_000);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'logtender-no-checkout-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}): ReturnType<typeof run> =>
    run(process.execPath, [bundleOf('cli'), 'start', '--once', ...args], {
      cwd: folder,
      timeoutMs: RUN_MS_MAX,
      env,
    });

  it('cli, webhook code, certs code and forwarder: npm start without a checkout', async () => {
    const { code, stdout, stderr } = await start([]);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /console: read=(\d+) delivered=\1 dropped=0 pending=0/);
  });

  it('forwarder with the AWS SDK', async function () {
    const server = await requireServer(this, 'cloudwatch');
    await server.reset();
    const { code, stdout, stderr } = await start(
      ['--sink', 'cloudwatch', '--endpoint', server.url, '--region', server.region],
      {
        AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      },
    );
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /cloudwatch: read=(\d+) delivered=\1 dropped=0 pending=0/);
  });

  for (const [name, config] of [
    ['webhook', 'WEBHOOK_CONFIG_FILE'],
    ['certs', 'CERTS_CONFIG_FILE'],
  ] as const) {
    it(`${name} loads, and says what its configuration lacks`, async () => {
      const { code, stderr } = await run(process.execPath, [bundleOf(name)], {
        timeoutMs: RUN_MS_MAX,
        env: { [config]: join(folder, 'absent.yaml') },
      });
      assert.equal(code, 2, stderr);
      assert.match(stderr, /absent\.yaml: expected a .*file/);
    });
  }
});
