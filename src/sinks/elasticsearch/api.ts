/**
 * Single calls of the cluster's API for the commands of people (`templates`, `check`): JSON in, JSON out.
 *
 * Not on the way of any record. May import: core, config.
 */
import type { ClusterConnection } from './connection.ts';
import { apiPath } from './request.ts';
import type { Flavour } from './templates.ts';

/** A person waits. */
const CALL_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

export type ApiAnswer =
  | {
      readonly status: number;
      readonly body: unknown;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    }
  /** No answer: what is wrong, for people. */
  | { readonly problem: string };

/** One call; `body` goes as JSON, a text as NDJSON. */
export async function callApi(
  cluster: ClusterConnection,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
): Promise<ApiAnswer> {
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  const contentType = typeof body === 'string' ? 'application/x-ndjson' : 'application/json';
  const outcome = await cluster.exchange((url, authorization) => ({
    method,
    path: apiPath(url, path),
    headers: {
      accept: 'application/json',
      ...(text === '' ? {} : { 'content-type': contentType }),
      ...(authorization === undefined ? {} : { authorization }),
    },
    body: text === '' ? [] : [Buffer.from(text)],
    timeoutMs: CALL_TIMEOUT_MS,
    answerBytesMax: ANSWER_BYTES_MAX,
    signal: new AbortController().signal,
  }));
  if ('problem' in outcome) return outcome;
  const { exchange, host } = outcome;
  if (exchange.kind === 'failed') return { problem: `${host}: ${exchange.text}` };
  return { status: exchange.status, headers: exchange.headers, body: parsed(exchange.body) };
}

/** A member of a member, where the answer has it. */
export function memberOf(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Readonly<Record<string, unknown>>)[key]
        : undefined,
    value,
  );
}

/** What an answer says went wrong, in a few words. */
export function wordsOf({ status, body }: { readonly status: number; readonly body: unknown }): string {
  const said = [
    memberOf(body, 'error', 'type'),
    memberOf(body, 'error', 'reason'),
    memberOf(body, 'error', 'caused_by', 'reason'),
    memberOf(body, 'error'),
  ];
  const words = said.filter((word) => typeof word === 'string').join(': ');
  return `${status}${words === '' ? '' : ` ${words}`}`.slice(0, 500);
}

export interface Product {
  readonly flavour: Flavour | undefined;
  readonly version: string | undefined;
}

/**
 * Which of the two it is, by `GET /`: OpenSearch says so in `version.distribution`, Elasticsearch since 7.14 in a header. Undefined where
 * neither is said (a proxy, a user without the right `monitor`).
 */
export function productOf(answer: Extract<ApiAnswer, { readonly status: number }>): Product {
  const number = memberOf(answer.body, 'version', 'number');
  const version = typeof number === 'string' ? number : undefined;
  if (memberOf(answer.body, 'version', 'distribution') === 'opensearch') return { flavour: 'opensearch', version };
  if (answer.headers['x-elastic-product'] === 'Elasticsearch') return { flavour: 'elasticsearch', version };
  return {
    flavour: memberOf(answer.body, 'tagline') === 'You Know, for Search' ? 'elasticsearch' : undefined,
    version,
  };
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return body.toString('utf8', 0, 500);
  }
}
