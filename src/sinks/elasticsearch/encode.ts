/**
 * Lines as the `_bulk` format of Elasticsearch and OpenSearch: a `create` action line, then the document.
 *
 * `_id` is `<source id>-<offset of the line in bytes>`; a part of a long line has its own offset. Rule: bulk API reference of both
 * ("create" fails with 409 where the id exists). May import: core, config, kernel, parse.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { legalDataStreamPart, legalIndex } from '../../config/legal-names.ts';
import { fillDate, fillTemplate } from '../../config/template.ts';
import { BULK_BYTES_MAX, BULK_RECORDS_MAX } from '../../core/limits.ts';
import type { SourceInfo } from '../../core/record.ts';
import { DocumentEncoder } from '../document-encoder.ts';

/** What a date in an index name can change by: no date pattern is finer than an hour. */
const HOUR_MS = 3_600_000;

/**
 * The data stream or index of a source at a time: template filled, dates in UTC, made legal.
 *
 * @param timeMs when the batch was begun, milliseconds since the epoch
 */
export function indexName(config: ForwarderConfig, source: SourceInfo, timeMs: number): string {
  const { cluster, namespace, pod, app, workload, node } = config.pod;
  const values = { cluster, namespace, pod, app, workload, node, container: source.container, file: source.file };
  return legalIndex(fillDate(fillTemplate(config.dataStream, values, legalDataStreamPart), timeMs));
}

/** An encoder for `_bulk`, with buffers of its own. */
export function createBulkEncoder(config: ForwarderConfig, onReplaced: (count: number) => void): DocumentEncoder {
  const names = new WeakMap<SourceInfo, { hour: number; name: string }>();
  return new DocumentEncoder({
    pod: config.pod,
    metadata: config.metadata,
    parser: config.parser,
    hasAction: true,
    bytesMax: BULK_BYTES_MAX,
    recordsMax: BULK_RECORDS_MAX,
    onReplaced,
    destinationOf: (source, timeMs) => {
      const hour = Math.floor(timeMs / HOUR_MS);
      const known = names.get(source);
      if (known?.hour === hour) return known.name;
      const name = indexName(config, source, timeMs);
      names.set(source, { hour, name });
      return name;
    },
  });
}
