/**
 * Arbitrary pods, annotations and clusters for the algebra of injection, the odd ones on purpose: nulls, empty lists, members that are
 * malformed or unknown, keys that reach for a prototype or need escaping in a pointer.
 */
import fc from 'fast-check';

import { isList, isObject, member, textAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { KEY_NAMES } from '../../webhook/annotations.ts';
import type { ClusterCase } from '../fakes/webhook.ts';

const ODD_KEYS = [
  '__proto__',
  'constructor',
  'toString',
  '~',
  '/',
  '~1',
  'a/b',
  'x~0y',
  '',
  'line\nbreak',
  '\u001b[31m',
  'é😀',
];
const ODD_TEXTS = [
  '',
  ' ',
  '$(POD_NAME)',
  '$$(x)',
  'a\nb',
  '\u001b[0m',
  '\u2028',
  '{"a":1}',
  'null',
  '__proto__',
  '<>&',
];

/** Names of 1, 63 and 253 characters among short ones. */
const name = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('app', 'web', 'worker', 'db', 'istio-proxy', 'linkerd-proxy', 'istio-init') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('x', 'n'.repeat(63), 'm'.repeat(253), 'constructor', '__proto__', 'logtender'),
  },
);
const directory = fc.constantFrom(
  '/var/log/app',
  '/var/log',
  '/data',
  '/data/',
  '/data/logs',
  '/',
  '/etc/app',
  '/tmp/x',
  '/opt/app/logs',
  '/var/log//app',
  'var/log/app',
  '/data/x/../logs/',
  '/data/x.log',
);
const glob = fc.constantFrom(
  '/var/log/app/*.log',
  '/var/log/app/**/*.log',
  'app:/data/x.log',
  'nobody:/data/x.log',
  '/data/logs/a.log,/data/*.txt',
  '/etc/app/x.log',
  '/*.log',
  'relative.log',
  '/tmp/x/[ab].log',
);

const scalar: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 0, -1, 1.5, 1e21),
  fc.constantFrom<Json>(...ODD_TEXTS),
);
const unknownValue: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom(...ODD_KEYS, 'k'), tie('value')), { maxLength: 3 }).map(objectOf),
  ),
})).value;

/** An object whose every key is its own, `__proto__` included. */
function objectOf(entries: readonly (readonly [string, Json | undefined])[]): JsonObject {
  const object: Record<string, Json> = {};
  for (const [key, value] of entries) {
    if (value !== undefined)
      Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return object;
}

const unknownMembers = fc
  .array(fc.tuple(fc.constantFrom(...ODD_KEYS, 'x-unknown'), unknownValue), { maxLength: 2 })
  .map((entries) => entries as (readonly [string, Json])[]);

function uniqueBy(items: readonly Json[], key: string): readonly Json[] {
  return items.filter((item, i) => items.findIndex((other) => textAt(other, key) === textAt(item, key)) === i);
}

/** A list, or what stands in its place in odd manifests. */
function list(item: fc.Arbitrary<Json>, maxLength: number): fc.Arbitrary<Json | undefined> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.array(item, { maxLength }) },
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom<Json>(null, []) },
  );
}

function object(members: Readonly<Record<string, fc.Arbitrary<Json | undefined>>>): fc.Arbitrary<JsonObject> {
  const keys = Object.keys(members);
  return fc
    .tuple(fc.tuple(...Object.values(members)), unknownMembers)
    .map(([values, more]) => objectOf([...keys.map((key, i) => [key, values[i]] as const), ...more]));
}

const maybe = (value: fc.Arbitrary<Json>): fc.Arbitrary<Json | undefined> => fc.option(value, { nil: undefined });

const volumeName = fc.constantFrom('data', 'logs', 'cache', 'config', 'kube-api-access-ab12c');
const mount = object({
  name: volumeName,
  mountPath: directory,
  subPath: maybe(fc.constantFrom('a', 'a/b')),
  subPathExpr: maybe(fc.constant('$(POD_NAME)')),
  readOnly: maybe(fc.boolean()),
});
const quantities = object({
  cpu: maybe(fc.constantFrom('100m', '1', 'x')),
  memory: maybe(fc.constantFrom('64Mi', '1Gi')),
});
const resources = object({ requests: maybe(quantities), limits: maybe(quantities) });
const securityContext = object({
  runAsUser: maybe(fc.constantFrom<Json>(0, 1000, null, 'x')),
  runAsGroup: maybe(fc.constantFrom<Json>(0, 1000)),
  runAsNonRoot: maybe(fc.boolean()),
  fsGroup: maybe(fc.constant(2000)),
  seLinuxOptions: maybe(
    fc.constantFrom<Json>(null, { level: 's0:c1,c2' }, { level: '', type: 'spc_t' }, { type: 'container_t' }),
  ),
});
const port = object({ containerPort: fc.constantFrom(8080, 9320, 15020), name: maybe(fc.constant('http')) });

