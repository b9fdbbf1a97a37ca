/**
 * What became of a `_bulk` request, by its answer: pure.
 *
 *   item                                     | outcome
 *   2xx                                      | stored
 *   409                                      | duplicate if it may have been sent before, else a conflict
 *   429, 5xx                                 | retry this item, alone
 *   5xx of an ingest pipeline                | rejected with the server's reason: it would be the same for ever
 *   401, 403, 404 of a missing index         | retry: the destination is not ready, the record is not to blame
 *   400 about the index or the cluster       | the same: a closed index, an illegal name, no shard left
 *   2xx with `failure_store: used`           | rejected: it stands in the failure store, no search of the data stream finds it
 *   other                                    | rejected with the server's reason
 *
 * Sources: Bulk API reference (Elasticsearch, OpenSearch); Elasticsearch reference, "Failure store"; RFC 9110 sections 10.2.3 and 15. May import: core.
 */
import type { Delivery, Rejection, RetryReason } from '../sink.ts';
import { awsWriteDenied, GATE_DENIED } from './aws-denied.ts';
import type { AwsService } from './request.ts';

/** A server's words in a Rejection or a log line. */
const TEXT_CHARS_MAX = 1024;

/** How an answer without failures begins; then there is nothing to parse but where an item went to the failure store. */
const NO_ERRORS = Buffer.from('{"errors":false');
const IN_FAILURE_STORE = Buffer.from('"failure_store":"used"');

const ITEMS_AROUND_BYTES = ',"items":[]}'.length;
const SHORTEST_ITEM_BYTES = '{"create":{"status":201}}'.length;

const FAILURE_STORE_WORDS =
  'stored in the failure store of the data stream, not in the data stream: its mapping or a pipeline refuses the record; ' +
  'the reason stands in DATA_STREAM::failures';

/** Longest Retry-After that is obeyed: a typing error must not stop the shipping for days. */
const RETRY_AFTER_MS_MAX = 5 * 60_000;

/** 400s, of a whole request or of an item, that are about the destination: no record could pass, so none is to blame. */
const DESTINATION_ERRORS: ReadonlyMap<string, RetryReason> = new Map([
  ['invalid_index_name_exception', 'not_found'],
  ['index_closed_exception', 'not_found'],
  // "this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open"
  // (Elasticsearch reference, cluster.max_shards_per_node); what is wrong with a record has other types.
  ['validation_exception', 'throttled'],
  // The mapping of the index asks for a routing value, which no writer of logs gives (RoutingMissingException).
  ['routing_missing_exception', 'not_found'],
  // Somebody ended the task, or its node was going down (TaskCancelledException).
  ['task_cancelled_exception', 'server_error'],
]);

/**
 * What an ingest pipeline throws at one document, told as a 500: the `fail` processor (its class is no ElasticsearchException, so its
 * status is the default) and what wraps a processor's error (Elasticsearch source, ingest-common FailProcessorException,
 * server IngestProcessorException). Sending such a document again cannot help.
 */
const PIPELINE_ERRORS: ReadonlySet<string> = new Set(['fail_processor_exception', 'ingest_processor_exception']);

export interface BulkAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly location: string | undefined;
  readonly body: Buffer;
  /** Whom the request was signed for; undefined where it was not. */
  readonly awsService?: AwsService | undefined;
}

export interface SentRecords {
  readonly count: number;
  /** Index in the batch of record `position` of the request. */
  readonly indexAt: (position: number) => number;
  readonly sentBefore: (index: number) => boolean;
}

/** Whether an answer to `count` records says that every one was stored where it belongs. */
export function saysNoErrors(body: Buffer, count: number): boolean {
  return (
    body.length >= NO_ERRORS.length &&
    body.subarray(0, NO_ERRORS.length).equals(NO_ERRORS) &&
    (hasNothingBesides(body, count) || !body.includes(IN_FAILURE_STORE))
  );
}

/** Is the answer too short to say more of any item than its status? The usual one is, and need not be looked through. */
function hasNothingBesides(body: Buffer, count: number): boolean {
  const shortest = NO_ERRORS.length + ITEMS_AROUND_BYTES + count * SHORTEST_ITEM_BYTES + (count - 1);
  return body.length < shortest + IN_FAILURE_STORE.length;
}

