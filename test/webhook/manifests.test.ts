/**
 * The manifests as data: who is sent to the webhook, by a small reading of selectors and of our three CEL conditions.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse, parseAllDocuments } from 'yaml';

import { certsNames, parseCertsConfig } from '../../src/config/certs-config.ts';
import { parseWebhookConfig } from '../../src/config/webhook-config.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { ENTRY_ARGS } from '../../webhook/names.ts';
import { IMAGE, VERSION } from '../../webhook/version.ts';

const ROOT = join(import.meta.dirname, '../../deploy');

function documents(file: string): readonly JsonObject[] {
  return parseAllDocuments(readFileSync(join(ROOT, file), 'utf8')).map((document) => {
    assert.deepEqual(document.errors, [], file);
    const value = document.toJS() as Json;
    assert(isObject(value), file);
    return value;
  });
}

const kustomization = parse(readFileSync(join(ROOT, 'kustomization.yaml'), 'utf8')) as {
  resources: string[];
  images: unknown;
};
const all = kustomization.resources.flatMap((file) => documents(file));
const configuration = all.find((one) => one['kind'] === 'MutatingWebhookConfiguration');
assert(configuration !== undefined);
const entries = listAt(configuration, 'webhooks');

type Labels = Readonly<Record<string, string>>;

/** Kubernetes label selector, matchExpressions (API reference, LabelSelectorRequirement). */
function selects(selector: Json | undefined, labels: Labels): boolean {
  return listAt(selector, 'matchExpressions').every((expression) => {
    const value = labels[textAt(expression, 'key') ?? ''];
    const values = listAt(expression, 'values');
    if (textAt(expression, 'operator') === 'In') return value !== undefined && values.includes(value);
    assert.equal(textAt(expression, 'operator'), 'NotIn');
    return value === undefined || !values.includes(value);
  });
}

/** What each condition says, kept beside its text so that a change of one without the other fails. */
const CONDITIONS: Readonly<
  Record<string, readonly [cel: string, means: (annotations: Labels | undefined) => boolean]>
> = {
  'not-a-mirror-pod': [
    "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)",
    (annotations) => annotations?.['kubernetes.io/config.mirror'] === undefined,
  ],
  'pod-does-not-say-false': [
    "!has(object.metadata.annotations) || !('logging.io/inject' in object.metadata.annotations) || object.metadata.annotations['logging.io/inject'] != 'false'",
    (annotations) => annotations?.['logging.io/inject'] !== 'false',
  ],
  'pod-asks': [
    "has(object.metadata.annotations) && 'logging.io/inject' in object.metadata.annotations && object.metadata.annotations['logging.io/inject'] != 'false'",
    (annotations) => annotations?.['logging.io/inject'] !== undefined && annotations['logging.io/inject'] !== 'false',
  ],
};

/** Short names of the entries that a pod is sent to. */
function calledBy(namespace: Labels, annotations: Labels | undefined): readonly string[] {
  return entries
    .filter((entry) => {
      const isSelected = selects(at(entry, 'namespaceSelector'), namespace);
      return (
        isSelected &&
        listAt(entry, 'matchConditions').every((condition) =>
          CONDITIONS[textAt(condition, 'name') ?? '']?.[1](annotations),
        )
      );
    })
    .map((entry) => (textAt(entry, 'name') ?? '').replace('.logtender.logging.io', ''));
}

