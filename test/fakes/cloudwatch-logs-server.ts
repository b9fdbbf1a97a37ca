/**
 * CloudWatch Logs as strictly as its API reference words it, in memory: JSON 1.1, existence, every limit of test/servers/cloudwatch.
 *
 * It also checks what a body that goes past the SDK's serializer could break: content length and the payload hash that was signed
 * (AWS Signature Version 4, x-amz-content-sha256).
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { checkCall } from '../servers/cloudwatch/rules.ts';
import type { LogEvent } from '../servers/cloudwatch/rules.ts';
import { ScriptedServer } from './scripted-server.ts';
import type { Answer } from './scripted-server.ts';

export class FakeCloudWatchLogs {
  /** Events by `group:stream`. */
  readonly streams = new Map<string, LogEvent[]>();
  readonly groups = new Map<string, { retentionInDays?: number }>();
  readonly calls: string[] = [];
  /** Part of the answer of the next put. */
  rejectedLogEventsInfo: Readonly<Record<string, number>> | undefined;
  /** The access key that is known, if any is asked for. */
  accessKeyId: string | undefined;
  /** Calls that are refused with AccessDeniedException. */
  readonly denied = new Set<string>();
  readonly server = new ScriptedServer(
    (request, body) => this.#handle(request, body),
    (request) => actionOf(request) === 'PutLogEvents',
  );

  /** Messages of all streams, each in order. */
  get messages(): readonly string[] {
    return [...this.streams.values()].flatMap((events) => events.map(({ message }) => message));
  }

  #handle(request: IncomingMessage, body: Buffer): Answer {
    const action = actionOf(request);
    this.calls.push(action);
    const { authorization = '' } = request.headers;
    const hash = createHash('sha256').update(body).digest('hex');
    if (request.headers['x-amz-content-sha256'] !== hash) return failure('InvalidSignatureException');
    if (!authorization.includes('content-length') && !authorization.includes('x-amz-content-sha256')) {
      return failure('IncompleteSignature');
    }
    if (this.accessKeyId !== undefined && !authorization.includes(`Credential=${this.accessKeyId}/`)) {
      return failure('UnrecognizedClientException', 'The security token included in the request is invalid.');
    }
    if (this.denied.has(action)) return failure('AccessDeniedException', `not authorized to perform: logs:${action}`);
    const input = JSON.parse(body.toString('utf8')) as Readonly<Record<string, unknown>>;
    const refusal = checkCall(action, input, Date.now());
    if (refusal !== undefined) return failure(refusal.type, refusal.message);
    return this.#act(action, input);
  }

  #act(action: string, input: Readonly<Record<string, unknown>>): Answer {
    const group = String(input['logGroupName']);
    const name = `${group}:${String(input['logStreamName'])}`;
    const known = this.groups.get(group);
    if (action === 'CreateLogGroup') {
      if (known !== undefined) return failure('ResourceAlreadyExistsException');
      this.groups.set(group, {});
      return done();
    }
    if (known === undefined) return failure('ResourceNotFoundException', 'The specified log group does not exist.');
    if (action === 'PutRetentionPolicy') {
      known.retentionInDays = Number(input['retentionInDays']);
      return done();
    }
    const stream = this.streams.get(name);
    if (action === 'CreateLogStream') {
      if (stream !== undefined) return failure('ResourceAlreadyExistsException');
      this.streams.set(name, []);
      return done();
    }
    if (stream === undefined) return failure('ResourceNotFoundException', 'The specified log stream does not exist.');
    return this.#put(stream, input['logEvents'] as readonly LogEvent[]);
  }

  #put(stream: LogEvent[], events: readonly LogEvent[]): Answer {
    const info = this.rejectedLogEventsInfo;
    this.rejectedLogEventsInfo = undefined;
    if (info === undefined) {
      stream.push(...events);
      return done({ nextSequenceToken: '1' });
    }
    const from = Math.max(info['tooOldLogEventEndIndex'] ?? 0, info['expiredLogEventEndIndex'] ?? 0);
    stream.push(...events.slice(from, info['tooNewLogEventStartIndex']));
    return done({ nextSequenceToken: '1', rejectedLogEventsInfo: info });
  }
}

/** `X-Amz-Target: Logs_20140328.PutLogEvents`. */
function actionOf(request: IncomingMessage): string {
  return String(request.headers['x-amz-target']).replace('Logs_20140328.', '');
}

function done(output: object = {}): Answer {
  return { status: 200, body: JSON.stringify(output) };
}

function failure(type: string, message = type): Answer {
  return { status: 400, body: JSON.stringify({ __type: type, message }) };
}
