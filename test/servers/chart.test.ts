/**
 * Both ways to install give the same objects: what `helm template` makes of the chart and `kubectl kustomize` of the manifests, in every mode;
 * and every value of the chart arrives somewhere.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';

import { parse, parseAllDocuments } from 'yaml';

import { skip } from '../skip.ts';
import { skipText } from './available.ts';
import { defaultPreparation } from './cache.ts';
import { requireHelm } from './helm.ts';
import { buildKubernetes, kubernetesAvailability } from './kubernetes/build.ts';
import { mustRun, run } from './programs.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CHART = join(ROOT, 'deploy/chart');
const RUN_MS_MAX = 60_000;
/** Where nothing was built before. */
const BUILD_MS_MAX = 45 * 60_000;

interface Rendered {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Record<string, string>;
  };
  readonly data?: Record<string, string>;
  readonly spec?: Record<string, unknown>;
}

interface Way {
  readonly name: string;
  /** Relative to deploy/. */
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
}

const WAYS: readonly Way[] = [
  { name: 'as it is', values: {} },
  {
    name: 'cert-manager',
    components: ['overlays/cert-manager'],
    values: { certificates: { mode: 'cert-manager' } },
  },
  { name: 'files', components: ['overlays/files'], values: { certificates: { mode: 'files' } } },
  { name: 'network policies', components: ['overlays/network-policy'], values: { networkPolicy: { enabled: true } } },
  { name: 'policy that reports', resources: ['policy/report'], values: { policy: 'report' } },
  { name: 'policy that refuses', resources: ['policy/deny'], values: { policy: 'deny' } },
];

/** Something else than the default for every value. */
const OTHER = {
  image: {
    repository: 'registry.example:5000/team/logtender',
    tag: 'tag-1',
    pullPolicy: 'Always',
    pullSecrets: ['pull-secret-1'],
  },
  config: { cluster: 'cluster-1', serviceAccountMode: 'never', defaults: { sink: 'elasticsearch' } },
  certificates: { config: { keyType: 'rsa-2048' } },
  excludedNamespaces: ['excluded-1'],
  webhook: processValues('webhook', 3),
  certs: processValues('certs', 4),
  policy: 'deny',
  networkPolicy: {
    enabled: true,
    apiServer: { cidrs: ['192.0.2.0/24', '2001:db8::/32'], ports: [7443] },
    metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'scrapers-1' } } }],
  },
  test: { namespace: 'test-1' },
};

function processValues(name: string, replicas: number): Readonly<Record<string, unknown>> {
  return {
    replicas,
    antiAffinity: 'required',
    priorityClassName: `${name}-priority`,
    nodeSelector: { [`${name}-node`]: 'yes' },
    tolerations: [{ key: `${name}-taint`, operator: 'Exists' }],
    podAnnotations: { [`${name}-annotation`]: 'yes' },
    resources: { requests: { cpu: `${replicas}1m` } },
  };
}

