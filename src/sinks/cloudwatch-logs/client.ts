/**
 * The AWS SDK behind a narrow port: the four calls that this sink needs. The only file that loads it (10 MiB,
 * 100 ms), by named imports: of a CommonJS package in a bundle a dynamic import would give the default alone. The registry loads this
 * room lazily.
 *
 * Invariants: `maxAttempts: 1`, retries are ours. The body of PutLogEvents comes as bytes and takes the place of the serializer's
 * output before content length and signature are made, so nothing is parsed or escaped twice. May import: core.
 */
import assert from 'node:assert/strict';
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import type { PutLogEventsCommandOutput } from '@aws-sdk/client-cloudwatch-logs';
import type { Log } from '../../core/log.ts';
import type { LogDestination } from './request.ts';

/** Time for a connection to be made; the request as a whole is bounded by its caller. */
const CONNECTION_TIMEOUT_MS = 10_000;

export interface LogsClientOptions {
  readonly endpoint: string | undefined;
  /** Undefined: env, profile and instance metadata are asked, in the SDK's order. */
  readonly region: string | undefined;
  /** Undefined: the SDK's default chain (env, web identity, container, profile, instance role). */
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  readonly log: Log;
}

/** Every call throws what the SDK throws; `classifyError` reads it. */
export interface LogsClient {
  /** Throws when there is no region. */
  region(): Promise<string>;
  putLogEvents(destination: LogDestination, body: Buffer, signal: AbortSignal): Promise<PutLogEventsCommandOutput>;
  createLogGroup(group: string, signal: AbortSignal): Promise<void>;
  createLogStream(destination: LogDestination, signal: AbortSignal): Promise<void>;
  putRetentionPolicy(group: string, days: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** A client with its connections; nothing is sent. */
export function createLogsClient(options: LogsClientOptions): LogsClient {
  const client = new CloudWatchLogsClient({
    maxAttempts: 1,
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    requestHandler: { connectionTimeout: CONNECTION_TIMEOUT_MS },
    logger: sdkLogger(options.log),
  });
  /** Body for an input object; the input itself names group and stream and has no events. */
  const bodies = new WeakMap<object, Buffer>();
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (context['commandName'] === 'PutLogEventsCommand') {
        const body = bodies.get(args.input);
        const { request } = args;
        assert(body !== undefined, 'every PutLogEvents has a body of ours');
        assert(typeof request === 'object' && request !== null && 'body' in request, 'the serializer made a request');
        request.body = body;
      }
      return next(args);
    },
    // "build" comes after the serializer and before content length ("build", lower priority) and signature ("finalizeRequest").
    { step: 'build', priority: 'high', name: 'encodedLogEvents' },
  );
  return {
    region: () => client.config.region(),
    putLogEvents: async ({ group, stream }, body, abortSignal) => {
      const input = { logGroupName: group, logStreamName: stream, logEvents: [] };
      bodies.set(input, body);
      return client.send(new PutLogEventsCommand(input), { abortSignal });
    },
    createLogGroup: async (logGroupName, abortSignal) => {
      await client.send(new CreateLogGroupCommand({ logGroupName }), { abortSignal });
    },
    createLogStream: async ({ group, stream }, abortSignal) => {
      await client.send(new CreateLogStreamCommand({ logGroupName: group, logStreamName: stream }), {
        abortSignal,
      });
    },
    putRetentionPolicy: async (logGroupName, retentionInDays, abortSignal) => {
      await client.send(new PutRetentionPolicyCommand({ logGroupName, retentionInDays }), { abortSignal });
    },
    close: () => client.destroy(),
  };
}

/** The SDK's own words: warnings only, and never what it was called with. */
function sdkLogger(log: Log): { debug(): void; info(): void; warn(): void; error(): void } {
  return {
    debug: () => {},
    info: () => {},
    // The SDK reports each failed call here together with its input; the call's own caller reports it without.
    warn: () => log.debug('aws sdk warning'),
    error: () => {},
  };
}
