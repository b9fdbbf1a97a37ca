/**
 * Dead records as batches for the sink that refused them: the same bytes, under the same ids, to the same place. Pure.
 *
 * Invariants: no batch is above the limits of its destination; records of one destination keep their order, but that of CloudWatch Logs wants
 * them by time; a record of S3 is an object of its own, under the key that it would have had. May import: everything but test.
 */
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { BULK_BYTES_MAX, BULK_RECORDS_MAX, PUT_LOG_EVENTS_SPAN_MS_MAX } from '../core/limits.ts';
import type { Batch, BatchRange, SourceInfo } from '../core/record.ts';
import type { DeadLine } from '../pipeline/dead-line.ts';
import { destinationText as logText, logDestination } from '../sinks/cloudwatch-logs/request.ts';
import { indexName } from '../sinks/elasticsearch/encode.ts';
import { destinationText as objectText, objectPlace } from '../sinks/s3/object-key.ts';

/** A batch, and the lines of its records in their order. */
export interface ReplayBatch {
  readonly batch: Batch;
  readonly lines: readonly DeadLine[];
}

/** Batches of lines that are all of one sink. */
export function replayBatches(
  config: ForwarderConfig,
  sink: string,
  lines: readonly DeadLine[],
): readonly ReplayBatch[] {
  const byPlace = Map.groupBy(lines, (line) => destinationOf(config, line));
  return [...byPlace].flatMap(([destination, own]) => {
    const ordered = sink === 'cloudwatch' ? own.toSorted((a, b) => eventTimeMs(a) - eventTimeMs(b)) : own;
    return runsOf(sink, ordered).map((run) => ({ batch: batchOf(destination, run), lines: run }));
  });
}

/** Where the record went; lines of earlier versions do not say it, so the configuration does. */
export function destinationOf(config: ForwarderConfig, line: DeadLine): string {
  if (line.destination !== '') return line.destination;
  const timeMs = Date.parse(line.time);
  if (line.sink === 'elasticsearch') return indexName(config, sourceOf(line), timeMs);
  if (line.sink === 'cloudwatch') return logText(logDestination(config, sourceOf(line)));
  return line.sink === 's3' ? objectText(objectPlace(config, sourceOf(line)), timeMs) : '';
}

/** Neighbours that fit into one request. An encoded event is longer than what CloudWatch Logs counts of it, so one bound serves both. */
function runsOf(sink: string, lines: readonly DeadLine[]): readonly (readonly DeadLine[])[] {
  const runs: DeadLine[][] = [];
  let bytes = 0;
  let firstMs = 0;
  for (const line of lines) {
    const size = Buffer.byteLength(line.record);
    const run = runs.at(-1);
    const timeMs = sink === 'cloudwatch' ? eventTimeMs(line) : 0;
    const fits =
      run !== undefined &&
      sink !== 's3' &&
      run.length < BULK_RECORDS_MAX &&
      bytes + size <= BULK_BYTES_MAX &&
      timeMs - firstMs < PUT_LOG_EVENTS_SPAN_MS_MAX;
    if (fits) run.push(line);
    else {
      runs.push([line]);
      bytes = 0;
      firstMs = timeMs;
    }
    bytes += size;
  }
  return runs;
}

function batchOf(destination: string, lines: readonly DeadLine[]): Batch {
  const bodies = lines.map(({ record }) => Buffer.from(record));
  const ends = new Uint32Array(lines.length);
  let end = 0;
  bodies.forEach((body, i) => {
    end += body.length;
    ends[i] = end;
  });
  const ranges = lines.map((line): BatchRange => ({
    source: sourceOf(line),
    from: line.offset,
    to: line.to,
    records: 1,
  }));
  const offsets = Float64Array.from(lines, ({ offset }) => offset);
  return { destination, records: lines.length, body: Buffer.concat(bodies), ends, offsets, ranges };
}

function sourceOf({ source, container, path }: DeadLine): SourceInfo {
  return { id: source, container, path, file: path.replace(/^\//, '') };
}

/** The time of an event as our encoder writes it. */
function eventTimeMs({ record }: DeadLine): number {
  return Number(/^\{"timestamp":(\d+)/.exec(record)?.[1] ?? 0);
}
