/**
 * The sidecar killed, out of memory, kubelet and container runtime restarted, the pod deleted: no line is lost that a file still holds,
 * and none is twice in Elasticsearch.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../cluster/installation.ts';
import { groupOf } from '../servers/node/control-groups.ts';
import { arrivals, assertEachOnce } from './arrived.ts';
import { createInjected, isReady, podThat, sidecarStatus, template, writer, type PodObject } from './pods.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';

const TEST_MS_MAX = 240_000;
const NAMESPACE = 'faults';
const RATE = 200;
/** Long enough for all that happens to them. */
const SECONDS = 20;
const LINES = RATE * SECONDS;
const FAREWELL = 50;
const CASES = ['killed', 'oom', 'calm'] as const;

describe('faults in a real cluster', function () {
  this.timeout(TEST_MS_MAX);
  let real: UnderTest;

  const podOf = (name: string): Promise<PodObject> => podThat(real.kubectl, NAMESPACE, name, isReady);
  const sidecarId = (pod: PodObject): string => sidecarStatus(pod)?.containerID ?? '';
  const restarted = (name: string, times: number): Promise<PodObject> =>
    podThat(real.kubectl, NAMESPACE, name, (pod) => {
      const status = sidecarStatus(pod);
      return (status?.restartCount ?? 0) >= times && status?.state.running !== undefined;
    });

  before(async function () {
    real = await requireLogtender(this);
    this.timeout(TEST_MS_MAX);
    await createInjected(real.kubectl, NAMESPACE);
    const items = CASES.map((name) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      ...template(writer({ count: LINES, rate: RATE, rotate: 1_500, linger: -1, farewell: FAREWELL })),
      metadata: { name, namespace: NAMESPACE },
    }));
    await real.kubectl.run(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
  });
  after(async () => {
    await real?.kubectl.run(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait=false']);
  });

  it('kill -9 of the sidecar: it comes back, the app does not notice', async () => {
    const pod = await podOf('killed');
    for (const pid of real.cluster.processes(sidecarId(pod))) process.kill(pid, 'SIGKILL');
    const after = await restarted('killed', 1);
    assert.equal(after.status.containerStatuses?.[0]?.restartCount, 0);
    assert.equal(sidecarStatus(after)?.lastState.terminated?.exitCode, 137);
  });

  it('out of memory: the kernel kills the sidecar alone, the status says OOMKilled, the app does not notice', async () => {
    const pod = await podOf('oom');
    await eatMemory(real.cluster.addresses.group, sidecarId(pod));
    const after = await restarted('oom', 1);
    assert.equal(sidecarStatus(after)?.lastState.terminated?.reason, 'OOMKilled');
    assert.equal(after.status.containerStatuses?.[0]?.restartCount, 0);
  });

  it('kubelet and container runtime killed and started again: pods live on', async () => {
    const { kubelet, containerd } = real.cluster;
    const before = await podOf('calm');
    await kubelet.halt();
    await containerd.halt('SIGKILL');
    await containerd.start();
    await kubelet.resume();
    const after = await podOf('calm');
    assert.equal(sidecarId(after), sidecarId(before));
    assert.equal(sidecarStatus(after)?.restartCount, 0);
  });

  it('each line once, those that the app wrote after SIGTERM included', async () => {
    const { kubectl, search } = real;
    await eventually(
      'the last lines',
      async () => {
        const logs = await search.request('GET', `/logs-logtender-faults/_count`);
        return ((logs.body as { readonly count?: number }).count ?? 0) >= CASES.length * LINES ? true : undefined;
      },
      120_000,
    );
    await kubectl.run(['delete', 'pod', ...CASES, '-n', NAMESPACE, '--timeout=60s']);
    const lines = LINES + FAREWELL;
    assertEachOnce(await arrivals(search, NAMESPACE, CASES.length * lines), CASES.length, lines);
  });
});

/**
 * Fills a container's memory from a process that joins its control group. The kernel kills the process of the group that is the worst by
 * its score; a container that may burst has 999 of 1000, so it is the container's own.
 */
async function eatMemory(group: string, containerId: string): Promise<void> {
  const folder = groupOf(group, containerId);
  assert.ok(folder !== undefined, 'the container has a control group');
  const script = `echo $$ > '${folder}/cgroup.procs' && head -c 48M /dev/zero | tail > /dev/null`;
  const child = spawn('/bin/sh', ['-c', script], { stdio: 'ignore' });
  await once(child, 'exit');
}
