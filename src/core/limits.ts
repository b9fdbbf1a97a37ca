/**
 * Every bound that more than one room shares, with its derivation. A bound of one room alone stands at the top of that room's file.
 *
 * Invariants: relations between limits are asserted when this file loads. May import: node: only.
 */
import assert from 'node:assert/strict';

export const KiB = 1024;
export const MiB = 1024 * KiB;

/** Bytes read from a source at once. 256 KiB is past the knee of pread throughput and four of them fit a 1 MiB batch. */
export const READ_BYTES = 256 * KiB;

/**
 * Acknowledged bytes of a file that are given back to the page cache at once: little beside the 20 MiB of cache that a limit of 48 leaves to
 * program and logs.
 */
export const PAGES_BYTES_MIN = MiB;

/**
 * So far back is asked again: twice the largest piece in which Linux keeps a file (a folio of 2 MiB with pages of 4 KiB), which is dropped only as
 * a whole. To ask about pages that are gone costs next to nothing.
 */
export const PAGES_BYTES_AGAIN = 4 * MiB;

/**
 * What was written within this time may not be on the disk yet: advice about it would only have it written out earlier, while we wait. Above the
 * 30 s after which Linux writes out what is dirty, and the 5 s between two looks (sysctl vm, dirty_expire_centisecs, dirty_writeback_centisecs).
 */
export const FRESH_PAGES_MS = 60_000;

/** Of a file that is being written to, the last bytes: they are fresh, and charged to who wrote them. */
export const FRESH_PAGES_BYTES = 16 * MiB;

/**
 * Longest line that becomes one record, in source bytes. Longer lines are split into parts at this size, never dropped.
 * Half a read: a whole line always fits the read buffer together with the bytes that are compared before it.
 */
export const LINE_BYTES_MAX = 128 * KiB;

/**
 * Body of one Elasticsearch `_bulk` request, uncompressed. The smallest documented hosted limit is 10 MiB (Amazon OpenSearch on
 * small instances, checked after decompression); 1 MiB keeps the sidecar small and already costs less than 1 % in requests.
 */
export const BULK_BYTES_MAX = 1 * MiB;

/** Records in one `_bulk` request: as many as shortest useful lines (about 100 bytes framed) fit into BULK_BYTES_MAX. */
export const BULK_RECORDS_MAX = 8_000;

/** CloudWatch Logs PutLogEvents: sum of UTF-8 bytes plus 26 per event (API reference, PutLogEvents, "batch of events"). */
export const PUT_LOG_EVENTS_BYTES_MAX = 1_048_576;
export const PUT_LOG_EVENTS_EVENT_OVERHEAD_BYTES = 26;
/** CloudWatch Logs PutLogEvents: "The maximum number of log events in a batch is 10,000." */
export const PUT_LOG_EVENTS_COUNT_MAX = 10_000;
/** CloudWatch Logs PutLogEvents: a batch must not span more than 24 hours. */
export const PUT_LOG_EVENTS_SPAN_MS_MAX = 24 * 60 * 60 * 1000;
/** CloudWatch Logs: an event may have up to 1 MB (quota page, since 2025-04); we stay below it by LINE_BYTES_MAX. */
export const PUT_LOG_EVENTS_EVENT_BYTES_MAX = 1_000_000;

/**
 * Encoded bytes of all sinks together, filling and in flight (see pipeline/byte-budget.ts). Two batches of 1 MiB for Elasticsearch and two of
 * 2 MiB for CloudWatch Logs, or two usual objects of S3, go side by side; of a limit of 48 MiB Node itself needs about 20.
 */
export const BUFFER_BYTES_MAX = 8 * MiB;

/** A record's bytes may grow when escaped: a control character becomes six bytes (`\u0001`). */
export const JSON_ESCAPE_GROWTH_MAX = 6;

/** Deleted or rotated files are held open until acknowledged up to this many unread bytes (they are invisible to `du`). */
export const HOLD_BYTES_MAX = 1024 * MiB;

/** A retry waits at most this long: a sink that comes back is used within half a minute. */
export const RETRY_BASE_MS = 200;
export const RETRY_MAX_MS = 30_000;

/** One request to a destination; longer than any server-side time-out we know of for a 1 MiB body (Elasticsearch bulk: 1 min). */
export const REQUEST_TIMEOUT_MS = 60_000;

/** AdmissionReview body: a 1.4 MiB env value of `<` arrives as 8.4 MiB because Go's JSON writes it as six bytes. */
export const REVIEW_BYTES_MAX = 10 * MiB;

/**
 * The longest that a change of the serving Secret or of the caBundle may go unseen by a webhook because a watch died in silence. Below the
 * settle time, after which a compromised CA leaves the caBundle, and below the minute in which readiness has to tell the truth. It costs a
 * list of one object each time, where the server sends no bookmark sooner.
 */
export const TRUST_AGE_MS_MAX = 45_000;

assert(BULK_BYTES_MAX * 2 <= BUFFER_BYTES_MAX, 'one sink alone fills a batch while another is in flight');
assert(LINE_BYTES_MAX * 2 <= READ_BYTES, 'a whole line fits the read buffer');
assert(LINE_BYTES_MAX * JSON_ESCAPE_GROWTH_MAX < BULK_BYTES_MAX, 'one record, escaped at its worst, fits a bulk body');
assert(LINE_BYTES_MAX * JSON_ESCAPE_GROWTH_MAX < PUT_LOG_EVENTS_EVENT_BYTES_MAX, 'a line is a legal event');
