/**
 * Where the calls of a region go: pure.
 *
 * Source: AWS General Reference, "Amazon CloudWatch Logs endpoints and quotas"; the SDK's endpoint rules, which a test compares for every
 * region. May import: sinks.
 */
import { dnsSuffixOf } from '../aws/partition.ts';

/** The regions whose usual endpoint is the FIPS one. */
const FIPS_BY_ITSELF = /^us-gov-(?:east|west)-1$/;

export interface EndpointOptions {
  /** One of one's own; takes the place of the region's. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly fips: boolean;
}

/** What may stand in a host name (RFC 1123, 2.1), as every region does. */
const HOST_LABEL = /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i;

/** Undefined when the region is none that a host name could have. */
export function logsEndpoint({ endpoint, region, fips }: EndpointOptions): URL | undefined {
  if (!HOST_LABEL.test(region)) return undefined;
  if (endpoint !== undefined) return new URL(endpoint);
  const name = fips && !FIPS_BY_ITSELF.test(region) ? 'logs-fips' : 'logs';
  return new URL(`https://${name}.${region}.${dnsSuffixOf(region)}`);
}

/** Path of every call; one in the endpoint (a proxy's) is kept before it. */
export function callPath({ pathname }: URL): string {
  return pathname.endsWith('/') ? pathname : `${pathname}/`;
}
