/**
 * The control plane as the tests have it: kubectl works, controllers and scheduler work, the API server can be away for a while.
 */
import assert from 'node:assert/strict';
import { requireServer } from './require-server.ts';
import type { ControlPlane } from './servers.ts';

const TEST_MS_MAX = 120_000;

interface Pod {
  readonly spec: {
    readonly nodeName?: string;
    readonly containers: ReadonlyArray<{ readonly volumeMounts?: readonly unknown[] }>;
  };
}

describe('server control-plane', function () {
  this.timeout(TEST_MS_MAX);
  let plane: ControlPlane;
  const podTemplate = { containers: [{ name: 'app', image: 'example.org/app' }] };

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode({ name: 'node-a' });
    await plane.kubectl(['create', 'namespace', 'server-test']);
  });
  it('has the version that its name says', async () => {
    const { body } = await plane.request('GET', '/version');
    assert.equal((body as { readonly gitVersion: string }).gitVersion, plane.version);
    const client: unknown = JSON.parse(await plane.kubectl(['version', '--client', '-o', 'json']));
    assert.equal(
      (client as { readonly clientVersion: { readonly gitVersion: string } }).clientVersion.gitVersion,
      plane.version,
    );
  });

  it('shows a node that is Ready, with the version of its kubelet', async () => {
    await plane.registerNode({ name: 'node-b', kubeletVersion: 'v1.28.0' });
    const text = await plane.kubectl(['get', 'nodes', '--no-headers']);
    assert.match(text, /^node-a\s+Ready\s.*v1\.36\.3$/m);
    assert.match(text, /^node-b\s+Ready\s.*v1\.28\.0$/m);
    await plane.kubectl(['delete', 'node', 'node-b']);
  });

  it('binds a pod of kubectl to the node, with the token of its service account', async () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'server-test' }, spec: podTemplate };
    await plane.kubectl(['apply', '-f', '-'], { input: pod });
    await plane.kubectl(['wait', '-n', 'server-test', 'pod/a', '--for=condition=PodScheduled', '--timeout=30s']);
    const { body } = await plane.request('GET', '/api/v1/namespaces/server-test/pods/a');
    const { spec } = body as Pod;
    assert.equal(spec.nodeName, 'node-a');
    assert.equal(spec.containers[0]?.volumeMounts?.length, 1);
  });

  it('makes the pods of a Deployment', async () => {
    const labels = { app: 'web' };
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: 'server-test' },
      spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podTemplate } },
    };
    await plane.kubectl(['apply', '-f', '-'], { input: deployment });
    await plane.kubectl([
      'wait',
      '-n',
      'server-test',
      'deployment/web',
      '--for=jsonpath={.status.replicas}=2',
      '--timeout=30s',
    ]);
    const names = await plane.kubectl(['get', 'pods', '-n', 'server-test', '-l', 'app=web', '-o', 'name']);
    assert.equal(names.trim().split('\n').length, 2);
  });

  it('says what kubectl said when it fails', async () => {
    const outcome = await plane.kubectlOutcome(['get', 'pod', 'absent', '-n', 'server-test']);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /NotFound/);
    await assert.rejects(plane.kubectl(['get', 'pod', 'absent', '-n', 'server-test']), /NotFound/);
  });

  it('enforces RBAC', async () => {
    const as = '--as=system:serviceaccount:server-test:default';
    assert.match((await plane.kubectlOutcome(['get', 'secrets', '-n', 'server-test', as])).stderr, /Forbidden/);
  });

  it('has an API server that can be away, and is back with its data', async () => {
    const { url, pids } = plane;
    await plane.haltApiServer();
    await assert.rejects(plane.request('GET', '/readyz'), { code: 'ECONNREFUSED' });
    await plane.resumeApiServer();
    assert.equal(plane.url, url);
    assert.notEqual(plane.pids['kube-apiserver'], pids['kube-apiserver']);
    assert.equal((await plane.request('GET', '/api/v1/namespaces/server-test')).status, 200);
  });

  after(async () => {
    // The suites that follow share this plane.
    await plane?.kubectl(['delete', 'namespace', 'server-test', '--wait=false']);
    await plane?.kubectl(['delete', 'node', 'node-a']);
  });
});
