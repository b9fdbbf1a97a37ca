/**
 * The overlays of deploy/ as data: they take away all of the certificate manager, leave no right to write a certificate, and fit the base
 * that they change. (What they give on a real API server is shown in test/cluster.)
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse, parseAllDocuments } from 'yaml';

import { CERTIFICATE_MODES, certsNames, serviceHost } from '../../src/config/certs-config.ts';
import { readWebhookConfig, WEBHOOK_ENV } from '../../src/config/webhook-config.ts';

const ROOT = join(import.meta.dirname, '../../deploy');

interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Record<string, string>;
  };
  readonly $patch?: string;
  readonly rules?: ReadonlyArray<{ readonly resources: readonly string[]; readonly verbs: readonly string[] }>;
  readonly spec?: Record<string, unknown>;
}

interface Overlay {
  readonly kind: string;
  readonly components?: readonly string[];
  readonly resources?: readonly string[];
  readonly patches: ReadonlyArray<{
    readonly patch: string;
    readonly target?: { readonly kind: string; readonly name: string };
  }>;
}

const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const manifests = (file: string): readonly Manifest[] =>
  parseAllDocuments(text(file)).map((document) => document.toJS() as Manifest);
const overlay = (name: string): Overlay => parse(text(`overlays/${name}/kustomization.yaml`)) as Overlay;
const idOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
const lowerKind = (id: string): string => id.replace(/^\w+/, (kind) => kind.toLowerCase());
const merges = (name: string): readonly Manifest[] =>
  overlay(name)
    .patches.filter((patch) => patch.target === undefined)
    .map(({ patch }) => parse(patch) as Manifest);

/** The env, mounts and volumes that an overlay gives to the webhook. */
function podOf(name: string): {
  readonly containers: ReadonlyArray<{
    readonly name: string;
    readonly env: ReadonlyArray<{ readonly name: string; readonly value: string }>;
    readonly volumeMounts?: ReadonlyArray<{ readonly name: string; readonly mountPath: string }>;
  }>;
  readonly volumes?: ReadonlyArray<{ readonly name: string; readonly secret: { readonly secretName: string } }>;
} {
  const deployment = merges(name).find(({ kind }) => kind === 'Deployment');
  const { template } = deployment?.spec as { template: { spec: ReturnType<typeof podOf> } };
  return template.spec;
}

