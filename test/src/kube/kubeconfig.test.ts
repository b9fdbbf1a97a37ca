/**
 * Kubeconfig files become connections; what cannot be used says so.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadKubeConnection } from '../../../src/kube/kubeconfig.ts';

const KUBECONFIG = `
apiVersion: v1
kind: Config
current-context: one
contexts:
  - { name: one, context: { cluster: c, user: token, namespace: apps } }
  - { name: two, context: { cluster: c, user: certificate } }
clusters:
  - { name: c, cluster: { server: 'https://127.0.0.1:6443/base', certificate-authority-data: Q0E= } }
users:
  - { name: token, user: { token: t0ken } }
  - { name: certificate, user: { client-certificate-data: Q0VSVA==, client-key-data: S0VZ } }
`;

describe('kubeconfig', () => {
  let folder = '';
  const write = (text: string): string => {
    const file = join(folder, 'config');
    writeFileSync(file, text);
    return file;
  };

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-kubeconfig-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('gives server, namespace and token of the current context', async () => {
    const connection = await loadKubeConnection({ file: write(KUBECONFIG) });
    assert.equal(connection.server.href, 'https://127.0.0.1:6443/base');
    assert.equal(connection.namespace, 'apps');
    const { headers, ca, agent } = await connection.credentials();
    assert.deepEqual(headers, { Authorization: 'Bearer t0ken' });
    assert.equal(String(ca), 'CA');
    assert.equal(agent, undefined, 'our own agent keeps connections');
  });

  it('gives the client certificate of another context', async () => {
    const connection = await loadKubeConnection({ file: write(KUBECONFIG), context: 'two' });
    const { cert, key } = await connection.credentials();
    assert.deepEqual([cert, key], [Buffer.from('CERT'), Buffer.from('KEY')]);
  });

  it('a missing file, garbage and an unknown context are errors with a hint', async () => {
    const hint = /KUBECONFIG/;
    await assert.rejects(loadKubeConnection({ file: join(folder, 'absent') }), { code: 'KUBE_UNAVAILABLE', hint });
    await assert.rejects(loadKubeConnection({ file: write('a: [') }), { code: 'KUBE_UNAVAILABLE', hint });
    await assert.rejects(loadKubeConnection({ file: write(KUBECONFIG), context: 'three' }), {
      code: 'KUBE_UNAVAILABLE',
      hint,
    });
  });
});
