/**
 * What a `_bulk` request looks like, and where it goes: pure.
 *
 * Sources: Elasticsearch and OpenSearch reference, Bulk API; "Common options", response filtering (`filter_path`).
 * May import: core, config.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { HTTP_URL } from '../../config/forwarder-config.ts';
import type { SecretValues } from '../secret-files.ts';

/** The files of the sink Secret that this sink reads. */
export const ELASTICSEARCH_SECRET_KEYS = [
  'elasticsearch-url',
  'elasticsearch-username',
  'elasticsearch-password',
  'elasticsearch-api-key',
  'elasticsearch-ca.crt',
] as const;

/** Only what decides: without it the answer costs more than the request. `status` keeps the items in step with the records. */
const ANSWER_FILTER = 'filter_path=errors,items.*.status,items.*.error';

export interface Endpoint {
  readonly url: URL;
  /** Value of the Authorization header. */
  readonly authorization: string | undefined;
  readonly ca: string | undefined;
}

/**
 * Where to send and as whom. The URL of the Secret wins over the env's; an API key wins over a user name, that over a user name
 * in the URL.
 *
 * @returns a text for people when there is no usable URL
 */
export function endpointOf(config: ForwarderConfig, secret: SecretValues): Endpoint | { readonly problem: string } {
  const text = secret.value('elasticsearch-url') ?? config.elasticsearchUrl;
  if (text === undefined) {
    return { problem: 'no URL: set ELASTICSEARCH_URL, or the key elasticsearch-url of the sink Secret' };
  }
  if (!HTTP_URL.test(text)) {
    // The text itself may hold a password.
    return { problem: `the key elasticsearch-url of the sink Secret: expected ${HTTP_URL.expected}` };
  }
  const url = new URL(text);
  return { url, authorization: authorizationOf(url, secret), ca: secret.value('elasticsearch-ca.crt') };
}

function authorizationOf(url: URL, secret: SecretValues): string | undefined {
  const apiKey = secret.value('elasticsearch-api-key');
  if (apiKey !== undefined) return `ApiKey ${apiKey}`;
  const user = secret.value('elasticsearch-username') ?? decodeURIComponent(url.username);
  if (user === '') return undefined;
  const password = secret.value('elasticsearch-password') ?? decodeURIComponent(url.password);
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** Path and query of a bulk request into one index or data stream; a path in the URL (a proxy's) is kept before it. */
export function bulkPath(url: URL, index: string): string {
  return `${url.pathname.replace(/\/+$/, '')}/${encodeURIComponent(index)}/_bulk?${ANSWER_FILTER}`;
}

/** Headers of a bulk request, but for its length. */
export function bulkHeaders(authorization: string | undefined): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/x-ndjson',
    accept: 'application/json',
    ...(authorization === undefined ? {} : { authorization }),
  };
}
