/**
 * The AWS SDK behind a narrow port: the calls that are rare, and the region of a profile. The only file that loads its client (11 MiB, 100
 * ms), by named imports: of a CommonJS package in a bundle a dynamic import would give the default alone. It is itself loaded only when
 * one of its calls is needed (calls.ts).
 *
 * Invariant: `maxAttempts: 1`, retries are ours. May import: core, config, sinks.
 */
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  GetLogEventsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import type { LogGroupClass } from '@aws-sdk/client-cloudwatch-logs';
import type { ProxySettings } from '../../config/forwarder-config.ts';
import type { Log } from '../../core/log.ts';
import type { CredentialProvider } from '../aws/credentials.ts';
import { proxyAgentOptions } from '../aws/request-handler.ts';
import type { LogDestination } from './request.ts';

/** Time for a connection to be made; the request as a whole is bounded by its caller. */
const CONNECTION_TIMEOUT_MS = 10_000;

export interface LogsClientOptions {
  readonly endpoint: URL;
  readonly region: string;
  /** Bounds its own waiting. */
  readonly credentials: CredentialProvider;
  readonly log: Log;
  readonly proxy: ProxySettings;
  /** What the service's clock is ahead of ours, as far as it is known. */
  readonly clockOffsetMs: number;
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
  createLogGroup(group: string, settings: LogGroupSettings, signal: AbortSignal): Promise<void>;
  putRetentionPolicy(group: string, days: number, signal: AbortSignal): Promise<void>;
  getLogEvents(destination: LogDestination, window: EventWindow, signal: AbortSignal): Promise<EventPage>;
  close(): void;
}

/** A client with its connections; nothing is sent. */
export function createLogsClient(options: LogsClientOptions): LogsClient {
  const agent = proxyAgentOptions(options.proxy);
  const client = new CloudWatchLogsClient({
    maxAttempts: 1,
    region: options.region,
    // With one of its own, FIPS or not: the SDK takes no further choice beside it, not from the environment either.
    endpoint: options.endpoint.href,
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    credentials: options.credentials,
    systemClockOffset: options.clockOffsetMs,
    // No time-out of idle sockets: the caller has the only clock, and a time-out without a code is that of the connection.
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      socketTimeout: 0,
      httpAgent: agent,
      httpsAgent: agent,
    },
    logger: sdkLogger(options.log),
  });
  return {
    createLogGroup: async (logGroupName, { logGroupClass, kmsKeyId, tags }, abortSignal) => {
      const input = { logGroupName, logGroupClass, kmsKeyId, tags: tags === undefined ? undefined : { ...tags } };
      await client.send(new CreateLogGroupCommand(input), { abortSignal });
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

/** The region of env and profile, in the SDK's order. Rejects when there is none. */
export async function configuredRegion(): Promise<string> {
  const client = new CloudWatchLogsClient({});
  try {
    return await client.config.region();
  } finally {
    client.destroy();
  }
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
