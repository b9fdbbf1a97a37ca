/**
 * Every kind of workload in real containers under a real kubelet: each line of a numbered load is in Elasticsearch once, Jobs end, and
 * their status says what became of their lines.
 */
import assert from 'node:assert/strict';
import { eventually } from '../cluster/installation.ts';
import { arrivals, assertEachOnce } from './arrived.ts';
import type { Kubectl } from './kubectl.ts';
import { createInjected, podsOf, podThat, sidecarStatus, template, writer, type PodObject } from './pods.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';

const TEST_MS_MAX = 180_000;
const LINES = 2_000;
const LOAD = { count: LINES, rate: 1_000, rotate: 700 };
const NAMESPACE = 'workloads';
/** The CronJob comes with the next minute; everything else is done by then. */
const CRON_MS_MAX = 75_000;

const labels = { app: 'web' };
const stays = template(writer({ ...LOAD, linger: -1 }));
const plain = {
  ...template(writer({ ...LOAD, linger: -1 })),
  metadata: { labels: { app: 'plain' }, annotations: { 'logging.io/sidecar': 'container' } },
};
const ofPlain = { matchLabels: { app: 'plain' } };
// Lives on until the sidecar is up on a busy machine too; the Job of one line is the one that ends at once.
const ends = template(writer({ ...LOAD, linger: 10 }), { restartPolicy: 'Never' });

function workload(apiVersion: string, kind: string, name: string, spec: unknown): unknown {
  return { apiVersion, kind, metadata: { name, namespace: NAMESPACE }, spec };
}

const WORKLOADS: readonly unknown[] = [
  workload('batch/v1', 'CronJob', 'cron', {
    schedule: '* * * * *',
    concurrencyPolicy: 'Forbid',
    jobTemplate: { spec: { backoffLimit: 0, template: ends } },
  }),
  workload('apps/v1', 'Deployment', 'deployment', { replicas: 2, selector: { matchLabels: labels }, template: stays }),
  workload('apps/v1', 'StatefulSet', 'stateful', {
    replicas: 2,
    serviceName: 'stateful',
    podManagementPolicy: 'Parallel',
    selector: { matchLabels: labels },
    template: stays,
  }),
  workload('apps/v1', 'DaemonSet', 'daemon', { selector: { matchLabels: labels }, template: stays }),
  workload('apps/v1', 'Deployment', 'plain-deployment', { replicas: 1, selector: ofPlain, template: plain }),
  workload('apps/v1', 'StatefulSet', 'plain-stateful', {
    replicas: 1,
    serviceName: 'plain-stateful',
    selector: ofPlain,
    template: plain,
  }),
  workload('apps/v1', 'DaemonSet', 'plain-daemon', { selector: ofPlain, template: plain }),
  workload('batch/v1', 'Job', 'job', { backoffLimit: 0, template: ends }),
];
/** Deployment 2, StatefulSet 2, DaemonSet 1, each kind once in the plain shape, Job 1, CronJob 1. */
const WRITERS = 10;

/** A Job whose application ends at once; `name` is also the namespace, so that its lines are alone in their data stream. */
async function runJob(kubectl: Kubectl, name: string, pod: Readonly<Record<string, unknown>>): Promise<PodObject> {
  await kubectl.run(['apply', '-f', '-'], {
    input: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name, namespace: name },
      spec: { backoffLimit: 0, template: pod },
    },
  });
  await kubectl.run(['wait', '--for=condition=Complete', `job/${name}`, '-n', name, '--timeout=90s']);
  return podThat(kubectl, name, name, ({ status }) => status.phase === 'Succeeded');
}

describe('workloads in a real cluster', function () {
  this.timeout(TEST_MS_MAX);
  let real: UnderTest;

  before(async function () {
    real = await requireLogtender(this);
    await createInjected(real.kubectl, NAMESPACE);
    await real.kubectl.run(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items: WORKLOADS } });
  });
  after(async function () {
    await real?.kubectl.run([
      'delete',
      'namespace',
      NAMESPACE,
      'one-line',
      'init-lines',
      'plain-job',
      '--ignore-not-found',
      '--wait=false',
    ]);
  });

  it('a Job that writes one line and ends: its line is there, it completes, its status says so', async () => {
    await createInjected(real.kubectl, 'one-line');
    const pod = await runJob(real.kubectl, 'one-line', template(writer({ count: 1 }), { restartPolicy: 'Never' }));
    assertEachOnce(await arrivals(real.search, 'one-line', 1), 1, 1);
    const text = await real.kubectl.run(['describe', 'pod', pod.metadata.name, '-n', 'one-line']);
    assert.match(text, /logging\.io\/status:/);
    assert.equal(sidecarStatus(pod)?.state.terminated?.exitCode, 0);
    assert.match(text, /elasticsearch: read=1 delivered=1 dropped=0 .*pending=0/);
  });

  it('what an init container writes arrives too: ours starts before it', async () => {
    await createInjected(real.kubectl, 'init-lines');
    const first = writer({ count: 50, rate: 0 }, 'prepare');
    await runJob(
      real.kubectl,
      'init-lines',
      template(writer({ count: 0 }), { restartPolicy: 'Never', initContainers: [first] }),
    );
    assertEachOnce(await arrivals(real.search, 'init-lines', 50), 1, 50);
  });

  it('a Job that asks for the plain shape, where ours could not end by itself, runs without us and says why', async () => {
    await createInjected(real.kubectl, 'plain-job', { sidecar: 'container' });
    // Without us there is no shared volume: it brings its own.
    const app = { ...writer({ count: 1 }), volumeMounts: [{ name: 'own', mountPath: '/var/log/app' }] };
    const spec = { restartPolicy: 'Never', volumes: [{ name: 'own', emptyDir: {} }] };
    const pod = await runJob(real.kubectl, 'plain-job', template(app, spec));
    assert.equal(sidecarStatus(pod), undefined);
    assert.match(pod.metadata.annotations?.['logging.io/status'] ?? '', /ends_as_container/);
  });

  it('Deployment, StatefulSet, DaemonSet, native and plain, Job and CronJob: each line once', async () => {
    await eventually(
      'the pod of the CronJob',
      async () => ((await podsOf(real.kubectl, NAMESPACE, 'cron-')).length > 0 ? true : undefined),
      CRON_MS_MAX,
    );
    await real.kubectl.run(['patch', 'cronjob', 'cron', '-n', NAMESPACE, '-p', '{"spec":{"suspend":true}}']);
    const found = await arrivals(real.search, NAMESPACE, WRITERS * LINES);
    assertEachOnce(found, WRITERS, LINES);
    const plains = await podsOf(real.kubectl, NAMESPACE, 'plain-');
    assert.equal(plains.length, 3);
    for (const { spec } of plains) assert.ok(spec.containers.some(({ name }) => name === 'logtender'));
    const native = await podThat(real.kubectl, NAMESPACE, 'stateful-', () => true);
    assert.equal(native.spec.initContainers?.find(({ name }) => name === 'logtender')?.restartPolicy, 'Always');
  });

  for (const prefix of ['job-', 'cron-'])
    it(`${prefix}: complete, with its counts in the status`, async () => {
      const pod = await podThat(real.kubectl, NAMESPACE, prefix, ({ status }) => status.phase === 'Succeeded');
      const message = sidecarStatus(pod)?.state.terminated?.message ?? '';
      assert.match(message, new RegExp(`read=${LINES} delivered=${LINES} dropped=0 .*pending=0`));
    });
});