/** The first index that an answer names and that is none of a failure store; its first bytes are enough. */
export function firstIndex(body: Buffer): string | undefined {
  return /"_index":"((?!\.fs-)[^"\\]+)"/.exec(body.toString('utf8', 0, TEXT_CHARS_MAX))?.[1];
}

/** The index that has a record, and whether this very request made it so. */
export interface Place {
  readonly index: string;
  readonly isNew: boolean;
}

/** By position: where an item stands now; undefined where it does not, or the answer does not name the index. */
export function placesOf(body: Buffer): readonly (Place | undefined)[] {
  return (itemsOf(parse(body)) ?? []).map((item) => {
    const { status, isInFailureStore } = itemResult(item);
    const index = member(member(item, 'create'), '_index');
    const isNew = status >= 200 && status < 300;
    if (isInFailureStore || typeof index !== 'string' || (!isNew && status !== 409)) return undefined;
    return { index, isNew };
  });
}

/** The outcome of one answer. */
export function classifyBulk(answer: BulkAnswer, sent: SentRecords): Delivery {
  if (answer.status >= 200 && answer.status < 300) {
    return saysNoErrors(answer.body, sent.count) ? { status: 'delivered', duplicates: 0 } : classifyItems(answer, sent);
  }
  return classifyWhole(answer);
}

function classifyWhole(answer: BulkAnswer): Delivery {
  const { status } = answer;
  const error = serverError(parse(answer.body));
  const text = `answered ${status}${error.text === '' ? '' : `: ${error.text}`}`;
  const retryable = (reason: RetryReason, hint = ''): Delivery => {
    const retryAfterMs = retryAfter(answer.retryAfter);
    return { status: 'retryable', reason, retryAfterMs, text: hint === '' ? text : `${text}; ${hint}` };
  };
  if (status < 400) {
    return retryable(
      'not_found',
      `redirects (to ${shortened(answer.location ?? 'nowhere')}) are not followed: correct the URL`,
    );
  }
  switch (status) {
    case 400:
      return classifyBadRequest(error.type, text, retryable);
    case 401:
      return retryable('credentials', 'check elasticsearch-api-key, or -username and -password, in the sink Secret');
    case 403:
      // The whole cluster is read-only: before Elasticsearch 8 a 403.
      if (error.type === 'cluster_block_exception') return retryable('throttled');
      if (error.isOfGate) return retryable('credentials', gateRemedy(answer.awsService));
      return retryable('credentials', 'the user needs the privileges create_doc and auto_configure on the index');
    case 404:
      if (error.type === 'index_not_found_exception') return retryable('not_found', 'correct data-stream or the index');
      return retryable('not_found', 'the URL does not lead to Elasticsearch or OpenSearch');
    case 407:
      return retryable('credentials', 'the proxy of HTTP_PROXY or HTTPS_PROXY asks for a user');
    case 405:
    case 406:
    case 415:
      return retryable('not_found', 'the URL does not lead to Elasticsearch or OpenSearch');
    case 408:
      return retryable('timeout');
    case 413:
      return { status: 'too_large', text };
    case 429:
      return retryable('throttled');
    default:
      // A 4xx that the bulk API does not document comes from something in between; the records are not to blame.
      return retryable('server_error');
  }
}

/** A gateway says `message` as AWS does: only who signs talks to AWS. */
function gateRemedy(awsService: AwsService | undefined): string {
  return awsService === undefined ? GATE_DENIED : awsWriteDenied(awsService);
}

/** Only Elasticsearch itself can say that records are bad, and then it names a type; a proxy's page proves nothing about them. */
function classifyBadRequest(
  type: string,
  text: string,
  retryable: (reason: RetryReason, hint: string) => Delivery,
): Delivery {
  if (type === '')
    return retryable('not_found', 'the URL does not lead to Elasticsearch or OpenSearch (http for https?)');
  const reason = DESTINATION_ERRORS.get(type);
  if (reason !== undefined) return retryable(reason, 'correct data-stream or the index, or the limits of the cluster');
  return { status: 'refused', reason: 'rejected_by_sink', text };
}

