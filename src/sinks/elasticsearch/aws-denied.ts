/**
 * What to do about a 403 of Amazon OpenSearch Service itself, or of another gate, before a request gets to the cluster: pure.
 *
 * One status stands for a right that is missing, a signature that does not fit and a token that is over; the service's words say which and
 * stand before this. A domain has one right per method (OpenSearch Service developer guide, "Identity and Access Management"), a collection one
 * for all of its API and a data access policy for the rest ("Identity and Access Management for OpenSearch Serverless", "Data access control"). May
 * import: nothing of other rooms.
 */
import type { AwsService } from './request.ts';

/** The same answer, `message` or `Message`, to requests that nobody signed: a gateway's, or that of a domain which wants a signature. */
export const GATE_DENIED =
  'what stands before the cluster refuses: ask who runs that gateway; Amazon OpenSearch Service wants elasticsearchSigning (ELASTICSEARCH_SIGNING) aws';

/** @param on what is asked for, `the index`; @param policy the file of deploy/iam with the rights on a domain */
export function awsDenied(service: AwsService, method: 'GET' | 'POST' | 'PUT', on: string, policy: string): string {
  const right =
    service === 'aoss'
      ? `allow aoss:APIAccessAll on the collection to this identity, and ${on} in a data access policy of the collection`
      : `allow es:ESHttp${method.charAt(0)}${method.slice(1).toLowerCase()} on ${on} to this identity (deploy/iam/${policy}, and the access policy of the domain)`;
  return `${right}; where the signature is refused, check the keys, the region that is signed for and the clock`;
}

/** A bulk into an index. */
export function awsWriteDenied(service: AwsService): string {
  return awsDenied(service, 'POST', 'the index', 'opensearch-domain-write.json');
}
