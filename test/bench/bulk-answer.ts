/**
 * What Elasticsearch answers a client that every document of its bulk was stored for: pure.
 *
 * Sources: Elasticsearch reference, Bulk API (the item of an action: `_index`, `_id`, `_version`, `result`, `_shards`, `_seq_no`,
 * `_primary_term`, `status`); "Common options", response filtering: who asks by `filter_path` gets those fields alone; "Info API" for `/`.
 */

/** Whose document the item is: the action of the request's first line; there is no request with two kinds. */
type Action = 'create' | 'index';

/** The first backing index of a data stream. */
const STREAM_INDEX = '.ds-logs-logtender-bench-2026.01.31-000001';
const WHOLE = {
  create: item(STREAM_INDEX, 'create'),
  index: item('logs-bench', 'index'),
} as const;

function item(index: string, action: Action): string {
  return `{"${action}":{"_index":"${index}","_id":"hGJ0xZoBq4mNbW2cVdYk","_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1048576,"_primary_term":1,"status":201}}`;
}

/** The answer to a bulk request. @param url path and query of the request @param body not compressed @param documents in it */
export function bulkAnswer(url: string, body: Buffer, documents: number): string {
  const action: Action = body.subarray(0, 16).includes('"index"') ? 'index' : 'create';
  const filter = new URL(url, 'http://localhost').searchParams.get('filter_path')?.split(',');
  if (filter === undefined) return `{"errors":false,"took":30,"items":[${repeated(WHOLE[action], documents)}]}`;
  const fields = [
    ...(filter.includes('items.*._index') ? [`"_index":"${STREAM_INDEX}"`] : []),
    ...(filter.includes('items.*.status') ? ['"status":201'] : []),
  ];
  // What has no member left is not in a filtered answer.
  if (fields.length === 0 || documents === 0) return '{"errors":false}';
  return `{"errors":false,"items":[${repeated(`{"${action}":{${fields.join(',')}}}`, documents)}]}`;
}

const repeated = (text: string, count: number): string => Array.from({ length: count }, () => text).join(',');

/** The answer to what is no bulk request: who and which version the cluster is, or nothing in particular. */
export function infoAnswer(url: string): string {
  if (url !== '/') return '{}';
  return '{"name":"discard","cluster_name":"discard","version":{"number":"9.5.3","build_flavor":"default"},"tagline":"You Know, for Search"}';
}
