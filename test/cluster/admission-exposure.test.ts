/**
 * What the webhook can be used for by those who should not, and what it tells: rights of its account, other people's Secrets, names of
 * ours that are taken, Pod Security, and values that must stay where they are.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { connectApi } from './api-connection.ts';
import { eventually, install } from './installation.ts';
import type { Installation } from './installation.ts';
import { ASKS, createNamespace, createPod, podOf, RESTRICTED_CONTAINER, sidecarOf, statusOf } from './pods.ts';
import type { Fields, Pod } from './pods.ts';

/** What the account of the webhook may not do, with kubectl's words for it. */
const FORBIDDEN: ReadonlyArray<readonly string[]> = [
  ['patch', 'mutatingwebhookconfigurations/logtender-injector'],
  ['update', 'mutatingwebhookconfigurations/logtender-injector'],
  ['delete', 'mutatingwebhookconfigurations/logtender-injector'],
  ['create', 'mutatingwebhookconfigurations'],
  ['get', 'mutatingwebhookconfigurations/istio-sidecar-injector'],
  ['get', 'secrets/logtender-ca', '-n', 'logtender'],
  ['list', 'secrets', '-n', 'logtender'],
  ['patch', 'secrets/logtender-tls', '-n', 'logtender'],
  ['get', 'secrets', '-n', 'exposed'],
  ['get', 'configmaps', '-n', 'exposed'],
  ['get', 'pods', '-n', 'exposed'],
  ['create', 'pods', '-n', 'exposed'],
  ['create', 'serviceaccounts', '--subresource=token', '-n', 'exposed'],
  ['impersonate', 'users'],
];
const CANARY = 'canary-7c1f';

