/**
 * What became of a PutObject: pure. Decisions go by HTTP status and error code, never by the message.
 *
 * S3 does not look into an object, so no answer is about a record: what is refused waits until somebody corrects bucket, rights or
 * configuration, and nothing is dropped. The codes and their sources stand in errors.ts. May import: core, sinks.
 */
import { partitionOf } from '../aws/partition.ts';
import type { Delivery, RetryReason } from '../sink.ts';
import { S3_DENIED_ADVICE, S3_OTHER_ADVICE, S3_RULE_OF } from './errors.ts';
import { unescapedXml } from './xml.ts';

const TEXT_CHARS_MAX = 1024;
/** An S3 that asks for more waits as long as our own longest pause. */
const RETRY_AFTER_MS_MAX = 600_000;

export interface PutAnswer {
  readonly status: number;
  readonly body: Buffer;
  readonly retryAfter: string | undefined;
  /** Header `x-amz-bucket-region`. */
  readonly bucketRegion: string | undefined;
}

export interface SentObject {
  readonly bucket: string;
  readonly region: string;
  readonly records: number;
  /** Index in the batch of record `position` of the object. */
  readonly indexAt: (position: number) => number;
  /** This very range may have been put under this very key before. */
  readonly isResend: boolean;
}

/** The outcome of one PutObject. */
export function classifyPut(answer: PutAnswer, sent: SentObject): Delivery {
  const { status } = answer;
  if (status >= 200 && status < 300) return { status: 'delivered', duplicates: 0 };
  const error = errorOf(answer.body);
  const meaning = S3_RULE_OF.get(error.code)?.meaning;
  if (status === 412 || meaning === 'exists') return alreadyThere(sent);
  const text = shortened(
    [String(status), error.code, error.message].filter((part) => part !== '').join(': ') || String(status),
  );
  if (status === 413 || meaning === 'too_large') return { status: 'too_large', text };
  const { reason, hint } = verdict(answer, error, sent);
  const words = hint === '' ? text : `${text}; ${hint}`;
  return { status: 'retryable', reason, retryAfterMs: retryAfterMs(answer.retryAfter), text: words };
}

/** Our own object, or one that somebody else wrote under this key: then the records need another. */
function alreadyThere(sent: SentObject): Delivery {
  if (sent.isResend) return { status: 'delivered', duplicates: sent.records };
  const conflicts = Array.from({ length: sent.records }, (_, position) => sent.indexAt(position));
  return { status: 'partial', duplicates: 0, retry: [], retryReason: 'server_error', rejected: [], conflicts };
}

function verdict(
  { status, bucketRegion }: PutAnswer,
  error: { readonly code: string; readonly region: string },
  sent: SentObject,
): { readonly reason: RetryReason; readonly hint: string } {
  const meaning = S3_RULE_OF.get(error.code)?.meaning;
  if (meaning === 'elsewhere' || status === 301 || status === 307) {
    const region = error.region === '' ? (bucketRegion ?? '') : error.region;
    const isNamed = region !== '' && region !== sent.region;
    const named = `the bucket is in ${region}, we asked in ${sent.region}: set AWS_REGION`;
    return { reason: 'not_found', hint: isNamed ? named : 'the bucket is elsewhere: set its region or endpoint' };
  }
  const known = S3_RULE_OF.get(error.code);
  if (known !== undefined && meaning !== undefined && meaning !== 'exists' && meaning !== 'too_large')
    return { reason: meaning, hint: known.advice.replace('{resource}', resourceOf(sent)) };
  return verdictOfStatus(status, sent);
}

/** An answer of something in between, or with a code that nobody documented. */
function verdictOfStatus(status: number, sent: SentObject): { readonly reason: RetryReason; readonly hint: string } {
  if (status === 401 || status === 403)
    return { reason: 'credentials', hint: S3_DENIED_ADVICE.replace('{resource}', resourceOf(sent)) };
  if (status === 429 || status === 503) return { reason: 'throttled', hint: '' };
  if (status >= 500 || status === 408 || status === 409 || status < 200) return { reason: 'server_error', hint: '' };
  return { reason: 'not_found', hint: S3_OTHER_ADVICE };
}

/** What an object of ours is to a policy (Service Authorization Reference, Amazon S3). */
function resourceOf({ bucket, region }: SentObject): string {
  return `arn:${partitionOf(region)}:s3:::${bucket}/*`;
}

/** `<Error><Code>…</Code><Message>…</Message><Region>…</Region></Error>`. */
export function errorOf(body: Buffer): { readonly code: string; readonly message: string; readonly region: string } {
  const text = body.toString('utf8', 0, 8 * TEXT_CHARS_MAX);
  const element = (name: string): string =>
    unescapedXml(new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]?.trim() ?? '');
  const code = element('Code');
  // A proxy's page is no XML of S3: its first words still help.
  const message = code === '' ? text.replaceAll(/<[^>]*>|\s+/g, ' ').trim() : element('Message');
  return { code, message, region: element('Region') };
}

function shortened(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 3)}...`;
}

function retryAfterMs(value: string | undefined): number {
  const seconds = Number(value);
  return value !== undefined && seconds > 0 ? Math.min(seconds * 1000, RETRY_AFTER_MS_MAX) : 0;
}
