/**
 * The ValidatingAdmissionPolicy of deploy/policy on a real API server: what other webhooks do to our sidecar, and pods that were
 * admitted bare, are reported or refused; sound pods and pods that we left alone on purpose are not.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ForeignWebhook } from '../fakes/foreign-webhook.ts';
import type { Mutation } from '../fakes/foreign-webhook.ts';
import * as changes from '../fakes/pod-changes.ts';
import { requireOwn } from '../servers/require-server.ts';
import { startControlPlane } from '../servers/servers.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { eventually, install, sumOf } from './installation.ts';
import type { Installation } from './installation.ts';
import { ASKS, createNamespace, podOf, sidecarOf, statusOf } from './pods.ts';
import type { Fields, Pod } from './pods.ts';

const POLICY = resolve(import.meta.dirname, '../../deploy/policy');
/** How the API server begins what a validation says (k8s.io/apiserver, validating policy dispatcher). */
const REPORTED = /ValidatingAdmissionPolicy 'logtender-sidecar' with binding 'logtender-sidecar-report': (.*)/;
const REFUSED =
  /ValidatingAdmissionPolicy 'logtender-sidecar' with binding 'logtender-sidecar-deny' denied request: (.*)/;
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata', resources: [{ group: '', resources: ['pods'] }] }, { level: 'None' }],
};

/** Name -> what another webhook does after ours, and again after each of our repairs -> what the policy says. */
const HARM: Readonly<Record<string, readonly [mutation: Mutation, says: RegExp]>> = {
  'drops-restart-policy': [changes.dropsRestartPolicy, /no longer native/],
  'makes-plain': [changes.makesPlain, /no longer native/],
  'drops-container': [changes.dropsContainer, /has none/],
  'drops-user-mount': [changes.dropsUserMount, /no longer sees the log directories/],
  'drops-our-mount': [changes.dropsOurMount, /no longer sees the log directories/],
  'drops-volume': [changes.dropsVolume, /no longer sees the log directories/],
  'changes-volume': [changes.changesVolume, /no longer sees the log directories/],
  'moves-to-end': [changes.movesToEnd, /no longer in its place/],
};

const SHORT = 'whose annotations leave room for the short status alone';
const POD = podOf('web', ASKS, {
  containers: [
    { name: 'app', image: 'example/web:1' },
    { name: 'second', image: 'example/web:1' },
  ],
  initContainers: [{ name: 'migrate', image: 'example/web:1' }],
});

interface Outcome {
  readonly pod: Pod | undefined;
  readonly reported: readonly string[];
  readonly refused: readonly string[];
}

