/**
 * Whose name AWS requests bear: static keys of the sink Secret, else the SDK's default chain.
 *
 * May import: core, config, sinks.
 */
import type { ProxySettings } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import type { SecretValues } from '../secret-files.ts';
import { staticCredentials } from './static-credentials.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** By when they have to be renewed; those of a Secret or of the env have no end that anybody knows. */
  readonly expiration?: Date;
}

/**
 * Gives the credentials of the moment; rejects with the SDK's error when there are none, and when they are late (late-credentials.ts).
 *
 * @param properties what a client of the SDK tells of itself: its region is that of STS
 */
export type CredentialProvider = (properties?: Readonly<Record<string, unknown>>) => Promise<AwsCredentials>;

/** A provider for the Secret as it is now; a Secret that changed needs a new one. STS is asked through the proxy. */
export function credentialProvider(secret: SecretValues, proxy: ProxySettings, clock: Clock): CredentialProvider {
  const fixed = staticCredentials(secret);
  if (fixed !== undefined) return async () => fixed;
  const load = async (): Promise<CredentialProvider> =>
    (await import('./credential-chain.ts')).chainProvider(proxy, clock);
  let chain: Promise<CredentialProvider> | undefined;
  return async (properties) => (await (chain ??= load()))(properties);
}
