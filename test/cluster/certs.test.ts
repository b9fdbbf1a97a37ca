/**
 * The certificate manager against a real API server, with the manifests of deploy/ and the rights that they give: two replicas as
 * processes of their own; bootstrap, drift, lost Secrets, renewal, a whole CA rotation, a killed replica, a restarted API server.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { chainVerifies, parseTrustBundle } from '../../certs/bundle.ts';
import type { CertificateFacts } from '../../certs/bundle.ts';
import { createSecretSource } from '../../certs/certificate-source.ts';
import type { CertificateSource, ServingCertificate } from '../../certs/certificate-source.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { createKubeClient } from '../../src/kube/http-client.ts';
import { loadKubeConnection } from '../../src/kube/kubeconfig.ts';
import { ask } from '../servers/http-json.ts';
import { freePorts } from '../servers/loopback-ports.ts';
import { ManagedProcess } from '../servers/managed-process.ts';
import { requireOwn } from '../servers/require-server.ts';
import { startControlPlane } from '../servers/servers.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { createWorkFolder, discardWorkFolder } from '../servers/work-folder.ts';
import { eventually } from './installation.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const NAMESPACE = 'logtender';
const HOST = 'logtender-webhook.logtender.svc';
const ENTRIES = 4;
/** A year in forty seconds, every margin with it. */
const SCALED = `caLife: 40s\nleafLife: 18s\nsettle: 2s\npruneMargin: 1s\nrestoreGrace: 3s\ntick: 1s\nlease: 2s\nadminHost: 127.0.0.1\n`;
/** Lives as in production; waits short. */
const LONG = `settle: 1s\nrestoreGrace: 1s\ntick: 1s\nlease: 2s\nadminHost: 127.0.0.1\n`;

