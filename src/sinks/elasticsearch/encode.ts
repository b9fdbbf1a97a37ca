/**
 * Lines as the `_bulk` format of Elasticsearch and OpenSearch: a `create` action line, then the document.
 *
 * `_id` is `<source id>-<offset of the line in bytes>`; a part of a long line has its own offset. Rule: bulk API reference of both
 * ("create" fails with 409 where the id exists). A date in the name of an index is that of the record, in UTC: of its own time where
 * the line has one, else of the time of reading, which the checkpoint keeps for a resend. So the same record always goes to the same
 * index, and a resend over midnight is known there. May import: core, config, kernel, parse.
 */
import assert from 'node:assert/strict';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { legalDataStreamPart, legalIndex } from '../../config/legal-names.ts';
import { fillDate, fillTemplate, isDated } from '../../config/template.ts';
import { BULK_BYTES_MAX, BULK_RECORDS_MAX } from '../../core/limits.ts';
import type { SourceInfo } from '../../core/record.ts';
import { DECIMAL_BYTES_MAX } from '../../kernel/decimal.ts';
import { DocumentEncoder } from '../document-encoder.ts';

/** What a date in an index name can change by: no date pattern is finer than an hour. */
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * A line's own time names the index when it lies within these days of the day of reading; else the day of reading does. What a line
 * claims must not be able to make an index for every day since 1973: a cluster has room for 1,000 shards a node
 * (cluster.max_shards_per_node).
 */
const OWN_DAYS_BEFORE = 30;
const OWN_DAYS_AFTER = 1;

/** Bulk API reference of OpenSearch, and Elasticsearch's own check: "`_id` must be 512 bytes or less in size". */
const ID_BYTES_MAX = 512;
/** Characters of SourceInfo.id. */
const SOURCE_ID_BYTES = 16;
assert(SOURCE_ID_BYTES + 1 + DECIMAL_BYTES_MAX <= ID_BYTES_MAX, 'every _id is legal');

/**
 * The data stream or index of a source at a time: template filled, dates in UTC, made legal.
 *
 * @param timeMs of the record, milliseconds since the epoch
 */
export function indexName(config: ForwarderConfig, source: SourceInfo, timeMs: number): string {
  const { cluster, namespace, pod, app, workload, node } = config.pod;
  const values = { cluster, namespace, pod, app, workload, node, container: source.container, file: source.file };
  return legalIndex(fillDate(fillTemplate(config.dataStream, values, legalDataStreamPart), timeMs));
}

/** An encoder for `_bulk`, with buffers of its own. */
export function createBulkEncoder(
  config: ForwarderConfig,
  onReplaced: (count: number) => void,
  onUnparsed?: (count: number) => void,
): DocumentEncoder {
  const names = new WeakMap<SourceInfo, { hour: number; name: string }>();
  const nameAt = (source: SourceInfo, timeMs: number): string => {
    const hour = Math.floor(timeMs / HOUR_MS);
    const known = names.get(source);
    if (known?.hour === hour) return known.name;
    const name = indexName(config, source, timeMs);
    names.set(source, { hour, name });
    return name;
  };
  return new DocumentEncoder({
    pod: config.pod,
    metadata: config.metadata,
    parser: config.parser,
    hasAction: true,
    bytesMax: BULK_BYTES_MAX,
    recordsMax: BULK_RECORDS_MAX,
    onReplaced,
    ...(onUnparsed === undefined ? {} : { onUnparsed }),
    destinationOf: nameAt,
    ...(isDated(config.dataStream)
      ? { recordDestinationOf: (source, recordMs, readMs) => nameAt(source, namingTime(recordMs, readMs)) }
      : {}),
  });
}

/** The time that names the index of a record with a time of its own. Milliseconds since the epoch. */
function namingTime(recordMs: number, readMs: number): number {
  const days = Math.floor(recordMs / DAY_MS) - Math.floor(readMs / DAY_MS);
  return days >= -OWN_DAYS_BEFORE && days <= OWN_DAYS_AFTER ? recordMs : readMs;
}
