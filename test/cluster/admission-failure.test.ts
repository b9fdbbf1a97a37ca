/**
 * What happens to pods when something is wrong: with the webhook, with its rights, with the size of a pod, or with nobody at home.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { eventually, install, sumOf } from './installation.ts';
import type { Installation } from './installation.ts';
import { ASKS, createNamespace, createPod, podOf, sidecarOf } from './pods.ts';
import type { Fields, Pod } from './pods.ts';

const RIGHTS = resolve(import.meta.dirname, '../../deploy/webhook-rbac.yaml');
const MiB = 1024 * 1024;
/** Namespaces that no entry of the webhook configuration selects. */
const EXCLUDED = ['logtender', 'kube-system', 'kube-node-lease'];

interface EventOnOwner {
  readonly source?: { readonly component?: string };
  readonly reportingComponent?: string;
  readonly involvedObject: { readonly name: string };
}

describe('admission when something is wrong', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;

  /** Exit code and stderr of kubectl. */
  const attempt = async (
    namespace: string,
    pod: Fields,
    ...flags: readonly string[]
  ): Promise<{ readonly isCreated: boolean; readonly stderr: string }> => {
    const outcome = await plane.kubectlOutcome(['create', '-n', namespace, ...flags, '-f', '-'], { input: pod });
    return { isCreated: outcome.code === 0, stderr: outcome.stderr };
  };
  const eventsIn = async (namespace: string): Promise<readonly EventOnOwner[]> => {
    const { body } = await plane.request('GET', `/api/v1/namespaces/${namespace}/events`);
    return (body as { items: readonly EventOnOwner[] }).items.filter(({ source, reportingComponent }) =>
      `${source?.component ?? ''}${reportingComponent ?? ''}`.includes('logtender'),
    );
  };

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    installed = await install(plane, { webhook: 'cluster: test\n' });
    await createNamespace(plane, 'lenient');
    await createNamespace(plane, 'severe', { 'logging.io/failure-policy': 'fail' });
    await createNamespace(plane, 'flipped');
    await createNamespace(plane, 'dry');
  });
  after(async function () {
    this.timeout(60_000);
    await installed?.uninstall();
  });

  it('a pod with an env value of 1.4 MiB of "<", which is six times that in a review, is injected (B8 25)', async () => {
    const env = [{ name: 'LARGE', value: '<'.repeat(1.4 * MiB) }];
    const pod = podOf('large', ASKS, { containers: [{ name: 'app', image: 'example/web:1', env }] });
    const answer = await plane.request('POST', '/api/v1/namespaces/severe/pods?dryRun=All', pod);
    assert.equal(answer.status, 201, JSON.stringify(answer.body).slice(0, 500));
    assert.equal(sidecarOf(answer.body as Pod)?.restartPolicy, 'Always');
    const got = (answer.body as Pod).spec.containers[0]?.env?.[0]?.value;
    assert.equal(got, env[0]?.value);
  });

  it('the answer carries the uid that the API server sent: it takes no other (B8 49)', async () => {
    // k8s.io/apiserver refuses an answer with another uid, which would refuse the pod of a fail namespace.
    assert.ok(sidecarOf(await createPod(plane, 'severe', podOf('uid', ASKS))) !== undefined);
  });

  it('a dry run has no side effects: no Event, which the same pod causes otherwise (B8 44)', async () => {
    // An owner each: the same word about the same owner would be said only once anyway.
    const owned = async (name: string): Promise<Fields> => {
      const { body } = await plane.request('POST', '/api/v1/namespaces/dry/configmaps', { metadata: { name } });
      const { uid } = (body as { metadata: { uid: string } }).metadata;
      const base = podOf(name, { ...ASKS, 'logging.io/flush-interval': 'soon' });
      const owner = { apiVersion: 'v1', kind: 'ConfigMap', name, uid, controller: true };
      return { ...base, metadata: { ...(base['metadata'] as Fields), ownerReferences: [owner] } };
    };
    const before = await installed.calls();
    const dry = await attempt('dry', await owned('dry'), '--dry-run=server');
    assert.ok(dry.isCreated && /flush-interval/.test(dry.stderr), dry.stderr);
    assert.ok((await installed.calls()) > before, 'the webhook was asked');
    const wet = await attempt('dry', await owned('wet'));
    assert.ok(wet.isCreated, wet.stderr);
    // Events are written in the order of the requests: when the second has come, the first had its time.
    const events = await eventually('an Event', async () => {
      const found = await eventsIn('dry');
      return found.length > 0 ? found : undefined;
    });
    assert.deepEqual(
      events.map(({ involvedObject }) => involvedObject.name),
      ['wet'],
    );
  });

  it('an internal error admits the pod of an ignore namespace, counted as fail-open, and refuses that of a fail namespace (B8 41)', async () => {
    const failOpen = async (): Promise<number> => {
      const { body } = await plane.request('GET', '/metrics');
      return sumOf(String(body), 'apiserver_admission_webhook_fail_open_count');
    };
    // Without its rights it cannot tell whether the account exists.
    await plane.kubectl(['delete', 'clusterrolebinding', 'logtender-webhook']);
    try {
      const pod = podOf('troubled', { ...ASKS, 'logging.io/service-account': 'nobody-knows' });
      const refusal = await eventually('the rights to be gone', async () => {
        const outcome = await attempt('severe', pod, '--dry-run=server');
        return outcome.isCreated ? undefined : outcome;
      });
      assert.match(refusal.stderr, /failed calling webhook "annotation-fail\.logtender\.logging\.io".*logtender/s);
      const before = await failOpen();
      assert.equal(sidecarOf(await createPod(plane, 'lenient', pod)), undefined);
      assert.equal(await failOpen(), before + 1);
    } finally {
      await plane.kubectl(['apply', '-f', '-'], { input: readFileSync(RIGHTS, 'utf8') });
    }
  });

  it('our own namespace, kube-system and kube-node-lease are never asked about (B8 45)', async () => {
    const before = await installed.calls();
    const asks = podOf('asks', ASKS);
    const restricted = { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } };
    const container = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
    const pod = {
      ...asks,
      spec: {
        automountServiceAccountToken: false,
        securityContext: restricted,
        containers: [{ name: 'app', image: 'example/web:1', securityContext: container }],
      },
    };
    for (const namespace of EXCLUDED) {
      // Nor does a label on the namespace change that.
      await plane.kubectl([
        'label',
        'namespace',
        namespace,
        'logging.io/inject=true',
        'logging.io/failure-policy=fail',
      ]);
      try {
        await eventually('the account', async () => {
          const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
          return (await plane.request('GET', path)).status === 200 ? true : undefined;
        });
        const outcome = await attempt(namespace, pod, '--dry-run=server');
        assert.ok(outcome.isCreated, `${namespace}: ${outcome.stderr}`);
      } finally {
        await plane.kubectl(['label', 'namespace', namespace, 'logging.io/inject-', 'logging.io/failure-policy-']);
      }
    }
    assert.equal(await installed.calls(), before);
  });

  describe('while every webhook replica is down', () => {
    before(() => installed.webhook.halt('SIGKILL'));
    after(() => installed.webhook.start());

    it('the label of a namespace flips between admitted and refused, with no redeploy (B8 46)', async () => {
      const isCreated = async (): Promise<boolean> =>
        (await attempt('flipped', podOf('flip', ASKS), '--dry-run=server')).isCreated;
      const becomes = (what: string, want: boolean): Promise<true> =>
        eventually(what, async () => ((await isCreated()) === want ? true : undefined));
      assert.equal(await isCreated(), true);
      await plane.kubectl(['label', 'namespace', 'flipped', 'logging.io/failure-policy=fail']);
      await becomes('a refusal', false);
      await plane.kubectl(['label', 'namespace', 'flipped', '--overwrite', 'logging.io/failure-policy=ignore']);
      await becomes('an admission', true);
    });

    it('a pod of the webhook itself is created all the same, so it heals (B8 45)', async () => {
      const podsOfWebhook = async (): Promise<readonly Pod[]> => {
        const selector = 'labelSelector=app.kubernetes.io%2Fname%3Dlogtender-webhook';
        const { body } = await plane.request('GET', `/api/v1/namespaces/logtender/pods?${selector}`);
        return (body as { items: readonly Pod[] }).items;
      };
      // Whatever somebody wrote on the namespace.
      await plane.kubectl([
        'label',
        'namespace',
        'logtender',
        'logging.io/inject=true',
        'logging.io/failure-policy=fail',
      ]);
      try {
        await plane.kubectl(['scale', 'deployment', 'logtender-webhook', '-n', 'logtender', '--replicas=2']);
        const pods = await eventually('two pods of the Deployment', async () => {
          const found = await podsOfWebhook();
          return found.length === 2 ? found : undefined;
        });
        for (const pod of pods) assert.equal(sidecarOf(pod), undefined);
      } finally {
        await plane.kubectl(['scale', 'deployment', 'logtender-webhook', '-n', 'logtender', '--replicas=0']);
        await plane.kubectl(['label', 'namespace', 'logtender', 'logging.io/inject-', 'logging.io/failure-policy-']);
      }
    });
  });

  it('and the log of the webhook has each failure with its reason code', () => {
    const log = readFileSync(join(installed.folder, 'webhook.log'), 'utf8');
    assert.match(log, /"reason":"facts_unavailable"/);
  });
});
