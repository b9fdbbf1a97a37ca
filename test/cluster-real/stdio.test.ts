/**
 * Stdout and stderr under a real kubelet, by both ways: one line of a Job that ends at once, a numbered load in both shapes, a crash loop,
 * rotation by the kubelet, an API server that is started anew.
 */
import assert from 'node:assert/strict';
import { namespaceManifests } from '../../src/cli/namespace.ts';
import { eventually } from '../cluster/installation.ts';
import { arrivals, assertEachOnce, streamOf } from './arrived.ts';
import { createInjected, podsOf, podThat, sidecarStatus, template, writer } from './pods.ts';
import type { Lines, PodObject } from './pods.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';

const TEST_MS_MAX = 240_000;
const LINES = 2_000;
/** 5 MB/s for as long as two rotations take: one checks each three seconds. */
const FAST = { count: 8_000, rate: 1_000, bytes: 5_000 };
const CRASH_LINES = 300;
const CRASHES = 3;

const WAYS = [
  { way: 'node', level: 'privileged', words: { stdout: 'node' } },
  { way: 'api', level: 'restricted', words: { stdout: 'auto', 'service-account': 'logtender-forwarder' } },
] as const;

const printing = (lines: Lines, name = 'app'): Readonly<Record<string, unknown>> => writer(lines, name, '-');
const labels = { app: 'web' };

for (const { way, level, words } of WAYS)
  describe(`stdout and stderr by ${way} in a real cluster`, function () {
    this.timeout(TEST_MS_MAX);
    let real: UnderTest;
    const made: string[] = [];

    const namespace = async (name: string): Promise<string> => {
      const full = `${way}-${name}`;
      made.push(full);
      await createInjected(real.kubectl, full, words, level);
      if (way === 'api') await real.kubectl.run(['apply', '-f', '-'], { input: namespaceManifests(full) });
      return full;
    };
    const apply = async (in_: string, items: readonly unknown[]): Promise<void> => {
      await real.kubectl.run(['apply', '-n', in_, '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
    };

    before(async function () {
      real = await requireLogtender(this);
      this.timeout(TEST_MS_MAX);
    });
    after(async () => {
      if (made.length > 0)
        await real.kubectl.run(['delete', 'namespace', ...made, '--ignore-not-found', '--wait=false']);
    });

    it('a Job that prints one line and ends: the line is there, an init container its own, and the status says so', async () => {
      const name = await namespace('one');
      const pod = template(printing({ count: 1 }), {
        restartPolicy: 'Never',
        initContainers: [printing({ count: 3, rate: 0 }, 'prepare')],
      });
      const metadata = { name, namespace: name };
      await apply(name, [{ apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { backoffLimit: 0, template: pod } }]);
      await real.kubectl.run(['wait', '--for=condition=Complete', `job/${name}`, '-n', name, '--timeout=90s']);
      const done = await podThat(real.kubectl, name, name, ({ status }) => status.phase === 'Succeeded');
      const [found] = [...(await arrivals(real.search, name, 4)).values()];
      assert.deepEqual([found?.lines, found?.missing], [4, 0]);
      const ended = sidecarStatus(done)?.state.terminated;
      assert.match(ended?.message ?? '', /read=4 delivered=4 dropped=0 .*pending=0/);
    });

    it('Deployment and StatefulSet, native and plain: each line once, and no token in the hands of the application', async () => {
      const name = await namespace('load');
      const spec = template(printing({ count: LINES, rate: 1_000, linger: -1 }));
      const plain = template(
        printing({ count: LINES, rate: 1_000, linger: -1 }),
        {},
        { 'logging.io/sidecar': 'container' },
      );
      const selector = { matchLabels: labels };
      const of = (kind: string, called: string, pod: unknown): unknown => ({
        apiVersion: 'apps/v1',
        kind,
        metadata: { name: called, namespace: name },
        spec: { replicas: 1, selector, template: pod, ...(kind === 'StatefulSet' ? { serviceName: called } : {}) },
      });
      await apply(name, [
        of('Deployment', 'native', spec),
        of('StatefulSet', 'stateful', spec),
        of('Deployment', 'plain', plain),
      ]);
      if (way === 'api') {
        await eventually(
          'half of the lines',
          async () => {
            const { body } = await real.search.request('GET', `/${streamOf(name)}/_count`);
            return ((body as { readonly count?: number }).count ?? 0) > LINES ? true : undefined;
          },
          90_000,
        );
        const [server] = real.cluster.plane.apiServers;
        await server?.halt();
        await server?.resume();
      }
      assertEachOnce(await arrivals(real.search, name, 3 * LINES), 3, LINES);
      for (const pod of await podsOf(real.kubectl, name)) assertNoToken(pod);
    });

    it('a crash loop: the lines of every start', async () => {
      const name = await namespace('crash');
      await apply(name, [
        {
          apiVersion: 'v1',
          kind: 'Pod',
          ...template(printing({ count: CRASH_LINES, rate: 0, exit: 1 })),
          metadata: { name: 'crash', namespace: name },
        },
      ]);
      await podThat(
        real.kubectl,
        name,
        'crash',
        ({ status }) => (status.containerStatuses?.[0]?.restartCount ?? 0) >= CRASHES - 1,
      );
      const [found] = [...(await arrivals(real.search, name, CRASHES * CRASH_LINES)).values()];
      const starts = (found?.lines ?? 0) / CRASH_LINES;
      assert.ok(Number.isInteger(starts) && starts >= CRASHES, `${found?.lines} lines`);
      assert.equal(found?.missing, 0);
    });

    if (way === 'node')
      it('rotation by the kubelet at 1 MiB while 5 MB/s are printed: each line once', async () => {
        const name = await namespace('fast');
        await apply(name, [
          {
            apiVersion: 'v1',
            kind: 'Pod',
            ...template(printing({ ...FAST, linger: -1 })),
            metadata: { name: 'fast', namespace: name },
          },
        ]);
        assertEachOnce(await arrivals(real.search, name, FAST.count), 1, FAST.count);
      });
  });

/** What the kubelet gives a container beside ours: no token of any account. */
function assertNoToken(pod: PodObject): void {
  const spec = pod.spec as unknown as {
    readonly containers: ReadonlyArray<{
      readonly name: string;
      readonly volumeMounts?: ReadonlyArray<{ readonly name: string }>;
    }>;
    readonly serviceAccountName?: string;
  };
  if (spec.serviceAccountName !== 'logtender-forwarder') return;
  for (const { name, volumeMounts } of spec.containers)
    if (name !== 'logtender')
      assert.deepEqual(
        (volumeMounts ?? []).filter((mount) => /token|kube-api-access/.test(mount.name)),
        [],
      );
}
