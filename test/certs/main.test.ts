/**
 * The process at its door: what it says and how it ends when it cannot begin.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const MAIN = resolve(import.meta.dirname, '../../certs/main.ts');

describe('certs process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-certs-main-'));
  after(() => rmSync(folder, { recursive: true }));

  function run(config: string | undefined): { readonly status: number | null; readonly stderr: string } {
    const file = join(folder, 'certs.yaml');
    if (config !== undefined) writeFileSync(file, config);
    else rmSync(file, { force: true });
    // A home without a kubeconfig: nothing of this machine is used.
    const env = { PATH: process.env['PATH'], HOME: folder, CERTS_CONFIG_FILE: file };
    return spawnSync(process.execPath, [MAIN], { encoding: 'utf8', env, timeout: 30_000 });
  }

  it('a typo in the configuration: exit 2, key and remedy', () => {
    const { status, stderr } = run('leafLive: 20d\ntick: 30\n');
    assert.equal(status, 2, stderr);
    assert.match(stderr, /tick: expected a duration .*; write 30s or 30ms/);
    assert.match(stderr, /leafLive: .*did you mean leafLife\?/);
  });

  it('no YAML and no file: exit 2, the path', () => {
    for (const config of ['a: [', undefined]) {
      const { status, stderr } = run(config);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /certs\.yaml: expected a YAML file/);
    }
  });

  it('no cluster: exit 1 and what to do', () => {
    const { status, stderr } = run('{}');
    assert.equal(status, 1, stderr);
    assert.match(stderr, /expected a kubeconfig with a current context, got none \(Set KUBECONFIG/);
  });
});
