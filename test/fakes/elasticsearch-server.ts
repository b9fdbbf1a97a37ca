/**
 * The `_bulk` API as strictly as Elasticsearch reads it, in memory.
 *
 * Each rule with its source: [bulk] Elasticsearch reference, Bulk API; [es] seen on Elasticsearch 9.5 and OpenSearch 2.19, where
 * test/servers/same-answers.ts asks both the same and compares.
 */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { ScriptedServer } from './scripted-server.ts';
import type { Answer } from './scripted-server.ts';

export interface StoredDocument {
  readonly index: string;
  readonly id: string;
  readonly document: Readonly<Record<string, unknown>>;
}

interface ItemResult {
  readonly _index?: string;
  readonly status: number;
  readonly failure_store?: 'used';
  readonly error?: { readonly type: string; readonly reason: string };
}

/** [es] What the servers call an item of this status; the words of OpenSearch are those of Elasticsearch 7. */
const ITEM_TYPES = {
  elasticsearch: { 400: 'document_parsing_exception', 429: 'cluster_block_exception' },
  opensearch: { 400: 'mapper_parsing_exception', 429: 'cluster_block_exception' },
} as const satisfies Readonly<Record<string, Readonly<Record<number, string>>>>;

export class FakeElasticsearch {
  readonly stored: StoredDocument[] = [];
  flavour: keyof typeof ITEM_TYPES = 'elasticsearch';
  /** Statuses of the next items, for partial answers; 201 means that the item is treated as usual. */
  readonly itemStatuses: number[] = [];
  /** [es] A failure store takes what would be a 400, and says 201 (Elasticsearch reference, "Failure store"). */
  hasFailureStore = false;
  /** Bodies that came compressed. */
  gzipped = 0;
  /** Generation of the backing indices; undefined: these are no data streams. [es] A rollover makes the next one the write index. */
  generation: number | undefined;
  /** The Authorization header that is asked for, if any. */
  authorization: string | undefined;
  /** `http.max_content_length`. */
  bodyBytesMax = 100 * 1024 * 1024;
  readonly server = new ScriptedServer((request, body) => this.#bulk(request, body));
  readonly #ids = new Set<string>();

  #bulk(request: IncomingMessage, sent: Buffer): Answer {
    // [es] The limit below is checked after decompression.
    const isGzip = request.headers['content-encoding'] === 'gzip';
    if (isGzip) this.gzipped += 1;
    const body = isGzip ? gunzipSync(sent) : sent;
    // [es] Checked before anything else of the request.
    if (body.length > this.bodyBytesMax) return { status: 413, body: '' };
    if (this.authorization !== undefined && request.headers.authorization !== this.authorization) {
      return failure(401, 'security_exception', 'missing authentication credentials');
    }
    const url = new URL(request.url ?? '', 'http://x');
    const [, index, action] = url.pathname.split('/');
    // [es] Here and below the words are a text, no object.
    if (request.method !== 'POST' || action !== '_bulk' || index === undefined)
      return { status: 405, body: JSON.stringify({ error: 'Incorrect HTTP method', status: 405 }) };
    // [bulk] "the Content-Type header should be set to application/json or application/x-ndjson"
    if (request.headers['content-type'] !== 'application/x-ndjson')
      return { status: 406, body: JSON.stringify({ error: 'Content-Type header is not supported', status: 406 }) };
    const filter = url.searchParams.get('filter_path');
    const namesIndex = filter === 'errors,items.*._index,items.*.status,items.*.failure_store,items.*.error';
    assert(namesIndex || filter === 'errors,items.*.status,items.*.failure_store,items.*.error', String(filter));
    // [bulk] "The final line of data must end with a newline character \n"
    if (body.at(-1) !== 10)
      return failure(400, 'illegal_argument_exception', 'The bulk request must be terminated by a newline [\\n]');
    const lines = new TextDecoder('utf-8', { fatal: true }).decode(body).split('\n').slice(0, -1);
    const results: ItemResult[] = [];
    for (let i = 0; i < lines.length; i += 2) {
      const meta = JSON.parse(lines[i] ?? '') as { create?: { _id?: string; _index?: string } };
      // [es] A wrong action line, or an id of more than 512 bytes, fails the whole request.
      if (meta.create === undefined)
        return failure(400, 'illegal_argument_exception', 'Malformed action/metadata line');
      const { _id: id } = meta.create;
      assert(id !== undefined, 'the server would make an id, and a resend another one');
      if (Buffer.byteLength(id) > 512) return failure(400, 'action_request_validation_exception', 'id is too long');
      const into = meta.create?._index ?? index;
      const result = this.#create(into, id, lines[i + 1] ?? '');
      const { _index = this.#backingIndex(into), ...rest } = result;
      results.push(namesIndex ? { _index, ...rest } : rest);
    }
    const errors = results.some(({ status }) => status >= 300);
    return { status: 200, body: JSON.stringify({ errors, items: results.map((result) => ({ create: result })) }) };
  }

  #backingIndex(index: string): string {
    return this.generation === undefined ? index : `.ds-${index}-${String(this.generation).padStart(6, '0')}`;
  }

  #create(index: string, id: string, line: string): ItemResult {
    const document = parsed(line);
    // [es] A document that is no JSON costs itself alone.
    const status = document === undefined ? 400 : (this.itemStatuses.shift() ?? 201);
    const types: Readonly<Record<number, string>> = ITEM_TYPES[this.flavour];
    if (status === 400 && this.hasFailureStore)
      return { _index: `.fs-${index}-2026.11.28-000002`, status: 201, failure_store: 'used' };
    if (status !== 201 || document === undefined)
      return { status, error: { type: types[status] ?? `type_${status}`, reason: `reason ${status}` } };
    // [bulk] "create: fails if a document with the same ID already exists" (409)
    const key = `${this.#backingIndex(index)}/${id}`;
    if (this.#ids.has(key)) {
      return { status: 409, error: { type: 'version_conflict_engine_exception', reason: 'document already exists' } };
    }
    this.#ids.add(key);
    this.stored.push({ index, id, document });
    return { status };
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

function failure(status: number, type: string, reason: string): Answer {
  return { status, body: JSON.stringify({ error: { type, reason }, status }) };
}
