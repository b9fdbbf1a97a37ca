/**
 * Two installs in one cluster: side by side with an instance name, and by mistake with the same names in two namespaces, so that both
 * write the caBundle of one webhook configuration.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { parseTrustBundle } from '../../certs/bundle.ts';
import { parseCaState } from '../../certs/ca-state.ts';
import { systemClock } from '../../src/core/clock.ts';
import { freePorts } from '../servers/loopback-ports.ts';
import type { ManagedProcess } from '../servers/managed-process.ts';
import { requireOwn } from '../servers/require-server.ts';
import { startControlPlane } from '../servers/servers.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { createWorkFolder, discardWorkFolder } from '../servers/work-folder.ts';
import { accountKubeconfig, certsProcess } from './processes.ts';

const DEPLOY = resolve(import.meta.dirname, '../../deploy');
const CERTS = 'settle: 1s\nrestoreGrace: 1s\ntick: 500ms\nlease: 1s';
/** Ten ticks of both. */
const CALM_MS = 5_000;

describe('two installs in one cluster (B8 23)', function () {
  this.timeout(90_000);
  let plane: ControlPlane;
  let folder = '';
  const running: ManagedProcess[] = [];

  before(async function () {
    plane = await requireOwn(this, 'control-plane', () => startControlPlane());
    folder = createWorkFolder('two-installs');
    await applyInstall((text) => text);
    await start('first', {});
  });
  after(async () => {
    await Promise.all(running.map((process) => process.halt()));
    await plane?.stop();
    if (folder !== '') discardWorkFolder(folder);
  });

  /** The part of the manifests that certificates need, changed as an operator would for another install. */
  async function applyInstall(change: (manifest: string) => string): Promise<void> {
    for (const file of ['namespace', 'certs-rbac', 'webhook-configuration']) {
      const input = change(readFileSync(join(DEPLOY, `${file}.yaml`), 'utf8'));
      await plane.kubectl(['apply', '-f', '-'], { input });
    }
  }

  async function start(
    name: string,
    { account = 'logtender-certs', namespace = 'logtender', instance = '' },
  ): Promise<void> {
    const [adminPort = 0] = await freePorts(1);
    const process = certsProcess({
      name,
      folder,
      kubeconfig: await accountKubeconfig(plane, { folder, account, name, namespace }),
      config: `${CERTS}\ninstance: '${instance}'`,
      adminPort,
      env: { POD_NAMESPACE: namespace },
    });
    running.push(process);
    await process.start();
  }

  async function read(kind: string, name: string, namespace = 'logtender'): Promise<Readonly<Record<string, unknown>>> {
    return JSON.parse(await plane.kubectl(['get', kind, name, '-n', namespace, '-o', 'json'])) as Record<
      string,
      unknown
    >;
  }

  async function currentCa(secret: string, namespace?: string): Promise<string> {
    const { data } = (await read('secret', secret, namespace)) as { readonly data: Readonly<Record<string, string>> };
    const entries = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()] as const);
    const parsed = parseCaState(Object.fromEntries(entries));
    assert.ok(parsed.ok);
    return parsed.value.current.certificate.fingerprint;
  }

  /** Fingerprints in each entry, sorted. */
  async function trusted(configuration: string): Promise<ReadonlyArray<readonly string[]>> {
    const { webhooks } = (await read('mutatingwebhookconfiguration', configuration)) as {
      readonly webhooks: ReadonlyArray<{ readonly clientConfig: { readonly caBundle?: string } }>;
    };
    return webhooks.map(({ clientConfig }) =>
      parseTrustBundle(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString())
        .certificates.map((ca) => ca.fingerprint)
        .toSorted(),
    );
  }

  /** Nobody writes a Secret or a configuration for ten ticks. */
  async function assertCalm(): Promise<void> {
    const versions = (): Promise<string> => {
      const kinds = 'secrets,mutatingwebhookconfigurations';
      const path = '{range .items[*]}{.metadata.namespace}/{.metadata.name}={.metadata.resourceVersion} {end}';
      return plane.kubectl(['get', kinds, '-A', '-o', `jsonpath=${path}`]);
    };
    const before = await versions();
    assert.match(before, /logtender-tls=\d+/);
    await systemClock.sleep(CALM_MS);
    assert.equal(await versions(), before);
  }

  it('with an instance name each has its own CA in its own configuration, and neither touches the other\u2019s', async () => {
    await applyInstall((text) =>
      text.replaceAll(/\blogtender-(injector|certs|ca|tls|webhook)\b/g, 'logtender-$1-blue'),
    );
    await start('second', { account: 'logtender-certs-blue', instance: 'blue' });
    const [first, second] = [await currentCa('logtender-ca'), await currentCa('logtender-ca-blue')];
    assert.notEqual(first, second);
    assert.deepEqual(await trusted('logtender-injector'), [[first], [first], [first], [first]]);
    assert.deepEqual(await trusted('logtender-injector-blue'), [[second], [second], [second], [second]]);
    await assertCalm();
  });

  it('with the same names in two namespaces both CAs stay in the one configuration, and nobody fights', async () => {
    const namespace = 'logtender-other';
    await applyInstall((text) =>
      text
        .replaceAll('namespace: logtender\n', `namespace: ${namespace}\n`)
        .replace(
          'kind: Namespace\nmetadata:\n  name: logtender\n',
          `kind: Namespace\nmetadata:\n  name: ${namespace}\n`,
        )
        .replace(
          'kind: ClusterRoleBinding\nmetadata:\n  name: logtender-certs\n',
          'kind: ClusterRoleBinding\nmetadata:\n  name: other\n',
        ),
    );
    await start('other', { namespace });
    const both = [await currentCa('logtender-ca'), await currentCa('logtender-ca', namespace)].toSorted();
    assert.notEqual(both[0], both[1]);
    assert.deepEqual(await trusted('logtender-injector'), [both, both, both, both]);
    await assertCalm();
  });
});
