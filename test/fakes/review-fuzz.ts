/**
 * Random AdmissionReviews from a seed: shapes that API servers send, shapes that nobody sends, and bytes that were damaged on the way.
 */
import assert from 'node:assert/strict';

import type { Json, JsonObject } from '../../webhook/json.ts';
import { KEYS } from '../../webhook/annotations.ts';

export type FuzzRandom = () => number;

/** Texts that break those who build paths, patterns, lines or shells out of what they are given. */
const NASTY = [
  '',
  'true',
  'false',
  'yes',
  '__proto__',
  'constructor',
  'a/b~c',
  '~0~1',
  '$(HOME)',
  '$$(X)',
  'a\nb\r\n',
  '\u001b[31m',
  '%s%d%n',
  '\u0000',
  '\ud800',
  '\u2028',
  'é漢🙂',
  'x'.repeat(63),
  'y'.repeat(253),
  '/var/log/app/*.log',
  'app:/data/**/x.log,/etc/passwd',
  '../../etc',
  '["a","b"',
  '{"a":1}',
  '-1',
  '1e999',
  '9007199254740993',
  '500m',
  '64Mi',
  '0',
  'arn:aws:iam::123456789012:role/x',
  'elasticsearch,cloudwatch,nowhere',
];
const ANNOTATIONS = [
  ...Object.keys(KEYS).map((key) => `logging.io/${key}`),
  'logging.io/status',
  'logging.io/ijnect',
  'other',
];

/** The bytes of one review. */
export function fuzzReview(random: FuzzRandom): Buffer {
  const body = Buffer.from(JSON.stringify(review(random)));
  // A third with damaged bytes; of the rest some are as an API server sends them and some odd in shape.
  return chance(random, 0.33) ? damaged(random, body) : body;
}

function review(random: FuzzRandom): Json {
  if (chance(random, 0.03)) return odd(random, 3);
  const request: JsonObject = {
    uid: chance(random, 0.98) ? 'a0000000-0000-4000-8000-000000000001' : odd(random, 1),
    kind: { group: '', version: 'v1', kind: chance(random, 0.97) ? 'Pod' : 'Deployment' },
    namespace: chance(random, 0.98) ? 'shop' : pick(random, NASTY),
    operation: chance(random, 0.95) ? 'CREATE' : pick(random, ['UPDATE', 'DELETE', '']),
    dryRun: chance(random, 0.2),
    object: chance(random, 0.03) ? odd(random, 2) : pod(random),
  };
  return {
    apiVersion: chance(random, 0.98) ? 'admission.k8s.io/v1' : 'admission.k8s.io/v1beta1',
    kind: chance(random, 0.98) ? 'AdmissionReview' : pick(random, NASTY),
    request: chance(random, 0.99) ? request : odd(random, 2),
  };
}

function pod(random: FuzzRandom): Json {
  const annotations = pairs(random, 6, () => pick(random, ANNOTATIONS));
  return maybeOdd(random, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: maybeOdd(random, {
      ...(chance(random, 0.5) ? { name: pick(random, ['web-1', ...NASTY]) } : { generateName: 'web-' }),
      labels: maybeOdd(
        random,
        pairs(random, 3, () => pick(random, ['app', ...NASTY])),
      ),
      annotations: maybeOdd(random, {
        ...annotations,
        ...(chance(random, 0.8) ? { 'logging.io/inject': 'true' } : {}),
      }),
      ...(chance(random, 0.3)
        ? {
            ownerReferences: [
              maybeOdd(random, { kind: 'ReplicaSet', name: 'web-5d9c7b6f4', uid: 'u', controller: true }),
            ],
          }
        : {}),
    }),
    spec: maybeOdd(random, spec(random)),
  });
}