describe('admission, exposure', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    installed = await install(plane, {
      webhook: 'cluster: test\nawsRegion: eu-central-1\nelasticsearchUrl: http://elasticsearch.example:9200\n',
    });
    await createNamespace(plane, 'exposed');
    await createNamespace(plane, 'restricted', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    for (const namespace of ['exposed', 'restricted'])
      await plane.kubectl(['create', 'serviceaccount', 'logtender-forwarder', '-n', namespace]);
  });
  after(async function () {
    this.timeout(60_000);
    await installed?.uninstall();
  });

  describe('a token of the server role (B8 53)', () => {
    for (const args of FORBIDDEN)
      it(`may not ${args.join(' ')}`, async () => {
        const role = '--as=system:serviceaccount:logtender:logtender-webhook';
        const outcome = await plane.kubectlOutcome(['auth', 'can-i', ...args, role]);
        assert.equal(outcome.stdout.trim(), 'no', outcome.stderr);
      });

    it('is refused by the API server when it tries', async () => {
      const file = readFileSync(join(installed.folder, 'logtender-webhook.kubeconfig'), 'utf8');
      const { users } = JSON.parse(file) as { users: ReadonlyArray<{ user: { token: string } }> };
      const headers = {
        authorization: `Bearer ${users[0]?.user.token}`,
        'content-type': 'application/json-patch+json',
      };
      const api = connectApi(plane, 1);
      const statusOfAnswer = async (method: string, path: string, body?: unknown): Promise<number> =>
        (await api.request(method, path, body, headers)).status;
      const configuration = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/logtender-injector';
      const secrets = '/api/v1/namespaces/logtender/secrets';
      try {
        assert.equal(await statusOfAnswer('PATCH', configuration, [{ op: 'remove', path: '/webhooks/0' }]), 403);
        assert.equal(await statusOfAnswer('GET', `${secrets}/logtender-ca`), 403);
        // The same token does open what the role is for.
        assert.equal(await statusOfAnswer('GET', configuration), 200);
        assert.equal(await statusOfAnswer('GET', `${secrets}/logtender-tls`), 200);
      } finally {
        api.close();
      }
    });
  });

  describe('a user of a namespace cannot make us read what is elsewhere (B8 55)', () => {
    const cases: ReadonlyArray<readonly [key: string, value: string]> = [
      ['sink-secret', 'logtender/logtender-ca'],
      ['sink-secret', '../logtender/logtender-tls'],
      ['service-account', 'kube-system:default'],
      ['service-account', '../kube-system/default'],
      ['files', '/logtender/secret/*'],
      ['files', '/var/run/secrets/kubernetes.io/serviceaccount/*'],
      ['files', '/var/log/../../etc/shadow'],
    ];
    for (const [key, value] of cases)
      it(`${key}: ${value}`, async () => {
        const pod = podOf('curious', { ...ASKS, [`logging.io/${key}`]: value });
        const args = ['create', '--dry-run=server', '-n', 'exposed', '-o', 'json', '-f', '-'];
        const { code, stdout, stderr } = await plane.kubectlOutcome(args, { input: pod });
        assert.equal(code, 0, stderr);
        assert.match(stderr, new RegExp(`Warning: logtender: .*logging\\.io/${key}: expected `));
        const { spec } = JSON.parse(stdout) as Pod;
        assert.ok(!JSON.stringify(spec).includes(value), 'the value reaches nothing of the pod');
        const secrets = (spec.volumes ?? []).flatMap((volume) => {
          const source = volume['secret'] as { secretName: string } | undefined;
          return source === undefined ? [] : [source.secretName];
        });
        assert.deepEqual(secrets, ['logtender-sink']);
        assert.equal(spec.serviceAccountName, 'default');
      });

    it('a Secret of the same name is mounted by reference: the kubelet takes it from the namespace of the pod', async () => {
      const pod = await createPod(
        plane,
        'exposed',
        podOf('own', { ...ASKS, 'logging.io/sink-secret': 'logtender-ca' }),
      );
      const volume = (pod.spec.volumes ?? []).find((one) => one['name'] === 'logtender-secret');
      assert.deepEqual(volume?.['secret'], { secretName: 'logtender-ca', optional: true, defaultMode: 420 });
    });
  });

  describe('a name of ours that is taken is a conflict, never a takeover (B8 56)', () => {
    const taken: ReadonlyArray<readonly [name: string, spec: Fields, code: string]> = [
      ['container', { containers: [{ name: 'logtender', image: 'example/mine:1' }] }, 'conflict_container'],
      [
        'init-container',
        { initContainers: [{ name: 'logtender', image: 'example/mine:1', restartPolicy: 'Always' }] },
        'conflict_container',
      ],
      ['volume', { volumes: [{ name: 'logtender-state', configMap: { name: 'mine' } }] }, 'conflict_volume'],
      ['token-volume', { volumes: [{ name: 'logtender-token', secret: { secretName: 'mine' } }] }, 'conflict_volume'],
    ];
    for (const [name, spec, code] of taken)
      it(`${name}: is said in the status, refused with on-invalid: deny`, async () => {
        const asks = { ...ASKS, 'logging.io/service-account': 'logtender-forwarder' };
        const pod = await createPod(plane, 'exposed', podOf(name, asks, spec));
        assert.match(statusOf(pod), new RegExp(`"decision":"skipped","reason":"${code}"`));
        const image = sidecarOf(pod)?.image;
        assert.ok(image === undefined || image === 'example/mine:1', image);
        const denied = await plane.kubectlOutcome(['create', '-n', 'exposed', '-f', '-'], {
          input: podOf(`${name}-denied`, { ...asks, 'logging.io/on-invalid': 'deny' }, spec),
        });
        assert.notEqual(denied.code, 0);
        assert.match(denied.stderr, /logtender refuses this pod/);
      });
  });

  describe('a namespace that enforces Pod Security restricted admits injected pods (B8 57)', () => {
    const container = { name: 'app', image: 'example/web:1', securityContext: RESTRICTED_CONTAINER };
    const role = { 'logging.io/role-arn': 'arn:aws:iam::111122223333:role/logs', 'logging.io/sink': 'cloudwatch' };
    const cases: ReadonlyArray<readonly [name: string, annotations: Readonly<Record<string, string>>, spec?: Fields]> =
      [
        ['native', {}],
        ['plain', { 'logging.io/sidecar': 'container' }],
        ['role-arn', role],
        ['switched-account', { 'logging.io/service-account': 'logtender-forwarder' }],
        ['role-and-account', { ...role, 'logging.io/service-account': 'logtender-forwarder' }],
        [
          'plain-with-both',
          { ...role, 'logging.io/service-account': 'logtender-forwarder', 'logging.io/sidecar': 'container' },
        ],
        [
          'positions-on-a-claim',
          { 'logging.io/files': '/data/*.log' },
          {
            containers: [{ ...container, volumeMounts: [{ name: 'data', mountPath: '/data', subPath: 'logs' }] }],
            volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
          },
        ],
        ['fs-group', {}, { securityContext: { fsGroup: 2000, runAsUser: 1000 } }],
        [
          'user-of-the-app',
          {},
          { containers: [{ ...container, securityContext: { ...RESTRICTED_CONTAINER, runAsUser: 4711 } }] },
        ],
      ];
    for (const [name, annotations, spec] of cases)
      it(name, async () => {
        const input = podOf(name, { ...ASKS, ...annotations }, { containers: [container], ...spec });
        const pod = await createPod(plane, 'restricted', input);
        const sidecar = sidecarOf(pod);
        assert.ok(sidecar !== undefined, statusOf(pod));
        const isNative = pod.spec.initContainers?.includes(sidecar) === true;
        assert.equal(isNative, annotations['logging.io/sidecar'] !== 'container');
        const account = annotations['logging.io/service-account'] ?? 'default';
        assert.equal(pod.spec.serviceAccountName, account);
        const positions = (sidecar.volumeMounts ?? []).filter(({ mountPath }) =>
          mountPath.startsWith('/logtender/positions'),
        );
        const isOnClaim = name === 'positions-on-a-claim';
        assert.deepEqual(
          positions,
          isOnClaim ? [{ name: 'data', mountPath: '/logtender/positions/data', subPath: 'logs' }] : [],
        );
      });

    it('and refuses what it would refuse without us', async () => {
      const outcome = await plane.kubectlOutcome(['create', '-n', 'restricted', '-f', '-'], {
        input: podOf('privileged', ASKS),
      });
      assert.notEqual(outcome.code, 0);
      assert.match(outcome.stderr, /violates PodSecurity "restricted/);
    });
  });

  describe('what is told, after all of the above', () => {
    it('values of env, annotations and Secrets are in no log, metric or Event, those of Secrets in no pod (B8 58)', async () => {
      const secret = `${CANARY}-secret`;
      await plane.kubectl([
        'create',
        'secret',
        'generic',
        'logtender-sink',
        '-n',
        'exposed',
        `--from-literal=elasticsearch-password=${secret}`,
      ]);
      const { body } = await plane.request('POST', '/api/v1/namespaces/exposed/configmaps', {
        metadata: { name: 'owner' },
      });
      const { uid } = (body as { metadata: { uid: string } }).metadata;
      const annotations = {
        ...ASKS,
        'logging.io/flush-interval': `${CANARY}-interval`,
        'logging.io/log-group': `${CANARY}-group`,
        'logging.io/data-stream': `${CANARY}{nonsense}`,
        'logging.io/sink-secret': `${CANARY}/bad name`,
        [`logging.io/${CANARY}-key`]: `${CANARY}-unknown`,
        'other.example/token': `${CANARY}-foreign`,
      };
      const env = [{ name: 'PASSWORD', value: `${CANARY}-env` }];
      const base = podOf('canary', annotations, { containers: [{ name: 'app', image: 'example/web:1', env }] });
      const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid, controller: true };
      const metadata = { ...(base['metadata'] as Fields), ownerReferences: [owner] };
      const pod = await createPod(plane, 'exposed', { ...base, metadata });
      // The same, refused.
      const denying = { ...annotations, 'logging.io/on-invalid': 'deny' };
      const denied = await plane.kubectlOutcome(['create', '-n', 'exposed', '-f', '-'], {
        input: { ...base, metadata: { ...metadata, name: 'canary-denied', annotations: denying } },
      });
      assert.notEqual(denied.code, 0);
      const events = await eventually('Events on the owner', async () => {
        const answer = await plane.request('GET', '/api/v1/events');
        const text = JSON.stringify(answer.body);
        return /InjectedDegraded/.test(text) && /InvalidValues/.test(text) ? text : undefined;
      });
      const logs = ['webhook.log', 'certs.log'].map((name) => readFileSync(join(installed.folder, name), 'utf8'));
      assert.match(logs.join('\n'), /injected_degraded/, 'the log is the one of this webhook');
      // The key of an unknown annotation is a user's text as well, and no key of ours.
      for (const text of [...logs, await installed.metrics(), events]) assert.ok(!text.includes(CANARY), around(text));
      assert.ok(!`${JSON.stringify(pod)}${denied.stderr}`.includes(secret));
      assert.ok(!JSON.stringify(sidecarOf(pod)).includes(`${CANARY}-env`), 'the env of the app is in no part of ours');
      assert.ok(!statusOf(pod).includes(`${CANARY}-env`) && !statusOf(pod).includes(`${CANARY}-foreign`));
    });
  });
});

/** Where the canary sits, for whoever has to find its way there. */
function around(text: string): string {
  const at = text.indexOf(CANARY);
  return text.slice(Math.max(0, at - 200), at + 100);
}