describe('policy after all other webhooks', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;
  let foreign: ForeignWebhook;
  let folder: string;

  /** A dry run goes the whole way through admission and leaves nothing behind. */
  const attempt = async (namespace: string, pod: Fields): Promise<Outcome> => {
    const args = ['create', '--dry-run=server', '-n', namespace, '-o', 'json', '-f', '-'];
    const { code, stdout, stderr } = await plane.kubectlOutcome(args, { input: pod });
    const found = (pattern: RegExp): readonly string[] =>
      stderr.split('\n').flatMap((line) => {
        const text = pattern.exec(line)?.[1];
        return text === undefined ? [] : [text];
      });
    const outcome = { reported: found(REPORTED), refused: found(REFUSED) };
    assert.ok(code === 0 || outcome.refused.length > 0, stderr);
    return { ...outcome, pod: code === 0 ? (JSON.parse(stdout) as Pod) : undefined };
  };
  const assertSound = async (namespace: string, pod: Fields): Promise<Pod> => {
    const outcome = await attempt(namespace, pod);
    assert.deepEqual([outcome.reported, outcome.refused], [[], []]);
    assert.ok(outcome.pod !== undefined);
    return outcome.pod;
  };

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), 'logtender-policy-'));
    writeFileSync(join(folder, 'audit.yaml'), JSON.stringify(AUDIT_POLICY));
    const flags = [
      `--audit-policy-file=${join(folder, 'audit.yaml')}`,
      `--audit-log-path=${join(folder, 'audit.log')}`,
    ];
    plane = await requireOwn(this, 'control-plane', () => startControlPlane({ apiServerFlags: flags }));
    await plane.registerNode();
    foreign = new ForeignWebhook(plane);
    await foreign.start();
    installed = await install(plane, { webhook: 'cluster: test\n' });
    await createNamespace(plane, 'shop');
    await createNamespace(plane, 'labelled', { 'logging.io/inject': 'true' });
    await createNamespace(plane, 'required', { 'logging.io/inject': 'true', 'logging.io/failure-policy': 'fail' });
    for (const [name, [mutation]] of Object.entries(HARM)) {
      const namespaces = [`report-${name}`, `deny-${name}`];
      await createNamespace(plane, `report-${name}`);
      await createNamespace(plane, `deny-${name}`, { 'logging.io/failure-policy': 'fail' });
      await foreign.register({ name: `zz-${name}`, mutation, namespaces, reinvocationPolicy: 'IfNeeded' });
    }
    await createNamespace(plane, 'repaired', { 'logging.io/failure-policy': 'fail' });
    await foreign.register({ name: 'zz-once', mutation: changes.dropsRestartPolicy, namespaces: ['repaired'] });
    await plane.kubectl(['apply', '-k', join(POLICY, 'deny')]);
    // Both bindings are at work when they say what is known to be wrong.
    await eventually('the report', async () =>
      (await attempt('report-drops-container', POD)).reported.length > 0 ? true : undefined,
    );
    await eventually('the refusal', async () =>
      (await attempt('deny-drops-container', POD)).refused.length > 0 ? true : undefined,
    );
  });
  after(async function () {
    this.timeout(60_000);
    await foreign?.stop();
    await installed?.uninstall();
    await plane?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is sound in the eyes of the API server: its type check of every expression finds nothing', async () => {
    const status = await eventually('the type check', async () => {
      const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/logtender-sidecar';
      const { body } = await plane.request('GET', path);
      const policy = body as { status?: { typeChecking?: Fields } };
      return policy.status?.typeChecking;
    });
    assert.deepEqual(status, {});
  });

  describe('a webhook that breaks the sidecar after us', () => {
    for (const [name, [, says]] of Object.entries(HARM)) {
      it(`${name}: is reported, and refused where sidecars are required`, async () => {
        const reported = await attempt(`report-${name}`, POD);
        assert.ok(reported.pod !== undefined, 'a report lets the pod in');
        assert.match(reported.reported.join('\n'), says);
        const refused = await attempt(`deny-${name}`, POD);
        assert.equal(refused.pod, undefined);
        assert.match(refused.refused.join('\n'), says);
      });
    }

    it('is in the audit log of the API server', () => {
      const key = 'validation.policy.admission.k8s.io/validation_failure';
      const lines = readFileSync(join(folder, 'audit.log'), 'utf8').trim().split('\n');
      const events = lines.map((line) => JSON.parse(line) as { annotations?: Record<string, string> });
      const texts = events.flatMap(({ annotations }) => annotations?.[key] ?? []);
      for (const [, says] of Object.values(HARM))
        assert.ok(
          texts.some((text) => says.test(text)),
          says.source,
        );
    });

    it('and does so once is repaired by our second pass, and there is nothing to report', async () => {
      const before = foreign.calls;
      const pod = await assertSound('repaired', POD);
      assert.ok(foreign.calls > before, 'the other webhook was asked');
      assert.equal(sidecarOf(pod)?.restartPolicy, 'Always');
    });
  });

  describe('a sound pod passes', () => {
    const own = { name: 'own', emptyDir: {} };
    const cases: ReadonlyArray<readonly [name: string, pod: Fields]> = [
      ['native, in front of its init containers', POD],
      ['plain, as asked', podOf('plain', { ...ASKS, 'logging.io/sidecar': 'container' })],
      ['with nothing to ship', podOf('empty', { 'logging.io/inject': 'true' })],
      [
        'behind a mesh',
        podOf('meshed', ASKS, {
          initContainers: [
            { name: 'istio-init', image: 'example/proxy:1' },
            { name: 'istio-proxy', image: 'example/proxy:1', restartPolicy: 'Always' },
            { name: 'migrate', image: 'example/web:1' },
          ],
        }),
      ],
      [
        'with a volume of its own at the path',
        podOf('volume', ASKS, {
          containers: [
            { name: 'app', image: 'example/web:1', volumeMounts: [{ name: 'own', mountPath: '/var/log/app' }] },
          ],
          volumes: [own],
        }),
      ],
      [
        'with a volume of its own above the path',
        podOf('above', ASKS, {
          containers: [{ name: 'app', image: 'example/web:1', volumeMounts: [{ name: 'own', mountPath: '/var/log' }] }],
          volumes: [own],
        }),
      ],
      [
        'with odd names in its globs',
        podOf('odd', {
          ...ASKS,
          'logging.io/files': '/data/a b/*.log,/data/ä"ö/*.log,/data/$(X)/*.log,/data/c/**/*.log',
        }),
      ],
      [SHORT, podOf('short', { ...ASKS, 'logging.io/sidecar': 'container', filling: 'x'.repeat(262_144 - 750) })],
      [
        'of 60 containers',
        podOf('large', ASKS, { containers: Array.from({ length: 60 }, (_, i) => largeContainer(i)), volumes: [own] }),
      ],
    ];
    for (const [name, pod] of cases)
      it(name, async () => {
        const admitted = await assertSound('required', pod);
        assert.ok(sidecarOf(admitted) !== undefined);
        assert.equal(statusOf(admitted).includes('"shape"'), name !== SHORT);
      });

    it('that says false, or of a namespace that does not ask', async () => {
      await assertSound('required', podOf('no', { 'logging.io/inject': 'false' }));
      await assertSound('shop', podOf('silent', {}));
    });

    it('that logtender left alone with a reason', async () => {
      const windows = podOf('windows', ASKS, { os: { name: 'windows' } });
      const named = podOf('named', ASKS, { containers: [{ name: 'logtender', image: 'example/web:1' }] });
      for (const pod of [windows, named]) await assertSound('required', pod);
    });
  });

  describe('a bare pod (B8 48)', () => {
    it('is reported when it was admitted while the webhook was away, by annotation and by namespace', async () => {
      await installed.webhook.halt('SIGKILL');
      try {
        for (const [namespace, pod] of [
          ['shop', POD],
          ['labelled', podOf('silent', {})],
        ] as const) {
          const outcome = await attempt(namespace, pod);
          assert.equal(sidecarOf(outcome.pod ?? assert.fail('admitted')), undefined);
          assert.match(outcome.reported.join('\n'), /asked for a logtender sidecar and has none/);
        }
        // Who did not ask hears nothing.
        await assertSound('shop', podOf('silent', {}));
        await assertSound('labelled', podOf('no', { 'logging.io/inject': 'false' }));
      } finally {
        await installed.webhook.start();
      }
    });

    it('is refused where sidecars are required, even when the webhook configuration itself is gone', async () => {
      const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/logtender-injector';
      assert.equal((await plane.request('DELETE', path)).status, 200);
      const outcome = await eventually('an API server that no longer asks us', async () => {
        const found = await attempt('required', podOf('silent', {}));
        return found.pod === undefined ? found : undefined;
      });
      assert.match(outcome.refused.join('\n'), /asked for a logtender sidecar and has none/);
    });
  });

  describe('in the end', () => {
    it('costs the API server little', async () => {
      const { body } = await plane.request('GET', '/metrics');
      const name = 'apiserver_validating_admission_policy_check_duration_seconds';
      const ours = String(body)
        .split('\n')
        .filter((line) => line.includes('policy="logtender-sidecar"'))
        .join('\n');
      const [seconds, checks] = [sumOf(ours, `${name}_sum`), sumOf(ours, `${name}_count`)];
      assert.ok(checks > 0, 'the API server counts its checks');
      process.stdout.write(`      ${checks} checks, ${((1000 * seconds) / checks).toFixed(2)} ms each on average\n`);
    });
  });
});

function largeContainer(index: number): Fields {
  const volumeMounts = Array.from({ length: 5 }, (_, i) => ({ name: 'own', mountPath: `/own/${i}` }));
  return { name: `app-${index}`, image: 'example/web:1', volumeMounts };
}