describe('certificates on a real API server', function () {
  this.timeout(180_000);
  let plane: ControlPlane;
  let folder = '';
  let client: KubeClient;
  let replicas: ManagedProcess[] = [];

  before(async function () {
    plane = await requireOwn(this, 'control-plane', () => startControlPlane());
    folder = createWorkFolder('certs');
    for (const file of ['namespace', 'certs-rbac'])
      await plane.kubectl(['apply', '-f', join(ROOT, `deploy/${file}.yaml`)]);
    client = createKubeClient(await loadKubeConnection({ file: plane.kubeconfig }));
  });
  after(async () => {
    client?.close();
    await plane?.stop();
    if (folder !== '') discardWorkFolder(folder);
  });
  beforeEach(() => applyConfiguration());
  afterEach(async () => {
    await Promise.all(replicas.map((replica) => replica.halt()));
    replicas = [];
    await plane.kubectl(['delete', 'secrets', '--all', '-n', NAMESPACE]);
    await plane.kubectl(['delete', 'mutatingwebhookconfiguration', 'logtender-injector', '--ignore-not-found']);
  });

  async function applyConfiguration(): Promise<void> {
    await plane.kubectl(['apply', '-f', join(ROOT, 'deploy/webhook-configuration.yaml')]);
  }

  /** A kubeconfig with the rights of the manifests and no others. */
  async function accountKubeconfig(): Promise<string> {
    const path = join(folder, 'certs.kubeconfig');
    const token = (await plane.kubectl(['create', 'token', 'logtender-certs', '-n', NAMESPACE])).trim();
    const cluster = { server: plane.url, 'certificate-authority-data': Buffer.from(plane.ca).toString('base64') };
    const config = {
      'current-context': 'test',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'certs', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'certs' } }],
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  /** Starts replicas and waits until each says that all is in order. */
  async function start(count: number, config: string, readyMsMax = 60_000): Promise<void> {
    const ports = await freePorts(count);
    const kubeconfig = await accountKubeconfig();
    for (const [i, port] of ports.entries()) {
      const file = join(folder, `certs-${i}.yaml`);
      writeFileSync(file, `${config}adminPort: ${port}\n`);
      replicas.push(
        new ManagedProcess({
          name: `certs-${i}`,
          program: process.execPath,
          args: [join(ROOT, 'certs/main.ts')],
          cwd: folder,
          logFile: join(folder, `certs-${i}.log`),
          env: { KUBECONFIG: kubeconfig, POD_NAMESPACE: NAMESPACE, POD_NAME: `certs-${i}`, CERTS_CONFIG_FILE: file },
          ready: async () => (await ask(`http://127.0.0.1:${port}/readyz`)).status === 200,
          readyMsMax,
        }),
      );
    }
    await Promise.all(replicas.map((replica) => replica.start()));
  }

  async function bundles(): Promise<ReadonlyArray<readonly CertificateFacts[]>> {
    const text = await plane.kubectl(['get', 'mutatingwebhookconfiguration', 'logtender-injector', '-o', 'json']);
    const { webhooks } = JSON.parse(text) as { webhooks: ReadonlyArray<{ clientConfig: { caBundle?: string } }> };
    return webhooks.map(({ clientConfig }) => {
      return parseTrustBundle(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString()).certificates;
    });
  }

  async function secretData(name: string): Promise<Readonly<Record<string, string>>> {
    const text = await plane.kubectl(['get', 'secret', name, '-n', NAMESPACE, '-o', 'json']);
    return (JSON.parse(text) as { data: Record<string, string> }).data;
  }

  const follow = (): CertificateSource =>
    createSecretSource({
      client,
      clock: systemClock,
      random: () => 0.5,
      log: silentLog,
      metrics: createMetrics(),
      namespace: NAMESPACE,
      name: 'logtender-tls',
      hosts: [HOST],
    });

  const isPublished = async (fingerprint: string): Promise<true | undefined> =>
    (await bundles()).every((bundle) => bundle.some((ca) => ca.fingerprint === fingerprint)) ? true : undefined;

  it('bootstraps: two replicas, two Secrets, one CA in each of the four entries', async () => {
    await start(2, LONG);
    const source = follow();
    const pair = await eventually('a serving pair', async () => source.current());
    await source.close();
    const live = await bundles();
    assert.equal(live.length, ENTRIES);
    for (const bundle of live)
      assert.deepEqual(
        bundle.map((ca) => ca.fingerprint),
        [pair.issuerFingerprint],
      );
    const [ca, tls] = [await secretData('logtender-ca'), await secretData('logtender-tls')];
    assert.deepEqual(Object.keys(ca).toSorted(), ['ca.crt', 'ca.key', 'rotation']);
    assert.deepEqual(Object.keys(tls).toSorted(), ['ca.crt', 'tls.crt', 'tls.key']);
  });

  it('puts back a caBundle that was emptied, garbled, or applied away', async () => {
    await start(2, LONG);
    const [[before] = []] = await bundles();
    assert.ok(before !== undefined);
    for (const value of ['', Buffer.from('garbage').toString('base64')]) {
      const patch = JSON.stringify(
        [0, 3].map((i) => ({ op: 'replace', path: `/webhooks/${i}/clientConfig/caBundle`, value })),
      );
      await plane.kubectl(['patch', 'mutatingwebhookconfiguration', 'logtender-injector', '--type=json', '-p', patch]);
      await eventually('the CA in every entry', () => isPublished(before.fingerprint));
    }
    await plane.kubectl(['delete', 'mutatingwebhookconfiguration', 'logtender-injector']);
    await applyConfiguration();
    await eventually('the CA in every entry of the new object', () => isPublished(before.fingerprint));
    await applyConfiguration();
    assert.ok(await isPublished(before.fingerprint), 'kubectl apply leaves the bundle alone');
  });

  for (const name of ['logtender-ca', 'logtender-tls']) {
    it(`puts back the very same ${name} when it is deleted or corrupted`, async () => {
      await start(2, LONG);
      const before = await secretData(name);
      const isBack = async (): Promise<true | undefined> => {
        const outcome = await plane.kubectlOutcome(['get', 'secret', name, '-n', NAMESPACE, '-o', 'jsonpath={.data}']);
        return outcome.code === 0 &&
          outcome.stdout !== '' &&
          JSON.stringify(JSON.parse(outcome.stdout)) === JSON.stringify(before)
          ? true
          : undefined;
      };
      await plane.kubectl(['delete', 'secret', name, '-n', NAMESPACE]);
      await eventually(`${name} written again`, isBack);
      const garbled = JSON.stringify({
        data: Object.fromEntries(Object.keys(before).map((key) => [key, 'Z2FyYmFnZQ=='])),
      });
      await plane.kubectl(['patch', 'secret', name, '-n', NAMESPACE, '--type=merge', '-p', garbled]);
      await eventually(`${name} repaired`, isBack);
    });
  }

  it('never writes a Secret of somebody else', async () => {
    await plane.kubectl(['create', 'secret', 'generic', 'logtender-tls', '-n', NAMESPACE, '--from-literal=mine=1']);
    const before = await secretData('logtender-tls');
    await assert.rejects(
      start(1, LONG, 5_000),
      /expected the label logging.io\/owned-by=logtender-certs, got a Secret without it/,
    );
    assert.deepEqual(await secretData('logtender-tls'), before);
  });

  it('has no right to anything but its own objects', async () => {
    const account = ['--as', 'system:serviceaccount:logtender:logtender-certs'];
    const refused: ReadonlyArray<readonly string[]> = [
      ['get', 'secrets', '-n', 'default'],
      ['get', 'secrets/other', '-n', NAMESPACE],
      ['delete', 'secrets/logtender-ca', '-n', NAMESPACE],
      ['patch', 'mutatingwebhookconfigurations/other'],
      ['create', 'mutatingwebhookconfigurations'],
      ['list', 'pods', '-n', NAMESPACE],
    ];
    for (const words of refused) {
      assert.match(
        (await plane.kubectlOutcome(['auth', 'can-i', ...words, ...account])).stdout,
        /^no/,
        words.join(' '),
      );
    }
  });

  it('renews leaves and rotates the CA while a replica is killed and the API server restarts, and every pair verifies', async () => {
    await start(2, SCALED);
    const source = follow();
    const pairs: ServingCertificate[] = [];
    const take = (pair: ServingCertificate): void => {
      pairs.push(pair);
    };
    const first = await eventually('the first pair', async () => source.current());
    take(first);
    source.onChange(take);
    let checks = 0;
    let isDisturbed = false;
    const lookAndDisturb = async (): Promise<true | undefined> => {
      const pair = source.current() ?? first;
      const outcome = await plane.kubectlOutcome([
        'get',
        '--raw',
        '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/logtender-injector',
      ]);
      if (outcome.code === 0) {
        const { webhooks } = JSON.parse(outcome.stdout) as {
          webhooks: ReadonlyArray<{ clientConfig: { caBundle?: string } }>;
        };
        for (const { clientConfig } of webhooks) {
          const trusted = parseTrustBundle(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString()).certificates;
          const chain = parseTrustBundle(pair.certPem).certificates;
          assert.ok(
            chainVerifies(chain, trusted, systemClock.now()),
            `pair ${pairs.length} verifies under the live bundle`,
          );
          checks += 1;
        }
      }
      if (!isDisturbed && pairs.length === 2) {
        isDisturbed = true;
        await replicas[0]?.halt('SIGKILL');
        await plane.haltApiServer();
        await plane.resumeApiServer();
      }
      const issuers = new Set(pairs.map((taken) => taken.issuerFingerprint));
      return issuers.size >= 3 ? true : undefined;
    };
    // Each rotation takes less than the minute that `eventually` waits.
    await eventually('the first CA rotation', async () => {
      await lookAndDisturb();
      return new Set(pairs.map((taken) => taken.issuerFingerprint)).size >= 2 ? true : undefined;
    });
    await eventually('the second CA rotation', lookAndDisturb);
    await source.close();
    assert.ok(isDisturbed);
    assert.ok(pairs.length >= 6, `${pairs.length} pairs`);
    assert.ok(checks > 100, `${checks} checks of pair and bundle`);
    await eventually('the first CA out of every bundle', async () => {
      const live = await bundles();
      return live.some((bundle) => bundle.some((ca) => ca.fingerprint === first.issuerFingerprint)) ? undefined : true;
    });
  });
});
