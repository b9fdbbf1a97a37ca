/**
 * The AWS SDK behind a narrow port: the calls that this sink needs. The only file that loads it (10 MiB,
 * 100 ms), by named imports: of a CommonJS package in a bundle a dynamic import would give the default alone. The registry loads this
 * room lazily.
 *
 * Invariants: `maxAttempts: 1`, retries are ours. The body of PutLogEvents comes as bytes and takes the place of the serializer's
 * output before content length and signature are made, so nothing is parsed or escaped twice. May import: core, config, sinks.
 */
import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  GetLogEventsCommand,
  PutLogEventsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import type { LogGroupClass, PutLogEventsCommandOutput } from '@aws-sdk/client-cloudwatch-logs';
import type { ProxySettings } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { chainProvider } from '../aws/credentials.ts';
import { proxyAgentOptions } from '../aws/request-handler.ts';
import type { LogDestination } from './request.ts';

/** Time for a connection to be made; the request as a whole is bounded by its caller. */
const CONNECTION_TIMEOUT_MS = 10_000;

export interface LogsClientOptions {
  readonly endpoint: string | undefined;
  /** Undefined: env and profile are asked, in the SDK's order. */
  readonly region: string | undefined;
  readonly fips: boolean;
  /** Undefined: the SDK's default chain (env, web identity, container, profile, instance role). */
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  readonly log: Log;
  /** Bounds the asking for credentials. */
  readonly clock: Clock;
  /** STS is asked through it as well. */
  readonly proxy?: ProxySettings;
  /** How a host name becomes an address; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined;
}

/** What a new log group has beside its name. */
export interface LogGroupSettings {
  readonly logGroupClass?: LogGroupClass;
  readonly kmsKeyId?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** Which events of a log stream are read: those of [startTime, endTime), oldest first. */
export interface EventWindow {
  readonly startTime: number;
  readonly endTime: number;
  readonly nextToken: string | undefined;
}

export interface EventPage {
  readonly events: ReadonlyArray<{ readonly timestamp?: number | undefined; readonly message?: string | undefined }>;
  readonly nextToken: string | undefined;
}

/** Every call throws what the SDK throws; `classifyError` reads it. */
export interface LogsClient {
  /** Throws when there is no region. */
  region(): Promise<string>;
  /** Where its calls go. Throws when there is no region. */
  endpoint(): Promise<URL>;
  /** What the service's clock is ahead of ours, in milliseconds, by the Date of its answers: to within a second or two. */
  clockOffsetMs(): number;
  putLogEvents(destination: LogDestination, body: Buffer, signal: AbortSignal): Promise<PutLogEventsCommandOutput>;
  createLogGroup(group: string, settings: LogGroupSettings, signal: AbortSignal): Promise<void>;
  createLogStream(destination: LogDestination, signal: AbortSignal): Promise<void>;
  putRetentionPolicy(group: string, days: number, signal: AbortSignal): Promise<void>;
  getLogEvents(destination: LogDestination, window: EventWindow, signal: AbortSignal): Promise<EventPage>;
  close(): void;
}

/** A client with its connections; nothing is sent. */
export function createLogsClient(options: LogsClientOptions): LogsClient {
  const agent = proxyAgentOptions(options.proxy ?? {});
  const client = new CloudWatchLogsClient({
    maxAttempts: 1,
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    credentials: options.credentials ?? chainProvider(options.proxy ?? {}, options.clock),
    ...(options.fips ? { useFipsEndpoint: true } : {}),
    // No time-out of idle sockets: the caller has the only clock, and a time-out without a code is that of the connection.
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      socketTimeout: 0,
      httpAgent: { ...agent, ...(options.lookup === undefined ? {} : { lookup: options.lookup }) },
      httpsAgent: agent,
    },
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
    endpoint: async () => {
      const { endpointProvider, region, useFipsEndpoint, useDualstackEndpoint } = client.config;
      const { url } = endpointProvider({
        Endpoint: options.endpoint,
        Region: await region(),
        UseFIPS: await useFipsEndpoint(),
        UseDualStack: await useDualstackEndpoint(),
      });
      return url;
    },
    clockOffsetMs: () => client.config.systemClockOffset,
    putLogEvents: async ({ group, stream }, body, abortSignal) => {
      const input = { logGroupName: group, logStreamName: stream, logEvents: [] };
      bodies.set(input, body);
      return client.send(new PutLogEventsCommand(input), { abortSignal });
    },
    createLogGroup: async (logGroupName, { logGroupClass, kmsKeyId, tags }, abortSignal) => {
      const input = { logGroupName, logGroupClass, kmsKeyId, tags: tags === undefined ? undefined : { ...tags } };
      await client.send(new CreateLogGroupCommand(input), { abortSignal });
    },
    createLogStream: async ({ group, stream }, abortSignal) => {
      await client.send(new CreateLogStreamCommand({ logGroupName: group, logStreamName: stream }), {
        abortSignal,
      });
    },
    putRetentionPolicy: async (logGroupName, retentionInDays, abortSignal) => {
      await client.send(new PutRetentionPolicyCommand({ logGroupName, retentionInDays }), { abortSignal });
    },
    getLogEvents: async ({ group, stream }, { startTime, endTime, nextToken }, abortSignal) => {
      const range = { startTime, endTime, nextToken, startFromHead: true };
      const command = new GetLogEventsCommand({ logGroupName: group, logStreamName: stream, ...range });
      const { events = [], nextForwardToken } = await client.send(command, { abortSignal });
      return { events, nextToken: nextForwardToken };
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
