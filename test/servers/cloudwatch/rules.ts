/**
 * What CloudWatch Logs refuses and moto accepts, rule by rule, pure.
 *
 * Sources are pages of the Amazon CloudWatch Logs API reference (docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/):
 * API_PutLogEvents, API_InputLogEvent, API_CreateLogGroup, API_CreateLogStream, API_PutRetentionPolicy. Where a page leaves a choice
 * the stricter reading is taken. The numbers stand here again and are not imported from the product: a test that shares its limits
 * with what it tests cannot find a wrong one. May import: nothing.
 */

/** API_PutLogEvents: "maximum batch size is 1,048,576 bytes", the sum of messages in UTF-8 "plus 26 bytes for each log event". */
export const BATCH_BYTES_MAX = 1_048_576;
export const EVENT_OVERHEAD_BYTES = 26;
/** API_PutLogEvents: "maximum number of log events in a batch is 10,000"; at least 1 (array members). */
export const BATCH_EVENTS_MAX = 10_000;
/** API_PutLogEvents: "can be no larger than 1 MB". A megabyte is 10^6 bytes in the stricter reading. */
export const EVENT_BYTES_MAX = 1_000_000;
/** API_PutLogEvents: the span "in a single batch cannot exceed 24 hours", counted over valid events. */
export const SPAN_MS_MAX = 24 * 60 * 60 * 1000;
/** API_PutLogEvents: valid are events "within 14 days in the past to 2 hours in future". */
export const PAST_MS_MAX = 14 * 24 * 60 * 60 * 1000;
export const FUTURE_MS_MAX = 2 * 60 * 60 * 1000;
/** API_CreateLogGroup and API_CreateLogStream: 1 to 512 characters. */
export const NAME_LENGTH_MAX = 512;
/** API_PutRetentionPolicy, retentionInDays, possible values. */
export const RETENTION_DAYS: readonly number[] = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** Which rule a call broke; the words of the AWS error shape are in `type` and `message`. */
export interface Refusal {
  readonly rule: Rule;
  /** The `__type` of the answer. */
  readonly type: 'InvalidParameterException' | 'SerializationException';
  readonly message: string;
}

export type Rule =
  | 'log_group_name'
  | 'log_group_name_aws'
  | 'log_stream_name'
  | 'log_events_missing'
  | 'batch_empty'
  | 'batch_count'
  | 'batch_bytes'
  | 'event_shape'
  | 'event_empty'
  | 'event_bytes'
  | 'timestamp'
  | 'order'
  | 'span'
  | 'retention_days';

export interface LogEvent {
  readonly timestamp: number;
  readonly message: string;
}

export type Input = Readonly<Record<string, unknown>>;

/**
 * Checks one call before it goes to moto.
 *
 * @param action such as `PutLogEvents`
 * @param nowMs wall clock, milliseconds since the epoch
 * @returns the first rule that is broken, undefined when all are kept
 */
export function checkCall(action: string, input: Input, nowMs: number): Refusal | undefined {
  return checkNames(action, input) ?? checkAction(action, input, nowMs);
}

function checkAction(action: string, input: Input, nowMs: number): Refusal | undefined {
  if (action === 'PutLogEvents') return checkEvents(input['logEvents'], nowMs);
  if (action === 'PutRetentionPolicy') return checkRetention(input['retentionInDays']);
  return undefined;
}

function invalid(rule: Rule, message: string): Refusal {
  return { rule, type: 'InvalidParameterException', message };
}

/** Actions whose input must carry the names. Others may; then the same form is asked for. */
const NEEDS_GROUP: readonly string[] = ['CreateLogGroup', 'CreateLogStream', 'PutLogEvents', 'PutRetentionPolicy'];
const NEEDS_STREAM: readonly string[] = ['CreateLogStream', 'PutLogEvents'];

