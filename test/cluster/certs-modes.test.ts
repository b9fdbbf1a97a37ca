/**
 * Certificates that are not our own: cert-manager's and files. Nothing of logtender has a right to write there, and the webhook serves,
 * renews and gets ready with what others provide. The tests play cert-manager.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { newGeneration, newServingPair } from '../../certs/issuer.ts';
import { systemClock } from '../../src/core/clock.ts';
import { freePorts } from '../servers/loopback-ports.ts';
import type { ManagedProcess } from '../servers/managed-process.ts';
import { requireOwn } from '../servers/require-server.ts';
import { startControlPlane } from '../servers/servers.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { createWorkFolder, discardWorkFolder } from '../servers/work-folder.ts';
import { applyManifests, eventually } from './installation.ts';
import { ASKS, createNamespace, createPod, podOf, sidecarOf } from './pods.ts';
import { accountKubeconfig, webhookProcess } from './processes.ts';
import { servedFingerprint } from './serving.ts';

const HOST = 'logtender-webhook.logtender.svc';
const WEBHOOK_ACCOUNT = 'system:serviceaccount:logtender:logtender-webhook';
const RULES = { lifeMs: 3_600_000, backdateMs: 60_000 };
const ISSUER = { ca: RULES, leaf: RULES, hosts: [HOST], randomBytes };
const WRITING = /^(?:create|update|patch|delete|deletecollection|bind|escalate|impersonate|\*)$/;

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
}

/** The parts of a pair by the names that a `kubernetes.io/tls` Secret of cert-manager has. */
function partsOf(pair: ServingPair): Readonly<Record<'tls.crt' | 'tls.key' | 'ca.crt', string>> {
  return { 'tls.crt': pair.leaf.pem, 'tls.key': pair.keyPem, 'ca.crt': pair.issuer.pem };
}

