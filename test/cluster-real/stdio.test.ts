/**
 * Stdout and stderr under a real kubelet, by both ways: Jobs that print and end at once, every kind of workload in both shapes while API
 * server, kubelet and container runtime are killed and started again, a crash loop, rotation by the kubelet.
 *
 * What the node's files hold is the truth.
 */
import assert from 'node:assert/strict';
import { eventually, sumOf } from '../cluster/installation.ts';
import { ask } from '../servers/http-json.ts';
import { arrivals, arrivedIn, type Arrival, assertEachOnce, counted, messagesOf, streamOf } from './arrived.ts';
import { linesOnNode, rotationsOnNode } from './node-logs.ts';
import { isReady, podsOf, podThat, sidecarStatus, tellHistory, type PodObject } from './pods.ts';
import { applyTo, createShipping, ending, endingPlain, podOf, staying, type Way } from './stdio-namespace.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';

const TEST_MS_MAX = 240_000;
const BOTH: readonly Way[] = ['node', 'api'];
const INIT_LINES = 3;
/** Long enough for all that happens to them. */
const LOAD = { count: 3_000, rate: 150 };
const LOAD_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet'] as const;
const LOAD_PODS = 2 * LOAD_KINDS.length;
/** 5 MB/s, for longer than the kubelet takes to look: every three seconds. */
const FAST = { count: 6_000, rate: 1_000, bytes: 5_000 };
/** After those: by the first line of the next file it is known that there has been another. */
const SLOW = 25;
const QUIET = { count: 60, rate: 5 };
const CRASH_LINES = 300;
const CRASHES = 3;
/** The CronJob comes with the next minute. */
const CRON_MS_MAX = 75_000;
/** DEFAULTS.adminPort of the forwarder. */
const ADMIN_PORT = 15_099;