const container = object({
  name,
  image: fc.constant('example/app:1'),
  env: list(object({ name: fc.constantFrom('A', 'B'), value: maybe(fc.constantFrom(...ODD_TEXTS)) }), 3),
  ports: list(port, 2),
  resources: maybe(fc.oneof(resources, fc.constant(null))),
  restartPolicy: maybe(fc.constant('Always')),
  command: maybe(fc.constantFrom<Json>(null, [], ['run'], ['/data/run'], ['./run', '-v'], [null])),
  workingDir: maybe(fc.constantFrom<Json>(null, '', '/', '/data', 'data/')),
  volumeDevices: maybe(
    fc.constantFrom<Json>(null, [], [{ name: 'block', devicePath: '/data/logs' }], [{ devicePath: '/tmp/x/' }, null]),
  ),
  securityContext: maybe(fc.oneof(securityContext, fc.constant(null))),
  // The API server wants the paths of a container's mounts to be unique (validation, ValidateVolumeMounts).
  volumeMounts: list(mount, 3).map((mounts) => (isList(mounts) ? uniqueBy(mounts, 'mountPath') : mounts)),
});

/** What the ServiceAccount admission plugin projects. */
export const TOKEN_SOURCES: Json = [
  { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
  { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
];
const volume = fc
  .tuple(
    volumeName,
    fc.constantFrom<JsonObject>(
      { emptyDir: {} },
      { emptyDir: { medium: 'Memory', sizeLimit: null } },
      { persistentVolumeClaim: { claimName: 'c' } },
      { secret: { secretName: 's' } },
      { hostPath: { path: '/x' } },
    ),
  )
  .map(([volumeNamed, source]): JsonObject =>
    volumeNamed.startsWith('kube-api-access-')
      ? { name: volumeNamed, projected: { defaultMode: 420, sources: TOKEN_SOURCES } }
      : { name: volumeNamed, ...source },
  );

/** Values per key, right and wrong ones; keys without an entry get the odd texts. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  inject: ['true', 'true', 'true', 'true', 'false', 'yes', ''],
  stdout: ['auto', 'off', 'api', 'node', 'on'],
  sink: ['elasticsearch', 'cloudwatch', 'elasticsearch,cloudwatch', 'console', 's3', 'kafka'],
  'sink-secret': ['logtender-sink', 'Bad_Name'],
  'role-arn': ['arn:aws:iam::123456789012:role/r', 'r'],
  'log-group': ['/k8s/{cluster}/{namespace}/{app}', '/x/{label:team}', '{nothing}'],
  'log-stream': ['{pod}/{container}', '{pod}'],
  'data-stream': ['logs-x-{namespace}', 'logs-{yyyy.MM.dd}'],
  naming: ['path', 'flat', 'round'],
  'retention-days': ['7', '8'],
  'flush-interval': ['200ms', '5'],
  'service-account': ['logtender-forwarder', 'default', 'Not A Name'],
  'cpu-request': ['10m', '-1'],
  'cpu-limit': ['100m', '1m'],
  'memory-request': ['64Mi', '48'],
  'memory-limit': ['32Mi', '1Gi'],
  image: ['logtender:test', 'evil/image:1'],
  sidecar: ['auto', 'native', 'container', 'both'],
  'on-invalid': ['warn', 'warn', 'warn', 'deny', 'ask'],
};

const ownAnnotation = fc
  .constantFrom(...KEY_NAMES.filter((key) => key !== 'status'), 'fils', 'inject2')
  .chain((key) =>
    fc.tuple(
      fc.constant(`logging.io/${key}`),
      key === 'files' ? glob : fc.constantFrom(...(VALUES[key] ?? ['x', ...ODD_TEXTS])),
    ),
  );
const otherAnnotation = fc.oneof(
  { weight: 1, arbitrary: fc.tuple(fc.constant('kubernetes.io/config.mirror'), fc.constant<Json>('x')) },
  {
    weight: 12,
    arbitrary: fc.tuple(fc.constantFrom(...ODD_KEYS, 'example.com/a'), fc.constantFrom<Json>(...ODD_TEXTS, null)),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(
      fc.constant('cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes'),
      fc.constantFrom<Json>('', 'data', 'data, cache', 'data,data', ' ', null),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constantFrom('traffic.sidecar.istio.io/excludeOutboundPorts', 'config.linkerd.io/skip-outbound-ports'),
      fc.constantFrom<Json>('', '25', '443,25', null),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(
      fc.constant('kubectl.kubernetes.io/default-container'),
      fc.constantFrom<Json>('app', 'web', '', null),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constant('eks.amazonaws.com/skip-containers'), fc.constantFrom<Json>('app', 'web, db', '')),
  },
);

/** Half of them ask in a way that gives a sidecar, so that the interesting part is not rare. */
const annotations: fc.Arbitrary<Json | undefined> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.boolean(), fc.array(ownAnnotation, { maxLength: 6 }), fc.array(otherAnnotation, { maxLength: 3 }))
      .map(([isAsking, own, others]) =>
        objectOf([...own, ...others, ...(isAsking ? [['logging.io/inject', 'true'] as const] : [])]),
      ),
  },
  { weight: 1, arbitrary: fc.constantFrom<Json | undefined>(undefined, null, {}) },
);

