/**
 * The commands that look at a cluster, run as users run them, against a real API server: explain, list, certs; and what they are there
 * to see: pods of before, an outage, a configuration that changes while the webhook runs, a pause, a rotation.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { CertsReport } from '../../src/cli/certs-status.ts';
import type { Explanation } from '../../src/cli/explain.ts';
import type { PodList } from '../../src/cli/list.ts';
import { bundleOf } from '../bundles.ts';
import { run } from '../servers/programs.ts';
import type { Outcome } from '../servers/programs.ts';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { eventually, install, sumOf } from './installation.ts';
import type { Installation } from './installation.ts';
import { ASKS, createNamespace, createPod, podOf, RESTRICTED_CONTAINER, statusOf } from './pods.ts';
import { accountKubeconfig } from './processes.ts';

const CONFIG = 'cluster: test\nelasticsearchUrl: http://elasticsearch.example:9200\n';

describe('commands on a real API server', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;

  const logtender = (args: readonly string[], kubeconfig = plane.kubeconfig): Promise<Outcome> =>
    run(process.execPath, [bundleOf('cli'), ...args], { timeoutMs: 60_000, env: { KUBECONFIG: kubeconfig } });
  /** A command and the JSON that it prints; its exit code is the caller's to judge. */
  const json = async (args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> => {
    const { code, stdout, stderr } = await logtender([...args, '-o', 'json']);
    assert.equal(stderr, '');
    return { code, text: stdout };
  };
  const listed = async (...args: readonly string[]): Promise<PodList> =>
    JSON.parse((await json(['list', ...args])).text) as PodList;
  const explained = async (subject: string, namespace: string): Promise<readonly [code: number, verdict: string]> => {
    const { code, text } = await json(['explain', subject, '-n', namespace]);
    return [code, (JSON.parse(text) as Explanation).verdict.code];
  };
  /** What the webhook reads from its file, and what the ConfigMap of the installation says, are one and the same in a cluster. */
  const configure = async (text: string): Promise<void> => {
    await plane.request(
      'PATCH',
      '/api/v1/namespaces/logtender/configmaps/logtender-config',
      { data: { 'webhook.yaml': text } },
      'application/merge-patch+json',
    );
    writeFileSync(join(installed.folder, 'webhook.yaml'), `${text}\nserver: ${server}\n`);
  };
  const reloads = async (result: string): Promise<number> => {
    const lines = (await installed.metrics()).split('\n').filter((line) => line.includes(`result="${result}"`));
    return sumOf(lines.join('\n'), 'logtender_config_reloads_total');
  };
  /** Waits for one more reload than `before`. */
  const reloaded = (result: string, before: number): Promise<true> =>
    eventually(`a configuration that is ${result}`, async () => ((await reloads(result)) > before ? true : undefined));
  let server = '';

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    installed = await install(plane, {
      certs: 'leafLife: 20m\ncaLife: 1h\nsettle: 1s\npruneMargin: 1s\ntick: 1s\nrestoreGrace: 2s\nlease: 2s\n',
      webhook: CONFIG,
    });
    // Where it listens stays as the installation chose it.
    server = /^server: (.*)$/m.exec(readFileSync(join(installed.folder, 'webhook.yaml'), 'utf8'))?.[1] ?? '';
    await configure(CONFIG);
    await createNamespace(plane, 'cli');
    await createNamespace(plane, 'cli-labelled');
    const container = { name: 'webhook', image: 'logtender', securityContext: RESTRICTED_CONTAINER };
    // Deployments have no replicas here: a pod that stands for one of the webhook's.
    await plane.kubectl(['create', '-n', 'logtender', '-f', '-'], {
      input: {
        ...podOf('logtender-webhook-0', {}, { containers: [container] }),
        metadata: { name: 'logtender-webhook-0', labels: { 'app.kubernetes.io/name': 'logtender-webhook' } },
      },
    });
    const conditions = [{ type: 'Ready', status: 'True' }];
    await plane.request(
      'PATCH',
      '/api/v1/namespaces/logtender/pods/logtender-webhook-0/status',
      { status: { conditions } },
      'application/merge-patch+json',
    );
  });
  after(async function () {
    this.timeout(60_000);
    await installed?.uninstall();
    await plane?.kubectl(['delete', 'namespace', 'cli', 'cli-labelled', '--wait=false', '--ignore-not-found']);
  });

  it('explain and list: pods that the real controllers made are injected and not out of date', async () => {
    const { spec, ...about } = podOf('web', {
      ...ASKS,
      'logging.io/stdout': 'off',
      'logging.io/sink': 'elasticsearch',
    });
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: {
            labels: { app: 'web' },
            annotations: (about['metadata'] as { annotations: unknown }).annotations,
          },
          spec,
        },
      },
    };
    await plane.kubectl(['create', '-n', 'cli', '-f', '-'], { input: deployment });
    const list = await eventually('both pods', async () => {
      const value = await listed('-n', 'cli');
      return value.pods.length === 2 ? value : undefined;
    });
    assert.deepEqual(
      list.pods.map(({ state, reason, shape, remedy }) => [state, reason, shape, remedy]),
      [
        ['injected', 'injected', 'native', ''],
        ['injected', 'injected', 'native', ''],
      ],
    );
    assert.deepEqual([await explained('deployment/web', 'cli'), list.gaps], [[0, 'injected'], []]);
    const { stdout } = await logtender(['explain', `pod/${list.pods[0]?.name}`, '-n', 'cli']);
    assert.match(
      stdout,
      /annotation-ignore\.logtender\.logging\.io, caBundle present, trusts the served certificate; 1 ready pods/,
    );
  });

  it('explain: the annotation on the wrong object, nobody asked, a pod older than the label', async () => {
    const metadata = { name: 'wrong', annotations: { 'logging.io/inject': 'true' } };
    const template = { metadata: { labels: { app: 'wrong' } }, spec: { containers: [{ name: 'app', image: 'x' }] } };
    await plane.kubectl(['create', '-n', 'cli', '-f', '-'], {
      input: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: { selector: { matchLabels: { app: 'wrong' } }, template },
      },
    });
    assert.deepEqual(await explained('deploy/wrong', 'cli'), [1, 'wrong_object']);
    await createPod(plane, 'cli-labelled', podOf('early', {}));
    assert.deepEqual(await explained('pod/early', 'cli-labelled'), [1, 'not_asked']);
    // Times of the API server have whole seconds.
    await new Promise((wait) => setTimeout(wait, 1_100));
    await plane.kubectl(['label', 'namespace', 'cli-labelled', 'logging.io/inject=true']);
    assert.deepEqual(await explained('pod/early', 'cli-labelled'), [1, 'pod_older_than_label']);
  });

  it('an outage under ignore admits a bare pod, which list and explain find', async () => {
    await installed.webhook.halt();
    await createPod(plane, 'cli', podOf('bare', ASKS));
    await installed.webhook.start();
    const value = await listed('-A');
    assert.deepEqual(
      value.pods
        // Other suites leave bare pods of their own in the cluster.
        .filter(({ state, namespace }) => state === 'bare' && /^cli(?:-|$)/.test(namespace))
        .map(({ namespace, name }) => `${namespace}/${name}`)
        .toSorted(),
      ['cli-labelled/early', 'cli/bare'],
    );
    assert.deepEqual(await explained('pod/bare', 'cli'), [1, 'bare_outage']);
  });

  it('a changed configuration holds without a restart, and what it changes is out of date', async () => {
    const before = await reloads('applied');
    await configure(`${CONFIG}defaults: { flush-interval: 2s }\n`);
    await reloaded('applied', before);
    const pod = await createPod(plane, 'cli', podOf('after', ASKS));
    assert.match(statusOf(pod), /"decision":"injected"/);
    const value = await listed('-n', 'cli');
    const stateOf = (name: string): string | undefined => value.pods.find((one) => one.name.startsWith(name))?.state;
    assert.deepEqual([stateOf('after'), stateOf('web-'), value.counts.outdated], ['injected', 'outdated', 2]);
    assert.deepEqual(await explained('deployment/web', 'cli'), [1, 'outdated']);
  });

  it('a wrong configuration changes nothing: metric, Event on the ConfigMap, readiness', async () => {
    const before = await reloads('refused');
    await configure(`${CONFIG}serviceAccountMode: allways\nimagge: x\n`);
    await reloaded('refused', before);
    const described = await eventually('the Event', async () => {
      const text = await plane.kubectl(['describe', 'configmap', 'logtender-config', '-n', 'logtender']);
      return text.includes('ConfigRefused') ? text : undefined;
    });
    // What is above them is the ConfigMap itself, with its values.
    const events = described.slice(described.indexOf('\nEvents:'));
    assert.match(
      events,
      /Warning +ConfigRefused .*line \d+: serviceAccountMode: expected one of never, if-default, require/,
    );
    assert.match(events, /line \d+: imagge: .*did you mean image\?/);
    assert(!events.includes('allways'), events);
    const pod = await createPod(plane, 'cli', podOf('still', ASKS));
    assert.match(statusOf(pod), /"decision":"injected"/);
    const { stdout } = await logtender(['explain', 'pod/still', '-n', 'cli']);
    assert.match(stdout, /config +wrong, so that built-in defaults were used here: .*imagge/);
  });

  it('the pause switch: admitted as it is, told why, and over without a restart', async () => {
    const before = await reloads('applied');
    await configure(`${CONFIG}paused: true\n`);
    await reloaded('applied', before);
    const pod = await createPod(plane, 'cli', podOf('paused', ASKS));
    assert.match(statusOf(pod), /"decision":"skipped","reason":"paused"/);
    assert.equal(pod.spec.initContainers, undefined);
    assert.deepEqual(await explained('pod/paused', 'cli'), [1, 'paused']);
    assert.match((await logtender(['list', '-n', 'cli'])).stdout, /injection is paused by the operator/);
    await configure(CONFIG);
    await reloaded('applied', before + 1);
    assert.match(statusOf(await createPod(plane, 'cli', podOf('resumed', ASKS))), /"decision":"injected"/);
  });

  it('with few rights: a verdict all the same, and what could not be read', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'reader', '-n', 'cli']);
    await plane.kubectl(['create', 'role', 'reader', '-n', 'cli', '--verb=get,list', '--resource=pods']);
    await plane.kubectl([
      'create',
      'rolebinding',
      'reader',
      '-n',
      'cli',
      '--role=reader',
      '--serviceaccount=cli:reader',
    ]);
    const { folder } = installed;
    const kubeconfig = await accountKubeconfig(plane, { folder, account: 'reader', namespace: 'cli' });
    const { stdout, code } = await logtender(['explain', 'pod/resumed', '-n', 'cli'], kubeconfig);
    assert.equal(code, 1, stdout);
    assert.match(stdout, /not known: get ConfigMap logtender\/logtender-config: no right to/);
    assert.match(stdout, /not known: get Secret logtender\/logtender-tls: no right to/);
    const forbidden = await logtender(['certs', 'rotate'], kubeconfig);
    assert.deepEqual(
      [forbidden.code, /expected the right to get and patch it, got none/.test(forbidden.stderr)],
      [1, true],
    );
  });

  it('certs status and rotate: in order, rotated on request, in order', async () => {
    const status = async (): Promise<CertsReport> => {
      const { code, text } = await json(['certs', 'status']);
      const value = JSON.parse(text) as CertsReport;
      assert.deepEqual([value.problems, code], [[], 0]);
      return value;
    };
    const before = await status();
    assert.deepEqual(
      before.entries.map(({ trustsServed }) => trustsServed),
      [true, true, true, true],
    );
    for (const kind of ['--leaf', '--ca']) {
      const { code, stdout, stderr } = await logtender(['certs', 'rotate', kind, '--wait', '40s']);
      assert.deepEqual([code, stderr], [0, ''], stdout);
      assert.match(stdout, /done\n$/);
    }
    const after = await status();
    assert.deepEqual([before.generation, after.generation], [1, 2]);
    assert.match(statusOf(await createPod(plane, 'cli', podOf('rotated', ASKS))), /"decision":"injected"/);
  });
});
