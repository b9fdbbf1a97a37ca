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
import {
  createInjected,
  isReady,
  podThat,
  sidecarStatus,
  tellHistory,
  template,
  writer,
  type PodObject,
} from './pods.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';
import { evict } from './webhook-pods.ts';

const TEST_MS_MAX = 240_000;
const NAMESPACE = 'faults';
const RATE = 200;
/** Long enough for all that happens to them. */
const SECONDS = 20;
const LINES = RATE * SECONDS;
const FAREWELL = 50;
const CASES = ['killed', 'oom', 'calm'] as const;
const OOM_TIMES = 3;
const EVICTED = 'faults-evicted';
const FULL = 'faults-full';
/** Holds the object of a pod that is gone, so that its last words can be read. */
const FINALIZER = 'tests.logging.io/words';
const WHOLE = /elasticsearch: read=(\d+) delivered=\1 dropped=0 pending=0 .*unread_bytes=0/;
const CUT_SHORT = /at SIGTERM it stood so\nelasticsearch: read=\d+ delivered=(\d+) .*unread_bytes=(\d+)/;

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
    await createInjected(real.kubectl, NAMESPACE);
    const items = CASES.map((name) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      ...template(writer({ count: LINES, rate: RATE, rotate: 1_500, linger: -1, farewell: FAREWELL })),
      metadata: { name, namespace: NAMESPACE },
    }));
    await Promise.all([EVICTED, FULL].map((name) => createInjected(real.kubectl, name)));
    await real.kubectl.run(['apply', '-f', '-'], {
      input: { apiVersion: 'v1', kind: 'List', items: [...items, evicted(EVICTED), evicted(FULL)] },
    });
  });
  after(async () => {
    const namespaces = [NAMESPACE, EVICTED, FULL];
    await real?.kubectl.run(['delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait=false']);
  });

  /** Writes until it is told to end. That of FULL on a volume of its own, which is larger than it may be after some seconds. */
  const evicted = (namespace: string): unknown => {
    const app = writer({ count: 1_000_000, rate: RATE, farewell: FAREWELL });
    const own = { volumeMounts: [{ name: 'own', mountPath: '/var/log/app' }] };
    const spec = { volumes: [{ name: 'own', emptyDir: { sizeLimit: '100Ki' } }] };
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      ...(namespace === FULL ? template({ ...app, ...own }, spec) : template(app)),
      metadata: { name: 'evicted', namespace, finalizers: [FINALIZER] },
    };
  };
  /** The sidecar's last words, or what the kubelet says in their place. */
  const lastWordsIn = async (namespace: string): Promise<string> => {
    const pod = await podThat(
      real.kubectl,
      namespace,
      'evicted',
      (found) => sidecarStatus(found)?.state.terminated !== undefined,
    );
    return sidecarStatus(pod)?.state.terminated?.message ?? '';
  };
  const letGo = async (namespace: string): Promise<void> => {
    const patch = ['patch', 'pod', 'evicted', '-n', namespace, '--type=merge', '-p'];
    await real.kubectl.run([...patch, '{"metadata":{"finalizers":null}}']);
  };
  /** Everything that it wrote is there, by the sidecar's own last words and by the lines. */
  const assertWhole = async (namespace: string, message: string): Promise<void> => {
    const [, read = ''] = WHOLE.exec(message) ?? [];
    const lines = Number(read);
    assert.ok(lines > FAREWELL, message);
    assertEachOnce(await arrivals(real.search, namespace, lines), 1, lines);
  };
  /** What arrived has no hole, and what did not is told: by us as it stood at SIGTERM, or by the kubelet that lost the container. */
  const assertTold = async (namespace: string, message: string): Promise<void> => {
    const [, delivered = '', unread = ''] = CUT_SHORT.exec(message) ?? [];
    assert.ok(unread !== '' || message.includes('could not be located'), message);
    process.stdout.write(`      killed before its drain was over: ${message.split('\n').join(' ').slice(0, 160)}\n`);
    const found = await arrivals(real.search, namespace, Number(delivered));
    for (const { lines } of found.values()) {
      assert.ok(lines >= Number(delivered));
      assertEachOnce(found, 1, lines);
    }
  };

  it('kill -9 of the sidecar: it comes back, the app does not notice', async () => {
    const pod = await podOf('killed');
    for (const pid of real.cluster.processes(sidecarId(pod))) process.kill(pid, 'SIGKILL');
    const after = await restarted('killed', 1);
    assert.equal(after.status.containerStatuses?.[0]?.restartCount, 0);
    assert.equal(sidecarStatus(after)?.lastState.terminated?.exitCode, 137);
  });

  it('out of memory, time and again: the kernel kills the sidecar alone, the status says OOMKilled, the app does not notice', async () => {
    let pod = await podOf('oom');
    for (let times = 1; times <= OOM_TIMES; times += 1) {
      await eatMemory(real.cluster.addresses.group, sidecarId(pod));
      pod = await restarted('oom', times);
      assert.equal(sidecarStatus(pod)?.lastState.terminated?.reason, 'OOMKilled');
      assert.equal(pod.status.containerStatuses?.[0]?.restartCount, 0);
    }
    // Not between the kill and the start that follows: a native sidecar that is down makes its pod unready (KEP-753).
    await podOf('oom');
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

  it('evicted through the API in the middle of it: what the app wrote until its end is there', async () => {
    const pod = await podThat(real.kubectl, EVICTED, 'evicted', isReady);
    await evict(real.kubectl, pod);
    await assertWhole(EVICTED, await lastWordsIn(EVICTED));
    await letGo(EVICTED);
  });

  // With one second of grace, whatever the pod asks for (eviction_manager.go, immediateEvictionGracePeriodSeconds): a busy machine needs more.
  it('evicted by the kubelet for a volume of its own that is full: the same, or it is told what is left', async () => {
    const pod = await podThat(real.kubectl, FULL, 'evicted', ({ status }) => status.phase === 'Failed');
    assert.equal(pod.status.reason, 'Evicted');
    const message = await lastWordsIn(FULL);
    await (WHOLE.test(message) ? assertWhole : assertTold)(FULL, message);
    await letGo(FULL);
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
    const soFar = await arrivals(search, NAMESPACE, CASES.length * LINES);
    if ([...soFar.values()].some(({ duplicates }) => duplicates > 0)) await tellHistory(kubectl, NAMESPACE);
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
