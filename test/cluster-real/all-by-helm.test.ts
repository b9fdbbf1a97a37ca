/**
 * logtender by Helm on an empty cluster, as the README has it: installed, proven, upgraded, rolled, drained and killed while 50 dry-run
 * creations a second run in `fail` namespaces, all pods lost at once, and taken away without a trace.
 *
 * The API server reaches the webhook through its Service and kube-proxy. CHART_ROUNDS repeats what is rolled and drained. The name of this
 * file is the first of its folder: the cluster is empty then, and the other suites install by the manifests afterwards.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { corePath } from '../../src/kube/paths.ts';
import { eventually } from '../cluster/installation.ts';
import { requireHelm } from '../servers/helm.ts';
import { loadPod, LOAD_NAMESPACES, startLoad, type AdmissionLoad, type LoadCounts } from '../soak/admission-load.ts';
import { createMeter, type AdmissionMeter } from '../soak/admission-meter.ts';
import { adminClient, makeNamespaces } from '../soak/session.ts';
import { rightsOf } from './access.ts';
import { helmFor, ROOT, type HelmCommand } from './helm-command.ts';
import { requireEmptyCluster, type UnderTest } from './under-test.ts';
import { answeredBy, caBundles, evict, replacedPods, servingPods, webhookPods } from './webhook-pods.ts';

const TEST_MS_MAX = 300_000;
const PER_SECOND = 50;
const ROUNDS = Number(process.env['CHART_ROUNDS'] ?? '1');
/** Of the quick start, by the issue; seconds on an idle machine. */
const QUICK_START_MS_MAX = 300_000;
const CALM_MS = 2_000;
const GOLDEN = join(ROOT, 'test/fixtures/rights.txt');
const SHOP = 'shop';

const failed = ({ refused, unanswered, bare }: LoadCounts): number => refused + unanswered + bare;