describe('chart and manifests', function () {
  this.timeout(BUILD_MS_MAX);
  let helm: string;
  let kubectl: string;
  let folder: string;

  before(async function () {
    helm = await requireHelm(this);
    // kubectl is one of its programs; the control plane itself is not started.
    const preparation = defaultPreparation();
    const kubernetes = await kubernetesAvailability(preparation.cache);
    if (!kubernetes.available) skip(this, skipText('kubectl', kubernetes));
    kubectl = join(await buildKubernetes(preparation), 'kubectl');
    folder = mkdtempSync(join(tmpdir(), 'logtender-chart-'));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const template = async (values: object, namespace = 'logtender'): Promise<string> => {
    const args = ['template', 'any-name', CHART, '--namespace', namespace, '--values', '-'];
    return (await mustRun(helm, args, { input: JSON.stringify(values), timeoutMs: RUN_MS_MAX })).stdout;
  };

  for (const { name, resources = [], components = [], values } of WAYS) {
    it(`give the same: ${name}`, async () => {
      const from = (path: string): string => relative(folder, join(ROOT, 'deploy', path));
      const kustomization = {
        resources: ['', ...resources].map(from),
        components: components.map(from),
      };
      writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
      const { stdout } = await mustRun(kubectl, ['kustomize', folder], { timeoutMs: RUN_MS_MAX });
      // The namespace itself is made by whoever installs: a chart that owned its own would lose its release with it.
      const byManifests = objectsOf(stdout).filter(({ kind }) => kind !== 'Namespace');
      const byChart = objectsOf(await template(values)).filter(
        ({ metadata }) => metadata.annotations?.['helm.sh/hook'] === undefined,
      );
      assert.deepEqual(byChart.map(idOf), byManifests.map(idOf));
      for (const [i, object] of byChart.entries()) assert.deepEqual(comparable(object), comparable(byManifests[i]));
    });
  }

  it('every value arrives, and the namespace of the release is the only one', async () => {
    const text = await template(OTHER, 'elsewhere');
    for (const word of wordsOf(OTHER)) assert.ok(text.includes(word), word);
    for (const { kind, metadata } of objectsOf(text))
      assert.ok([undefined, 'elsewhere', 'test-1'].includes(metadata.namespace), `${kind} ${metadata.name}`);
    assert.doesNotMatch(text, /namespace: "?logtender"?$|logtender\.svc/m);
    assert.doesNotMatch(text, /preferredDuringScheduling|: 6443/);
    const configMap = objectsOf(text).find(({ kind }) => kind === 'ConfigMap');
    const config = parse(configMap?.data?.['webhook.yaml'] ?? '') as Record<string, unknown>;
    assert.equal(config['image'], 'registry.example:5000/team/logtender:tag-1');
  });

  it('a digest takes the place of the tag, and a sidecar image of its own stays', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const text = await template({ image: { digest, tag: 'x' }, config: { image: 'other/sidecar:1' } });
    assert.equal(text.match(new RegExp(`image: logtender@${digest}`, 'g'))?.length, 3);
    assert.match(text, /^ {4}image: other\/sidecar:1$/m);
  });

  it('helm refuses values that the schema refuses, in its words', async () => {
    const args = ['template', 'x', CHART, '--set', 'webhook.replicas=1', '--set', 'webhok.replicas=2'];
    const { code, stderr } = await run(helm, args, { timeoutMs: RUN_MS_MAX });
    assert.notEqual(code, 0);
    assert.match(stderr, /webhok/);
    assert.match(stderr, /\/webhook\/replicas/);
  });
});

const idOf = ({ kind, metadata }: Rendered): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

function objectsOf(text: string): readonly Rendered[] {
  // As Kubernetes reads it, where 0440 is octal.
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS() as Rendered | null)
    .filter((object) => object !== null)
    .toSorted((a, b) => idOf(a).localeCompare(idOf(b)));
}

/** As the API server understands it: the configurations by their content, lists of named parts in any order. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) {
    const parts = value.map(comparable);
    const isNamed = parts.every((part) => typeof part === 'object' && part !== null && 'name' in part);
    return isNamed ? parts.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b))) : parts;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] =>
    /\.yaml$/.test(key) && typeof inner === 'string' ? [key, parse(inner)] : [key, comparable(inner)],
  );
  return Object.fromEntries(entries.toSorted(([a], [b]) => a.localeCompare(b)));
}

const nameOf = (part: unknown): string => String((part as { readonly name?: unknown }).name);

/** All texts and numbers, and keys that are not the chart's own. */
function wordsOf(value: unknown): readonly string[] {
  if (typeof value === 'string' || typeof value === 'number')
    return ['required', 'deny'].includes(String(value)) ? [] : [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(/-(node|annotation)$/.test(key) ? [key] : []),
    ...wordsOf(inner),
  ]);
}
