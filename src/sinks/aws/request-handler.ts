/**
 * How the SDK's HTTP handler goes through a proxy: by the same agents as our own exchanges (Node.js documentation, http.Agent, `proxyEnv`), so
 * that HTTP_PROXY, HTTPS_PROXY and NO_PROXY mean the same everywhere, and no library is needed.
 *
 * What the SDK asks of a machine or of an agent beside the pod (instance metadata, container credentials: link-local addresses) it asks by
 * handlers of its own, past every proxy, as it must be. May import: config.
 */
import type { ProxySettings } from '../../config/forwarder-config.ts';

/** Options of an agent; empty without a proxy. */
export interface ProxyAgentOptions {
  readonly proxyEnv?: { readonly HTTP_PROXY?: string; readonly HTTPS_PROXY?: string; readonly NO_PROXY?: string };
}

export function proxyAgentOptions(proxy: ProxySettings): ProxyAgentOptions {
  return Object.keys(proxy).length === 0 ? {} : { proxyEnv: { ...proxy } };
}

/** Options of `NodeHttpHandler`, from which each client of the SDK makes one of its own; undefined without a proxy. */
export function proxiedRequestHandler(
  proxy: ProxySettings,
): { readonly httpAgent: ProxyAgentOptions; readonly httpsAgent: ProxyAgentOptions } | undefined {
  const options = proxyAgentOptions(proxy);
  return options.proxyEnv === undefined ? undefined : { httpAgent: options, httpsAgent: options };
}
