/**
 * ARNs of what a call acts on, as an IAM policy names them: pure.
 *
 * Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch Logs": PutLogEvents and
 * GetLogEvents act on a log stream, the others on a log group. May import: sinks/cloudwatch-logs.
 */
import type { CallContext } from './classify.ts';
import type { LogDestination } from './request.ts';

/** Partitions by the beginning of their regions (SDK, partitions.json). */
const PARTITIONS: ReadonlyArray<readonly [prefix: string, partition: string]> = [
  ['cn-', 'aws-cn'],
  ['us-gov-', 'aws-us-gov'],
  ['us-isob-', 'aws-iso-b'],
  ['us-isof-', 'aws-iso-f'],
  ['us-iso-', 'aws-iso'],
  ['eu-isoe-', 'aws-iso-e'],
  ['eusc-', 'aws-eusc'],
];

export type LogsAction =
  'PutLogEvents' | 'CreateLogStream' | 'CreateLogGroup' | 'PutRetentionPolicy' | 'GetLogEvents' | 'TagResource';

/** What a failed call says of itself. The account is `*`: nobody tells it to us, and a policy may say so too. */
export function callContext(action: LogsAction, { group, stream }: LogDestination, region: string): CallContext {
  const partition = PARTITIONS.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';
  const logGroup = `arn:${partition}:logs:${region}:*:log-group:${group}`;
  const isOfStream = action === 'PutLogEvents' || action === 'GetLogEvents';
  return { action: `logs:${action}`, resource: isOfStream ? `${logGroup}:log-stream:${stream}` : logGroup, region };
}