describe('webhook configuration', () => {
  it('has the four entries, each as the API server needs it', () => {
    assert.deepEqual(
      entries.map((entry) => [textAt(entry, 'name'), textAt(entry, 'failurePolicy')]),
      [
        ['namespace-ignore.logtender.logging.io', 'Ignore'],
        ['namespace-fail.logtender.logging.io', 'Fail'],
        ['annotation-ignore.logtender.logging.io', 'Ignore'],
        ['annotation-fail.logtender.logging.io', 'Fail'],
      ],
    );
    for (const entry of entries) {
      assert.deepEqual(
        [
          at(entry, 'sideEffects'),
          at(entry, 'reinvocationPolicy'),
          at(entry, 'timeoutSeconds'),
          at(entry, 'admissionReviewVersions'),
        ],
        ['NoneOnDryRun', 'IfNeeded', 5, ['v1']],
      );
      assert.deepEqual(at(entry, 'rules'), [
        { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' },
      ]);
      assert.deepEqual(at(entry, 'clientConfig'), {
        service: { name: 'logtender-webhook', namespace: 'logtender', path: '/mutate', port: 443 },
      });
    }
  });

  it('says in CEL what this test reads', () => {
    for (const entry of entries) {
      for (const condition of listAt(entry, 'matchConditions')) {
        assert.equal(textAt(condition, 'expression'), CONDITIONS[textAt(condition, 'name') ?? '']?.[0]);
      }
    }
  });

  const NAMES = ['shop', 'logtender', 'kube-system', 'kube-node-lease'];
  const INJECT = [undefined, 'true', 'false', 'yes'];
  const POLICY = [undefined, 'fail', 'ignore', 'x'];
  const POD = [
    undefined,
    {},
    { 'logging.io/inject': 'true' },
    { 'logging.io/inject': 'false' },
    { 'logging.io/inject': 'yes' },
    { 'logging.io/inject': 'true', 'kubernetes.io/config.mirror': 'x' },
    { other: 'x' },
  ];

  it('sends every pod that asked to exactly one entry, and no other pod to any', () => {
    let cases = 0;
    for (const name of NAMES) {
      for (const inject of INJECT) {
        for (const policy of POLICY) {
          for (const annotations of POD) {
            const namespace = {
              'kubernetes.io/metadata.name': name,
              ...(inject === undefined ? {} : { 'logging.io/inject': inject }),
              ...(policy === undefined ? {} : { 'logging.io/failure-policy': policy }),
            };
            const pod: Labels = annotations ?? {};
            const said = pod['logging.io/inject'];
            const asked =
              name === 'shop' &&
              pod['kubernetes.io/config.mirror'] === undefined &&
              said !== 'false' &&
              (inject === 'true' || said !== undefined);
            const kind = inject === 'true' ? 'namespace' : 'annotation';
            const want = asked ? [`${kind}-${policy === 'fail' ? 'fail' : 'ignore'}`] : [];
            assert.deepEqual(calledBy(namespace, annotations), want, JSON.stringify([namespace, annotations]));
            cases += 1;
          }
        }
      }
    }
    assert.equal(cases, NAMES.length * INJECT.length * POLICY.length * POD.length);
  });
});

function deployments(): readonly Json[] {
  return all.filter((one) => one['kind'] === 'Deployment').map((one) => at(one, 'spec', 'template', 'spec') ?? null);
}

describe('manifests', () => {
  it('name the version of the package, as the webhook does', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, '../package.json'), 'utf8')) as { version: string };
    assert.equal(VERSION, manifest.version);
    assert.deepEqual(kustomization.images, [{ name: 'logtender', newTag: manifest.version }]);
  });

  it('kustomization names every file of the folder', () => {
    const files = readdirSync(ROOT).filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml');
    assert.deepEqual(kustomization.resources.toSorted(), files.toSorted());
  });

  it('use the names that the processes use', () => {
    const names = certsNames('');
    const named = new Set(all.map((one) => `${textAt(one, 'kind')}/${textAt(one, 'metadata', 'name')}`));
    for (const name of [
      `Service/${names.service}`,
      `MutatingWebhookConfiguration/${names.webhookConfiguration}`,
      'ConfigMap/logtender-config',
    ]) {
      assert(named.has(name), name);
    }
    const text = JSON.stringify(all);
    for (const name of [names.caSecret, names.tlsSecret, names.lease]) assert(text.includes(`"${name}"`), name);
  });

  it('hold configurations that the processes accept', () => {
    const config = all.find((one) => one['kind'] === 'ConfigMap');
    const webhook = parseWebhookConfig(textAt(config, 'data', 'webhook.yaml') ?? '', {
      image: 'logtender',
      checkDefault,
    });
    assert(webhook.ok);
    const certs = parseCertsConfig(parse(textAt(config, 'data', 'certs.yaml') ?? ''), {});
    assert(certs.ok);
  });

  it('name the image of the sidecar, which is the one that the Deployments run', () => {
    const config = all.find((one) => one['kind'] === 'ConfigMap');
    const webhook = parse(textAt(config, 'data', 'webhook.yaml') ?? '') as JsonObject;
    assert.equal(webhook['image'], IMAGE);
    const images = deployments().map((pod) => textAt(listAt(pod, 'containers')[0], 'image'));
    assert.deepEqual(images, ['logtender', 'logtender'], 'kustomization adds the tag');
  });

  it('run bundles that the build makes', () => {
    const build = readFileSync(join(ROOT, 'build.ts'), 'utf8');
    const entries = /const ENTRIES = \{([^}]*)\}/.exec(build)?.[1] ?? '';
    const made = [...entries.matchAll(/^\s*(\w+): '/gm)].map(([, name = '']) => `/app/${name}.mjs`);
    const run = deployments().map((pod) =>
      listAt(pod, 'containers')
        .flatMap((one) => listAt(one, 'args'))
        .map(String),
    );
    assert.deepEqual(run.map((args) => args.at(-1)).toSorted(), ['/app/certs.mjs', '/app/webhook.mjs']);
    // Node ends with 9 where it does not know a flag.
    for (const args of run) execFileSync(process.execPath, [...args.slice(0, -1), '--eval', '']);
    assert.equal(ENTRY_ARGS.at(-1), '/app/forwarder.mjs');
    for (const name of ['webhook', 'certs', 'forwarder']) assert(made.includes(`/app/${name}.mjs`), made.join());
  });

  it('every rule of RBAC has its reason above it', () => {
    for (const file of ['webhook-rbac.yaml', 'certs-rbac.yaml']) {
      const lines = readFileSync(join(ROOT, file), 'utf8').split('\n');
      lines.forEach((line, i) => {
        const isExplained = lines[i - 1]?.trim().startsWith('#') === true;
        const isSplitOff = lines[i - 1]?.includes('verbs:') === true;
        if (line.startsWith('  - apiGroups')) assert(isExplained || isSplitOff, `${file}:${i + 1}`);
      });
    }
  });

  it('the webhook sees one Secret, and no pod', () => {
    const rules = all
      .filter(
        (one) =>
          ['Role', 'ClusterRole'].includes(textAt(one, 'kind') ?? '') &&
          textAt(one, 'metadata', 'name') === 'logtender-webhook',
      )
      .flatMap((role) => listAt(role, 'rules'));
    const about = (resource: string): readonly Json[] =>
      rules.filter((rule) => listAt(rule, 'resources').includes(resource));
    assert.deepEqual(
      about('secrets').map((rule) => [at(rule, 'resourceNames'), at(rule, 'verbs')]),
      [[['logtender-tls'], ['get', 'list', 'watch']]],
    );
    assert.deepEqual([...about('pods'), ...about('*')], []);
    const writes = rules.flatMap((rule) =>
      listAt(rule, 'verbs').filter((verb) => typeof verb !== 'string' || !['get', 'list', 'watch'].includes(verb)),
    );
    assert.deepEqual(writes, ['create'], 'Events alone');
    assert(rules.every((rule) => !listAt(rule, 'verbs').includes('*')));
  });

  it('both Deployments pass Pod Security restricted', () => {
    const pods = all.filter((one) => one['kind'] === 'Deployment').map((one) => at(one, 'spec', 'template', 'spec'));
    assert.equal(pods.length, 2);
    for (const pod of pods) {
      assert.equal(at(pod, 'securityContext', 'runAsNonRoot'), true);
      assert.equal(at(pod, 'securityContext', 'seccompProfile', 'type'), 'RuntimeDefault');
      for (const container of listAt(pod, 'containers')) {
        assert.equal(at(container, 'securityContext', 'allowPrivilegeEscalation'), false);
        assert.equal(at(container, 'securityContext', 'readOnlyRootFilesystem'), true);
        assert.deepEqual(at(container, 'securityContext', 'capabilities', 'drop'), ['ALL']);
      }
    }
  });
});