const labels = object({ app: maybe(fc.constantFrom<Json>('shop', '')), team: maybe(fc.constant('blue')) });
const metadata: fc.Arbitrary<Json | undefined> = fc.oneof(
  {
    weight: 9,
    arbitrary: object({
      name: maybe(fc.constantFrom('web-1', 'p'.repeat(253))),
      generateName: maybe(fc.constant('web-')),
      labels: maybe(labels),
      annotations,
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Json | undefined>(undefined, null, {}) },
);

const spec = object({
  containers: fc.oneof(
    { weight: 9, arbitrary: fc.array(container, { minLength: 1, maxLength: 5 }) },
    { weight: 1, arbitrary: fc.constantFrom<Json>([], null) },
  ),
  initContainers: list(container, 3),
  volumes: list(volume, 4),
  imagePullSecrets: maybe(fc.constantFrom<Json>([], null, [{ name: 'regcred' }], [{ name: 'theirs' }, null])),
  securityContext: maybe(fc.oneof(securityContext, fc.constant(null))),
  serviceAccountName: maybe(fc.constantFrom<Json>('default', 'app', '', null)),
  serviceAccount: maybe(fc.constantFrom<Json>('default', null)),
  automountServiceAccountToken: maybe(fc.constantFrom<Json>(true, false, null)),
  hostNetwork: maybe(fc.boolean()),
  hostUsers: maybe(fc.boolean()),
  restartPolicy: maybe(fc.constantFrom('Always', 'Always', 'Always', 'OnFailure')),
  resources: maybe(resources),
  os: maybe(fc.constantFrom<Json>(...Array<Json>(9).fill({ name: 'linux' }), { name: 'windows' })),
  terminationGracePeriodSeconds: maybe(fc.constantFrom<Json>(0, 30, null)),
});

/** Names of containers are unique in a pod, init containers included (the API server refuses others: validation, ValidatePodSpec). */
function withUniqueNames(body: JsonObject): JsonObject {
  const seen = new Set<string>();
  const rename = (item: Json): Json => {
    if (!isObject(item)) return item;
    let unique = textAt(item, 'name') ?? '';
    for (let n = 2; seen.has(unique); n += 1) unique = `${unique.slice(0, 50)}-${n}`;
    seen.add(unique);
    return { ...item, name: unique };
  };
  const renamed = (key: string): Record<string, Json> => {
    const found = member(body, key);
    return isList(found) ? { [key]: found.map(rename) } : {};
  };
  return { ...body, ...renamed('containers'), ...renamed('initContainers') };
}

/** A pod without a status of ours and, but for one container name, without our names. */
export const arbitraryPod: fc.Arbitrary<JsonObject> = fc
  .tuple(metadata, spec, unknownMembers)
  .map(([meta, body, more]) =>
    objectOf([['apiVersion', 'v1'], ['kind', 'Pod'], ['metadata', meta], ['spec', withUniqueNames(body)], ...more]),
  );

/** A cluster around the pod. */
export const arbitraryCluster: fc.Arbitrary<ClusterCase> = fc.record({
  labels: fc.constantFrom<Readonly<Record<string, string>>>(
    {},
    { 'logging.io/inject': 'true' },
    { 'logging.io/inject': 'true' },
  ),
  annotations: fc.array(ownAnnotation, { maxLength: 2 }).map((entries) => Object.fromEntries(entries)),
  accounts: fc.constantFrom<readonly string[]>([], ['logtender-forwarder']),
  kubelets: fc.constantFrom('ready', 'old', 'unknown'),
  config: fc.constantFrom<Readonly<Record<string, unknown>>>(
    {},
    { serviceAccountMode: 'require' },
    { serviceAccountMode: 'never' },
    { imagePullSecrets: ['regcred', 'ours'], meshBypass: true },
  ),
});
