/**
 * What `logtender check sink` says of a destination: steps from the network up, each with its remedy. One file per sink gives them
 * (`elasticsearch/check.ts`); this one knows which files there are.
 *
 * Nothing here is on the way of a record. May import: core, config.
 */
import type { ForwarderConfig, SinkName } from '../config/forwarder-config.ts';
import type { Clock } from '../core/clock.ts';

export type CheckOutcome = 'ok' | 'warning' | 'failed' | 'skipped';

export interface CheckStep {
  /** `dns`, `tcp`, `tls`, `clock`, `region`, `identity`, `auth`, `privilege`, `permission`, `template`, `write`, … */
  readonly name: string;
  readonly outcome: CheckOutcome;
  /** What was found. */
  readonly text: string;
  /** What to do; absent where there is nothing to do. */
  readonly remedy?: string;
}

export interface CheckOptions {
  readonly config: ForwarderConfig;
  readonly clock: Clock;
  /** Also sends one record, and says so in it. */
  readonly writes: boolean;
}

/** The steps of one sink, in order; ends at the first that makes the rest pointless. Never rejects for what it finds. */
export type SinkCheck = (options: CheckOptions) => AsyncIterable<CheckStep>;

/** Sink -> the file that checks it. Those without a destination of their own have none. */
const CHECKS: Readonly<Partial<Record<SinkName, () => Promise<SinkCheck>>>> = {
  elasticsearch: async () => (await import('./elasticsearch/check.ts')).checkElasticsearch,
  cloudwatch: async () => (await import('./cloudwatch-logs/check.ts')).checkCloudWatch,
  s3: async () => (await import('./s3/check.ts')).checkS3,
};

/** The check of a sink; undefined where there is nothing to check. */
export async function checkOf(sink: SinkName): Promise<SinkCheck | undefined> {
  return CHECKS[sink]?.();
}