function spec(random: FuzzRandom): JsonObject {
  const volumes = ['logtender-logs', 'data', 'kube-api-access-x1y2z'];
  return {
    containers: maybeOdd(
      random,
      many(random, 4, () => maybeOdd(random, container(random))),
    ),
    ...(chance(random, 0.3) ? { initContainers: many(random, 2, () => maybeOdd(random, container(random))) } : {}),
    ...(chance(random, 0.4)
      ? { volumes: many(random, 3, () => maybeOdd(random, { name: pick(random, volumes), emptyDir: {} })) }
      : {}),
    ...(chance(random, 0.2) ? { hostNetwork: true } : {}),
    ...(chance(random, 0.2) ? { shareProcessNamespace: true } : {}),
    ...(chance(random, 0.2) ? { os: { name: pick(random, ['linux', 'windows']) } } : {}),
    ...(chance(random, 0.3) ? { securityContext: maybeOdd(random, { runAsUser: 1000, fsGroup: 2000 }) } : {}),
    ...(chance(random, 0.3) ? { serviceAccountName: pick(random, ['default', 'own', ...NASTY]) } : {}),
    ...(chance(random, 0.1) ? { restartPolicy: 'Never' } : {}),
  };
}

function container(random: FuzzRandom): JsonObject {
  return {
    name: pick(random, ['app', 'web', 'logtender', 'istio-proxy', ...NASTY]),
    image: 'registry.example/app:1',
    ...(chance(random, 0.4)
      ? { env: many(random, 5, () => maybeOdd(random, { name: pick(random, NASTY), value: pick(random, NASTY) })) }
      : {}),
    ...(chance(random, 0.4)
      ? { volumeMounts: many(random, 2, () => maybeOdd(random, { name: 'data', mountPath: pick(random, NASTY) })) }
      : {}),
    ...(chance(random, 0.2) ? { ports: [{ containerPort: pick(random, [80, 2020, 0, -1, 65_536, 1.5]) }] } : {}),
    ...(chance(random, 0.3)
      ? { resources: maybeOdd(random, { limits: { cpu: pick(random, NASTY), memory: pick(random, NASTY) } }) }
      : {}),
  };
}

/** Now and then something else stands where an object or a list should. */
function maybeOdd(random: FuzzRandom, value: Json): Json {
  return chance(random, 0.02) ? odd(random, 2) : value;
}

function odd(random: FuzzRandom, depth: number): Json {
  const kind = Math.floor(random() * (depth > 0 ? 7 : 5));
  if (kind === 0) return null;
  if (kind === 1) return chance(random, 0.5);
  if (kind === 2) return pick(random, [0, -1, 1.5, 1e308, 9_007_199_254_740_993]);
  if (kind <= 4) return pick(random, NASTY);
  if (kind === 5) return many(random, 4, () => odd(random, depth - 1));
  return Object.fromEntries(many(random, 4, () => [pick(random, NASTY), odd(random, depth - 1)] as const));
}

/** A few bytes changed, cut out, doubled or put in, or the end cut off. */
function damaged(random: FuzzRandom, body: Buffer): Buffer {
  const bytes = Buffer.from(body);
  const at = (): number => Math.floor(random() * bytes.length);
  switch (Math.floor(random() * 4)) {
    case 0:
      for (let i = 0; i < 3; i += 1) bytes[at()] = Math.floor(random() * 256);
      return bytes;
    case 1:
      return bytes.subarray(0, at());
    case 2: {
      const from = at();
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + Math.floor(random() * 16))]);
    }
    default: {
      const from = at();
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(Math.max(0, from - 16))]);
    }
  }
}

function pairs(random: FuzzRandom, most: number, key: () => string): JsonObject {
  return Object.fromEntries(many(random, most, () => [key(), pick(random, NASTY)] as const));
}

function many<T>(random: FuzzRandom, most: number, make: () => T): readonly T[] {
  return Array.from({ length: Math.floor(random() * (most + 1)) }, make);
}

function pick<T>(random: FuzzRandom, from: readonly T[]): T {
  const found = from[Math.floor(random() * from.length)];
  assert(found !== undefined);
  return found;
}

function chance(random: FuzzRandom, share: number): boolean {
  return random() < share;
}
