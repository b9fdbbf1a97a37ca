/**
 * Whose name AWS requests bear: static keys of the sink Secret, else the SDK's default chain.
 *
 * The chain (env, web identity, container, profile, instance role by IMDSv2) remembers what it found and renews it before its end. Loaded
 * by sinks that need it, by name: a dynamic import of a CommonJS package would give a bundle the default alone.
 * May import: core, config, sinks.
 */
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import type { ProxySettings } from '../../config/forwarder-config.ts';
import type { SecretValues } from '../secret-files.ts';
import { proxiedRequestHandler } from './request-handler.ts';
import { staticCredentials } from './static-credentials.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Gives the credentials of the moment; rejects with the SDK's error when there are none. */
export type CredentialProvider = () => Promise<AwsCredentials>;

/** A provider for the Secret as it is now; a Secret that changed needs a new one. STS is asked through the proxy. */
export function credentialProvider(secret: SecretValues, proxy: ProxySettings): CredentialProvider {
  const fixed = staticCredentials(secret);
  if (fixed !== undefined) return async () => fixed;
  const requestHandler = proxiedRequestHandler(proxy);
  return defaultProvider(requestHandler === undefined ? {} : { clientConfig: { requestHandler } });
}
