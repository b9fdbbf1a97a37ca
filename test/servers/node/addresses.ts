/**
 * Addresses of one cluster on this machine: several can run side by side, each with a number of its own. Pure.
 *
 * All from 198.18.0.0/15, which RFC 2544 and RFC 6890 set aside for tests inside one network: no network that a machine is part of
 * uses them. May import: nothing.
 */

export interface Addresses {
  /** The end of the link in the machine's own namespace, where the API server is reached from pods. */
  readonly host: string;
  /** The end of the link in the node's namespace: the node's InternalIP. */
  readonly node: string;
  readonly linkBits: number;
  readonly podRange: string;
  readonly serviceRange: string;
  /** Pods and Services together: what the machine sends over the link. */
  readonly route: string;
  /** ClusterIP of the Service `kubernetes`: the first of the range. */
  readonly kubernetes: string;
  /** Where pods look for DNS; nobody answers there. */
  readonly dns: string;
  /** Name of the link in the machine's own namespace. */
  readonly link: string;
  /** Name of the control groups. */
  readonly group: string;
}

/** More clusters at once than a machine can hold. */
export const CLUSTERS_MAX = 64;

/** @param number from 0 to CLUSTERS_MAX - 1 */
export function addressesOf(number: number): Addresses {
  const pods = `198.19.${2 * number}`;
  const services = `198.19.${2 * number + 1}`;
  return {
    host: `198.18.${number}.1`,
    node: `198.18.${number}.2`,
    linkBits: 30,
    podRange: `${pods}.0/24`,
    serviceRange: `${services}.0/24`,
    route: `${pods}.0/23`,
    kubernetes: `${services}.1`,
    dns: `${services}.10`,
    link: `logtender${number}`,
    group: `logtender-${number}`,
  };
}
