/**
 * Single calls of the cluster's API for the commands of people (`templates`, `check`): JSON in, JSON out.
 *
 * Not on the way of any record. May import: core, config.
 */
import type { ClusterConnection } from './connection.ts';
import { apiPath } from './request.ts';
import type { AwsService } from './request.ts';
import type { Flavour } from './templates.ts';

/** A person waits. */
const CALL_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

export type ApiAnswer =
  | {
      readonly status: number;
      readonly body: unknown;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
      /** Whom the request was signed for; undefined where requests are not signed. */
      readonly awsService: AwsService | undefined;
    }
  /** No answer: what is wrong, for people. */
  | { readonly problem: string };

/** Who refuses with the words of Amazon OpenSearch Service itself; undefined where the cluster does, or a gateway that nobody signs for. */
export function awsRefusal(answer: ApiAnswer): AwsService | undefined {
  if ('problem' in answer || answer.status !== 403 || gateWords(answer) === undefined) return undefined;
  return answer.awsService;
}

/** What stands before a cluster says, Amazon OpenSearch Service or a gateway: `message` or `Message`, and no `error`. */
export function gateWords({ body }: { readonly body: unknown }): string | undefined {
  if (memberOf(body, 'error') !== undefined) return undefined;
  const said = memberOf(body, 'message') ?? memberOf(body, 'Message');
  return typeof said === 'string' ? said : undefined;
}

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
  const { exchange, host, awsService } = outcome;
  if (exchange.kind === 'failed') return { problem: `${host}: ${exchange.text}` };
  return { status: exchange.status, headers: exchange.headers, body: parsed(exchange.body), awsService };
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
    gateWords({ body }),
    memberOf(body, 'error', 'type'),
    memberOf(body, 'error', 'reason'),
    memberOf(body, 'error', 'caused_by', 'reason'),
    memberOf(body, 'error'),
  ];
  const words = said.filter((word) => typeof word === 'string').join(': ');
  return `${status}${words === '' ? '' : ` ${words}`}`.slice(0, 500);
}

/** Errors by type that say of a path that it is none: Elasticsearch 7 takes it for an index; Elastic Cloud Serverless has it switched off. */
const MISSING_API_TYPES: ReadonlySet<unknown> = new Set([
  'invalid_index_name_exception',
  'api_not_available_exception',
]);

/**
 * Whether an answer says that this server has no such API, and nothing else.
 *
 * The REST layer of both products says so with 400 (no handler for the path) or 405 (none for the method), its words being a text
 * (`{"error":"no handler found …"}`): what an API itself refuses is an object with a type. Without either it is the answer of what stands
 * before a cluster, which says nothing of the cluster. A 410 is that of Elastic Cloud Serverless, with its type.
 */
export function isMissingApi(answer: ApiAnswer): boolean {
  if ('problem' in answer) return false;
  const error = memberOf(answer.body, 'error');
  const type = memberOf(error, 'type');
  if (answer.status === 410) return type === 'api_not_available_exception';
  if (answer.status !== 400 && answer.status !== 404 && answer.status !== 405) return false;
  if (MISSING_API_TYPES.has(type)) return true;
  return answer.status !== 404 && typeof error === 'string';
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
