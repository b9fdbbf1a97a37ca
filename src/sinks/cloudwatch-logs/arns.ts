/**
 * ARNs of what a call acts on, as an IAM policy names them: pure.
 *
 * Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch Logs": PutLogEvents and
 * GetLogEvents act on a log stream, the others on a log group. May import: sinks.
 */
import { partitionOf } from '../aws/partition.ts';
import type { CallContext } from './classify.ts';
import type { LogDestination } from './request.ts';

export type LogsAction =
  'PutLogEvents' | 'CreateLogStream' | 'CreateLogGroup' | 'PutRetentionPolicy' | 'GetLogEvents' | 'TagResource';

/** What a failed call says of itself. The account is `*`: nobody tells it to us, and a policy may say so too. */
export function callContext(action: LogsAction, { group, stream }: LogDestination, region: string): CallContext {
  const logGroup = `arn:${partitionOf(region)}:logs:${region}:*:log-group:${group}`;
  const isOfStream = action === 'PutLogEvents' || action === 'GetLogEvents';
  return { action: `logs:${action}`, resource: isOfStream ? `${logGroup}:log-stream:${stream}` : logGroup, region };
}
