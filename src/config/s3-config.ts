/**
 * Where and how S3 objects are written: the same words in the operator's file (section `s3`) and in the env of the sidecar.
 *
 * May import: core, config.
 */
import { MiB } from '../core/limits.ts';
import { textForm } from './fields.ts';
import type { Reader, TextForm } from './fields.ts';

const S3_ADDRESSINGS = ['auto', 'path', 'virtual'] as const;
const S3_COMPRESSIONS = ['gzip', 'zstd', 'none'] as const;
/** PutObject, x-amz-storage-class, as far as an object can be read at once: those of the archive cannot be queried. */
const S3_STORAGE_CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
  'REDUCED_REDUNDANCY',
] as const;

export interface S3Config extends S3Options {
  /** Bucket template; undefined: nobody named one. */
  readonly bucket: string | undefined;
  /** Template of what stands before year=/month=/day=/hour=. */
  readonly prefix: string;
}

/** What the operator decides for all objects. */
export interface S3Options {
  /** Another server than AWS's; undefined is AWS's own for the region. */
  readonly endpoint: string | undefined;
  /** `auto`: bucket in the host name on AWS, in the path elsewhere and where its name has a dot. */
  readonly addressing: (typeof S3_ADDRESSINGS)[number];
  readonly compression: (typeof S3_COMPRESSIONS)[number];
  /** An object is closed when its records, uncompressed, have this size … */
  readonly objectBytes: number;
  /** … or when its first record waits this long. */
  readonly objectAgeMs: number;
  readonly storageClass: (typeof S3_STORAGE_CLASSES)[number] | undefined;
  /** Key id, ARN or alias of KMS; undefined leaves the encryption to the bucket. */
  readonly kmsKey: string | undefined;
  /** Tags of every object, `KEY=VALUE` each. */
  readonly tags: readonly string[];
}

/**
 * An object is one batch in memory: two of them (one filling, one in flight) and its compressed copy are what the sink costs, so the
 * default of 4 MiB fits a sidecar of 64 MiB. PutObject takes 5 GiB (S3 user guide, "Amazon S3 quotas"), far above the largest size here, so
 * that no object needs several parts and no part is ever left behind.
 */
export const S3_OBJECT_BYTES = { min: 1 * MiB, max: 32 * MiB, default: 4 * MiB } as const;

/** A request costs money: a minute is 43,200 objects a month and source. Longer only delays, the file is the queue. */
const S3_OBJECT_AGE_MS = { min: 1_000, max: 3_600_000, default: 60_000 } as const;

/** S3 user guide, "Categorizing your storage using tags": 10 tags, keys of 128 and values of 256 characters of this set. */
const S3_TAGS_MAX = 10;
const S3_TAG: TextForm = textForm(
  'KEY=VALUE of letters, digits, blanks and _ . : / + - @',
  /^[\p{L}\p{N} _.:/+\-@]{1,128}=[\p{L}\p{N} _.:/+\-@]{0,256}$/u,
);

/** Key id, alias or ARN (KMS API reference, "Key identifiers"). */
const KMS_KEY: TextForm = textForm(
  'the id, alias or ARN of a KMS key',
  /^(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)\/[A-Za-z0-9/_-]{1,256}|alias\/[A-Za-z0-9/_-]{1,256}|(?:mrk-)?[0-9a-f-]{32,36})$/,
);

/** The prefix that nobody named. */
export const S3_PREFIX_DEFAULT = '{cluster}/{namespace}/{app}/';

/** Names of the options in a file or in env. */
export type S3OptionNames = Readonly<
  Record<
    'endpoint' | 'addressing' | 'compression' | 'objectBytes' | 'objectAge' | 'storageClass' | 'kmsKey' | 'tags',
    string
  >
>;

/** Names in the section `s3` of the operator's file. */
export const S3_FILE_NAMES: S3OptionNames = {
  endpoint: 'endpoint',
  addressing: 'addressing',
  compression: 'compression',
  objectBytes: 'objectBytes',
  objectAge: 'objectAge',
  storageClass: 'storageClass',
  kmsKey: 'kmsKey',
  tags: 'tags',
};

/** Reads the options under the given names; `url` is the form that an endpoint must have. */
export function readS3Options(reader: Reader, names: S3OptionNames, url: TextForm): S3Options {
  const tags = reader.list(names.tags, [], S3_TAG);
  if (tags.length > S3_TAGS_MAX) reader.report(names.tags, `at most ${S3_TAGS_MAX} tags`);
  const { min: minMs, max: maxMs, default: objectAgeMs } = S3_OBJECT_AGE_MS;
  const { min, max, default: objectBytes } = S3_OBJECT_BYTES;
  return {
    endpoint: reader.text(names.endpoint, undefined, url),
    addressing: reader.oneOf(names.addressing, S3_ADDRESSINGS, 'auto'),
    compression: reader.oneOf(names.compression, S3_COMPRESSIONS, 'gzip'),
    objectBytes: reader.integer(names.objectBytes, { min, max }, objectBytes),
    objectAgeMs: reader.duration(names.objectAge, { minMs, maxMs }, objectAgeMs),
    storageClass: reader.oneOf<(typeof S3_STORAGE_CLASSES)[number], undefined>(
      names.storageClass,
      S3_STORAGE_CLASSES,
      undefined,
    ),
    kmsKey: reader.text(names.kmsKey, undefined, KMS_KEY),
    tags,
  };
}
