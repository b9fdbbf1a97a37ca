/**
 * Which way a connection goes, for what has to know it beforehand: pure.
 *
 * The connection itself is the agent's work (http-exchange.ts), which tells nobody; this is its rule over again, compared with it by a test
 * (Node.js documentation, "Built-in Proxy Support", NO_PROXY: `*`, a host, host:port, `.suffix`, `*.suffix`, a range of IPv4
 * addresses). May import: config.
 */
import { isIPv4 } from 'node:net';
import type { ProxySettings } from '../config/forwarder-config.ts';

/** The proxy through which requests to `url` go; undefined where they go straight. */
export function proxyOf(url: URL, proxy: ProxySettings): URL | undefined {
  const isTls = url.protocol === 'https:';
  const through = isTls ? proxy.HTTPS_PROXY : proxy.HTTP_PROXY;
  if (through === undefined) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const port = url.port === '' ? (isTls ? '443' : '80') : url.port;
  const entries = (proxy.NO_PROXY ?? '').split(',').map((entry) => entry.trim().toLowerCase());
  return entries.some((entry) => isMatch(entry, host, port)) ? undefined : new URL(through);
}

function isMatch(entry: string, host: string, port: string): boolean {
  if (entry === '*' || entry === host || entry === `${host}:${port}`) return true;
  if (entry.startsWith('.')) return host === entry.slice(1) || host.endsWith(entry);
  if (entry.startsWith('*.')) return host.endsWith(entry.slice(1));
  const [first = '', last = ''] = entry.split('-').map((part) => part.trim());
  if (!isIPv4(host) || !isIPv4(first) || !isIPv4(last)) return false;
  return numberOf(first) <= numberOf(host) && numberOf(host) <= numberOf(last);
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
