/**
 * What stands between a pod and its bucket, from the name of the host to the right to put an object.
 *
 * Nothing is written unless it is asked for: the right is asked with an object whose hash does not fit. Whether the identity may is
 * decided by the head of the request, so the answer is AccessDenied without the right, and a mismatch with it (S3 API reference, "Error
 * responses": XAmzContentSHA256Mismatch, BadDigest). May import: core, config, sinks.
 */
import { createHash } from 'node:crypto';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import { createMetrics } from '../../core/metrics.ts';
import { askUnsigned, checkIdentity, checkWay } from '../aws/check.ts';
import { createInstanceRegion } from '../aws/instance-region.ts';
import { partitionOf as partitionOfRegion } from '../aws/partition.ts';
import { exampleSource, writeRecord } from '../check-record.ts';
import type { CheckOptions, CheckStep } from '../check.ts';
import { checkClock } from '../network-check.ts';
import type { NetworkTarget } from '../network-check.ts';
import { createSecretFiles } from '../secret-files.ts';
import { classifyPut, errorOf } from './classify.ts';
import { objectPlace } from './object-key.ts';
import { ObjectStore, S3_SECRET_KEYS, signingRegion } from './object-store.ts';
import { bucketUrl } from './request.ts';
import { S3Sink } from './sink.ts';

const CA_PLACE = 'the key s3-ca.crt of the sink Secret';
/** A person waits. */
const CALL_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;
/** What a server says that may be written to, and found the body to be another than its hash. */
const MISMATCHES: ReadonlySet<string> = new Set(['XAmzContentSHA256Mismatch', 'BadDigest', 'InvalidDigest']);

/** Where the check asks. */
interface Place {
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
}

/** All steps. */
export async function* checkS3(options: CheckOptions): AsyncGenerator<CheckStep> {
  const { config, clock } = options;
  const region = signingRegion(config) ?? (await createInstanceRegion({ clock })());
  if (region === undefined) {
    const remedy = 'set AWS_REGION, or awsRegion of the operator’s configuration';
    yield { name: 'region', outcome: 'failed', text: 'no AWS region', remedy };
    return;
  }
  const { bucket, prefix } = objectPlace(config, exampleSource(config));
  if (bucket === '') {
    yield { name: 'bucket', outcome: 'failed', text: 'no bucket', remedy: 'set logging.io/bucket' };
    return;
  }
  yield* checkBucket({ ...options, config: { ...config, awsRegion: region } }, { bucket, prefix, region });
}

async function* checkBucket(options: CheckOptions, place: Place): AsyncGenerator<CheckStep> {
  const { config, clock, writes } = options;
  const secret = await createSecretFiles({ dir: config.sinkSecretDir, keys: S3_SECRET_KEYS, clock }).read();
  const { url, isVirtual } = bucketUrl(config.s3, place.region, place.bucket);
  const target: NetworkTarget = { url, ca: secret.value('s3-ca.crt'), client: undefined, caPlace: CA_PLACE };
  if (!(yield* checkWay(target, clock, config.proxy))) return;
  // Whoever asks and whatever he may: the answer names the region of the bucket (S3 API reference, HeadBucket).
  const path = isVirtual ? '/' : `${url.pathname.replace(/\/+$/, '')}/${place.bucket}`;
  const head = await askUnsigned(target, clock, { method: 'HEAD', path, proxy: config.proxy });
  const said = (name: string): string | undefined => {
    const value = head.kind === 'answer' ? head.headers[name] : undefined;
    return typeof value === 'string' ? value : undefined;
  };
  yield checkClock(said('date'), clock);
  const region = regionStep(place, said('x-amz-bucket-region'));
  yield region;
  if (region.outcome === 'failed') return;
  const identity = await checkIdentity(secret, config.proxy, clock);
  yield identity;
  if (identity.outcome === 'failed') return;
  const permission = await permissionStep(config, clock, place);
  yield permission;
  if (permission.outcome === 'failed' || !writes) return;
  const sink = new S3Sink({ config, clock, metrics: createMetrics() });
  try {
    yield await writeRecord(sink, config, clock, `s3://${place.bucket}/${place.prefix}`);
  } finally {
    await sink.close();
  }
}

function regionStep({ bucket, region }: Place, actual: string | undefined): CheckStep {
  const name = 'region';
  if (actual === undefined)
    return {
      name,
      outcome: 'skipped',
      text: `the server does not say where ${bucket} is; requests are signed for ${region}`,
    };
  if (actual === region) return { name, outcome: 'ok', text: `${bucket} is in ${region}` };
  return {
    name,
    outcome: 'failed',
    text: `${bucket} is in ${actual}, requests go to and are signed for ${region}`,
    remedy: `set AWS_REGION (awsRegion of the operator’s configuration) to ${actual}`,
  };
}

async function permissionStep(config: ForwarderConfig, clock: Clock, place: Place): Promise<CheckStep> {
  const name = 'permission';
  const { bucket, prefix, region } = place;
  const key = `${prefix}logtender-check-${clock.now().toString(36)}`;
  const store = new ObjectStore({ config, clock });
  try {
    const answer = await store.put(bucket, key, Buffer.from('logtender check sink\n'), {
      sha256: createHash('sha256').update('another body').digest(),
      timeoutMs: CALL_TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal: new AbortController().signal,
    });
    const action = `s3:PutObject on arn:${partitionOfRegion(region)}:s3:::${bucket}/${prefix}*`;
    if (answer.kind === 'failed')
      return {
        name,
        outcome: 'failed',
        text: 'text' in answer.delivery ? answer.delivery.text : answer.delivery.status,
      };
    if (answer.status >= 200 && answer.status < 300) {
      const text = `${action}; the server stored ${key} although its hash was wrong: it checks none`;
      return { name, outcome: 'warning', text, remedy: `delete ${key}` };
    }
    const { code } = errorOf(answer.body);
    if (MISMATCHES.has(code)) return permitted(name, action, config);
    const delivery = classifyPut(answer, { bucket, region, records: 1, indexAt: (i) => i, isResend: false });
    const isKeys = code === 'InvalidAccessKeyId' || code === 'SignatureDoesNotMatch';
    return { name: isKeys ? 'auth' : name, outcome: 'failed', text: 'text' in delivery ? delivery.text : code };
  } finally {
    store.close();
  }
}

/** Tags and key of an object are asked for by other rights, of which only an object tells. */
function permitted(name: string, action: string, { s3 }: ForwarderConfig): CheckStep {
  const more = [
    ...(s3.tags.length > 0 ? ['s3:PutObjectTagging'] : []),
    ...(s3.kmsKey === undefined ? [] : ['kms:GenerateDataKey']),
  ];
  if (more.length === 0) return { name, outcome: 'ok', text: action };
  return { name, outcome: 'ok', text: action, remedy: `for ${more.join(' and ')} send one record: check sink --write` };
}
