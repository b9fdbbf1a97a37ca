/**
 * Injection through a real API server: who is asked, what comes back, what happens while the webhook is away, and that a renewed
 * certificate costs no creation.
 */
import assert from 'node:assert/strict';
import { namespaceManifests } from '../../src/cli/namespace.ts';
import { parseForwarderEnv } from '../../src/config/forwarder-config.ts';
import { systemClock } from '../../src/core/clock.ts';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { eventually, install, sumOf } from './installation.ts';
import type { Installation } from './installation.ts';
import { createNamespace, createPod, FILES, podOf, sidecarOf } from './pods.ts';
import type { Container, Fields, Pod } from './pods.ts';

/** Three renewals take some 25 s: a leaf lives 12 s and is renewed at two thirds of that. The rest is for a busy machine. */
const RENEWALS_MS_MAX = 75_000;

describe('admission through a real API server', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;

  const create = (namespace: string, pod: Fields): Promise<Pod> => createPod(plane, namespace, pod);
  const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> =>
    createNamespace(plane, name, labels);

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    // Leaf and CA live long enough for every case but renewal, which has an installation of its own settings below.
    installed = await install(plane, {
      certs: 'leafLife: 12s\ncaLife: 1h\nbackdate: 1m\nsettle: 1s\npruneMargin: 1s\ntick: 1s\n',
      webhook: 'cluster: test\nelasticsearchUrl: http://elasticsearch.example:9200\n',
    });
    await namespace('shop');
    await namespace('all-in', { 'logging.io/inject': 'true' });
    await namespace('strict', { 'logging.io/failure-policy': 'fail' });
    await namespace('strict-all-in', { 'logging.io/inject': 'true', 'logging.io/failure-policy': 'fail' });
  });
  after(async function () {
    this.timeout(60_000);
    await installed?.uninstall();
  });

  describe('a pod that asks', () => {
    it('comes back with sidecar, emptyDir, mounts and env', async () => {
      const pod = await create(
        'shop',
        podOf('asks', { 'logging.io/inject': 'true', ...FILES, 'logging.io/sink': 'elasticsearch,cloudwatch' }),
      );
      const sidecar = pod.spec.initContainers?.find((container) => container.name === 'logtender');
      assert.equal(sidecar?.restartPolicy, 'Always');
      const volume = pod.spec.volumes?.find((candidate) => candidate['name'] === 'logtender-logs');
      assert.ok(volume !== undefined && 'emptyDir' in volume);
      const mounted = pod.spec.containers[0]?.volumeMounts?.find((mount) => mount.name === 'logtender-logs');
      assert.equal(mounted?.mountPath, '/var/log/app');
      const env = Object.fromEntries(
        (sidecar?.env ?? []).map((variable) => [variable.name, variable.value ?? 'sample']),
      );
      assert.equal(env['CLUSTER_NAME'], 'test');
      assert.equal(env['LOG_GROUP'], '/k8s/test/shop/web');
      assert.equal(env['SINKS'], 'elasticsearch,cloudwatch');
      assert.equal(env['ELASTICSEARCH_URL'], 'http://elasticsearch.example:9200');
      const parsed = parseForwarderEnv(env);
      assert.ok(parsed.ok, 'the forwarder understands its env');
      const where = sidecar?.volumeMounts?.find((mount) => mount.mountPath === parsed.value.files[0]?.mount);
      assert.deepEqual([where?.name, where?.subPath], ['logtender-logs', mounted.subPath]);
    });

    it('costs one call, and the sidecar holds no token of the account', async () => {
      const before = await installed.calls();
      const pod = await create('shop', podOf('no-token', { 'logging.io/inject': 'true', ...FILES }));
      assert.equal((await installed.calls()) - before, 1);
      const path = '/var/run/secrets/kubernetes.io/serviceaccount';
      const volumeAt = (container: Container | undefined): string | undefined =>
        container?.volumeMounts?.find((mount) => mount.mountPath === path)?.name;
      assert.match(volumeAt(pod.spec.containers[0]) ?? '', /^kube-api-access-/, 'the app has its token');
      assert.equal(volumeAt(sidecarOf(pod)), 'logtender-state');
      const mounted = sidecarOf(pod)?.volumeMounts?.map((mount) => mount.name) ?? [];
      assert.deepEqual(
        mounted.filter((name) => !name.startsWith('logtender-')),
        [],
      );
    });

    it('says in kubectl describe what was decided and why', async () => {
      const text = await plane.kubectl(['describe', 'pod', 'asks', '-n', 'shop']);
      assert.match(text, /logging\.io\/status:\s+\{"decision":"injected","reason":"injected/);
      assert.match(text, /"account":"default",\s*"accountReason":"account_none_named"/);
      assert.match(text, /"destinations":\{"elasticsearch":"logs-logtender-shop"/);
      assert.match(text, /LOG_GROUP: +\/k8s\/test\/shop\/web/);
      assert.match(text, /kubelets_ready/);
    });

    it('gets the same through a Deployment of the real controller-manager', async () => {
      const template = podOf('ignored', { 'logging.io/inject': 'true', ...FILES });
      const deployment = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web' },
        spec: {
          replicas: 1,
          selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' }, annotations: { 'logging.io/inject': 'true', ...FILES } },
            spec: template['spec'],
          },
        },
      };
      await plane.kubectl(['create', '-n', 'shop', '-f', '-'], { input: deployment });
      const pod = await eventually('a pod of the Deployment', async () => {
        const list = JSON.parse(await plane.kubectl(['get', 'pods', '-n', 'shop', '-o', 'json'])) as { items: Pod[] };
        return list.items.find((item) => item.metadata.name.startsWith('web-'));
      });
      const workload = sidecarOf(pod)?.env?.find((variable) => variable.name === 'WORKLOAD_NAME')?.value;
      assert.equal(workload, 'web', 'the Deployment, without the hash of its ReplicaSet');
    });

    it('is created when the pod has resources of its own that its containers use up', async () => {
      const all = { cpu: '100m', memory: '64Mi' };
      for (const [name, resources] of [
        ['pod-resources', { requests: all, limits: all }],
        ['pod-limits', { limits: all }],
        ['pod-cpu-limit', { limits: { cpu: '100m' } }],
      ] as const) {
        const containers = [{ name: 'app', image: 'example/web:1', resources: { requests: all } }];
        const asks = podOf(name, {}, { resources, containers });
        // A generated name, so that both pods have the same workload.
        const metadata = { generateName: `${name}-`, labels: { app: 'web' } };
        const pod = await create('shop', {
          ...asks,
          metadata: { ...metadata, annotations: { 'logging.io/inject': 'true', ...FILES } },
        });
        assert.ok(sidecarOf(pod) !== undefined, name);
        // What came back has the API server's sums in it: a second pass has nothing to change.
        const { annotations = {} } = pod.metadata;
        const again = await create('shop', { ...asks, metadata: { ...metadata, annotations }, spec: pod.spec });
        assert.deepEqual(sidecarOf(again), sidecarOf(pod));
        assert.equal(again.metadata.annotations?.['logging.io/status'], annotations['logging.io/status']);
      }
    });

    it('is created when its annotations nearly fill what the API server lets it have', async () => {
      const annotations = { 'logging.io/inject': 'true', ...FILES, filling: '' };
      const used = Object.entries(annotations).reduce((sum, [key, text]) => sum + key.length + text.length, 0);
      // Room for the short status and not for the long one; then for none.
      const short = await create('shop', podOf('short', { ...annotations, filling: 'x'.repeat(262_144 - used - 600) }));
      assert.ok(sidecarOf(short) !== undefined);
      const full = await create('shop', podOf('full', { ...annotations, filling: 'x'.repeat(262_144 - used) }));
      assert.equal(sidecarOf(full), undefined);
    });

    it('gets the service account that its annotation names, and its own containers get no token of it', async () => {
      await plane.kubectl(['create', 'serviceaccount', 'logtender-forwarder', '-n', 'shop']);
      const asks = { 'logging.io/inject': 'true', ...FILES, 'logging.io/service-account': 'logtender-forwarder' };
      const pod = await create('shop', podOf('with-account', asks));
      assert.equal(pod.spec.serviceAccountName, 'logtender-forwarder');
      assert.equal(pod.spec.automountServiceAccountToken, false);
      const paths = pod.spec.containers[0]?.volumeMounts?.map((mount) => mount.mountPath) ?? [];
      assert.ok(!paths.includes('/var/run/secrets/kubernetes.io/serviceaccount'), paths.join());
      const own = sidecarOf(pod)?.volumeMounts?.find((mount) => mount.name === 'logtender-token');
      assert.equal(own?.mountPath, '/var/run/secrets/kubernetes.io/serviceaccount');
    });
  });

  describe('a namespace with a LimitRange and a ResourceQuota', () => {
    const tight = async (name: string): Promise<void> => {
      await namespace(name, { 'logging.io/inject': 'true' });
      const limits = { limits: [{ type: 'Container', min: { memory: '64Mi' } }] };
      for (const [kind, spec] of [
        ['LimitRange', limits],
        ['ResourceQuota', { hard: { 'limits.cpu': '4' } }],
      ] as const)
        await plane.kubectl(['create', '-n', name, '-f', '-'], {
          input: { apiVersion: 'v1', kind, metadata: { name: 'tight' }, spec },
        });
    };
    const resources = { limits: { cpu: '1', memory: '64Mi' }, requests: { cpu: '500m', memory: '64Mi' } };
    const pod = podOf('web', FILES, { containers: [{ name: 'app', image: 'example/web:1', resources }] });

    it('refuses a pod because of the sidecar, and takes it with the annotations that `logtender namespace` names', async () => {
      await tight('tight');
      const refused = await plane.kubectlOutcome(['create', '-n', 'tight', '-f', '-'], { input: pod });
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /minimum memory usage per Container is 64Mi/);
      const pairs = [...namespaceManifests('tight').matchAll(/logging\.io\/(?:cpu|memory)-[a-z]+=\S+/g)].flat();
      assert.equal(pairs.length, 4);
      await plane.kubectl(['annotate', 'namespace', 'tight', ...pairs]);
      const created = await eventually('a pod within the quota', async () => {
        const outcome = await plane.kubectlOutcome(['create', '-n', 'tight', '-o', 'json', '-f', '-'], { input: pod });
        return outcome.code === 0 ? (JSON.parse(outcome.stdout) as Pod) : undefined;
      });
      assert.ok(sidecarOf(created) !== undefined);
    });
  });

  describe('who is asked at all', () => {
    it('a pod of a labelled namespace without an annotation gets the sidecar', async () => {
      assert.ok(sidecarOf(await create('all-in', podOf('silent', {}))) !== undefined);
    });

    it('a pod that says false does not, and causes no call', async () => {
      const before = await installed.calls();
      const inLabelled = await create('all-in', podOf('says-no', { 'logging.io/inject': 'false' }));
      const elsewhere = await create('shop', podOf('says-no', { 'logging.io/inject': 'false' }));
      assert.deepEqual([sidecarOf(inLabelled), sidecarOf(elsewhere)], [undefined, undefined]);
      assert.equal(await installed.calls(), before);
    });

    it('a pod that did not ask causes no call', async () => {
      const before = await installed.calls();
      await create('shop', podOf('bare', {}));
      await create('shop', { ...podOf('barer', {}), metadata: { name: 'barer' } });
      await create('strict', podOf('bare', {}));
      assert.equal(await installed.calls(), before);
      // The counter counts: a pod that asks moves it.
      await create('shop', podOf('counted', { 'logging.io/inject': 'true', ...FILES }));
      assert.ok((await installed.calls()) > before);
    });

    it('"yes" is explained', async () => {
      const outcome = await plane.kubectlOutcome(['create', '-n', 'shop', '-o', 'json', '-f', '-'], {
        input: podOf('says-yes', { 'logging.io/inject': 'yes' }),
      });
      assert.equal(outcome.code, 0);
      const pod = JSON.parse(outcome.stdout) as Pod;
      assert.equal(sidecarOf(pod), undefined);
      assert.match(outcome.stderr, /Warning: .*logging\.io\/inject.*"true" or "false".*yes/s);
      assert.match(pod.metadata.annotations?.['logging.io/status'] ?? '', /"reason":"inject_invalid"/);
    });
  });

  describe('bad input', () => {
    const cases: ReadonlyArray<
      readonly [name: string, annotations: Readonly<Record<string, string>>, want: readonly RegExp[]]
    > = [
      ['an unknown key', { ...FILES, 'logging.io/log-gruop': 'x' }, [/log-gruop/, /log-group/]],
      ['a bad duration', { ...FILES, 'logging.io/flush-interval': '5' }, [/flush-interval/, /duration/, /"5"|got 5/]],
      [
        'a glob that is not absolute',
        { 'logging.io/files': 'logs/*.log' },
        [/logging\.io\/files/, /absolute/, /logs\/\*\.log/],
      ],
    ];
    for (const [name, annotations, want] of cases) {
      it(`${name} is answered with key, expectation, finding and remedy, and the pod runs`, async () => {
        const pod = podOf(`bad-${name.replaceAll(' ', '-')}`, { 'logging.io/inject': 'true', ...annotations });
        const outcome = await plane.kubectlOutcome(['create', '-n', 'shop', '-f', '-'], { input: pod });
        assert.equal(outcome.code, 0, outcome.stderr);
        for (const pattern of want) assert.match(outcome.stderr, pattern);
      });
    }

    it('on-invalid: deny refuses the pod with the same words', async () => {
      const annotations = {
        'logging.io/inject': 'true',
        ...FILES,
        'logging.io/flush-interval': '5',
        'logging.io/on-invalid': 'deny',
      };
      const outcome = await plane.kubectlOutcome(['create', '-n', 'shop', '-f', '-'], {
        input: podOf('denied', annotations),
      });
      assert.notEqual(outcome.code, 0);
      assert.match(outcome.stderr, /logtender.*flush-interval.*duration/s);
    });
  });

  describe('a renewed certificate', () => {
    it('fails no creation in a fail namespace while pods are being created', async function () {
      this.timeout(120_000);
      const renewals = async (): Promise<number> =>
        sumOf(await installed.metrics(), 'logtender_certificate_reloads_total');
      const first = await renewals();
      const pod = podOf('renewal', { 'logging.io/inject': 'true', ...FILES });
      let created = 0;
      const failures: string[] = [];
      const deadline = systemClock.monotonic() + RENEWALS_MS_MAX;
      // Dry runs go the whole way through admission and leave nothing behind.
      while ((await renewals()) < first + 3 && systemClock.monotonic() < deadline) {
        const answer = await plane.request('POST', '/api/v1/namespaces/strict/pods?dryRun=All', pod);
        const body = answer.body as Pod;
        if (answer.status === 201 && sidecarOf(body) !== undefined) created += 1;
        else failures.push(JSON.stringify(answer.body));
      }
      assert.deepEqual(failures, []);
      assert.ok((await renewals()) >= first + 3, `expected 3 renewals, saw ${(await renewals()) - first}`);
      process.stdout.write(`      ${created} creations over 3 renewals, 0 failed\n`);
    });
  });

  describe('while the webhook is down', () => {
    before(() => installed.webhook.halt('SIGKILL'));
    after(() => installed.webhook.start());

    it('an opted-in pod of an ignore namespace is admitted without sidecar', async () => {
      assert.equal(
        sidecarOf(await create('shop', podOf('bare-asks', { 'logging.io/inject': 'true', ...FILES }))),
        undefined,
      );
      assert.equal(sidecarOf(await create('all-in', podOf('bare-silent', {}))), undefined);
    });

    it('an opted-in pod of a fail namespace is refused with a text that names logtender', async () => {
      for (const [where, annotations] of [
        ['strict', { 'logging.io/inject': 'true', ...FILES }],
        ['strict-all-in', {}],
      ] as const) {
        const outcome = await plane.kubectlOutcome(['create', '-n', where, '-f', '-'], {
          input: podOf('refused', annotations),
        });
        assert.notEqual(outcome.code, 0);
        assert.match(outcome.stderr, /logtender/);
      }
    });

    it('a pod that did not ask is untouched by either', async () => {
      assert.equal(sidecarOf(await create('shop', podOf('calm', {}))), undefined);
      assert.equal(sidecarOf(await create('strict', podOf('calm', {}))), undefined);
      assert.equal(
        sidecarOf(await create('strict-all-in', podOf('calm', { 'logging.io/inject': 'false' }))),
        undefined,
      );
    });
  });

  it('ends in order: a stopped webhook leaves nothing behind that fails', async () => {
    await installed.webhook.halt('SIGTERM');
    await systemClock.sleep(0);
    assert.match(installed.webhookLog(), /"message":"webhook stopped"/);
    await installed.webhook.start();
  });
});
