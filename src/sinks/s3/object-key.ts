/**
 * Which object a range of a source becomes: bucket, prefix, Hive partition of an hour in UTC, and a name that says the range. Pure.
 *
 *   {prefix}year=2026/month=11/day=28/hour=13/{pod}_{container}_{source id}_{from}-{to}.ndjson.gz
 *
 * Invariant: the same range of the same source in the same hour has the same key, and no other range has it. Source: Athena user guide,
 * "Partition your data" (Hive style); S3 user guide, "Naming Amazon S3 objects" (1,024 bytes). May import: core, config.
 */
import { createHash } from 'node:crypto';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { legalBucket, legalKeyPrefix } from '../../config/legal-names.ts';
import type { S3Config } from '../../config/s3-config.ts';
import { fillTemplate } from '../../config/template.ts';
import type { Batch, SourceInfo } from '../../core/record.ts';
import { selectedCount, selectedIndex } from '../selection.ts';

export const HOUR_MS = 3_600_000;

/** Digits of an offset in a key: with them the order of names is the order of the file. 2^53 has sixteen. */
const OFFSET_DIGITS = 16;

/** Stands in neither bucket nor key. */
const SEPARATOR = '\n';

const EXTENSIONS: Readonly<Record<S3Config['compression'], string>> = {
  gzip: '.ndjson.gz',
  zstd: '.ndjson.zst',
  none: '.ndjson',
};

/** Where the objects of a source go. */
export interface ObjectPlace {
  /** Empty when no bucket is named. */
  readonly bucket: string;
  /** Ends with a slash, or is empty. */
  readonly prefix: string;
  /** The beginning of the name, up to the range. */
  readonly stem: string;
}

/** Bucket and prefix from their templates, made legal. */
export function objectPlace(config: ForwarderConfig, source: SourceInfo): ObjectPlace {
  const { cluster, namespace, pod, app, workload, node } = config.pod;
  const values = { cluster, namespace, pod, app, workload, node, container: source.container, file: source.file };
  const { bucket, prefix } = config.s3;
  return {
    bucket: bucket === undefined ? '' : legalBucket(fillTemplate(bucket, values)),
    prefix: legalKeyPrefix(fillTemplate(prefix, values)),
    stem: `${legalName(pod)}_${legalName(source.container)}_${source.id}_`,
  };
}

/** Pods and containers have DNS names; anything else comes from a test or a folder of somebody's own. */
function legalName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9.-]/g, '-').slice(0, 253);
}

/** `year=2026/month=11/day=28/hour=13/`. */
export function partitionOf(timeMs: number): string {
  const date = new Date(timeMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `year=${String(date.getUTCFullYear()).padStart(4, '0')}/month=${two(date.getUTCMonth() + 1)}/day=${two(date.getUTCDate())}`;
  return `${day}/hour=${two(date.getUTCHours())}/`;
}

/** Place and hour as the text that a batch carries. */
export function destinationText({ bucket, prefix, stem }: ObjectPlace, timeMs: number): string {
  return `${bucket}${SEPARATOR}${prefix}${partitionOf(timeMs)}${stem}`;
}

/** Source bytes [from, to) that a request covers. */
export interface ObjectRange {
  readonly from: number;
  readonly to: number;
}

export interface NamedObject extends ObjectRange {
  readonly bucket: string;
  readonly key: string;
}

/** The object that the selected records of a batch become. */
export function namedObject(
  batch: Batch,
  selection: readonly number[] | undefined,
  compression: S3Config['compression'],
): NamedObject {
  const at = batch.destination.indexOf(SEPARATOR);
  const count = selectedCount(batch, selection);
  const first = selectedIndex(selection, 0);
  const last = selectedIndex(selection, count - 1);
  const from = batch.offsets[first] ?? 0;
  const to = last + 1 < batch.records ? (batch.offsets[last + 1] ?? 0) : (batch.ranges.at(-1)?.to ?? 0);
  // Halves are runs; a selection with holes is another object than the run around it.
  const holes = last - first + 1 === count ? '' : `-${digest(selection ?? [])}`;
  const range = `${digits(from)}-${digits(to)}${holes}`;
  const bucket = batch.destination.slice(0, at);
  return { bucket, key: `${batch.destination.slice(at + 1)}${range}${EXTENSIONS[compression]}`, from, to };
}

function digits(offset: number): string {
  return String(offset).padStart(OFFSET_DIGITS, '0');
}

function digest(indexes: readonly number[]): string {
  return createHash('sha256').update(indexes.join(',')).digest('hex').slice(0, 12);
}
