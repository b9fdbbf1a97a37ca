/**
 * What a `_bulk` request looks like, where it goes and as whom: pure.
 *
 * Sources: Elasticsearch and OpenSearch reference, Bulk API; "Common options", response filtering (`filter_path`); Elasticsearch
 * reference, "Realms" and "Token-based authentication services" (basic, API key, bearer, PKI). May import: core, config.
 */
import { createHash } from 'node:crypto';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { HTTP_URLS, splitUrls } from '../../config/forwarder-config.ts';
import { DNS_SUFFIXES } from '../aws/partition.ts';
import type { SecretValues } from '../secret-files.ts';

/** The files of the sink Secret that this sink reads. */
export const ELASTICSEARCH_SECRET_KEYS = [
  'elasticsearch-url',
  'elasticsearch-username',
  'elasticsearch-password',
  'elasticsearch-api-key',
  'elasticsearch-bearer-token',
  'elasticsearch-client.crt',
  'elasticsearch-client.key',
  'elasticsearch-ca.crt',
] as const;

/** Only what decides: without it the answer costs more than the request. `status` keeps the items in step with the records. */
const ANSWER_FILTER = 'filter_path=errors,items.*.status,items.*.failure_store,items.*.error';
const ANSWER_FILTER_WITH_INDEX = 'filter_path=errors,items.*._index,items.*.status,items.*.failure_store,items.*.error';

export interface Endpoint {
  /** The nodes of one cluster, at least one. */
  readonly urls: readonly URL[];
  /** Value of the Authorization header for a node. */
  readonly authorization: (url: URL) => string | undefined;
  readonly ca: string | undefined;
  readonly client: { readonly cert: string; readonly key: string } | undefined;
}

/**
 * Where to send and as whom. The URLs of the Secret win over the env's; an API key wins over a bearer token, that over a user name, that
 * over a user name in the URL.
 *
 * @returns a text for people when there is no usable URL
 */
export function endpointOf(config: ForwarderConfig, secret: SecretValues): Endpoint | { readonly problem: string } {
  const text = secret.value('elasticsearch-url') ?? config.elasticsearchUrl;
  if (text === undefined) {
    return { problem: 'no URL: set ELASTICSEARCH_URL, or the key elasticsearch-url of the sink Secret' };
  }
  if (!HTTP_URLS.test(text)) {
    // The text itself may hold a password.
    return { problem: `the key elasticsearch-url of the sink Secret: expected ${HTTP_URLS.expected}` };
  }
  const cert = secret.value('elasticsearch-client.crt');
  const key = secret.value('elasticsearch-client.key');
  if ((cert === undefined) !== (key === undefined)) {
    const [found, missing] = cert === undefined ? ['key', 'crt'] : ['crt', 'key'];
    return { problem: `the sink Secret has elasticsearch-client.${found} but no elasticsearch-client.${missing}` };
  }
  return {
    urls: splitUrls(text).map((url) => new URL(url)),
    authorization: (url) => authorizationOf(url, secret),
    ca: secret.value('elasticsearch-ca.crt'),
    client: cert === undefined || key === undefined ? undefined : { cert, key },
  };
}

function authorizationOf(url: URL, secret: SecretValues): string | undefined {
  const apiKey = secret.value('elasticsearch-api-key');
  if (apiKey !== undefined) return `ApiKey ${apiKey}`;
  const token = secret.value('elasticsearch-bearer-token');
  if (token !== undefined) return `Bearer ${token}`;
  const user = secret.value('elasticsearch-username') ?? decodeURIComponent(url.username);
  if (user === '') return undefined;
  const password = secret.value('elasticsearch-password') ?? decodeURIComponent(url.password);
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** The node that a pod begins with: each pod another one, the same pod the same. */
export function firstNode(podUid: string, count: number): number {
  return createHash('sha256').update(podUid).digest().readUInt32BE(0) % count;
}

/**
 * Endpoints of OpenSearch Service: a domain is `NAME.REGION.es.amazonaws.com`, by dual stack `NAME.aos.REGION.on.aws`, a collection of
 * OpenSearch Serverless `ID.REGION.aoss.amazonaws.com`; other partitions end otherwise (OpenSearch Service developer guide, "Creating
 * domains", "Accessing collections").
 */
const AWS_HOST = new RegExp(
  String.raw`\.([a-z0-9-]+)\.(es|aoss)(?:-fips)?\.(?:${DNS_SUFFIXES.join('|').replaceAll('.', String.raw`\.`)})$`,
);
const AWS_HOST_DUAL_STACK = /\.aos\.([a-z0-9-]+)\.on\.aws$/;

export interface SigningScope {
  readonly region: string | undefined;
  readonly service: AwsService;
}

/** A collection is another service than a domain (developer guide, "Signing HTTP requests" of both). */
export type AwsService = 'es' | 'aoss';

/**
 * What requests to a domain are signed for. The region that was configured for it wins, then that of its own name: AWS_REGION may be that of
 * the cluster (the webhook for IRSA sets it), while a domain takes no signature for another region than its own.
 */
export function signingScope(config: ForwarderConfig, url: URL): SigningScope {
  const named = AWS_HOST.exec(url.hostname);
  const region = named?.[1] ?? AWS_HOST_DUAL_STACK.exec(url.hostname)?.[1];
  return {
    region: config.elasticsearchRegion ?? region ?? config.awsRegion,
    service: named?.[2] === 'aoss' ? 'aoss' : 'es',
  };
}

/** A path of the cluster's API, behind the path of the URL (a proxy's). */
export function apiPath(url: URL, path: string): string {
  return `${url.pathname.replace(/\/+$/, '')}${path}`;
}

/** Path and query of a bulk request into one index or data stream. @param namesIndex the answer names the index of each item */
export function bulkPath(url: URL, index: string, namesIndex = false): string {
  const filter = namesIndex ? ANSWER_FILTER_WITH_INDEX : ANSWER_FILTER;
  return apiPath(url, `/${encodeURIComponent(index)}/_bulk?${filter}`);
}

/** Headers of a bulk request, but for its length. */
export function bulkHeaders(authorization: string | undefined, isGzip = false): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/x-ndjson',
    accept: 'application/json',
    ...(isGzip ? { 'content-encoding': 'gzip' } : {}),
    ...(authorization === undefined ? {} : { authorization }),
  };
}
