/**
 * Partitions of AWS by the beginning of their regions: pure.
 *
 * Source: the SDK's partitions.json, which a test compares; AWS General Reference, "AWS service endpoints". May import: nothing.
 */

const PARTITIONS: ReadonlyArray<readonly [prefix: string, partition: string, dnsSuffix: string]> = [
  ['cn-', 'aws-cn', 'amazonaws.com.cn'],
  ['us-gov-', 'aws-us-gov', 'amazonaws.com'],
  ['us-isob-', 'aws-iso-b', 'sc2s.sgov.gov'],
  ['us-isof-', 'aws-iso-f', 'csp.hci.ic.gov'],
  ['us-iso-', 'aws-iso', 'c2s.ic.gov'],
  ['eu-isoe-', 'aws-iso-e', 'cloud.adc-e.uk'],
  ['eusc-', 'aws-eusc', 'amazonaws.eu'],
];
const DNS_SUFFIX = 'amazonaws.com';

/** What the host names of AWS end with. */
export const DNS_SUFFIXES: readonly string[] = [...new Set([DNS_SUFFIX, ...PARTITIONS.map(([, , suffix]) => suffix)])];

/** The second part of every ARN of a region. */
export function partitionOf(region: string): string {
  return PARTITIONS.find(([prefix]) => region.startsWith(prefix))?.[1] ?? 'aws';
}

/** What the host names of a region's services end with. */
export function dnsSuffixOf(region: string): string {
  return PARTITIONS.find(([prefix]) => region.startsWith(prefix))?.[2] ?? DNS_SUFFIX;
}
