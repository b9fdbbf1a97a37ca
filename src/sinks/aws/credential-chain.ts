/**
 * The SDK's default chain of credential providers: env, web identity, container, profile, instance role by IMDSv2. It remembers what it found
 * and renews it before its end.
 *
 * Loaded only where the sink Secret has no keys (9 MiB resident), by name: a dynamic import of a CommonJS package would give a bundle the
 * default alone. May import: core, config, sinks.
 */
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import type { ProxySettings } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import type { CredentialProvider } from './credentials.ts';
import { inTime } from './late-credentials.ts';
import { boundedRequestHandler } from './request-handler.ts';

/** A provider that asks the chain, STS through the proxy; it rejects as `CredentialProvider` says. */
export function chainProvider(proxy: ProxySettings, clock: Clock): CredentialProvider {
  const chain = defaultProvider({ clientConfig: { requestHandler: boundedRequestHandler(proxy) } });
  return (properties) => inTime(chain(properties), clock);
}
