/**
 * The region of the machine that a pod runs on, where nobody configured one: by its instance metadata.
 *
 * The SDK asks there for credentials, not for the region. Version 2 with its token, and without one where a proxy for pods offers none.
 * Pods that may not reach it (hop limit 1, a network policy) lose a second a minute, until somebody sets AWS_REGION. Source: EC2 User
 * Guide, "Access instance metadata", category `placement/region`. May import: core, sinks.
 */
import type { Clock } from '../../core/clock.ts';
import { openConnection } from '../http-exchange.ts';
import type { Exchange, HttpConnection } from '../http-exchange.ts';

const ENDPOINT = 'http://169.254.169.254';
/** It is one hop away. */
const TIMEOUT_MS = 1_000;
const ANSWER_BYTES_MAX = 4096;
/** A machine does not move; one that did not answer may do so after its network is up. */
const RETRY_MS = 60_000;
/** What an answer must look like to be taken for a region. */
const REGION = /^[a-z]{2,5}(?:-[a-z]+)+-\d{1,2}$/;

/** Undefined where there is no such machine, or it does not tell. Never rejects. */
export type InstanceRegion = () => Promise<string | undefined>;

/** Asks at the first call, and again a while after it did not help. */
export function createInstanceRegion({
  clock,
  endpoint = ENDPOINT,
}: {
  clock: Clock;
  endpoint?: string;
}): InstanceRegion {
  let region: string | undefined;
  let askedMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (region !== undefined || clock.monotonic() - askedMs < RETRY_MS) return region;
    askedMs = clock.monotonic();
    const connection = await openConnection({ url: new URL(endpoint), ca: undefined, clock });
    try {
      region = await ask(connection);
    } finally {
      connection.close();
    }
    return region;
  };
}

async function ask(connection: HttpConnection): Promise<string | undefined> {
  const request = (method: 'GET' | 'PUT', path: string, headers: Readonly<Record<string, string>>): Promise<Exchange> =>
    connection.exchange({
      method,
      path,
      headers,
      body: [],
      timeoutMs: TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal: new AbortController().signal,
    });
  const token = await request('PUT', '/latest/api/token', { 'x-aws-ec2-metadata-token-ttl-seconds': '60' });
  if (token.kind === 'failed') return undefined;
  const headers: Readonly<Record<string, string>> =
    token.status === 200 ? { 'x-aws-ec2-metadata-token': token.body.toString('latin1') } : {};
  const answer = await request('GET', '/latest/meta-data/placement/region', headers);
  if (answer.kind === 'failed' || answer.status !== 200) return undefined;
  const text = answer.body.toString('latin1').trim();
  return REGION.test(text) ? text : undefined;
}