for (const mode of ['cert-manager', 'files'] as const) {
  describe(`certificates of others: ${mode}`, function () {
    this.timeout(120_000);
    let plane: ControlPlane;
    let state: CaState;
    let webhook: ManagedProcess | undefined;
    let folder = '';
    let port = 0;

    before(async function () {
      plane = await requireOwn(this, 'control-plane', () => startControlPlane());
      folder = createWorkFolder(`mode-${mode}`);
      const current = await newGeneration(ISSUER, 1, systemClock.now());
      state = { generation: 1, current, next: undefined, cross: undefined, previous: [] };
      [port = 0] = await freePorts(1);
      if (mode === 'cert-manager') await registerCertManagerKinds(plane);
      await applyManifests(plane, folder, port, mode);
    });
    after(async () => {
      await webhook?.halt();
      await plane?.stop();
      if (folder !== '') discardWorkFolder(folder);
    });

    /** What cert-manager's controller, or whoever fills the volume, does. */
    async function provide(pair: ServingPair): Promise<void> {
      const parts = partsOf(pair);
      if (mode === 'files') {
        // In the order that is worst: the certificate is there before its key.
        for (const [name, text] of Object.entries(parts)) writeFileSync(join(folder, name), text);
        return;
      }
      const input = {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: { name: 'logtender-tls', namespace: 'logtender' },
        stringData: parts,
      };
      await plane.kubectl(['apply', '-f', '-'], { input });
    }

    /** What cert-manager's cainjector, or the operator, does. */
    async function publish(): Promise<void> {
      const value = Buffer.from(state.current.certificate.pem).toString('base64');
      const patch = [0, 1, 2, 3].map((i) => ({ op: 'add', path: `/webhooks/${i}/clientConfig/caBundle`, value }));
      const target = ['mutatingwebhookconfiguration', 'logtender-injector'];
      await plane.kubectl(['patch', ...target, '--type=json', '-p', JSON.stringify(patch)]);
    }

    const newPair = (): Promise<ServingPair> => newServingPair(ISSUER, state, systemClock.now());

    it('no account of logtender has a right to write anything but Events (B8 22)', async () => {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectRulesReview',
        spec: { namespace: 'logtender' },
      };
      const answer = await plane.kubectl(
        ['create', '-f', '-', '-o', 'json', '--validate=false', `--as=${WEBHOOK_ACCOUNT}`],
        {
          input: review,
        },
      );
      const { status } = JSON.parse(answer) as { readonly status: { readonly resourceRules: readonly Rule[] } };
      const own = status.resourceRules.filter(
        (rule) => !(rule.apiGroups ?? []).every((group) => group.startsWith('auth')),
      );
      const written = own
        .filter((rule) => rule.verbs.some((verb) => WRITING.test(verb)))
        .flatMap((rule) => rule.resources);
      assert.deepEqual([...new Set(written)], ['events']);
      const readsSecrets = own.some((rule) => rule.resources?.includes('secrets') === true);
      assert.equal(readsSecrets, mode === 'cert-manager', 'the Secret is read where cert-manager writes it');
      const accounts = await plane.kubectl(['get', 'serviceaccounts', '-n', 'logtender', '-o', 'name']);
      assert.ok(!accounts.includes('logtender-certs'), 'there is no account of a certificate manager');
      for (const kind of ['clusterrole', 'clusterrolebinding', 'role', 'rolebinding']) {
        const names = await plane.kubectl(['get', kind, '-n', 'logtender', '-o', 'name']);
        assert.ok(!names.includes('logtender-certs'), kind);
      }
    });

    it('the webhook starts, serves what it is given and injects (B8 22)', async () => {
      const [adminPort = 0] = await freePorts(1);
      const pair = await newPair();
      await provide(pair);
      await publish();
      const files = `{ certFile: ${folder}/tls.crt, keyFile: ${folder}/tls.key, caFile: ${folder}/ca.crt }`;
      webhook = webhookProcess({
        name: 'webhook',
        folder,
        kubeconfig: await accountKubeconfig(plane, { folder, account: 'logtender-webhook' }),
        config: mode === 'files' ? `tls: ${files}` : '',
        port,
        adminPort,
        drain: '1s',
        env: { WEBHOOK_TLS_MODE: mode },
      });
      await webhook.start();
      assert.equal(await servedFingerprint(port), pair.leaf.fingerprint);
      await createNamespace(plane, 'shop', { 'logging.io/failure-policy': 'fail' });
      assert.ok(sidecarOf(await createPod(plane, 'shop', podOf('first', ASKS))) !== undefined);
    });

    it('a renewed pair is served, a bad one is not, and nothing of theirs is written', async () => {
      const pair = await newPair();
      await provide(pair);
      await eventually('the renewed pair', async () =>
        (await servedFingerprint(port)) === pair.leaf.fingerprint ? true : undefined,
      );
      const other = await newPair();
      await provide({ ...other, keyPem: pair.keyPem });
      const before = await resourceVersions();
      await systemClock.sleep(2_000);
      assert.equal(await servedFingerprint(port), pair.leaf.fingerprint);
      assert.ok(sidecarOf(await createPod(plane, 'shop', podOf('second', ASKS))) !== undefined);
      assert.deepEqual(await resourceVersions(), before);
    });

    async function resourceVersions(): Promise<string> {
      const kinds = 'secrets,mutatingwebhookconfigurations';
      const path = '{range .items[*]}{.metadata.name}={.metadata.resourceVersion} {end}';
      return plane.kubectl(['get', kinds, '-n', 'logtender', '-o', `jsonpath=${path}`]);
    }
  });
}

/** The two kinds of the overlay, with nothing of their schema: what they hold is for cert-manager to judge. */
async function registerCertManagerKinds(plane: ControlPlane): Promise<void> {
  const items = [
    ['certificates', 'Certificate'],
    ['issuers', 'Issuer'],
  ].map(([plural, kind]) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.cert-manager.io` },
    spec: {
      group: 'cert-manager.io',
      scope: 'Namespaced',
      names: { plural, kind, singular: kind?.toLowerCase() },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  }));
  await plane.kubectl(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
  await plane.kubectl(['wait', 'crd', '--all', '--for=condition=Established', '--timeout=30s']);
}
