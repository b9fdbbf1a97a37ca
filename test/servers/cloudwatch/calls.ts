/**
 * Calls to CloudWatch Logs without the SDK, so that what a test reads back does not come through the code that it tests.
 *
 * May import: test/servers.
 */
import { ask, type Answer } from '../http-json.ts';
import type { LogEvent } from './rules.ts';

/** moto keeps its state by region: whoever writes and whoever reads must name the same. */
export const REGION = 'us-east-1';
/** API reference, GetLogEvents: at most 10,000 events in an answer. DescribeLogStreams: 50. */
const GET_EVENTS_MAX = 10_000;
const DESCRIBE_STREAMS_MAX = 50;
/** A reader that gets this many pages of one stream (100 million events) reads in circles. */
const PAGES_MAX = 10_000;

/** One call; `input` goes as JSON. */
export type Call = (action: string, input: unknown) => Promise<Answer>;

/** Calls to the server at `url`, signed in form only. */
export function caller(url: string): Call {
  const scope = `test/20260101/${REGION}/logs/aws4_request`;
  return (action, input) =>
    ask(`${url}/`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `Logs_20140328.${action}`,
        // moto takes the region from the scope; nobody looks at the signature.
        authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
      },
      body: input,
    });
}

/** All events of a log stream from its beginning, in as many pages as it takes. */
export async function readEvents(
  call: Call,
  logGroupName: string,
  logStreamName: string,
): Promise<readonly LogEvent[]> {
  const events: LogEvent[] = [];
  let nextToken: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const input = { logGroupName, logStreamName, startFromHead: true, limit: GET_EVENTS_MAX };
    const { status, body } = await call('GetLogEvents', nextToken === undefined ? input : { ...input, nextToken });
    if (status !== 200)
      throw new Error(`read ${logGroupName} ${logStreamName}: expected 200, got ${status} ${JSON.stringify(body)}`);
    const answered = body as { readonly events: readonly LogEvent[]; readonly nextForwardToken: string };
    for (const event of answered.events) events.push(event);
    // API reference, GetLogEvents: at the end of the stream the same token comes back.
    if (answered.nextForwardToken === nextToken || answered.events.length === 0) return events;
    nextToken = answered.nextForwardToken;
  }
  throw new Error(`read ${logGroupName} ${logStreamName}: expected an end within ${PAGES_MAX} pages, got none`);
}

/** Names of the log streams of a group, sorted; none when the group does not exist. */
export async function logStreams(call: Call, logGroupName: string): Promise<readonly string[]> {
  const names: string[] = [];
  let nextToken: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const input = { logGroupName, limit: DESCRIBE_STREAMS_MAX };
    const { status, body } = await call(
      'DescribeLogStreams',
      nextToken === undefined ? input : { ...input, nextToken },
    );
    if (status !== 200) return [];
    const answered = body as {
      readonly logStreams: ReadonlyArray<{ readonly logStreamName: string }>;
      readonly nextToken?: string | null;
    };
    for (const stream of answered.logStreams) names.push(stream.logStreamName);
    if (answered.nextToken === undefined || answered.nextToken === null) return names.toSorted();
    nextToken = answered.nextToken;
  }
  throw new Error(`list streams of ${logGroupName}: expected an end within ${PAGES_MAX} pages, got none`);
}
