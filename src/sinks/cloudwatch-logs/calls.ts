/**
 * All calls of this sink, their failures as values: those of every day by requests of our own, the rare ones by the SDK's client, which is
 * loaded only then. Who may call, where, and what the service's clock says is the same for both. May import: core, config, sinks.
 */
import type { LookupFunction } from 'node:net';
import type { ProxySettings } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { CredentialProvider } from '../aws/credentials.ts';
import type { JsonObject } from './aws-json.ts';
import type { Called, RejectedLogEventsInfo } from './classify.ts';
import type { EventPage, EventWindow, LogGroupSettings, LogsClient, LogsClientOptions } from './client.ts';
import { RareCalls } from './rare-calls.ts';
import { createLogStreamBody, putLogEventsBody } from './request.ts';
import type { LogDestination } from './request.ts';
import type { ServiceClock } from './service-clock.ts';
import { SignedCalls } from './signed-calls.ts';

/** The SDK behind its port: with its memory and its time it comes when it is needed. */
export interface Sdk {
  createLogsClient(options: LogsClientOptions): LogsClient;
  configuredRegion(): Promise<string>;
}
export type LoadSdk = () => Promise<Sdk>;

export const loadSdk: LoadSdk = () => import('./client.ts');

export interface LogsCallsOptions {
  readonly endpoint: URL;
  readonly region: string;
  readonly credentials: CredentialProvider;
  readonly log: Log;
  readonly clock: Clock;
  readonly serviceClock: ServiceClock;
  readonly proxy: ProxySettings;
  /** How a host name becomes an address for the calls of every day; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined;
  readonly loadSdk?: LoadSdk | undefined;
}

export class LogsCalls {
  readonly #signed: SignedCalls;
  readonly #rare: RareCalls;
  readonly endpoint: URL;

  constructor(options: LogsCallsOptions) {
    const { endpoint, region, log, clock, serviceClock, proxy, lookup } = options;
    // What a client of the SDK would tell its credentials: STS is asked in the same region.
    const properties = { callerClientConfig: { region: async () => region } };
    const credentials = (): ReturnType<CredentialProvider> => options.credentials(properties);
    const open = async (): Promise<LogsClient> => {
      const sdk = await (options.loadSdk ?? loadSdk)();
      return sdk.createLogsClient({ endpoint, region, credentials, log, proxy, clockOffsetMs: serviceClock.offsetMs });
    };
    this.endpoint = endpoint;
    this.#signed = new SignedCalls({ endpoint, region, credentials, clock, serviceClock, proxy, lookup });
    this.#rare = new RareCalls({ region, clock, open });
  }

  /**
   * @param slices encoded events, at least one
   * @returns which events the service left out, undefined when it took them all
   */
  async putLogEvents(
    destination: LogDestination,
    slices: readonly Buffer[],
    signal: AbortSignal,
  ): Promise<Called<RejectedLogEventsInfo | undefined>> {
    const body = putLogEventsBody(destination, slices);
    const called = await this.#signed.call({ action: 'PutLogEvents', destination, body, signal });
    return called.kind === 'done' ? { kind: 'done', value: rejectedInfo(called.value) } : called;
  }

  async createLogStream(destination: LogDestination, signal: AbortSignal): Promise<Called<void>> {
    const body = [createLogStreamBody(destination)];
    const called = await this.#signed.call({ action: 'CreateLogStream', destination, body, signal });
    return called.kind === 'done' ? { kind: 'done', value: undefined } : called;
  }

  createLogGroup(destination: LogDestination, settings: LogGroupSettings, signal: AbortSignal): Promise<Called<void>> {
    const { group } = destination;
    const run = (client: LogsClient, over: AbortSignal): Promise<void> => client.createLogGroup(group, settings, over);
    return this.#rare.call({ action: 'CreateLogGroup', destination, signal, run });
  }

  putRetentionPolicy(destination: LogDestination, days: number, signal: AbortSignal): Promise<Called<void>> {
    const { group } = destination;
    const run = (client: LogsClient, over: AbortSignal): Promise<void> => client.putRetentionPolicy(group, days, over);
    return this.#rare.call({ action: 'PutRetentionPolicy', destination, signal, run });
  }

  getLogEvents(destination: LogDestination, window: EventWindow, signal: AbortSignal): Promise<Called<EventPage>> {
    const run = (client: LogsClient, over: AbortSignal): Promise<EventPage> =>
      client.getLogEvents(destination, window, over);
    return this.#rare.call({ action: 'GetLogEvents', destination, signal, run });
  }

  close(): void {
    this.#signed.close();
    this.#rare.close();
  }
}

/** `rejectedLogEventsInfo` of an output; undefined without it. */
function rejectedInfo(output: JsonObject): RejectedLogEventsInfo | undefined {
  const info = output['rejectedLogEventsInfo'];
  if (typeof info !== 'object' || info === null) return undefined;
  const members = info as JsonObject;
  const index = (name: keyof RejectedLogEventsInfo): number | undefined => {
    const value = members[name];
    return typeof value === 'number' ? value : undefined;
  };
  return {
    tooOldLogEventEndIndex: index('tooOldLogEventEndIndex'),
    expiredLogEventEndIndex: index('expiredLogEventEndIndex'),
    tooNewLogEventStartIndex: index('tooNewLogEventStartIndex'),
  };
}