function checkNames(action: string, input: Input): Refusal | undefined {
  const group = input['logGroupName'];
  if (group !== undefined || NEEDS_GROUP.includes(action)) {
    // API_CreateLogGroup: pattern [\.\-_/#A-Za-z0-9]+
    if (typeof group !== 'string' || !/^[.\-_/#A-Za-z0-9]+$/.test(group) || group.length > NAME_LENGTH_MAX) {
      return invalid(
        'log_group_name',
        "1 validation error detected: Value at 'logGroupName' failed to satisfy constraint",
      );
    }
    // API_CreateLogGroup: "Log group names can't start with the string aws/".
    if (action === 'CreateLogGroup' && group.startsWith('aws/')) {
      return invalid('log_group_name_aws', "Log groups starting with 'aws/' are reserved for AWS.");
    }
  }
  const stream = input['logStreamName'];
  if (stream !== undefined || NEEDS_STREAM.includes(action)) {
    // API_CreateLogStream: pattern [^:*]*
    if (typeof stream !== 'string' || !/^[^:*]+$/.test(stream) || stream.length > NAME_LENGTH_MAX) {
      return invalid(
        'log_stream_name',
        "1 validation error detected: Value at 'logStreamName' failed to satisfy constraint",
      );
    }
  }
  return undefined;
}

function checkEvents(value: unknown, nowMs: number): Refusal | undefined {
  if (!Array.isArray(value)) {
    return invalid(
      'log_events_missing',
      "1 validation error detected: Value null at 'logEvents' failed to satisfy constraint",
    );
  }
  const events: readonly unknown[] = value;
  if (events.length === 0) return invalid('batch_empty', 'Log events must not be empty.');
  if (events.length > BATCH_EVENTS_MAX) {
    return invalid('batch_count', `Upload too large: ${events.length} events exceed the limit of ${BATCH_EVENTS_MAX}`);
  }
  let sizeBytes = 0;
  let last = 0;
  let firstValid: number | undefined;
  for (const [index, event] of events.entries()) {
    const wrong = checkEvent(event, index);
    if (wrong !== undefined) return wrong;
    const { timestamp, message } = event as LogEvent;
    sizeBytes += Buffer.byteLength(message) + EVENT_OVERHEAD_BYTES;
    // API_PutLogEvents: "must be in chronological order by their timestamp". Equal ones are in order.
    if (timestamp < last) {
      return invalid('order', 'Log events in a single PutLogEvents request must be in chronological order.');
    }
    last = timestamp;
    if (timestamp < nowMs - PAST_MS_MAX || timestamp > nowMs + FUTURE_MS_MAX) continue;
    firstValid ??= timestamp;
    if (timestamp - firstValid > SPAN_MS_MAX) {
      return invalid(
        'span',
        'The batch of log events in a single PutLogEvents request cannot span more than 24 hours.',
      );
    }
  }
  if (sizeBytes <= BATCH_BYTES_MAX) return undefined;
  return invalid('batch_bytes', `Upload too large: ${sizeBytes} bytes exceeds limit of ${BATCH_BYTES_MAX}`);
}

function checkEvent(event: unknown, index: number): Refusal | undefined {
  const { timestamp, message } = typeof event === 'object' && event !== null ? (event as Partial<LogEvent>) : {};
  if (typeof message !== 'string' || typeof timestamp !== 'number') {
    return {
      rule: 'event_shape',
      type: 'SerializationException',
      message: `logEvents.${index + 1} is not a log event`,
    };
  }
  // API_InputLogEvent: timestamp is a long of at least 0.
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
    return invalid('timestamp', `1 validation error detected: Value at 'logEvents.${index + 1}.member.timestamp'`);
  }
  // API_InputLogEvent: message has a minimum length of 1.
  if (message === '') {
    return invalid('event_empty', `1 validation error detected: Value '' at 'logEvents.${index + 1}.member.message'`);
  }
  if (Buffer.byteLength(message) > EVENT_BYTES_MAX) {
    return invalid(
      'event_bytes',
      `Log event too large: ${Buffer.byteLength(message)} bytes exceeds limit of ${EVENT_BYTES_MAX}`,
    );
  }
  return undefined;
}

function checkRetention(days: unknown): Refusal | undefined {
  if (typeof days === 'number' && RETENTION_DAYS.includes(days)) return undefined;
  return invalid('retention_days', `Retention days must be one of ${RETENTION_DAYS.join(', ')}`);
}

export interface RejectedLogEventsInfo {
  readonly tooNewLogEventStartIndex?: number;
  readonly tooOldLogEventEndIndex?: number;
}

/**
 * The indexes as AWS documents them: the end of the too old is exclusive, the start of the too new inclusive (API_RejectedLogEventsInfo).
 * moto gives the index of the last event of either kind.
 *
 * @param answered what moto said
 * @param nowMs wall clock when the call came in
 */
export function correctRejected(
  answered: RejectedLogEventsInfo,
  events: readonly LogEvent[],
  nowMs: number,
): RejectedLogEventsInfo {
  const { tooOldLogEventEndIndex: old, tooNewLogEventStartIndex: young } = answered;
  const firstTooNew = events.findIndex((event) => event.timestamp > nowMs + FUTURE_MS_MAX);
  return {
    ...(old === undefined ? {} : { tooOldLogEventEndIndex: old + 1 }),
    ...(young === undefined
      ? {}
      : { tooNewLogEventStartIndex: firstTooNew === -1 ? young : Math.min(firstTooNew, young) }),
  };
}