describe('logtender by Helm in a real cluster', function () {
  this.timeout(TEST_MS_MAX);
  let real: UnderTest;
  let command: HelmCommand;
  let client: KubeClient;
  let meter: AdmissionMeter;
  let load: AdmissionLoad | undefined;

  before(async function () {
    real = await requireEmptyCluster(this);
    command = helmFor(await requireHelm(this), real.cluster.plane);
    const { plane } = real.cluster;
    const [server] = plane.apiServers;
    assert.ok(server !== undefined);
    client = adminClient(plane, server);
  });
  after(async () => {
    await load?.stop();
    client?.close();
    command?.discard();
    const namespaces = [SHOP, ...LOAD_NAMESPACES.map(({ name }) => name)];
    await real?.kubectl.run(['delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait=false']);
  });

  /** What happened while the work was done, under the load. */
  const during = async (work: () => Promise<void>): Promise<LoadCounts & { readonly callErrors: number }> => {
    meter = await createMeter(real.cluster.plane.apiServers);
    load = startLoad({ clients: [client], clock: systemClock, perSecond: PER_SECOND });
    try {
      await work();
    } finally {
      await load.stop();
    }
    const { callErrors, failOpen } = await meter.growth();
    assert.equal(failOpen, 0, 'calls that failed open');
    return { ...load.counts(), callErrors };
  };
  /** Some more of the load, when all calls before it have their answers. */
  const calm = async (): Promise<void> => {
    const counts = await during(() => systemClock.sleep(CALM_MS));
    assert.deepEqual([failed(counts), counts.callErrors, counts.failures], [0, 0, []]);
  };
  const tell = (text: string): void => void process.stdout.write(`      ${text}\n`);

  it('the quick start of the README, typed as written, ends with lines in Elasticsearch', async () => {
    const beganMs = systemClock.monotonic();
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const [, script = ''] = /## Install in a cluster\n[^]*?```sh\n([^]*?)```/.exec(readme) ?? [];
    const [repository = '', tag = ''] = real.image.reference.split(/:(?=[^:/]+$)/);
    assert.equal(tag, '0.1.0', 'the tag that the README names');
    for (const word of ['helm install', 'helm test', 'registry.example/logtender', 'http://elasticsearch.example:9200'])
      assert.ok(script.includes(word), word);
    const typed = script
      .replaceAll('registry.example/logtender', repository)
      .replaceAll('http://elasticsearch.example:9200', real.searchUrl);
    const { stdout } = await command.type(typed);
    assert.match(stdout, /Phase:\s+Succeeded/, 'helm test');
    const lines = await eventually(
      'lines in Elasticsearch',
      async () => {
        const { body } = await real.search.request('GET', `/logs-logtender-${SHOP}/_count`);
        return (body as { readonly count?: number }).count || undefined;
      },
      QUICK_START_MS_MAX,
    );
    const ms = systemClock.monotonic() - beganMs;
    assert.ok(ms < QUICK_START_MS_MAX, `${ms} ms`);
    tell(`${lines} lines ${(ms / 1000).toFixed(0)} s after the first command`);
    // --wait said so.
    assert.equal((await replacedPods(real.kubectl, 2, [])).length, 2);
  });

  it('each process may do what the golden list says, and no more (B8 52)', async () => {
    const parts: string[] = [];
    for (const account of ['logtender-webhook', 'logtender-certs'])
      for (const namespace of ['logtender', SHOP])
        parts.push(`# ${account} in ${namespace}`, ...(await rightsOf(real.kubectl, account, namespace)), '');
    const text = parts.join('\n');
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(GOLDEN, text);
    assert.equal(text, readFileSync(GOLDEN, 'utf8'));
  });

  it('the webhook cannot patch its own configuration (B8 53)', async () => {
    const patch = ['patch', 'mutatingwebhookconfiguration', 'logtender-injector', '--type=json', '-p', '[]'];
    const { code, stderr } = await real.kubectl.outcome([
      ...patch,
      '--as=system:serviceaccount:logtender:logtender-webhook',
    ]);
    assert.notEqual(code, 0);
    assert.match(stderr, /forbidden/i);
  });

  it('an upgrade from the values and the chart before refuses no pod and leaves every caBundle as it was (B8 9)', async () => {
    await makeNamespaces(real.cluster.plane, [client]);
    const before = await caBundles(real.kubectl);
    assert.ok(before.length === 4 && before.every((bundle) => bundle !== ''));
    const old = (await webhookPods(real.kubectl)).map(({ metadata }) => metadata.name);
    const next = join(command.folder, 'next');
    cpSync(join(ROOT, 'deploy/chart'), next, { recursive: true });
    const about = readFileSync(join(next, 'Chart.yaml'), 'utf8');
    writeFileSync(join(next, 'Chart.yaml'), about.replace(/^version: .*$/m, 'version: 0.1.1'));
    const upgrade = [
      'upgrade',
      'logtender',
      next,
      '-n',
      'logtender',
      '--reset-then-reuse-values',
      '--wait',
      '--timeout=3m',
    ];
    const counts = await during(async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const annotation = `webhook.podAnnotations.round=round-${round}`;
        await command.helm(...upgrade, '--set', annotation, '--set', 'config.cluster=other');
      }
      // Client-side, the three-way merge of Helm 3; this one changes the webhook configuration itself.
      // What is off by default is taken by the API server as well; it goes with the rest at the end.
      const more = ['excludedNamespaces={never}', 'policy=report', 'networkPolicy.enabled=true'];
      await command.helm(...upgrade, '--server-side=false', '--set', more.join(','));
      await replacedPods(real.kubectl, 2, old);
    });
    assert.deepEqual([failed(counts), counts.callErrors, counts.failures], [0, 0, []]);
    assert.ok(counts.creations > PER_SECOND, `${counts.creations} creations`);
    assert.deepEqual(await caBundles(real.kubectl), before);
    const configuration = JSON.stringify(await real.kubectl.get('mutatingwebhookconfiguration', 'logtender-injector'));
    assert.equal(configuration.match(/"never"/g)?.length, 4);
    tell(`${counts.creations} creations while ${old.length * ROUNDS} webhook pods were rolled: 0 refused`);
  });

  it('a drain refuses no pod', async () => {
    let drained = 0;
    const counts = await during(async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const pods = await replacedPods(real.kubectl, 2, []);
        const [pod] = pods;
        assert.ok(pod !== undefined);
        await evict(real.kubectl, pod);
        drained += 1;
        await replacedPods(real.kubectl, 2, [pod.metadata.name]);
      }
    });
    assert.deepEqual([failed(counts), counts.callErrors, counts.failures], [0, 0, []]);
    tell(`${counts.creations} creations while ${drained} webhook pods were evicted: 0 refused`);
  });

  it('kill -9 of a webhook costs only calls in flight or before its address is withdrawn', async () => {
    const pods = await replacedPods(real.kubectl, 2, []);
    let told = '';
    let settled = 0;
    const counts = await during(async () => {
      const running = load;
      assert.ok(running !== undefined);
      // The API server keeps its connections, and a Service spreads connections: the one that has most of them is killed.
      const before = await Promise.all(pods.map(answeredBy));
      await systemClock.sleep(2_000);
      const shares = (await Promise.all(pods.map(answeredBy))).map((count, i) => count - (before[i] ?? 0));
      const pod = pods[shares.indexOf(Math.max(...shares))];
      assert.ok(pod !== undefined && Math.max(...shares) > 0);
      const { name } = pod.metadata;
      assert.equal(failed(running.counts()), 0);
      for (const pid of real.cluster.processes(pod.status.containerStatuses?.[0]?.containerID ?? ''))
        process.kill(pid, 'SIGKILL');
      const killedMs = systemClock.monotonic();
      await eventually(
        'the address withdrawn',
        async () => ((await servingPods(client)).includes(name) ? undefined : true),
        TEST_MS_MAX,
      );
      const withdrawnMs = systemClock.monotonic() - killedMs;
      // Nobody is sent there any more, and what was has been refused at once: the address is still one of the node.
      await systemClock.sleep(1_000);
      settled = failed(running.counts());
      await replacedPods(real.kubectl, 2, []);
      told = `kill -9 with ${shares.join(' and ')} calls of 2 s; address withdrawn after ${Math.round(withdrawnMs)} ms`;
    });
    tell(`${told}: ${failed(counts)} of ${counts.creations} refused`);
    assert.equal(failed(counts), settled, 'refused after that');
    // Not even the calls of five seconds that would have gone to it.
    assert.ok(failed(counts) < PER_SECOND * 5, counts.failures.join('\n'));
    assert.equal(counts.unanswered + counts.bare, 0);
    await calm();
  });

  it('a cluster that lost all webhook pods and certificate managers heals itself, fail namespaces or not (B8 45)', async () => {
    const old = (await webhookPods(real.kubectl)).map(({ metadata }) => metadata.name);
    const label = 'app.kubernetes.io/part-of=logtender';
    const remove = ['delete', 'pods', '-n', 'logtender', '-l', label, '--force', '--grace-period=0', '--wait=false'];
    let seconds = 0;
    const counts = await during(async () => {
      const beganMs = systemClock.monotonic();
      await real.kubectl.run(remove);
      // A pod of the control plane that asks all the same is not held up.
      const excluded = await client.create(corePath('kube-system', 'pods'), loadPod(0), { query: { dryRun: 'All' } });
      assert.ok(excluded.ok, excluded.ok ? '' : excluded.text);
      await replacedPods(real.kubectl, 2, old);
      seconds = (systemClock.monotonic() - beganMs) / 1000;
    });
    tell(`all pods lost: ${counts.refused} refused, webhook Ready again after ${seconds.toFixed(1)} s`);
    assert.ok(counts.refused > 0, 'a fail namespace refuses while there is nobody');
    await calm();
  });

  it('an uninstall refuses no pod: the webhook configuration goes first, and nothing is left (B8 47)', async () => {
    const counts = await during(async () => {
      await command.helm('uninstall', 'logtender', '-n', 'logtender', '--wait');
    });
    assert.deepEqual([counts.refused, counts.unanswered, counts.callErrors], [0, 0, 0], counts.failures.join('\n'));
    assert.ok(counts.bare > 0, 'from then on pods start bare');
    const inNamespace = await names([
      'secrets,leases,configmaps,deployments,services,serviceaccounts,roles,rolebindings,pdb,networkpolicies',
      '-n',
      'logtender',
    ]);
    assert.deepEqual(
      inNamespace.filter((name) => !['configmap/kube-root-ca.crt', 'serviceaccount/default'].includes(name)).toSorted(),
      ['lease.coordination.k8s.io/logtender-certs', 'secret/logtender-ca', 'secret/logtender-tls'],
    );
    await real.kubectl.run(['delete', 'namespace', 'logtender', '--timeout=120s']);
    const kinds = (
      await real.kubectl.run(['api-resources', '--namespaced=false', '--verbs=list', '-o', 'name'])
    ).trim();
    const everything = await names([kinds.split('\n').join(',')]);
    assert.deepEqual(
      everything.filter((name) => name.includes('logtender') && !name.startsWith('persistentvolume')),
      [],
    );
    const roles = await names(['roles,rolebindings', '-A']);
    assert.deepEqual(
      roles.filter((name) => name.includes('logtender')),
      [],
    );
  });

  /** `kind/name` of what a `kubectl get` gives. */
  const names = async (args: readonly string[]): Promise<readonly string[]> =>
    (await real.kubectl.run(['get', ...args, '-o', 'name'])).split('\n').filter((line) => line !== '');
});
