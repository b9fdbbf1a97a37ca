/**
 * What every destination offers to the pipeline. One folder per destination implements it; test/conformance/sink.ts is the suite
 * that each of them passes.
 *
 * May import: core, config.
 */
import type { SinkName } from '../config/forwarder-config.ts';
import type { Batch, ShapedRecord, SourceInfo } from '../core/record.ts';

export type RetryReason = 'unreachable' | 'timeout' | 'throttled' | 'server_error' | 'credentials' | 'not_found';
export type RejectReason = 'rejected_by_sink' | 'too_old' | 'too_new' | 'expired' | 'too_large';

export interface Rejection {
  /** Index of the record in the batch. */
  readonly index: number;
  readonly reason: RejectReason;
  /** The destination's own words, cut to 1 KiB. */
  readonly text: string;
}

/** What became of one request. Every remote outcome is one of these; `deliver` rejects only on a bug. */
export type Delivery =
  /** Every record is stored. `duplicates` of them had been stored before (a resend was recognised). */
  | { readonly status: 'delivered'; readonly duplicates: number }
  /**
   * The server answered record by record. What is in none of the lists is stored.
   * `conflicts`: the id exists although this record was never sent before, so it stands for other bytes (indexes).
   */
  | {
      readonly status: 'partial';
      readonly duplicates: number;
      readonly retry: readonly number[];
      readonly retryReason: RetryReason;
      /** What the destination said of one of them, for people. */
      readonly retryText?: string;
      readonly rejected: readonly Rejection[];
      readonly conflicts: readonly number[];
    }
  /** Nothing is known to be stored; send the same again after a wait. `text` is for people. */
  | { readonly status: 'retryable'; readonly reason: RetryReason; readonly retryAfterMs: number; readonly text: string }
  /** The request as a whole is too large for the server: send it in two halves. */
  | { readonly status: 'too_large'; readonly text: string }
  /** The request as a whole is refused and sending it again cannot help: isolate the guilty record by halves. */
  | { readonly status: 'refused'; readonly reason: RejectReason; readonly text: string };

/** A request whose name stands for the records in it: an object of a store. */
export interface PromisedRequest {
  /** Source bytes [from, to) of the one source that the batch holds. */
  readonly from: number;
  readonly to: number;
  /** What it is called unless this very range was promised before. */
  readonly key: string;
}

/** The name under which the request has to go, and whether it may have gone before. */
export interface Promised {
  readonly key: string;
  readonly isResend: boolean;
}

/**
 * How often a record really went out, with an outcome that nobody knows: `none`; `earlier`, before this delivery began, by a process before
 * this one or by a lane that began anew, nobody knows how often; `earlier_and_since`, then and since this delivery began; `once` or
 * `several` times since then alone. A request that was refused as a whole has an outcome; a connection that was refused counts as one more.
 */
export type PastSends = 'none' | 'earlier' | 'earlier_and_since' | 'once' | 'several';

/** What the retry decorator tells a sink about a request. */
export interface DeliverOptions {
  /** The indexes to send, ascending; undefined means all of them. */
  readonly selection: readonly number[] | undefined;
  /** True when these records may have reached the destination before: then "exists already" means delivered. */
  readonly sentBefore: (index: number) => boolean;
  /**
   * Which of them really went out: `sentBefore` is true as well of what was only promised ahead, up to megabytes. For what counts possible
   * duplicates; absent where nobody knows better than `sentBefore`.
   */
  readonly pastSends?: (index: number) => PastSends;
  /** True: `sentBefore` is false of every record, so that nobody has to ask for each. */
  readonly isFirstSend?: boolean;
  /**
   * For sinks whose requests have names: makes range and name durable before the request, so that after a restart that very range goes
   * first, under that very name. Absent where nothing outlives the process.
   */
  readonly promise?: (request: PromisedRequest) => Promise<Promised>;
  /**
   * For destinations that cannot tell a resend: said, and waited for, before records go out that may be stored already, or as soon as it
   * shows that they may be. The number is added to the upper bound of duplicates, on the disk. Absent where nobody keeps books.
   */
  readonly onResend?: (records: number) => Promise<void>;
  /** Aborted when the process must end: the request is dropped at once. */
  readonly signal: AbortSignal;
}

/** Lines with the headers of a container runtime; a record begins with the first of them. */
export interface HeadedLines {
  source: SourceInfo;
  /** `input[from, to)`. */
  input: Buffer;
  from: number;
  to: number;
  /** Where `input[from]` stands in the source, in bytes. */
  offset: number;
  /** When they were read, milliseconds since the epoch. */
  timeMs: number;
  /** False when `input[from, to)` is what the last call left, unchanged: then it need not be looked through again. */
  isFresh: boolean;
}

/** The fast road for such lines: what it takes is what `appendRecord` would have made of each, or of the parts of each together. */
export interface HeadedLineEncoder {
  /** Takes the usual ones from the beginning on; gives where it stopped: at an unusual one, at the end, or where the batch is full. */
  append(lines: HeadedLines): number;
  /** By record of the batch: where it begins in its source. */
  readonly offsets: Float64Array;
  /** By record of the batch, of those that `append` added: how many lines of the source it is. */
  readonly lines: Uint8Array;
}

/** Builds batches for one sink, in buffers that are allocated once and reused. */
export interface Encoder {
  readonly records: number;
  /** Encoded bytes so far, and the most that a batch may have. */
  readonly bytes: number;
  readonly bytesMax: number;
  /** Forgets the batch and takes its memory back. */
  reset(): void;
  /**
   * Encodes whole records from `input[from, to)` until the batch is full or the source belongs to another destination.
   *
   * The input holds whole lines, each with its newline, but for the last one where the pipeline ends an incomplete line on purpose.
   * @param offset where `input[from]` stands in the source, in bytes
   * @param timeMs when the bytes were read, for records that carry no time of their own
   * @returns the position in `input` up to which it was consumed; less than `to` means: finish this batch first
   */
  append(source: SourceInfo, input: Buffer, from: number, to: number, offset: number, timeMs: number): number;
  /**
   * Said before the first record of a batch: its range was promised to the destination before, so nothing but room may end it earlier.
   * Absent where batches end for no other reason.
   */
  pin?(): void;
  /**
   * Encodes one record that is more, or less, than its line.
   *
   * @param timeMs when it was read, for a record that says no time of its own
   * @returns false when the batch is full or goes elsewhere: finish it first
   */
  appendRecord(source: SourceInfo, record: ShapedRecord, timeMs: number): boolean;
  /** Absent where such lines go record by record. */
  readonly headedLines?: HeadedLineEncoder | undefined;
  /** Remembers how far the batch is; `rewind` forgets what was added since. One mark at a time. */
  mark(): void;
  rewind(): void;
  /** The batch as it stands; valid until the next reset. */
  finish(): Batch;
}

/** How a sink likes its batches filled, where that is not as usual. */
export interface Pace {
  /** A batch that is not full is sent after this time, instead of the flush interval. */
  readonly ageMs: number;
  /** So many bytes are worth a request: waiting of another source, or already in the batch. */
  readonly worthBytes: number;
}

export interface Sink {
  readonly name: SinkName;
  readonly pace?: Pace;
  /** A new encoder with buffers of its own. A lane has two: one in flight, one filling. */
  createEncoder(): Encoder;
  /** Sends the batch once. */
  deliver(batch: Batch, options: DeliverOptions): Promise<Delivery>;
  close(): Promise<void>;
}