function classifyItems(answer: BulkAnswer, sent: SentRecords): Delivery {
  const items = itemsOf(parse(answer.body));
  if (items === undefined || items.length !== sent.count) {
    const found = items === undefined ? 'no list of items' : `${items.length} items`;
    const text = `answered ${answer.status} with ${found} for ${sent.count} records: is it Elasticsearch?`;
    return { status: 'retryable', reason: 'server_error', retryAfterMs: 0, text };
  }
  const retry: number[] = [];
  const rejected: Rejection[] = [];
  const conflicts: number[] = [];
  let duplicates = 0;
  let retryReason: RetryReason = 'throttled';
  let retryText: string | undefined;
  items.forEach((item, position) => {
    const { status, error, isInFailureStore } = itemResult(item);
    const index = sent.indexAt(position);
    if (status >= 200 && status < 300) {
      if (isInFailureStore) rejected.push({ index, reason: 'rejected_by_sink', text: FAILURE_STORE_WORDS });
      return;
    }
    const { type, text } = serverError({ error });
    const reason = itemRetryReason(status, type);
    if (status === 409) {
      if (sent.sentBefore(index)) duplicates += 1;
      else conflicts.push(index);
    } else if (reason !== undefined) {
      retry.push(index);
      retryReason = reason;
      retryText ??= shortened(`${status} ${text}`.trimEnd());
    } else {
      rejected.push({ index, reason: 'rejected_by_sink', text: shortened(`${status} ${text}`) });
    }
  });
  if (retry.length === 0 && rejected.length === 0 && conflicts.length === 0) return { status: 'delivered', duplicates };
  const said = retryText === undefined ? {} : { retryText };
  return { status: 'partial', duplicates, retry, retryReason, ...said, rejected, conflicts };
}

/** Why an item is sent again; undefined when that cannot help. */
function itemRetryReason(status: number, type: string): RetryReason | undefined {
  if (status === 429) return 'throttled';
  if (PIPELINE_ERRORS.has(type)) return undefined;
  if (status >= 500 || status < 200) return 'server_error';
  if (status === 401) return 'credentials';
  // A read-only block (disk full) is a 403 before Elasticsearch 8 and a 429 since.
  if (status === 403) return type === 'cluster_block_exception' ? 'throttled' : 'credentials';
  if (status === 404 && type === 'index_not_found_exception') return 'not_found';
  return status === 400 ? DESTINATION_ERRORS.get(type) : undefined;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return body.toString('utf8', 0, TEXT_CHARS_MAX);
  }
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

function itemsOf(answer: unknown): readonly unknown[] | undefined {
  const items = member(answer, 'items');
  return Array.isArray(items) ? items : undefined;
}

/** `{"create":{"status":201}}`; a missing status is 0, which is retried. */
function itemResult(item: unknown): { status: number; error: unknown; isInFailureStore: boolean } {
  const result = member(item, 'create');
  const status = member(result, 'status');
  const isInFailureStore = member(result, 'failure_store') === 'used';
  return { status: typeof status === 'number' ? status : 0, error: member(result, 'error'), isInFailureStore };
}

/** Type and words of an error body: `{"error":{"type","reason","caused_by"}}`, or a text. */
function serverError(body: unknown): { type: string; text: string; isOfGate: boolean } {
  if (typeof body === 'string') return { type: '', text: shortened(body), isOfGate: false };
  // Amazon OpenSearch Service says what is wrong with identity or signature as `message` or `Message`; so do gateways.
  const ofGate = member(body, 'message') ?? member(body, 'Message');
  const error = member(body, 'error') ?? ofGate;
  const isOfGate = error !== undefined && error === ofGate;
  if (typeof error === 'string') return { type: '', text: shortened(error), isOfGate };
  const type = member(error, 'type');
  const words = [type, member(error, 'reason'), member(member(error, 'caused_by'), 'reason')];
  return {
    type: typeof type === 'string' ? type : '',
    text: shortened(words.filter((word) => typeof word === 'string').join(': ')),
    isOfGate: false,
  };
}

function shortened(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 3)}...`;
}

/** Seconds only: no server of these sends a date. */
function retryAfter(value: string | undefined): number {
  const seconds = Number(value);
  return value !== undefined && seconds > 0 ? Math.min(seconds * 1000, RETRY_AFTER_MS_MAX) : 0;
}
