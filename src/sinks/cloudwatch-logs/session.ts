/**
 * The calls of the moment: made for the keys of the Secret or the chain of the SDK, made anew when those change or are refused.
 *
 * May import: core, config, sinks.
 */
import type { LookupFunction } from 'node:net';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { credentialProvider } from '../aws/credentials.ts';
import type { InstanceRegion } from '../aws/instance-region.ts';
import { AWS_SECRET_KEYS, staticCredentials } from '../aws/static-credentials.ts';
import { createSecretFiles } from '../secret-files.ts';
import type { SecretFiles, SecretValues } from '../secret-files.ts';
import { loadSdk, LogsCalls } from './calls.ts';
import type { LoadSdk } from './calls.ts';
import { logsEndpoint } from './endpoint.ts';
import { ServiceClock } from './service-clock.ts';

/** Credentials that the service refuses are asked for again at most this often: each asking costs STS or the node a call. */
const CREDENTIALS_AGE_MS_MIN = 10_000;

export interface SessionOptions {
  readonly config: ForwarderConfig;
  readonly clock: Clock;
  readonly log: Log;
  /** How a host name becomes an address; the system's way unless given. */
  readonly lookup?: LookupFunction | undefined;
  /** Asked where no region is configured; nobody is asked unless given. */
  readonly instanceRegion?: InstanceRegion | undefined;
  /** Loads the SDK, when a rare call or a profile asks for it. */
  readonly loadSdk?: LoadSdk;
}

export interface Connected {
  /** Version of the Secret that they were made for. */
  readonly version: number;
  readonly calls: LogsCalls;
  readonly region: string;
  readonly hasOwnKeys: boolean;
  readonly sinceMs: number;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #secret: SecretFiles;
  readonly #serviceClock = new ServiceClock();
  #connected: Connected | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { config, clock } = options;
    this.#secret = createSecretFiles({ dir: config.sinkSecretDir, keys: AWS_SECRET_KEYS, clock });
  }

  /** What the service's clock is ahead of ours, in milliseconds, by the Date of its answers: to within a second or two. */
  clockOffsetMs(): number {
    return this.#serviceClock.offsetMs;
  }

  /** The calls for the credentials as they are now, or why there are none. */
  async connect(): Promise<Connected | { readonly problem: string }> {
    const secret = await this.#secret.read();
    if (this.#connected?.version === secret.version) return this.#connected;
    this.close();
    const region = await this.#region();
    if (typeof region !== 'string') return region;
    const calls = this.#calls(region, secret);
    if (calls === undefined) return { problem: `no AWS region: expected a name such as eu-central-1, got ${region}` };
    const { version } = secret;
    const hasOwnKeys = staticCredentials(secret) !== undefined;
    this.#connected = { version, calls, region, hasOwnKeys, sinceMs: this.#options.clock.monotonic() };
    return this.#connected;
  }

  /** The chain remembers credentials until they expire; those that the service refuses are forgotten with it. */
  renew(connected: Connected): void {
    const isYoung = this.#options.clock.monotonic() - connected.sinceMs < CREDENTIALS_AGE_MS_MIN;
    if (connected.hasOwnKeys || isYoung || this.#connected !== connected) return;
    this.close();
  }

  close(): void {
    this.#connected?.calls.close();
    this.#connected = undefined;
  }

  /** Configured, of a profile, or of the machine: in this order. */
  async #region(): Promise<string | { readonly problem: string }> {
    const { config, instanceRegion, loadSdk: load = loadSdk } = this.#options;
    if (config.awsRegion !== undefined) return config.awsRegion;
    try {
      return await (await load()).configuredRegion();
    } catch (error) {
      const found = await instanceRegion?.();
      return found ?? { problem: `no AWS region: set AWS_REGION (${errorText(error)})` };
    }
  }

  #calls(region: string, secret: SecretValues): LogsCalls | undefined {
    const { config, clock, log, lookup, loadSdk: load } = this.#options;
    const endpoint = logsEndpoint({ endpoint: config.cloudwatchEndpoint, region, fips: config.cloudwatch.fips });
    if (endpoint === undefined) return undefined;
    const credentials = credentialProvider(secret, config.proxy, clock);
    return new LogsCalls({
      ...{ endpoint, region, credentials, log, clock, proxy: config.proxy, lookup },
      ...{ serviceClock: this.#serviceClock, loadSdk: load },
    });
  }
}