describe('stdout and stderr in a real cluster', function () {
  this.timeout(TEST_MS_MAX);
  let real: UnderTest;
  const made: string[] = [];

  const create = async (way: Way, name: string, items: readonly unknown[]): Promise<string> => {
    const namespace = `${way}-${name}`;
    made.push(namespace);
    await createShipping(real.kubectl, way, namespace);
    await applyTo(real.kubectl, namespace, items);
    return namespace;
  };

  before(async function () {
    real = await requireLogtender(this);
    await create('api', 'plain', [endingPlain('plain', { count: 1 }, INIT_LINES)]);
    const crash = podOf('crash', { count: CRASH_LINES, rate: 0, exit: 1 });
    await Promise.all(
      BOTH.flatMap((way) =>
        (
          [
            ['one', [ending('Job', 'one', { count: 1 }, INIT_LINES)]],
            ['crash', [crash]],
          ] as const
        ).map(([name, items]) => create(way, name, items)),
      ),
    );
  });
  after(async () => {
    if (made.length === 0) return;
    await real.kubectl.run(['delete', 'namespace', ...made, '--ignore-not-found', '--wait=false']);
  });

  /** Its lines are there, those of its init container too, and `kubectl describe` says so. */
  const assertEnded = async (namespace: string, pod: PodObject, total = INIT_LINES + 1): Promise<void> => {
    assert.ok(sidecarStatus(pod) !== undefined, `${pod.metadata.name} was injected`);
    // The one line of each other container has the number of the first of the init container.
    const [found] = [...(await arrivals(real.search, namespace, total)).values()];
    assert.deepEqual([found?.lines, found?.missing, found?.duplicates], [total, 0, total - INIT_LINES]);
    assert.equal(sidecarStatus(pod)?.state.terminated?.exitCode, 0);
    const text = await real.kubectl.run(['describe', 'pod', pod.metadata.name, '-n', namespace]);
    assert.match(text, new RegExp(`elasticsearch: read=${total} delivered=${total} dropped=0 .*pending=0`));
  };
  const isOver = ({ status }: PodObject): boolean => status.phase === 'Succeeded';
  const countIn = async (namespace: string): Promise<number> => {
    const { body } = await real.search.request('GET', `/${streamOf(namespace)}/_count`);
    return (body as { readonly count?: number }).count ?? 0;
  };

  for (const way of BOTH)
    it(`${way}: a Job that prints one line and ends: the line is there, an init container its own, and kubectl describe says so`, async () => {
      const name = `${way}-one`;
      await real.kubectl.run(['wait', '--for=condition=Complete', 'job/one', '-n', name, '--timeout=90s']);
      await assertEnded(name, await podThat(real.kubectl, name, 'one-', isOver));
    });

  it('api: a Job in the plain shape, whose second container writes into a file: ours ends after both, and it completes', async () => {
    const name = 'api-plain';
    await real.kubectl.run(['wait', '--for=condition=Complete', 'job/plain', '-n', name, '--timeout=90s']);
    const pod = await podThat(real.kubectl, name, 'plain-', isOver);
    assert.ok(pod.spec.containers.some((container) => container.name === 'logtender'));
    await assertEnded(name, pod, INIT_LINES + 2);
  });

  it('API server, kubelet and container runtime killed in the middle of it: they come back, the pods live on', async () => {
    const { cluster, kubectl } = real;
    const items = LOAD_KINDS.flatMap((kind) => [staying(kind, 'native', LOAD), staying(kind, 'container', LOAD)]);
    await Promise.all(BOTH.map((way) => create(way, 'load', items)));
    await eventually(
      'a third of the lines',
      async () => {
        const counts = await Promise.all(BOTH.map((way) => countIn(`${way}-load`)));
        return counts.every((count) => count > (LOAD_PODS * LOAD.count) / 3) ? true : undefined;
      },
      90_000,
    );
    await cluster.plane.haltApiServer('SIGKILL');
    await cluster.kubelet.halt();
    await cluster.containerd.halt('SIGKILL');
    await cluster.containerd.start();
    await cluster.plane.resumeApiServer();
    await cluster.kubelet.resume();
    for (const way of BOTH) {
      // They come with the next minute, while the rest is looked at.
      await create(way, 'cron', [ending('CronJob', 'cron', { count: 1 }, INIT_LINES)]);
      const pods = await podsOf(kubectl, `${way}-load`);
      assert.equal(pods.length, LOAD_PODS);
      for (const pod of pods) assert.equal(pod.status.containerStatuses?.[0]?.restartCount, 0);
    }
  });

  for (const way of BOTH)
    it(`${way}: Deployment, StatefulSet and DaemonSet, native and plain: each line that the node holds, once`, async () => {
      const namespace = `${way}-load`;
      const held = await eventually('the last lines on the node', async () => {
        const lines = linesOnNode(real.cluster, namespace);
        const last = `line ${String(LOAD.count - 1).padStart(8, '0')} `;
        return lines.filter((line) => line.includes(last)).length === LOAD_PODS ? lines : undefined;
      });
      const found = await arrivals(real.search, namespace, held.length);
      assert.equal(found.size, LOAD_PODS);
      // A runtime that was killed may start a pod's containers anew: all is printed again, and the first start's file may be gone.
      const again = new Set(
        (await podsOf(real.kubectl, namespace)).flatMap(({ metadata, status }) => {
          const isAgain = status.containerStatuses?.some(
            ({ name, restartCount }) => name === 'app' && restartCount > 0,
          );
          return isAgain === true ? [metadata.name] : [];
        }),
      );
      const isOfOneStart = (line: string): boolean => !again.has(line.split(' ', 1)[0] ?? '');
      const twice = [...found].flatMap(([writer, arrival]) => (again.has(writer) ? [] : arrival.twice));
      if (twice.length > 0) await tellHistory(real.kubectl, namespace);
      assert.deepEqual(twice, []);
      const arrived = await messagesOf(real.search, streamOf(namespace));
      assert.deepEqual(arrived.filter(isOfOneStart).toSorted(), held.filter(isOfOneStart).toSorted());
      assert.deepEqual(
        [...again].flatMap((writer) => found.get(writer)?.missing ?? writer),
        [...again].map(() => 0),
      );
      if (again.size > 0) process.stdout.write(`      started again by the runtime: ${[...again].join(', ')}\n`);
      const lost = LOAD_PODS * LOAD.count - held.length;
      process.stdout.write(
        `      ${arrived.length} lines; ${lost} that the runtime had not written when it was killed\n`,
      );
    });

  for (const way of BOTH)
    it(`${way}: a crash loop: the lines of every start`, async () => {
      const name = `${way}-crash`;
      const has = ({ status }: PodObject): boolean => (status.containerStatuses?.[0]?.restartCount ?? 0) >= CRASHES - 1;
      await podThat(real.kubectl, name, 'crash', has);
      // It goes on crashing: the lines of the last start may be on their way.
      let found: Arrival | undefined;
      const isWhole = async (): Promise<true | undefined> => {
        [found] = [...(await arrivals(real.search, name, CRASHES * CRASH_LINES)).values()];
        const starts = (found?.lines ?? 0) / CRASH_LINES;
        return Number.isInteger(starts) && starts >= CRASHES ? true : undefined;
      };
      await eventually('the lines of whole starts', isWhole).catch(() => assert.fail(`${found?.lines} lines`));
      assert.equal(found?.missing, 0);
    });

  it('node: rotation by the kubelet at 1 MiB while 5 MB/s are printed: each line once', async () => {
    const name = await create('node', 'fast', [podOf('fast', { ...FAST, linger: -1 })]);
    assertEachOnce(await arrivals(real.search, name, FAST.count), 1, FAST.count);
    const rotations = rotationsOnNode(real.cluster, name);
    assert.ok(rotations > 0, 'rotated at least once');
    process.stdout.write(`      ${FAST.count} lines, ${rotations} rotations\n`);
  });

  it('api: the same: every gap is told, and a quiet log has none', async () => {
    const name = await create('api', 'fast', [
      podOf('fast', { ...FAST, then: SLOW, linger: -1 }),
      podOf('quiet', { ...QUIET, linger: -1 }),
    ]);
    const gapsOf = async (pod: string): Promise<number> => {
      const { podIP = '' } = (await podThat(real.kubectl, name, pod, isReady)).status as { readonly podIP?: string };
      const { body } = await ask(`http://${podIP}:${ADMIN_PORT}/metrics`);
      return sumOf(String(body), 'logtender_stdio_gaps_total');
    };
    const numbers = await eventually(
      'the last line',
      async () => {
        await real.search.request('POST', `/${streamOf(name)}/_refresh`);
        const found = numbersOf(await messagesOf(real.search, streamOf(name)), 'fast');
        return found.at(-1) === FAST.count + SLOW - 1 ? found : undefined;
      },
      90_000,
    );
    assert.equal(new Set(numbers).size, numbers.length, 'none twice');
    const holes = numbers.filter((number, i) => number !== (numbers[i - 1] ?? -1) + 1).length;
    const gaps = await gapsOf('fast');
    const rotations = rotationsOnNode(real.cluster, name);
    process.stdout.write(
      `      ${numbers.length} of ${FAST.count + SLOW} lines, ${holes} holes, ${gaps} gaps told, ${rotations} rotations\n`,
    );
    assert.ok(rotations > 0, 'rotated at least once');
    assert.ok(gaps >= holes, `${holes} holes`);
    const quiet = await eventually('the last quiet line', async () => {
      await real.search.request('POST', `/${streamOf(name)}/_refresh`);
      const all = await arrivedIn(real.search, streamOf(name));
      const found = counted(all.filter(({ message }) => message.startsWith('quiet ')));
      return (found.get('quiet')?.lines ?? 0) >= QUIET.count ? found : undefined;
    });
    assertEachOnce(quiet, 1, QUIET.count);
    assert.equal(await gapsOf('quiet'), 0);
  });

  for (const way of BOTH)
    it(`${way}: a CronJob: complete, with its lines and its counts`, async () => {
      const name = `${way}-cron`;
      const pod = await eventually(
        'the pod of the CronJob',
        async () => (await podsOf(real.kubectl, name)).find(isOver),
        CRON_MS_MAX,
      );
      await real.kubectl.run(['patch', 'cronjob', 'cron', '-n', name, '-p', '{"spec":{"suspend":true}}']);
      await assertEnded(name, pod);
    });
});

/** The numbers in the lines of a writer, in order. */
function numbersOf(messages: readonly string[], writer: string): readonly number[] {
  return messages
    .flatMap((message) => {
      const [name = '', , number = ''] = message.split(' ', 3);
      return name === writer ? [Number(number)] : [];
    })
    .toSorted((a, b) => a - b);
}
