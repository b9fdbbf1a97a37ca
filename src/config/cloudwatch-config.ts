/**
 * The operator's choices for CloudWatch Logs, read alike from `webhook.yaml` (section `cloudwatch`) and from the sidecar's env.
 *
 * Pure. May import: core, config.
 */
import { textForm } from './fields.ts';
import type { Reader } from './fields.ts';

/**
 * Classes of log groups that take our events (API reference, CreateLogGroup, logGroupClass). `DELIVERY` keeps events for one day and cannot
 * be searched: nobody means it for the logs of an app.
 */
export const LOG_GROUP_CLASSES = ['standard', 'infrequent-access'] as const;

/** What becomes of events that the service refuses for their age: kept as dead letters, or sent once more with the time of now. */
export const REJECTED_POLICIES = ['dead-letter', 'restamp'] as const;

export interface CloudWatchConfig {
  /** Class of log groups that we create; undefined leaves AWS's default (standard). It cannot be changed later. */
  readonly logGroupClass: (typeof LOG_GROUP_CLASSES)[number] | undefined;
  /** ARN of the symmetric KMS key of log groups that we create. */
  readonly kmsKey: string | undefined;
  /** Tags of log groups that we create, as `key=value`. */
  readonly tags: readonly string[];
  readonly rejected: (typeof REJECTED_POLICIES)[number];
  /** Most PutLogEvents of one sidecar in a second; 0 sets no bound. */
  readonly requestsPerSecond: number;
  /** Reads back what may have been stored before it is sent again. */
  readonly confirm: boolean;
  /** The endpoints of FIPS 140. */
  readonly fips: boolean;
}

/** One sidecar needs no more: the account's quota is 5,000 for all of them (Service Quotas, CloudWatch Logs, PutLogEvents). */
const REQUESTS_PER_SECOND_MAX = 1_000;
/** API reference, CreateLogGroup: 50 tags. */
const TAGS_MAX = 50;

const KMS_KEY = textForm(
  'the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)',
  /^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[A-Za-z0-9-]{1,64}$/,
);
/** API reference, CreateLogGroup, tags: key of 1 to 128 characters, not beginning with `aws:`, value of up to 256. */
const TAG = textForm(
  'tags of the form key=value, of letters, digits, blanks and _ . : / + - @',
  /^(?!aws:)[\p{L}\p{Zs}\p{N}_.:/+\-@]{1,128}=[\p{L}\p{Zs}\p{N}_.:/+\-@=]{0,256}$/u,
);

/** Names under which each value is read. */
export type CloudWatchNames = Readonly<Record<keyof CloudWatchConfig, string>>;

/**
 * Reads every value; problems go to the reader.
 *
 * @param endpoint the custom endpoint, if any: the SDK refuses to have one and FIPS
 */
export function readCloudWatchConfig(
  reader: Reader,
  names: CloudWatchNames,
  endpoint: string | undefined,
): CloudWatchConfig {
  const tags = reader.list(names.tags, [], TAG);
  if (tags.length > TAGS_MAX) reader.report(names.tags, `at most ${TAGS_MAX} tags`);
  if (tagsOf(tags).size < tags.length) reader.report(names.tags, 'each key once');
  const fips = reader.flag(names.fips, false);
  if (fips && endpoint !== undefined)
    reader.report(names.fips, 'false beside a cloudwatchEndpoint', 'name a FIPS endpoint there');
  return {
    logGroupClass: reader.oneOf<(typeof LOG_GROUP_CLASSES)[number], undefined>(
      names.logGroupClass,
      LOG_GROUP_CLASSES,
      undefined,
    ),
    kmsKey: reader.text(names.kmsKey, undefined, KMS_KEY),
    tags,
    rejected: reader.oneOf(names.rejected, REJECTED_POLICIES, 'dead-letter'),
    requestsPerSecond: reader.integer(names.requestsPerSecond, { min: 0, max: REQUESTS_PER_SECOND_MAX }, 0),
    confirm: reader.flag(names.confirm, false),
    fips,
  };
}

/** Tags as keys and values. */
export function tagsOf(tags: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    tags.map((tag) => {
      const at = tag.indexOf('=');
      return [tag.slice(0, at), tag.slice(at + 1)] as const;
    }),
  );
}

/** Section `cloudwatch` of webhook.yaml: each value under its own name. */
export const CLOUDWATCH_SECTION: CloudWatchNames = {
  logGroupClass: 'logGroupClass',
  kmsKey: 'kmsKey',
  tags: 'tags',
  rejected: 'rejected',
  requestsPerSecond: 'requestsPerSecond',
  confirm: 'confirm',
  fips: 'fips',
};

/** Env variables of the sidecar. AWS_USE_FIPS_ENDPOINT is the SDK's own name, which reaches its STS client too. */
export const CLOUDWATCH_ENV = {
  logGroupClass: 'CLOUDWATCH_LOG_GROUP_CLASS',
  kmsKey: 'CLOUDWATCH_KMS_KEY',
  tags: 'CLOUDWATCH_TAGS',
  rejected: 'CLOUDWATCH_REJECTED',
  requestsPerSecond: 'CLOUDWATCH_REQUESTS_PER_SECOND',
  confirm: 'CLOUDWATCH_CONFIRM',
  fips: 'AWS_USE_FIPS_ENDPOINT',
} as const satisfies CloudWatchNames;

/** What the sidecar's env must say for this configuration; what is as built in is not said. */
export function cloudWatchEnv(config: CloudWatchConfig): Readonly<Record<string, string | undefined>> {
  return {
    [CLOUDWATCH_ENV.logGroupClass]: config.logGroupClass,
    [CLOUDWATCH_ENV.kmsKey]: config.kmsKey,
    [CLOUDWATCH_ENV.tags]: config.tags.length === 0 ? undefined : config.tags.join(','),
    [CLOUDWATCH_ENV.rejected]: config.rejected === 'dead-letter' ? undefined : config.rejected,
    [CLOUDWATCH_ENV.requestsPerSecond]: config.requestsPerSecond === 0 ? undefined : String(config.requestsPerSecond),
    [CLOUDWATCH_ENV.confirm]: config.confirm ? 'true' : undefined,
    [CLOUDWATCH_ENV.fips]: config.fips ? 'true' : undefined,
  };
}
