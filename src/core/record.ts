/**
 * The shapes that source, pipeline and sinks share: what a source is, and what a batch of its records looks like.
 *
 * A record is never an object of its own on the hot path: it is a range of bytes in a batch's body and an offset in its source.
 * May import: core.
 */

/**
 * One source at one generation: the unit of order and position. Another generation of the same file is another SourceInfo.
 */
export interface SourceInfo {
  /**
   * Identity: 16 characters of base64url of SHA-256 over pod uid, container, device, inode, epoch and generation (96 bits).
   * The same id never stands for other bytes at the same offset.
   */
  readonly id: string;
  readonly container: string;
  /** The app's own path, as it was first seen: a rotation does not change it. `log.file.path`. */
  readonly path: string;
  /** Path without its leading slash, the `{file}` of templates: `var/log/app/a.log`. Empty for stdio: its name is the container's. */
  readonly file: string;
}

/** Stdout and stderr of a container: lines with headers, whoever wrote them down. */
export function isStdio({ file }: SourceInfo): boolean {
  return file === '';
}

/**
 * A record that is more, or less, than its line: joined, redacted, parsed. One object of this shape for each lane, filled anew for each
 * record; what it refers to is valid until the next one.
 */
export interface ShapedRecord {
  /** `text[from, to)` is the record's text, well-formed UTF-8, line ends inside included. */
  text: Buffer;
  from: number;
  to: number;
  /** The same as a JSON object in the first `jsonBytes` bytes, where the parser could read it. */
  json: Buffer | undefined;
  jsonBytes: number;
  /** Where its first byte stands in the source, and how many bytes of the source it is. */
  offset: number;
  bytes: number;
  /** The time that the record says, milliseconds since the epoch; NaN when it says none. */
  timeMs: number;
  /** Place in LEVELS of the level that it says, -1 for none; and whether it is to be shown as `log.level`. */
  level: number;
  showsLevel: boolean;
  stdio: '' | 'stdout' | 'stderr';
  /** Its line was cut for its length, and goes on in the next record of its source. */
  isPart: boolean;
}

/** A run of whole records of one source inside a batch. */
export interface BatchRange {
  readonly source: SourceInfo;
  /** Source bytes [from, to) are covered by this run: newlines and what was filtered out between its records included. */
  readonly from: number;
  readonly to: number;
  /** Records in this run; they stand one after another in the batch. */
  readonly records: number;
}

/** What one request carries, encoded for one sink. Valid until its encoder is reset. */
export interface Batch {
  /** Where it goes when the sink has several destinations (a log stream), else ''. */
  readonly destination: string;
  readonly records: number;
  /** Encoded records one after another; framing around them (if any) is the sink's own. */
  readonly body: Buffer;
  /** `ends[i]` is where record i ends in `body`; it begins at `ends[i - 1]`, the first at 0. */
  readonly ends: Uint32Array;
  /** `offsets[i]` is where record i begins in its source, in bytes. */
  readonly offsets: Float64Array;
  readonly ranges: readonly BatchRange[];
}

/** Source and offset of record `index` of a batch. */
export function recordAt(batch: Batch, index: number): { readonly source: SourceInfo; readonly offset: number } {
  let first = 0;
  for (const range of batch.ranges) {
    if (index < first + range.records) return { source: range.source, offset: batch.offsets[index] ?? range.from };
    first += range.records;
  }
  throw new RangeError(`record ${index} of a batch with ${batch.records} records`);
}

/** The bytes of record `index` of a batch, as encoded (a view, not a copy). */
export function recordBytes(batch: Batch, index: number): Buffer {
  return batch.body.subarray(index === 0 ? 0 : batch.ends[index - 1], batch.ends[index]);
}