describe('overlays', () => {
  it('without-certs deletes every object of the certificate manager, and no other', () => {
    const removed = merges('without-certs');
    assert.ok(removed.every(({ $patch }) => $patch === 'delete'));
    const base = [...manifests('certs.yaml'), ...manifests('certs-rbac.yaml')];
    assert.deepEqual(removed.map(idOf).toSorted(), base.map(idOf).toSorted());
  });

  it('the page on certificates deletes by name all that a change of the mode leaves behind, first the manager, then its Secrets', () => {
    const page = readFileSync(join(ROOT, '../docs/certificates.md'), 'utf8');
    const [, block = ''] = /### To change the mode[^]*?```sh\n([^]*?)```/.exec(page) ?? [];
    const commands = block.replaceAll('\\\n', '').match(/^kubectl.*$/gm) ?? [];
    const deleted = commands
      .filter((command) => command.includes(' delete '))
      .map((command) => {
        const namespace = / -n (\S+)/.exec(command)?.[1] ?? '';
        return [...command.matchAll(/(\w+)\/(\S+)/g)].map(([, kind = '', name = '']) => `${kind} ${namespace}/${name}`);
      });
    assert.equal(deleted.length, 3);
    const names = certsNames('');
    const manager = [...merges('without-certs').map(idOf), `Lease logtender/${names.lease}`];
    assert.deepEqual(deleted.slice(0, 2).flat().toSorted(), manager.map(lowerKind).toSorted());
    const secrets = [`Secret logtender/${names.caSecret}`, `Secret logtender/${names.tlsSecret}`];
    assert.deepEqual(deleted[2], secrets.map(lowerKind));
    assert.match(commands.at(-1) ?? '', /^kubectl apply -k /);
  });

  for (const mode of CERTIFICATE_MODES.filter((one) => one !== 'self')) {
    it(`${mode}: a component without the manager whose webhook runs in that mode`, () => {
      assert.equal(overlay(mode).kind, 'Component');
      assert.deepEqual(overlay(mode).components, ['../without-certs']);
      const [container] = podOf(mode).containers;
      assert.equal(container?.name, 'webhook');
      assert.deepEqual(container.env, [{ name: WEBHOOK_ENV.tlsMode, value: mode }]);
      const parsed = readWebhookConfig({}, { image: 'logtender:test', tlsMode: container.env[0]?.value ?? '' });
      assert.ok(parsed.ok && parsed.value.tls.mode === mode);
    });
  }

  it('what is left has no right to write a Secret or a webhook configuration', () => {
    const rules = manifests('webhook-rbac.yaml').flatMap((one) => one.rules ?? []);
    const writes = rules.filter(({ verbs }) => verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)));
    assert.deepEqual(
      writes.map(({ resources, verbs }) => [resources, verbs]),
      [[['events'], ['create']]],
    );
  });

  it('files: the right to read the Secret is taken away, and the files are where the configuration looks', () => {
    const [patch] = overlay('files').patches.filter(({ target }) => target?.kind === 'Role');
    const [test, remove] = parse(patch?.patch ?? '') as ReadonlyArray<{ op: string; path: string; value?: unknown }>;
    const role = manifests('webhook-rbac.yaml').find(({ kind }) => kind === 'Role');
    assert.equal(role?.metadata.name, patch?.target?.name);
    assert.deepEqual([test?.op, test?.path, test?.value], ['test', '/rules/0/resources', role?.rules?.[0]?.resources]);
    assert.deepEqual([remove?.op, remove?.path, role?.rules?.[0]?.resources], ['remove', '/rules/0', ['secrets']]);
    assert.ok(!role?.rules?.slice(1).some(({ resources }) => resources.includes('secrets')));
    const parsed = readWebhookConfig({}, { image: 'logtender:test', tlsMode: 'files' });
    assert.ok(parsed.ok && parsed.value.tls.mode === 'files');
    const { certFile, keyFile, caFile } = parsed.value.tls;
    const [mount] = podOf('files').containers[0]?.volumeMounts ?? [];
    for (const path of [certFile, keyFile, caFile])
      assert.equal(path.slice(0, path.lastIndexOf('/')), mount?.mountPath);
    assert.equal(podOf('files').volumes?.[0]?.name, mount?.name);
  });

  it('cert-manager: its leaf covers the name that API servers verify, into the Secret that the webhook may read', () => {
    const certificates = manifests('overlays/cert-manager/certificates.yaml');
    const leaf = certificates.find(({ kind, spec }) => kind === 'Certificate' && spec?.['isCA'] !== true);
    assert.equal(leaf?.spec?.['secretName'], certsNames('').tlsSecret);
    assert.deepEqual(leaf.spec['dnsNames'], [serviceHost({ instance: '', namespace: 'logtender' })]);
    const configuration = merges('cert-manager').find(({ kind }) => kind === 'MutatingWebhookConfiguration');
    assert.equal(configuration?.metadata.name, certsNames('').webhookConfiguration);
    assert.equal(
      configuration.metadata.annotations?.['cert-manager.io/inject-ca-from'],
      `${leaf.metadata.namespace}/${leaf.metadata.name}`,
    );
    const issuers = new Set(certificates.filter(({ kind }) => kind === 'Issuer').map(({ metadata }) => metadata.name));
    for (const { kind, spec } of certificates) {
      if (kind === 'Certificate') assert.ok(issuers.has((spec?.['issuerRef'] as { name: string }).name));
    }
  });

  it('a mode that does not exist is refused, with those that do', () => {
    const parsed = readWebhookConfig({}, { image: 'logtender:test', tlsMode: 'certmanager' });
    assert.ok(!parsed.ok);
    assert.deepEqual(
      parsed.problems.map(({ path, expected }) => [path, expected]),
      [['WEBHOOK_TLS_MODE', 'one of self, cert-manager, files']],
    );
  });
});
