/**
 * What a PutObject looks like and where it goes: pure.
 *
 * Sources: S3 API reference, PutObject; S3 user guide, "Virtual hosting of general purpose buckets", "Conditional writes", "Checking object
 * integrity". May import: core, config, sinks.
 */
import type { S3Config } from '../../config/s3-config.ts';
import { dnsSuffixOf } from '../aws/partition.ts';

export interface ObjectAddress {
  readonly url: URL;
  /** Host header. */
  readonly host: string;
  /** Path of the request, encoded once. */
  readonly path: string;
}

const CONTENT_TYPES: Readonly<Record<S3Config['compression'], string>> = {
  gzip: 'application/gzip',
  zstd: 'application/zstd',
  none: 'application/x-ndjson',
};

/** Base URL, and whether the bucket stands in its host name. */
export function bucketUrl(
  { endpoint, addressing }: S3Config,
  region: string,
  bucket: string,
): { readonly url: URL; readonly isVirtual: boolean } {
  const base = new URL(endpoint ?? `https://s3.${region}.${dnsSuffixOf(region)}`);
  const isAuto = addressing === 'auto';
  // The certificate of *.s3.REGION covers no name with a dot before it, and a server of one's own need not answer to names.
  const isVirtual = isAuto ? endpoint === undefined && !bucket.includes('.') : addressing === 'virtual';
  if (!isVirtual) return { url: base, isVirtual };
  const url = new URL(base);
  url.hostname = `${bucket}.${base.hostname}`;
  return { url, isVirtual };
}

/** Where an object is put; a path in the endpoint (a proxy's) is kept before it. */
export function objectAddress(config: S3Config, region: string, bucket: string, key: string): ObjectAddress {
  const { url, isVirtual } = bucketUrl(config, region, bucket);
  const before = url.pathname.replace(/\/+$/, '');
  const parts = (isVirtual ? key : `${bucket}/${key}`).split('/').map(encodePart);
  return { url, host: url.host, path: `${before}/${parts.join('/')}` };
}

/** Signature Version 4, "URI encode": all but unreserved characters. */
function encodePart(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/**
 * Headers of a PutObject that are signed.
 *
 * @param sha256 hash of the body; as checksum it is what buckets with Object Lock ask for, and S3 keeps it with the object
 */
export function putHeaders(config: S3Config, sha256: Buffer): Readonly<Record<string, string>> {
  const { compression, storageClass, kmsKey, tags } = config;
  return {
    'content-type': CONTENT_TYPES[compression],
    // "uploads the object only if the object key name does not already exist": 412 where it does.
    'if-none-match': '*',
    'x-amz-content-sha256': sha256.toString('hex'),
    'x-amz-checksum-sha256': sha256.toString('base64'),
    ...(storageClass === undefined ? {} : { 'x-amz-storage-class': storageClass }),
    ...(kmsKey === undefined
      ? {}
      : { 'x-amz-server-side-encryption': 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id': kmsKey }),
    ...(tags.length === 0 ? {} : { 'x-amz-tagging': tags.map(tagQuery).join('&') }),
  };
}

/** "The tag-set must be encoded as URL query parameters." */
function tagQuery(tag: string): string {
  const at = tag.indexOf('=');
  return `${encodePart(tag.slice(0, at))}=${encodePart(tag.slice(at + 1))}`;
}
