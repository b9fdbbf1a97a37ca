/**
 * How a name that a template gave is made legal for its destination, in one rule (docs/names.md):
 *
 *   1. every character that the destination refuses becomes `_` (in a bucket, which has no `_`, `-`), upper case becomes lower case
 *      where only that is allowed, and what may not stand at the beginning goes;
 *   2. a name that is too long keeps its beginning and ends with `_` (`-`) and twelve hexadecimal digits of the SHA-256 of the whole,
 *      so that two long names that differ anywhere stay apart;
 *   3. nothing left becomes `_` (`logs` for an index), because a record has to go somewhere.
 *
 * Pure. Invariants: the result is legal for every text, the same text gives the same name, and a legal name stays as it is.
 * May import: core, config.
 */
import { createHash } from 'node:crypto';

/** CreateLogGroup, CreateLogStream: 1 to 512 characters. */
const CLOUDWATCH_CHARS_MAX = 512;
/** Elasticsearch reference, create index, path parameters: 255 bytes. */
const INDEX_BYTES_MAX = 255;
/** Of an object key's 1,024 bytes (S3 user guide, "Naming Amazon S3 objects") the other half is for date, pod and range. */
const KEY_PREFIX_CHARS_MAX = 512;
/** S3 user guide, "General purpose bucket naming rules": 3 to 63 characters. */
const BUCKET_CHARS_MIN = 3;
const BUCKET_CHARS_MAX = 63;

/** CloudWatch log group: `[.\-_/#A-Za-z0-9]`, not beginning with `aws/` (API reference, CreateLogGroup). */
export function legalLogGroup(name: string): string {
  const legal = name.replaceAll(/[^.\-_/#A-Za-z0-9]/g, '_');
  return cut(legal.startsWith('aws/') ? `_${legal}` : legal, { max: CLOUDWATCH_CHARS_MAX, whole: name }) || '_';
}

/** CloudWatch log stream: no `:` and no `*` (API reference, CreateLogStream); controls are of no use in a name. */
export function legalLogStream(name: string): string {
  const legal = name.toWellFormed().replaceAll(/[:*\p{Cc}]/gu, '_');
  return cut(legal, { max: CLOUDWATCH_CHARS_MAX, whole: name }) || '_';
}

/** One value inside the name of a data stream: `-` becomes `_`, because `-` separates type, dataset and namespace. */
export function legalDataStreamPart(value: string): string {
  return legalIndex(value).replaceAll('-', '_');
}

/**
 * Elasticsearch index or data stream: lower case, no `\ / * ? " < > | , # :` nor white space, not beginning with `-`, `_`, `+` or `.`
 * (Elasticsearch reference, create index and create data stream, path parameters; a leading dot is for hidden and system indices).
 */
export function legalIndex(name: string): string {
  const legal = name
    .toWellFormed()
    .toLowerCase()
    .replaceAll(/[\\/*?"<>|,#:\s\p{Cc}]/gu, '_')
    .replace(/^[-_+.]+/, '');
  return cut(legal, { max: INDEX_BYTES_MAX, whole: name, isBytes: true }) || 'logs';
}

/**
 * Prefix of S3 keys: the characters that need no special handling, and `=` for Hive's partitions; no segment that is empty, `.` or
 * `..`; it ends with `/` (S3 user guide, "Naming Amazon S3 objects"). The empty prefix stays empty.
 */
export function legalKeyPrefix(name: string): string {
  const segments = name.split('/').filter((segment) => segment !== '');
  const legal = segments.map((segment) =>
    /^\.+$/.test(segment) ? '_'.repeat(segment.length) : segment.replaceAll(/[^A-Za-z0-9!\-_.'()=]/g, '_'),
  );
  const prefix = cut(legal.join('/'), { max: KEY_PREFIX_CHARS_MAX - 1, whole: name });
  return prefix === '' ? '' : `${prefix}/`;
}

/** Beginnings and ends that S3 keeps for itself. */
const BUCKET_KEPT = /^(?:xn--|sthree-|amzn-s3-demo-)|(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/;
const IP_ADDRESS = /^\d+\.\d+\.\d+\.\d+$/;

/** S3 bucket: lower-case letters, digits, `.` and `-`, beginning and ending with a letter or digit (S3 user guide, same page). */
export function legalBucket(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')
    .replaceAll(/\.{2,}/g, '.')
    .replaceAll(/^[.-]+|[.-]+$/g, '');
  const short = cut(plain, { max: BUCKET_CHARS_MAX, whole: name, joint: '-' });
  const isKept = short.length < BUCKET_CHARS_MIN || BUCKET_KEPT.test(short) || IP_ADDRESS.test(short);
  return isKept ? `logs-${digest(name)}` : short;
}

/** Longest beginning that leaves room for the digest, and the digest; the text itself where it fits. */
function cut(
  legal: string,
  options: { readonly max: number; readonly whole: string; readonly isBytes?: boolean; readonly joint?: string },
): string {
  const { max, whole, isBytes = false, joint = '_' } = options;
  const size = (text: string): number => (isBytes ? Buffer.byteLength(text) : text.length);
  if (size(legal) <= max) return legal;
  const end = `${joint}${digest(whole)}`;
  const room = max - end.length;
  const begin = isBytes ? Buffer.from(legal).subarray(0, room).toString('utf8') : legal.slice(0, room);
  // A character that was cut through is half a surrogate pair, or U+FFFD once it was decoded.
  return `${begin.replace(/(?:\p{Cs}|\u{fffd})$/u, '').replace(/[.-]$/, joint)}${end}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
