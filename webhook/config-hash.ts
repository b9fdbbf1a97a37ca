/**
 * Twelve hexadecimal characters for everything that the operator's configuration contributes to pods.
 *
 * Pure. Invariants: the same configuration gives the same text whatever the order of its keys; what concerns the webhook alone (ports,
 * limits, names of the installation, the pause) does not count, so that only pods that would look different today are out of date.
 * May import: core, config.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import { readWebhookConfig } from '../src/config/webhook-config.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';

/** What of the configuration can change a pod; a new key does not compile before it is told apart here. */
const CONTRIBUTES: Readonly<Record<keyof WebhookConfig, boolean>> = {
  cluster: true,
  namespace: false,
  instance: false,
  hosts: false,
  image: true,
  imagePullPolicy: true,
  imagePullSecrets: true,
  imagesAllowed: true,
  resourcesMax: true,
  serviceAccountMode: true,
  elasticsearchUrl: true,
  elasticsearchGzip: true,
  elasticsearchSigning: true,
  elasticsearchRegion: true,
  cloudwatchEndpoint: true,
  cloudwatch: true,
  s3: true,
  awsRegion: true,
  httpProxy: true,
  httpsProxy: true,
  noProxy: true,
  meshBypass: true,
  stdoutNode: true,
  defaults: true,
  paused: false,
  logLevel: false,
  tls: false,
  server: false,
};

/** A key that says nothing changes no pod: those that were injected before it existed are up to date. */
const ADDED: readonly (keyof WebhookConfig)[] = [
  's3',
  'elasticsearchGzip',
  'elasticsearchSigning',
  'elasticsearchRegion',
  'httpProxy',
  'httpsProxy',
  'noProxy',
  'stdoutNode',
];
const BUILT_IN = readWebhookConfig({}, { image: '' });

function isSilent(key: string, value: unknown): boolean {
  const added = ADDED.find((name) => name === key);
  return added !== undefined && BUILT_IN.ok && isDeepStrictEqual(value, BUILT_IN.value[added]);
}

/** A configuration is an immutable value that every request of its time shares. */
const HASHES = new WeakMap<WebhookConfig, string>();

/** The hash that the status of a pod carries. */
export function configHash(config: WebhookConfig): string {
  const known = HASHES.get(config);
  if (known !== undefined) return known;
  const members = Object.entries({ ...config, defaults: [...config.defaults].map(String) })
    .filter(([key, value]) => !isSilent(key, value))
    .filter(([key]) => Object.hasOwn(CONTRIBUTES, key) && CONTRIBUTES[key as keyof WebhookConfig])
    .map(([key, value]) => JSON.stringify([key, Array.isArray(value) ? value.toSorted() : value]))
    .toSorted();
  const hash = createHash('sha256').update(members.join('\n')).digest('hex').slice(0, 12);
  HASHES.set(config, hash);
  return hash;
}
