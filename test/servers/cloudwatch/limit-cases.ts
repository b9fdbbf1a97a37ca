/**
 * For every rule of CloudWatch Logs one call that just keeps it and one that just breaks it.
 *
 * Used twice: on the pure rules, and through the proxy on moto. May import: test/servers/cloudwatch.
 */
import {
  BATCH_BYTES_MAX,
  BATCH_EVENTS_MAX,
  EVENT_BYTES_MAX,
  EVENT_OVERHEAD_BYTES,
  NAME_LENGTH_MAX,
  PAST_MS_MAX,
  SPAN_MS_MAX,
  type Input,
  type Rule,
} from './rules.ts';

export interface LimitCase {
  readonly name: string;
  readonly action: string;
  readonly rule: Rule;
  /** Input for a wall clock in milliseconds. Group `g` and stream `s` exist unless the case is about creating them. */
  readonly passes: (nowMs: number) => Input;
  readonly refused: (nowMs: number) => Input;
}

/** A wall clock for tests that need none of their own: 2026-01-02T03:04:05Z. */
export const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

/** Milliseconds between the call's making and its checking that must not matter. */
const SLACK_MS = 60_000;

const event = (timestamp: number, message = 'x'): Input => ({ timestamp, message });
const put = (logEvents: unknown): Input => ({ logGroupName: 'g', logStreamName: 's', logEvents });

/** Two messages of this many two-byte characters fill a batch exactly. */
const HALF_OF_A_BATCH = (BATCH_BYTES_MAX / 2 - EVENT_OVERHEAD_BYTES) / 2;

/** Events of one batch whose bytes, counted by AWS's rule, are `sizeBytes`. */
function batchOf(sizeBytes: number, nowMs: number): Input {
  const half = sizeBytes / 2 - EVENT_OVERHEAD_BYTES;
  return put([event(nowMs, 'x'.repeat(Math.ceil(half))), event(nowMs, 'x'.repeat(Math.floor(half)))]);
}

export const LIMIT_CASES: readonly LimitCase[] = [
  {
    name: 'batch bytes',
    action: 'PutLogEvents',
    rule: 'batch_bytes',
    passes: (now) => batchOf(BATCH_BYTES_MAX, now),
    refused: (now) => batchOf(BATCH_BYTES_MAX + 1, now),
  },
  {
    name: 'batch bytes are counted in UTF-8',
    action: 'PutLogEvents',
    rule: 'batch_bytes',
    passes: (now) => put([event(now, 'é'.repeat(HALF_OF_A_BATCH)), event(now, 'é'.repeat(HALF_OF_A_BATCH))]),
    refused: (now) => put([event(now, 'é'.repeat(HALF_OF_A_BATCH)), event(now, 'é'.repeat(HALF_OF_A_BATCH + 1))]),
  },
  {
    name: 'events in a batch',
    action: 'PutLogEvents',
    rule: 'batch_count',
    passes: (now) => put(Array.from({ length: BATCH_EVENTS_MAX }, () => event(now))),
    refused: (now) => put(Array.from({ length: BATCH_EVENTS_MAX + 1 }, () => event(now))),
  },
  {
    name: 'a batch is not empty',
    action: 'PutLogEvents',
    rule: 'batch_empty',
    passes: (now) => put([event(now)]),
    refused: () => put([]),
  },
  {
    name: 'a batch is a list',
    action: 'PutLogEvents',
    rule: 'log_events_missing',
    passes: (now) => put([event(now)]),
    refused: () => ({ logGroupName: 'g', logStreamName: 's' }),
  },
  {
    name: 'event bytes',
    action: 'PutLogEvents',
    rule: 'event_bytes',
    passes: (now) => put([event(now, 'x'.repeat(EVENT_BYTES_MAX))]),
    refused: (now) => put([event(now, 'x'.repeat(EVENT_BYTES_MAX + 1))]),
  },
  {
    name: 'an event is not empty',
    action: 'PutLogEvents',
    rule: 'event_empty',
    passes: (now) => put([event(now, ' ')]),
    refused: (now) => put([event(now, '')]),
  },
  {
    name: 'an event has a message and a time',
    action: 'PutLogEvents',
    rule: 'event_shape',
    passes: (now) => put([event(now)]),
    refused: (now) => put([{ timestamp: now }]),
  },
  {
    name: 'a timestamp is a whole number',
    action: 'PutLogEvents',
    rule: 'timestamp',
    passes: (now) => put([event(now)]),
    refused: (now) => put([event(now + 0.5)]),
  },
  {
    name: 'chronological order',
    action: 'PutLogEvents',
    rule: 'order',
    passes: (now) => put([event(now - 1), event(now - 1), event(now)]),
    refused: (now) => put([event(now), event(now - 1)]),
  },
  {
    name: 'span of a batch',
    action: 'PutLogEvents',
    rule: 'span',
    passes: (now) => put([event(now - SPAN_MS_MAX), event(now)]),
    refused: (now) => put([event(now - SPAN_MS_MAX - 1), event(now)]),
  },
  {
    name: 'span of a batch counts valid events only',
    action: 'PutLogEvents',
    rule: 'span',
    passes: (now) => put([event(now - PAST_MS_MAX - SLACK_MS), event(now)]),
    refused: (now) => put([event(now - PAST_MS_MAX + SLACK_MS), event(now)]),
  },
  {
    name: 'characters of a log group',
    action: 'CreateLogGroup',
    rule: 'log_group_name',
    passes: () => ({ logGroupName: '/k8s/A-Z_a.z#09' }),
    refused: () => ({ logGroupName: '/k8s/a b' }),
  },
  {
    name: 'length of a log group',
    action: 'CreateLogGroup',
    rule: 'log_group_name',
    passes: () => ({ logGroupName: 'g'.repeat(NAME_LENGTH_MAX) }),
    refused: () => ({ logGroupName: 'g'.repeat(NAME_LENGTH_MAX + 1) }),
  },
  {
    name: 'log groups of AWS',
    action: 'CreateLogGroup',
    rule: 'log_group_name_aws',
    passes: () => ({ logGroupName: '/aws/x' }),
    refused: () => ({ logGroupName: 'aws/x' }),
  },
  {
    name: 'characters of a log stream',
    action: 'CreateLogStream',
    rule: 'log_stream_name',
    passes: () => ({ logGroupName: 'g', logStreamName: 'pod/container é' }),
    refused: () => ({ logGroupName: 'g', logStreamName: 'pod:container' }),
  },
  {
    name: 'length of a log stream',
    action: 'CreateLogStream',
    rule: 'log_stream_name',
    passes: () => ({ logGroupName: 'g', logStreamName: 's'.repeat(NAME_LENGTH_MAX) }),
    refused: () => ({ logGroupName: 'g', logStreamName: 's'.repeat(NAME_LENGTH_MAX + 1) }),
  },
  {
    name: 'retention',
    action: 'PutRetentionPolicy',
    rule: 'retention_days',
    passes: () => ({ logGroupName: 'g', retentionInDays: 3653 }),
    refused: () => ({ logGroupName: 'g', retentionInDays: 3652 }),
  },
];
