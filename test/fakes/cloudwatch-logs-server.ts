/**
 * CloudWatch Logs as strictly as its API reference words it, in memory: JSON 1.1, existence, every limit of test/servers/cloudwatch.
 *
 * It also checks what a request that no SDK made could break: content type, content length, the payload hash that was signed and, with a key
 * given, the signature itself (AWS Signature Version 4).
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { checkCall, FUTURE_MS_MAX, PAST_MS_MAX } from '../servers/cloudwatch/rules.ts';
import type { LogEvent } from '../servers/cloudwatch/rules.ts';
import { isSignedBy, signedAtMs } from './aws-signature.ts';
import { ScriptedServer } from './scripted-server.ts';
import type { Answer } from './scripted-server.ts';

/** IAM user guide, "Elements of an AWS API request signature", X-Amz-Date. */
const SKEW_MS_MAX = 15 * 60 * 1000;

/** A log group as it was made. */
export interface FakeLogGroup {
  retentionInDays?: number;
  readonly logGroupClass?: unknown;
  readonly kmsKeyId?: unknown;
  readonly tags?: unknown;
}

export class FakeCloudWatchLogs {
  /** Events by `group:stream`. */
  readonly streams = new Map<string, LogEvent[]>();
  readonly groups = new Map<string, FakeLogGroup>();
  readonly calls: string[] = [];
  /** Part of the answer of the next put. */
  rejectedLogEventsInfo: Readonly<Record<string, number>> | undefined;
  /** The access key that is known, if any is asked for. */
  accessKeyId: string | undefined;
  /** The secret key that every request is signed with, if signatures are looked at. */
  secretAccessKey: string | undefined;
  /** How a request is refused that was signed more than 15 minutes ago or ahead by the clock of this machine; undefined takes it. */
  skewError: string | undefined;
  /** Calls that are refused with AccessDeniedException. */
  readonly denied = new Set<string>();
  /** Members of CreateLogGroup that are refused with InvalidParameterException, as a KMS key that is disabled is. */
  readonly refusedSettings = new Set<string>();
  /** Errors of the next calls of an action, by name, first come first served. */
  readonly errors = new Map<string, string[]>();
  /** GetLogEvents shows what was stored only after so many looks (API reference: it is eventually consistent). */
  hiddenLooks = 0;
  /** Told of every put that is done. */
  onPut: () => void = () => {};
  /** Old and new events are refused by the clock, as the service does. */
  nowMs: (() => number) | undefined;
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
    const { headers, method, url } = request;
    if (method !== 'POST' || url !== '/' || headers['content-type'] !== 'application/x-amz-json-1.1')
      return failure('UnknownOperationException');
    if (Number(headers['content-length']) !== body.length) return failure('MalformedHttpRequestException');
    if (request.headers['x-amz-content-sha256'] !== hash) return failure('InvalidSignatureException');
    if (!authorization.includes('content-length') && !authorization.includes('x-amz-content-sha256')) {
      return failure('IncompleteSignature');
    }
    if (this.accessKeyId !== undefined && !authorization.includes(`Credential=${this.accessKeyId}/`)) {
      return failure('UnrecognizedClientException', 'The security token included in the request is invalid.');
    }
    if (this.secretAccessKey !== undefined && !isSignedBy(this.secretAccessKey, request, body))
      return failure('InvalidSignatureException', 'The request signature we calculated does not match.');
    if (this.skewError !== undefined && !(Math.abs(signedAtMs(request) - Date.now()) <= SKEW_MS_MAX))
      return failure(this.skewError, 'Signature expired');
    const error = this.errors.get(action)?.shift();
    if (error !== undefined) return failure(error);
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
      return this.#makeGroup(group, input);
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
    if (action === 'GetLogEvents') return this.#get(stream, input);
    return this.#put(stream, input['logEvents'] as readonly LogEvent[]);
  }

  #makeGroup(group: string, input: Readonly<Record<string, unknown>>): Answer {
    const { logGroupName: _, ...settings } = input;
    const refused = Object.keys(settings).find((key) => this.refusedSettings.has(key));
    if (refused !== undefined) return failure('InvalidParameterException', `${refused} is no good`);
    // Tags at creation need a right of their own (API reference, CreateLogGroup, tags).
    if (settings['tags'] !== undefined && this.denied.has('TagResource'))
      return failure('AccessDeniedException', 'not authorized to perform: logs:TagResource');
    this.groups.set(group, settings);
    return done();
  }

  /** One event a page, so that paging is always needed. */
  #get(stream: readonly LogEvent[], input: Readonly<Record<string, unknown>>): Answer {
    const { startTime, endTime, nextToken } = input;
    const at = nextToken === undefined ? 0 : Number(nextToken);
    if (nextToken === undefined && this.hiddenLooks > 0) {
      this.hiddenLooks -= 1;
      return done({ events: [], nextForwardToken: 'hidden' });
    }
    if (nextToken === 'hidden') return done({ events: [], nextForwardToken: 'hidden' });
    const events = stream.filter(({ timestamp }) => timestamp >= Number(startTime) && timestamp < Number(endTime));
    const size = Math.max(1, Math.ceil(events.length / 3));
    return done({
      events: events.slice(at, at + size),
      nextForwardToken: String(Math.min(at + size, events.length)),
    });
  }

  /** API reference, PutLogEvents: up to 14 days back and 2 hours ahead. */
  #ageInfo(events: readonly LogEvent[]): Readonly<Record<string, number>> | undefined {
    const now = this.nowMs?.();
    if (now === undefined) return undefined;
    const old = events.filter(({ timestamp }) => timestamp < now - PAST_MS_MAX).length;
    const fresh = events.filter(({ timestamp }) => timestamp <= now + FUTURE_MS_MAX).length;
    if (old === 0 && fresh === events.length) return undefined;
    return {
      ...(old > 0 ? { tooOldLogEventEndIndex: old } : {}),
      ...(fresh < events.length ? { tooNewLogEventStartIndex: fresh } : {}),
    };
  }

  #put(stream: LogEvent[], events: readonly LogEvent[]): Answer {
    this.onPut();
    const info = this.rejectedLogEventsInfo ?? this.#ageInfo(events);
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
