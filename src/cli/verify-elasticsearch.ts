/**
 * Reads back which records of a pod an index holds, in the order of their offsets: Elasticsearch and OpenSearch.
 *
 * Pages by the offset of the last record (a range and a sort on `log.offset`), which both flavours have in every version and which needs no
 * snapshot: what is settled does not change. `_id` is `<source id>-<offset>`. Source: Search API of both, `sort`, `size` (at most 10,000,
 * index.max_result_window). May import: everything but test.
 */
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { legalDataStreamPart, legalIndex } from '../config/legal-names.ts';
import { fillTemplate, isDatePattern } from '../config/template.ts';
import { systemClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import { callApi, memberOf, wordsOf } from '../sinks/elasticsearch/api.ts';
import { ClusterConnection } from '../sinks/elasticsearch/connection.ts';
import type { LedgerSource } from './verify-ledger.ts';

/** An answer of so many ids is some 300 KiB, below what a call takes. */
const PAGE = 3_000;

export interface FoundRecord {
  readonly source: string;
  readonly offset: number;
}

/** The index pattern that the records of these sources are in: dates become stars. */
export function indexPattern(config: ForwarderConfig, sources: readonly LedgerSource[]): string {
  const { cluster, namespace, pod, app, workload, node } = config.pod;
  const template = config.dataStream.replaceAll(/\{([^{}]+)\}/g, (whole, name: string) =>
    isDatePattern(name) ? '\u0001' : whole,
  );
  const names = sources.map(({ container, path }) => {
    const values = { cluster, namespace, pod, app, workload, node, container, file: path.replace(/^\//, '') };
    return legalIndex(fillTemplate(template, values, legalDataStreamPart).replaceAll('\u0001', 'DATE'));
  });
  const isDated = template.includes('\u0001');
  return [...new Set(names)].map((name) => (isDated ? name.replaceAll('date', '*') : name)).join(',');
}

/**
 * @param index names or patterns, with commas between
 * @param uid of the pod
 * @throws OperationalError SINK_UNREACHABLE with the cluster's words
 */
export async function* elasticsearchRecords(
  config: ForwarderConfig,
  index: string,
  uid: string,
): AsyncGenerator<FoundRecord> {
  const cluster = new ClusterConnection({ config, clock: systemClock });
  const path = `/${index.split(',').map(encodeURIComponent).join(',')}`;
  try {
    await call(cluster, 'POST', `${path}/_refresh?ignore_unavailable=true`);
    let from = 0;
    for (;;) {
      const hits = await page(cluster, path, uid, from);
      const last = hits.at(-1)?.offset;
      const isFull = hits.length === PAGE;
      if (isFull && last === from) throw unreadable(`more than ${PAGE} records at offset ${from}`);
      // The last offset of a full page may have more records than the page showed.
      for (const hit of hits) if (!isFull || hit.offset !== last) yield hit;
      if (!isFull || last === undefined) return;
      from = last;
    }
  } finally {
    cluster.close();
  }
}

async function page(
  cluster: ClusterConnection,
  path: string,
  uid: string,
  from: number,
): Promise<readonly FoundRecord[]> {
  const byPod = { match: { 'kubernetes.pod.uid': { query: uid, operator: 'and' } } };
  const query = { bool: { filter: [byPod, { range: { 'log.offset': { gte: from } } }] } };
  const sort = [{ 'log.offset': { order: 'asc', unmapped_type: 'long' } }];
  const filter = 'filter_path=hits.hits._id,timed_out,_shards.failed,error,status';
  const body = await call(cluster, 'POST', `${path}/_search?ignore_unavailable=true&${filter}`, {
    query,
    sort,
    size: PAGE,
    _source: false,
    track_total_hits: false,
  });
  if (memberOf(body, 'timed_out') === true || Number(memberOf(body, '_shards', 'failed') ?? 0) > 0)
    throw unreadable('an answer without all shards');
  const hits = memberOf(body, 'hits', 'hits');
  return (Array.isArray(hits) ? (hits as readonly unknown[]) : []).flatMap((hit) => {
    const [, source, offset] = /^(.{16})-(\d+)$/.exec(String(memberOf(hit, '_id'))) ?? [];
    return source === undefined || offset === undefined ? [] : [{ source, offset: Number(offset) }];
  });
}

async function call(cluster: ClusterConnection, method: 'POST', path: string, body?: unknown): Promise<unknown> {
  const answer = await callApi(cluster, method, path, body);
  if ('problem' in answer) throw unreadable(answer.problem);
  if (answer.status >= 300) throw unreadable(wordsOf(answer));
  return answer.body;
}

function unreadable(found: string): OperationalError {
  return new OperationalError('SINK_UNREACHABLE', `read back from elasticsearch: expected records, got ${found}`, {
    hint: 'reading takes the privilege read on the indices, which a forwarder does not need and may lack',
  });
}
