/**
 * How the SDK's HTTP handler asks for credentials: with an end, and through a proxy by the same agents as our own exchanges (Node.js documentation, http.Agent, `proxyEnv`), so
 * that HTTP_PROXY, HTTPS_PROXY and NO_PROXY mean the same everywhere, and no library is needed.
 *
 * What the SDK asks of a machine or of an agent beside the pod (instance metadata, container credentials: link-local addresses) it asks by
 * handlers of its own, past every proxy, as it must be. May import: config, sinks.
 */
import type { ProxySettings } from '../../config/forwarder-config.ts';
import { CREDENTIALS_MS_MAX } from './late-credentials.ts';

/** Options of an agent; empty without a proxy. */
export interface ProxyAgentOptions {
  readonly proxyEnv?: { readonly HTTP_PROXY?: string; readonly HTTPS_PROXY?: string; readonly NO_PROXY?: string };
}

export function proxyAgentOptions(proxy: ProxySettings): ProxyAgentOptions {
  return Object.keys(proxy).length === 0 ? {} : { proxyEnv: { ...proxy } };
}

/** Options of `NodeHttpHandler` (package @smithy/node-http-handler, `NodeHttpHandlerOptions`). */
export interface RequestHandlerOptions {
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  /** Without it a time-out is a warning in the log of the SDK, and the request goes on. */
  readonly throwOnRequestTimeout: true;
  readonly httpAgent: ProxyAgentOptions;
  readonly httpsAgent: ProxyAgentOptions;
}

/**
 * From these each client that asks for credentials makes a handler of its own. One attempt has as long as a caller waits; the SDK makes three
 * (its standard retry mode), and then a chain that hangs is free for the next asking.
 */
export function boundedRequestHandler(proxy: ProxySettings): RequestHandlerOptions {
  const agent = proxyAgentOptions(proxy);
  return {
    connectionTimeout: CREDENTIALS_MS_MAX,
    requestTimeout: CREDENTIALS_MS_MAX,
    throwOnRequestTimeout: true,
    httpAgent: agent,
    httpsAgent: agent,
  };
}
