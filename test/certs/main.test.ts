/**
 * The process at its door: what it says and how it ends when it cannot begin.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { plainEnv } from '../plain-env.ts';

const MAIN = resolve(import.meta.dirname, '../../certs/main.ts');

describe('certs process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-certs-main-'));
  after(() => rmSync(folder, { recursive: true }));

  function run(config: string | undefined, more = {}): { readonly status: number | null; readonly stderr: string } {
    const file = join(folder, 'certs.yaml');
    if (config !== undefined) writeFileSync(file, config);
    else rmSync(file, { force: true });
    // A home without a kubeconfig: nothing of this machine is used.
    const env = { ...plainEnv(), HOME: folder, CERTS_CONFIG_FILE: file, ...more };
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
      assert.match(stderr, /certs\.yaml:[^]*expected (a YAML file|YAML)/);
    }
  });

  it('a fault hook that names no step: exit 2, every step that there is', () => {
    const { status, stderr } = run('{}', { LOGTENDER_FAULT_AT: 'promote:during' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /LOGTENDER_FAULT_AT: expected one of .*promote:before, promote:after.*got "promote:during"/);
  });

  it('a mode in which others make the certificate: no cluster is asked, it is ready, says why, and ends with exit 0', async () => {
    const mode = 'cert-manager';
    const file = join(folder, 'other.yaml');
    writeFileSync(file, `mode: ${mode}\nadminHost: 127.0.0.1\nadminPort: 0\n`);
    const env = { ...plainEnv(), HOME: folder, CERTS_CONFIG_FILE: file };
    const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      let stderr = '';
      child.stderr.setEncoding('utf8');
      while (!stderr.includes('"adminPort"')) stderr += String((await once(child.stderr, 'data'))[0]);
      const port = /"adminPort":(\d+)/.exec(stderr)?.[1] ?? '';
      assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
      assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/status`)).json(), { mode });
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.equal(code, 0, stderr);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('no cluster: exit 1 and what to do', () => {
    const { status, stderr } = run('{}');
    assert.equal(status, 1, stderr);
    assert.match(stderr, /expected a kubeconfig with a current context, got none \(Set KUBECONFIG/);
  });
});
